"""Builds the Go peer, in the user's cache: its sources are ours, all else comes from Go's module proxy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from kratos.tools.codegen.buf import executable

__all__ = ["built"]

HERE = Path(__file__).parent / "go"
GENERATOR = "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11"


@cache
def built() -> tuple[Path, str] | None:
    """Returns the program and what it is made of; None where there is no Go."""
    if shutil.which("go") is None:
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kratos-py" / "bench"
    cache.mkdir(parents=True, exist_ok=True)
    kratos = next(line.split()[1] for line in (HERE / "go.mod").read_text().splitlines() if "kratos/v3" in line)
    with tempfile.TemporaryDirectory(dir=cache) as name:
        folder = Path(name) / "src"
        shutil.copytree(HERE, folder)
        said("go", "install", GENERATOR, cwd=folder, GOBIN=str(cache))
        plugin = {"local": str(cache / "protoc-gen-go"), "out": ".", "opt": ["module=bench.test/peer"]}
        template = {"version": "v2", "plugins": [plugin]}
        said(executable(), "generate", ".", "--template", json.dumps(template), cwd=folder)
        said("go", "build", "-trimpath", "-o", str(cache / "peer"), ".", cwd=folder)
    return cache / "peer", f"kratos (Go) {kratos}, {said('go', 'version', cwd=cache).split()[2]}"


def said(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own words
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=900, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
