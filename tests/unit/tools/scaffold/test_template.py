"""Templates: what is filled in, what is copied, and what a template may not do."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from kratos.tools.failure import Failure
from kratos.tools.scaffold.template import Template

from .conftest import Write

VARIABLES = {"name": "My-Shop", "package": "my_shop", "kratos": "1.2.3", "python": "3.11", "layout": "mine"}


def render(folder: Path, *more: Path) -> tuple[Path, list[str]]:
    into = folder.parent / "made"
    into.mkdir()
    template = Template("mine", (folder, *more))
    return into, template.render(template.files(), VARIABLES, into)


def failing(folder: Path) -> str:
    with pytest.raises(Failure) as failure:
        render(folder)
    return str(failure.value)


def test_filled_in(write: Write) -> None:
    """Files that end in .jinja are filled in and lose the suffix; paths are filled in too."""
    made, files = render(
        write(
            {
                "a.txt.jinja": "{{ name }} {{ package }} {{ kratos }} {{ python }} {{ layout }} {{ name | slug }}\n\n",
                "{{ package }}/{{ name }}.py": "{{ untouched }}",
                ".hidden/x.jinja": "{% if name %}\n  {{ '{{' }} kept\n  {% endif %}\nend",
            }
        )
    )
    assert files == [".hidden/x", "a.txt", "my_shop/My-Shop.py"]
    assert (made / "a.txt").read_text() == "My-Shop my_shop 1.2.3 3.11 mine my-shop\n\n"
    assert (made / "my_shop/My-Shop.py").read_text() == "{{ untouched }}"
    assert (made / ".hidden/x").read_text() == "  {{ kept\nend"


def test_nothing_is_escaped(write: Write) -> None:
    """It is text, not HTML, whatever a file is called."""
    made, _ = render(write({"a.html.jinja": "{{ '<&>' }}"}))
    assert (made / "a.html").read_text() == "<&>"


def test_copied(write: Write) -> None:
    """Other files are copied byte for byte, line ends and zeros included."""
    content = b"\x00\xff{{ name }}\r\n"
    made, files = render(write({"logo.png": content, "empty": b""}))
    assert files == ["empty", "logo.png"]
    assert (made / "logo.png").read_bytes() == content
    assert (made / "empty").read_bytes() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such bit")
def test_executable(write: Write) -> None:
    """What can be run can be run afterwards; nothing else of the mode is taken over."""
    folder = write({"run.sh.jinja": "x", "tool": "x", "plain": "x"})
    for name, mode in {"run.sh.jinja": 0o744, "tool": 0o555, "plain": 0o600}.items():
        (folder / name).chmod(mode)
    made, _ = render(folder)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()}
    assert {name: mode & 0o100 for name, mode in modes.items()} == {"run.sh": 0o100, "tool": 0o100, "plain": 0}
    assert all(mode & 0o600 == 0o600 for mode in modes.values())


def test_left_out(write: Write) -> None:
    """A repository's own folder and byte code are no part of a template."""
    _, files = render(write({"a": "", ".git/config": "", "b/.git": "", "c/__pycache__/c.pyc": ""}))
    assert files == ["a"]


def test_layers(write: Write, tmp_path: Path) -> None:
    """A file of a later folder takes the place of an earlier one."""
    second = tmp_path / "second"
    second.mkdir()
    (second / "a.jinja").write_text("second")
    made, files = render(write({"a": "first", "b": "first"}), second)
    assert files == ["a", "b"]
    assert (made / "a").read_text() == "second"
    assert (made / "b").read_text() == "first"


def test_includes(write: Write) -> None:
    """Files of a template may use each other."""
    made, _ = render(write({"a.jinja": "{% include 'parts/b.jinja' %}", "parts/b.jinja": "b of {{ name }}"}))
    assert (made / "a").read_text() == "b of My-Shop"


@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        ("one\n{{ nmae }}\n", ":2", "'nmae' is undefined"),
        ("one\ntwo\n{% if %}\n", ":3", ""),
        ("{{ name", ":1", ""),
        ("\n{{ 1 / 0 }}", ":2", "division by zero"),
        ("{% include 'nothing' %}", ":1", "no nothing in the template"),
        ("{% include '../secret' %}", ":1", "no ../secret in the template"),
        ("{{ ''.__class__.__mro__ }}", ":1", "unsafe"),
        (b"caf\xe9", "", "not UTF-8 at byte 3"),
    ],
)
def test_mistakes_have_a_place(write: Write, tmp_path: Path, content: str | bytes, place: str, said: str) -> None:
    """What is wrong with a template is told with file and line."""
    (tmp_path / "secret").write_text("secret")
    folder = write({"good": "", "sub/a.txt.jinja": content})
    message = failing(folder)
    assert message.startswith(f"{folder / 'sub' / 'a.txt.jinja'}{place}: ")
    assert said in message


def test_mistakes_in_included_files(write: Write) -> None:
    """The place is that of the mistake, not of who includes it."""
    folder = write({"a.jinja": "{% include 'b.jinja' %}", "b.jinja": "\n\n{{ oops }}"})
    assert failing(folder).startswith(f"{folder / 'b.jinja'}:3: ")


@pytest.mark.skipif(sys.platform == "win32", reason="such names cannot be had there")
@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("{{ '..' }}/x", ".."),
        ("{{ '.' }}/x", "."),
        ("{{ '' }}/x", ""),
        ("sub/.jinja", ""),
        ("{{ '.git' }}/config", ".git"),
        ("{{ '.GIT' }}.jinja", ".GIT"),
        ("{{ '%ca' | format(47) }}", "/a"),
        ("a{{ '%c' | format(92) }}b", "a\\b"),
        ("a{{ '%c' | format(0) }}b", "a\0b"),
        ("a{{ '%c' | format(10) }}b", "a\nb"),
    ],
)
def test_paths_stay_inside(write: Write, name: str, becomes: str) -> None:
    """A path that is filled in cannot leave the project, nor become the settings of a repository."""
    assert failing(write({name: ""})) == f"{write({}) / name}: {becomes!r} cannot be the name of a file"


def test_mistakes_in_paths(write: Write) -> None:
    """A path that cannot be filled in is told."""
    assert "'nmae' is undefined" in failing(write({"{{ nmae }}/x": ""}))


def test_two_of_one_name(write: Write) -> None:
    """Two files for one place are a mistake, not a surprise."""
    assert "are both to be a" in failing(write({"a": "", "a.jinja": ""}))


def test_empty(tmp_path: Path) -> None:
    """A folder with nothing in it is no template."""
    (tmp_path / "template").mkdir()
    assert "no files" in failing(tmp_path / "template")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links(write: Write, tmp_path: Path) -> None:
    """A link to a file of the template is that file; none leads anywhere else."""
    (tmp_path / "secret").write_text("secret")
    folder = write({"a": "content", "sub/b": ""})
    (folder / "inside").symlink_to("a")
    made, _ = render(folder)
    assert (made / "inside").read_text() == "content"
    assert not (made / "inside").is_symlink()
    for target in (tmp_path / "secret", tmp_path, Path("sub"), Path(), Path("nothing"), Path("../secret")):
        link = folder / "link"
        link.symlink_to(target)
        with pytest.raises(Failure, match="link"):
            Template.at(folder).files()
        link.unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(Failure, match="neither a file nor a folder"):
        Template.at(folder).files()


def test_unreadable(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that may not be read is told, not left out."""
    folder = write({"a": "", "locked/b": ""})
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(Failure, match=r"cannot read .*locked: Permission denied"):
        Template.at(folder).files()


def test_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template is called like its folder."""
    monkeypatch.chdir(tmp_path)
    assert Template.at(Path()).layout == tmp_path.name
    assert Template.at(Path(), layout="mine").layout == "mine"
