"""Drafts a ``.proto`` file: a resource, and the five RPCs by which it is created, changed, deleted, read and listed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kratos.tools.codegen.names import snake
from kratos.tools.codegen.project import Project
from kratos.tools.failure import USAGE, Failure

__all__ = ["Place", "camel", "draft", "place", "plural"]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VERSION = re.compile(r"v\d+\w*")
_EXAMPLE = "kratos proto add shop/v1/order.proto"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new proto goes.

    Attributes:
        path: The file.
        package: Its package: the folders below the proto root.
        stem: Its name without ``.proto``.
        moved: Whether it goes to another folder than the one that was typed.
    """

    path: Path
    package: str
    stem: str
    moved: bool


def place(project: Project, typed: Path, cwd: Path) -> Place:
    """Finds out where a new proto goes: where it was typed, if that is in a proto root, else below the first root.

    Args:
        project: Whose proto it will be.
        typed: What was typed.
        cwd: The folder in which it was typed.

    Raises:
        Failure: No proto can have this path.
    """
    if typed.suffix != ".proto":
        raise Failure(f"{typed} is not the name of a proto: it ends in .proto", hint=_EXAMPLE, code=USAGE)
    roots = [Path(os.path.abspath(project.root / folder)) for folder in project.protos]
    path = Path(os.path.abspath(cwd / typed))
    root = next((root for root in roots if path.is_relative_to(root)), None)
    moved = root is None
    if root is None:
        root = roots[0]
        path = Path(os.path.abspath(root / typed))
        if not path.is_relative_to(root):
            raise Failure(f"{typed} is in no proto root of {project.root}: {', '.join(project.protos)}", code=USAGE)
    below = path.relative_to(root)
    folders = below.parts[:-1]
    if not folders:
        raise Failure(f"{typed} needs a folder, which becomes its package", hint=_EXAMPLE, code=USAGE)
    for folder in folders:
        if not _IDENTIFIER.fullmatch(folder):
            raise Failure(f"{folder!r} cannot be part of a package: letters, digits and _ can", code=USAGE)
    if not _IDENTIFIER.fullmatch(camel(below.stem)):
        raise Failure(f"no service can be called after {below.name!r}", hint=_EXAMPLE, code=USAGE)
    return Place(path, ".".join(folders), below.stem, moved)


def camel(stem: str) -> str:
    """Returns a file's name as that of a service.

    Example:
        >>> camel("hello_world"), camel("hello-world"), camel("www_Google_com"), camel("wwwBaidu_com")
        ('HelloWorld', 'HelloWorld', 'WwwGoogleCom', 'WwwBaiduCom')
    """
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[-_. ]+", stem))


def plural(name: str) -> str:
    """Returns the plural of an English noun, or of what ends in one.

    Example:
        >>> plural("Order"), plural("Category"), plural("Box"), plural("Key")
        ('Orders', 'Categories', 'Boxes', 'Keys')
    """
    if re.search(r"[^aeiou]y$", name):
        return f"{name[:-1]}ies"
    return f"{name}es" if re.search(r"(s|x|z|ch|sh)$", name) else f"{name}s"


def draft(package: str, stem: str) -> str:
    """Returns the text of a proto.

    Args:
        package: Its package; a version at its end begins the paths.
        stem: The name of the file, from which all other names come.
    """
    said = camel(stem)
    noun = said.removesuffix("Service") or said
    version = PurePosixPath(package.replace(".", "/")).name
    things = snake(plural(noun))
    return _DRAFT.format(
        package=package,
        service=f"{noun}Service",
        noun=noun,
        nouns=plural(noun),
        field=snake(noun),
        fields=things,
        a=f"{'an' if noun[0] in 'AEIOU' else 'a'} {snake(noun).replace('_', ' ')}",
        many=things.replace("_", " "),
        path=("/" + version if _VERSION.fullmatch(version) else "") + "/" + things.replace("_", "-"),
    )


_DRAFT = """\
syntax = "proto3";

package {package};

import "google/api/annotations.proto";

// Keeps {many}.
service {service} {{
  // Creates {a}.
  rpc Create{noun}(Create{noun}Request) returns (Create{noun}Reply) {{
    option (google.api.http) = {{
      post: "{path}"
      body: "*"
    }};
  }}
  // Changes {a}.
  rpc Update{noun}(Update{noun}Request) returns (Update{noun}Reply) {{
    option (google.api.http) = {{
      put: "{path}/{{id}}"
      body: "*"
    }};
  }}
  // Deletes {a}.
  rpc Delete{noun}(Delete{noun}Request) returns (Delete{noun}Reply) {{
    option (google.api.http) = {{delete: "{path}/{{id}}"}};
  }}
  // Returns {a}.
  rpc Get{noun}(Get{noun}Request) returns (Get{noun}Reply) {{
    option (google.api.http) = {{get: "{path}/{{id}}"}};
  }}
  // Returns {many}, page by page.
  rpc List{nouns}(List{nouns}Request) returns (List{nouns}Reply) {{
    option (google.api.http) = {{get: "{path}"}};
  }}
}}

// What is kept.
message {noun} {{
  // Assigned when it is created; it never changes.
  string id = 1;
  // What people call it.
  string name = 2;
}}

// What is to be created.
message Create{noun}Request {{
  string name = 1;
}}

// What was created.
message Create{noun}Reply {{
  {noun} {field} = 1;
}}

// What is to be changed, and to what.
message Update{noun}Request {{
  string id = 1;
  string name = 2;
}}

// What it is after the change.
message Update{noun}Reply {{
  {noun} {field} = 1;
}}

// What is to be deleted.
message Delete{noun}Request {{
  string id = 1;
}}

// It is gone.
message Delete{noun}Reply {{}}

// What is asked for.
message Get{noun}Request {{
  string id = 1;
}}

// What was asked for.
message Get{noun}Reply {{
  {noun} {field} = 1;
}}

// Which page is asked for.
message List{nouns}Request {{
  // How many to return at most; 0 lets the server choose.
  int32 page_size = 1;
  // next_page_token of the page before; empty for the first page.
  string page_token = 2;
}}

// One page.
message List{nouns}Reply {{
  repeated {noun} {fields} = 1;
  // Empty on the last page.
  string next_page_token = 2;
}}
"""
