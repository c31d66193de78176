"""The law: chains, bindings, selection, streamed requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.call import Call
from kratos.handler import Binding, Handler, Messages, Middleware, chain, only
from kratos.metadata import Metadata
from kratos.operation import AnyOperation, Unary

NAMES = ["/helloworld.v1.Greeter/SayHello", "/helloworld.v1.Greeter/Bye", "/shop.v1.Orders/Get", "/shop.v1.Orders/List"]
OPERATION = Unary(NAMES[0], list, list)


def mark(name: str) -> Middleware:
    """Returns a middleware that writes down when it is entered and left."""

    async def middleware(request: Any, call: Call, next: Handler) -> Any:
        request.append(f"{name} in")
        reply = await next(request, call)
        request.append(f"{name} out")
        return reply

    return middleware


class Bound:
    """Becomes what it is told, and writes down how often it was asked."""

    def __init__(self, result: Middleware | None) -> None:
        self.result = result
        self.asked: list[str] = []

    def bind(self, operation: AnyOperation) -> Middleware | None:
        self.asked.append(operation.name)
        return self.result

    async def __call__(self, request: Any, call: Call, next: Handler) -> Any:
        raise AssertionError("a binding is asked, not called")


async def handler(request: Any, call: Call) -> Any:
    """Answers with the diary so far."""
    request.append("handler")
    return request


def run(handle: Handler, operation: AnyOperation = OPERATION) -> list[str]:
    """Calls a handler with an empty diary and returns it."""
    call = Call(operation, kind="memory", side="server", headers=Metadata())

    async def go() -> list[str]:
        return list(await handle([], call))

    return asyncio.run(go())


@st.composite
def members(draw: st.DrawFn) -> list[Middleware]:
    """Some middleware: plain, bound to something, absent, selected, nested."""
    found: list[Middleware] = []
    for number in range(draw(st.integers(0, 4))):
        plain = mark(str(number))
        kinds = [plain, Bound(plain), Bound(None), only("*", plain), only("nothing", plain)]
        kinds.append(only("*", plain, only(NAMES[0], mark(f"{number}a")), mark(f"{number}b")))
        found.append(draw(st.sampled_from(kinds)))
    return found


def test_order() -> None:
    """Three middleware run 1-2-3 on the way in and 3-2-1 on the way out."""
    diary = run(chain([mark("1"), mark("2"), mark("3")], handler, OPERATION))
    assert diary == ["1 in", "2 in", "3 in", "handler", "3 out", "2 out", "1 out"]


@given(members(), members())
def test_chain_is_associative(first: list[Middleware], second: list[Middleware]) -> None:
    """A chain of two lists is a chain of the first around a chain of the second."""
    together = chain(first + second, handler, OPERATION)
    apart = chain(first, chain(second, handler, OPERATION), OPERATION)
    assert run(together) == run(apart)


def test_no_middleware_is_no_chain() -> None:
    """An empty chain is the handler itself, and so is one where nothing applies."""
    assert chain([], handler, OPERATION) is handler
    assert chain([Bound(None), only("/other.*", mark("1"))], handler, OPERATION) is handler


def test_bindings_are_asked_once() -> None:
    """A binding is asked at build time, once per operation, and never on a call."""
    binding = Bound(mark("1"))
    handle = chain([binding], handler, OPERATION)
    assert run(handle) == run(handle) == ["1 in", "handler", "1 out"]
    assert binding.asked == [NAMES[0]]
    assert isinstance(binding, Binding)
    assert not isinstance(mark("1"), Binding)


def test_middleware_may_answer_or_repeat() -> None:
    """A middleware may answer without going on, and may go on more than once."""

    async def answer(request: Any, call: Call, next: Handler) -> Any:
        return ["answered"]

    async def twice(request: Any, call: Call, next: Handler) -> Any:
        await next(request, call)
        return await next(request, call)

    assert run(chain([answer, mark("1")], handler, OPERATION)) == ["answered"]
    assert run(chain([twice, mark("1")], handler, OPERATION)) == ["1 in", "handler", "1 out"] * 2


RULES = {
    "exact": (NAMES[0], {0}),
    "exact without slash": (NAMES[0][1:], {0}),
    "prefix": ("/shop.v1.Orders/*", {2, 3}),
    "prefix without slash": ("helloworld.*", {0, 1}),
    "everything": ("*", {0, 1, 2, 3}),
    "no part": ("/shop.v1.Orders", set[int]()),
    "not a prefix without star": ("/shop.v1.Orders/G", set[int]()),
    "pattern": (re.compile(r"/[a-z]+\.v1\.\w+/(Get|Bye)"), {1, 2}),
    "pattern for the whole name": (re.compile(r"/shop"), set[int]()),
    "alternation that a leftmost match would miss": (re.compile(r"/shop\.v1\.Orders/(Li|List)"), {3}),
    "predicate": (lambda operation: operation.method == "List", {3}),
    "several": ([NAMES[0], re.compile(".*List"), lambda operation: operation.method == "Bye"], {0, 1, 3}),
    "none": ([], set[int]()),
}


@pytest.mark.parametrize(("where", "expected"), RULES.values(), ids=RULES)
def test_only(where: Any, expected: set[int]) -> None:
    """Middleware run where a rule holds, and nowhere else, in a chain and outside of one."""
    selected = only(where, mark("1"), mark("2"))
    for number, name in enumerate(NAMES):
        operation = Unary(name, list, list)
        inside = ["1 in", "2 in", "handler", "2 out", "1 out"] if number in expected else ["handler"]
        assert run(chain([selected], handler, operation), operation) == inside

        def alone(request: Any, call: Call) -> Any:
            return selected(request, call, handler)

        assert run(alone, operation) == inside


@given(st.sets(st.sampled_from(NAMES)))
def test_only_equals_its_predicate(names: set[str]) -> None:
    """``only`` over names, patterns or a predicate that say the same does the same."""
    forms: list[Any] = [
        sorted(names),
        [re.compile(re.escape(name)) for name in names],
        lambda operation: operation.name in names,
    ]
    for name in NAMES:
        operation = Unary(name, list, list)
        for form in forms:
            runs = run(chain([only(form, mark("1"))], handler, operation), operation) != ["handler"]
            assert runs is (name in names)


def test_longest_prefix_is_not_special() -> None:
    """Rules add up: nested selections run together, in the order they were given."""
    outer, inner = only("/shop.*", mark("shop")), only("/shop.v1.Orders/Get", mark("get"))
    operation = Unary(NAMES[2], list, list)
    diary = run(chain([inner, outer], handler, operation), operation)
    assert diary == ["get in", "shop in", "handler", "shop out", "get out"]


@pytest.mark.parametrize("where", [[1], [None], [["/a.B/C"]]])
def test_only_refuses(where: Any) -> None:
    """What is no rule is refused when the chain is written, not when it runs."""
    with pytest.raises(TypeError, match="only\\(\\) takes a name"):
        only(where, mark("1"))


async def numbers(read: list[int]) -> AsyncIterator[int]:
    """Yields 0 to 3 and writes down what was read."""
    for number in range(4):
        read.append(number)
        yield number


async def test_messages_are_read_once_and_in_order() -> None:
    """Messages pass through functions, async or not, one at a time; nothing is read ahead."""
    read: list[int] = []

    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    messages = Messages(numbers(read)).map(double).map(str)
    assert await anext(messages) == "0"
    assert read == [0]
    assert [message async for message in messages] == ["2", "4", "6"]
    assert [message async for message in messages] == []


async def test_mapped_messages_are_a_source() -> None:
    """Anything asynchronous that can be iterated is a source of messages, mapped messages too."""
    mapped = Messages(Messages(numbers([])).map(str))
    assert aiter(mapped) is mapped
    inner = mapped._iterator
    assert [message async for message in mapped] == ["0", "1", "2", "3"]
    assert aiter(inner) is inner


async def test_messages_let_failures_through() -> None:
    """A function's failure and a source's failure reach the reader."""

    async def broken() -> AsyncIterator[int]:
        yield 1
        raise LookupError("source")

    messages = Messages(broken()).map(lambda number: 1 // (number - 1))
    with pytest.raises(ZeroDivisionError):
        await anext(messages)
    with pytest.raises(LookupError, match="source"):
        await anext(messages)
