"""Enums that become error classes, and where they stand: rules for ordinary enums do not hold for these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from protobuf import DescEnum, DescFile, DescMessage
from protobuf.wkt import FileDescriptorSet

from kratos.tools.codegen.options import Options
from kratos.tools.codegen.sources import Sources

__all__ = ["Span", "coded_enums"]


@dataclass(frozen=True, slots=True)
class Span:
    """What a declaration takes of a file; lines and columns start at 1, the end is not part of it."""

    path: str
    start: tuple[int, int]
    end: tuple[int, int]

    def __contains__(self, place: tuple[str, int, int]) -> bool:
        path, line, column = place
        return path == self.path and self.start <= (line, column) < self.end


def coded_enums(descriptors: bytes) -> list[Span]:
    """Returns where enums are that have a code, or whose values have.

    Args:
        descriptors: An encoded ``FileDescriptorSet`` with source information; paths are import paths.
    """
    known = FileDescriptorSet.from_binary(descriptors)
    registry = known.to_registry()
    files = [found for file in known.file if (found := registry.file(file.name)) is not None]
    options, sources = Options(files), Sources()
    return [Span(file.name, *sources.span(enum)) for file in files for enum in _enums(file) if _has_code(enum, options)]


def _enums(scope: DescFile | DescMessage) -> Iterator[DescEnum]:
    messages: Iterable[DescMessage]
    if isinstance(scope, DescFile):
        yield from scope.enums
        messages = scope.messages
    else:
        yield from scope.nested_enums
        messages = scope.nested_messages
    for message in messages:
        yield from _enums(message)


def _has_code(enum: DescEnum, options: Options) -> bool:
    if "errors.default_code" in options.of(enum.proto.options):
        return True
    return any("errors.code" in options.of(value.proto.options) for value in enum.values)
