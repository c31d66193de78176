"""Which operation somebody means."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kratos.tools.calling.loading import load
from kratos.tools.calling.operations import Known, complete, find, names
from kratos.tools.codegen.project import Project
from kratos.tools.failure import Failure

NAMES = [
    "/demo.v1.Greeter/SayHello",
    "/demo.v1.Greeter/Post",
    "/demo.v1.Talker/Post",
    "/demo.v2.Greeter/Wave",
    "/demo.v2.Greeter/Get_it",
    "/demo.v2.Greeter/GetIt",
    "/Bare/Go",
    "/demo.Bare/Go",
]
KNOWN = [Known(name, "gen.demo", "X") for name in NAMES]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("/demo.v1.Greeter/SayHello", NAMES[0]),
        ("demo.v1.Greeter/SayHello", NAMES[0]),
        ("demo.v1.Greeter.SayHello", NAMES[0]),
        ("Greeter/SayHello", NAMES[0]),
        ("Greeter.SayHello", NAMES[0]),
        ("SayHello", NAMES[0]),
        ("say_hello", NAMES[0]),
        ("Greeter/say_hello", NAMES[0]),
        ("v1.Greeter/Post", NAMES[1]),
        ("Talker/Post", NAMES[2]),
        ("GetIt", NAMES[5]),
        ("Get_it", NAMES[4]),
        ("Bare/Go", NAMES[6]),
        ("demo.Bare/Go", NAMES[7]),
    ],
)
def test_found(typed: str, meant: str) -> None:
    """A name, or the end of one."""
    assert find(KNOWN, typed).name == meant


def test_ambiguous() -> None:
    """What may be several is answered with them."""
    with pytest.raises(Failure) as failure:
        find(KNOWN, "Post")
    assert str(failure.value) == "Post may be any of these:\n  demo.v1.Greeter/Post\n  demo.v1.Talker/Post"
    assert failure.value.code == 2


@pytest.mark.parametrize("typed", ["SayHelo", "Greter/SayHello", "demo.v1.Greeter/SayHallo", "say_helo"])
def test_misspelt(typed: str) -> None:
    """What is not there is answered with the nearest."""
    with pytest.raises(Failure, match="the nearest are\n  demo.v1.Greeter/SayHello") as failure:
        find(KNOWN, typed)
    assert failure.value.code == 2


def test_unknown() -> None:
    """Without anything near, some of all are shown."""
    many = [Known(f"/a.B/M{at}", "a", "X") for at in range(30)]
    with pytest.raises(Failure) as failure:
        find(many, "xyzzy")
    assert len(str(failure.value).splitlines()) == 12
    assert str(failure.value).endswith("… and 20 more")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("Say", ["SayHello"]),
        ("Po", []),
        ("Greeter/P", ["Greeter/Post"]),
        ("Tal", ["Talker/Post"]),
        ("/demo.v2.Greeter/W", ["/demo.v2.Greeter/Wave"]),
        ("demo.B", ["demo.Bare/Go"]),
    ],
)
def test_completed(typed: str, offered: list[str]) -> None:
    """Completions are names that mean one operation."""
    assert complete(KNOWN, typed) == offered
    assert all(find(KNOWN, name) for name in offered)


def test_completed_from_nothing() -> None:
    """Every operation is offered with its service."""
    offered = complete(KNOWN, "")
    assert offered[:3] == ["Greeter/SayHello", "Greeter/Post", "Talker/Post"]
    assert {find(KNOWN, name).name for name in offered} == set(NAMES)


def test_read_without_importing(demo: Project) -> None:
    """The names are all there, and neither a runtime nor the project is loaded to know them."""
    known = names(demo)
    assert [each.short for each in known][:2] == ["Greeter/Box", "Greeter/Plain"]
    script = (
        "import sys; from pathlib import Path; from kratos.tools.codegen.project import Project; "
        f"from kratos.tools.calling.operations import names; assert names(Project.load(Path({str(demo.root)!r}))); "
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"asyncio", "protobuf", "grpc", "aiohttp", "kratos.operation", "callable_demo"} & {*done.stdout.split()}


def test_loaded(demo: Project) -> None:
    """The operation comes with the errors of its service."""
    operation, errors = load(demo, find(names(demo), "SayHello"))
    assert operation.name == "/demo.v1.Greeter/SayHello"
    assert errors["USER_NOT_FOUND"].__name__ == "UserNotFound"


def test_somebody_elses(tmp_path: Path) -> None:
    """A module of the same name from elsewhere is not taken for the project's."""
    with pytest.raises(Failure, match="another package has its name"):
        load(Project(tmp_path), Known("/a.B/C", "json.decoder", "X"))
