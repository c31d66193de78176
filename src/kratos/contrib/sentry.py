"""What went wrong, reported to Sentry once, with the call it went wrong in; extra ``sentry``.

::

    init(os.environ["SENTRY_DSN"], environment="production")
    App(middleware=[recovery(), metrics(), access_log(), sentry()], ...)

It stands inside of ``recovery()``, so that it sees failures as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, TypeGuard, cast

from kratos.call import Call
from kratos.errors import Error
from kratos.handler import Handler, unwrapped
from kratos.log.entry import ACCESS, USUAL
from kratos.log.raised import discreet
from kratos.log.redact import Redaction

try:
    import sentry_sdk
    from sentry_sdk.integrations.logging import ignore_logger
except ImportError as missing:
    raise ImportError("kratos.contrib.sentry needs sentry-sdk: pip install 'kratos-py[sentry]'") from missing

__all__ = ["Sentry", "init", "sentry"]

# They tell what is reported already: a crash by recovery(), a call that failed by the access log.
_TOLD: Final = ("kratos.handler", ACCESS)
_GONE: Final = (BrokenPipeError, ConnectionResetError)
_FLUSH_SECONDS = 2.0
_LONGEST_TAG = 200

_Event = dict[str, Any]


def init(dsn: str, *, redact: Redaction | None = None, **options: Any) -> None:
    """Starts Sentry's client with what is safe: masked by keys and looks, and without local variables.

    So are events, breadcrumbs and transactions; logs and profiles, which have to be asked for, leave as they are.

    Args:
        dsn: Where events go; empty sends none.
        redact: What is masked; the usual keys and patterns if not given.
        options: Those of ``sentry_sdk.init``, which count where they say something else.
    """
    rules = redact or USUAL
    defaults: dict[str, Any] = {
        "auto_enabling_integrations": False,
        "before_breadcrumb": partial(_crumb, rules),
        "before_send": partial(_sent, rules),
        "before_send_transaction": partial(_sent, rules),
        "include_local_variables": False,
    }
    sentry_sdk.init(dsn=dsn, **{**defaults, **options})


def sentry(
    *, server_errors: bool = False, tags: Mapping[str, str] | None = None, redact: Redaction | None = None
) -> Sentry:
    """Reports each unexpected failure once, and lets it pass on.

    The event has the operation, the transport, the peer and the fields of the call as tags, its headers, masked, and
    the trace where the fields have a ``trace_id``. What is set on Sentry's scope during a call is of that call alone.
    Errors that a client is meant to get are not reported, nor that a client has left or hung up.

    Args:
        server_errors: Report errors with codes from 500 on too, which were raised on purpose.
        tags: Tags of every event.
        redact: What is masked; the usual keys and patterns if not given.

    Example:
        ``App(middleware=[recovery(), metrics(), access_log(), sentry(server_errors=True)], ...)``
    """
    return Sentry(server_errors=server_errors, tags=tags, rules=redact or USUAL)


class Sentry:
    """The middleware that ``sentry`` returns, and the end of its life.

    Args:
        server_errors: Whether errors from 500 on are reported.
        tags: Tags of every event.
        rules: What is masked.
    """

    def __init__(self, *, server_errors: bool, tags: Mapping[str, str] | None, rules: Redaction) -> None:
        self._server_errors = server_errors
        self._tags = dict(tags or {})
        self._rules = rules
        for name in _TOLD:
            ignore_logger(name)

    async def __call__(self, request: Any, call: Call, next: Handler) -> Any:
        """Watches one call."""
        with sentry_sdk.isolation_scope() as scope:
            scope.add_event_processor(partial(self._told, call))
            try:
                return await next(request, call)
            except Exception as failure:
                if self._counts(unwrapped(failure)):
                    sentry_sdk.capture_exception(failure)
                raise

    async def aclose(self) -> None:
        """Sends what waits, within two seconds."""
        await asyncio.to_thread(sentry_sdk.flush, _FLUSH_SECONDS)

    def _counts(self, failure: Exception) -> bool:
        if isinstance(failure, Error):
            return self._server_errors and failure.status >= 500
        return not isinstance(failure, _GONE)

    def _told(self, call: Call, event: Any, hint: Any) -> Any:
        """Adds to an event what is known of the call, as it is now."""
        fields = self._rules.pairs(dict(call.fields))
        facts = {"operation": call.operation.name, "transport": call.kind, "kind": call.side, "peer": call.peer.address}
        told = {**facts, **self._tags, **fields}
        tags = {name: str(fact)[:_LONGEST_TAG] for name, fact in told.items() if fact not in ("", None)}
        event["tags"] = {**tags, **_mapping(event.get("tags"))}
        event["transaction"] = call.operation.name
        contexts = event["contexts"] = {**_mapping(event.get("contexts"))}
        contexts["call"] = {**facts, "headers": self._rules.pairs(_headers(call))}
        if "trace_id" in fields:
            trace = {"trace_id": fields["trace_id"], "span_id": fields.get("span_id", ""), "op": call.kind}
            contexts["trace"] = {**_mapping(contexts.get("trace")), **trace}
        return scrubbed(event, self._rules, _raised(hint))


def _sent(rules: Redaction, event: Any, hint: Any) -> Any:
    return scrubbed(event, rules, _raised(hint))


def _crumb(rules: Redaction, crumb: Any, _hint: Any) -> Any:
    return {**crumb, **{name: rules.value(crumb[name]) for name in ("message", "data") if crumb.get(name)}}


def scrubbed(event: Any, rules: Redaction, failure: BaseException | None = None) -> Any:
    """Returns an event without secrets: in texts, tags, contexts, user, breadcrumbs, spans, and variables of frames.

    Args:
        event: The event, which is changed.
        rules: What is masked.
        failure: What was raised, if the event is about that.
    """
    told = cast("_Event", event)
    for each in _values(told.get("exception")):
        value = str(each.get("value") or "")
        each["value"] = rules.text(value if failure is None else discreet(value, failure, rules))
        for frame in _mapping(each.get("stacktrace")).get("frames") or ():
            if "vars" in frame:
                frame["vars"] = rules.pairs(frame["vars"])
    for name in ("extra", "request", "logentry", "user"):
        if told.get(name):
            told[name] = rules.pairs(_mapping(told[name]))
    if told.get("logentry"):
        told["logentry"].pop("params", None)  # they are in the text, and have no names to go by
    if "message" in told:
        told["message"] = rules.text(str(told["message"]))
    _label(told, rules)
    for crumb in _values(told.get("breadcrumbs")):
        crumb.update(_crumb(rules, crumb, None))
    return told


def _label(told: _Event, rules: Redaction) -> None:
    """Masks tags, contexts and spans."""
    if told.get("tags"):
        tags = told["tags"]
        told["tags"] = rules.pairs(tags if _is_mapping(tags) else dict(filter(None, tags)))
    if told.get("contexts"):
        told["contexts"] = {
            name: rules.pairs(context) if _is_mapping(context) else rules.value(context)
            for name, context in told["contexts"].items()
        }
    for span in _values(told.get("spans")):
        span.update({name: rules.value(span[name]) for name in ("description", "data", "tags") if span.get(name)})


def _raised(hint: Any) -> BaseException | None:
    """Returns the exception that Sentry says an event is about."""
    found: Any = _mapping(hint).get("exc_info") or (None, None, None)
    return cast("BaseException | None", found[1])


def _headers(call: Call) -> dict[str, str]:
    return dict(call.headers.items())


def _is_mapping(thing: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(thing, Mapping)


def _mapping(thing: Any) -> dict[str, Any]:
    return dict(thing) if _is_mapping(thing) else {}


def _values(thing: Any) -> list[dict[str, Any]]:
    """Returns the elements of what Sentry calls an interface of values."""
    found: Any = thing.get("values") if _is_mapping(thing) else thing
    return [each for each in found or () if isinstance(each, dict)]
