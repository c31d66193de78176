"""The pytest plugin, run by pytest itself on small test files."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def run(pytester: pytest.Pytester):
    """Runs a test file, with warnings as errors and without plugins that other people may have installed."""

    def go(source: str, *args: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        others = ["-p", "no:asyncio", "-p", "no:anyio"]
        return pytester.runpytest_inprocess("-W", "error", "-p", "no:cacheprovider", *others, *args)

    return go


def test_async_tests_run(run) -> None:
    """An async test passes or fails by what it does, methods and parametrised ones too, beside plain ones."""
    result = run("""
        import asyncio, pytest

        async def test_passes():
            await asyncio.sleep(0)

        async def test_fails():
            await asyncio.sleep(0)
            assert 1 == 2

        class TestClass:
            async def test_method(self, tmp_path):
                assert tmp_path.is_dir()

        @pytest.mark.parametrize("number", [1, 2])
        async def test_parametrised(number):
            assert number == 1

        def test_plain():
            pass
    """)
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(["*assert 1 == 2*", "*assert 2 == 1*"])


def test_fixtures_wrap_the_test(run) -> None:
    """Async fixtures are set up in the order asked for and torn down in reverse, on the loop of the test."""
    result = run(
        """
        import asyncio, pytest

        loops = set()

        def note(text):
            loops.add(asyncio.get_running_loop())
            print("NOTE", text)

        @pytest.fixture
        async def first():
            note("first up")
            yield 1
            note("first down")

        @pytest.fixture
        async def second(first):
            await asyncio.sleep(0)
            note("second up")
            yield first + 1
            await asyncio.sleep(0)
            note("second down")

        @pytest.fixture
        async def value(second):
            note("value")
            return second + 1

        @pytest.fixture
        def plain(second):
            return second

        async def test_it(first, second, value, plain):
            note("test")
            assert (first, second, value, plain) == (1, 2, 3, 2)

        def test_one_loop():
            assert len(loops) == 1
        """,
        "-s",
    )
    result.assert_outcomes(passed=2)
    notes = [line.partition("NOTE ")[2] for line in result.stdout.lines if "NOTE" in line]
    assert notes == ["first up", "second up", "value", "test", "second down", "first down"]


def test_each_test_has_its_own_loop(run) -> None:
    """No loop outlives its test, and what a test leaves running is cancelled with it."""
    result = run("""
        import asyncio

        seen = []

        async def forever():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        async def test_one():
            seen.append(asyncio.get_running_loop())
            seen.append(asyncio.create_task(forever()))
            await asyncio.sleep(0)

        async def test_two():
            assert asyncio.get_running_loop() is not seen[0]
            assert seen[0].is_closed()
            assert seen[2] == "cancelled"
    """)
    result.assert_outcomes(passed=2)


def test_fixtures_in_classes_are_of_the_test(run) -> None:
    """What an async fixture of a class leaves in ``self``, its test finds there, and no other test does."""
    result = run("""
        import pytest

        class Base:
            @pytest.fixture
            async def opened(self):
                assert not vars(self)
                self.open = True
                yield
                assert self.open

        class TestClass(Base):
            async def test_first(self, opened):
                assert self.open

            async def test_second(self, opened):
                assert self.open

            async def test_without(self):
                assert not vars(self)
        """)
    result.assert_outcomes(passed=3)


def test_async_fixtures_serve_plain_tests(run) -> None:
    """A plain test may use async fixtures; parametrised fixtures work as well."""
    result = run("""
        import pytest

        @pytest.fixture(params=["a", "b"])
        async def value(request):
            yield request.param * 2

        def test_plain(value):
            assert value in ("aa", "bb")
    """)
    result.assert_outcomes(passed=2)


def test_context_is_shared(run) -> None:
    """What a fixture sets in a context variable, the test sees, and other tests do not."""
    result = run("""
        import contextvars, pytest

        variable = contextvars.ContextVar("variable", default="none")

        @pytest.fixture
        async def outer():
            token = variable.set("fixture")
            yield
            assert variable.get() == "test"
            variable.reset(token)

        async def test_sees_it(outer):
            assert variable.get() == "fixture"
            variable.set("test")

        async def test_is_apart():
            assert variable.get() == "none"
    """)
    result.assert_outcomes(passed=2)


def test_failing_set_up(run) -> None:
    """A fixture that fails is an error of the test, and the fixtures before it are torn down."""
    result = run(
        """
        import pytest

        @pytest.fixture
        async def first():
            yield
            print("NOTE first down")

        @pytest.fixture
        async def broken(first):
            raise LookupError("in set-up")
            yield

        async def test_it(broken):
            pass

        async def test_after():
            pass
        """,
        "-s",
    )
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["*NOTE first down*", "*LookupError: in set-up*"])


def test_failing_tear_down(run) -> None:
    """A fixture that fails in tear-down is an error, and the loop is closed all the same."""
    result = run("""
        import asyncio, pytest

        loops = []

        @pytest.fixture
        async def broken():
            loops.append(asyncio.get_running_loop())
            yield
            raise LookupError("in tear-down")

        async def test_it(broken):
            pass

        def test_after():
            assert loops[0].is_closed()
    """)
    result.assert_outcomes(errors=1, passed=2)
    result.stdout.fnmatch_lines(["*LookupError: in tear-down*"])


def test_yielding_twice(run) -> None:
    """A fixture that yields twice is an error and gets to clean up."""
    result = run(
        """
        import pytest

        @pytest.fixture
        async def twice():
            try:
                yield 1
                yield 2
            finally:
                print("NOTE cleaned up")

        async def test_it(twice):
            assert twice == 1
        """,
        "-s",
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*NOTE cleaned up*", "*RuntimeError: an async fixture must yield exactly once*"])


@pytest.mark.parametrize("scope", ["class", "module", "session"])
def test_wider_scopes_are_refused(run, scope: str) -> None:
    """A fixture that would outlive the loop of a test is refused with a reason."""
    result = run(f"""
        import pytest

        @pytest.fixture(scope="{scope}")
        async def wide():
            return 1

        async def test_it(wide):
            pass
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*async fixture 'wide' has scope '{scope}'*need scope='function'*"])


OTHER = """
    import asyncio, inspect, pytest

    class Other:
        # Takes everything, or what asks for one fixture, as plugins do: by swapping the fixture's function.
        name = None

        def wanted(self, names):
            return self.name is None or self.name in names

        @pytest.hookimpl(tryfirst=True)
        def pytest_fixture_setup(self, fixturedef, request):
            if self.wanted(request.fixturenames) and inspect.iscoroutinefunction(fixturedef.func):
                vars(fixturedef)["func"] = lambda: "theirs"

        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(self, pyfuncitem):
            if self.wanted(pyfuncitem.fixturenames) and inspect.iscoroutinefunction(pyfuncitem.obj):
                print("NOTE theirs")
                asyncio.run(pyfuncitem.obj(pyfuncitem.funcargs["value"]))
                return True
"""


def test_steps_aside_for_pytest_asyncio(run, pytester: pytest.Pytester) -> None:
    """Where a plugin called ``asyncio`` runs async tests, this one leaves tests and fixtures of any scope to it."""
    pytester.makeconftest(f"""{OTHER}
    def pytest_configure(config):
        config.pluginmanager.unblock("asyncio")
        config.pluginmanager.register(Other(), "asyncio")
    """)
    result = run(
        """
        import pytest

        @pytest.fixture(scope="module")
        async def value():
            return "ours"

        async def test_it(value):
            assert value == "theirs"
        """,
        "-s",
    )
    result.assert_outcomes(passed=1)
    assert result.stdout.str().count("NOTE theirs") == 1


def test_steps_aside_for_anyio(run, pytester: pytest.Pytester) -> None:
    """A test that asks for anyio's backend is anyio's, its async fixtures too; the others stay ours."""
    pytester.makeconftest(f"""{OTHER}
    def pytest_configure(config):
        Other.name = "anyio_backend"
        config.pluginmanager.register(Other(), "other")
    """)
    result = run(
        """
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.fixture
        async def value():
            return "ours"

        async def test_ours(value):
            assert value == "ours"

        @pytest.mark.usefixtures("anyio_backend")
        async def test_theirs(value):
            assert value == "theirs"
        """,
        "-s",
    )
    result.assert_outcomes(passed=2)
    assert result.stdout.str().count("NOTE theirs") == 1


def test_debugging_stops_where_it_failed(run) -> None:
    """The traceback of a failed async test shows the test's own line, with its values."""
    result = run("""
        async def test_it():
            value = 41
            assert value + 1 == 43
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert value + 1 == 43*", "*assert (41 + 1) == 43*"])
