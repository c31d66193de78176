"""A client that keeps a call of each kind under way until it is killed: python calling.py URL."""

from __future__ import annotations

import asyncio
import sys

from chaos.test_grpc import hang
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient

from kratos import GRPCClient


async def main(url: str) -> None:
    async with GRPCClient(url, timeout=None) as conn:
        api = KindsClient(conn)
        await asyncio.gather(*(hang(api, lambda _: None, kind) for kind in ("echo", "watch", "collect", "chat")))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
