"""Generates ``kratos.wire``: the messages of google/api, google/rpc, errors and our options, once for everybody.

What drivers speak is there too, with its clients: no project's contract stands on it.

Run by the build hook, for wheels and editable installs alike; the result is never committed. It stands on what
``build-system.requires`` names, for the package itself is not installed yet.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from protobuf.wkt import FileDescriptorProto
from protovalidate import Violation

from kratos.tools.codegen.buf import Plugin, generate
from kratos.tools.codegen.protos import DRIVERS, MAPPED, VALIDATE, drivers, stage
from kratos.tools.codegen.prototext import source

__all__ = ["build"]


def build(out: Path) -> None:
    """Writes the package ``kratos.wire`` to ``out``, which it replaces.

    Raises:
        BufError: The protos do not compile.
        Failure: A tool is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        stage(root / "protos")
        rules = root / "protos" / VALIDATE
        rules.parent.mkdir(parents=True, exist_ok=True)
        rules.write_text(source(_rules()), encoding="utf-8")
        plugin = Plugin("protoc_gen_py:main", root / "wire")
        generate(root, ["protos"], [plugin], paths=[f"protos/{folder}" for folder in MAPPED])
        _generate_drivers(root)
        init = '"""Messages shared by every service, generated when the package is built."""\n'
        (root / "wire" / "__init__.py").write_text(init)
        shutil.copyfile(rules, root / "wire" / VALIDATE)
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(root / "wire", out)


def _generate_drivers(root: Path) -> None:
    """Adds messages and clients of what drivers speak."""
    for name, path in drivers():
        target = root / "drivers" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    out = root / "wire"
    # Not left to PYTHONPATH: pip takes off it what an editable installation has put on the path before.
    ours = Plugin("kratos.tools.codegen.plugin:main", out, ("line_length=120",), Path(__file__).parents[3])
    plugins = [Plugin("protoc_gen_py:main", out), ours]
    generate(root, ["drivers"], plugins, paths=[f"drivers/{folder}" for folder in DRIVERS])


def _rules() -> FileDescriptorProto:
    """Returns the descriptor of protovalidate's rules; its wheel has nothing else of them."""
    descriptor: FileDescriptorProto = type(Violation().proto).desc().file.proto
    return descriptor
