"""What grpcio is told beyond addresses: limits and keepalive, with their defaults in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, TypeAlias

from kratos.version import __version__

__all__ = ["DEFAULT_KEEPALIVE", "DEFAULT_LIMITS", "KeepAlive", "Limits", "Options", "channel_options", "server_options"]

Options: TypeAlias = "list[tuple[str, int | str]]"
"""Options as grpcio takes them."""

USER_AGENT: Final = f"kratos-py/{__version__}"

# A client that lost its server tries again soon, and never pauses for long: grpcio's own limit is two minutes, and what
# waits for a server that is back adds to what a breaker takes to find out.
FIRST_RECONNECT_SECONDS: Final = 0.2
LAST_RECONNECT_SECONDS: Final = 1.0  # from one attempt to the next, more or less by a fifth
CONNECT_SECONDS: Final = 10.0  # how long one may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a gRPC peer may ask of us at most.

    Attributes:
        max_message: The largest message to receive, in bytes: RESOURCE_EXHAUSTED.
        max_metadata: The most that received headers may take, and received trailers, in bytes: RESOURCE_EXHAUSTED.
        max_streams: Servers: how many calls a connection may have under way; clients keep further ones waiting.
        max_calls: Servers: how many calls may be under way on all connections together; further ones are refused,
            RESOURCE_EXHAUSTED, and those of the server's own services do not count. None is no limit.

    Raises:
        ValueError: A limit is not positive.
    """

    max_message: int = 4 * 1024 * 1024
    max_metadata: int = 32 * 1024
    max_streams: int = 1000
    max_calls: int | None = None

    def __post_init__(self) -> None:
        _check_positive(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive:
    """How a silent peer is found dead, and how long connections live. All times are in seconds.

    Attributes:
        every: Silence after which the peer is pinged. Servers of other makes may close the connection of a client
            that pings more often than they like; grpc-go's limit is 300 unless told otherwise.
        timeout: How long the peer has for its answer before the connection is closed.
        tolerate: Servers: how often a client may ping; one that does so more often loses its connection.
        max_idle: Servers: a connection without calls is closed after this; None is never.
        max_age: Servers: every connection is closed after this (about, so that not all go at once), so that clients
            look for new servers; calls under way finish. None is never.
        grace: Servers: how long they may take for that; then they are cut off. None is for ever.

    Raises:
        ValueError: A time is not positive.
    """

    every: float = 60.0
    timeout: float = 20.0
    tolerate: float = 10.0
    max_idle: float | None = None
    max_age: float | None = None
    grace: float | None = None

    def __post_init__(self) -> None:
        _check_positive(self)


def _check_positive(options: Limits | KeepAlive) -> None:
    for field in fields(options):
        value = getattr(options, field.name)
        if value is not None and not value > 0:
            raise ValueError(f"{field.name} is {value!r}: it has to be a positive number")


DEFAULT_LIMITS: Final = Limits()
"""The limits of servers and channels that were given none."""
DEFAULT_KEEPALIVE: Final = KeepAlive()
"""The keepalive of servers that were given none; channels have none."""


def server_options(limits: Limits, keepalive: KeepAlive, *, compress: bool = False) -> Options:
    """Returns what a server tells grpcio; ``compress`` is what it does with replies unless told otherwise."""
    options: Options = [
        ("grpc.so_reuseport", 0),  # a busy port is an error, not a quiet second listener
        ("grpc.max_concurrent_streams", limits.max_streams),
        *_sizes(limits),
        *_pings(keepalive),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _milliseconds(keepalive.tolerate)),
    ]
    if compress:
        # A level and not an algorithm: that one is used whether or not the client accepts it.
        options.append(("grpc.default_compression_level", 1))
    if keepalive.max_idle is not None:
        options.append(("grpc.max_connection_idle_ms", _milliseconds(keepalive.max_idle)))
    if keepalive.max_age is not None:
        options.append(("grpc.max_connection_age_ms", _milliseconds(keepalive.max_age)))
    if keepalive.grace is not None:
        options.append(("grpc.max_connection_age_grace_ms", _milliseconds(keepalive.grace)))
    return options


def channel_options(limits: Limits, keepalive: KeepAlive | None, authority: str = "") -> Options:
    """Returns what a channel tells grpcio; None is no pings, and an empty authority the address."""
    return [
        ("grpc.primary_user_agent", USER_AGENT),
        # Services call each other directly, and HTTPClient does: a proxy for the web (http_proxy) is none for them.
        ("grpc.enable_http_proxy", 0),
        # A connection of its own: grpcio would share one, and how often it has failed, among channels to one address.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", _milliseconds(FIRST_RECONNECT_SECONDS)),
        ("grpc.min_reconnect_backoff_ms", _milliseconds(CONNECT_SECONDS)),  # whatever its name says
        ("grpc.max_reconnect_backoff_ms", _milliseconds(LAST_RECONNECT_SECONDS)),
        *_sizes(limits),
        *(() if keepalive is None else _pings(keepalive)),
        # The first is for :authority, the second for the certificate.
        *((name, authority) for name in ("grpc.default_authority", "grpc.ssl_target_name_override") if authority),
    ]


def _sizes(limits: Limits) -> Options:
    return [
        ("grpc.max_receive_message_length", limits.max_message),
        # Both, or grpcio refuses some of what lies between them and not other, by chance.
        ("grpc.max_metadata_size", limits.max_metadata),
        ("grpc.absolute_max_metadata_size", limits.max_metadata),
    ]


def _pings(keepalive: KeepAlive) -> Options:
    return [
        ("grpc.keepalive_time_ms", _milliseconds(keepalive.every)),
        ("grpc.keepalive_timeout_ms", _milliseconds(keepalive.timeout)),
        # grpcio sends pings of its own, for flow control. One that gets no answer counts as the ping that is due, and
        # without this it would be waited for a minute.
        ("grpc.http2.ping_timeout_ms", _milliseconds(keepalive.timeout)),
        ("grpc.http2.max_pings_without_data", 0),  # zero is "no limit": else the pings stop where they are needed
    ]


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
