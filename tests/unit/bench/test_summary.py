import pytest

from bench.lab import Sample
from bench.load import Outcome
from bench.summary import summarise


def a_sample(stage, subject, number, cpu_us, **outcome):
    return Sample(stage, subject, number, cpu_us, Outcome(answered=10, **outcome), 2048)


def test_a_ratio_is_taken_inside_its_round():
    """Rounds on a slow and a fast minute give the same ratio; the ratio of sums would not."""
    samples = [
        a_sample("rate/2000", name, number, {"all": cost * slow})
        for number, slow in enumerate((1, 5))
        for name, cost in (("tollway", 2000), ("nginx", 1000))
    ]
    samples.append(a_sample("rate/2000", "tollway", 2, {"all": 99_000}))  # nginx failed here
    found = summarise(samples, {})["ratio/cpu/2000/nginx"]
    assert (found.median, found.low, found.high, found.rounds) == (2, 2, 2, 2)


def test_the_shipper_is_counted_and_shown_apart():
    """CPU of all roles over the answers; the bare row leaves the keeper out."""
    samples = [a_sample("rate/2000", "tollway", 0, {"worker": 900.0, "keeper": 100.0})]
    figures = summarise(samples, {})
    assert figures["cpu/2000/tollway"].median == pytest.approx(100)
    assert figures["cpu/2000/tollway-without-shipper"].median == pytest.approx(90)


def test_added_latency_is_over_direct_in_the_same_round():
    """Without a direct sample in its round a latency adds nothing."""
    samples = [
        a_sample("rate/1000", "direct", 0, {}, p99_ms=1.0),
        a_sample("rate/1000", "tollway", 0, {"worker": 1.0}, p99_ms=1.5),
        a_sample("rate/1000", "tollway", 1, {"worker": 1.0}, p99_ms=80.0),
    ]
    found = summarise(samples, {})["added_p99/1000/tollway"]
    assert (found.median, found.rounds) == (pytest.approx(0.5), 1)


def test_a_round_that_lacks_a_size_gives_no_chunk_cost():
    """A slope over fewer lengths would be another figure."""
    samples = [
        a_sample(f"stream/{chunks}/0", "nginx", number, {"all": 10 * (50 + 4 * chunks)})
        for number, sizes in enumerate(((8, 64, 256), (8, 64)))
        for chunks in sizes
    ]
    found = summarise(samples, {})["chunk/0/nginx"]
    assert (found.median, found.rounds) == (pytest.approx(4), 1)
