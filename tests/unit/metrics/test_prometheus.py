"""PrometheusMeter: what was counted stands in the text, whoever reads it."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from kratos.metrics import Meter, NoopMeter, PrometheusMeter, Shown

OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"


def families(meter: PrometheusMeter, accept: str = "") -> dict[str, Metric]:
    """Returns what a foreign parser reads out of the text."""
    content_type, text = meter.render(accept)
    parse = parse_openmetrics if "openmetrics" in content_type else parse_plain
    return {family.name: family for family in parse(text.decode())}


def value(meter: PrometheusMeter, name: str, **labels: str) -> float | None:
    """Returns one value of the text; None if it is not there."""
    samples = [sample for family in families(meter).values() for sample in family.samples]
    found = [sample.value for sample in samples if (sample.name, sample.labels) == (name, labels)]
    assert len(found) < 2
    return found[0] if found else None


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_text(accept: str) -> None:
    """Both formats are read by their parsers, with the values that were counted."""
    meter = PrometheusMeter()
    orders = meter.counter("orders_total", 'Orders "taken"\nand \\ more.', labels=("country",))
    orders.labels("ch").add()
    orders.labels("ch").add(2.5)
    orders.labels('a"b\\c\nd é').add()
    meter.gauge("queue_length").set(3)
    meter.gauge("queue_length").add(-4)
    sizes = meter.histogram("size_bytes", "Sizes.", buckets=(1, 10))
    for size in (0.5, 1, 2, 11):
        sizes.observe(size)
    found = families(meter, accept)
    counted = {sample.labels["country"]: sample.value for sample in found["orders"].samples}
    assert counted == {"ch": 3.5, 'a"b\\c\nd é': 1}
    assert found["orders"].documentation == 'Orders "taken"\nand \\ more.'
    assert found["queue_length"].samples[0].value == -1
    samples = {(sample.name, sample.labels.get("le")): sample.value for sample in found["size_bytes"].samples}
    assert samples == {
        ("size_bytes_bucket", "1.0"): 2,
        ("size_bytes_bucket", "10.0"): 3,
        ("size_bytes_bucket", "+Inf"): 4,
        ("size_bytes_count", None): 4,
        ("size_bytes_sum", None): 14.5,
    }


def test_what_is_asked_for() -> None:
    """OpenMetrics is for who names it; whatever else an Accept says, the answer can be read."""
    meter = PrometheusMeter()
    assert meter.render(OPENMETRICS)[0] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    for accept in ("", "*/*", "text/plain;version=nonsense", "text/plain;version=1.0.0;escaping=allow-utf-8", "é;;,"):
        assert meter.render(accept)[0] == "text/plain; version=0.0.4; charset=utf-8"
    assert meter.render("application/openmetrics-text;version=nonsense")[0].startswith("application/openmetrics-text")


def test_exemplars() -> None:
    """OpenMetrics has the latest exemplar of each bucket; one too long for it, or no text, spoils nothing."""
    meter = PrometheusMeter()
    seconds = meter.histogram("seconds", buckets=(1, 10))
    seconds.observe(0.5, {"trace_id": "old"})
    seconds.observe(0.7, {"trace_id": "ab" * 16, "span_id": "cd" * 8})
    seconds.observe(5, {"trace_id": "x" * 129})
    seconds.observe(50, {"trace_id": "\ud800", "span_id": 7})  # type: ignore[dict-item]
    exemplars: list[Any] = [each.exemplar for each in families(meter, OPENMETRICS)["seconds"].samples[:3]]
    assert (exemplars[0].labels, exemplars[0].value) == ({"trace_id": "ab" * 16, "span_id": "cd" * 8}, 0.7)
    assert exemplars[1] is None
    assert exemplars[2].labels == {"trace_id": "?", "span_id": "7"}
    assert b"trace_id" not in meter.render()[1]


@given(st.lists(st.floats(-5, 50), max_size=40), st.lists(st.floats(0, 40), min_size=1, max_size=6, unique=True))
def test_buckets(values: list[float], bounds: list[float]) -> None:
    """A bucket holds all values up to its bound, and the last one all of them."""
    meter = PrometheusMeter()
    histogram = meter.histogram("h", buckets=sorted(bounds))
    for each in values:
        histogram.observe(each)
    samples = [sample for sample in families(meter)["h"].samples if sample.name == "h_bucket"]
    assert [sample.value for sample in samples] == [
        sum(each <= float(sample.labels["le"]) for each in values) for sample in samples
    ]
    assert samples[-1].value == len(values)


def test_the_same_thing_twice() -> None:
    """Whoever asks again gets the same; whoever asks for something else under that name hears of it."""
    meter = PrometheusMeter()
    first = meter.counter("a_total", labels=("x",))
    assert meter.counter("a_total", "other words", labels=["x"]) is first
    assert first.labels("1") is first.labels("1")
    with pytest.raises(ValueError, match=r"a_total is a counter already, labels \(x\)"):
        meter.counter("a_total", labels=("y",))
    with pytest.raises(ValueError, match="a_total is a counter already"):
        meter.gauge("a_total", labels=("x",))
    meter.histogram("h_seconds")
    with pytest.raises(ValueError, match="buckets"):
        meter.histogram("h_seconds", buckets=(1, 2))
    for clash in ("h_seconds_count", "h_seconds_bucket", "a"):
        with pytest.raises(ValueError, match="cannot be told from"):
            meter.gauge(clash)
    with pytest.raises(ValueError, match="cannot be told from a_total"):
        meter.observed("a_total", "", lambda: 1, counter=True)


@pytest.mark.parametrize(
    ("name", "labels", "hint"),
    [
        ("a-b_total", (), "letters, digits and underscores"),
        ("", (), "letters, digits"),
        ("1_total", (), "begins with no digit"),
        ("orders", (), "call it 'orders_total'"),
        ("a_total", ("le",), "cannot be a label"),
        ("a_total", ("__x",), "cannot be a label"),
        ("a_total", ("a b",), "cannot be a label"),
        ("a_total", ("a", "a"), "twice"),
        ("process_things_total", (), "tells of the process"),
    ],
)
def test_names(name: str, labels: tuple[str, ...], hint: str) -> None:
    """What Prometheus would not take is refused at once, and nothing of it stays."""
    meter = PrometheusMeter()
    with pytest.raises(ValueError, match=hint):
        meter.counter(name, labels=labels)
    assert "a_total" not in meter.render()[1].decode()


@pytest.mark.parametrize("buckets", [(2, 1), (1, 1), (1, float("inf"))])
def test_bad_buckets(buckets: tuple[float, ...]) -> None:
    """Bounds go up, and infinity is always there."""
    with pytest.raises(ValueError, match="must go up"):
        PrometheusMeter().histogram("h", buckets=buckets)


def test_misuse() -> None:
    """A counter that shrinks, labels too few or too many, a value without its labels: each says what to do."""
    meter = PrometheusMeter()
    counter = meter.counter("a_total", labels=("x", "y"))
    with pytest.raises(ValueError, match="use a gauge"):
        counter.labels("1", "2").add(-1)
    with pytest.raises(ValueError, match=r"a_total has 2 labels \(x, y\), labels\(\) was given 1 values: '1'"):
        counter.labels("1")
    with pytest.raises(ValueError, match=r"say which one, .labels\(x, y\)"):
        counter.add()
    with pytest.raises(ValueError, match="has 0 labels"):
        meter.gauge("g").labels("1")
    with pytest.raises(ValueError, match="limit=0"):
        PrometheusMeter(limit=0)


def test_too_many_series(caplog: pytest.LogCaptureFixture) -> None:
    """Beyond the limit all is counted in one more series, of which one line tells."""
    meter = PrometheusMeter(limit=10)
    counter = meter.counter("hits_total", labels=("path", "code"))
    with caplog.at_level(logging.WARNING):
        for number in range(1000):
            counter.labels(f"/{number}", "200").add()
    counter.labels("/3", "200").add()
    assert len(families(meter)["hits"].samples) == 11
    assert value(meter, "hits_total", path="overflow", code="overflow") == 990
    assert value(meter, "hits_total", path="/3", code="200") == 2
    (line,) = caplog.messages
    assert "hits_total has 10 series" in line


def test_labels_that_are_no_text() -> None:
    """A peer's lone surrogate does not make the text unreadable, and numbers are taken as text."""
    meter = PrometheusMeter()
    counter = meter.counter("a_total", labels=("reason",))
    counter.labels("\ud800").add()
    counter.labels("\ud800").add()
    counter.labels(200).add()  # type: ignore[arg-type]
    assert value(meter, "a_total", reason="?") == 2
    assert value(meter, "a_total", reason="200") == 1


def test_threads() -> None:
    """Nothing is lost between threads, and a scrape meanwhile is whole."""
    meter = PrometheusMeter()
    counter = meter.counter("a_total", labels=("x",))
    histogram = meter.histogram("h", buckets=(1,))
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        for number in range(20_000):
            counter.labels(str(number % 7)).add()
            histogram.observe(number % 2 + 0.5)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            done = [pool.submit(work) for _ in range(4)]
            for _ in range(20):
                meter.render()
            for each in done:
                each.result()
    finally:
        sys.setswitchinterval(before)
    assert sum(sample.value for sample in families(meter)["a"].samples) == 80_000
    assert (value(meter, "h_count"), value(meter, "h_sum")) == (80_000, 80_000)


def test_observed(caplog: pytest.LogCaptureFixture) -> None:
    """Values are read at each scrape, those of one name add up, and one that fails is left out."""
    meter = PrometheusMeter()
    sizes = [1, 2]
    ends = [meter.observed("pool_size", "Size.", lambda at=at: sizes[at]) for at in (0, 1)]
    meter.observed("lost_total", "Lost.", lambda: {("a",): 1, ("b\ud800",): 2}, labels=("queue",), counter=True)
    meter.observed("lost_total", "Lost.", lambda: {("a",): 5}, labels=("queue",), counter=True)
    meter.observed("broken", "Broken.", lambda: 1 / 0)
    meter.observed("odd", "Odd.", lambda: {("a", "b"): 1}, labels=("one",))
    assert value(meter, "pool_size") == 3
    assert value(meter, "lost_total", queue="a") == 6
    assert value(meter, "lost_total", queue="b?") == 2
    assert "broken" not in families(meter)
    assert "odd" not in families(meter)
    assert "broken cannot be read" in caplog.text
    sizes[0] = 10
    assert value(meter, "pool_size") == 12
    ends[0]()
    ends[0]()
    assert value(meter, "pool_size") == 2
    with pytest.raises(ValueError, match="observed already"):
        meter.observed("pool_size", "Size.", lambda: 1, counter=True)


def test_beside_others() -> None:
    """In somebody's registry our series stand beside theirs, and theirs are left alone."""
    registry = prometheus_client.CollectorRegistry(auto_describe=True)
    prometheus_client.Counter("theirs", "Theirs.", registry=registry).inc(3)
    meter = PrometheusMeter(registry)
    meter.counter("ours_total", "Ours.").add()
    meter.gauge("process_things").set(1)
    assert value(meter, "theirs_total") == 3
    text = prometheus_client.generate_latest(registry).decode()
    assert "ours_total 1.0" in text
    assert "process_things 1.0" in text
    assert "process_cpu" not in text


def test_meters_share_nothing() -> None:
    """Two meters, and the library's own registry, know nothing of each other."""
    first, second = PrometheusMeter(), PrometheusMeter()
    first.counter("a_total").add()
    first.render()
    assert value(second, "a_total") is None
    assert "a_total" not in prometheus_client.generate_latest().decode()


def test_the_process() -> None:
    """A meter of its own tells of the process: memory, CPU, descriptors, collections."""
    names = families(PrometheusMeter())
    assert {"process_resident_memory_bytes", "process_cpu_seconds", "process_open_fds", "python_info"} <= names.keys()
    assert "python_gc_collections" in names


def test_the_library_is_loaded_for_text() -> None:
    """Counting loads no prometheus-client; showing does."""
    script = """if True:
        import sys
        from kratos import App
        app = App(name="x", middleware=[])
        app.meter.counter("a_total").add()
        assert "prometheus_client" not in sys.modules
        app.meter.render()
        assert "prometheus_client" in sys.modules
    """
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_it_is_a_meter() -> None:
    """The types say so (mypy), and so does this."""
    meter: Meter = PrometheusMeter()
    meter.counter("a_total").labels().add()
    assert isinstance(meter, Shown)
    assert not isinstance(NoopMeter(), Shown)
