"""``kratos build``."""

from __future__ import annotations

from pathlib import Path

import click

from kratos.tools.cli.generate import located
from kratos.tools.cli.places import counted, seen_from_here
from kratos.tools.cli.progress import progress
from kratos.tools.cli.terminal import show
from kratos.tools.release.building import build_image, build_wheel, builder

__all__ = ["command"]


@click.command
@click.argument("project", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The folder of the wheel; dist if not given.")
@click.option("--image", is_flag=True, help="Build the image too, by docker, podman, nerdctl or buildah.")
@click.option("--tag", default="", help="What the image is called; NAME:VERSION if not given.")
def command(project: Path | None, out: Path | None, image: bool, tag: str) -> None:
    """Build the project's wheel, and its image.

    PROJECT is a folder; the project around the current one if not given. Nothing is built while generated code differs
    from the protos, and no wheel is left that lacks some of it.
    """
    target = located(project)
    if image or tag:
        builder()  # before something is built for nothing
    with progress("building"):
        wheel = build_wheel(target, out or target.root / "dist")
    show(f"{seen_from_here(wheel.path)}: {counted(wheel.files, 'file')}")
    if image or tag:
        called = tag or f"{wheel.name.replace('_', '-').lower()}:{wheel.version.replace('+', '-')}"
        build_image(target, called)
        show(called)
