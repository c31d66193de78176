"""The entry point of ``kratos`` and ``kratos-py``, and of ``python -m kratos.tools.cli``."""

from __future__ import annotations

import sys
from importlib.util import find_spec

__all__ = ["main"]


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    if find_spec("click") is None:
        sys.stderr.write('error: the command line is an extra\n  try: pip install "kratos-py[tools]"\n')
        sys.exit(1)
    from kratos.tools.cli.root import run  # noqa: PLC0415 - needs click

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
