"""The same greeter on Starlette. It has no types: an order is JSON that is read and written, unchecked."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from uvicorned import serve


async def say_hello(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello {request.path_params['name']}"})


async def place(request: Request) -> JSONResponse:
    return JSONResponse(await request.json())


if __name__ == "__main__":
    serve(Starlette(routes=[Route("/helloworld/{name}", say_hello), Route("/orders", place, methods=["POST"])]))
