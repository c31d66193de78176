"""What a cached function takes and returns, and the keys that follow from it; worked out once."""

from __future__ import annotations

import collections.abc
import contextlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from kratos.cache.keys import Key, fields, parameters, template
from kratos.cache.options import Options, Paging, Settings

__all__ = ["Plan"]

_SEVERAL: Final = (
    list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection,
    collections.abc.Set,
)  # fmt: skip
_MAPS: Final = (dict, collections.abc.Mapping)


class Plan:
    """How one function is cached.

    Args:
        function: The function.
        key: What the key is, or a function that makes it.
        method: Whether its first parameter is ``self``.
        ignore: Parameters that are not in the key.
        paging: How pages are cut, if it returns some.
        settings: The options.

    Raises:
        TypeError: It cannot be cached: the message says why, and what to do.
        ValueError: An option or the key is wrong.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        key: str | Callable[..., str] | None,
        *,
        method: bool,
        ignore: Sequence[str],
        paging: Paging | None,
        settings: Settings,
    ) -> None:
        self.where = _name(function)
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{self.where} is no `async def` function: only these can be cached")
        self.options = Options.of(settings, self.where)
        self.paging = paging
        self.function = function
        found = parameters(function, method=method, where=self.where)
        self.names = [each.name for each in found]
        self._signature = inspect.Signature(found)
        # Those by name only come last, always.
        self._positional = sum(each.kind is not each.KEYWORD_ONLY for each in found)
        # So many by position and none by name are all arguments in their order.
        self.plain = len(found) if self._positional == len(found) else -1
        self._pages = () if paging is None else (paging.number, paging.size)
        _check_names(self.where, self.names, (*ignore, *self._pages))
        self.in_key = [each for each in self.names if each not in (*ignore, *self._pages)]
        if key is None:
            key = ":".join((self.where, *(f"{{{each}}}" for each in self.in_key)))
        self._key = key
        self.key = self._compiled(key)  # by the types as soon as they are known
        self._hints: dict[str, Any] | None = None
        self.shape: Literal["none", "one", "many"] = "one"
        self.kind: Any = None
        with contextlib.suppress(NameError):  # a type that is defined further down: asked again at the first use
            self.settle()

    def settle(self) -> None:
        """Works out the shape from the types.

        Raises:
            NameError: A type is not defined.
            TypeError: The function does not say what it returns.
        """
        if self._hints is not None:
            return
        hints = get_type_hints(self.function)
        if "return" not in hints:
            raise TypeError(
                f"{self.where} does not say what it returns: give it a return type, for values are kept by it"
            )
        self.kind = returned = hints["return"]
        first = hints.get(self.names[0]) if self.names else None
        several = (get_origin(first) or first) in _SEVERAL and (get_origin(returned) or returned) in _MAPS
        if several:
            self.shape = "many"
            self.kind = (get_args(returned) or (Any, Any))[1]
        elif not self.in_key:
            self.shape = "none"
        kinds = {name: hints.get(name, object) for name in self.names}
        if several:
            kinds[self.names[0]] = (*get_args(first), object)[0]
        if isinstance(self._key, str):
            self.key = template(self._key, self.names, self.where, kinds)
        if self.paging is not None and several:
            raise TypeError(f"{self.where}: paging is for one list, and this returns a map of values")
        if self.options.batch_size and not several:
            raise TypeError(
                f"{self.where}: batch_size is for methods whose first parameter is a sequence of keys and that return "
                "a dict of values by them"
            )
        self._hints = hints

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[Any]:
        """Returns the arguments in the order of the parameters, defaults included.

        Raises:
            TypeError: They do not fit.
        """
        if not kwargs and len(args) == self.plain:
            return args
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return [bound.arguments[each] for each in self.names]

    def spread(self, arguments: Sequence[Any]) -> tuple[Sequence[Any], dict[str, Any]]:
        """Returns arguments as they are passed: by position, and by name."""
        rest = range(self._positional, len(self.names))
        return arguments[: self._positional], {self.names[at]: arguments[at] for at in rest}

    def keys(self, arguments: Sequence[Any]) -> list[str]:
        """Returns the keys of one call, one for each wanted value."""
        if self.shape != "many":
            return [self.key(arguments)]
        wanted: Any = arguments[0]
        some: Iterable[Any] = [*wanted] if _is_several(wanted) else (wanted,)
        return [self.key((each, *arguments[1:])) for each in some]

    def page(self, whole: Any, arguments: Sequence[Any]) -> Any:
        """Returns the page that was asked for."""
        if self.paging is None or whole is None:
            return whole
        number, size = (arguments[self.names.index(each)] for each in self._pages)
        return self.paging.page(whole, number, size)

    def _compiled(self, text: str | Callable[..., str]) -> Key:
        if callable(text):
            return lambda arguments: text(*arguments)
        made = template(text, self.names, self.where)
        used = fields(text)
        paged = [each for each in used if each in self._pages]
        if paged:
            raise ValueError(f"{self.where}: {{{paged[0]}}} says which page, and pages share one key: take it out")
        left = [each for each in self.in_key if each not in used]
        if left:
            raise ValueError(
                f"{self.where}: the key {text!r} has no {{{left[0]}}}, so calls that differ in it would get each "
                f'other\'s values: put it in, or say ignore=("{left[0]}",)'
            )
        return made


def _is_several(wanted: Any) -> bool:
    return isinstance(wanted, _SEVERAL) and not isinstance(wanted, str | bytes)


def _name(function: Callable[..., Any]) -> str:
    name: str = getattr(function, "__qualname__", "cached")
    return ".".join(name.rpartition("<locals>.")[2].split(".")[-2:])


def _check_names(where: str, names: Sequence[str], asked: Sequence[str]) -> None:
    for name in asked:
        if name not in names:
            raise ValueError(f"{where} has no parameter {name!r}: it has {', '.join(names) or 'none'}")
