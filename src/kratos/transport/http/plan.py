"""What one ``google.api.http`` rule says about one operation, compiled: what a server binds by and a client builds by.

Both sides read the same description, so what one writes the other reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kratos.codec.formtext import Writer, writer_of
from kratos.codec.formwalk import Form, Place, form_of
from kratos.codec.messages import Field, Message, shape
from kratos.operation import AnyOperation, Http
from kratos.pathtemplate import Template, Variable

__all__ = ["Bound", "Plan"]


@dataclass(frozen=True, slots=True)
class Bound:
    """A variable of the path and the field it stands for.

    Attributes:
        variable: The variable.
        name: The field path, dotted, as in the template.
        place: How text fills the field.
        write: How the field becomes text.
    """

    variable: Variable
    name: str
    place: Place
    write: Writer


class Plan:
    """One rule of one operation.

    Args:
        operation: The operation.
        http: The rule.

    Attributes:
        where: What names both, for error messages.
        template: The rule's path.
        variables: Its variables, in the order of the path.
        body: The field that is the body; None if it is the whole message, or if there is none.
        whole: Whether the body is the whole message.
        response: The field of the reply that is its body; None for all of it.
        form: The fields by their names in a query.

    Raises:
        ValueError: The rule is broken: a bad template, or a field that there is not, or that text cannot fill.
    """

    __slots__ = ("body", "form", "response", "template", "variables", "where", "whole")

    def __init__(self, operation: AnyOperation, http: Http) -> None:
        self.where = f"{http.method} {http.path} of {operation.name}"
        try:
            self.template = Template(http.path)
        except ValueError as wrong:
            raise ValueError(f"{operation.name}: {wrong}") from None
        self.form: Form = form_of(operation.request)
        self.variables = tuple(self._bound(operation.request, variable) for variable in self.template.variables)
        self.whole = http.body == "*"
        self.body = self._field(operation.request, http.body, "body")
        self.response = self._field(operation.reply, http.response_body, "response_body")

    def _bound(self, request: type[Message], variable: Variable) -> Bound:
        name = ".".join(variable.path)
        place = self.form.place(name) if _leads(request, variable.path) else None
        write = None if place is None else writer_of(place.field)
        if place is None or write is None or not place.single:
            raise ValueError(
                f"{self.where}: {name!r} is no field of {shape(request).name} that a path variable can be; "
                "it must be a single scalar or enum, or be one by its text"
            )
        return Bound(variable, name, place, write)

    def _field(self, message: type[Message], name: str, role: str) -> Field | None:
        if name in ("", "*"):
            return None
        field = shape(message).named.get(name)
        if field is None:
            raise ValueError(f"{self.where}: {role} names {name!r}, which {shape(message).name} does not have")
        return field


def _leads(request: type[Message], names: Sequence[str]) -> bool:
    """Tells whether names are those of fields, all the way: a key of a map or of a Struct is none."""
    current: type[Message] | None = request
    for name in names:
        field = None if current is None else shape(current).named.get(name)
        if field is None or not field.singular:
            return False
        current = field.message
    return True
