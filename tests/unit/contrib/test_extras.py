"""A driver whose library is not there says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIBRARIES = {
    "fluentd": "msgpack",
    "msgpack": "msgpack",
    "protovalidate": "protovalidate",
    "redis": "redis",
    "sentry": "sentry_sdk",
    "structlog": "structlog",
}


@pytest.mark.parametrize(("driver", "library"), LIBRARIES.items())
def test_a_missing_library(driver: str, library: str) -> None:
    """The line to type is in the error; with the library no other driver's is loaded."""
    hide = f"import sys; sys.modules[{library!r}] = None; import kratos.contrib.{driver}"
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"kratos-py[{driver}]" in done.stderr.splitlines()[-1]
    show = f"import sys; import kratos.contrib.{driver}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True, timeout=60)
    assert not set(done.stdout.split()) & set(LIBRARIES.values()) - {library}
