"""Contracts that nobody here wrote: google's, OpenTelemetry's, gRPC's own, etcd's.

Most wheels carry only google-runtime modules; their descriptors are read in a process of their own, because that
runtime has one pool for everything.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from protobuf.wkt import FileDescriptorSet
from protobuf.wkt.google.protobuf.compiler.plugin_pb import CodeGeneratorRequest, CodeGeneratorResponse

from kratos.tools.codegen.plugin import respond
from kratos.tools.codegen.project import Project, generate
from kratos.tools.codegen.protos import MAPPED

# Our contract module, the services in it, and an RPC.
FOREIGN = {
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2": (
        "opentelemetry.proto.collector.trace.v1.trace_service_kratos", "TraceService", 1,
    ),
    "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2": (
        "opentelemetry.proto.collector.metrics.v1.metrics_service_kratos", "MetricsService", 1,
    ),
    "opentelemetry.proto.collector.logs.v1.logs_service_pb2": (
        "opentelemetry.proto.collector.logs.v1.logs_service_kratos", "LogsService", 1,
    ),
    "grpc_health.v1.health_pb2": ("grpc_health.v1.health_kratos", "HealthService", 3),
    "grpc_reflection.v1alpha.reflection_pb2": (
        "grpc_reflection.v1alpha.reflection_kratos", "ServerReflectionService", 1,
    ),
    "etcd3aio.proto.etcd.api.etcdserverpb.rpc_pb2": ("rpc_kratos", "KVService", 5),
}  # fmt: skip

DESCRIPTORS = """
import importlib, sys
from google.protobuf.descriptor_pb2 import FileDescriptorSet
done, files = set(), FileDescriptorSet()
def add(file):
    if file.name in done:
        return
    done.add(file.name)
    for needed in file.dependencies:
        add(needed)
    file.CopyToProto(files.file.add())
for module in sys.argv[1:]:
    add(importlib.import_module(module).DESCRIPTOR)
sys.stdout.buffer.write(files.SerializeToString())
"""

CACHE = Path(__file__).parents[1] / ".kratos" / "mypy"
PLUGIN_PY = "from protoc_gen_py import main; main()"


def descriptors(module: str) -> FileDescriptorSet:
    # Their protobuf is found by the name google.protobuf, ours by protobuf: no clash.
    done = subprocess.run([sys.executable, "-c", DESCRIPTORS, module], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return FileDescriptorSet.from_binary(done.stdout)


def write(out: Path, response: bytes) -> list[str]:
    answer = CodeGeneratorResponse.from_binary(response)
    assert not answer.error, answer.error
    for file in answer.file:
        (out / file.name).parent.mkdir(parents=True, exist_ok=True)
        (out / file.name).write_text(file.content)
    return [file.name for file in answer.file]


def generate_from(module: str, out: Path) -> list[str]:
    files = descriptors(module)
    mine = [file.name for file in files.file if not file.name.startswith(("google/protobuf/", "google/api/"))]
    parameter = ",".join(f"map_imports={folder}/:kratos.wire" for folder in MAPPED)
    request = CodeGeneratorRequest(file_to_generate=mine, parameter=parameter, proto_file=list(files.file))
    messages = subprocess.run(
        [sys.executable, "-c", PLUGIN_PY], input=request.to_binary(), capture_output=True, check=True
    )
    write(out, messages.stdout)
    return write(out, respond(request.to_binary()))


def judge(out: Path, package: str, modules: list[str], length: int = 88) -> None:
    """Imports every module in a fresh process and has mypy and ruff judge them."""
    files = [str(out / module) for module in modules]
    for command in (["format", "--diff"], ["check", "--select=I,E,F,W,UP,ARG,RUF100"]):
        arguments = [*command, "--isolated", "--no-cache", f"--config=line-length={length}", "--target-version=py311"]
        ruff = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, *files], cwd=out, capture_output=True, text=True, check=False
        )
        assert ruff.returncode == 0, ruff.stdout
    (out / "py.typed").touch()
    names = [f"{package}.{module.removesuffix('.py').replace('/', '.')}" for module in modules]
    lines = "\n".join(f"import {name}" for name in names)
    environment = {**os.environ, "PYTHONPATH": str(out.parent), "MYPYPATH": str(out.parent)}
    done = subprocess.run(
        [sys.executable, "-c", lines], cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    checker = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={CACHE}"]
    arguments = [part for name in names for part in ("-m", name)]
    done = subprocess.run(
        [*checker, *arguments], cwd=out.parent, env=environment, capture_output=True, text=True, check=False
    )
    # Messages are the vendor's; whatever is wrong with a service is ours.
    ours = [
        line
        for line in done.stdout.splitlines()
        if ": error:" in line and not line.partition(":")[0].endswith("_pb.py")
    ]
    assert not ours, "\n".join(ours)
    assert done.returncode in (0, 1), done.stdout + done.stderr


@pytest.mark.parametrize("module", FOREIGN)
def test_wheels(tmp_path: Path, module: str) -> None:
    """Services of other people's wheels generate, import and satisfy mypy."""
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        pytest.skip(f"{module} is not installed")
    out = tmp_path / "foreign"
    written = generate_from(module, out)
    judge(out, "foreign", written)
    path, service, rpcs = FOREIGN[module]
    text = next((out / name).read_text() for name in written if name.endswith(f"{path.rpartition('.')[2]}.py"))
    assert f"class {service}(Service):" in text
    assert text.count("raise unimplemented") >= rpcs


def test_google(tmp_path: Path) -> None:
    """Google's own services generate from their .proto files, comments and HTTP rules included."""
    wheel = distribution("googleapis-common-protos")
    for path in ("google/longrunning/operations_proto.proto", "google/cloud/location/locations.proto"):
        (tmp_path / "api" / path).parent.mkdir(parents=True)
        (tmp_path / "api" / path).write_bytes(Path(str(wheel.locate_file(path))).read_bytes())
    project = Project(tmp_path, out="gen", line_length=100)
    generate(project)
    modules = [path.relative_to(tmp_path / "gen").as_posix() for path in (tmp_path / "gen").rglob("*_kratos.py")]
    assert sorted(modules) == [
        "google/cloud/location/locations_kratos.py",
        "google/longrunning/operations_proto_kratos.py",
    ]
    judge(tmp_path / "gen", "gen", modules, 100)
    operations = (tmp_path / "gen" / "google/longrunning/operations_proto_kratos.py").read_text()
    assert 'Http("GET", "/v1/{name=operations/**}")' in operations
    assert all(len(line) <= 100 for line in operations.splitlines())
