"""``kratos call``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

import click
from click.shell_completion import CompletionItem

from kratos.tools.calling.operations import complete, find, names
from kratos.tools.cli.target import current
from kratos.tools.codegen.project import Project
from kratos.tools.failure import FAILED, USAGE, Failure

__all__ = ["command"]

_RESERVED: Final = {
    **dict.fromkeys(("accept", "connection", "content-length", "content-type", "host", "te", "transfer-encoding"), ""),
    "x-request-timeout": "; use --timeout",
}
_PEM: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


def _completed(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        project = _project(ctx.params.get("project"))
        return [CompletionItem(name) for name in complete(names(project), incomplete)]
    except Failure:  # a shell has no place for it
        return []


def _limit(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Takes what a call can be done in; click's own type for ranges spells them out in the help."""
    if value is not None and not value > 0:
        raise click.BadParameter(f"{value:g} is no time to do a call in", ctx, param)
    return value


@click.command
@click.argument("target")
@click.argument("operation", shell_complete=_completed)
@click.argument("request_json", metavar="[JSON]", required=False)
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send a header; may be repeated."
)
@click.option("--timeout", type=float, callback=_limit, metavar="SECONDS",
              help="How long the call may take: 10 unless it is a stream.")  # fmt: skip
@click.option("--http", "kind", flag_value="http", help="Call over HTTP, where TARGET does not say.")
@click.option("--grpc", "kind", flag_value="grpc", help="Call over gRPC, where TARGET does not say.")
@click.option("--ca", type=_PEM, metavar="FILE", help="Trust the authorities in a PEM file; the call goes over TLS.")
@click.option("--cert", type=_PEM, metavar="FILE", help="Show a certificate of ours, from a PEM file.")
@click.option("--key", type=_PEM, metavar="FILE", help="Its private key.")
@click.option("-v", "--verbose", is_flag=True, help="Show request line, time, headers and trailers.")
@click.option("--json", "as_json", is_flag=True, help="One line for each reply; an error is JSON on stderr.")
@click.option("--project", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
              help="The project whose generated code knows the operation.")  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context,
    *,
    target: str,
    operation: str,
    request_json: str | None,
    headers: tuple[str, ...],
    timeout: float | None,
    kind: Literal["http", "grpc"] | None,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    verbose: bool,
    as_json: bool,
    project: Path | None,
) -> None:
    """Call an operation of a running service.

    TARGET is http://host:port, https://host:port, grpc://host:port or http+unix:/path. OPERATION is a name such as
    helloworld.v1.Greeter/SayHello, or the end of it. JSON is the request; @FILE reads a file, - reads stdin. A stream
    takes one value after the other, and sends each as soon as it is there.
    """
    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key go together")
    pairs = [_header(each) for each in headers]
    known = names(home := _project(project))
    if not known:
        raise Failure(f"there are no operations in {home.root / home.out}", hint="kratos generate", code=USAGE)
    chosen = find(known, operation)
    from kratos.tools.cli.calling import Order, carry_out  # noqa: PLC0415 - loads the runtime

    order = Order(
        project=home,
        target=target,
        kind=kind,
        ca=ca,
        cert=cert,
        key=key,
        operation=chosen,
        request=request_json,
        headers=pairs,
        timeout=timeout,
        verbose=verbose,
        as_json=as_json,
    )
    if not carry_out(order):
        ctx.exit(FAILED)


def _project(folder: Path | None) -> Project:
    project = current() if folder is None else Project.find(folder)
    if project is None:
        raise Failure(f"{folder} is not in a project: no pyproject.toml there has a [tool.kratos] table", code=USAGE)
    return project


def _header(text: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(text)
    if found is None:
        raise click.UsageError(f"{text!r} is no header, such as 'x-md-global-tenant: t1'")
    name = found[1].lower()
    if name in _RESERVED or name.startswith("grpc-"):
        raise click.UsageError(f"{name} is not sent as a header: the transport says it" + _RESERVED.get(name, ""))
    return name, found[2]
