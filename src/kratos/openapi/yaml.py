"""A document as YAML. A module of its own: only who wants YAML loads the library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

__all__ = ["to_yaml"]


class _Dumper(yaml.SafeDumper):
    pass


def _text(_: yaml.SafeDumper, value: str) -> yaml.Node:
    return yaml.ScalarNode("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def to_yaml(document: Mapping[str, Any]) -> str:
    """Returns a document as YAML: texts of several lines as such, and no anchors."""
    alone = json.loads(json.dumps(document))  # What stands in two places would be written once, with an anchor.
    written: str = yaml.dump(alone, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return written
