"""The greeter on grpc.aio with OpenTelemetry's instrumentation."""

from __future__ import annotations

import uvloop
from grpc_aio import main
from opentelemetry.instrumentation.grpc import aio_server_interceptor
from spans import provider

uvloop.run(main(aio_server_interceptor(tracer_provider=provider())))
