"""What the plugin refuses, with what words; and that its answers depend on nothing but the contract."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from protobuf.wkt.google.protobuf.compiler.plugin_pb import CodeGeneratorRequest, CodeGeneratorResponse

from kratos.tools.codegen.plugin import respond

from .conftest import Generate, image

TESTS = Path(__file__).parents[1]


def proto(body: str, package: str = "a.v1") -> str:
    imports = 'import "errors/errors.proto"; import "google/api/annotations.proto";'
    return f'syntax = "proto3"; package {package}; {imports}\n{body}\n'


MESSAGES = "message M { string name = 1; M child = 2; }"
GONE = "[(errors.code) = 410]"
WRONG = 'get: "/v1/{nam}/{child.name}/{child.nome=*}" body: "nobody" response_body: "none"'

CLASHES = {
    "methods": (
        f"{MESSAGES}\nservice S {{\n  rpc GetURL(M) returns (M);\n  rpc GetUrl(M) returns (M);\n}}",
        ["a.proto:5:3: rpc GetUrl and rpc GetURL (a.proto:4:3) both become get_url: rename one"],
    ),
    "constants": (
        f"{MESSAGES}\nservice A {{ rpc B_C(M) returns (M); }}\nservice A_B {{ rpc C(M) returns (M); }}",
        ["a.proto:4:15: rpc C and rpc B_C (a.proto:3:13) both become A_B_C: rename one"],
    ),
    "bases": (
        f"{MESSAGES}\nservice Greeter {{}}\nservice GreeterService {{}}",
        ["a.proto:4:1: service GreeterService and service Greeter (a.proto:3:1) both become GreeterService"],
    ),
    "base and message": (
        f"{MESSAGES}\nmessage GreeterService {{}}\nservice Greeter {{}}",
        ["a.proto:4:1: service Greeter and message GreeterService (a.proto:3:1) both become GreeterService"],
    ),
    "client and enum": (
        f"{MESSAGES}\nenum GreeterClient {{ ZERO = 0; }}\nservice Greeter {{}}",
        ["a.proto:4:1: service Greeter and enum GreeterClient (a.proto:3:1) both become GreeterClient"],
    ),
    "errors": (
        "enum E {\n  Z = 0;\n  NOT_FOUND = 1 [(errors.code) = 404];\n  NOT_FOUND_ERROR = 2 [(errors.code) = 404];\n}",
        ["a.proto:5:3: NOT_FOUND_ERROR and NOT_FOUND (a.proto:4:3) both become the class NotFoundError: rename one"],
    ),
    "errors of two enums": (
        f"message M {{ enum E {{ Z = 0; E_GONE = 1 {GONE}; }} }}\nenum F {{ Y = 0; F_GONE = 1 {GONE}; }}",
        ["a.proto:2:29: E_GONE and F_GONE (a.proto:3:17) both become the class Gone: rename one"],
    ),
    "success": (
        "enum E {\n  Z = 0;\n  FINE = 1 [(errors.code) = 200];\n  ODD = 2 [(errors.code) = 600];\n}",
        ["a.proto:4:3: FINE has code 200: an error's code is an HTTP status from 400 to 599", "a.proto:5:3: ODD has"],
    ),
    "default": (
        "enum E {\n  option (errors.default_code) = 302;\n  Z = 0;\n}",
        ["a.proto:4:3: Z has code 302"],
    ),
    "fields": (
        f"{MESSAGES}\nservice S {{ rpc Get(M) returns (M) {{ option (google.api.http) = {{ {WRONG} }}; }} }}",
        [
            "a.proto:3:13: the path /v1/{nam}/{child.name}/{child.nome=*} of rpc Get names nam, which is no field of a",
            "names child.nome, which is no field of a.v1.M",
            'body: "nobody" of rpc Get is no field of a.v1.M',
            'response_body: "none" of rpc Get is no field of a.v1.M',
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLASHES)
def test_clashes(ask: Generate, case: str) -> None:
    """A clash is an error that names both culprits and where they are, and nothing is generated."""
    body, expected = CLASHES[case]
    response = ask({"a.proto": proto(body)})
    assert not response.file
    assert len(response.error.splitlines()) == len(expected), response.error
    for line, words in zip(response.error.splitlines(), expected, strict=True):
        assert words in line


def test_clash_with_an_import(ask: Generate) -> None:
    """A message from elsewhere must not have the name of a generated class either."""
    files = {
        "a.proto": proto('import "b.proto";\nservice S { rpc Get(b.v1.SClient) returns (b.v1.SClient); }'),
        "b.proto": proto("message SClient {}", package="b.v1"),
    }
    expected = "a.proto:3:1: service S and message SClient (b.proto:2:1) both become SClient: rename one"
    assert ask(files).error == expected


def test_files_of_one_module(ask: Generate) -> None:
    """Two files that become one module are named."""
    response = ask({"a-b.proto": proto("", "a.v1"), "a_b.proto": proto("", "b.v1")})
    assert response.error == "a_b.proto: this file and a-b.proto both become a_b_kratos: rename one"


def test_everything_is_reported(ask: Generate) -> None:
    """All problems of all files come at once, in order of place."""
    first, second = CLASHES["methods"][0], CLASHES["errors"][0]
    response = ask({"b.proto": proto(second, "b.v1"), "a.proto": proto(first)})
    assert [line.partition(" ")[0] for line in response.error.splitlines()] == ["a.proto:5:3:", "b.proto:5:3:"]


def test_options_are_checked(ask: Generate) -> None:
    """An unknown or unreadable option is a sentence, not a traceback."""
    assert ask({"a.proto": proto("")}, "colour=red").error == "unknown option(s): colour=red"
    error = ask({"a.proto": proto("")}, "line_length=wide").error
    assert "line_length" in error
    assert "Traceback" not in error


def test_nothing_to_do(ask: Generate) -> None:
    """A file without services and codes yields nothing."""
    response = ask({"a.proto": proto("message M {} enum E { Z = 0; }")})
    assert (response.error, list(response.file)) == ("", [])


def test_moved_errors(ask: Generate) -> None:
    """Errors of a package that lives elsewhere are imported from where its messages are."""
    files = {
        "acme/b.proto": proto("message B {} enum E { Z = 0; BAD = 1 [(errors.code) = 400]; }", "acme"),
        "a.proto": proto('import "acme/b.proto"; service S { rpc Get(acme.B) returns (acme.B); }'),
    }
    for pattern in ("acme/", "acme/**", "**/*.proto", "acme/*.proto"):
        response = ask(files, f"map_imports={pattern}:shared.gen")
        content = next(file.content for file in response.file if file.name == "a_kratos.py")
        assert "from shared.gen.acme import b_errors\nfrom shared.gen.acme.b_pb import B\n" in content
    content = next(file.content for file in ask(files, "map_imports=a/:x").file if file.name == "a_kratos.py")
    assert "from .acme import b_errors\n" in content


def test_answers_are_stable() -> None:
    """The same contract gives the same bytes, in whatever order its files come."""
    descriptors = image(TESTS / "protos")
    names = [file.name for file in descriptors.file if file.name.startswith("fixture/")]

    def answer(seed: int) -> dict[str, str]:
        chance = random.Random(seed)
        shuffled = chance.sample(list(descriptors.file), len(descriptors.file))
        ordered: list[str] = []
        while len(ordered) < len(shuffled):  # still every file after what it imports, as the protocol demands
            ordered += [
                file.name for file in shuffled if file.name not in ordered and {*file.dependency} <= {*ordered}
            ]  # fmt: skip
        by_name = {file.name: file for file in shuffled}
        request = CodeGeneratorRequest(
            file_to_generate=chance.sample(names, len(names)),
            proto_file=[by_name[name] for name in ordered],
            parameter="line_length=120",
        )
        response = CodeGeneratorResponse.from_binary(respond(request.to_binary()))
        assert not response.error
        return {file.name: file.content for file in response.file}

    assert answer(1) == answer(2) == answer(3)


def test_command() -> None:
    """``protoc-gen-kratos`` is a command that speaks protoc's protocol."""
    command = [sys.executable, "-c", "from kratos.tools.codegen.plugin import main; main()"]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("protoc-gen-kratos ")
    answer = subprocess.run(command, input=CodeGeneratorRequest().to_binary(), capture_output=True, check=True)
    response = CodeGeneratorResponse.from_binary(answer.stdout)
    assert response.supported_features == 3
    assert not response.error
