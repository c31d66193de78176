import asyncio, pytest
from kratos.testing.clock import FakeClock
@pytest.fixture
async def thing():
    loop = asyncio.get_running_loop()
    yield loop
    assert asyncio.get_running_loop() is loop
async def test_clock(thing):
    assert thing is asyncio.get_running_loop()
    with FakeClock() as clock:
        t = asyncio.create_task(asyncio.sleep(100))
        await clock.advance(99); assert not t.done()
        await clock.advance(1.1); assert t.done()
