"""Finds names of a contract that would become one name in Python; each problem names both culprits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from protobuf import DescEnum, DescFile, DescMessage, DescService
from protobuf.plugin import Module

from kratos.tools.codegen.names import client_class, constant, method, service_class
from kratos.tools.codegen.sources import Described, Place, Problems, Sources

__all__ = ["check_files", "check_services"]


@dataclass(frozen=True, slots=True)
class _Claim:
    """A declaration and the Python name that it takes."""

    name: str
    kind: str
    declared: Described

    def __str__(self) -> str:
        return f"{self.kind} {self.declared.name}"


def check_files(files: Iterable[DescFile], problems: Problems) -> None:
    """Notes files that would be written to one module."""
    first: dict[str, DescFile] = {}
    for file in files:
        module = Module.for_desc(file, "_kratos").path
        other = first.setdefault(module, file)
        if other is not file:
            problems.add(Place(file.name), f"this file and {other.name} both become {module[1:]}: rename one")


def check_services(file: DescFile, sources: Sources, problems: Problems) -> None:
    """Notes clashes of methods, constants and classes in one file."""
    for service in file.services:
        _unique((_Claim(method(rpc.name), "rpc", rpc) for rpc in service.methods), sources, problems)
    _unique((claim for service in file.services for claim in _constants(service)), sources, problems)
    _unique((*_messages(file), *_classes(file)), sources, problems)


def _constants(service: DescService) -> Iterable[_Claim]:
    # Two of one service are not told again: their methods clash as well.
    claims = [_Claim(constant(service.name, rpc.name), "rpc", rpc) for rpc in service.methods]
    return {claim.name: claim for claim in reversed(claims)}.values()


def _messages(file: DescFile) -> Iterator[_Claim]:
    """Yields what the messages module has, and what the services module imports."""
    used = [desc for service in file.services for rpc in service.methods for desc in (rpc.input, rpc.output)]
    imported: list[DescMessage | DescEnum] = [_outermost(desc) for desc in used]
    named: dict[str, DescMessage | DescEnum] = {}
    for desc in (*file.messages, *file.enums, *imported):
        named.setdefault(desc.name, desc)  # messages of one name from two packages get along: one has an alias
    for name, desc in named.items():
        yield _Claim(name, "enum" if isinstance(desc, DescEnum) else "message", desc)


def _outermost(message: DescMessage) -> DescMessage:
    return message if message.parent is None else _outermost(message.parent)


def _classes(file: DescFile) -> Iterator[_Claim]:
    for service in file.services:
        yield _Claim(service_class(service.name), "service", service)
        yield _Claim(client_class(service.name), "service", service)


def _unique(claims: Iterable[_Claim], sources: Sources, problems: Problems) -> None:
    first: dict[str, _Claim] = {}
    for claim in claims:
        other = first.setdefault(claim.name, claim)
        if other is not claim:
            problems.add(
                sources.place(claim.declared),
                f"{claim} and {other} ({sources.place(other.declared)}) both become {claim.name}: rename one",
            )
