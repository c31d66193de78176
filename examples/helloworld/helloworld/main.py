"""The service and the app."""

from kratos import AdminServer, App, Call, GRPCServer, HTTPServer
from kratos.registry import embedded

from .gen.helloworld.v1.error_reason_errors import UserNotFound
from .gen.helloworld.v1.greeter_kratos import GreeterService
from .gen.helloworld.v1.greeter_pb import HelloReply, HelloRequest


class Greeter(GreeterService):
    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        if request.name == "nobody":
            raise UserNotFound("who?", metadata={"name": request.name})
        return HelloReply(message=f"Hello {request.name}")


app = App(
    name="helloworld",
    version="1.0.0",
    services=[Greeter()],
    servers=[HTTPServer("127.0.0.1:8000"), GRPCServer("127.0.0.1:9000"), AdminServer("127.0.0.1:9100")],
    registrar=embedded(),
)
