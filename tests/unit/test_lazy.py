"""Façades that load a name when it is used."""

from __future__ import annotations

import sys

import pytest

import kratos
from kratos.errors import NotFound
from kratos.lazy import lazy


def test_names_are_loaded_from_their_homes() -> None:
    """A name is what its home says, and a home is imported only when a name of it is asked for."""
    load = lazy("kratos", {"NotFound": "errors", "nothing": "no_such_module"})
    assert load("NotFound") is NotFound
    with pytest.raises(ModuleNotFoundError):
        load("nothing")
    assert "kratos.no_such_module" not in sys.modules


def test_unknown_names_are_attribute_errors() -> None:
    """A misspelt name fails as on any module."""
    with pytest.raises(AttributeError, match="module 'kratos' has no attribute 'Ap'"):
        getattr(kratos, "Ap")  # noqa: B009 - the point is what happens at run time
