"""Build hook: generates ``kratos.wire`` from the wheels that own the protos."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WireHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's builder type does not matter here
    """Makes the generated package part of wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Generates the package, unless this is a source distribution."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        sys.path.insert(0, str(root / "src"))
        try:  # the path is for buf's plugins as well, one of which is ours
            from kratos.tools.codegen.wire import build  # noqa: PLC0415 - only found on the path just added

            build(root / "src" / "kratos" / "wire")
        finally:
            sys.path.pop(0)
