"""The pytest plugin: runs ``async def`` tests and fixtures, so that a project needs pytest and nothing beside it.

Each test has an event loop of its own, shared with its async fixtures. Where another plugin already runs async tests
(pytest-asyncio, anyio's ``anyio_backend``), this one steps aside.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Collection, Generator
from typing import Any

import pytest

__all__: list[str] = []

_RUNNER = pytest.StashKey[asyncio.Runner]()
_CONTEXT = pytest.StashKey[contextvars.Context]()


def _run(item: pytest.Item, function: Callable[[], Any]) -> Any:
    """Awaits ``function()`` on the item's loop, in one context for the test and all its fixtures."""
    if _RUNNER not in item.stash:
        item.stash[_RUNNER] = asyncio.Runner()
        item.stash[_CONTEXT] = contextvars.copy_context()
    return item.stash[_RUNNER].run(function(), context=item.stash[_CONTEXT])


def _is_ours(config: pytest.Config, fixtures: Collection[str]) -> bool:
    return not config.pluginmanager.hasplugin("asyncio") and "anyio_backend" not in fixtures


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs an async test to its end."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj) or not _is_ours(pyfuncitem.config, pyfuncitem.fixturenames):
        return None
    names = pyfuncitem._fixtureinfo.argnames  # pytest has no public name for a test's own arguments
    _run(pyfuncitem, lambda: pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Sets up async fixtures on the loop of the test that asks for them."""
    function: Any = fixturedef.func
    is_async = inspect.isasyncgenfunction(function) or inspect.iscoroutinefunction(function)
    if not is_async or not _is_ours(request.config, request.fixturenames):
        return (yield)
    if fixturedef.scope != "function":
        raise pytest.UsageError(
            f"async fixture {fixturedef.argname!r} has scope {fixturedef.scope!r}: each test has an event loop of its "
            "own, so async fixtures need scope='function'"
        )
    # pytest declares the function final, and has no other place for running it elsewhere: each async plugin swaps it.
    vars(fixturedef)["func"] = _on_loop(request.node, function, request)
    try:
        return (yield)
    finally:
        vars(fixturedef)["func"] = function


def _on_loop(item: pytest.Item, function: Any, request: pytest.FixtureRequest) -> Callable[..., Any]:
    owner = getattr(function, "__self__", None)
    if owner is not None and isinstance(request.instance, type(owner)):
        # A fixture in a class belongs to the object that the test belongs to, each of which has one of its own.
        function = function.__func__.__get__(request.instance)

    def setup(**arguments: Any) -> Any:
        if inspect.iscoroutinefunction(function):
            return _run(item, lambda: function(**arguments))
        generator = function(**arguments)
        request.addfinalizer(lambda: _run(item, lambda: _finish(generator)))
        return _run(item, lambda: anext(generator))

    return setup


async def _finish(generator: Any) -> None:
    try:
        await anext(generator)
    except StopAsyncIteration:
        return
    await generator.aclose()
    raise RuntimeError("an async fixture must yield exactly once")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Closes the test's loop after its fixtures, also when one of them fails."""
    try:
        yield
    finally:
        runner = item.stash.get(_RUNNER, None)
        if runner is not None:
            runner.close()
            del item.stash[_RUNNER]
