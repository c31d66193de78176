"""Files and folders: formats, places, and what is wrong with them."""

from __future__ import annotations

import builtins
import datetime as dt
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kratos.config import ConfigError, File
from kratos.config.document import Format, read
from kratos.config.values import Values

DEEP = 101


def plain(text: str | bytes, format: Format = "yaml") -> Any:
    return read(text.encode() if isinstance(text, str) else text, format, "a").plain()


def refused(text: str | bytes, format: Format = "yaml") -> str:
    with pytest.raises(ConfigError) as caught:
        plain(text, format)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# nothing\n", {}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: on\nb: yes\nc: No\nd: off\ne: y", {"a": "on", "b": "yes", "c": "No", "d": "off", "e": "y"}),
        ("a: true\nb: FALSE\nc: 'true'\nd: tRue", {"a": True, "b": False, "c": "true", "d": "tRue"}),
        ("a:\nb: ~\nc: null\nd: 'null'", {"a": None, "b": None, "c": None, "d": "null"}),
        ("a: 010\nb: 0o10\nc: 0x1F\nd: -3\ne: 1_000\nf: 12:30:00", {
            "a": 10, "b": 8, "c": 31, "d": -3, "e": "1_000", "f": "12:30:00",
        }),
        ("a: 1.5\nb: .5\nc: 1e3\nd: -.inf\ne: 1.", {"a": 1.5, "b": 0.5, "c": 1000.0, "d": -float("inf"), "e": 1.0}),
        ("a: 2026-01-31\nb: 2026-01-31T12:00:00Z", {"a": "2026-01-31", "b": "2026-01-31T12:00:00Z"}),
        ("80: a\ntrue: b\n~: c", {"80": "a", "true": "b", "~": "c"}),
        ("a: !!str 1\nb: !!int '3'\nc: !!float 1\nd: !!bool True\ne: !!null ''", {
            "a": "1", "b": 3, "c": 1.0, "d": True, "e": None,
        }),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("x: &x {p: 1, q: 2}\ny: {<<: *x, q: 3}", {"x": {"p": 1, "q": 2}, "y": {"p": 1, "q": 3}}),
        ("a: {<<: [{p: 1}, {p: 2, q: 2}], r: 3}", {"a": {"p": 1, "q": 2, "r": 3}}),
        ("'<<': 1", {"<<": 1}),
        ("a: " + "9" * 5000, {"a": "9" * 5000}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
    ],
)  # fmt: skip
def test_yaml(text: str, expected: Any) -> None:
    """Version 1.2's idea of what a scalar is; anchors and merge keys."""
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "a:4:3: the key 'c' comes twice; first in line 3"),
        ("a: [1", "a:1:6: not YAML: expected ',' or ']', but got '<stream end>', while parsing a flow sequence"),
        ("a: b\n\tc: d", "a:2:1: not YAML: found character '\\t' that cannot start any token"),
        ("a: *x", "a:1:4: not YAML: found undefined alias 'x'"),
        ("a: \x07", "a:1:4: not YAML: the character '\\x07' may not be in YAML"),
        ("---\na: 1\n---\nb: 1", "a:3:1: not YAML: but found another document, expected a single document"),
        ("a: !!python/object/apply:os.system [x]", "a:1:4: the tag !!python/object/apply:os.system is not for"),
        ("a: !!set {x}", "a:1:4: the tag !!set is not for configuration"),
        ("a: !env X", "a:1:4: the tag !env is not for configuration"),
        ("a: !!int x", "a:1:4: 'x' is not what its tag !!int says"),
        ("a: !!bool x", "a:1:4: 'x' is not what its tag !!bool says"),
        ("a: !!float x", "a:1:4: 'x' is not what its tag !!float says"),
        ("? [a]\n: 1", "a:1:3: a key has to be text"),
        ("a: {<<: 1}", "a:1:9: a merge key takes a mapping"),
        ("- 1", "a:1: not a mapping: configuration is keys and values"),
        ("just text", "a:1: not a mapping"),
        ("a: &a [*a]", "nested deeper than 100 levels"),
        ("a: " + "[" * DEEP + "]" * DEEP, "a: nested deeper than 100 levels"),
        ("a: " + "[" * 5000, "nested deeper than 100 levels"),
        (b"a: 1\n  \xc3\xa4\xff", "a:2:4: not UTF-8"),
        (b"\xff\xfea\x00", "a:1:1: not UTF-8"),
    ],
)
def test_yaml_that_is_refused(text: str | bytes, said: str) -> None:
    """Each refusal has line and column; no tag runs code, and no document eats the stack."""
    assert said in refused(text)


def test_aliases_that_make_much_out_of_little() -> None:
    """A bomb of aliases is refused; a document may be as long as it is written."""
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    for last, this in zip("abcdefg", "bcdefgh", strict=True):
        bomb += f"{this}: &{this} [{','.join(['*' + last] * 10)}]\n"
    assert "aliases make more than 10000 values" in refused(bomb)
    assert len(plain("a: [" + "x," * 30_000 + "]")["a"]) == 30_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,\n "a": 2}', "a:2:2: the key 'a' comes twice; first in line 1"),
        ('{"a": 1,}', "a:1:"),
        ('{"a": NaN}', "a: not JSON: NaN is no number"),
        ('{"a": ' + "9" * 5000 + "}", "a: not JSON: "),
        ("[1]", "a:1: not a mapping"),
        ('{"a": ' + "[" * DEEP + "]" * DEEP + "}", "a: nested deeper than 100 levels"),
        ('{"a": ' + "[" * 200_000, "a: nested deeper than 100 levels"),
    ],
)
def test_json_that_is_refused(text: str, said: str) -> None:
    """Each refusal says where."""
    assert said in refused(text, "json")


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), json_values), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_json(value: dict[str, Any], indent: Any, ascii: bool) -> None:
    """Any JSON is read as the standard library reads it; it is YAML's business no more than TOML's."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii)
    assert plain(text.encode("utf-8", "surrogatepass"), "json") == value


def test_lines() -> None:
    """Keys have the lines they are written in."""
    root = read(b'{\n"a":\n {\n"b": [1,\n2]}}', "json", "x.json")
    b = (root.mapping or {})["a"].mapping or {}
    assert [str(b["b"].place), *(str(each.place) for each in b["b"].items or ())] == [
        "x.json:4", "x.json:4", "x.json:5",
    ]  # fmt: skip
    root = read(b"a:\n\n  b:\n  - 1\n  - 2", "yaml", "x.yaml")
    b = (root.mapping or {})["a"].mapping or {}
    assert [str(b["b"].place), *(str(each.place) for each in b["b"].items or ())] == [
        "x.yaml:3", "x.yaml:4", "x.yaml:5",
    ]  # fmt: skip


def test_toml() -> None:
    """Tables, and dates as dates; what is no TOML is told with its line."""
    assert plain("a = 1\n[b.c]\nd = 2026-01-31\ne = [1, 2]", "toml") == {
        "a": 1, "b": {"c": {"d": dt.date(2026, 1, 31), "e": [1, 2]}},
    }  # fmt: skip
    assert refused("a = 1\nb = ?", "toml").startswith("a:2:5: not TOML: ")
    assert refused("a = 1\na = 2", "toml").startswith("a:2:")
    assert refused('a = 1\nb = """x', "toml").startswith("a:2")
    assert "nested deeper than 100 levels" in refused(".".join("a" * 120) + " = 1", "toml")


def test_toml_whose_complaint_is_not_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """A complaint in other words is passed on."""
    import tomllib

    def loads(text: str) -> Any:
        raise tomllib.TOMLDecodeError("odd")

    monkeypatch.setattr("kratos.config.document.tomllib.loads", loads)
    assert refused("a\nb", "toml") == "a:2: not TOML: odd"


async def test_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The files of a folder in the order of their names; hidden ones, backups and folders are not read."""
    (tmp_path / "a.yaml").write_text("server: {port: 1, host: x}\nlist: [1, 2]")
    (tmp_path / "b.JSON").write_text('{"server": {"port": 2}}')
    (tmp_path / "c.toml").write_text("list = [3]")
    for name in (".hidden.yaml", "a.yaml~", "#a.yaml#", "README.md", "app.ini", "plain"):
        (tmp_path / name).write_text("{broken")
    (tmp_path / "d.yaml").mkdir()
    (tmp_path / "e.yml").write_text("e: 1")
    with caplog.at_level(logging.INFO, "kratos.config"):
        layer = await File(tmp_path).load()
    assert layer.root.plain() == {"server": {"port": 2, "host": "x"}, "list": [3], "e": 1}
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"{tmp_path / name} is not read: configuration is in .yaml, .yml, .json, .toml")
        for name in ("README.md", "app.ini", "plain")
    ]


async def test_a_config_map_of_kubernetes(tmp_path: Path) -> None:
    """A mounted ConfigMap is links to links: each file is read once."""
    (tmp_path / "..2026_01_31").mkdir()
    (tmp_path / "..2026_01_31" / "a.yaml").write_text("a: 1")
    (tmp_path / "..data").symlink_to("..2026_01_31")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    assert (await File(tmp_path).load()).root.plain() == {"a": 1}


async def test_all_that_is_wrong_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that cannot be read do not hide each other."""
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.yaml").write_text("c: 1")
    (tmp_path / "d.yaml").symlink_to("nowhere")
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path.name == "c.yaml":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(ConfigError) as caught:
        await File(tmp_path).load()
    said = [str(problem) for problem in caught.value.problems]
    assert said[0].startswith(f"{tmp_path / 'a.yaml'}:1:5: not YAML")
    assert said[1].startswith(f"{tmp_path / 'b.json'}:1:2: not JSON")
    assert said[2] == f"{tmp_path / 'c.yaml'}: cannot be read: permission denied"
    assert said[3] == f"{tmp_path / 'd.yaml'}: cannot be read: no such file or directory"
    with pytest.raises(ConfigError, match="c.yaml: cannot be read: permission denied"):
        await File(tmp_path / "c.yaml").load()


async def test_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is told with where it was looked for, unless it may be missing."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"configs: no such file or folder .looked in {tmp_path}"):
        await File("configs").load()
    with pytest.raises(ConfigError, match="a.yaml: no such file or folder$"):
        await File(tmp_path / "a.yaml").load()
    assert (await File("configs", optional=True).load()).root.plain() == {}
    with pytest.raises(ConfigError, match="nothing to read in this folder: no .yaml"):
        await File(tmp_path).load()
    assert (await File(tmp_path, optional=True).load()).root.plain() == {}
    (tmp_path / "a.ini").write_text("a=1")
    with pytest.raises(ConfigError, match=r"a\.ini: neither of \.yaml"):
        await File("a.ini").load()
    assert File("configs").name == "configs"


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyYAML the line that installs it is said; other formats do not need it."""
    real = builtins.__import__

    def imported(name: str, globals: Any = None, *rest: Any) -> Any:
        if name == "yaml":
            raise ModuleNotFoundError("No module named 'yaml'", name="yaml")
        return real(name, globals, *rest)

    import kratos.config

    monkeypatch.delitem(sys.modules, "kratos.config.yaml", raising=False)
    monkeypatch.delattr(kratos.config, "yaml", raising=False)
    monkeypatch.setattr(builtins, "__import__", imported)
    with pytest.raises(ImportError, match='pip install "pyyaml>=6.0.2"'):
        plain("a: 1")
    assert plain('{"a": 1}', "json") == {"a": 1}


async def test_values() -> None:
    """Nested or with dots, copied, keys as text; a key that is none is refused."""
    given: dict[Any, Any] = {"a.b": 1, "a": {"c": [1]}, "x": {'"p.q".r': b"bytes"}, 5: True, None: 1, True: 2}
    source = Values(given)
    given["a"]["c"].append(2)
    assert (await source.load()).root.plain() == {
        "a": {"b": 1, "c": [1]}, "x": {"p.q": {"r": "bytes"}}, "5": True, "null": 1, "true": 2,
    }  # fmt: skip
    assert source.name == "values of the program"
    for key in ("", "a..b", "a[0]", "a.", '"'):
        with pytest.raises(ConfigError, match="not a key"):
            Values({key: 1})
    cycle: dict[str, Any] = {}
    cycle["a"] = cycle
    with pytest.raises(ConfigError, match="nested deeper"):
        Values(cycle)


@pytest.mark.skipif(os.name == "nt", reason="paths are bytes there")
async def test_odd_names(tmp_path: Path) -> None:
    """Spaces and letters of all kinds are fine in paths."""
    path = tmp_path / "mü llér" / "ä b.yaml"
    path.parent.mkdir()
    path.write_text("a: 1")
    assert (await File(str(path)).load()).root.plain() == {"a": 1}
