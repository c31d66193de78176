"""The service, tested through its generated client: no port is opened."""

import pytest
from helloworld.gen.helloworld.v1.error_reason_errors import UserNotFound
from helloworld.gen.helloworld.v1.greeter_kratos import GreeterClient
from helloworld.gen.helloworld.v1.greeter_pb import HelloRequest
from helloworld.main import Greeter

from kratos.testing import serve


async def test_greets_by_name() -> None:
    async with serve(Greeter()) as conn:
        reply = await GreeterClient(conn).say_hello(HelloRequest(name="kratos"))
    assert reply.message == "Hello kratos"


async def test_nobody_is_not_found() -> None:
    async with serve(Greeter()) as conn:
        with pytest.raises(UserNotFound) as failure:
            await GreeterClient(conn).say_hello(HelloRequest(name="nobody"))
    assert failure.value.metadata == {"name": "nobody"}
