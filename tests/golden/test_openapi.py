"""The document of the greeter, byte for byte. ``KRATOS_GOLDEN=write pytest tests/golden`` renews it."""

from __future__ import annotations

import os
from pathlib import Path

from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService
from kratos.openapi import Info, document, to_json, to_yaml

GOLDEN = Path(__file__).parent / "openapi"


def test_document() -> None:
    """What was reviewed is what is written, as JSON and as YAML."""
    found = document([GreeterService], info=Info("Greeter", "1.0", "Greets."), servers=["/"])
    for name, text in (("greeter.json", to_json(found)), ("greeter.yaml", to_yaml(found))):
        if os.environ.get("KRATOS_GOLDEN") == "write":
            (GOLDEN / name).write_text(text, encoding="utf-8", newline="\n")
        assert (GOLDEN / name).read_text(encoding="utf-8") == text
