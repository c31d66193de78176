"""``cached`` and ``invalidates``: methods whose values are cached, with the signatures that they had."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from kratos.cache.base import NOTHING
from kratos.cache.keys import parameters, reach
from kratos.cache.options import Options, Paging, Settings
from kratos.cache.plan import Plan
from kratos.cache.values import Invalidating, Values

__all__ = [
    "Cached", "CachedMethod", "Function", "Layer", "Method", "Writer", "cacheable", "cached", "function", "invalidates",
]  # fmt: skip

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

_NUMBERS: Final = itertools.count(1)


class Layer(Protocol):
    """What cached methods need of a ``Cache``."""

    def values(self, kind: Any, options: Options) -> Values[Any]:
        """Returns the values of one method."""
        ...


class Cached(Generic[P, R]):
    """A function whose values are cached. It is called as before, and knows three things more.

    ``invalidate`` and ``refresh`` take what the function takes: they are about the same values.
    """

    def __init__(self, plan: Plan, call: Callable[P, Awaitable[R]], layer: Layer, *, owner: object = None) -> None:
        try:
            plan.settle()
        except NameError as unknown:
            raise TypeError(
                f"{plan.where}: the type {unknown.name} is not known to its module: import it at the top, outside of "
                "`if TYPE_CHECKING`, for values are kept by it"
            ) from None
        self.plan = plan
        self.owner = owner
        self._call = call
        self._values = layer.values(plan.kind, plan.options)
        self._prefix = self._values.prefix
        self._peek = self._values.peek
        self._arguments = plan.arguments
        self._plain = plan.plain
        self._key = plan.key
        self._many = plan.shape == "many"
        self._paged = plan.paging is not None
        functools.update_wrapper(cast("Callable[..., Any]", self), plan.function)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Returns what the cache has, else what the function returns.

        Raises:
            CacheError: The cache does not answer, and ``on_cache_error="raise"``.
            Exception: Whatever the function raises.
        """
        arguments = args if not kwargs and len(args) == self._plain else self._arguments(args, kwargs)
        if self._many:
            return await self._all_of(arguments)
        key = self._key(arguments)
        found = self._peek(self._prefix + key)
        if found is NOTHING:
            found = await self._values.get(key, functools.partial(self._call, *args, **kwargs))
        if self._paged:
            found = self.plan.page(found, arguments)
        value: R = found
        return value

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Forgets what these arguments return; see ``Values.invalidate``."""
        await self._values.invalidate(*self.plan.keys(self._arguments(args, kwargs)))

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function in any case, keeps what it returns, and returns it."""
        arguments = self._arguments(args, kwargs)
        if self._many:
            return await self._all_of(arguments, refresh=True)
        found = await self._values.refresh(self._key(arguments), functools.partial(self._call, *args, **kwargs))
        value: R = self.plan.page(found, arguments)
        return value

    def invalidating(self, arguments: Mapping[str, Any]) -> Invalidating:
        """Does what ``invalidate`` does when a block ends; those arguments that are not in the key may be left out."""
        return self._values.invalidating(*self.plan.keys([arguments.get(name) for name in self.plan.names]))

    async def _all_of(self, arguments: Sequence[Any], *, refresh: bool = False) -> R:
        others = arguments[1:]
        positional, named = self.plan.spread(arguments)

        def load(wanted: list[Any]) -> Awaitable[Any]:
            return cast("Callable[..., Awaitable[Any]]", self._call)(wanted, *positional[1:], **named)

        ask = self._values.refresh_many if refresh else self._values.get_many
        found: R = cast("R", await ask(arguments[0], lambda each: self._key((each, *others)), load))
        return found


class CachedMethod(Generic[S, P, R]):
    """A method whose values are cached: of an object it is a ``Cached``, made when it is first used."""

    def __init__(self, plan: Plan, attribute: str) -> None:
        self.plan = plan
        self._attribute = attribute
        self.name = plan.function.__name__
        # What is bound stands in the object under a name of this method's own: under its plain name it would stand
        # in front of the method of a class below that overrides this one.
        self._place = f"{plan.where}, cached ({next(_NUMBERS)})"
        functools.update_wrapper(cast("Callable[..., Any]", self), plan.function)

    def __set_name__(self, _: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type, /) -> CachedMethod[S, P, R]: ...
    @overload
    def __get__(self, instance: S, owner: type | None = None, /) -> Cached[P, R]: ...
    def __get__(self, instance: S | None, owner: type | None = None, /) -> CachedMethod[S, P, R] | Cached[P, R]:
        if instance is None:
            return self
        try:
            kept: Cached[P, R] = instance.__dict__[self._place]
        except (KeyError, AttributeError):
            return self._bound(instance)
        # A copy of an object has what the object had.
        return kept if kept.owner is instance else self._bound(instance)

    def _bound(self, instance: S) -> Cached[P, R]:
        layer = getattr(instance, self._attribute, None)
        if layer is None:
            raise TypeError(
                f"{self.plan.where} finds no cache: set self.{self._attribute} = Cache(...) in __init__, or name the "
                'attribute that has one: @cached(..., attribute="...")'
            )
        call = self.plan.function.__get__(instance)
        bound: Cached[P, R] = Cached(self.plan, call, cast("Layer", layer), owner=instance)
        around = getattr(instance, "__dict__", None)
        if around is not None:
            around[self._place] = bound
        return bound


class Method(Protocol):
    """Makes a method a cached one."""

    def __call__(self, method: Callable[Concatenate[S, P], Awaitable[R]], /) -> CachedMethod[S, P, R]:
        """Returns the method, cached."""
        ...


class Function(Protocol):
    """Makes a function a cached one."""

    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Cached[P, R]:
        """Returns the function, cached."""
        ...


class Writer(Protocol):
    """Makes a method one that invalidates."""

    def __call__(
        self, method: Callable[Concatenate[S, P], Awaitable[R]], /
    ) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
        """Returns the method, which invalidates when it has ended."""
        ...


def cached(
    key: str | Callable[..., str] | None = None,
    /,
    *,
    ignore: tuple[str, ...] = (),
    paging: Paging | None = None,
    attribute: str = "cache",
    **settings: Unpack[Settings],
) -> Method:
    """Has an async method's values cached, in the ``Cache`` that its object has as ``cache``.

    What it returns decides how values are kept, what it takes decides on the key. None is "no such thing"; 0, an empty
    text or list are values. A method whose first parameter is a sequence of keys and that returns a dict by them is
    asked for those only that the cache does not have; in its key the name of that parameter stands for one of them.

    Args:
        key: The key, such as ``"user:{id}"`` or ``"order:{request.id}"``, or a function of the same arguments; the name
            of the method and all arguments if not given.
        ignore: Parameters that make no difference to the value, and so are not in the key.
        paging: The method returns the whole list, and callers get the page they ask for.
        attribute: Where the object has its cache.
        settings: ``ttl`` and further options; docs/cache.md explains them one by one.

    Raises:
        TypeError: It cannot be cached: the message says why, and what to do.
        ValueError: An option is out of range, or the key is not what it can be.

    Example:
        ``@cached("user:{id}", ttl=60, null_ttl=5)`` in front of ``async def user(self, id: int) -> User | None``
    """

    def make(method: Callable[Concatenate[S, P], Awaitable[R]], /) -> CachedMethod[S, P, R]:
        plan = Plan(method, key, method=True, ignore=ignore, paging=paging, settings=settings)
        return CachedMethod(plan, attribute)

    return make


def cacheable(
    key: str | Callable[..., str] | None = None,
    /,
    *,
    ignore: tuple[str, ...] = (),
    paging: Paging | None = None,
    **settings: Unpack[Settings],
) -> Callable[[F], F]:
    """Marks an async method of a Protocol: ``kratos cache`` writes the class that caches what it returns.

    The method stays what it is; a mistake is told when the module is imported.

    Args:
        key: As ``cached`` has it.
        ignore: As ``cached`` has it.
        paging: As ``cached`` has it.
        settings: As ``cached`` has them.

    Raises:
        TypeError: It cannot be cached: the message says why, and what to do.
        ValueError: An option is out of range, or the key is not what it can be.
    """

    def mark(method: F) -> F:
        Plan(method, key, method=True, ignore=ignore, paging=paging, settings=settings)
        return method

    return mark


def function(
    layer: Layer,
    key: str | Callable[..., str] | None,
    *,
    ignore: tuple[str, ...],
    paging: Paging | None,
    settings: Settings,
) -> Function:
    """Does for functions what ``cached`` does for methods; ``Cache.cached`` calls it."""

    def make(function: Callable[P, Awaitable[R]], /) -> Cached[P, R]:
        plan = Plan(function, key, method=False, ignore=ignore, paging=paging, settings=settings)
        return Cached(plan, function, layer)

    return make


def invalidates(target: str | CachedMethod[Any, Any, Any], /, **arguments: str) -> Writer:
    """Has a cached method forget what another one, which writes, has changed; whether that fails or not.

    Args:
        target: The cached method of the same class, or its name.
        arguments: What its parameters are, as parameters of the method that writes or fields of these:
            ``id="user.id"``. Those that are called alike need not be given.

    Raises:
        TypeError: A parameter is left open, or is none.

    Example:
        ``@invalidates("user", id="user.id")`` in front of ``async def save(self, user: User) -> None``
    """

    def make(
        method: Callable[Concatenate[S, P], Awaitable[R]], /
    ) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
        writer = _Writer(method, target, arguments)

        @functools.wraps(method)
        async def write(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
            async with writer.prepare(self, args, kwargs):
                return await method(self, *args, **kwargs)

        return write

    return make


class _Writer:
    """What a method that writes makes another one forget."""

    def __init__(
        self, method: Callable[..., Any], target: str | CachedMethod[Any, Any, Any], arguments: Mapping[str, str]
    ) -> None:
        self._where = f"invalidates() of {method.__qualname__}"
        self._target = target
        found = parameters(method, method=True, where=self._where)
        self._signature = inspect.Signature(found)
        self._names = [each.name for each in found]
        self._paths = {name: tuple(path.split(".")) for name, path in arguments.items()}
        for name, (root, *_) in self._paths.items():
            if root not in self._names:
                raise TypeError(f"{self._where}: {name}={root!r} is no parameter: there are {', '.join(self._names)}")
        if isinstance(target, CachedMethod):
            self._check(target.plan)

    def prepare(self, owner: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Invalidating:
        """Returns the block for the method; arguments may be others when it has ended."""
        target = self._target if isinstance(self._target, str) else self._target.name
        cached = getattr(owner, target, None)
        if not isinstance(cached, Cached):
            raise TypeError(f"{self._where}: {type(owner).__name__} has no cached method {target!r}")
        self._check(cached.plan)
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        values = dict(bound.arguments)
        values |= {name: reach(bound.arguments[root], rest) for name, (root, *rest) in self._paths.items()}
        return cached.invalidating(values)

    def _check(self, plan: Plan) -> None:
        for name in self._paths:
            if name not in plan.names:
                raise TypeError(
                    f"{self._where}: {plan.where} has no parameter {name!r}: it has {', '.join(plan.names)}"
                )
        for name in plan.in_key:
            if name not in self._paths and name not in self._names:
                raise TypeError(
                    f'{self._where}: what is {name!r} of {plan.where}? Say {name}="..." with one of '
                    f"{', '.join(self._names)}, or a field of it"
                )
