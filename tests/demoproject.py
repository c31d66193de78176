"""A small project with operations of all four kinds, generated once per run; its package is ``callable_demo``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from kratos.tools.codegen.project import Project, generate

TABLE = '[tool.kratos]\nprotos = ["api"]\nout = "callable_demo/gen"\napp = "callable_demo.main:app"\n'
REASONS = """
syntax = "proto3";
package demo.v1;
import "errors/errors.proto";
enum ErrorReason {
  option (errors.default_code) = 500;
  ERROR_REASON_UNSPECIFIED = 0;
  USER_NOT_FOUND = 1 [(errors.code) = 404];
}
"""
GREETER = """
syntax = "proto3";
package demo.v1;
import "google/api/annotations.proto";
import "google/protobuf/any.proto";
message Item { string colour = 1; int64 count = 2; }
message HelloRequest { string name = 1; repeated Item items = 2; map<string, Item> by_name = 3; }
message HelloReply { string message = 1; int64 total = 2; }
message Boxed { google.protobuf.Any what = 1; }
service Greeter {
  rpc SayHello(HelloRequest) returns (HelloReply) {
    option (google.api.http) = { get: "/hello/{name}" additional_bindings { post: "/hello" body: "*" } };
  }
  rpc Slow(HelloRequest) returns (HelloReply) {
    option deprecated = true;
    option (google.api.http) = { post: "/slow" body: "*" };
  }
  rpc Box(Boxed) returns (Boxed) { option (google.api.http) = { post: "/box" body: "what" }; }
  rpc Plain(HelloRequest) returns (HelloReply);
}
service Talker {
  rpc Count(HelloRequest) returns (stream HelloReply) { option (google.api.http) = { post: "/count" body: "*" }; }
  rpc Collect(stream HelloRequest) returns (HelloReply) { option (google.api.http) = { post: "/collect" body: "*" }; }
  rpc Chat(stream HelloRequest) returns (stream HelloReply) { option (google.api.http) = { get: "/chat" }; }
}
"""
MAIN = """
import asyncio

from kratos import App, GRPCServer, HTTPServer
from kratos.handler import only
from kratos.middleware import timeout
from kratos.wire.google.rpc.error_details_pb import RequestInfo
from protobuf.wkt import Any as AnyMessage

from .gen.demo.v1.demo_kratos import GreeterService, TalkerService
from .gen.demo.v1.demo_pb import HelloReply
from .gen.demo.v1.error_reason_errors import UserNotFound

ended = []


class Greeter(GreeterService):
    async def say_hello(self, request, call):
        call.reply.headers.set("x-seen", call.headers.get("x-token") or "none")
        if request.name == "nobody":
            raise UserNotFound("who?", metadata={"name": "nobody"})
        if request.name == "more":
            raise UserNotFound("who?", details=[RequestInfo(request_id="r1"), AnyMessage(type_url="x/a.B", value=b"")])
        if request.name == "evil":
            raise UserNotFound("a\\x1b[2Jb", metadata={"x": "\\x9bm"})
        return HelloReply(message=f"Hello {request.name}", total=len(request.items))

    async def slow(self, request, call):
        await asyncio.Event().wait()

    async def box(self, request, call):
        return request

    async def plain(self, request, call):
        return HelloReply(message="plain")


class Talker(TalkerService):
    async def count(self, request, call):
        try:
            at = 0
            while request.name == "ever" or at < 3:
                at += 1
                yield HelloReply(message="tick", total=at)
                await asyncio.sleep(0)
        finally:
            ended.append("count")

    async def collect(self, requests, call):
        return HelloReply(message=",".join([request.name async for request in requests]))

    async def chat(self, requests, call):
        try:
            async for request in requests:
                if request.name == "bye":
                    return
                if request.name == "nobody":
                    raise UserNotFound("who?", metadata={"name": "nobody"})
                yield HelloReply(message=f"hi {request.name}")
        finally:
            ended.append("chat")


def app():
    return App(
        name="demo",
        version="1.0.0",
        services=[Greeter(), Talker()],
        middleware=[only("/demo.v1.Greeter/Plain", timeout(0.5))],
        servers=[HTTPServer("127.0.0.1:0", timeout=3), GRPCServer("127.0.0.1:0", timeout=None)],
    )
"""


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Makes the project; what was imported from it is forgotten in the end."""
    root = tmp_path_factory.mktemp("demo") / "a b"
    files = {
        "pyproject.toml": TABLE,
        "api/demo/v1/error_reason.proto": REASONS,
        "api/demo/v1/demo.proto": GREETER,
        "callable_demo/__init__.py": "",
        "callable_demo/main.py": MAIN,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    project = Project.load(root)
    generate(project)
    yield project
    sys.path[:] = [entry for entry in sys.path if entry != str(root)]
    for name in [name for name in sys.modules if name.partition(".")[0] == "callable_demo"]:
        del sys.modules[name]
