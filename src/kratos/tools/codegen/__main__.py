"""``python -m kratos.tools.codegen [PROJECT]`` generates a project's code; the command line will do the same."""

from __future__ import annotations

import sys
from pathlib import Path

from kratos.tools.codegen.project import Project, generate
from kratos.tools.failure import Failure


def main(arguments: list[str]) -> int:
    """Generates and says what has changed.

    Returns:
        0 if the code is up to date now, 1 if the protos or the project are at fault, 2 for a wrong command line.
    """
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        sys.stderr.write("usage: python -m kratos.tools.codegen [PROJECT]\n")
        return 2
    try:
        done = generate(Project.load(Path(arguments[0] if arguments else ".")))
    except Failure as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    sys.stderr.write(f"generated: {done}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
