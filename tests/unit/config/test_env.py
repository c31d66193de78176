"""Variables of the environment: which keys they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kratos.config import Config, ConfigError, Env, Values


async def keys(prefix: str, environ: Mapping[str, str]) -> Any:
    return (await Env(prefix, environ=environ).load()).root.plain()


@pytest.mark.parametrize(
    ("prefix", "variables", "expected"),
    [
        ("", {"A": "1", "b": "2"}, {"a": "1", "b": "2"}),
        ("", {"__AGE": "1"}, {"_age": "1"}),
        ("_", {"__AGE": "1"}, {"age": "1"}),
        ("KRATOS_", {"KRATOS_AGE": "1", "KRATOS_": "x", "KRATOS__": "x", "OTHER": "x"}, {"age": "1"}),
        ("FOO", {"FOO_AGE": "1", "FOO": "x", "FOO_": "x"}, {"age": "1"}),
        ("A=", {"A_B": "1"}, {}),
        ("S_", {"S_A__B__C_D": "1", "S_A__E": ""}, {"a": {"b": {"c_d": "1"}, "e": ""}}),
        ("S_", {"S_A__": "1", "S_A____B": "1", "S_" + "__".join("A" * 101): "1"}, {}),
    ],
)
async def test_keys(prefix: str, variables: dict[str, str], expected: Any) -> None:
    """The prefix and one underscore go, two underscores nest, letters become small."""
    assert await keys(prefix, variables) == expected


async def test_variables_that_contradict_each_other() -> None:
    """A key cannot be a value and a mapping, nor two variables one key: both are named."""
    with pytest.raises(ConfigError) as caught:
        await keys("S_", {"S_A": "1", "S_A__B": "2", "S_a": "3"})
    assert [str(problem) for problem in caught.value.problems] == [
        "S_A__B (environment): a.b: cannot be set beside S_A",
        "S_a (environment): a: cannot be set beside S_A",
    ]


async def test_the_environment_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read when it is loaded."""
    env = Env("KRATOS_TEST_")
    monkeypatch.setenv("KRATOS_TEST_A__B", "1")
    assert (await env.load()).root.plain() == {"a": {"b": "1"}}
    assert env.name == "environment KRATOS_TEST_*"


@pytest.mark.parametrize("first", [True, False])
async def test_variables_mean_existing_keys(first: bool) -> None:
    """Case and underscores do not matter, wherever the environment stands in the order."""
    values = Values({"server.readTimeout": "1s", "server.idle-time": 1, "other": 1})
    env = Env("S_", environ={"S_SERVER__READ_TIMEOUT": "2s", "S_SERVER__IDLE_TIME": "9", "S_NEW__KEY": "x"})
    config = await Config.load(*([env, values] if first else [values, env]))
    server = {"readTimeout": "1s", "idle-time": 1} if first else {"readTimeout": "2s", "idle-time": "9"}
    assert config.get(dict) == {"server": server, "other": 1, "new": {"key": "x"}}


async def test_variables_mean_keys_below_replaced_values() -> None:
    """A scalar that replaces a mapping does not make its keys unknown."""
    sources = [Values({"a.bC": 1}), Values({"a": 5}), Env("S_", environ={"S_A__B_C": "x"})]
    assert (await Config.load(*sources)).get(dict) == {"a": {"bC": "x"}}
    assert (await Config.load(*reversed(sources))).get(dict) == {"a": {"bC": 1}}


async def test_two_environments() -> None:
    """The keys of the first are known to the second."""
    config = await Config.load(Env("A_", environ={"A_READ_TIME": "1"}), Env("B_", environ={"B_READTIME": "2"}))
    assert config.get(dict) == {"read_time": "2"}


async def test_variables_that_mean_two_keys() -> None:
    """The exact key first, then the one that differs in case alone; else all are named."""
    values = Values({"a.read_time": 1, "a.readTime": 2, "a.readtime": 3})
    exact = Env("S_", environ={"S_A__READ_TIME": "x"})
    assert (await Config.load(values, exact)).get(str, "a.read_time") == "x"
    values = Values({"a.read_Time": 1, "a.readTime": 2})
    assert (await Config.load(values, exact)).get(str, "a.read_Time") == "x"
    values = Values({"a.read-time": 1, "a.readTime": 2})
    with pytest.raises(ConfigError, match="S_A__READ_TIME .environment.: a.read_time: may mean read-time or readTime"):
        await Config.load(values, exact)


async def test_values_are_literal() -> None:
    """A password is not a template, and JSON is what asks for it."""
    config = await Config.load(Env("S_", environ={"S_A": "x${b}$", "S_L": '["${b}", 1]', "S_M": '{"k": [true]}'}))
    assert config.get(str, "a") == "x${b}$"
    assert config.get(list[str], "l") == ["${b}", "1"]
    assert config.get(dict[str, list[bool]], "m") == {"k": [True]}
