"""The embedded registry among processes that die, and in folders that are not as they should be."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kratos.registry import FileRegistry, Instance, embedded
from kratos.registry import file as module
from kratos.registry.locks import Lock, is_locked
from kratos.testing.registry import watching

ONE = Instance("1", "shop", endpoints=("grpc://a:1",))
TWO = Instance("2", "shop", endpoints=("grpc://b:1",))
LIMIT = 30.0

PROGRAM = """
import asyncio, sys
from kratos.registry import FileRegistry, Instance

async def main():
    await FileRegistry(sys.argv[1]).register(Instance(sys.argv[2], "shop", endpoints=("grpc://b:1",)))
    print("registered", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def files(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


@asynccontextmanager
async def process(folder: Path, id: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs a process that has registered an instance."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(folder), id, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert running.stdout is not None
        async with asyncio.timeout(LIMIT):
            assert await running.stdout.readline() == b"registered\n"
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[FileRegistry]:
    registry = FileRegistry(folder, every=0.02)
    try:
        yield registry
    finally:
        await registry.aclose()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_the_dead_are_not_listed(tmp_path: Path, number: signal.Signals) -> None:
    """Whoever is killed is gone at once; who comes next removes what is left."""
    async with opened(tmp_path) as registry, watching(registry, "shop") as watch:
        async with process(tmp_path, "1") as running, process(tmp_path, "2"):
            await watch.ids("1", "2")
            running.send_signal(number)
            await running.wait()
            await watch.ids("2")
        await watch.ids()
        assert len(list((tmp_path / "shop").iterdir())) == 2
        await registry.register(Instance("3", "shop"))
        await watch.ids("3")
        assert len(list((tmp_path / "shop").iterdir())) == 1
        assert len(files(tmp_path, "*.lock")) == 1
        await registry.deregister(Instance("3", "shop"))
        assert list((tmp_path / "shop").iterdir()) == []
        assert files(tmp_path, "*.lock") == []


async def test_an_id_that_two_have(tmp_path: Path) -> None:
    """The younger record counts; when its process has gone, the older one does again."""
    async with opened(tmp_path) as one, opened(tmp_path) as two, watching(one, "shop") as watch:
        await one.register(Instance("1", "shop", "old"))
        await watch.versions("old")
        await two.register(Instance("1", "shop", "new"))
        await watch.versions("new")
        await two.aclose()
        await watch.versions("old")


@pytest.mark.parametrize("what", ["folder", "lock", "record"])
async def test_what_is_removed_is_written_again(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody tidies up: the registrations are there again soon, all of them, and once."""
    monkeypatch.setattr(module, "_CHECK_SECONDS", 0.02)
    folder = tmp_path / "registry"
    async with opened(folder) as registry:
        await registry.register(ONE)
        await registry.register(TWO)
        if what == "folder":
            folder.rename(tmp_path / "away")
        else:
            for path in list(folder.rglob("*.lock" if what == "lock" else "1@*.json")):
                path.unlink()
        async with asyncio.timeout(LIMIT):
            while "is registered again" not in caplog.text:
                await asyncio.sleep(0.02)
        async with watching(registry, "shop") as watch:
            await watch.ids("1", "2")
        assert len(list(folder.rglob("*.json"))) == 2
        assert len(list(folder.rglob("*.lock"))) == 1


async def test_bad_neighbours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is no record, or cannot be read, is skipped and logged once."""
    async with opened(tmp_path) as registry, watching(registry, "shop") as watch:
        await registry.register(ONE)
        await watch.ids("1")
        (record,) = (tmp_path / "shop").iterdir()
        record.with_name(f"bad-{record.name}").write_text("{")
        record.with_name(f"folder-{record.name}").mkdir()
        record.with_name("nobody.json").write_text("{")
        await registry.register(TWO)
        await watch.ids("1", "2")
        await registry.register(Instance("3", "shop"))
        await watch.ids("1", "2", "3")
    told = [each.getMessage() for each in caplog.records if "skipped" in each.getMessage()]
    assert len(told) == 2
    assert sum("not a record" in each for each in told) == 1


async def test_a_record_that_goes_while_it_is_read(tmp_path: Path) -> None:
    """It is gone, and nobody minds."""
    async with opened(tmp_path) as registry:
        assert registry._decoded(str(tmp_path / "gone")) is None
        assert module._stamp(tmp_path / "gone") is None
        (tmp_path / "shop").mkdir()
        (tmp_path / "shop" / "1@me.json").symlink_to("nowhere")
        lock = Lock(tmp_path / "me.lock")
        assert registry._read("shop", {}) == []
        lock.release()


async def test_a_folder_that_cannot_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and tried again: whoever makes room is found registered."""
    folder = tmp_path / "registry"
    folder.write_text("a file")
    async with opened(folder) as registry:
        registering = asyncio.create_task(registry.register(ONE))
        while not caplog.records:
            await asyncio.sleep(0.02)
        assert "file: shop (1) is not registered yet: FileExistsError" in caplog.text
        folder.unlink()
        async with asyncio.timeout(LIMIT):
            await registering


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="there are no owners on this system")
async def test_the_usual_folder_is_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that others may write is trusted neither for writing nor for reading; a new one is nobody else's."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("KRATOS_ENV", "development")
    registry = embedded()
    assert registry is not None
    folder = tmp_path / f"kratos-registry-{os.getuid()}"
    assert str(registry) == f"embedded registry in {folder}"
    async with watching(registry, "shop") as watch:
        await watch.ids()
        await registry.register(ONE)
        await watch.ids("1")
    assert folder.stat().st_mode & 0o777 == 0o700
    await registry.aclose()
    folder.chmod(0o777)
    other = FileRegistry()
    tasks = [asyncio.create_task(other.register(ONE)), asyncio.ensure_future(anext(other.watch("shop")))]
    async with asyncio.timeout(LIMIT):
        while caplog.text.count("may be written by others, so nobody can trust") < 2:
            await asyncio.sleep(0.02)
    await other.aclose()
    await asyncio.gather(*tasks, return_exceptions=True)
    monkeypatch.setenv("KRATOS_ENV", "production")
    assert embedded() is None


def test_without_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the temporary folder is the user's own already."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delattr(os, "getuid", raising=False)
    assert FileRegistry()._folder == tmp_path / "kratos-registry"
    module._verify(tmp_path)


def test_options() -> None:
    """A pause that makes no sense is refused."""
    with pytest.raises(ValueError, match="every is 0"):
        FileRegistry(every=0)


def test_locks(tmp_path: Path) -> None:
    """A lock is seen while it is held, by its own process too, and looking takes nothing away."""
    path = tmp_path / "a.lock"
    assert not is_locked(path)
    lock = Lock(path)
    assert is_locked(path)
    assert is_locked(path)
    with pytest.raises(BlockingIOError, match="locked by another process"):
        Lock(path)
    path.unlink()
    assert not lock.stands
    path.write_text("of somebody else")
    assert not lock.stands
    assert not is_locked(path)
    lock.release()
    assert path.exists()
    lock = Lock(path)
    lock.release()
    assert not path.exists()
