"""The façade of the room, where functions and modules share their names."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kratos import middleware

NAMES = [name for name in middleware.__all__ if name != "Violation"]


@pytest.mark.parametrize("first", ["", "import kratos.middleware.recovery", "from kratos.middleware import timeout"])
def test_the_function_wins(first: str) -> None:
    """A name is the function, whoever has imported which module before; the module is there by its full name."""
    lines = ["import sys", first]
    for name in NAMES:
        lines += [
            f"from kratos.middleware import {name}",
            f"from kratos.middleware.{name} import {name} as direct",
            f"from kratos.middleware import {name} as again",
            f"assert {name} is direct is again is sys.modules['kratos.middleware.{name}'].{name}",
        ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=60)


def test_names_are_loaded_when_used() -> None:
    """Importing the room loads no member of it, and one member no other."""
    script = (
        "import sys, kratos.middleware; from kratos.middleware import recovery;"
        "print(*sorted(name for name in sys.modules if name.startswith('kratos.middleware.')))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["kratos.middleware.recovery"]


def test_what_is_no_module_may_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may replace a name."""
    monkeypatch.setattr(middleware, "recovery", None)
    assert middleware.recovery is None
