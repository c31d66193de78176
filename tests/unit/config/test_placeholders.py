"""Placeholders: ``${key}`` and ``${key:default}``."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kratos.config import Config, ConfigError, Env, Values
from kratos.config.base import Place, node
from kratos.config.placeholders import parts, render

DATA = {
    "PORT": "8080", "COUNT": 10, "ENABLE": True, "RATE": 0.9, "EMPTY": "", "NULL": None, "test": {"value": "foobar"},
    "list": [1, {"a": 2}], "db": {"password": "s3cret"},
}  # fmt: skip


def rendered(text: Any) -> Any:
    return render(node({**DATA, "x": text}, Place("f"))).plain()["x"]


def refused(values: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        render(node(values, Place("f")))
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${NOTEXIST:100}", "100"),
        ("${PORT:8081}", "8080"),
        ("${COUNT:0}", 10),
        ("${ENABLE:false}", True),
        ("${RATE}", 0.9),
        ("${EMPTY:foobar}", ""),
        ("${NULL:foobar}", "foobar"),
        ("${NOTEXIST:}", ""),
        ("${URL:http://example.com}", "http://example.com"),
        (["${PORT}", {"foobar": "${NOTEXIST:8081}"}], ["8080", {"foobar": "8081"}]),
        ("${test.value}", "foobar"),
        ("${ test.value }", "foobar"),
        ("$PORT", "$PORT"),
        ("a$$b$", "a$$b$"),
        ("abc${PORT}foo${COUNT}bar", "abc8080foo10bar"),
        ("http://${H:h}:${P:80}/", "http://h:80/"),
        ("${ENABLE}!", "true!"),
        ("${RATE}!", "0.9!"),
        ("$${PORT}", "${PORT}"),
        ("${NO:$${x}}", "${x}"),
        ("${NO:${PORT}}", "8080"),
        ("${NO:a${NO:b${COUNT}c}d}", "ab10cd"),
        ('${NO:{"a": {}}}', '{"a": {}}'),
        ("${list}", [1, {"a": 2}]),
        ("${list[1].a}", 2),
        ("${list.0}", 1),
        ("${test}", {"value": "foobar"}),
        ("${port}", "8080"),
        ("${Test.VALUE}", "foobar"),
    ],
)  # fmt: skip
def test_placeholders(text: Any, expected: Any) -> None:
    """What Kratos does, and what it leaves undone: kinds are kept, text around is kept, defaults nest."""
    assert rendered(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${HOST}", "f: x: ${HOST} is not set, and has no default"),
        ("${test.valu}", "f: x: ${test.valu} is not set, and has no default; did you mean value?"),
        ("${PORT.x}", "f: x: ${PORT.x} is not set, and has no default"),
        ("${list[9]}", "f: x: ${list[9]} is not set, and has no default"),
        ("${list.x}", "f: x: ${list.x} is not set, and has no default"),
        ("${NULL}", "f: x: ${NULL} is not set, and has no default"),
        ("${foo${bar}}", "f: x: a placeholder within the name of another one: ${foo${…"),
        ("a${PORT", "f: x: a placeholder without its closing brace: ${PORT"),
        ("${a:s3cret", "f: x: a placeholder without its closing brace: ${a…"),
        ("${}", "f: x: not a placeholder: ${} ($${ stands for ${)"),
        ("${a..b:s3cret}", "f: x: not a placeholder: ${a..b… ($${ stands for ${)"),
        ("a${test}", "f: x: ${test} is a mapping and cannot stand within text"),
        ("a${list}", "f: x: ${list} is a list and cannot stand within text"),
    ],
)
def test_placeholders_that_are_refused(text: str, said: str) -> None:
    """Each refusal names key and place, and no default, which may be a secret."""
    assert refused({**DATA, "x": text}) == [said]


def test_cycles() -> None:
    """A chain that ends in itself is told, from where it begins to go round."""
    assert refused({"a": "${a}"}) == ["f: a: refers to itself: a → a"]
    assert refused({"x": "${a}", "a": "x${b:1}", "b": "${c}", "c": "${a}"})[0] == (
        "f: c: refers to itself: a → b → c → a"
    )
    assert refused({"a": {"b": "${a}"}}) == ["f: a.b: refers to itself: a → a.b → a"]


def test_all_problems_at_once() -> None:
    """One text that is wrong does not hide the next."""
    assert len(refused({"a": "${x}", "b": ["${y}", "${z}"]})) == 3


def test_growth() -> None:
    """Neither texts nor mappings grow by powers."""
    texts = {"t0": "x" * 100, **{f"t{n}": f"${{t{n - 1}}}" * 2 for n in range(1, 40)}}
    assert refused(texts) == ["f: placeholders make more than 16777216 letters"]
    lists: dict[str, Any] = {"l0": ["x"] * 100, **{f"l{n}": [f"${{l{n - 1}}}"] * 2 for n in range(1, 40)}}
    assert refused(lists) == ["f: placeholders make more than 100000 values"]
    wide = {"big": list(range(1000)), "many": ["${big}"] * 200}
    assert refused(wide) == ["f: placeholders make more than 100000 values"]


def test_depth() -> None:
    """Neither a long chain nor a deep default is too much for the interpreter."""
    assert refused({f"a{n}": f"${{a{n + 1}}}" for n in range(2000)}) == [
        "f: placeholders go on and on, through too many steps"
    ]
    assert refused({"a": "${b:" * 5000 + "}" * 5000}) == ["f: placeholders go on and on, through too many steps"]


async def test_secrets_stay_secret() -> None:
    """What comes from a secret key is not shown where it is used, alone or within text."""
    config = await Config.load(Values({**DATA, "n": "${db.password}", "m": "1${db.password}", "o": "${n}"}))
    for key in ("n", "m", "o"):
        with pytest.raises(ConfigError, match=rf"{key}: \*\*\* is not a whole number"):
            config.get(int, key)


@pytest.mark.parametrize("env_first", [True, False])
async def test_files_and_environment(env_first: bool) -> None:
    """A file has placeholders, the environment fills them, in whatever order the two are given."""
    values = Values({"name": "${SERVICE_NAME}", "addr": "${ADDR:127.0.0.1}", "port": "${PORT:8080}",
                     "list": [{"age": "${AGE}"}]})  # fmt: skip
    env = Env("K_", environ={"K_SERVICE_NAME": "shop", "K_ADDR": "10.0.0.1", "K_AGE": "20"})
    config = await Config.load(*([env, values] if env_first else [values, env]))
    assert config.get(str, "name") == "shop"
    assert config.get(str, "addr") == "10.0.0.1"
    assert config.get(int, "port") == 8080
    assert config.get(int, "list[0].age") == 20


names = st.sampled_from(["a", "b.c", "d_e"])
pieces = st.recursive(
    st.text(alphabet="xyz:/. ", min_size=1, max_size=4),
    lambda inner: st.builds(
        lambda name, default: (name, default), names, st.none() | st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip
VALUES = {"a": "A", "b": {"c": "BC"}}


def source(piece: Any) -> str:
    """Writes a piece as text."""
    if isinstance(piece, str):
        return piece
    name, default = piece
    return f"${{{name}}}" if default is None else f"${{{name}:{''.join(map(source, default))}}}"


def meaning(piece: Any) -> str | None:
    """Returns what a piece stands for, None for nothing."""
    if isinstance(piece, str):
        return piece
    name, default = piece
    value = {"a": "A", "b.c": "BC"}.get(name)
    if value is not None or default is None:
        return value
    inner = [meaning(each) for each in default]
    return None if None in inner else "".join(each or "" for each in inner)


@settings(deadline=None)
@given(st.lists(pieces, max_size=5))
def test_any_text(found: list[Any]) -> None:
    """Any text of pieces, nested as they like, is what a simple model says."""
    text = "".join(map(source, found))
    meant = [meaning(piece) for piece in found]
    values = {**VALUES, "x": text}
    if None in meant:
        assert len(refused(values)) == 1
    else:
        assert render(node(values, Place("f"))).plain()["x"] == "".join(each or "" for each in meant)


@settings(deadline=None)
@given(st.text(alphabet="${}:ab$. "))
def test_any_letters(text: str) -> None:
    """Whatever is written, it is read or refused with a reason, and plain text is left as it is."""
    if "${" not in text:
        assert parts(text) == ((text,) if text else ())
        return
    with contextlib.suppress(ValueError):
        assert all(parts(text))
