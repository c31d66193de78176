"""For each rule what looks as if it broke it, and does not: a rule that cries wolf is switched off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from kratos.tools.codegen.project import Project, generate
from kratos.tools.lint.families import RULES, check

Files = Mapping[str, str]

HEAD = 'syntax = "proto3";\npackage a.v1;\nimport "google/api/annotations.proto";\nimport "errors/errors.proto";\n'
CONF = 'syntax = "proto3";\n// buf:lint:ignore PACKAGE_VERSION_SUFFIX\npackage conf;\n'


def contract(text: str, name: str = "a/v1/a.proto") -> Files:
    used = [line for line in HEAD.splitlines(keepends=True) if not line.startswith("import")]
    used += ['import "google/api/annotations.proto";\n'] if "google.api" in text else []
    used += ['import "errors/errors.proto";\n'] if "errors." in text else []
    return {f"api/{name}": f"{''.join(used)}{text}"}


def routes(*rules: str, fields: str = "string id = 1;") -> Files:
    """A service with an RPC for each binding."""
    rpcs = "".join(
        f"  rpc Do{chr(65 + at)}(Req) returns (Rep) {{ option (google.api.http) = {{{rule}}}; }}\n"
        for at, rule in enumerate(rules)
    )
    return contract(f"service S {{\n{rpcs}}}\nmessage Req {{ {fields} }}\nmessage Rep {{ string name = 1; }}\n")


def code(text: str, name: str = "app/main.py") -> Files:
    return {name: text}


def conf(fields: str, document: str, **more: str) -> Files:
    """A schema and a configuration."""
    imported = 'import "google/protobuf/duration.proto";\n' if "Duration" in f"{fields}{more}" else ""
    nested = "".join(f"message {name} {{ {text} }}\n" for name, text in more.items())
    return {
        "api/conf/conf.proto": f"{CONF}{imported}message Bootstrap {{ {fields} }}\n{nested}",
        "configs/config.yaml": document,
    }


DURATION = "google.protobuf.Duration"
CACHED = "from kratos.cache import cached\n"
GENERATED = {
    "app/gen/s_kratos.py": 'class SService(Service):\n    __operations__ = (("buy", BUY), ("sell", SELL))\n',
}

PASSING: Mapping[str, Files] = {
    "COMPILE": contract("message A { string b = 1; }\n"),
    "KRP100": contract("service S { rpc GetUrl(A) returns (A); rpc SetUrl(A) returns (A); }\nmessage A {}\n"),
    "KRP101": routes('get: "/v1/a/{id}"', 'delete: "/v1/a/{id}"', 'get: "/v1/a/{id}/b"'),
    "KRP102": routes('get: "/v1/a/{id}"', 'get: "/v1/b/me"'),
    "KRP103": routes('get: "/v1/a/{id}"', 'delete: "/v1/a/{id}"'),
    "KRP104": routes('post: "/v1/a/{id}:do"', 'post: "/v1/b/{id}" body: "*"'),
    "KRP105": routes(
        'get: "/v1/a/{id}/{of}/{kind}"', fields="string id = 1; int64 of = 2; K kind = 3; enum K { K_UNSPECIFIED = 0; }"
    ),
    "KRP106": routes('get: "/v1/{id=things/*}"', 'get: "/v1/files/{id=**}"', 'get: "/v1/a/{id}:archive"'),
    "KRP107": routes('post: "/v1/a" body: "id" response_body: "name"'),
    "KRP108": contract(
        "enum R { R_UNSPECIFIED = 0; GONE = 1 [(errors.code) = 410]; LATE = 2 [(errors.code) = 599]; }\n"
    ),
    "KRP109": contract(
        "enum R { R_UNSPECIFIED = 0; A_GONE = 1 [(errors.code) = 410]; }\n"
        "enum S { S_UNSPECIFIED = 0; B_GONE = 1 [(errors.code) = 410]; }\n"
    ),
    "KRP110": contract("enum R { option (errors.default_code) = 400; R_UNSPECIFIED = 0; GONE = 1; }\n"),
    "KRP111": contract(
        "service S { rpc ListA(Q) returns (P); rpc ListB(E) returns (stream P); rpc Listen(E) returns (P); }\n"
        "message Q { int32 page_size = 1; }\nmessage E {}\nmessage P { repeated string a = 1; }\n"
    ),
    "KRP112": routes('get: "/v1/a/{id}"', 'get: "/vans/{id}"'),
    "KRP113": routes('post: "/v1/a" body: "*"', fields="string id = 1; string password = 2;"),
    "KRP114": {
        **routes('get: "/v1/a/{id}"'),
        "api/b/v1/b.proto": 'syntax = "proto3";\npackage b.v1;\nservice B { rpc Do(E) returns (E); }\nmessage E {}\n',
    },
    "KRP115": {
        "api/conf/conf.proto": f'{CONF}import "google/protobuf/duration.proto";\nmessage Server {{\n'
        f"  message HTTP {{ string addr = 1; {DURATION} timeout = 2; }}\n  message Admin {{ string addr = 1; }}\n"
        "  message GRPC { bool reflection = 1; }\n  HTTP http = 1;\n}\n"
    },
    "KRY200": code("# coding: latin-1\nx = 'ok'\n"),
    "KRY202": {
        **GENERATED,
        **code("from app.gen.s_kratos import SService\nclass S(SService):\n  def buy(self): ...\n  sell = buy\n"),
    },
    "KRY203": code("import asyncio, time\nasync def f():\n    await asyncio.to_thread(time.sleep, 1)\n"),
    "KRY204": code("import asyncio\nasync def f():\n  t = asyncio.create_task(g())\n  await asyncio.gather(t, g())\n"),
    "KRY205": code("import requests\nrequests.get('x', timeout=3)\nrequests.Session()\n"),
    "KRY206": code("from kratos import HTTPServer\nHTTPServer('x')\nHTTPServer('x', timeout=3)\n"),
    "KRY207": code("async def f():\n    try:\n        await g()\n    except Exception: pass\n"),
    "KRY208": code("from app.internal.biz import x\n", "app/internal/data/a.py"),
    "KRY209": code("import redis\n", "app/internal/data/a.py"),
    "KRY210": code("from app.internal import biz\nfrom other.internal import x\n", "app/main.py"),
    "KRY211": code("logger.info('signed in', extra={'token': token})\nlogger.info('at %s', page_token)\n"),
    "KRY212": code("def f(a=(), b=None, c=frozenset()): ...\n"),
    "KRY213": code(
        "import asyncio, contextvars, threading\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "async def f(loop, pool):\n    await asyncio.to_thread(g)\n    context = contextvars.copy_context()\n"
        "    await asyncio.get_running_loop().run_in_executor(None, context.run, g)\n"
        "    threading.Thread(target=context.run, args=(g,)).start()\n    pool.submit(form)\n"
        "    await asyncio.get_running_loop().run_in_executor(pool, g)\n"
        "def h():\n    threading.Thread(target=g).start()\n"
    ),
    "KRC300": {"configs/config.yaml": "a: 1\n", "configs/b.toml": "a = 1\n", "configs/.hidden.yaml": "a: [\n"},
    "KRC301": conf("Server http_server = 1;", "httpServer: {addr: x}\n", Server="string addr = 1;"),
    "KRC302": conf(
        "int32 a = 1; bool b = 2; repeated string c = 3; map<string, int32> d = 4;",
        'a: "${N}"\nb: true\nc: [x]\nd: {e: 1}\n',
    ),
    "KRC303": conf(f"{DURATION} wait = 1; {DURATION} other = 2;", "wait: 1m30s\nother: 250ms\n"),
    "KRC304": {"configs/config.yaml": 'a: {b: 1}\nc: "${a.b}"\nd: "${a.x:3}"\ne: "${HOME}"\n'},
    "KRC305": {"configs/config.yaml": 'password: "${DB_PASSWORD}"\ntoken: ""\ntokens_per_second: 5\n'},
    "KRC306": {**conf("string addr = 1;", "addr: x\n"), **code('config.get(str, "addr")\nmine.get(str, "nothing")\n')},
    "KRC307": conf("Server server = 1;", "server: {timeout: 1s, idle: 0s}\n",
                   Server=f"string addr = 1; {DURATION} timeout = 2; {DURATION} idle = 3;"),
    "KRC308": {
        **conf("Server server = 1; Redis redis = 2; string class = 3;", "server: {addr: x}\n",
               Server="string addr = 1; string log_level = 2;", Redis="string host = 1; int32 db = 2;"),
        **code('config.get(str, "server.addr")\nconnect(conf.redis)\nx = conf.server.log_level, conf.class_\n'),
    },
    "KRA401": code(f'{CACHED}@cached("o:{{id}}", ttl=6)\nasync def f(id): ...\n'
                   '@cached("u:{id}", ttl=6)\nasync def g(id): ...\n'),
    "KRA402": code(f'{CACHED}@cached("o:{{id}}", ttl=TTL)\nasync def f(id): ...\n'),
    "KRA403": code(f'{CACHED}OUT = ("at",)\n@cached("o:{{id}}", ttl=6, ignore=OUT)\nasync def f(self, id, at): ...\n'),
    "KRA404": code(f'{CACHED}@cached("o:{{request.id}}", ttl=6)\nasync def f(self, request): ...\n'),
    "KRX901": code("x = 1  # kratos: ignore[FIELD_NO_DELETE]\ny = '# kratos: ignore[KRY999]'\n"),
    "KRX902": code("def f(a=[]): ...  # kratos: ignore[KRY212] read only\n"),
}  # fmt: skip
"""For each rule a project."""

ELSEWHERE = {
    "KRP121": "test_breaking",
    "KRP122": "test_breaking",
    "KRY201": "test_drift, below",
}
"""Rules that need more than files."""


def project(root: Path, files: Files) -> Project:
    for name, text in {"pyproject.toml": '[tool.kratos]\nout = "app/gen"\n', **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "api").mkdir(exist_ok=True)
    return Project.load(root)


@pytest.mark.parametrize("rule", PASSING)
def test_passing(tmp_path: Path, rule: str) -> None:
    """Nothing breaks the rule, nor any other one."""
    assert check(project(tmp_path, PASSING[rule])) == []


def test_all() -> None:
    """No rule is left out."""
    assert {*PASSING, *ELSEWHERE} == {*RULES}


def test_drift(tmp_path: Path) -> None:
    """Code that was just generated is what the protos say."""
    made = project(tmp_path, contract("message A {}\n"))
    generate(made)
    assert check(made) == []
