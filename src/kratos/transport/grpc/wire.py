"""How the messages of a call are written: protobuf's binary form, or JSON for clients that write JSON.

Clients say so by the content type ``application/grpc+json``, which neither engine shows us. It need not be shown: a
JSON object begins with ``{``, in the binary form the start of a group of number 15, which hardly any message has. So
what begins like one is JSON if it is JSON, however well it may be made to be readable in the binary form too, and
otherwise in the binary form if it is readable as that.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final

from kratos.call import Call
from kratos.codec.base import Codec
from kratos.codec.bulk import read
from kratos.codec.json import JsonCodec
from kratos.codec.proto import ProtoCodec
from kratos.errors import BadRequest
from kratos.handler import conceal
from kratos.operation import AnyOperation

__all__ = ["BINARY", "Wire"]

BINARY: Final = ProtoCodec()
"""The usual form."""
_JSON: Final = JsonCodec()


class Wire:
    """The messages of one call, at the server; replies go back in the form of the last request that came in.

    Args:
        operation: What is called.
    """

    __slots__ = ("_codec", "_operation")

    def __init__(self, operation: AnyOperation) -> None:
        self._operation = operation
        self._codec: Codec = BINARY

    def read(self, data: bytes) -> Any:
        """Returns a request message.

        Raises:
            BadRequest: It is not readable.
        """
        if data[:1] == b"{" and hasattr(self._operation.request, "from_binary"):  # google's have no JSON of ours
            return self._read_object(data)
        self._codec = BINARY
        return read(BINARY, data, self._operation.request)

    def _read_object(self, data: bytes) -> Any:
        """Returns what begins like a JSON object."""
        message = self._operation.request
        if not _is_json(data):
            with suppress(BadRequest):
                request = read(BINARY, data, message)
                self._codec = BINARY
                return request
        self._codec = _JSON
        return read(_JSON, data, message)

    def write(self, reply: Any) -> bytes:
        """Returns a reply as bytes.

        Raises:
            TypeError: It is no message of the operation's type.
            ValueError: A field holds what its type does not allow.
        """
        # Bytes of another message would often be readable as this one.
        expected = self._operation.reply
        if not isinstance(reply, expected):
            raise TypeError(f"{self._operation.name} answers with {expected.__name__}, not {type(reply).__name__}")
        return self._codec.encode(reply)

    def answer(self, reply: Any, call: Call) -> bytes:
        """Returns the one reply of a call as bytes.

        Raises:
            Error: It cannot be written; what a client may know of that.
        """
        try:
            return self.write(reply)
        except Exception as failure:
            raise conceal(failure, call) from failure


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except RecursionError:
        return True  # so deep it comes with many brackets
    except ValueError:
        return False
    return True
