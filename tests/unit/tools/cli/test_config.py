"""``kratos config show``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from commandline import Kratos

APP = """
from kratos import App
from kratos.config import Config, Env, File, Values

DEFAULTS = {"server.http.addr": "127.0.0.1:8000", "db.pool": 5, "labels": {}, "tags": ["a", {"b": None}], "on": True}

async def app():
    config = await Config.load(Values(DEFAULTS), File(PLACE), Env("SHOP_"))
    other = await Config.load(Values({"flags.new": True}, name="flags"))
    return App(name="shop", hooks=[config.watching, other.watching])

plain = App(name="plain", hooks=[open])
""".replace("PLACE)", "__file__.replace('configured_app.py', 'shop.toml'))")

TOML = """
born = 2026-01-31
[server.http]
timeout = "1s"
[db]
password = "hunter2"
token = ""
dsn = "postgres://shop:hunter2@db/shop"
read = "${db.password}"
url = "https://h/?api_key=hunter2&x=1"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an app, and nothing imported from it yet."""
    (tmp_path / "configured_app.py").write_text(APP, encoding="utf-8")
    (tmp_path / "shop.toml").write_text(TOML, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_SERVER__HTTP__ADDR", "0.0.0.0:80")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "configured_app", raising=False)
    return tmp_path


def test_text(kratos: Kratos, project: Path) -> None:
    """A line for each value, with its place; no secret is in it."""
    ran = kratos("config", "show", "--app", "configured_app:app")
    assert (ran.code, ran.err) == (0, "")
    found = {line.split()[0]: line.split(maxsplit=1)[1] for line in ran.out.splitlines()}
    assert {key: " ".join(said.split()) for key, said in found.items()} == {
        "server.http.addr": '"0.0.0.0:80" SHOP_SERVER__HTTP__ADDR (environment)',
        "server.http.timeout": '"1s" shop.toml',
        "db.pool": "5 values of the program",
        "db.password": "*** shop.toml",
        "db.token": '"" shop.toml',
        "db.dsn": "*** shop.toml",
        "db.read": "*** shop.toml",
        "db.url": '"https://h/?api_key=***&x=1" shop.toml',
        "labels": "{} values of the program",
        "tags[0]": '"a" values of the program',
        "tags[1].b": "null values of the program",
        "on": "true values of the program",
        "born": '"2026-01-31" shop.toml',
        "flags.new": "true flags",
    }
    assert "hunter2" not in ran.out


def test_lines(kratos: Kratos, project: Path) -> None:
    """Where a format has lines, the place has one."""
    (project / "shop.toml").rename(project / "shop.json")
    (project / "shop.json").write_text('{\n"server": {\n"http": {"timeout": "2s"}}}')
    source = project / "configured_app.py"
    source.write_text(source.read_text().replace("shop.toml", "shop.json"))
    ran = kratos("config", "show", "server.http", "--app", "configured_app:app")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["server.http.addr", '"0.0.0.0:80"', "SHOP_SERVER__HTTP__ADDR", "(environment)"],
        ["server.http.timeout", '"2s"', "shop.json:3"],
    ]
    ran = kratos("config", "show", "server.http.timeout", "--json", "--app", "configured_app:app")
    assert json.loads(ran.out) == [
        {"key": "server.http.timeout", "value": "2s", "secret": False, "place": "shop.json", "line": 3}
    ]


def test_json(kratos: Kratos, project: Path) -> None:
    """Rows for scripts say the same, without secrets."""
    ran = kratos("config", "show", "--json", "--app", "configured_app:app")
    rows = {row["key"]: row for row in json.loads(ran.out)}
    assert rows["db.password"] == {
        "key": "db.password", "value": "***", "secret": True, "place": "shop.toml", "line": None,
    }  # fmt: skip
    assert rows["born"]["value"] == "2026-01-31"
    assert "hunter2" not in ran.out


def test_what_is_not_there(kratos: Kratos, project: Path) -> None:
    """A key that nobody has, an app without a configuration, and one that cannot be read are told with what to do."""
    ran = kratos("config", "show", "server.htp", "--app", "configured_app:app")
    assert ran.code == 2
    assert "server.htp: no such key; did you mean http?" in ran.err
    ran = kratos("config", "show", "--app", "configured_app:plain")
    assert ran.code == 1
    assert "the app watches no configuration" in ran.err
    assert "App(hooks=[config.watching])" in ran.err
    (project / "shop.toml").write_text("a = [")
    ran = kratos("config", "show", "--app", "configured_app:app")
    assert ran.code == 1
    assert "shop.toml:1" in ran.err
