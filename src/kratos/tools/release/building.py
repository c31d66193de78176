"""What is shipped: the wheel of a project, looked through, and its image."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from kratos.tools.codegen.project import Project, generate
from kratos.tools.failure import Failure

__all__ = ["Wheel", "build_image", "build_wheel", "builder"]

_BUILDERS: Final = ("docker", "podman", "nerdctl", "buildah")
_LAST_WORDS = 8


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that was built.

    Attributes:
        path: The file.
        name: The distribution, as its file has it.
        version: Its version.
        files: How many files are in it.
    """

    path: Path
    name: str
    version: str
    files: int


def build_wheel(project: Project, out: Path) -> Wheel:
    """Builds the wheel of a project.

    It is built aside, and put in its place when it has all that was generated: a build backend leaves out what git
    ignores, and such a wheel cannot be imported.

    Args:
        project: What to build.
        out: The folder of the wheel.

    Raises:
        BufError: The protos are wrong.
        Failure: Generated code is not what the protos say, nothing can build, or the wheel lacks something.
    """
    if generate(project, write=False):
        raise Failure("generated code is not what the protos say: nothing was built", hint="kratos generate")
    with tempfile.TemporaryDirectory(prefix="kratos-") as name:
        _ran(_frontend(project, Path(name)), project.root, "the wheel cannot be built")
        wheel = next(Path(name).glob("*.whl"), None)
        if wheel is None:
            raise Failure("the build backend has written no wheel")
        with ZipFile(wheel) as archive:
            inside = archive.namelist()
        _check(project, inside, wheel.name)
        out.mkdir(parents=True, exist_ok=True)
        target = out / wheel.name
        shutil.copyfile(wheel, target)
    distribution, version, *_ = wheel.name.split("-")
    return Wheel(target, distribution, version, len(inside))


def builder() -> str:
    """Returns what builds images here.

    Raises:
        Failure: Nothing does.
    """
    found = next((path for name in _BUILDERS if (path := shutil.which(name))), None)
    if found is None:
        raise Failure(f"nothing here builds images: {', '.join(_BUILDERS[:-1])} and {_BUILDERS[-1]} are not on PATH")
    return found


def build_image(project: Project, tag: str) -> None:
    """Builds the image of a project from its Dockerfile; what builds it talks to the terminal.

    Raises:
        Failure: There is no Dockerfile, nothing that builds images, or it fails.
    """
    if not (project.root / "Dockerfile").is_file():
        raise Failure(f"there is no Dockerfile in {project.root}", hint="kratos new shop makes one to start from")
    command = [builder(), "build", "--tag", tag, "."]
    done = subprocess.run(command, cwd=project.root, check=False)  # noqa: S603 - no shell; a tag is one argument
    if done.returncode != 0:
        raise Failure(f"{Path(command[0]).name} cannot build {tag}")


def _frontend(project: Project, out: Path) -> list[str]:
    """Returns the command that builds a wheel: pip's, else uv's."""
    if find_spec("pip") is not None:
        alone = [] if _isolated(project) else ["--no-build-isolation"]
        quiet = ["--quiet", "--disable-pip-version-check"]
        return [sys.executable, "-P", "-m", "pip", "wheel", *quiet, "--no-deps", *alone, "--wheel-dir", str(out), "."]
    uv = shutil.which("uv")
    if uv is None:
        raise Failure("nothing here builds wheels: neither pip nor uv is installed", hint="python -m ensurepip")
    return [uv, "build", "--quiet", "--wheel", "--out-dir", str(out), "."]


def _isolated(project: Project) -> bool:
    """Tells whether the build backend has to be fetched: one that is installed needs no network."""
    settings = tomllib.loads((project.root / "pyproject.toml").read_text(encoding="utf-8")).get("build-system", {})
    backend = str(settings.get("build-backend", "setuptools")).partition(":")[0].partition(".")[0]
    return "backend-path" not in settings and find_spec(backend) is None


def _check(project: Project, inside: Sequence[str], name: str) -> None:
    out = project.root / project.out
    package = project.out.removeprefix("src/")
    wanted = [f"{package}/{path.relative_to(out).as_posix()}" for path in sorted(out.rglob("*_pb.py"))]
    missing = [path for path in wanted if path not in inside]
    if missing:
        raise Failure(
            f"{name} lacks generated code, {missing[0]} for one: it could not be imported. Build backends leave out "
            "what git ignores, and packages that they are not told of",
            hint=f"git check-ignore -v {project.out}",
        )


def _ran(command: Sequence[str], cwd: Path, failed: str) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - our own command line
    if done.returncode != 0:
        words = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-_LAST_WORDS:]
        raise Failure("\n  ".join([f"{failed}:", *words]))
