"""A project whose services are to be implemented."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kratos.tools.codegen.project import Project, generate

PROTOS = {
    "shop/v1/kinds.proto": """\
syntax = "proto3";
package shop.v1;
import "google/protobuf/empty.proto";
import "google/protobuf/timestamp.proto";
import "shop/v1/things.proto";
// Every kind of call.
service Kinds {
  // One request, one reply.
  rpc One(Thing) returns (Thing);
  // Many replies.
  //
  // In order.
  rpc Watch(Thing) returns (stream Outer.Inner);
  rpc Collect(stream Outer.Inner) returns (Thing);
  // Both.
  rpc Chat(stream Thing) returns (stream Thing);
  rpc Ping(google.protobuf.Empty) returns (google.protobuf.Empty);
  rpc Ticks(google.protobuf.Empty) returns (stream google.protobuf.Timestamp);
  rpc Import(google.protobuf.Timestamp) returns (google.protobuf.Empty);
}
service FooService { rpc Do(Thing) returns (Thing); }
service Thingy { rpc Do(Thing) returns (Thing); }
service ThingService { rpc Do(Outer) returns (Outer); }
""",
    "shop/v1/things.proto": """\
syntax = "proto3";
package shop.v1;
message Thing { string name = 1; }
message Outer { message Inner { int32 at = 1; } Inner inner = 1; }
""",
    "shop/v1/names.proto": """\
syntax = "proto3";
package shop.v1;
import "shop/v1/things.proto";
service helloworld { rpc Do(Thing) returns (Thing); }
service HELLOSTARS { rpc Do(Thing) returns (Thing); }
service helloSky { rpc Do(Thing) returns (Thing); }
service hello_moon { rpc Do(Thing) returns (Thing); }
service HelloSunService { rpc Do(Thing) returns (Thing); }
service hello_mars_service { rpc Do(Thing) returns (Thing); }
service Empty {}
""",
}
METHODS = ["one", "watch", "collect", "chat", "ping", "ticks", "import_"]

MakeShop = Callable[..., Project]


def make(root: Path, *, out: str = "app/gen", line_length: int = 88) -> Project:
    for name, text in PROTOS.items():
        path = root / "api" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    project = Project(root, out=out, line_length=line_length)
    generate(project)
    return project


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project itself; only for tests that give it a folder of their own to write to."""
    project = make(tmp_path_factory.mktemp("shop"))
    (project.root / "pyproject.toml").write_text('[tool.kratos]\nout = "app/gen"\n')
    return project


@pytest.fixture
def folder(generated: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new folder in the project's package."""
    base = generated.root / "app" / "work"
    base.mkdir(exist_ok=True)
    new = base / f"n{len(list(base.iterdir()))}"
    new.mkdir()
    return new
