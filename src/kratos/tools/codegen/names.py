"""How names of a contract become Python names."""

from __future__ import annotations

import builtins
import re

from protobuf.plugin import escape_public_identifier, python_keywords

from kratos.errors import __all__ as error_names

__all__ = ["client_class", "constant", "error_class_name", "method", "service_class", "snake"]

# A new word starts at a capital after a small letter or digit (say|Hello), and at the last capital of an acronym that a
# word follows (HTTP|Info) unless that is a plural (URLs).
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z](?!s(?![a-z]))[a-z])")

_TAKEN = frozenset((*error_names, *dir(builtins), *python_keywords()))
"""What an error class must not be called: a module that has both would mean one and get the other.

So a new name in ``kratos.errors`` can rename a class of somebody's contract: it needs a new contract number.
"""


def snake(name: str) -> str:
    """Returns a name in snake_case.

    Example:
        >>> snake("SayHello"), snake("GetHTTPInfo"), snake("ListURLs"), snake("say_hello")
        ('say_hello', 'get_http_info', 'list_urls', 'say_hello')
    """
    return _WORD.sub("_", name).lower()


def method(rpc: str) -> str:
    """Returns the Python method of an RPC; what Python keeps for itself is escaped as protobuf-py does.

    Example:
        >>> method("SayHello"), method("Import"), method("_invoker")
        ('say_hello', 'import_', 'pb__invoker')
    """
    return escape_public_identifier(snake(rpc), python_keywords())


def constant(service: str, rpc: str) -> str:
    """Returns the constant of an RPC.

    Example:
        >>> constant("Greeter", "SayHello")
        'GREETER_SAY_HELLO'
    """
    return escape_public_identifier(f"{snake(service)}_{snake(rpc)}", frozenset()).upper()


def service_class(service: str) -> str:
    """Returns the base class of a service.

    Example:
        >>> service_class("Greeter"), service_class("GreeterService")
        ('GreeterService', 'GreeterService')
    """
    name = escape_public_identifier(service, frozenset())
    return name if name.endswith("Service") else f"{name}Service"


def client_class(service: str) -> str:
    """Returns the client class of a service.

    Example:
        >>> client_class("Greeter")
        'GreeterClient'
    """
    return f"{escape_public_identifier(service, frozenset())}Client"


def error_class_name(enum: str, value: str) -> str:
    """Returns the class of an enum value that has a code.

    Example:
        >>> error_class_name("ErrorReason", "ERROR_REASON_USER_NOT_FOUND"), error_class_name("E", "NOT_FOUND")
        ('UserNotFound', 'NotFoundError')
    """
    short = value.removeprefix(f"{snake(enum).upper()}_")
    name = _camel(short)
    if not name.isidentifier():  # 404, or nothing at all
        name = _camel(value)
    return f"{name}Error" if name in _TAKEN else escape_public_identifier(name, frozenset())


def _camel(name: str) -> str:
    # SYSTEM_ERROR and System_error are words; SystemError in one piece keeps its capitals.
    words = [word.capitalize() if word.isupper() else word[:1].upper() + word[1:] for word in name.split("_")]
    return "".join(words)
