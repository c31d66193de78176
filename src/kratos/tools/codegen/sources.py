"""What descriptors know of the ``.proto`` text they were made from: places and comments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from protobuf import DescEnum, DescEnumValue, DescField, DescFile, DescMessage, DescMethod, DescService
from protobuf.wkt.google.protobuf.descriptor_pb import SourceCodeInfo

__all__ = ["Described", "Place", "Problems", "Sources"]

Described: TypeAlias = DescEnum | DescEnumValue | DescField | DescMessage | DescMethod | DescService
"""What has a place and a comment."""

# Field numbers in descriptor.proto; a path of them and list indices leads to a declaration.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_MESSAGE_FIELD, _MESSAGE_NESTED, _MESSAGE_ENUM = 2, 3, 4
_ENUM_VALUE = 2
_SERVICE_METHOD = 2


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a ``.proto`` file; line and column start at 1, 0 is unknown."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path


class Problems:
    """What is wrong with a contract, collected so that one run reports everything."""

    def __init__(self) -> None:
        self._found: list[tuple[Place, str]] = []

    def add(self, place: Place, message: str) -> None:
        """Notes one problem."""
        self._found.append((place, message))

    def __bool__(self) -> bool:
        return bool(self._found)

    def __str__(self) -> str:
        found = sorted(self._found, key=lambda problem: (problem[0].path, problem[0].line, problem[0].column))
        return "\n".join(f"{place}: {message}" for place, message in found)


class Sources:
    """Places and comments of declarations. A file is indexed when it is first asked for."""

    def __init__(self) -> None:
        self._files: dict[str, Mapping[tuple[int, ...], SourceCodeInfo.Location]] = {}

    def place(self, declared: Described) -> Place:
        """Returns where something is declared."""
        (line, column), _ = self.span(declared)
        return Place(_file(declared).name, line, column)

    def span(self, declared: Described) -> tuple[tuple[int, int], tuple[int, int]]:
        """Returns where a declaration begins and where it has ended, as line and column; zeros if that is unknown."""
        location = self._location(declared)
        if location is None:
            return (0, 0), (0, 0)
        line, column, *end = location.span  # three numbers if it ends in the line it starts in
        return (line + 1, column + 1), ((end[0] if len(end) == 2 else line) + 1, end[-1] + 1)

    def comment(self, declared: Described) -> str:
        """Returns the comment before a declaration, else the one behind it; empty without one."""
        location = self._location(declared)
        if location is None:
            return ""
        return location.leading_comments or location.trailing_comments

    def _location(self, declared: Described) -> SourceCodeInfo.Location | None:
        return self._locations(_file(declared)).get(_path(declared))

    def _locations(self, file: DescFile) -> Mapping[tuple[int, ...], SourceCodeInfo.Location]:
        index = self._files.get(file.name)
        if index is None:
            info = file.proto.source_code_info
            # The first location of a path is the whole declaration.
            found = reversed(info.location) if info else ()
            index = self._files[file.name] = {tuple(location.path): location for location in found}
        return index


def _file(declared: Described) -> DescFile:
    return declared.parent.file if isinstance(declared, DescEnumValue | DescField | DescMethod) else declared.file


def _path(declared: Described) -> tuple[int, ...]:
    # By name, not by identity or equality: names are unique in their scope, and the descriptor lists leave out
    # synthetic members that the indices count.
    scope: tuple[int, ...] = ()
    siblings: Iterable[_Named]
    match declared:
        case DescEnumValue(parent=enum):
            scope, number, siblings = _path(enum), _ENUM_VALUE, enum.proto.value
        case DescMethod(parent=service):
            scope, number, siblings = _path(service), _SERVICE_METHOD, service.proto.method
        case DescField(parent=message):
            scope, number, siblings = _path(message), _MESSAGE_FIELD, message.proto.field
        case DescService(file=file):
            number, siblings = _FILE_SERVICE, file.proto.service
        case DescEnum(parent=parent, file=file):
            scope = _path(parent) if parent else ()
            number = _MESSAGE_ENUM if parent else _FILE_ENUM
            siblings = parent.proto.enum_type if parent else file.proto.enum_type
        case DescMessage(parent=parent, file=file):
            scope = _path(parent) if parent else ()
            number = _MESSAGE_NESTED if parent else _FILE_MESSAGE
            siblings = parent.proto.nested_type if parent else file.proto.message_type
    return (*scope, number, _index(siblings, declared.name))


class _Named(Protocol):
    name: str


def _index(declarations: Iterable[_Named], name: str) -> int:
    return next(at for at, declared in enumerate(declarations) if declared.name == name)
