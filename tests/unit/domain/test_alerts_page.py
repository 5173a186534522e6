"""docs/alerts.md: it names what there is, its example checks signatures, its figures are right."""

import json
import re
from pathlib import Path

import pytest

from tests.unit.domain.test_notice import made
from tollway.app.admin.commands.webhooks import MAX_WEBHOOKS, TEST_KIND
from tollway.domain.event import EventKind
from tollway.domain.notice import NoticeFormat, body
from tollway.domain.notice_delivery import next_after_s
from tollway.domain.notice_posting import write_posting
from tollway.domain.notice_signing import new_secret

PAGE = Path("docs/alerts.md").read_text("utf-8")
NEW, OLD, OTHER = b"n" * 32, b"o" * 32, b"x" * 32
NOW_S = 1_800_000_000


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.+?)^```", PAGE, re.M | re.S)
    return found


@pytest.fixture
def is_from_tollway(monkeypatch: pytest.MonkeyPatch):
    """The example's function, with a clock of its own."""
    names: dict = {}
    exec(compile(block("python"), "docs/alerts.md", "exec"), names)
    monkeypatch.setattr(names["time"], "time", lambda: NOW_S + 0.5)
    return names["is_from_tollway"]


def sent(*secrets: bytes, at_s: int = NOW_S) -> tuple[dict[str, str], bytes]:
    posting = write_posting(
        made(),
        url="https://hooks.example",
        owner=None,
        notice_format=NoticeFormat.JSON,
        secrets=secrets,
        at_s=at_s,
    )
    return dict(posting.headers), posting.body


@pytest.mark.parametrize("secrets", [(NEW,), (NEW, OLD), (OLD, NEW)])
def test_the_example_believes_what_is_signed(is_from_tollway, secrets):
    """Also while two secrets sign."""
    assert is_from_tollway(new_secret(NEW), *sent(*secrets))


def test_the_example_believes_nothing_else(is_from_tollway):
    """Another secret, another body, another id, an old or a strange time, a strange signature."""
    headers, content = sent(NEW)
    secret = new_secret(NEW)
    assert not is_from_tollway(new_secret(OTHER), headers, content)
    assert not is_from_tollway(secret, headers, content + b" ")
    assert not is_from_tollway(secret, *sent(NEW, at_s=NOW_S - 301))
    assert not is_from_tollway(secret, *sent(NEW, at_s=NOW_S + 302))
    for name, value in (
        ("webhook-id", "evt_other"),
        ("webhook-timestamp", "soon"),
        ("webhook-signature", "v1,\xe9"),
        ("webhook-signature", ""),
    ):
        assert not is_from_tollway(secret, {**headers, name: value}, content)


def test_it_names_every_kind_and_format():
    """And no other."""
    kinds = re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", PAGE, re.M)
    assert kinds == [*(kind.value for kind in EventKind), TEST_KIND]
    assert re.findall(r"^\| `([a-z]+)` \|", PAGE, re.M) == [one.value for one in NoticeFormat]


def test_the_shown_notice_has_the_form_that_is_sent():
    """The same fields."""
    shown, written = json.loads(block("json")), json.loads(body(made(), NoticeFormat.JSON))
    assert list(shown) == list(written)
    assert {"tenant_id", "title"} <= set(shown["data"])


def test_its_figures():
    """The schedule of attempts, and how many webhooks there may be."""
    (said,) = re.findall(r"^`(5 s, .+)`", PAGE, re.M)
    units = {"s": 1, "min": 60, "h": 3600}
    delays = [int(number) * units[unit] for number, unit in re.findall(r"(\d+) (\w+)", said)]
    assert [next_after_s(attempt, 0.5) for attempt in range(1, 14)] == [*delays, None]
    assert f"at most {MAX_WEBHOOKS} of each owner" in PAGE
