"""Findings as SARIF 2.1.0: what code hosts show beside the lines of a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.others import whose
from kratos.version import __version__

__all__ = ["document"]

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def document(findings: Sequence[Finding], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """Returns a log with one run.

    Args:
        findings: What was found; paths are relative to where code hosts look for them.
        rules: What is known of rules; those of others may be missing.
    """
    broken = sorted({each.rule for each in findings})
    index = {rule: at for at, rule in enumerate(broken)}
    driver = {
        "name": "kratos lint",
        "semanticVersion": __version__,
        "rules": [_rule(rule, rules.get(rule)) for rule in broken],
    }
    results = [_result(each, index) for each in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(id: str, rule: Rule | None) -> dict[str, Any]:
    if rule is None:
        return {"id": id, "shortDescription": {"text": f"{whose(id)}'s rule {id}"}}
    return {
        "id": id,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": f"{rule.summary} {rule.why}"},
        "help": {"text": rule.fix},
        "defaultConfiguration": {"level": rule.severity},
    }


def _result(finding: Finding, index: Mapping[str, int]) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(finding.path)}}
    if finding.line:
        place["region"] = {"startLine": finding.line, "startColumn": max(finding.column, 1)}
    return {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "level": finding.severity,
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": place}],
    }
