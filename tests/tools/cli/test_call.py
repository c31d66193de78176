"""``kratos call``, against real servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from commandline import Kratos, Ran
from unit.transport.certificates import Certificates

from kratos import GRPCServer, HTTPServer
from kratos.app import App
from kratos.tools.codegen.project import Project

BOTH = ["http", "grpc"]
ITEM = '{"what":{"@type":"type.googleapis.com/demo.v1.Item","colour":"red"}}'


class Served(NamedTuple):
    """Servers that run, and where."""

    http: str
    grpc: str
    ended: list[str]


@contextmanager
def serving(make: Callable[[], App]) -> Iterator[tuple[str, ...]]:
    """Serves an app in a thread, as the commands under test run loops of their own."""
    ready = threading.Event()
    told: list[Any] = []

    async def serve() -> None:
        stop = asyncio.Event()
        async with make() as app:
            told.extend([asyncio.get_running_loop(), stop, app.info.endpoints])
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    assert ready.wait(20)
    loop, stop, endpoints = told
    try:
        yield endpoints
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def served(demo: Project) -> Iterator[Served]:
    """Serves the demo project."""
    sys.path.insert(0, str(demo.root))
    main: Any = import_module("callable_demo.main")
    with serving(main.app) as (http, grpc):
        yield Served(http, grpc, main.ended)


Call = Callable[..., Ran]


@pytest.fixture
def call(kratos: Kratos, served: Served, demo: Project, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls by the name of a transport, from inside of the project."""
    monkeypatch.chdir(demo.root / "callable_demo")
    return lambda transport, *words: kratos("call", getattr(served, transport, transport), *words)


@pytest.mark.parametrize("transport", BOTH)
def test_unary(call: Call, transport: str) -> None:
    """One reply, as JSON to read, or on one line for a script."""
    ran = call(transport, "SayHello", '{"name": "a b"}')
    assert ran == (0, '{\n  "message": "Hello a b",\n  "total": "0"\n}\n', "")
    assert call(transport, "say_hello", '{"name":"ü"}', "--json").out == '{"message":"Hello ü","total":"0"}\n'


@pytest.mark.parametrize("transport", BOTH)
def test_streams(call: Call, transport: str) -> None:
    """Replies come one line each; requests one after the other or as a list."""
    ticks = "".join(f'{{"message":"tick","total":"{at}"}}\n' for at in (1, 2, 3))
    assert call(transport, "Count", "{}") == (0, ticks, "")
    for requests in ('{"name":"a"}{"name":"b"}', '[{"name":"a"}, {"name":"b"}]'):
        assert json.loads(call(transport, "Collect", requests).out)["message"] == "a,b"
        greetings = call(transport, "Chat", requests).out.splitlines()
        assert [json.loads(line)["message"] for line in greetings] == ["hi a", "hi b"]
    assert call(transport, "Chat", "[]") == (0, "", "")


@pytest.mark.parametrize("transport", BOTH)
def test_replies_end_first(call: Call, transport: str) -> None:
    """Where the server has said all, requests that are left do not matter."""
    ran = call(transport, "Chat", '{"name":"a"}{"name":"bye"}' + '{"name":"b"}' * 100)
    assert (ran.code, len(ran.out.splitlines()), ran.err) == (0, 1, "")


@pytest.mark.parametrize("transport", BOTH)
@pytest.mark.parametrize("operation", ["SayHello", "Chat"])
def test_an_error(call: Call, transport: str, operation: str) -> None:
    """An error is a line with its facts, exit code 1; JSON on stderr where that was asked for."""
    ran = call(transport, operation, '{"name":"nobody"}')
    assert ran == (1, "", "error: 404 USER_NOT_FOUND: who?\n  name: nobody\n")
    ran = call(transport, operation, '{"name":"nobody"}', "--json")
    assert (ran.code, ran.out) == (1, "")
    error = {"code": 404, "reason": "USER_NOT_FOUND", "message": "who?", "metadata": {"name": "nobody"}, "details": []}
    assert json.loads(ran.err) == error


def test_details(call: Call) -> None:
    """Details come with their types, those of unknown types by their names."""
    ran = call("grpc", "SayHello", '{"name":"more"}')
    first, *details = ran.err.splitlines()
    assert first == "error: 404 USER_NOT_FOUND: who?"
    assert [json.loads(line) for line in details] == [
        {"@type": "google.rpc.RequestInfo", "requestId": "r1", "servingData": ""},
        {"@type": "x/a.B"},
    ]
    ran = call("grpc", "SayHello", '{"name":"more"}', "--json")
    assert len(json.loads(ran.err)["details"]) == 2


@pytest.mark.parametrize("transport", BOTH)
def test_nobody_steers_the_terminal(call: Call, transport: str) -> None:
    """What a server says reaches the terminal as text."""
    ran = call(transport, "SayHello", '{"name":"evil"}')
    assert ran.code == 1
    assert not {"\x1b", "\x9b"} & {*ran.err}
    ran = call(transport, "SayHello", '{"name":"\x7f\x9b"}', "--json")
    assert ran.out == '{"message":"Hello \\u007f\\u009b","total":"0"}\n'


@pytest.mark.parametrize("transport", BOTH)
def test_verbose(call: Call, transport: str) -> None:
    """What was asked, how long it took, and what came along."""
    ran = call(transport, "SayHello", '{"name":"a b"}', "-v", "-H", "X-Token: t 1")
    asked, took, *headers = ran.err.splitlines()
    assert asked.endswith("/hello/a%20b" if transport == "http" else "/demo.v1.Greeter/SayHello")
    assert asked.startswith("> GET http://" if transport == "http" else "> grpc://")
    assert took.startswith("< 200 after " if transport == "http" else "< after ")
    assert "< x-seen: t 1" in headers
    assert json.loads(ran.out)["message"] == "Hello a b"
    assert "/chat" in call("http", "Chat", "[]", "-v").err


@pytest.mark.parametrize("transport", BOTH)
def test_too_late(call: Call, transport: str) -> None:
    """A limit of the caller's is told as such."""
    ran = call(transport, "Slow", "--timeout", "0.2", "{}")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "demo.v1.Greeter/Slow is deprecated\nerror: no reply within 0.2 s\n  try: --timeout 1\n"


@pytest.mark.parametrize("transport", BOTH)
@pytest.mark.parametrize(
    ("operation", "request_json", "said"),
    [
        ("SayHello", '{"nmae": "x"}', "nmae: did you mean name?"),
        ("SayHello", '{"NAME": "x"}', "NAME: did you mean name?"),
        ("SayHello", '{"items": [{}, {"colr": 1}]}', "items[1].colr: did you mean colour?"),
        ("SayHello", '{"byName": {"k": {"cuont": 1}}}', 'byName["k"].cuont: did you mean count?'),
        ("SayHello", '{"xyzzy": 1}', "demo.v1.HelloRequest has: name, items, byName"),
        ("SayHello", '{"items": [{"count": "x"}]}', "items[0].count: expected an integer"),
        ("SayHello", '{"name": ', "the request is not JSON"),
        ("SayHello", "[]", "the request: expected an object"),
        ("Collect", '{"name":"a"} {"nam":"b"}', "request 2: nam: "),
        ("Collect", '[{"name":"a"} {"name":"b"}]', "lacks a comma"),
        ("Chat", '{"name":"a"}{', "request 2 is not JSON"),
    ],
)
def test_no_request(call: Call, transport: str, operation: str, request_json: str, said: str) -> None:
    """What is no request is not sent, and the place and the nearest name are told; exit code 2."""
    ran = call(transport, operation, request_json)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_what_a_path_cannot_say(call: Call) -> None:
    """A field that the path needs is missing: nothing was sent."""
    ran = call("http", "SayHello", "{}")
    assert ran.code == 2
    assert "field name is empty" in ran.err


def test_any(call: Call) -> None:
    """A ``google.protobuf.Any`` may hold every type of the project."""
    assert json.loads(call("grpc", "Box", ITEM).out)["what"]["colour"] == "red"
    ran = call("grpc", "Box", ITEM.replace("Item", "Nope"))
    assert ran.code == 2
    assert "a type known here" in ran.err


def test_by_file(call: Call, tmp_path: Path) -> None:
    """A request may stand in a file."""
    (tmp_path / "r.json").write_text('{"name": "file"}')
    assert json.loads(call("http", "SayHello", f"@{tmp_path / 'r.json'}").out)["message"] == "Hello file"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["127.0.0.1:1", "SayHello"], "http://127.0.0.1:1 or grpc://127.0.0.1:1"),
        (["direct:///127.0.0.1:1", "SayHello"], "direct:///127.0.0.1:1 --http"),
        (["discovery:///shop", "SayHello"], "not looked up yet"),
        (["http://127.0.0.1:1", "SayHello", "--grpc"], "does not go with --grpc"),
        (["http://127.0.0.1:1/x", "SayHello"], "has a path"),
        (["ftp://127.0.0.1:1", "SayHello"], "unknown scheme"),
        (["http://127.0.0.1:1", "SayHelo"], "the nearest are\n  demo.v1.Greeter/SayHello"),
        (["http://127.0.0.1:1", "Plain"], "has no google.api.http rule: call it over gRPC"),
        (["http://127.0.0.1:1", "SayHello", "-H", "x"], "'x' is no header"),
        (["http://127.0.0.1:1", "SayHello", "-H", "x: a\nb: c"], "is no header"),
        (["http://127.0.0.1:1", "SayHello", "-H", "grpc-timeout: 1S"], "the transport says it"),
        (["http://127.0.0.1:1", "SayHello", "-H", "X-Request-Timeout: 1S"], "use --timeout"),
        (["http://127.0.0.1:1", "SayHello", "--timeout", "0"], "--timeout"),
        (["http://127.0.0.1:1", "SayHello", "@/no/such/file"], "cannot read /no/such/file"),
    ],
)
def test_wrong_usage(kratos: Kratos, demo: Project, words: list[str], said: str) -> None:
    """What cannot be done is told before anything is sent."""
    ran = kratos("call", "--project", demo.root, *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_an_address_and_a_transport(call: Call, served: Served) -> None:
    """A bare address needs to be told how."""
    address = served.http.removeprefix("http://")
    assert call(address, "SayHello", '{"name":"a"}', "--http").code == 0
    assert call(f"direct:///{served.grpc.removeprefix('grpc://')}", "Plain", "{}", "--grpc").code == 0


def test_nobody_there(kratos: Kratos, demo: Project) -> None:
    """What cannot be reached is said in a line."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{sock.getsockname()[1]}"
        for scheme in BOTH:
            ran = kratos("call", "--project", demo.root, f"{scheme}://{address}", "SayHello", '{"name":"a"}')
            assert (ran.code, ran.out) == (1, "")
            assert ran.err.startswith("error: cannot ")
            assert address in ran.err
            assert len(ran.err.splitlines()) == 1


def test_the_other_transport(call: Call, served: Served) -> None:
    """HTTP to a gRPC server, and the reverse: what to call instead is said."""
    http, grpc = served.http.removeprefix("http://"), served.grpc.removeprefix("grpc://")
    ran = call(f"http://{grpc}", "SayHello", '{"name":"a"}')
    assert ran == (1, "", f"error: http://{grpc} does not speak http\n  try: kratos call grpc://{grpc} …\n")
    ran = call(f"grpc://{http}", "SayHello", '{"name":"a"}')
    assert ran == (1, "", f"error: grpc://{http} does not speak grpc\n  try: kratos call http://{http} …\n")


def test_no_project(kratos: Kratos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations come from a project, with generated code in it."""
    assert "is not in a project" in kratos("call", "--project", tmp_path, "http://h:1", "X").err
    monkeypatch.chdir(tmp_path)
    assert kratos("call", "http://h:1", "X").code == 2
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "a.proto").touch()
    (tmp_path / "pyproject.toml").write_text('[tool.kratos]\nout = "gen"\n')
    ran = kratos("call", "http://h:1", "X")
    assert ran.code == 2
    assert ran.err.endswith("  try: kratos generate\n")


def test_generated_for_a_newer_one(kratos: Kratos, tmp_path: Path) -> None:
    """Generated code that expects more than this library is told as such."""
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "a.proto").touch()
    (tmp_path / "pyproject.toml").write_text('[tool.kratos]\nout = "newer_demo"\n')
    (tmp_path / "newer_demo").mkdir()
    text = 'from kratos.service import require\nrequire(99, "a.proto")\nX_Y = Unary(\n    "/a.X/Y",\n)\n'
    (tmp_path / "newer_demo" / "a_kratos.py").write_text(text)
    ran = kratos("call", "--project", tmp_path, "http://h:1", "Y")
    assert ran.code == 1
    assert "newer_demo/a_kratos.py:2: ImportError: the code generated from a.proto follows contract 99" in ran.err


def test_completion(kratos: Kratos, demo: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations are completed inside of a project, and nothing is said outside."""
    monkeypatch.setenv("_KRATOS_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "kratos call http://h:1 Say")
    monkeypatch.setenv("COMP_CWORD", "3")
    monkeypatch.chdir(tmp_path)
    assert kratos() == (0, "\n", "")
    monkeypatch.chdir(demo.root)
    assert kratos().out == "plain,SayHello\n"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMP_WORDS", f'kratos call --project "{demo.root}" http://h:1 Tal')
    monkeypatch.setenv("COMP_CWORD", "5")
    assert kratos().out == "plain,Talker/Chat\nplain,Talker/Collect\nplain,Talker/Count\n"


class Program:
    """The command as a program of its own."""

    def __init__(self, demo: Project, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "kratos.tools.cli", "call", *words],
            cwd=demo.root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONASYNCIODEBUG": "0"},
        )

    def type(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def line(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def end(self) -> tuple[int, bytes, bytes]:
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


def settled(ended: list[str], name: str) -> bool:
    """Waits until the server has noticed."""
    for _ in range(200):
        if name in ended:
            return True
        threading.Event().wait(0.05)
    return False


@pytest.mark.parametrize("transport", BOTH)
def test_conversation(served: Served, demo: Project, transport: str) -> None:
    """Each line is sent as it is typed, and answered; the end of the input ends the call."""
    program = Program(demo, getattr(served, transport), "Chat", "-")
    program.type('{"name":"a"}\n')
    assert program.line()["message"] == "hi a"
    program.type('{"name":\n"b"}')
    assert program.line()["message"] == "hi b"
    assert program.end() == (0, b"", b"")


def test_a_slip_in_a_conversation(served: Served, demo: Project) -> None:
    """What is no request ends the call, and says which one it was."""
    program = Program(demo, served.http, "Chat", "-")
    program.type('{"name":"a"}\n')
    assert program.line()["message"] == "hi a"
    program.type('{"nam":"b"}\n')
    code, out, err = program.end()
    assert (code, out) == (2, b"")
    assert err.startswith(b"error: request 2: nam: ")


def test_stdin(served: Served, demo: Project) -> None:
    """A request may come from a pipe, without a word about it; an empty one is an empty request."""
    program = Program(demo, served.http, "SayHello")
    program.type('{"name":"pipe"}')
    assert json.loads(program.end()[1])["message"] == "Hello pipe"
    assert json.loads(Program(demo, served.grpc, "SayHello").end()[1])["message"] == "Hello "


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("transport", BOTH)
@pytest.mark.parametrize(("operation", "request_json"), [("Count", '{"name":"ever"}'), ("Chat", "-")])
def test_interrupted(served: Served, demo: Project, transport: str, operation: str, request_json: str) -> None:
    """Ctrl-C cancels the call on the server and ends the program with 130, whatever it waits for."""
    served.ended.clear()
    program = Program(demo, getattr(served, transport), operation, request_json)
    if request_json == "-":
        program.type('{"name":"a"}')
    program.line()
    program.process.send_signal(signal.SIGINT)
    code, _, err = program.end()
    assert (code, err) == (130, b"\n")
    assert settled(served.ended, operation.lower())


@pytest.mark.skipif(os.name == "nt", reason="pipes")
@pytest.mark.parametrize("transport", BOTH)
def test_broken_pipe(served: Served, demo: Project, transport: str) -> None:
    """Whoever has read enough ends the call, without a word."""
    served.ended.clear()
    program = Program(demo, getattr(served, transport), "Count", '{"name":"ever"}')
    program.line()
    with program.process as process:
        assert process.stdout
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == b""
        assert process.wait(20) == 0
    assert settled(served.ended, "count")


@pytest.mark.parametrize(("transport", "other"), [("http", "grpc"), ("grpc", "aiohttp")])
def test_loads_one_library(served: Served, demo: Project, transport: str, other: str) -> None:
    """Only the library of the transport is loaded."""
    words = ["call", getattr(served, transport), "SayHello", '{"name":"a"}']
    script = f"import sys; from kratos.tools.cli.root import run; print(run({words!r})); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=demo.root)
    *_, code, modules = done.stdout.splitlines()
    assert code == "0"
    assert other not in modules.split()
    assert "uvicorn" not in modules.split()


def demo_services() -> tuple[Any, ...]:
    services: tuple[Any, ...] = import_module("callable_demo.main").app().services
    return services


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_certificates(call: Call, kratos: Kratos, tmp_path: Path, transport: str) -> None:
    """Over TLS with an authority and a certificate of ours; without them the error says what is missing."""
    made = Certificates(tmp_path)
    own = made.issue("client")
    tls = made.mutual(made.issue("server"))
    server = HTTPServer("127.0.0.1:0", tls=tls) if transport == "http" else GRPCServer("127.0.0.1:0", tls=tls)
    app = App(name="demo", services=demo_services(), servers=[server])
    with serving(lambda: app) as (endpoint,):
        url = endpoint.replace("127.0.0.1", "localhost")
        words = ("SayHello", '{"name":"a"}', "--json")
        ours = ("--ca", str(made.ca), "--cert", str(own.cert), "--key", str(own.key))
        ran = kratos("call", url, *words, *ours, "-v")
        assert (ran.code, json.loads(ran.out)["message"]) == (0, "Hello a")
        assert f"{url}/" in ran.err
        assert kratos("call", url.partition("://")[2], f"--{transport}", *words, *ours).code == 0
        ran = kratos("call", url, *words[:2])
        assert (ran.code, "--ca FILE" in ran.err) == (1, True), ran.err
        ran = kratos("call", url, *words[:2], *ours[:2])
        assert (ran.code, "--cert FILE --key FILE" in ran.err) == (1, True)
        assert kratos("call", url, *words, *ours[:4]).code == 2
    ran = kratos("call", "grpc://127.0.0.1:1", *words, *ours)
    assert (ran.code, "has no TLS: take tls= away, or say grpcs://" in ran.err) == (2, True)


def test_unix_sockets(call: Call, kratos: Kratos) -> None:
    """The target is what the server calls itself."""
    with TemporaryDirectory(prefix="kratos") as folder:
        servers = [HTTPServer(f"unix:{folder}/h"), GRPCServer(f"unix:{folder}/g")]
        app = App(name="demo", services=demo_services(), servers=servers)
        with serving(lambda: app) as endpoints:
            for endpoint in endpoints:
                ran = kratos("call", endpoint, "SayHello", '{"name":"a"}', "-v")
                assert (ran.code, json.loads(ran.out)["message"]) == (0, "Hello a")
                assert f" at {endpoint}\n" in ran.err
            ran = kratos("call", f"unix:{folder}/g", "--grpc", "SayHello", "{}")
            assert (ran.code, ran.err) == (0, "")
            for other, endpoint in zip(endpoints, reversed(endpoints), strict=True):
                wrong = f"unix:{endpoint.partition(':')[2]}"
                ran = kratos("call", wrong, f"--{other[:4]}", "SayHello", '{"name":"a"}')
                assert (ran.code, f"kratos call {endpoint}" in ran.err) == (1, True), ran.err
            ran = kratos("call", f"unix:{folder}/h", "SayHello", "{}")
            assert (ran.code, "does not say how to call it" in ran.err) == (2, True)
