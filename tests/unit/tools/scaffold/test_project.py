"""Projects come to be as a whole, or not at all."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from kratos.tools.codegen.project import ProjectError
from kratos.tools.failure import FAILED, USAGE, Failure
from kratos.tools.scaffold.names import Names
from kratos.tools.scaffold.project import check, fill, make
from kratos.tools.scaffold.template import Template
from kratos.version import __version__

from .conftest import Write


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Names:
    """A project to make, in an empty folder."""
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    return Names.of("my-shop")


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_variables(names: Names, write: Write) -> None:
    """These are the variables that templates may use."""
    text = "{{ name }} {{ package }} {{ kratos }} {{ python }} {{ layout }}"
    made = make(names, Template.at(write({"a.jinja": text, "{{ package }}/b": ""})))
    assert (made.names, made.layout, made.files) == (names, "template", ("a", "my_shop/b"))
    assert (names.root / "a").read_text() == f"my-shop my_shop {__version__} 3.11 template"
    assert listing(Path()) == ["my-shop", "my-shop/a", "my-shop/my_shop", "my-shop/my_shop/b"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")
def test_modes(names: Names, write: Write) -> None:
    """Folders and files are as open as what the user makes by hand."""
    before = os.umask(0o027)
    try:
        make(names, Template.at(write({"a": ""})))
    finally:
        os.umask(before)
    assert stat.S_IMODE(names.root.stat().st_mode) == 0o750
    assert stat.S_IMODE((names.root / "a").stat().st_mode) == 0o640


def test_missing_parents(write: Write, names: Names) -> None:
    """Folders on the way are made."""
    make(Names.of("deep/down/shop"), Template.at(write({"a": ""})))
    assert listing(Path("deep")) == ["down", "down/shop", "down/shop/a"]


def test_an_empty_folder_is_used(names: Names, write: Write) -> None:
    """A folder that is there and empty stays the same folder: somebody may be in it."""
    names.root.mkdir()
    inode = names.root.stat().st_ino
    make(names, Template.at(write({"a": "", "sub/b": ""})))
    assert names.root.stat().st_ino == inode
    assert listing(names.root) == ["a", "sub", "sub/b"]


@pytest.mark.parametrize("there", ["my-shop/x", "my-shop/.git/config", "my-shop"])
def test_what_is_there_stays(names: Names, write: Write, there: str) -> None:
    """A folder with something in it is left alone, and so is a file."""
    path = Path(there)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    before = listing(Path())
    for act in (lambda: check(names), lambda: make(names, Template.at(write({"x": "other"})))):
        with pytest.raises(Failure, match="is not empty|is there already") as failure:
            act()
        assert failure.value.code == USAGE
    assert (listing(Path()), path.read_text()) == (before, "mine")


def test_a_dangling_link_stays(names: Names, write: Write) -> None:
    """A link that leads nowhere is somebody's too."""
    names.root.symlink_to("nowhere")
    with pytest.raises(Failure, match="is there already"):
        make(names, Template.at(write({"x": ""})))
    assert os.readlink(names.root) == "nowhere"


@pytest.mark.parametrize("place", ["my-shop", "deep/down/shop", "empty"])
@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("step", ["write", "move"])
def test_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, names: Names, write: Write, place: str, failure: type[BaseException], step: str
) -> None:
    """Whatever goes wrong, Ctrl-C included, everything is as it was."""
    Path("empty").mkdir()
    template = Template.at(write({"a": "", "b": "", "c": ""}))
    real = Path.write_bytes if step == "write" else os.rename
    # The last one fails: of three files to write, of three to move into a folder, of one folder to move.
    left = 1 if step == "move" and place != "empty" else 3

    def fail_at_last(source: Path, target: object) -> object:
        nonlocal left
        left -= 1
        if left == 0:
            raise failure
        return real(source, target)  # type: ignore[arg-type]  # what it is called with is what it takes

    home, name = (Path, "write_bytes") if step == "write" else (os, "rename")
    monkeypatch.setattr(home, name, fail_at_last)
    with pytest.raises((failure, Failure)):
        make(Names.of(place), template)
    assert left <= 0
    assert listing(names.root.parent) == ["empty"]


def test_unreadable(monkeypatch: pytest.MonkeyPatch, names: Names) -> None:
    """Of a folder that may not be read nobody knows whether it is empty."""
    names.root.mkdir()

    def iterdir(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(Failure, match=r"cannot make .*my-shop: Permission denied"):
        check(names)


def test_mistakes_of_the_template(names: Names, write: Write) -> None:
    """A template that is wrong makes nothing."""
    with pytest.raises(Failure, match="undefined"):
        make(names, Template.at(write({"a": "", "b.jinja": "{{ oops }}"})))
    assert listing(Path()) == []


def test_a_file_on_the_way(names: Names, write: Write) -> None:
    """What cannot be made is told in one line."""
    Path("deep").write_text("a file")
    with pytest.raises(Failure, match=r"cannot make .*shop: ") as failure:
        make(Names.of("deep/shop"), Template.at(write({"a": ""})))
    assert failure.value.code == FAILED
    assert Path("deep").read_text() == "a file"


def test_a_template_around_the_project(names: Names, write: Write) -> None:
    """A project may be made inside its template: it does not copy itself."""
    folder = write({"a": ""})
    made = make(Names.of(str(folder / "shop")), Template.at(folder))
    assert made.files == ("a",)


PYPROJECT = '[tool.kratos]\nprotos = ["api"]\nout = "{{ package }}/gen"\n[tool.kratos.scaffold]\nanything = "goes"\n'
PROTO = 'syntax = "proto3"; package a.v1; message A {}'


def test_generates(names: Names, write: Write) -> None:
    """The code of a project is generated, and counts as its files."""
    files = {"pyproject.toml.jinja": PYPROJECT, "api/a/v1/a.proto": PROTO}
    made = fill(make(names, Template.at(write(files))))
    assert "my_shop/gen/a/v1/a_pb.py" in made.files
    assert (names.root / "my_shop/gen/a/v1/a_pb.py").is_file()
    assert not [path for path in made.files if not (names.root / path).is_file()]


@pytest.mark.parametrize("content", [{"a": ""}, {"pyproject.toml": "[project]\nname = 'a'"}])
def test_nothing_to_generate(names: Names, write: Write, content: dict[str, str]) -> None:
    """A template need not be about kratos."""
    made = make(names, Template.at(write(content)))
    assert fill(made) == made


@pytest.mark.parametrize(
    "content",
    [
        {"pyproject.toml": "[tool.kratos"},
        {"pyproject.toml": "[tool.kratos]\nprotos = 1"},
        {"pyproject.toml.jinja": PYPROJECT, "api/a/v1/a.proto": PROTO + "}"},
    ],
)
def test_generation_fails(names: Names, write: Write, content: dict[str, str]) -> None:
    """A project that cannot be generated stays, and what is wrong is told."""
    made = make(names, Template.at(write(content)))
    with pytest.raises((ProjectError, Failure)):
        fill(made)
    assert (names.root / "pyproject.toml").is_file()
