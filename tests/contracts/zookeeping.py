"""A real ZooKeeper on a free port, that can be killed, emptied, paused and started again; and its own client."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from killable import Peer, free_port

JAVA = shutil.which("java")
JARS = [Path("/usr/share/java/zookeeper.jar"), Path("/usr/share/java/slf4j-simple.jar")]
NEEDED = pytest.mark.skipif(
    JAVA is None or not all(jar.exists() for jar in JARS),
    reason="needs ZooKeeper: apt-get install zookeeper default-jre-headless libslf4j-java",
)

# Sessions may last from one to ten seconds. All jars of the folder together do not work: its manifest knows the rest.
CONFIG = """
tickTime=500
dataDir={data}
clientPort={port}
clientPortAddress=127.0.0.1
admin.enableServer=false
maxClientCnxns=0
4lw.commands.whitelist=*
"""


class ZooKeeper(Peer):
    """One server.

    Args:
        folder: Where it keeps its data.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "log")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._data = folder / "data"
        self._config = folder / "zoo.cfg"
        self._config.write_text(CONFIG.format(data=self._data, port=self.port))

    def start(self) -> None:
        """Starts it, or starts it again, and waits until it answers."""
        command = [*_java("-Dzookeeper.forceSync=no"), "org.apache.zookeeper.server.quorum.QuorumPeerMain"]
        self.launch([*command, self._config])
        self.wait(lambda: "Mode:" in self.say("srvr"))  # it says imok before it lets anybody in

    def wipe(self) -> None:
        """Takes its data away."""
        shutil.rmtree(self._data, ignore_errors=True)

    def say(self, word: str) -> str:
        """Returns what it answers to one of its four-letter words; nothing if it does not answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                connection.sendall(word.encode())
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except OSError:
            return ""

    def cli(self, *words: str) -> str:
        """Returns what ZooKeeper's own client says to a command."""
        command = [*_java("-Dorg.slf4j.simpleLogger.defaultLogLevel=error"), "org.apache.zookeeper.ZooKeeperMain"]
        done = subprocess.run(
            [*command, "-waitforconnection", "-server", self.address, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout + done.stderr


def _java(option: str) -> list[str]:
    return [str(JAVA), "-Xmx256m", option, "-cp", ":".join(map(str, JARS))]
