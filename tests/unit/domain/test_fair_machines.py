"""Which part of an account each machine has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.domain.fair_commons import NUMBERS, PART, SLOTS
from tollway.domain.fair_machines import (
    Part,
    Report,
    filled,
    part_of,
    parted,
    said_capacity,
    say_capacity,
    splits,
    weights_of,
    whole_parts,
)
from tollway.domain.fair_share import Capacity

PARTS = st.dictionaries(st.sampled_from("uvwxyz"), st.floats(0.01, 10.0), min_size=1)


def report(running=4, waiting=0, *, slots=0, went=10.0, **services):
    """One machine; tenants by name, with their weight and service."""
    return Report(running, waiting, slots, went, services)


@given(wants=st.dictionaries(
    st.sampled_from("uvwxyz"), st.tuples(st.floats(0.01, 10.0), st.floats(0.0, 1.0)), min_size=1
))  # fmt: skip
def test_all_of_it_is_given_out(wants):
    """Whoever wants no more than its weight's part has what it wants at least; nobody who wants
    more has less than that part."""
    parts = filled(wants)
    total = sum(weight for weight, _ in wants.values())
    assert sum(parts.values()) == pytest.approx(1.0)
    for name, (weight, want) in wants.items():
        assert parts[name] >= min(want, weight / total) - 1e-9


def test_what_one_leaves_the_others_share_by_weight():
    """Half is wanted by one of three; the rest is three to one."""
    parts = filled({"x": (10.0, 0.5), "y": (3.0, 1.0), "z": (1.0, 1.0)})
    assert parts == pytest.approx({"x": 0.5, "y": 0.375, "z": 0.125})


@given(total=st.integers(1, 60), weights=PARTS)
def test_whole_parts_are_all_of_it_and_one_at_least(total, weights):
    """Never more than there is, unless there are more machines than that."""
    parts = {name: weight / sum(weights.values()) for name, weight in weights.items()}
    found = whole_parts(total, parts)
    assert sum(found.values()) == max(total, len(parts))
    assert min(found.values()) >= 1
    assert all(found[name] <= total * part + len(parts) for name, part in parts.items())


def test_a_tenants_weight_is_split_as_its_requests_are():
    """A little of it evenly; who waits wants more than it had."""
    found = splits({
        "x": report(a=(1.0, 30.0), b=(2.0, 5.0)),
        "y": report(waiting=20, went=10.0, a=(1.0, 30.0)),
    })  # fmt: skip
    assert found["x"] == pytest.approx({"a": 0.9 * 0.25 + 0.05, "b": 1.0})
    assert found["y"] == pytest.approx({"a": 0.9 * 0.75 + 0.05})


def test_a_machines_weight_is_that_of_its_tenants():
    """And never nothing."""
    reports = {"x": report(a=(1.0, 3.0), b=(2.0, 3.0)), "y": report(a=(1.0, 3.0)), "z": report()}
    assert weights_of(reports) == pytest.approx({"x": 2.5, "y": 0.5, "z": 0.15})
    assert weights_of({"z": report()}) == {"z": 1.0}


def test_who_is_alone_has_all():
    """Also where others know the account and have no use for it."""
    idle = report(running=0)
    assert part_of("x", {"x": report()}, Capacity(8)) is None
    assert part_of("x", {"x": report(), "y": idle}, Capacity(8)) is None
    assert part_of("x", {"x": report(), "y": report()}, Capacity()) is None
    assert part_of("y", {"x": report(), "y": idle}, Capacity(8)) == Part(0.25, 1)
    assert part_of("y", {"x": report()}, Capacity(None, 60)) == Part(0.25, None)


def test_who_grows_takes_what_is_free():
    """One machine has all eight; the other one goes up as those end, and not before."""
    busy = report(8, 5, slots=8, a=(1.0, 5.0))
    fresh = report(1, 5, slots=1, b=(1.0, 5.0))
    assert part_of("x", {"x": busy, "y": fresh}, Capacity(8)) == Part(pytest.approx(0.5), 4)
    assert part_of("y", {"x": busy, "y": fresh}, Capacity(8)).slots == 1
    less = report(5, 5, slots=4, a=(1.0, 5.0))
    assert part_of("y", {"x": less, "y": fresh}, Capacity(8)).slots == 3


def test_what_is_used_without_waiting_is_all_that_is_kept():
    """Some more than it uses, by whichever bound is the tightest; the others have the rest."""
    light = report(1, went=1.0, a=(2.0, 10.0))
    full = report(20, 9, slots=20, b=(1.0, 5.0))
    for capacity, use in (
        (Capacity(10), 0.1),
        (Capacity(100, 600), 0.1),
        (Capacity(100, None, 6000), 0.2),
    ):
        assert light.use(capacity) == pytest.approx(use)
        part = part_of("x", {"x": light, "y": full}, capacity)
        assert part.rate == pytest.approx(1.25 * use)


def test_the_part_of_a_capacity():
    """Of rates a fraction, of places a number; nothing said is all of it."""
    cells = [0.0] * NUMBERS
    whole = Capacity(10, 600, 6000)
    say_capacity(cells, whole)
    assert said_capacity(cells) == whole
    assert parted(cells, whole) == whole
    cells[PART], cells[SLOTS] = 0.25, 3
    assert parted(cells, whole) == Capacity(3, 150, 1500)
    assert parted(cells, Capacity(2, 2)) == Capacity(2, 1)
    cells[SLOTS] = 0
    assert parted(cells, Capacity(2, None, 2)) == Capacity(2, None, 1)
    say_capacity(cells, Capacity())
    assert said_capacity(cells).unknown
