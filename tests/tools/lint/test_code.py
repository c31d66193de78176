"""The rules for Python, one by one: what breaks them, and what looks as if."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from kratos.tools.codegen.project import Project
from kratos.tools.lint.families import check
from kratos.tools.lint.repair import edited, repair


def judged(root: Path, text: str, name: str = "app/main.py") -> list[tuple[int, str]]:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    (root / "api").mkdir(exist_ok=True)
    return [(found.line, found.rule) for found in check(Project(root, out="app/gen"))]


@pytest.mark.parametrize(
    "text",
    [
        "import time\ndef f():\n    time.sleep(1)",
        "import time\nasync def f():\n    def g():\n        time.sleep(1)\n    return g",
        "import time\nasync def f():\n    return lambda: time.sleep(1)",
        "import asyncio, time\nasync def f():\n    await asyncio.to_thread(time.sleep, 1)",
        "async def f(time):\n    time.sleep(1)",
        "import time\n@time.sleep(1)\nasync def f(): ...",
        "from mine import input\nasync def f():\n    input()",
    ],
)
def test_not_blocking(tmp_path: Path, text: str) -> None:
    """What does not run in the event loop, or is not what it is called, blocks nothing."""
    assert judged(tmp_path, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "from time import sleep\nasync def f():\n    sleep(1)",
        "import time as t\nasync def f():\n    t.sleep(1)",
        "import requests\nasync def f():\n    requests.get('x', timeout=1)",
        "async def f():\n\n    input()",
    ],
)
def test_blocking(tmp_path: Path, text: str) -> None:
    """By whatever name."""
    assert judged(tmp_path, text) == [(3, "KRY203")]


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nasync def f():\n    task = asyncio.create_task(g())\n    await task",
        "import asyncio\nasync def f():\n    async with asyncio.TaskGroup() as group:\n        group.create_task(g())",
        "import asyncio\nasync def f(tasks):\n    tasks.add(asyncio.create_task(g()))",
        "import asyncio\nasync def f():\n    await asyncio.gather(g(), h())",
        "import asyncio\nasync def f():\n    both = asyncio.gather(g(), h())\n    await both",
        "from mine import gather\nasync def f():\n    gather(g())",
    ],
)
def test_kept(tmp_path: Path, text: str) -> None:
    """A task that somebody keeps is not lost."""
    assert judged(tmp_path, text) == []


@pytest.mark.parametrize(
    "line", ["asyncio.create_task(g())", "asyncio.gather(g(), h())", "asyncio.shield(g())", "loop.create_task(g())"]
)
def test_not_kept(tmp_path: Path, line: str) -> None:
    """One that nobody awaits is, however it was started."""
    assert judged(tmp_path, f"import asyncio\nasync def f(loop):\n    {line}") == [(3, "KRY204")]


@pytest.mark.parametrize(
    "handler",
    [
        "except Exception: pass",
        "except BaseException:\n        clean()\n        raise",
        "except asyncio.CancelledError as error:\n        raise Gone() from error",
        "except asyncio.CancelledError: raise\n    except BaseException: pass",
        "finally: pass",
    ],
)
def test_cancellable(tmp_path: Path, handler: str) -> None:
    """What lets cancellation pass is fine."""
    assert judged(tmp_path, f"import asyncio\nasync def f():\n    try:\n        await g()\n    {handler}") == []


@pytest.mark.parametrize(
    "text",
    [
        "async def f():\n    try:\n        g()\n    except: pass",
        "def f():\n    try:\n        g()\n    except BaseException: pass",
        "import asyncio\nasync def f(t):\n  t.cancel()\n  try:\n    await t\n  except asyncio.CancelledError: ...",
    ],
)
def test_no_cancellation_there(tmp_path: Path, text: str) -> None:
    """Where nothing is awaited nothing is cancelled, and who has cancelled a task may wait for its end."""
    assert judged(tmp_path, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "import requests\nrequests.get('x', timeout=3)",
        "import requests\nrequests.get('x', **options)",
        "from urllib.request import urlopen\nurlopen('x', None, 3)",
        "import httpx\nhttpx.AsyncClient()",
        "from kratos import HTTPClient\nHTTPClient('x')",
        "from kratos import GRPCServer\nGRPCServer('x', timeout=3)",
        "requests = {}\nrequests.get('x')",
    ],
)
def test_limited(tmp_path: Path, text: str) -> None:
    """What has a time limit, of its own or said."""
    assert judged(tmp_path, text) == []


def test_layers(tmp_path: Path) -> None:
    """What layers may know of each other, with tests besides that may know all."""
    good = "from app.internal.biz import x\nfrom app.gen.conf import conf_pb\nimport dataclasses\n"
    assert judged(tmp_path, good, "app/internal/data/a.py") == []
    assert judged(tmp_path, good, "app/internal/service/a.py") == []
    assert judged(tmp_path, "import redis\nfrom app.internal import conf\n", "app/internal/data/b.py") == []
    assert judged(tmp_path, "from app.internal.service import a\n", "tests/test_a.py") == []
    wrong = "from . import models\nfrom .. import data\nimport app.internal.server.http\nif T:\n    import redis\n"
    assert judged(tmp_path, wrong, "app/internal/biz/b.py") == [
        (2, "KRY208"),
        (3, "KRY208"),
        (5, "KRY209"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "logger.info('token %s', page_token)",
        "logger.info('signed in', extra={'token': token})",
        "print(password)",
        "logger.info(f'{tokens} tokens')",
        "logger.info('password')",
    ],
)
def test_no_secret(tmp_path: Path, line: str) -> None:
    """What is no secret, or no log line."""
    assert judged(tmp_path, line) == []


@pytest.mark.parametrize("line", ["log.debug('%s', user.password)", "self.logger.error(f'{api_key!r}')"])
def test_secret(tmp_path: Path, line: str) -> None:
    """What is."""
    assert judged(tmp_path, line) == [(1, "KRY211")]


def test_implemented(tmp_path: Path) -> None:
    """A class has what it inherits; one whose parents are unknown, or that others complete, is not judged."""
    generated = """\
        class ShopService(Service):
            __operations__ = (("buy", SHOP_BUY), ("sell", SHOP_SELL))
    """
    (tmp_path / "app/gen").mkdir(parents=True)
    (tmp_path / "app/gen/shop_kratos.py").write_text(dedent(generated))
    text = """\
        from app.gen import shop_kratos
        from app.gen.shop_kratos import ShopService
        from elsewhere import Mixin

        class Buys:
            async def buy(self, request, call): ...

        class Half(shop_kratos.ShopService):
            async def sell(self, request, call): ...

        class Whole(Buys, Half): ...

        class Unknown(ShopService, Mixin): ...

        class Alias(ShopService):
            buy = sell = None
    """
    assert judged(tmp_path, text) == []
    assert judged(tmp_path, text + "\n        class Nothing(ShopService): ...\n") == [(18, "KRY202")]


@pytest.mark.parametrize(
    "text",
    [
        '@cached("order:{id}", ttl=6)\nasync def f(id): ...\n@cached("user:{id}", ttl=6)\nasync def g(id): ...',
        '@cached("order:{id}", ttl=6)\nasync def f(self, id): ...',
        '@cached("order:{request.id}", ttl=6)\nasync def f(self, request): ...',
        "@cached(make_key, ttl=6)\nasync def f(id): ...",
        "@cached(ttl=6)\nasync def f(id): ...",
        "@cached(**options)\nasync def f(id): ...",
        '@cached("order:{id}", ttl=6, ignore=("at",))\nasync def f(id, at): ...',
        'OUT = ("at",)\n@cached("order:{id}", ttl=6, ignore=OUT)\nasync def f(id, at): ...',
        'A = "at"\nOUT: Final = (*B, A)\nB = ["by"]\n@cached("a:{id}", ttl=6, ignore=OUT)\nasync def f(id, at, by):...',
        'from .x import OUT\n@cached("order:{id}", ttl=6, ignore=OUT)\nasync def f(id, at): ...',
        'OUT = ("a",)\nOUT += ("b",)\n@cached("order:{id}", ttl=6, ignore=OUT)\nasync def f(id, at): ...',
        '@cached("order:{id}", ttl=6, ignore=x.OUT)\nasync def f(id, at): ...',
        'P = Paging(number="page", size="n")\n@cached("a:{of}", ttl=6, paging=P)\nasync def f(of, page, n): ...',
        'A = B\nB = A\n@cached("order:{id}", ttl=6, ignore=A)\nasync def f(id, at): ...',
        '@cached("a:{of}", ttl=6, paging=Paging(**P))\nasync def f(of, page, n): ...',
        '@cached("orders:{owner}", ttl=6, paging=Paging())\nasync def f(owner, pn, ps): ...',
        '@cached("a:{i}", ttl=1)\nasync def f(i) -> A:...\n@cached("a:{l}", ttl=6)\nasync def g(l) -> dict[I, A]: ...',
        '@one.cached("a:{id}", ttl=6)\nasync def f(id): ...\n@two.cached("a:{x}", ttl=6)\nasync def g(x): ...',
        '@cached("a:{id}", ttl=6)\nasync def f(id): ...\n@cached("a:{x}", ttl=6, version="2")\nasync def g(x): ...',
    ],
)
def test_cached(tmp_path: Path, text: str) -> None:
    """Keys of their own, or shared by one and many of the same; all that is asked for; an end."""
    assert judged(tmp_path, f"from kratos.cache import cached\n{text}") == []


def test_cached_for_ever(tmp_path: Path) -> None:
    """Also where it is the cache that decorates."""
    assert judged(tmp_path, 'cache = Cache()\n@cache.cached("a:{id}")\nasync def f(id): ...') == [(2, "KRA402")]


@pytest.mark.parametrize("said", ["ignore=OUT", "ignore=(*OUT, 'b')", "ignore=OUT + ('b',)", "paging=PAGES"])
def test_constants(tmp_path: Path, said: str) -> None:
    """A constant of the module says which arguments are in no key, and which are forgotten."""
    text = f"OUT = ('at',)\nPAGES = Paging(number='at')\ncache = Cache()\n@cache.cached('a:{{id}}', ttl=6, {said})\n"
    assert judged(tmp_path, f"{text}async def f(id, at, by): ...") == [(4, "KRA403")]


def test_cached_alike(tmp_path: Path) -> None:
    """One and many of different things do not share keys."""
    one = '@cached("a:{id}", ttl=6)\nasync def f(id) -> A | None: ...\n'
    many = '@cached("a:{ids}", ttl=6)\nasync def g(ids) -> dict[int, B]: ...'
    assert judged(tmp_path, f"from kratos.cache import cached\n{one}{many}") == [(4, "KRA401")]


def test_cached_by_others(tmp_path: Path) -> None:
    """A decorator of the same name from somewhere else is none of ours."""
    assert judged(tmp_path, "from cachetools import cached\n@cached({})\ndef f(id): ...") == []


@pytest.mark.parametrize(
    "lines",
    [
        ["loop = asyncio.get_running_loop()", "loop.run_in_executor(None, g)"],
        ["with ThreadPoolExecutor() as pool:", "  pool.submit(g)"],
        ["t = threading.Thread(target=g)", "t.start()"],
    ],
)
def test_context_is_lost(tmp_path: Path, lines: list[str]) -> None:
    """A thread of a pool, of the loop's or of its own knows nothing of the call."""
    head = "import asyncio, threading\nfrom concurrent.futures import ThreadPoolExecutor\nasync def f():\n"
    found = judged(tmp_path, head + "".join(f"    {line}\n" for line in lines))
    assert [rule for _, rule in found] == ["KRY213"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    except:\n        pass", "    except Exception:\n        pass"),
        ("    except BaseException as e:\n        pass", "    except Exception as e:\n        pass"),
    ],
)
def test_narrowed(tmp_path: Path, before: str, after: str) -> None:
    """A handler for everything becomes one for errors."""
    text = "async def f():\n    try:\n        await g()\n"
    assert judged(tmp_path, f"{text}{before}\n") == [(4, "KRY207")]
    project = Project(tmp_path, out="app/gen")
    assert [each.rule for each in repair(project, check(project))] == ["KRY207"]
    assert (tmp_path / "app/main.py").read_text() == f"{text}{after}\n"
    assert check(project) == []


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "dos"])
@pytest.mark.parametrize(
    ("encoding", "head"),
    [("utf-8", ""), ("utf-8-sig", ""), ("latin-1", "# coding: latin-1\n"), ("utf-8", "# ä\n")],
    ids=["plain", "bom", "latin", "wide"],
)
def test_stays_as_written(tmp_path: Path, encoding: str, head: str, end: str) -> None:
    """What is put right keeps its encoding, its mark, and how its lines end."""
    before = f"{head}import time\nasync def f(u):\n    u = 'ä'; time.sleep(1)\n"
    after = f"{head}import asyncio\nimport time\nasync def f(u):\n    u = 'ä'; await asyncio.sleep(1)\n"
    judged(tmp_path, "")
    path = tmp_path / "app/main.py"
    path.write_bytes(before.replace("\n", end).encode(encoding))
    project = Project(tmp_path, out="app/gen")
    (found,) = check(project)
    assert (found.rule, found.column) == ("KRY203", 14)
    assert repair(project, [found]) == [found]
    assert path.read_bytes() == after.replace("\n", end).encode(encoding)


def test_columns(tmp_path: Path) -> None:
    """Columns count characters, as SARIF and editors do."""
    judged(tmp_path, "import asyncio\nasync def f():\n    x = 'äöü🎉'; asyncio.create_task(g())\n")
    (found,) = check(Project(tmp_path, out="app/gen"))
    assert (found.line, found.column) == (3, 17)


def test_not_put_right(tmp_path: Path) -> None:
    """What cannot be put right safely stays as it is: a sleep whose result is used, a name that is taken."""
    text = "import time\nasyncio = 1\nasync def f():\n    return [time.sleep(1)]\n"
    judged(tmp_path, text)
    project = Project(tmp_path, out="app/gen")
    assert repair(project, check(project)) == []
    assert (tmp_path / "app/main.py").read_text() == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import asyncio as aio\nimport time\n", "import asyncio as aio\nimport time\n"),
        ("from __future__ import annotations\nimport time\n",
         "from __future__ import annotations\nimport asyncio\nimport time\n"),
        ("import time\ndef g():\n    import asyncio\n", "import asyncio\nimport time\ndef g():\n    import asyncio\n"),
    ],
)  # fmt: skip
def test_sleep_needs_asyncio(tmp_path: Path, before: str, after: str) -> None:
    """By the name that the file has for it, else by an import at its top; one in a function is none for others."""
    judged(tmp_path, f"{before}async def f():\n    time.sleep(1)\n")
    project = Project(tmp_path, out="app/gen")
    assert [each.rule for each in repair(project, check(project))] == ["KRY203"]
    name = "aio" if "as aio" in before else "asyncio"
    assert (tmp_path / "app/main.py").read_text() == f"{after}async def f():\n    await {name}.sleep(1)\n"


def test_name_is_taken(tmp_path: Path) -> None:
    """Where asyncio is something else, nothing is put right."""
    judged(tmp_path, "import time\nasync def f(asyncio):\n    time.sleep(1)\n")
    project = Project(tmp_path, out="app/gen")
    assert repair(project, check(project)) == []


def test_edits() -> None:
    """Edits count bytes, are made once, and never overlap."""
    from kratos.tools.lint.base import Edit

    text = "ü = 1\nx = 2\n".encode()
    one, two = Edit((1, 5), (1, 6), "3"), Edit((2, 0), (2, 5), "y = ü")
    assert edited(text, [two, one, two, Edit((2, 4), (2, 5), "9")]) == "ü = 3\ny = ü\n".encode()


def test_drift_is_put_right(tmp_path: Path) -> None:
    """Generated code is generated again."""
    from .planting import shop

    project = shop(tmp_path)
    assert "KRY201" in {each.rule for each in repair(project, check(project))}
    assert "KRY201" not in {each.rule for each in check(project)}


def test_never_generated(tmp_path: Path) -> None:
    """Who does not keep generated code in the repository is not told that it is missing."""
    from .planting import plant

    assert "KRY201" not in {each.rule for each in check(plant("shop", tmp_path))}


def test_generator_refuses(tmp_path: Path) -> None:
    """What only the generator sees is told as well, once."""
    proto = tmp_path / "api/a/v1/a.proto"
    proto.parent.mkdir(parents=True)
    head = 'syntax = "proto3";\npackage a.v1;\n'
    proto.write_text(f"{head}message A {{}}\n")
    from kratos.tools.codegen.project import generate

    project = Project(tmp_path, out="app/gen")
    generate(project)
    proto.write_text(
        f"{head}message A {{}}\nservice S {{\n  rpc GetURL(A) returns (A);\n  rpc GetUrl(A) returns (A);\n}}\n"
    )
    found = check(project)
    assert [(each.rule, each.path) for each in found] == [("KRP100", "api/a/v1/a.proto")]
