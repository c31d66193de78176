"""What importing the room costs, and what it offers."""

from __future__ import annotations

import doctest
import subprocess
import sys

import pytest

import kratos.codec
from kratos.codec import negotiate


def test_seams_do_not_load_the_runtime() -> None:
    """Importing the Protocols loads no protobuf; asking for a codec does."""
    program = (
        "import sys, kratos.codec.base, kratos.codec\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'protobuf']\n"
        "kratos.codec.JsonCodec\n"
        "assert 'protobuf' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_everything_promised_is_there() -> None:
    """Every name of the façade can be had, others cannot."""
    for name in kratos.codec.__all__:
        assert getattr(kratos.codec, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'MsgpackCodec'"):
        _ = kratos.codec.MsgpackCodec


def test_examples() -> None:
    """The examples in docstrings are true."""
    assert doctest.testmod(negotiate).failed == 0
