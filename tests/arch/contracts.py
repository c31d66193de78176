"""Checks the import contracts of ``importlinter.toml`` on a source tree: ``python tests/arch/contracts.py [SRC]``.

import-linter refuses contracts about modules that do not exist. A house under construction has such rooms, so they are
left out first, and so are vendors that nobody imports yet.
"""

from __future__ import annotations

import json
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CONTRACTS = HERE / "importlinter.toml"

# Which lists of a contract name modules, and whether the contract means nothing without an entry there.
_NAMES = {
    "containers": True,
    "modules": True,
    "source_modules": True,
    "forbidden_modules": True,
    "protected_modules": True,
    "allowed_importers": False,
    "ancestors": True,
    "skip_descendants": False,
}


def standing(contract: Mapping[str, Any], existing: set[str]) -> dict[str, Any] | None:
    """Returns the contract without the modules that do not exist; None if nothing is left to check."""
    kept = dict(contract)
    for key, needed in _NAMES.items():
        if key in kept:
            kept[key] = [name for name in kept[key] if _exists(name, existing)]
            if needed and not kept[key]:
                return None
    return kept


def _exists(name: str, existing: set[str]) -> bool:
    if name.endswith(".*"):
        return any(module.startswith(name[:-1]) for module in existing)
    return name in existing


def _toml(options: Mapping[str, Any], contracts: list[dict[str, Any]]) -> str:
    lines = ["[tool.importlinter]", *(f"{key} = {json.dumps(value)}" for key, value in options.items())]
    for contract in contracts:
        lines += ["", "[[tool.importlinter.contracts]]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in contract.items()]
    return "\n".join(lines) + "\n"


def main(src: Path) -> int:
    """Prints import-linter's report; returns its exit code."""
    sys.path.insert(0, str(src))
    import grimp
    from importlinter.cli import lint_imports

    options = tomllib.loads(CONTRACTS.read_text())["tool"]["importlinter"]
    declared = options.pop("contracts")
    existing = set(grimp.build_graph("kratos", include_external_packages=True, cache_dir=None).modules)
    contracts = [kept for kept in (standing(contract, existing) for contract in declared) if kept]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "importlinter.toml"
        config.write_text(_toml(options, contracts))
        return lint_imports(config_filename=str(config), no_cache=True, no_logo=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parents[1] / "src").resolve()))
