"""Projects: their settings, and what a generation writes, keeps and removes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kratos.tools.codegen.buf import BufError
from kratos.tools.codegen.project import Project, ProjectError, generate
from kratos.tools.failure import Failure

from .conftest import MakeProject

GREETER = """\
    syntax = "proto3";
    package hello.v1;
    import "hello/v1/errors.proto";
    import "google/api/annotations.proto";
    message Hello { string name = 1; }
    service Greeter {
      rpc Greet(Hello) returns (Hello) { option (google.api.http) = { get: "/{name}" }; }
    }
"""
ERRORS = """\
    syntax = "proto3";
    package hello.v1;
    import "errors/errors.proto";
    enum Reason { REASON_UNSPECIFIED = 0; NOBODY = 1 [(errors.code) = 404]; }
"""
PROTOS = {"hello/v1/greeter.proto": GREETER, "hello/v1/errors.proto": ERRORS}


def listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_package(make_project: MakeProject) -> None:
    """The output is a typed package: messages, services, errors, and an ``__init__.py`` everywhere."""
    project = make_project(PROTOS, out="app/gen")
    done = generate(project)
    assert listing(project.root / "app" / "gen") == {
        "__init__.py", "py.typed", "hello/__init__.py", "hello/v1/__init__.py",
        "hello/v1/greeter_pb.py", "hello/v1/greeter_kratos.py", "hello/v1/errors_pb.py", "hello/v1/errors_errors.py",
    }  # fmt: skip
    assert len(done.written) == 7
    assert (done.removed, done.unchanged) == ((), 0)
    assert (project.root / ".kratos" / ".gitignore").read_text() == "*\n"
    assert not (project.root / "app" / "__init__.py").exists()


def test_second_time(make_project: MakeProject) -> None:
    """Generating again writes nothing: build tools and reloaders see no change."""
    project = make_project(PROTOS)
    generate(project)
    before = {path: path.stat().st_mtime_ns for path in (project.root / "gen").rglob("*")}
    done = generate(project)
    assert (done.written, done.removed, done.unchanged) == ((), (), 7)
    assert {path: path.stat().st_mtime_ns for path in (project.root / "gen").rglob("*")} == before


def test_changes(make_project: MakeProject) -> None:
    """Only what a changed proto yields is written."""
    project = make_project(PROTOS)
    generate(project)
    make_project({"hello/v1/errors.proto": ERRORS.replace("NOBODY", "NO_ONE")})
    assert {path.name for path in generate(project).written} == {"errors_pb.py", "errors_errors.py"}


def test_removals(make_project: MakeProject) -> None:
    """Code of a proto that is gone goes too, with its empty packages; files of others stay."""
    project = make_project({**PROTOS, "old/v1/old.proto": 'syntax = "proto3"; package old.v1; message Old {}'})
    generate(project)
    out = project.root / "gen"
    (out / "old" / "v1" / "__pycache__").mkdir()
    (out / "old" / "v1" / "__pycache__" / "old_pb.cpython-313.pyc").touch()
    foreign = {"notes.txt": "mine", "hello/v1/mine.py": "x = 1\n", "hello/v1/my_errors.py": "class MyError: ...\n"}
    for name, text in foreign.items():
        (out / name).write_text(text)
    (project.root / "api" / "old" / "v1" / "old.proto").unlink()
    done = generate(project)
    assert {path.name for path in done.removed} == {"old_pb.py", "__init__.py"}
    assert not (out / "old").exists()
    assert {name: (out / name).read_text() for name in foreign} == foreign


def test_own_packages_stay(make_project: MakeProject) -> None:
    """An ``__init__.py`` that somebody wrote is left as it is."""
    project = make_project(PROTOS)
    (project.root / "gen").mkdir()
    (project.root / "gen" / "__init__.py").write_text("VERSION = 1\n")
    generate(project)
    assert (project.root / "gen" / "__init__.py").read_text() == "VERSION = 1\n"


def test_files_in_the_way(make_project: MakeProject) -> None:
    """A hand-written file is never replaced, and then nothing else is written either."""
    project = make_project(PROTOS)
    mine = project.root / "gen" / "hello" / "v1" / "greeter_kratos.py"
    mine.parent.mkdir(parents=True)
    mine.write_text("x = 1\n")
    with pytest.raises(Failure, match=r"greeter_kratos\.py is in the way: it was not generated"):
        generate(project)
    assert listing(project.root / "gen") == {"hello/v1/greeter_kratos.py"}


def test_syntax_errors_have_places(make_project: MakeProject) -> None:
    """What buf finds comes with file, line and column, as seen from the project."""
    project = make_project({"a/v1/a.proto": 'syntax = "proto3";\npackage a.v1;\nmessage A { strin name = 1; }\n'})
    with pytest.raises(BufError) as failure:
        generate(project)
    (found,) = failure.value.findings
    assert (found.path, found.line, found.column) == ("api/a/v1/a.proto", 3, 13)
    assert "strin" in found.message


def test_clashes_have_places(make_project: MakeProject) -> None:
    """What our plugin finds comes in the same form, without buf's wrapping."""
    clash = GREETER.replace("service Greeter {", "service Greeter { rpc GREET(Hello) returns (Hello);")
    project = make_project({**PROTOS, "hello/v1/greeter.proto": clash})
    with pytest.raises(BufError) as failure:
        generate(project)
    (found,) = failure.value.findings
    assert (found.path, found.line) == ("api/hello/v1/greeter.proto", 7)
    assert found.message == "rpc Greet and rpc GREET (api/hello/v1/greeter.proto:6:19) both become greet: rename one"


def test_third_party_protos_of_their_own(make_project: MakeProject) -> None:
    """A project that keeps a copy of errors.proto, as Kratos projects do, keeps it."""
    copy = Path(__file__).parents[2] / "proto" / "errors" / "errors.proto"
    project = make_project({**PROTOS, "errors/errors.proto": copy.read_text()})
    generate(project)
    assert not (project.root / ".kratos" / "third_party" / "errors").exists()
    assert "class Nobody(NotFound)" in (project.root / "gen" / "hello" / "v1" / "errors_errors.py").read_text()


IMPORT_ALL = """
import importlib, pathlib, sys
root, *packages = sys.argv[1:]
sys.path.insert(0, root)
for package in packages:
    for path in sorted(pathlib.Path(root, *package.split(".")).rglob("*.py")):
        importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"))
first, second = (importlib.import_module(package + ".hello.v1.greeter_pb") for package in packages)
assert first.Hello is not second.Hello
assert first.Hello.from_binary(second.Hello(name="x").to_binary()).name == "x"
kratos = importlib.import_module(packages[0] + ".hello.v1.greeter_kratos")
assert kratos.GREETER_GREET.request is first.Hello
assert [error.__name__ for error in kratos.GreeterService.__errors__] == ["Nobody"]
"""


def test_imports_from_anywhere(make_project: MakeProject) -> None:
    """Generated packages import wherever they lie, two of them side by side in one process."""
    common = 'syntax = "proto3"; package {0}.v1; message Common {{ string {0} = 1; }}'
    protos = {**PROTOS, **{f"{side}/v1/common.proto": common.format(side) for side in ("left", "right")}}
    project = make_project(protos, out="a/b/gen")
    generate(project)
    generate(make_project({}, out="c/gen"))
    command = [sys.executable, "-P", "-W", "error", "-c", IMPORT_ALL, str(project.root), "a.b.gen", "c.gen"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def load(folder: Path, text: str, *, protos: bool = True) -> Project:
    (folder / "pyproject.toml").write_text(text)
    if protos:
        (folder / "api" / "v1").mkdir(parents=True)
        (folder / "api" / "v1" / "a.proto").touch()
    return Project.load(folder)


def test_settings(tmp_path: Path) -> None:
    """``[tool.kratos]`` says where things are; the line length is ruff's unless it says otherwise."""
    assert load(tmp_path, '[tool.kratos]\nout = "app/gen"') == Project(tmp_path, ("api",), "app/gen", 88)
    ruff = '[tool.ruff]\nline-length = 100\n[tool.kratos]\nprotos = ["api"]\nout = "gen"\n'
    assert load(tmp_path, ruff, protos=False) == Project(tmp_path, ("api",), "gen", 100)
    assert load(tmp_path, f"{ruff}line-length = 79", protos=False).line_length == 79


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.kratos", "is not TOML"),
        ("", r"has no \[tool\.kratos\] table"),
        ("[tool.kratos]", "does not say where to generate to"),
        ('[tool.kratos]\nout = "gen"\ncolour = "red"', "does not know colour; it knows app, line_length, out, protos"),
        ("[tool.kratos]\nout = 1", "out must be a folder, not 1"),
        ('[tool.kratos]\nout = "gen"\nprotos = "api"', "protos must be a list of folders"),
        ('[tool.kratos]\nout = "gen"\nprotos = []', "protos must be a list of folders"),
        ('[tool.kratos]\nout = "gen"\nline-length = "wide"', "line_length must be a number"),
        ('[tool.kratos]\nout = "../gen"', "must be a folder below"),
        ('[tool.kratos]\nout = "/gen"', "must be a folder below"),
        ('[tool.kratos]\nout = "."', "must be a folder below"),
        ('[tool.kratos]\nout = "my-app/gen"', "'my-app' is no Python name"),
        ('[tool.kratos]\nout = "class/gen"', "'class' is no Python name"),
    ],
)
def test_wrong_settings(tmp_path: Path, text: str, words: str) -> None:
    """A wrong setting is explained."""
    with pytest.raises(ProjectError, match=words):
        load(tmp_path, text)


def test_no_project(tmp_path: Path) -> None:
    """Without a pyproject.toml there is no project."""
    with pytest.raises(ProjectError, match="is missing"):
        Project.load(tmp_path)
