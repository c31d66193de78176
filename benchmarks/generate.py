"""How long ``kratos generate`` takes for a large project: from nothing, unchanged, and after one edit.

Each number is a whole command in a process of its own. Usage: python benchmarks/generate.py [SERVICES] [ROUNDS]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILE = """syntax = "proto3";
package area{at}.v1;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/empty.proto";

// Keeps the orders of area {at}.
service Order{at} {{
  // Places an order.
  rpc Create(CreateRequest) returns (Order) {{
    option (google.api.http) = {{post: "/v1/area{at}/orders" body: "*"}};
  }}
  // Returns one order.
  rpc Get(GetRequest) returns (Order) {{
    option (google.api.http) = {{get: "/v1/area{at}/orders/{{id}}"}};
  }}
  // Returns orders, page by page.
  rpc List(ListRequest) returns (ListReply) {{
    option (google.api.http) = {{get: "/v1/area{at}/orders"}};
  }}
  // Forgets an order.
  rpc Delete(DeleteRequest) returns (google.protobuf.Empty) {{
    option (google.api.http) = {{delete: "/v1/area{at}/orders/{{id}}"}};
  }}
  // Tells about changes.
  rpc Watch(WatchRequest) returns (stream Order);
}}
// What somebody has bought.
message Order {{
  string id = 1;
  repeated Line lines = 2;
  map<string, string> labels = 3;
  google.protobuf.Timestamp created = 4;
  oneof payer {{ Person person = 5; string company = 6; }}
  State state = 7;
}}
// How far an order is.
enum State {{ STATE_UNSPECIFIED = 0; STATE_OPEN = 1; STATE_DONE = 2; }}
message Line {{ string sku = 1; int64 count = 2; double price = 3; }}
message Person {{ string name = 1; string mail = 2; }}
message CreateRequest {{ Order order = 1; bool dry_run = 2; }}
message GetRequest {{ string id = 1; }}
message ListRequest {{ int32 page_size = 1; string page_token = 2; }}
message ListReply {{ repeated Order orders = 1; string next_page_token = 2; }}
message DeleteRequest {{ string id = 1; }}
message WatchRequest {{ repeated string ids = 1; optional State state = 2; }}
message Total {{ string currency = 1; int64 units = 2; int32 nanos = 3; }}
"""
"""One service and ten messages."""


def main(services: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pyproject.toml").write_text('[tool.kratos]\nprotos = ["api"]\nout = "app/gen"\n')
        for at in range(services):
            path = root / "api" / f"area{at}" / "v1" / f"order{at}.proto"
            path.parent.mkdir(parents=True)
            path.write_text(FILE.format(at=at))
        print(f"{services} services, {services * 10} messages")
        print(f"  from nothing  {_timed(root):6.2f} s")
        print(f"  unchanged     {min(_timed(root) for _ in range(rounds)):6.2f} s")
        edited = root / "api" / "area0" / "v1" / "order0.proto"
        edited.write_text(edited.read_text() + "message More { string name = 1; }\n")
        print(f"  one edit      {_timed(root):6.2f} s")


def _timed(root: Path) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "kratos.tools.cli", "generate", str(root)], check=True, capture_output=True)  # noqa: S603 - our own command line
    return time.perf_counter() - start


if __name__ == "__main__":
    arguments = [*map(int, sys.argv[1:])]
    main(*arguments, *(200, 5)[len(arguments) :])
