"""What is wrong with a field that nobody may see is said without what was found there: errors go into logs."""

from __future__ import annotations

import pytest
from fixtures.gen.fixture.secret.v1.secret_pb import OpenRequest

from kratos.codec.base import Codec
from kratos.codec.form import FormCodec
from kratos.codec.json import JsonCodec
from kratos.codec.yaml import YamlCodec
from kratos.errors import BadRequest


def refused(codec: Codec, body: str) -> BadRequest:
    with pytest.raises(BadRequest) as failure:
        codec.decode(body.encode(), OpenRequest)
    return failure.value


@pytest.mark.parametrize("codec", [JsonCodec(), YamlCodec()])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"pin": 81472}', "pin"),
        ('{"pin": {"x": 81472}}', "pin"),
        ('{"hints": ["a", 81472, 5]}', "hints"),
        ('{"hints": 81472}', "hints"),
        ('{"code": "x81472"}', "code"),
        ('{"seeds": {"81472": "x"}}', "seeds"),
        ('{"seeds": {"k81472": "x81472"}}', "seeds"),
        ('{"card": {"number": 81472}}', "card.number"),
        ('{"byName": {"a": {"number": 81472}}}', 'byName["a"].number'),
    ],
)
def test_json_and_yaml(codec: Codec, body: str, field: str) -> None:
    """The place and what was expected are told."""
    failure = refused(codec, body)
    assert failure.metadata["field"] == field
    assert "expected" in failure.message
    assert "81472" not in str(failure)


@pytest.mark.parametrize("body", ["code=x81472", "seeds[k]=x81472", "code=1&inner.code=x81472"])
def test_forms(body: str) -> None:
    """So it is of forms, queries and paths."""
    failure = refused(FormCodec(), body)
    assert "expected an integer" in failure.message
    assert "x81472" not in str(failure)


def test_others_are_shown() -> None:
    """What anybody may see helps to find the mistake."""
    assert "found 81472" in refused(JsonCodec(), '{"name": 81472}').message
    assert "x81472" in refused(FormCodec(), "count=x81472").message
