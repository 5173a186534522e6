"""The check of the locks' form, cover and size."""

from typing import Any

from tools.check_locks import judge, read_lock

PIN = "{} \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n"


def lock(*pins: str) -> str:
    return "# a comment\n" + "".join(PIN.format(pin) for pin in pins)


def project(**extras: list[str]) -> dict[str, Any]:
    empty: dict[str, list[str]] = {"test": [], "demo": [], "bench": []}
    return {
        "project": {"dependencies": ["A-b>=1,<2"], "optional-dependencies": {**empty, **extras}},
        "dependency-groups": {"build": [], "lock": [], "model": []},
    }


def test_pins_are_read_with_their_markers_and_hashes() -> None:
    """Names are canonical, versions end before the marker."""
    pins, complaints = read_lock(lock("A_b==1.2 ; sys_platform == 'linux'", "c==3"))
    assert pins == {"a-b": "1.2", "c": "3"}
    assert complaints == []


def test_a_pin_without_hash_or_with_a_place_is_refused() -> None:
    """Neither an unhashed pin, nor an address, nor an index option may stand in a lock."""
    assert len(read_lock("a==1\n")[1]) == 1
    assert len(read_lock(lock("a @ scheme://host/a.whl"))[1]) == 1
    assert len(read_lock("--index-url scheme://host\n")[1]) == 1


def test_a_lock_must_cover_what_the_project_asks_for() -> None:
    """A missing package and an excluded version are both seen."""
    good = {"default": lock("a-b==1.5"), "test": lock("a-b==1.5")}
    assert judge(project(), good) == []
    assert judge(project(), {**good, "default": lock("a-b==2.0")}) != []
    assert judge(project(), {**good, "default": lock("c==1")}) != []


def test_the_default_install_stays_small() -> None:
    """41 packages are one too many."""
    many = lock("a-b==1.5", *(f"p{number}==1" for number in range(40)))
    assert judge(project(), {"default": many, "test": many}) != []


def test_extras_people_serve_with_need_a_lock_of_everything() -> None:
    """A new extra is counted against the limit for all of them together."""
    good = {"default": lock("a-b==1.5"), "test": lock("a-b==1.5")}
    wider = project(redis=["r>=1"])
    assert judge(wider, good) != []
    assert judge(wider, {**good, "full": lock("a-b==1.5", "r==1")}) == []
