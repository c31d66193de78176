"""A real etcd on a free port, that can be killed, emptied, paused and started again; and etcdctl, its own client."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path

import pytest
from killable import Peer, free_port

ETCD, ETCDCTL = shutil.which("etcd"), shutil.which("etcdctl")
NEEDED = pytest.mark.skipif(
    ETCD is None or ETCDCTL is None, reason="needs etcd and etcdctl: apt-get install etcd-server etcd-client"
)


class Etcd(Peer):
    """One member, alone unless told of others.

    Args:
        folder: Where it keeps its data.
        name: The member's name.
        scheme: How clients speak to it.
        flags: Further flags of the server.
    """

    def __init__(self, folder: Path, name: str = "alone", scheme: str = "http", flags: Sequence[str] = ()) -> None:
        super().__init__(folder / f"{name}.log")
        self.address = f"127.0.0.1:{free_port()}"
        self.peer = f"http://127.0.0.1:{free_port()}"
        self.name = name
        self.cluster = f"{name}={self.peer}"
        self.flags: list[str] = [*flags]
        self.ctl_flags: list[str] = []
        self.data = folder / f"{name}.data"
        self.url = f"{scheme}://{self.address}"

    def start(self, *, wait: bool = True) -> None:
        """Starts it, or starts it again, and waits until it answers."""
        command = [
            str(ETCD), f"--name={self.name}", f"--data-dir={self.data}",
            f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={self.peer}", f"--initial-advertise-peer-urls={self.peer}",
            f"--initial-cluster={self.cluster}", "--heartbeat-interval=50", "--election-timeout=500", *self.flags,
        ]  # fmt: skip
        self.launch(command)
        if wait:
            self.wait(self.answers)

    def wipe(self) -> None:
        """Takes its data away."""
        shutil.rmtree(self.data)

    def ctl(self, *arguments: str, check: bool = True) -> str:
        """Returns what etcdctl says."""
        command = [str(ETCDCTL), f"--endpoints={self.url}", "--command-timeout=30s", *self.ctl_flags, *arguments]
        environment = {**os.environ, "ETCDCTL_API": "3"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def keys(self, prefix: str = "") -> dict[str, str]:
        """Returns what is in it, as etcdctl has it."""
        found = json.loads(self.ctl("get", prefix, "--prefix", "--write-out=json")).get("kvs", [])
        return {b64decode(kv["key"]).decode(): b64decode(kv.get("value", "")).decode() for kv in found}

    def leases(self) -> list[str]:
        """Returns the leases there are, in hexadecimal."""
        return self.ctl("lease", "list").split()[3:]

    def answers(self) -> bool:
        """Tells whether it does."""
        host, _, port = self.address.partition(":")
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            return False
        return self.ctl("endpoint", "health", "--write-out=json", check=False).count('"health":true') == 1
