"""``kratos test gen``: tests that run, are clean, and are never overwritten."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kratos.tools.cli.root import run
from kratos.tools.codegen.project import Project, generate
from kratos.tools.scaffold.names import Names
from kratos.tools.scaffold.project import fill, make
from kratos.tools.scaffold.template import Template
from kratos.tools.stubs.services import default_folder, implement

CHAT = """\
syntax = "proto3";

package chat.v1;

import "google/api/annotations.proto";
import "google/protobuf/empty.proto";

service Chat {
  rpc Up(stream Message) returns (Message) {
    option (google.api.http) = {get: "/v1/up"};
  }
  rpc Both(stream Message) returns (stream Message);
  rpc Down(Message) returns (stream google.protobuf.Empty) {
    option (google.api.http) = {get: "/v1/down/{id}/{number}"};
  }
  rpc AnOperationWithALongNameThatLeavesLittleRoom(Message) returns (google.protobuf.Empty) {
    option (google.api.http) = {
      post: "/v1/{id}"
      body: "*"
    };
  }
  rpc Odd(Message) returns (google.protobuf.Empty) {
    option (google.api.http) = {get: "/v1/odd/{id=things/*}"};
  }
}

message Message {
  string id = 1;
  int64 number = 2;
}
"""
ANSWERS = """\
from protobuf.wkt import Empty
from shop.gen.chat.v1.chat_kratos import ChatService


class Chat(ChatService):
    async def up(self, requests, call):
        async for each in requests:
            last = each
        return last

    async def both(self, requests, call):
        async for each in requests:
            yield each

    async def down(self, request, call):
        yield Empty()

    async def odd(self, request, call):
        return Empty()

    async def an_operation_with_a_long_name_that_leaves_little_room(self, request, call):
        return Empty()
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = fill(make(Names.of(str(tmp_path / "shop")), Template.built_in("simple"))).names.root
    monkeypatch.chdir(root)
    return root


def tool(root: Path, *command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], cwd=root, capture_output=True, text=True, check=False)
    return f"{done.returncode} {done.stdout}{done.stderr}"


def test_all_kinds(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is a test for each RPC, of all kinds; they pass where the service answers, and are clean."""
    (shop / "api/chat/v1").mkdir(parents=True)
    (shop / "api/chat/v1/chat.proto").write_text(CHAT)
    project = Project.load(shop)
    generate(project)
    implement(project, "chat/v1/chat.proto", default_folder(project))
    assert run(["test", "gen"]) == 0
    said = capsys.readouterr()
    assert said.out == "tests/test_chat_rpcs.py: 5 tests\ntests/test_greeter_rpcs.py: 1 test\n"
    assert tool(shop, "ruff", "check", "--no-cache", ".").startswith("0 ")
    assert tool(shop, "ruff", "format", "--no-cache", "--check", ".").startswith("0 ")
    assert tool(shop, "mypy").startswith("0 ")
    (shop / "shop/chat.py").write_text(ANSWERS)
    tests = ("tests/test_chat_rpcs.py", "tests/test_greeter_rpcs.py")
    assert "16 passed" in tool(shop, "pytest", "-q", "-p", "no:cacheprovider", *tests)


def test_unanswered(shop: Path) -> None:
    """A service that does not answer yet fails its tests."""
    text = (shop / "shop/main.py").read_text()
    (shop / "shop/main.py").write_text(text.replace("async def say_hello", "async def say_goodbye"))
    run(["test", "gen"])
    assert "3 failed" in tool(shop, "pytest", "-q", "-p", "no:cacheprovider", "tests/test_greeter_rpcs.py")


def test_never_overwritten(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there is left alone, and said."""
    (shop / "tests/test_greeter_rpcs.py").write_text("mine\n")
    assert run(["test", "gen", "Greeter"]) == 0
    assert capsys.readouterr().out.endswith("tests/test_greeter_rpcs.py is there already: left alone\n")
    assert (shop / "tests/test_greeter_rpcs.py").read_text() == "mine\n"


@pytest.mark.parametrize("wanted", ["helloworld.v1.Greeter", "Greeter", "api/helloworld/v1/greeter.proto"])
def test_names(shop: Path, wanted: str) -> None:
    """A service goes by its names, and by its proto."""
    assert run(["test", "gen", wanted, "--target", "checks"]) == 0
    assert (shop / "checks/test_greeter_rpcs.py").is_file()


def test_unknown(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A service that there is not, or that nobody implements, is told."""
    assert run(["test", "gen", "Nothing"]) == 2
    assert "there is no service 'Nothing'" in capsys.readouterr().err
    (shop / "shop/main.py").write_text("")
    assert run(["test", "gen"]) == 1
    assert "no class of" in capsys.readouterr().err


def test_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a service has to be given something, its tests say so until somebody writes what."""
    root = fill(make(Names.of(str(tmp_path / "lay")), Template.built_in("layered"))).names.root
    monkeypatch.chdir(root)
    assert run(["test", "gen"]) == 0
    assert (
        'pytest.fail("say here how it is made: Greeter(greeter=...)")'
        in (root / "tests/test_greeter_rpcs.py").read_text()
    )
    assert tool(root, "ruff", "check", "--no-cache", ".").startswith("0 ")
    assert tool(root, "mypy").startswith("0 ")
