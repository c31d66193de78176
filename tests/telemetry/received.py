"""What a receiver of OTLP has got, in the form of OTLP's JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Log", "Point", "Span", "facts_of", "logs_of", "points_of", "spans_of"]

Ids = Callable[[str], str]


@dataclass(frozen=True)
class Span:
    """A span; ids in hexadecimal digits, no parent is empty."""

    service: str
    trace: str
    id: str
    parent: str
    name: str
    kind: str
    failed: bool
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Log:
    """A record; a trace of none is empty."""

    service: str
    trace: str
    span: str
    severity: str
    text: str
    facts: Mapping[str, Any]
    flags: int = 0


@dataclass(frozen=True)
class Point:
    """A measurement."""

    service: str
    name: str
    facts: Mapping[str, Any]
    data: Mapping[str, Any]


_KINDS = {1: "internal", 2: "server", 3: "client", "SPAN_KIND_SERVER": "server", "SPAN_KIND_CLIENT": "client"}


def spans_of(batch: Mapping[str, Any], ids: Ids = str) -> Iterator[Span]:
    """Returns the spans of one export."""
    for service, resource in _resources(batch, "resourceSpans"):
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                yield Span(
                    service,
                    ids(span["traceId"]),
                    ids(span["spanId"]),
                    ids(span.get("parentSpanId", "")),
                    span["name"],
                    _KINDS.get(span["kind"], "internal"),
                    span.get("status", {}).get("code") in (2, "STATUS_CODE_ERROR"),
                    facts_of(span),
                )


def logs_of(batch: Mapping[str, Any], ids: Ids = str) -> Iterator[Log]:
    """Returns the records of one export."""
    for service, resource in _resources(batch, "resourceLogs"):
        for scope in resource.get("scopeLogs", ()):
            for record in scope.get("logRecords", ()):
                yield Log(
                    service,
                    ids(record.get("traceId", "")),
                    ids(record.get("spanId", "")),
                    record.get("severityText", ""),
                    record["body"]["stringValue"],
                    facts_of(record),
                    int(record.get("flags", 0)),
                )


def points_of(batch: Mapping[str, Any]) -> Iterator[Point]:
    """Returns the measurements of one export."""
    for service, resource in _resources(batch, "resourceMetrics"):
        for scope in resource.get("scopeMetrics", ()):
            for metric in scope.get("metrics", ()):
                data = metric.get("sum") or metric.get("gauge") or metric.get("histogram") or {}
                for point in data.get("dataPoints", ()):
                    yield Point(service, metric["name"], facts_of(point), point)


def _resources(batch: Mapping[str, Any], key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for resource in batch.get(key, ()):
        yield str(facts_of(resource["resource"]).get("service.name", "")), resource


def facts_of(thing: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the attributes of something."""
    return {each["key"]: next(iter(each["value"].values()), None) for each in thing.get("attributes", ())}
