"""Methods that run in threads: every line must satisfy both checkers. Never run."""

from __future__ import annotations

from typing import assert_type

from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest

from kratos.call import Call
from kratos.service import Service, blocking


class Greeter(GreeterService):
    @blocking
    def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        return HelloReply(message=f"Hello {request.name}")


def reply_to(reply: HelloReply) -> HelloRequest:
    return HelloRequest(name=reply.message)


async def use(greeter: Greeter, call: Call) -> str:
    reply = await greeter.say_hello(HelloRequest(), call)
    reply = await greeter.say_hello(request=reply_to(reply), call=call)
    return assert_type(reply, HelloReply).message


service: Service = Greeter()
