"""Who may see whom: the floors, the vendors' rooms, the facade rule, the weight of an import."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

from arch.contracts import CONTRACTS
from arch.tree import SRC, Module, modules

DECLARED = [contract["name"] for contract in tomllib.loads(CONTRACTS.read_text())["tool"]["importlinter"]["contracts"]]

VOCABULARY = ("errors", "metadata", "live", "version", "lazy", "operation", "call", "handler", "service")
BEFORE_INSTALLATION = ("failure", "codegen.buf", "codegen.protos")
VENDORS = (
    "protobuf", "google", "grpc", "pygrpc_native", "uvicorn", "httptools", "uvloop", "websockets", "h11", "aiohttp",
    "yaml", "opentelemetry", "prometheus_client", "protovalidate", "msgpack", "multipart", "structlog",
    "sentry_sdk", "redis",
    "click", "jinja2", "watchfiles", "pytest",
)  # fmt: skip

# The house as it will stand: enough modules for every contract to have something to say.
HOUSE = (
    "version", "lazy", "blame", "cookies", "masking", "pathtemplate", "errors", "metadata", "live", "operation", "call",
    "handler", "service",
    "wire.google", "wire.etcd.rpc", "metrics.base", "metrics.prometheus", "metrics.noop", "codec.base",
    "codec.messages", "codec.yaml", "codec.multipart",
    "registry.base", "registry.supervisor", "cache.base", "cache.layer", "cache.memory", "config.base",
    "config.file",
    "log.fields", "openapi.document", "selector.base", "selector.p2c", "resilience.base", "resilience.sre", "app",
    "middleware.recovery", "middleware.tracing", "middleware.retry", "transport.client", "transport.dispatch",
    "transport.resolve", "transport.channel", "transport.target", "transport.deadline", "transport.pipe",
    "transport.listen", "transport.http.server", "transport.http.edge", "transport.grpc.server",
    "transport.grpc.channel", "admin.server", "workers", "testing.clock", "testing.plugin", "contrib.etcd",
    "contrib.consul", "contrib.memcached", "contrib.otel", "contrib.protovalidate", "contrib.sentry",
    "contrib.structlog", "contrib.zookeeper", "tools.cli.main", "tools.codegen.plugin",
    "tools.lint.rules", "tools.scaffold.render", "tools.reload.watch", "tools.failure",
)  # fmt: skip

# importing module, what it imports, the contract that must say no
VIOLATIONS = [
    ("errors", "kratos.metadata", "The house stands on its floors"),
    ("errors", "kratos.call", "The house stands on its floors"),
    ("call", "kratos.handler", "The house stands on its floors"),
    ("metrics.base", "kratos.codec.base", "The house stands on its floors"),
    ("registry.base", "kratos.codec.base", "The house stands on its floors"),
    ("middleware.recovery", "kratos.transport.client", "The house stands on its floors"),
    ("transport.client", "kratos.middleware.recovery", "The house stands on its floors"),
    ("app", "kratos.transport.http.server", "The app knows no transport"),
    ("app", "kratos.middleware.recovery", None),
    ("middleware.retry", "kratos.app", "The house stands on its floors"),
    ("testing.clock", "kratos.contrib.etcd", "The house stands on its floors"),
    ("utils", "kratos.errors", "The house stands on its floors"),
    ("transport.http.server", "kratos.transport.grpc.server", "HTTP and gRPC share a trunk and never meet"),
    ("transport.dispatch", "kratos.transport.http.edge", "HTTP and gRPC share a trunk and never meet"),
    ("transport.client", "kratos.transport.dispatch", "HTTP and gRPC share a trunk and never meet"),
    ("transport.resolve", "kratos.transport.client", "HTTP and gRPC share a trunk and never meet"),
    ("transport.stray", "kratos.errors", "HTTP and gRPC share a trunk and never meet"),
    ("tools.codegen.plugin", "kratos.tools.cli.main", "The command line drives the tools"),
    ("tools.scaffold.render", "kratos.tools.reload.watch", "The command line drives the tools"),
    ("middleware.retry", "kratos.middleware.recovery", "Middleware are independent"),
    ("tools.lint.rules", "kratos.app", "Writers of text do not ride on the runtime"),
    ("contrib.etcd", "kratos.app", "Drivers see seams and client facades"),
    ("contrib.etcd", "kratos.contrib.consul", "Drivers are independent"),
    ("wire.etcd.rpc", "kratos.service", None),
    ("wire.etcd.rpc", "kratos.handler", "The house stands on its floors"),
    ("contrib.etcd", "kratos.wire.etcd.rpc", None),
    ("contrib.consul", "kratos.wire.etcd.rpc", "What only a driver speaks is for that driver"),
    ("contrib.etcd", "grpc", "gRPC libraries stay under transport/grpc"),
    ("transport.http.edge", "grpc", "gRPC libraries stay under transport/grpc"),
    ("transport.grpc.server", "pygrpc_native", None),
    ("middleware.retry", "pygrpc_native", "gRPC libraries stay under transport/grpc"),
    ("transport.http.server", "uvicorn", None),
    ("admin.server", "uvicorn", "HTTP libraries stay under transport/http"),
    ("contrib.consul", "aiohttp", "HTTP libraries stay under transport/http"),
    ("codec.messages", "protobuf", None),
    ("transport.dispatch", "protobuf", "Messages are reflected on in few places"),
    ("codec.messages", "google.protobuf", "Google's message runtime is only ever a guest's"),
    ("middleware.tracing", "opentelemetry.trace", None),
    ("middleware.retry", "opentelemetry.trace", "OpenTelemetry stays in tracing and its driver"),
    ("metrics.noop", "prometheus_client", "Prometheus stays in its meter"),
    ("middleware.retry", "protovalidate", "protovalidate stays in its driver"),
    ("contrib.protovalidate", "protovalidate", None),
    ("contrib.protovalidate", "msgpack", "MessagePack stays in its drivers"),
    ("contrib.memcached", "redis", "redis-py stays in its driver"),
    ("cache.layer", "kratos.registry.base", "The house stands on its floors"),
    ("contrib.sentry", "structlog", "structlog stays in its driver"),
    ("contrib.structlog", "sentry_sdk", "Sentry stays in its driver"),
    ("contrib.etcd", "kazoo", "kazoo stays in its driver"),
    ("contrib.zookeeper", "kazoo", None),
    ("codec.form", "multipart", "multipart stays in its codec"),
    ("codec.multipart", "multipart", None),
    ("log.fields", "yaml", "YAML stays in the codec and in configuration"),
    ("transport.grpc.channel", "uvloop", "Whoever runs the program chooses its event loop"),
    ("config.file", "watchfiles", "Tools of developers stay with the tools"),
    ("app", "pytest", "pytest stays in testing"),
]


def lint(src: Path) -> subprocess.CompletedProcess[str]:
    """Runs the contracts on a source tree, in a process that knows no other ``kratos``."""
    return subprocess.run(
        [sys.executable, "-P", Path(__file__).with_name("contracts.py"), src],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "COLUMNS": "240"},
    )  # fmt: skip


def plant(src: Path, module: str, line: str = "") -> None:
    """Adds a line to a module, which it makes if need be, with its packages."""
    path = src / "kratos" / Path(*module.split("."))
    for package in path.parents:
        if package == src:
            break
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()
    if path.is_dir():
        path /= "__init__"
    with path.with_suffix(".py").open("a") as file:
        file.write(line + "\n")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for module in HOUSE:
        plant(tmp_path, module)
    return tmp_path


def test_contracts_hold() -> None:
    """The source tree keeps every import contract."""
    done = lint(SRC)
    assert done.returncode == 0, done.stdout + done.stderr


def test_contracts_hold_for_the_whole_house(house: Path) -> None:
    """A house with every room keeps the contracts, so no contract is wrong about a name or contradicts another."""
    done = lint(house)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("importer", "imported", "contract"), VIOLATIONS)
def test_contracts_bite(house: Path, importer: str, imported: str, contract: str | None) -> None:
    """A planted violation breaks the contract meant for it; what is allowed breaks none."""
    plant(house, importer, f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {imported}")
    done = lint(house)
    if contract is None:
        assert done.returncode == 0, done.stdout
    else:
        assert done.returncode == 1, done.stdout + done.stderr
        assert f"{contract} BROKEN" in done.stdout


def test_every_contract_is_seen_to_bite() -> None:
    """Each declared contract has a planted violation; acyclic siblings has one of its own below."""
    assert set(DECLARED) - {contract for _, _, contract in VIOLATIONS} == {"No cycles among siblings"}


def test_cycles_bite(house: Path) -> None:
    """Two rooms of one floor that import each other are a cycle."""
    plant(house, "registry.base", "import kratos.registry.supervisor")
    plant(house, "registry.supervisor", "import kratos.registry.base")
    done = lint(house)
    assert done.returncode == 1
    assert "No cycles among siblings BROKEN" in done.stdout


def facade_violations(found: list[Module]) -> list[str]:
    """Returns the imports of a module's own ancestor packages, whose facades are for users."""
    return [
        f"{module.name} imports its own ancestor {imported}"
        for module in found
        for imported in module.imports()
        if module.name.startswith(f"{imported}.")
    ]


def test_facades_are_for_users() -> None:
    """No module imports one of its own ancestor packages."""
    assert not facade_violations(modules())


@pytest.mark.parametrize(
    "line", ["import kratos.selector", "from kratos import selector, app", "from . import base", "from .. import app"]
)
def test_facade_rule_bites(house: Path, line: str) -> None:
    """Absolute and relative imports of an ancestor are found."""
    plant(house, "selector.p2c", line)
    assert len(facade_violations(modules(house))) == 1


def test_foundations_reach_no_third_party() -> None:
    """The vocabulary, and what the build hook runs before installation, stand on the standard library alone."""
    graph = grimp.build_graph("kratos", include_external_packages=True, cache_dir=None)
    names = [f"kratos.{name}" for name in VOCABULARY]
    names += [f"kratos.tools.{name}" for name in BEFORE_INSTALLATION]
    strangers = {
        f"{name} -> {upstream}"
        for name in names
        for upstream in graph.find_upstream_modules(name)
        if upstream.split(".")[0] not in sys.stdlib_module_names | {"kratos"}
    }
    assert not strangers


def loaded(statement: str) -> set[str]:
    """Returns the modules that a statement loads beyond asyncio's own, in a fresh interpreter."""
    script = f"import asyncio, sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize("statement", ["import kratos", *(f"import kratos.{name}" for name in VOCABULARY)])
def test_import_weight(statement: str) -> None:
    """Importing the library or a word of it loads no vendor and at most 60 modules beyond asyncio's own."""
    new = loaded(statement)
    assert not {name for name in new if name.split(".")[0] in VENDORS}
    assert len(new) <= 60, f"{statement} loads {len(new)} modules: {sorted(new)}"


def test_a_word_does_not_load_the_house() -> None:
    """``import kratos.errors`` loads neither App nor any other room."""
    new = {name for name in loaded("import kratos.errors") if name.startswith("kratos")}
    assert new <= {"kratos", "kratos.lazy", "kratos.version", "kratos.errors"}
