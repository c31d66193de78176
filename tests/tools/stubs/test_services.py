"""Drafts of services: new files satisfy the checkers, old ones keep every byte."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from kratos.tools.codegen.project import Project
from kratos.tools.failure import Failure
from kratos.tools.stubs.outline import implementation_name
from kratos.tools.stubs.services import default_folder, implement

from .conftest import METHODS, make

KINDS = "shop/v1/kinds.proto"
CACHE = Path(__file__).parents[2] / ".kratos" / "mypy"


def judge(root: Path, *paths: Path, length: int = 88) -> None:
    """Has formatter, linter and type checkers judge files."""
    environment = {**os.environ, "MYPYPATH": str(root / "src" if (root / "src").exists() else root)}
    names = [str(path.relative_to(root)) for path in paths]
    common = ["--isolated", "--no-cache", f"--config=line-length={length}"]
    rules = "--select=E,F,W,I,UP,B,ARG,RET,RUF,SIM,C4,PIE,TID,TRY,ASYNC"
    lint = ["check", *common, "--target-version=py311", rules]
    for command in (
        ["ruff", "format", "--diff", *common, *names],
        ["ruff", *lint, *names],
        [
            "mypy",
            "--strict",
            "--warn-unreachable",
            "--explicit-package-bases",
            "--config-file=",
            f"--cache-dir={CACHE}",
            *names,
        ],
        ["basedpyright", "--level=error", f"--pythonpath={sys.executable}", *names],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("length", "out"), [(88, "app/gen"), (120, "app/gen"), (70, "src/app/gen")])
def test_new_files(tmp_path: Path, length: int, out: str) -> None:
    """What is written anew is clean for formatter, linter and type checkers, whatever the line length."""
    project = make(tmp_path, out=out, line_length=length)
    folder = tmp_path / out.removesuffix("/gen")
    outcomes = [*implement(project, KINDS, folder), *implement(project, "shop/v1/names.proto", folder)]
    (tmp_path / "pyrightconfig.json").write_text(f'{{"typeCheckingMode": "strict", "extraPaths": ["{folder.parent}"]}}')
    judge(tmp_path, *(outcome.path for outcome in outcomes), length=length)
    assert all(outcome.created for outcome in outcomes)


SERVE = """
import asyncio
from app.kinds import Kinds
from app.gen.shop.v1.kinds_kratos import KindsClient
from app.gen.shop.v1.things_pb import Outer, Thing
from protobuf.wkt import Empty, Timestamp
from kratos.errors import Unimplemented
from kratos.testing import serve

async def refused(call):
    try:
        await call
    except Unimplemented:
        return
    raise AssertionError("answered")

async def replies(stream):
    async with stream as got:
        async for each in got:
            raise AssertionError(each)

async def chat(stream):
    async with stream as call:
        await call.done()
        async for each in call:
            raise AssertionError(each)

async def collect(stream):
    async with stream as call:
        await call.reply()

async def main():
    async with serve(Kinds()) as channel:
        client = KindsClient(channel)
        await refused(client.one(Thing()))
        await refused(replies(client.watch(Thing())))
        await refused(collect(client.collect()))
        await refused(chat(client.chat()))
        await refused(client.ping(Empty()))
        await refused(replies(client.ticks(Empty())))
        await refused(client.import_(Timestamp()))

asyncio.run(main())
"""


def test_drafts_answer(tmp_path: Path) -> None:
    """A draft serves: each kind of call is answered with UNIMPLEMENTED."""
    project = make(tmp_path)
    implement(project, KINDS, tmp_path / "app")
    done = subprocess.run([sys.executable, "-c", SERVE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_draft(generated: Project, folder: Path) -> None:
    """A draft has the exact types, the contract's comments, and absolute imports."""
    outcomes = implement(generated, KINDS, folder)
    assert [(each.path.name, each.name, each.created) for each in outcomes] == [
        ("kinds.py", "Kinds", True),
        ("foo.py", "Foo", True),
        ("thingy.py", "Thingy", True),
        ("thing.py", "ThingServicer", True),
    ]
    assert list(outcomes[0].added) == METHODS
    assert (folder / "kinds.py").read_text() == dedent('''\
        """The service ``shop.v1.Kinds``."""

        from collections.abc import AsyncIterator

        from kratos import Call, Messages
        from kratos.service import unimplemented
        from protobuf.wkt import Empty, Timestamp

        from app.gen.shop.v1.kinds_kratos import KindsService
        from app.gen.shop.v1.things_pb import Outer, Thing


        class Kinds(KindsService):
            """Every kind of call."""

            async def one(self, request: Thing, call: Call) -> Thing:
                """One request, one reply."""
                raise unimplemented(call.operation, request)

            async def watch(self, request: Thing, call: Call) -> AsyncIterator[Outer.Inner]:
                """Many replies.

                In order.
                """
                async for reply in super().watch(request, call):
                    yield reply

            async def collect(self, requests: Messages[Outer.Inner], call: Call) -> Thing:
                raise unimplemented(call.operation, requests)

            async def chat(self, requests: Messages[Thing], call: Call) -> AsyncIterator[Thing]:
                """Both."""
                async for reply in super().chat(requests, call):
                    yield reply

            async def ping(self, request: Empty, call: Call) -> Empty:
                raise unimplemented(call.operation, request)

            async def ticks(self, request: Empty, call: Call) -> AsyncIterator[Timestamp]:
                async for reply in super().ticks(request, call):
                    yield reply

            async def import_(self, request: Timestamp, call: Call) -> Empty:
                raise unimplemented(call.operation, request)
        ''')


def test_second_time(generated: Project, folder: Path) -> None:
    """A second run adds nothing and touches nothing."""
    implement(generated, KINDS, folder)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert [each.added for each in implement(generated, KINDS, folder)] == [()] * 4
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("helloworld", "Helloworld"),
        ("HELLOWORLD", "HELLOWORLD"),
        ("hello world", "HelloWorld"),
        ("helloWorld", "HelloWorld"),
        ("hello_world", "HelloWorld"),
        ("HelloWorldService", "HelloWorld"),
        ("Hello world service", "HelloWorld"),
        ("hello_world_service", "HelloWorld"),
        ("Service", "Service"),
    ],
)
def test_names(service: str, name: str) -> None:
    """Kratos' table."""
    assert implementation_name(service) == name


def test_names_of_classes(generated: Project, folder: Path) -> None:
    """Odd names become usual ones; a service without methods needs nobody."""
    outcomes = implement(generated, "shop/v1/names.proto", folder)
    assert [each.name for each in outcomes] == [
        "Helloworld", "HELLOSTARS", "HelloSky", "HelloMoon", "HelloSun", "HelloMars",
    ]  # fmt: skip


WRITTEN = """\
from __future__ import annotations

import logging

from kratos import App, Call

from app.gen.shop.v1.kinds_kratos import FooService as Base
from app.gen.shop.v1.things_pb import Thing


class Foo(Base):
    @traced
    async def do(self, request: Thing, call: Call) -> Thing:
        return request  # done


app = App(services=[Foo()])
"""


@pytest.mark.parametrize(
    "text",
    [
        WRITTEN,
        WRITTEN.replace("FooService as Base", "FooService").replace("Base", "FooService"),
        "import app.gen.shop.v1.kinds_kratos\nclass F(app.gen.shop.v1.kinds_kratos.FooService):\n do = None\n",
        "import app.gen.shop.v1.kinds_kratos as k\nclass F(k.FooService):\n do = None\n",
        "from app.gen.shop.v1 import kinds_kratos\nclass F(kinds_kratos.FooService):\n do: object = None\n",
        "from ...gen.shop.v1 import kinds_kratos as k\nclass F(k.FooService):\n  if 1:\n    def do(self): ...\n",
        "from ...gen.shop.v1.kinds_kratos import FooService\nclass F(Mixin, FooService):\n def do(self): ...\n",
        "def make():\n from app.gen.shop.v1.kinds_kratos import FooService as S\n class F(S):\n  def do(self): ...\n",
        "try:\n from app.gen.shop.v1.kinds_kratos import FooService\nfinally: pass\nclass F(FooService): do = 1\n",
    ],
)
def test_finds_implementations(generated: Project, folder: Path, text: str) -> None:
    """A class is found however its base is imported; what it has is left to it."""
    (folder / "mine.py").write_text(text)
    foo = next(each for each in implement(generated, KINDS, folder) if each.service == "shop.v1.FooService")
    assert (foo.path.name, foo.created, foo.added) == ("mine.py", False, ())
    assert (folder / "mine.py").read_text() == text


def test_other_bases(generated: Project, folder: Path) -> None:
    """A class of the same name from elsewhere is another one; its file is not touched."""
    (folder / "foo.py").write_text("class FooService: ...\nclass Foo(FooService): ...\n")
    foo = next(each for each in implement(generated, KINDS, folder) if each.service == "shop.v1.FooService")
    assert (foo.path.name, foo.created) == ("foo_service.py", True)


def test_no_name_left(generated: Project, folder: Path) -> None:
    """Where both names are taken nothing is written."""
    for name in ("foo.py", "foo_service.py"):
        (folder / name).write_text("x = 1\n")
    with pytest.raises(Failure, match=r"foo\.py and foo_service\.py are there"):
        implement(generated, KINDS, folder)
    assert {path.name for path in folder.iterdir()} == {"foo.py", "foo_service.py"}


def test_the_real_one(generated: Project, folder: Path) -> None:
    """Of several classes the one with most methods is completed: the others are doubles for tests."""
    head = "from app.gen.shop.v1.kinds_kratos import KindsService\n"
    (folder / "a.py").write_text(f"{head}class Fake(KindsService): ...\n")
    (folder / "b.py").write_text(f"{head}class Kinds(KindsService):\n    async def one(self, request, call): ...\n")
    kinds = implement(generated, KINDS, folder)[0]
    assert (kinds.path.name, kinds.name, list(kinds.added)) == ("b.py", "Kinds", METHODS[1:])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x = 1\nclass Foo(:\n", r"broken\.py:2: .*nothing was written"),
        (b"\xff\xfe\n", r"broken\.py:1: .*nothing was written"),
        (b"# coding: nonsense\n", r"broken\.py:1: .*nothing was written"),
        (b"x = 1\0\n", r"broken\.py:.*nothing was written"),
    ],
)
def test_broken_files(generated: Project, folder: Path, content: bytes, words: str) -> None:
    """A file that cannot be read stops everything, with its place."""
    (folder / "broken.py").write_bytes(content)
    with pytest.raises(Failure, match=words):
        implement(generated, KINDS, folder)
    assert [path.name for path in folder.iterdir()] == ["broken.py"]


def test_nothing_to_implement(generated: Project, folder: Path) -> None:
    """A proto without services, and a folder that is not there, are told."""
    with pytest.raises(Failure, match=r"things\.proto has no services"):
        implement(generated, "shop/v1/things.proto", folder)
    with pytest.raises(Failure, match="there is no folder") as failure:
        implement(generated, KINDS, folder / "none")
    assert failure.value.hint.startswith("mkdir -p ")


def test_folders(tmp_path: Path) -> None:
    """Services are in internal/service where there is one, else in the package; src is no package."""
    assert default_folder(Project(tmp_path, out="app/gen")) == tmp_path / "app"
    assert default_folder(Project(tmp_path, out="src/app/gen")) == tmp_path / "src" / "app"
    (tmp_path / "app" / "internal" / "service").mkdir(parents=True)
    assert default_folder(Project(tmp_path, out="app/gen")) == tmp_path / "app" / "internal" / "service"


def complete(generated: Project, folder: Path, text: str) -> str:
    (folder / "mine.py").write_bytes(text.encode())
    implement(generated, KINDS, folder)
    return (folder / "mine.py").read_bytes().decode()


def test_relative_imports(generated: Project, folder: Path) -> None:
    """What is added is imported as the file does: relatively here, into the statements that are there."""
    text = """\
        import logging

        from kratos import App

        from ...gen.shop.v1.kinds_kratos import FooService


        class Foo(FooService):
            pass


        app = App(services=[Foo()])
    """
    assert complete(generated, folder, dedent(text)) == dedent("""\
        import logging

        from kratos import App, Call
        from kratos.service import unimplemented

        from ...gen.shop.v1.kinds_kratos import FooService
        from ...gen.shop.v1.things_pb import Thing


        class Foo(FooService):
            pass

            async def do(self, request: Thing, call: Call) -> Thing:
                raise unimplemented(call.operation, request)


        app = App(services=[Foo()])
    """)


def test_names_that_are_taken(generated: Project, folder: Path) -> None:
    """A name that means something else already is left its meaning; a module that is imported serves."""
    text = """\
        from app.gen.shop.v1 import things_pb as pb
        from app.gen.shop.v1.kinds_kratos import FooService, ThingService


        class Call: ...


        class Foo(FooService): ...
    """
    done = complete(generated, folder, dedent(text))
    assert "from kratos import Call as Call_\n" in done
    assert (
        "class Foo(FooService):\n    ...\n\n    async def do(self, request: pb.Thing, call: Call_) -> pb.Thing:" in done
    )


def test_types_for_checkers_only(generated: Project, folder: Path) -> None:
    """Where annotations are not evaluated, imports for type checkers are good for them."""
    text = """\
        from __future__ import annotations

        from typing import TYPE_CHECKING

        from app.gen.shop.v1.kinds_kratos import FooService

        if TYPE_CHECKING:
            from kratos import Call

            from app.gen.shop.v1.things_pb import Thing


        class Foo(FooService):
            name = "foo"
    """
    done = complete(generated, folder, dedent(text))
    assert done.count("import Call") == done.count("import Thing") == 1
    assert "from kratos.service import unimplemented\n\nfrom app.gen" in done


def test_long_imports(generated: Project, folder: Path) -> None:
    """An import that gets too long is folded; one with comments is left alone and gets a neighbour."""
    text = """\
        from app.gen.shop.v1.kinds_kratos import FooService
        from app.gen.shop.v1.things_pb import Outer, SomethingThatIsVeryLongIndeed1234567890
        from kratos import (
            App,  # the app
            Handler
        )
        class Foo(FooService): pass"""
    done = complete(generated, folder, dedent(text))
    assert "things_pb import (\n    Outer,\n    SomethingThatIsVeryLongIndeed1234567890,\n    Thing,\n)\n" in done
    assert "    App,  # the app\n    Call,\n    Handler\n)\n" in done
    ast.parse(done)


def test_bytes(generated: Project, folder: Path) -> None:
    """Ends of lines, tabs, a byte-order mark and an encoding stay what they are."""
    text = (
        "# coding: latin-1\r\n# Gr\xfc\xdfe\r\nfrom app.gen.shop.v1.kinds_kratos import FooService\r\n\r\n"
        "class Foo(FooService):\r\n\t'''Gr\xfc\xdfe'''\r\n\t# the end\r\nlast = 1"
    )
    (folder / "mine.py").write_bytes(text.encode("latin-1"))
    marked = "\ufefffrom app.gen.shop.v1.kinds_kratos import ThingService\nclass T(ThingService): ..."
    (folder / "other.py").write_bytes(marked.encode())
    implement(generated, KINDS, folder)
    done = (folder / "mine.py").read_bytes().decode("latin-1")
    assert done.startswith("# coding: latin-1\r\n# Gr\xfc\xdfe\r\n")
    method = "\tasync def do(self, request: Thing, call: Call) -> Thing:\r\n\t\traise unimplemented("
    assert f"\t'''Gr\xfc\xdfe'''\r\n\t# the end\r\n\r\n{method}" in done
    assert done.endswith("\r\nlast = 1")
    assert "\n" not in done.replace("\r\n", "")
    other = (folder / "other.py").read_bytes().decode()
    assert other.startswith("\ufefffrom ")
    assert "class T(ThingService):\n    ...\n\n    async def do(" in other


def test_links_and_modes(generated: Project, folder: Path) -> None:
    """A file keeps its mode; a link stays a link."""
    real = folder / "real.txt"
    real.write_text("from app.gen.shop.v1.kinds_kratos import FooService\nclass Foo(FooService): ...\n")
    real.chmod(0o640)
    (folder / "mine.py").symlink_to(real)
    implement(generated, KINDS, folder)
    assert (folder / "mine.py").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "async def do" in real.read_text()
