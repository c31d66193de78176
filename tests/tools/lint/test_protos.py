"""The rules for protos: which hold, which do not, and for whom."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from kratos.tools.codegen.coded import Span
from kratos.tools.codegen.project import Project
from kratos.tools.lint.families import check

EXAMPLE = Path(__file__).parents[3] / "examples" / "helloworld"


def project(root: Path, text: str, name: str = "a/v1/a.proto") -> Project:
    path = root / "api" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    return Project(root, out="gen")


def rules(root: Path, text: str) -> list[tuple[int, str]]:
    head = 'syntax = "proto3"; package a.v1; ' + ('import "errors/errors.proto"; ' if "(errors." in text else "")
    return [(found.line, found.rule) for found in check(project(root, head + dedent(text)))]


def test_example() -> None:
    """The example is clean."""
    assert check(Project.load(EXAMPLE)) == []


def test_conventions_of_kratos(tmp_path: Path) -> None:
    """Services without a suffix, replies that are called so, messages that are shared: all fine."""
    text = """\
        service Greeter {
          rpc SayHello(HelloRequest) returns (HelloReply);
          rpc SayBye(HelloRequest) returns (HelloReply);
        }
        message HelloRequest {}
        message HelloReply {}
    """
    assert rules(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("message a {}", "MESSAGE_PASCAL_CASE"),
        ("message A { string Name = 1; }", "FIELD_LOWER_SNAKE_CASE"),
        ("service S { rpc get(A) returns (A); } message A {}", "RPC_PASCAL_CASE"),
        ("enum E { E_ONE = 0; }", "ENUM_ZERO_VALUE_SUFFIX"),
        ("enum E { E_UNSPECIFIED = 0; ONE = 1; }", "ENUM_VALUE_PREFIX"),
    ],
)
def test_standard(tmp_path: Path, text: str, rule: str) -> None:
    """What else buf's standard says holds."""
    assert (1, rule) in rules(tmp_path, text)


def test_error_reasons(tmp_path: Path) -> None:
    """Values of enums with codes have no prefix, wherever these stand and however they are coded; others do."""
    text = """\
        enum Reason { REASON_UNSPECIFIED = 0; NOBODY = 1 [(errors.code) = 404]; }
        enum All { option (errors.default_code) = 500;
          ALL_UNSPECIFIED = 0;
          BROKEN = 1;
        } enum Plain { PLAIN_UNSPECIFIED = 0; ODD = 1; }
        message Outer { message Inner { enum In { IN_UNSPECIFIED = 0; LOST = 1 [(errors.code) = 404]; } } }
        enum Later { LATER_UNSPECIFIED = 0; EVEN = 1; }
    """
    assert rules(tmp_path, text) == [(5, "ENUM_VALUE_PREFIX"), (7, "ENUM_VALUE_PREFIX")]


def test_name_alone_excuses_nothing(tmp_path: Path) -> None:
    """An enum that is called like one of errors and has no codes is an ordinary one."""
    assert rules(tmp_path, "enum ErrorReason { ERROR_REASON_UNSPECIFIED = 0; NOBODY = 1; }") == [
        (1, "ENUM_VALUE_PREFIX")
    ]


def test_exceptions(tmp_path: Path) -> None:
    """A comment makes an exception for one declaration."""
    text = """\

        enum E {
          E_UNSPECIFIED = 0;
          // buf:lint:ignore ENUM_VALUE_PREFIX
          ONE = 1;
          TWO = 2;
        }
    """
    assert rules(tmp_path, text) == [(6, "ENUM_VALUE_PREFIX")]


def test_places(tmp_path: Path) -> None:
    """Findings are sorted, have places, and say what would be right; nothing is left in the project."""
    project(tmp_path, 'syntax = "proto3";\npackage b.v1;\nmessage b {}\n', "b/v1/b.proto")
    target = project(tmp_path, 'syntax = "proto3";\npackage a.v1;\nmessage A {\n  string B = 1;\n}\n')
    found = check(target)
    assert [(each.path, each.line, each.column) for each in found] == [
        ("api/a/v1/a.proto", 4, 10),
        ("api/b/v1/b.proto", 3, 9),
    ]
    assert '"b"' in found[0].message
    assert {path.name for path in tmp_path.iterdir()} == {"api"}


def test_does_not_compile(tmp_path: Path) -> None:
    """What does not compile breaks one rule, and the code is judged all the same."""
    target = project(tmp_path, 'syntax = "proto3";\npackage a.v1;\nmessage A { Nope x = 1; }\n')
    (tmp_path / "main.py").write_text("def f(a=[]): ...\n")
    assert [(found.path, found.line, found.rule) for found in check(target)] == [
        ("api/a/v1/a.proto", 3, "COMPILE"),
        ("main.py", 1, "KRY212"),
    ]


def test_no_protos(tmp_path: Path) -> None:
    """Nothing to judge is nothing wrong."""
    (tmp_path / "api").mkdir()
    assert check(Project(tmp_path, out="gen")) == []


def test_spans() -> None:
    """A span begins at its start and has ended at its end."""
    span = Span("a", (2, 3), (4, 2))
    assert ("a", 2, 3) in span
    assert ("a", 4, 1) in span
    assert ("a", 2, 2) not in span
    assert ("a", 4, 2) not in span
    assert ("b", 3, 1) not in span
