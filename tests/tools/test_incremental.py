"""Generating again: what is noticed, what is repaired, what a crash leaves, and two at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kratos.tools.codegen import project as module
from kratos.tools.codegen.buf import BufError
from kratos.tools.codegen.lock import exclusive
from kratos.tools.codegen.project import Project, ProjectError, generate
from kratos.tools.codegen.stamp import Stamp
from kratos.tools.failure import Failure

from .conftest import MakeProject

A = 'syntax = "proto3";\npackage a.v1;\nmessage A { string name = 1; }\n'
B = 'syntax = "proto3";\npackage b.v1;\nmessage B {}\n'


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    made = make_project({"a/v1/a.proto": A, "b/v1/b.proto": B})
    generate(made)
    return made


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts how often buf is run."""
    runs: list[int] = []
    run = module.run_buf

    def counting(*args: object, **settings: object) -> None:
        runs.append(1)
        run(*args, **settings)  # type: ignore[arg-type]  # handed on as they are

    monkeypatch.setattr(module, "run_buf", counting)
    return runs


def module_of(project: Project) -> Path:
    return project.root / "gen" / "a" / "v1" / "a_pb.py"


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_nothing_to_do(project: Project, compiled: list[int]) -> None:
    """An unchanged project is not compiled again, unless one insists."""
    assert generate(project).unchanged == 7
    assert not compiled
    assert generate(project, force=True).unchanged == 7
    assert len(compiled) == 1


def test_times_do_not_matter(project: Project, compiled: list[int]) -> None:
    """Contents count: a checkout changes times and nothing else."""
    for path in project.root.rglob("*.*"):
        os.utime(path, (1, 1))
    assert not generate(project)
    assert not compiled


def edit(project: Project) -> None:
    module_of(project).write_text(module_of(project).read_text() + "# mine\n")


def delete(project: Project) -> None:
    module_of(project).unlink()


def delete_package(project: Project) -> None:
    (project.root / "gen" / "a" / "__init__.py").unlink()


def leave_over(project: Project) -> None:
    stale = project.root / "gen" / "old" / "old_pb.py"
    stale.parent.mkdir()
    stale.write_bytes(module_of(project).read_bytes())


def lose_marker(project: Project) -> None:
    (project.root / "gen" / "py.typed").unlink()


def spoil_imports(project: Project) -> None:
    (project.root / ".kratos" / "third_party" / "errors" / "errors.proto").write_text("")


def spoil_stamp(project: Project) -> None:
    (project.root / ".kratos" / "generated.json").write_text("{")


def unfinished(project: Project) -> None:
    delete(project)
    (project.root / "gen" / "a" / ".kratos-abc").write_text("half a fi")


HARM = [edit, delete, delete_package, leave_over, lose_marker, spoil_imports, spoil_stamp, unfinished]


@pytest.mark.parametrize("harm", HARM)
def test_repairs(project: Project, compiled: list[int], harm: object) -> None:
    """What somebody, or a crash, has done to the results is noticed and made good."""
    before = snapshot(project.root)
    assert callable(harm)
    harm(project)
    generate(project)
    assert len(compiled) == 1
    assert snapshot(project.root) == before
    generate(project)
    assert len(compiled) == 1


@pytest.mark.parametrize("text", [A.replace("name", "title"), A + "// more\n"])
def test_notices_protos(project: Project, compiled: list[int], text: str) -> None:
    """Any change of a proto counts."""
    (project.root / "api" / "a" / "v1" / "a.proto").write_text(text)
    generate(project)
    assert len(compiled) == 1


def test_notices_settings_and_protos(project: Project, compiled: list[int]) -> None:
    """So do settings, a new proto, and one that has another name now."""
    generate(Project(project.root, out="gen", line_length=100))
    (project.root / "api" / "b" / "v1" / "b.proto").rename(project.root / "api" / "b" / "v1" / "c.proto")
    assert {path.name for path in generate(project).written} == {"c_pb.py"}
    assert len(compiled) == 2


def test_own_packages(project: Project, compiled: list[int]) -> None:
    """A package of somebody's own may change as its owner likes; one that is gone is replaced."""
    init = project.root / "gen" / "__init__.py"
    init.write_text("VERSION = 1\n")
    generate(project)
    init.write_text("VERSION = 2\n")
    assert not generate(project)
    assert len(compiled) == 1
    init.unlink()
    assert [path.name for path in generate(project).written] == ["__init__.py"]


@pytest.mark.parametrize("at", range(1, 4))
def test_crash(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """A crash between two files leaves no stamp that vouches for what is not there."""
    project = make_project({"a/v1/a.proto": A, "b/v1/b.proto": B})
    generate(project)
    good = snapshot(project.root / "gen")
    (project.root / "api" / "a" / "v1" / "a.proto").write_text(A.replace("name", "title"))
    generate(project)
    want = snapshot(project.root / "gen")
    (project.root / "api" / "a" / "v1" / "a.proto").write_text(A)
    for name in ("a/v1/a_pb.py", "b/v1/b_pb.py"):
        (project.root / "gen" / name).unlink()
    replaced: list[object] = []
    real = os.replace

    def crashing(source: str, target: str) -> None:
        replaced.append(target)
        if len(replaced) == at:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", crashing)
    with pytest.raises(KeyboardInterrupt):
        generate(project)
    monkeypatch.setattr(os, "replace", real)
    generate(project)
    assert snapshot(project.root / "gen") == good
    assert good != want


def test_look_only(project: Project) -> None:
    """Looking writes nothing, finds what would change, and needs no earlier run."""
    (project.root / "api" / "a" / "v1" / "a.proto").write_text(A.replace("name", "title"))
    (project.root / "api" / "b" / "v1" / "b.proto").unlink()
    before = snapshot(project.root)
    (project.root / "api" / "b" / "v1" / "c.proto").write_text(B)
    before["api/b/v1/c.proto"] = B.encode()
    done = generate(project, write=False)
    assert {path.name for path in done.written} == {"a_pb.py", "c_pb.py"}
    assert {path.name for path in done.removed} == {"b_pb.py"}
    assert snapshot(project.root) == before


def test_look_at_a_new_project(make_project: MakeProject) -> None:
    """Not even the folder for what can be made anew appears."""
    project = make_project({"a/v1/a.proto": A})
    assert len(generate(project, write=False).written) == 4
    assert {path.name for path in project.root.iterdir()} == {"api"}


def test_no_protos(tmp_path: Path) -> None:
    """A project without protos is told how to begin."""
    with pytest.raises(ProjectError, match="there are no .proto files in") as failure:
        generate(Project(tmp_path, out="shop/gen"))
    assert failure.value.hint == "kratos proto add api/shop/v1/greeter.proto"


def test_cannot_write(make_project: MakeProject) -> None:
    """What the file system refuses is told with the path."""
    project = make_project({"a/v1/a.proto": A})
    (project.root / "gen").write_text("a file")
    with pytest.raises(Failure, match="cannot generate: .*gen"):
        generate(project)


def test_links(make_project: MakeProject, tmp_path: Path) -> None:
    """Protos behind links count, and a link that leads back is no trap."""
    project = make_project({"a/v1/a.proto": A})
    shared = tmp_path / "shared" / "v1"
    shared.mkdir(parents=True)
    (shared / "s.proto").write_text('syntax = "proto3"; package s.v1;')
    (project.root / "api" / "s").symlink_to(tmp_path / "shared", target_is_directory=True)
    generate(project)
    (shared / "s.proto").write_text('syntax = "proto3"; package s.v1; message S {}')
    assert {path.name for path in generate(project).written} == {"s_pb.py"}
    assert len(list(module.Workspace(project.root, ("api",)).files("api"))) == 2


def test_stamps(tmp_path: Path) -> None:
    """A stamp comes back as it was; what is none is none."""
    stamp = Stamp("x", {"a.py": "1"}, {})
    stamp.write(tmp_path / "stamp")
    assert Stamp.read(tmp_path / "stamp") == stamp
    (tmp_path / "stamp").write_text('{"other": 1}')
    assert Stamp.read(tmp_path / "stamp") is None
    assert Stamp.read(tmp_path / "none") is None


def test_lock(tmp_path: Path) -> None:
    """Whoever comes second waits."""
    order: list[str] = []
    inside = threading.Event()

    def second() -> None:
        inside.wait()
        with exclusive(tmp_path / "lock"):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with exclusive(tmp_path / "lock"):
        inside.set()
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


SCRIPT = """
import sys
from pathlib import Path
from kratos.tools.codegen.project import Project, generate
print(len(generate(Project(Path(sys.argv[1]), out="gen")).written))
"""


def test_two_at_once(make_project: MakeProject) -> None:
    """Of several processes one works, and the others find it done."""
    project = make_project({"a/v1/a.proto": A, "b/v1/b.proto": B})
    command = [sys.executable, "-c", SCRIPT, str(project.root)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sorted(int(process.communicate()[0]) for process in running) == [0, 0, 7]


IMPORTS = """\
syntax = "proto3";
package a.v1;
import "google/api/anotations.proto";
import "v1/a.proto"; import public 'nope/x.proto';
message X {}
"""


def test_unknown_imports(make_project: MakeProject) -> None:
    """An import that is not there is named, with the nearest that is, and where imports come from."""
    project = make_project({"a/v1/a.proto": A, "a/v1/x.proto": IMPORTS})
    with pytest.raises(BufError) as failure:
        generate(project)
    assert [str(found) for found in failure.value.findings] == [
        (
            'api/a/v1/x.proto:3:1: there is no "google/api/anotations.proto" to import; '
            'is "google/api/annotations.proto" meant?'
        ),
        'api/a/v1/x.proto:4:1: there is no "v1/a.proto" to import; is "a/v1/a.proto" meant?',
        'api/a/v1/x.proto:4:22: there is no "nope/x.proto" to import',
    ]
    assert failure.value.note.startswith("imports start in api; besides, there are buf/validate, errors, google/api, ")


def test_unknown_types(make_project: MakeProject) -> None:
    """A type that is not there has its place, in every file."""
    wrong = A.replace("string name", "Nope name")
    project = make_project({"a/v1/a.proto": wrong, "b/v1/b.proto": wrong.replace("a.v1", "b.v1")})
    with pytest.raises(BufError) as failure:
        generate(project)
    places = [(found.path, found.line, found.column) for found in failure.value.findings]
    assert places == [("api/a/v1/a.proto", 3, 13), ("api/b/v1/b.proto", 3, 13)]
    assert all("Nope" in found.message for found in failure.value.findings)
