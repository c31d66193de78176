"""Two hundred thousand calls leave the server's memory as it was."""

from __future__ import annotations

import asyncio
import re
import shutil
import struct
import sys
from pathlib import Path

import pytest
from chaos.test_shutdown import ENGINES, Process, running
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("h2load") is None, reason="needs h2load: apt-get install nghttp2-client"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

WARM_UP = 20_000
CALLS = 200_000
ALLOWED_KIB = 5 * 1024


def resident(process: Process) -> int:
    """Returns the resident memory in KiB."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


async def load(*arguments: str) -> None:
    """Runs h2load and asserts that every request succeeded."""
    process = await asyncio.create_subprocess_exec("h2load", *arguments, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    text = out.decode()
    assert process.returncode == 0
    assert re.search(r"requests: (\d+) total, \d+ started, \d+ done, \1 succeeded", text), text


async def test_http() -> None:
    """Over HTTP."""
    async with running(finish=1.0) as rig:
        url = f"{rig.urls[0]}/kinds/echo/kratos"
        await load("--h1", "-c", "16", "-n", str(WARM_UP), url)
        before = resident(rig)
        await load("--h1", "-c", "16", "-n", str(CALLS), url)
        assert resident(rig) - before < ALLOWED_KIB


@ENGINES
@pytest.mark.parametrize(("method", "messages"), [("Echo", 1), ("Watch", 20)])
async def test_grpc(tmp_path: Path, engine: str, method: str, messages: int) -> None:
    """Over gRPC, one message a call and streams of some."""
    message = Ping(text="kratos", count=messages).to_binary()
    body = tmp_path / "ping.bin"
    body.write_bytes(struct.pack(">BI", 0, len(message)) + message)
    async with running(finish=1.0, engine=engine) as rig:
        url = rig.urls[1].replace("grpc://", "http://") + f"/fixture.kinds.v1.Kinds/{method}"
        head = ("-H", "content-type: application/grpc", "-H", "te: trailers", "-d", str(body), "-c", "4", "-m", "8")
        await load(*head, "-n", str(WARM_UP // messages), url)
        before = resident(rig)
        await load(*head, "-n", str(CALLS // messages), url)
        assert resident(rig) - before < ALLOWED_KIB
