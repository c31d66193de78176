"""A thousand edits at random, over three sources: what counts is always what a simple model says."""

from __future__ import annotations

import datetime as dt
import json
import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kratos.config import Change, Config, ConfigError, Env, File, Values
from kratos.config.base import State

EDITS = 250


@dataclass(frozen=True)
class Pair:
    """Two numbers that every source writes together, so that a mix shows."""

    left: int
    right: int


Said = dict[str, Any]
"""What a source says, keys with dots."""


class Wrong(Exception):
    """The model's word for what cannot be; its text is what the log has to name."""


def merged(layers: list[Said]) -> Said:
    tree: Said = {}
    for layer in layers:
        tree.update(layer)
    return tree


def rendered(tree: Said) -> Said:
    """The model of placeholders: a value is one key's name in ``${}``, or stands for itself."""

    def follow(key: str, seen: tuple[str, ...]) -> Any:
        value = tree[key]
        if not (isinstance(value, str) and value.startswith("${")):
            return value
        name = value[2:-1]
        if name in (*seen, key):
            raise Wrong("refers to itself")
        if name not in tree:
            raise Wrong(f"${{{name}}} is not set")
        return follow(name, (*seen, key))

    return {key: follow(key, ()) for key in tree}


def checked(tree: Said) -> Said:
    """The model of what has been asked for."""
    result = rendered(tree)
    if not str(result["port"]).isdecimal():
        raise Wrong("port: 'many' is not a whole number")
    if not str(result.get("timeout", "1s")).endswith("s"):
        raise Wrong("timeout: 'soon' is not a duration")
    return result


@dataclass
class Model:
    """The rule in a few lines: what is understood and fits counts, for each source."""

    layers: list[Said]
    newest: list[Said]

    def take(self, at: int, said: Said | Wrong) -> None:
        if isinstance(said, Wrong):
            self.newest[at] = self.layers[at]
            raise said
        self.newest[at] = said
        alone = [*self.layers[:at], said, *self.layers[at + 1 :]]
        try:
            checked(merged(self.newest))
            self.layers = list(self.newest)
        except Wrong:
            checked(merged(alone))
            self.layers = alone

    @property
    def tree(self) -> Said:
        return rendered(merged(self.layers))


def drawn(dice: random.Random, *, base: bool) -> Said:
    """Draws what a source says; the first one always has what is required."""
    number = dice.randrange(1000)
    said: Said = {"pair.left": number, "pair.right": number}
    if base or dice.random() < 0.3:
        said["port"] = "many" if dice.random() < 0.15 else dice.randrange(1000)
    if dice.random() < 0.4:
        said["timeout"] = dice.choice(["1s", "2s", "3s", "soon"])
    if dice.random() < 0.4:
        said["host"] = dice.choice(["a", "b", "${name}", "${nothing}"])
    if dice.random() < 0.4:
        said["name"] = dice.choice(["c", "d", "${host}"])
    return said


class Three:
    """A configuration of a folder, of variables and of values, and the ways to edit them."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self.folder, self.dice = folder, dice
        self.files = File(folder)
        self.environ: dict[str, str] = {}
        self.env = Env("X_", environ=self.environ)
        self.now = 0.0
        first: Said = {"port": 1, "pair.left": 0, "pair.right": 0}
        self.write(json.dumps(nested(first)))
        self.model = Model([first, {}, {}], [first, {}, {}])

    def write(self, text: str) -> None:
        """Saves the file in one of the ways in which editors do."""
        path = self.folder / "a.json"
        if self.dice.random() < 0.5:
            path.write_text(text)
        else:
            (self.folder / ".a.json.swp").write_text(text)
            (self.folder / ".a.json.swp").replace(path)

    def edit(self, at: int) -> tuple[Said | Wrong, State | None]:
        """Edits a source; returns what the model is told, and what the source says, None if it sees no change."""
        said: Said | Wrong = drawn(self.dice, base=at == 0)
        if at == 0:
            if self.dice.random() < 0.1:
                self.write('{"port": ')
                said = Wrong("a.json:1:")
            else:
                self.write(json.dumps(nested(said), indent=self.dice.choice([None, 1])))
            return said, self.seen()
        if at == 1:
            self.environ.clear()
            self.environ.update({f"X_{key.upper().replace('.', '__')}": str(said[key]) for key in said})
            said = {key: Literal(str(value)) for key, value in said.items()}
        return said, None

    def seen(self) -> State | None:
        """Looks at the files until nothing more comes."""
        for seconds in (0.0, 0.05, 0.2, 2.0):
            self.now += seconds
            found = self.files.look(self.now)
            if found is not None:
                self.files._look.take(found[0])
                return found[1]
        return None


class Literal(str):
    """A variable's value: placeholders in it are none."""

    __slots__ = ()

    def startswith(self, *_: Any) -> bool:
        return False


def nested(said: Said) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in said.items():
        *above, last = key.split(".")
        below = tree
        for each in above:
            below = below.setdefault(each, {})
        below[last] = value
    return tree


def flat(tree: dict[str, Any], path: str = "") -> Said:
    said: Said = {}
    for key, value in tree.items():
        said |= flat(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return said


@contextmanager
def readers(config: Config) -> Iterator[list[object]]:
    """Threads that read all the time; yields what they found to be a mix."""
    done = threading.Event()
    mixed: list[object] = []

    def read() -> None:
        while not done.wait(0.0005):
            snapshot = config.snapshot
            pairs = [config.get(Pair, "pair"), snapshot.get(Pair, "pair"), snapshot.get(Pair, "pair")]
            if any(pair.left != pair.right for pair in pairs) or pairs[1] is not pairs[2]:
                mixed.append(pairs)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield mixed
    finally:
        done.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("seed", range(4))
async def test_edits(seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After each edit counts what the last valid state of each source amounts to, or one line says why not."""
    caplog.set_level(logging.ERROR, "kratos.config")
    dice = random.Random(seed)
    three = Three(tmp_path, dice)
    config = await Config.load(three.files, three.env, Values({}))
    take: Callable[[int, State], bool] = config._current.take
    heard: list[Change] = []
    config.observe(heard.append)
    config.get(int, "port")
    timeout = config.live(dt.timedelta, "timeout", default=dt.timedelta(seconds=9))
    told: list[dt.timedelta] = []
    timeout.observe(told.append)
    rejected = 0
    with readers(config) as mixed:
        for _ in range(EDITS):
            at = dice.randrange(3)
            before, was = three.model.tree, timeout.value
            said, state = three.edit(at)
            if at == 1:
                state = await three.env.load()
            elif at == 2:
                assert isinstance(said, dict)
                state = await Values(said).load()
            caplog.clear()
            heard.clear()
            told.clear()
            wrong: Wrong | None = None
            if state is None:  # the file says what it said
                assert at == 0
            else:
                try:
                    three.model.take(at, said)
                except Wrong as why:
                    wrong = why
                assert take(at, state) is (wrong is None)
            after = three.model.tree
            assert flat(config.get(dict, "")) == after
            assert timeout.value == dt.timedelta(seconds=int(str(after.get("timeout", "9s"))[:-1]))
            assert told == ([timeout.value] if timeout.value != was else [])
            assert len(heard) == (1 if before != after else 0)
            messages = [record.getMessage() for record in caplog.records]
            assert len(messages) == (0 if wrong is None else 1)
            if wrong is not None:
                rejected += 1
                assert str(wrong) in messages[0]
                assert "what was read before stays" in messages[0]
    assert mixed == []
    assert EDITS / 10 < rejected < EDITS * 0.9
    await config.stop()


async def test_model_notices() -> None:
    """The model is no yes-man: what it calls wrong is wrong for a fresh configuration too."""
    for said in ({"port": "many"}, {"port": 1, "timeout": "soon"}, {"port": 1, "host": "${nothing}"}):
        with pytest.raises(Wrong) as wrong:
            checked(said)
        with pytest.raises(ConfigError) as caught:
            config = await Config.load(Values(said))
            config.get(int, "port")
            config.get(dt.timedelta, "timeout")
        assert str(wrong.value) in str(caught.value)
