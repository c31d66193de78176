"""What a program is told from outside: files, the environment and values of its own, merged and typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.config.base import ConfigError, Source, WatchedSource
    from kratos.config.config import Config
    from kratos.config.current import Change
    from kratos.config.env import Env
    from kratos.config.file import File
    from kratos.config.values import Values

__all__ = ["Change", "Config", "ConfigError", "Env", "File", "Source", "Values", "WatchedSource"]

__getattr__ = lazy(
    __name__,
    {
        "Change": "current",
        "Config": "config",
        "ConfigError": "base",
        "Env": "env",
        "File": "file",
        "Source": "base",
        "Values": "values",
        "WatchedSource": "base",
    },
)
