"""Errors: the class tree, the two code tables, and what survives a hop."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos import errors
from kratos.errors import (
    GRPC_NAMES,
    BadRequest,
    ClientClosed,
    ClientError,
    Conflict,
    Error,
    Forbidden,
    GatewayTimeout,
    InternalServer,
    NotFound,
    PreconditionFailed,
    ServerError,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    Unimplemented,
    by_reason,
    error_class,
    grpc_code,
    http_code,
    restore,
)

CODES = st.integers(400, 599)
METADATA = st.dictionaries(st.text(), st.text(), max_size=4)


class UserNotFound(NotFound):
    """As the generator would write it."""

    reason = "USER_NOT_FOUND"


class OutOfStock(ClientError):
    """As the generator would write it for a code that has no class."""

    code = 422
    reason = "OUT_OF_STOCK"


KNOWN = by_reason([UserNotFound, OutOfStock])

TREE = [
    (BadRequest, ClientError, 400, "INVALID_ARGUMENT"),
    (Unauthorized, ClientError, 401, "UNAUTHENTICATED"),
    (Forbidden, ClientError, 403, "PERMISSION_DENIED"),
    (NotFound, ClientError, 404, "NOT_FOUND"),
    (Conflict, ClientError, 409, "ABORTED"),
    (PreconditionFailed, ClientError, 412, "FAILED_PRECONDITION"),
    (TooManyRequests, ClientError, 429, "RESOURCE_EXHAUSTED"),
    (ClientClosed, ClientError, 499, "CANCELLED"),
    (InternalServer, ServerError, 500, "INTERNAL"),
    (Unimplemented, ServerError, 501, "UNIMPLEMENTED"),
    (ServiceUnavailable, ServerError, 503, "UNAVAILABLE"),
    (GatewayTimeout, ServerError, 504, "DEADLINE_EXCEEDED"),
]


@pytest.mark.parametrize(("cls", "parent", "code", "grpc"), TREE)
def test_tree(cls: type[Error], parent: type[Error], code: int, grpc: str) -> None:
    """Each class has its code, its parent and its gRPC code, and is the class of its code."""
    error = cls("why")
    assert (error.code, error.status, GRPC_NAMES[error.grpc_code]) == (code, code, grpc)
    assert cls.__bases__ == (parent,)
    assert error_class(code) is cls


def test_tree_is_the_documented_one() -> None:
    """The tree in the module's docstring names every class with its code."""
    for cls, _, code, grpc in TREE:
        assert f"{cls.__name__:<22}{code}  {grpc}" in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("status", "grpc"),
    [
        (200, "OK"),
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (409, "ABORTED"),
        (412, "FAILED_PRECONDITION"),
        (429, "RESOURCE_EXHAUSTED"),
        (499, "CANCELLED"),
        (500, "INTERNAL"),
        (501, "UNIMPLEMENTED"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
        # Without a row, the family decides, where Kratos says UNKNOWN.
        (402, "INVALID_ARGUMENT"),
        (422, "INVALID_ARGUMENT"),
        (451, "INVALID_ARGUMENT"),
        (502, "INTERNAL"),
        (599, "INTERNAL"),
        (100000, "INTERNAL"),
    ],
)
def test_http_to_grpc(status: int, grpc: str) -> None:
    """Every row of the table from HTTP to gRPC, and codes without a row."""
    assert GRPC_NAMES[grpc_code(status)] == grpc


@pytest.mark.parametrize(
    ("grpc", "status"),
    [
        ("OK", 200),
        ("CANCELLED", 499),
        ("UNKNOWN", 500),
        ("INVALID_ARGUMENT", 400),
        ("DEADLINE_EXCEEDED", 504),
        ("NOT_FOUND", 404),
        ("ALREADY_EXISTS", 409),
        ("PERMISSION_DENIED", 403),
        ("RESOURCE_EXHAUSTED", 429),
        ("FAILED_PRECONDITION", 412),
        ("ABORTED", 409),
        ("OUT_OF_RANGE", 400),
        ("UNIMPLEMENTED", 501),
        ("INTERNAL", 500),
        ("UNAVAILABLE", 503),
        ("DATA_LOSS", 500),
        ("UNAUTHENTICATED", 401),
    ],
)
def test_grpc_to_http(grpc: str, status: int) -> None:
    """Every row of the table from gRPC to HTTP."""
    assert http_code(GRPC_NAMES.index(grpc)) == status


@pytest.mark.parametrize("code", [-1, 17, 10000])
def test_unknown_grpc_codes(code: int) -> None:
    """A gRPC code that nobody knows is 500."""
    assert http_code(code) == 500


@given(CODES)
def test_gRPC_keeps_the_family(code: int) -> None:
    """Through gRPC and back a 4xx stays a 4xx and a 5xx a 5xx, and a code with a row stays itself."""
    back = http_code(grpc_code(code))
    assert back // 100 == code // 100
    if code in errors.HTTP_TO_GRPC:
        assert back == code


@given(st.integers(-10, 100_000))
def test_status_is_writable(code: int) -> None:
    """Any code may live in memory; on the wire it is 400 to 599."""
    error = Error("odd", code=code)
    assert error.code == code
    assert error.status == (code if 400 <= code <= 599 else 500)
    assert error.grpc_code != 0


@given(CODES, st.text(), st.text(), METADATA)
def test_restore_keeps_everything(code: int, reason: str, message: str, metadata: dict[str, str]) -> None:
    """Code, reason, message and metadata survive restoring, known reason or not, and the class fits the code."""
    error = restore(code, reason, message, metadata, details=["d"], known=KNOWN)
    assert (error.code, error.reason, error.message, error.metadata) == (code, reason, message, metadata)
    assert error.details == ("d",)
    assert isinstance(error, ClientError if code < 500 else ServerError)


@pytest.mark.parametrize("grpc", range(1, 17))
def test_a_gRPC_code_of_its_own(grpc: int) -> None:
    """An error may name its gRPC code, and has the HTTP status that belongs to it."""
    error = Error("m", grpc_code=grpc)
    assert (error.grpc_code, error.code) == (grpc, http_code(grpc))
    assert copy.copy(error).grpc_code == grpc


@pytest.mark.parametrize(("code", "grpc", "expected"), [(409, 6, 6), (404, 6, 5), (500, 17, 13), (500, -1, 13)])
def test_a_gRPC_code_beside_another_status(code: int, grpc: int, expected: int) -> None:
    """One that is none, or does not belong to the status, does not count."""
    error = Error("m", code=code, grpc_code=grpc)
    assert (error.code, error.grpc_code) == (code, expected)


def test_plain() -> None:
    """An error is a gRPC status and nothing more if it names a code, and neither reason nor metadata."""
    assert Error("m", grpc_code=6).plain
    assert not Error("m", code=409).plain
    assert not Error("m", grpc_code=6, reason="R").plain
    assert not Error("m", grpc_code=6, metadata={"k": "v"}).plain
    assert not UserNotFound("m", grpc_code=5).plain


@given(CODES)
def test_restore_by_reason(code: int) -> None:
    """A known reason decides the class; the received code is kept even if the class has another."""
    error = restore(code, "USER_NOT_FOUND", known=KNOWN)
    assert type(error) is UserNotFound
    assert (error.code, UserNotFound.code) == (code, 404)


@given(st.integers(1, 16), st.sampled_from(["", "USER_NOT_FOUND"]))
def test_restore_keeps_the_grpc_code(grpc: int, reason: str) -> None:
    """An error that came over gRPC goes on with the code it came with, of which several have one HTTP status."""
    error = restore(http_code(grpc), reason, known=KNOWN, grpc=grpc)
    assert (error.code, error.grpc_code) == (http_code(grpc), grpc)
    assert pickle.loads(pickle.dumps(error)).grpc_code == grpc  # noqa: S301 - our own bytes
    assert copy.copy(error).grpc_code == grpc
    assert error.reason == reason


@pytest.mark.parametrize(
    ("code", "grpc", "expected"), [(422, 3, 3), (404, 13, 5), (500, 99, 13), (500, 0, 13), (500, -1, 13)]
)
def test_restore_with_a_grpc_code_of_another_status(code: int, grpc: int, expected: int) -> None:
    """A gRPC code that does not belong to the status, or is none, does not count."""
    assert restore(code, grpc=grpc).grpc_code == expected


def test_grpc_code_follows_the_status() -> None:
    """Who writes another code has that one's gRPC code."""
    error = restore(409, grpc=6)
    error.code = 404
    assert GRPC_NAMES[error.grpc_code] == "NOT_FOUND"


def test_restore_matches_reasons_verbatim() -> None:
    """Neither another case nor no reason at all is a match; then the code decides."""
    assert type(restore(404, "user_not_found", known=KNOWN)) is NotFound
    assert type(restore(404, known=by_reason([OutOfStock, BadRequest]))) is NotFound
    assert type(restore(422)) is ClientError
    assert type(restore(502)) is ServerError
    assert type(restore(200)) is ServerError


def test_first_of_two_with_one_reason_counts() -> None:
    """Classes given first win over later ones with the same reason, and the index is read-only."""

    class Other(BadRequest):
        reason = "USER_NOT_FOUND"

    known = by_reason([UserNotFound, Other])
    assert known == {"USER_NOT_FOUND": UserNotFound}
    with pytest.raises(TypeError):
        known["x"] = Other  # type: ignore[index]


def test_instances_override_the_class() -> None:
    """Code and reason may be given; an empty reason is a reason given."""
    error = UserNotFound("gone", code=410, reason="")
    assert (error.code, error.reason, UserNotFound.code, UserNotFound.reason) == (410, "", 404, "USER_NOT_FOUND")


def test_metadata_is_a_copy() -> None:
    """What the caller does to its dictionary afterwards is its own business, and errors share nothing."""
    facts = {"name": "kratos"}
    error = UserNotFound("who?", metadata=facts)
    facts["name"] = "other"
    assert error.metadata == {"name": "kratos"}
    assert Error().metadata is not Error().metadata


@pytest.mark.parametrize(
    ("error", "text", "representation"),
    [
        (Error(), "500", "Error('', code=500, reason='')"),
        (UserNotFound(), "404 USER_NOT_FOUND", "UserNotFound('', code=404, reason='USER_NOT_FOUND')"),
        (
            UserNotFound("who?", metadata={"name": "x"}),
            "404 USER_NOT_FOUND: who?",
            "UserNotFound('who?', code=404, reason='USER_NOT_FOUND', metadata={'name': 'x'})",
        ),
        (NotFound("who?"), "404: who?", "NotFound('who?', code=404, reason='')"),
    ],
)
def test_texts(error: Error, text: str, representation: str) -> None:
    """What logs and tracebacks print."""
    assert (str(error), repr(error)) == (text, representation)


@given(CODES, st.text(), st.text(), METADATA)
def test_copies_and_pickles(code: int, reason: str, message: str, metadata: dict[str, str]) -> None:
    """Copying and pickling keep class and facts, so errors cross process pools."""
    error = UserNotFound(message, code=code, reason=reason, metadata=metadata, details=("d",))
    pickled = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    for twin in (copy.copy(error), copy.deepcopy(error), pickled):
        assert type(twin) is UserNotFound
        assert vars(twin) == vars(error)
        assert twin.args == error.args


def test_except_by_class_and_cause() -> None:
    """Errors are caught by class, parent and base, and keep the exception that caused them."""
    cause = KeyError("name")
    for caught in (UserNotFound, NotFound, ClientError, Error):
        with pytest.raises(caught) as raised:
            raise UserNotFound("who?") from cause
        assert raised.value.__cause__ is cause
