"""Path templates of ``google.api.http`` as OpenAPI has them: plain variables, each of them one segment.

A variable that matches several segments is taken apart: ``/v1/{name=shelves/*}`` is ``/v1/shelves/{name_shelves}``,
because what fills a variable in OpenAPI cannot hold a slash. Only ``**`` has to stay what it is; a parameter that may
span segments says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["PathParameter", "PathTemplate"]

_PART = re.compile(r"\{(?P<name>[A-Za-z_][\w.]*)(?:=(?P<sub>[^{}]*))?\}|(?<=/)(?P<bare>\*\*?)(?=$|[/:])")
_PLAIN = re.compile(r"\W")


@dataclass(frozen=True, slots=True)
class PathParameter:
    """A variable of a path.

    Attributes:
        name: What it is called in the path.
        variable: The field that it fills, wholly or in part, by its dotted path; empty if it fills none.
        whole: It is all of the variable.
        pattern: The variable as in the contract, such as ``shelves/*``.
        many: It may span segments.
    """

    name: str
    variable: str = ""
    whole: bool = True
    pattern: str = "*"
    many: bool = False


class PathTemplate:
    """A path template, translated.

    Args:
        template: The template as in the proto.

    Attributes:
        text: The path for OpenAPI.
        parameters: Its variables in order.
        variables: The dotted paths of the fields it fills.
    """

    __slots__ = ("parameters", "text", "variables")

    def __init__(self, template: str) -> None:
        self.parameters: list[PathParameter] = []
        self.variables: list[str] = []
        self.text = _PART.sub(self._translated, template)

    @property
    def shape(self) -> str:
        """What two paths have in common that OpenAPI takes for the same one: all but the names of the variables."""
        return re.sub(r"\{[^{}]*\}", "{}", self.text)

    def renamed(self, names: list[str]) -> list[PathParameter]:
        """Returns the parameters under other names: those of a path of the same shape."""
        return [
            PathParameter(name, each.variable, each.whole, each.pattern, each.many)
            for name, each in zip(names, self.parameters, strict=True)
        ]

    def _translated(self, part: re.Match[str]) -> str:
        if part["bare"]:
            return self._add(f"segment_{len(self.parameters) + 1}", many=part["bare"] == "**")
        variable, pattern = part["name"], part["sub"] or "*"
        self.variables.append(variable)
        if pattern in ("*", "**"):
            return self._add(variable, variable, pattern=pattern, many=pattern == "**")
        segments: list[str] = []
        for segment in pattern.split("/"):
            if segment not in ("*", "**"):
                segments.append(segment)
                continue
            before = segments[-1] if segments and not segments[-1].startswith("{") else str(len(segments) + 1)
            name = f"{variable}_{_PLAIN.sub('_', before)}"
            segments.append(self._add(name, variable, whole=False, pattern=pattern, many=segment == "**"))
        return "/".join(segments)

    def _add(self, name: str, variable: str = "", *, whole: bool = True, pattern: str = "*", many: bool) -> str:
        taken = {each.name for each in self.parameters}
        unique, count = name, 2
        while unique in taken:
            unique, count = f"{name}_{count}", count + 1
        self.parameters.append(PathParameter(unique, variable, whole, pattern, many))
        return f"{{{unique}}}"
