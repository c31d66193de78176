"""Schemathesis against the catalogue: what the document says and what the server does, judged by somebody else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from catalogue.process import running
from fixtures.gen.catalog.v1.catalog_kratos import BookService, ShelfService

from kratos.openapi import Info, document

pytestmark = pytest.mark.conformance

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 40


def test_document_and_server_agree(tmp_path: Path) -> None:
    """All checks of all phases pass, but for those that schemathesis.toml takes out with a reason."""
    told = tmp_path / "openapi.json"
    told.write_text(json.dumps(document([BookService, ShelfService], info=Info("Catalogue"), exact=True)))
    with running() as server:
        run = subprocess.run(
            [Path(sys.executable).with_name("st"), "--config-file", CONFIG, "run", told, "--url", server.url,
             "--max-examples", str(EXAMPLES), "--seed", "1"],
            check=False, capture_output=True, text=True, cwd=tmp_path, timeout=600,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr
        server.check()
    selected = re.search(r"Tested: (\d+)", run.stdout)
    assert selected is not None
    assert int(selected[1]) >= 30, run.stdout
