"""Projects with faults that are known: files called ``….planted``, so that no tool takes them for ours."""

from __future__ import annotations

from pathlib import Path

from kratos.tools.codegen.project import Project, generate

PLANTED = Path(__file__).parent / "planted"


def plant(name: str, folder: Path) -> Project:
    """Makes a project of the planted ones."""
    for source in (PLANTED / name).rglob("*.planted"):
        target = folder / source.relative_to(PLANTED / name).with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    return Project.load(folder)


def shop(folder: Path) -> Project:
    """Makes the project with code, whose generated code somebody has edited."""
    project = plant("shop", folder)
    generate(project)
    edited = folder / "shop/gen/shop/v1/shop_kratos.py"
    edited.write_text(f"{edited.read_text()}\n# edited\n")
    return project
