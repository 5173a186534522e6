"""What receivers are sent, and that no name in it does anything but be read."""

import json
from typing import Any

import pytest

from tollway.domain.notice import (
    MAX_FACTS,
    Notice,
    NoticeFormat,
    body,
    content_type,
    plain,
)

AT_S = 1_790_000_000
HOSTILE = [
    "<!channel>",
    "<!here|here>",
    "<!subteam^S123>",
    "<@U012AB3CD>",
    "<https://evil.example|your invoice>",
    "&lt;!channel&gt;",
    "a\nb",
    "a\r\nBcc: x@evil.example",
    "a\u2028b\x85c\x0bd",
    "\u202egnp.exe",
    "[your invoice](https://evil.example)",
    "![](https://evil.example/pixel.png)",
    "<at>everyone</at>",
    "# big",
    "\x1b]0;title\x07",
    "\x00",
    "\ud800",
    '"}],"text":"x',
    "{{DATE(2020-01-01T00:00:00Z)}}",
    "x" * 100_000,
    "😀" * 10_000,
    "&" * 10_000,
    "",
]


def made(text: str = "acme", **changes: object) -> Notice:
    """A notice with this text wherever a tenant may choose one."""
    facts = ((text, text),) * 3
    fields: dict[str, Any] = {
        "id": "evt_0123456789abcdef",
        "kind": "quota.threshold_reached",
        "at_s": AT_S,
        "tenant_id": "ten_1",
        "tenant_name": text,
        "title": f"{text} has used 80 % of its monthly cost limit",
        "facts": facts,
        "data": {"name": text, "percent": 80},
    }
    return Notice(**{**fields, **changes})


def read(notice: Notice, notice_format: NoticeFormat) -> Any:
    return json.loads(body(notice, notice_format))


def texts(document: object) -> list[str]:
    """Every string value in a document, however deep."""
    if isinstance(document, str):
        return [document]
    children = document.values() if isinstance(document, dict) else document
    if not isinstance(document, dict | list):
        return []
    return [text for child in children for text in texts(child)]  # type: ignore[attr-defined]  # one of the two above


def test_json_has_the_shape_of_the_specification() -> None:
    """Id, type, the event's time in UTC, and the data with whose it is and the title."""
    assert read(made(), NoticeFormat.JSON) == {
        "id": "evt_0123456789abcdef",
        "type": "quota.threshold_reached",
        "timestamp": "2026-09-21T14:13:20Z",
        "data": {
            "name": "acme",
            "percent": 80,
            "tenant_id": "ten_1",
            "title": "acme has used 80 % of its monthly cost limit",
        },
    }


def test_data_cannot_say_whose_event_it_is() -> None:
    """The tenant's id and the title are ours, whatever `data` has under these names."""
    notice = made(data={"tenant_id": "ten_other", "title": "all is well"})
    data = read(notice, NoticeFormat.JSON)["data"]
    assert data == {"tenant_id": "ten_1", "title": notice.title}


def test_the_platforms_own_events_have_no_tenant() -> None:
    """No tenant is null in JSON and nothing in the small print."""
    notice = made(tenant_id=None, tenant_name=None)
    assert read(notice, NoticeFormat.JSON)["data"]["tenant_id"] is None
    small = read(notice, NoticeFormat.SLACK)["blocks"][-1]["elements"][0]["text"]
    assert small == "quota.threshold_reached · 2026-09-21T14:13:20Z · evt_0123456789abcdef"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_data_that_json_cannot_hold_is_an_error(value: object) -> None:
    """Nothing is sent that a strict reader could not read."""
    with pytest.raises((TypeError, ValueError)):
        body(made(data={"x": value}), NoticeFormat.JSON)


@pytest.mark.parametrize("notice_format", list(NoticeFormat))
def test_the_same_notice_is_the_same_bytes(notice_format: NoticeFormat) -> None:
    """A retry sends what the first attempt sent."""
    assert body(made(), notice_format) == body(made(), notice_format)


def test_media_types() -> None:
    """What the content-type header says."""
    assert content_type(NoticeFormat.JSON) == content_type(NoticeFormat.SLACK) == "application/json"
    assert content_type(NoticeFormat.TEAMS) == "application/json"
    assert content_type(NoticeFormat.EMAIL) == "text/plain; charset=utf-8"


def test_slack_has_a_fallback_and_blocks() -> None:
    """The line for notifications; then title, facts and the small print."""
    message = read(made("acme & co"), NoticeFormat.SLACK)
    assert message["text"] == "acme &amp; co has used 80 % of its monthly cost limit"
    assert [block["type"] for block in message["blocks"]] == ["section", "section", "context"]
    assert message["blocks"][1]["fields"][0]["text"] == "*acme &amp; co*\nacme &amp; co"
    assert [block["type"] for block in read(made(facts=()), NoticeFormat.SLACK)["blocks"]] == [
        "section",
        "context",
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_is_a_mention_or_a_link_in_slack(text: str) -> None:
    """No `<` and no `>` is left, no text of ours becomes a link by itself, and Slack's sizes hold:
    3,000 characters for a text, 2,000 for a field, 10 fields."""
    message = read(made(text, facts=((text, text),) * 50), NoticeFormat.SLACK)
    for said in texts(message):
        assert not set("<>\u202e\x00\x1b\r\u2028") & set(said)
        assert len(said) <= 2000
    assert len(message["blocks"][1]["fields"]) == MAX_FACTS == 10
    for block in message["blocks"]:
        parts = [block["text"]] if "text" in block else block.get("fields", block.get("elements"))
        assert all(part["type"] == "mrkdwn" and part["verbatim"] is True for part in parts)
    assert message["link_names"] is False
    assert message["unfurl_links"] is False


def test_slack_escapes_once() -> None:
    """An entity in a name is shown as it was written."""
    assert "&amp;lt;!channel&amp;gt;" in read(made("&lt;!channel&gt;"), NoticeFormat.SLACK)["text"]


@pytest.mark.parametrize("text", HOSTILE)
def test_teams_reads_no_markdown_and_no_mention(text: str) -> None:
    """All of a card's text stands in text runs, in which Markdown has no meaning; the card names no
    entity to mention; and it stays under Teams' 28 KB."""
    notice = made(text, facts=((text, text),) * 50)
    message = read(notice, NoticeFormat.TEAMS)
    (attachment,) = message["attachments"]
    card = attachment["content"]
    assert message["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert set(card) == {"$schema", "type", "version", "body"}
    for block in card["body"]:
        assert set(block) == {"type", "inlines"}
        assert block["type"] == "RichTextBlock"
        for run in block["inlines"]:
            assert run["type"] == "TextRun"
            assert "selectAction" not in run
    assert len(body(notice, NoticeFormat.TEAMS)) < 28_000


def test_teams_shows_title_facts_and_origin() -> None:
    """As it is read from top to bottom."""
    card = read(made(facts=(("Used", "$8"),)), NoticeFormat.TEAMS)["attachments"][0]["content"]
    lines = ["".join(run["text"] for run in block["inlines"]) for block in card["body"]]
    assert lines == [
        "acme has used 80 % of its monthly cost limit",
        "Used: $8",
        "acme · quota.threshold_reached · 2026-09-21T14:13:20Z · evt_0123456789abcdef",
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_has_no_line_of_its_own_in_a_mail(text: str) -> None:
    """A mail's text has a fixed number of lines, whatever the names hold."""
    lines = body(made(text), NoticeFormat.EMAIL).decode().split("\n")
    assert len(lines) == len(body(made(), NoticeFormat.EMAIL).decode().split("\n"))


def test_a_mails_text() -> None:
    """Title, facts, and a signature line under which the small print stands."""
    assert body(made(facts=(("Used", "$8"), ("Limit", "$10"))), NoticeFormat.EMAIL).decode() == (
        "acme has used 80 % of its monthly cost limit\n\nUsed: $8\nLimit: $10\n\n"
        "-- \nacme · quota.threshold_reached · 2026-09-21T14:13:20Z · evt_0123456789abcdef\n"
    )


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("notice_format", list(NoticeFormat))
def test_every_notice_is_utf_8(text: str, notice_format: NoticeFormat) -> None:
    """A lone surrogate or any other oddity does not stop an alert."""
    body(made(text), notice_format).decode()


def test_plain_cuts_and_says_so() -> None:
    """A longer text ends in an ellipsis and has exactly the limit's characters."""
    assert plain("abc", 3) == "abc"
    assert plain("abcd", 3) == "ab…"
    assert plain(" a\r\n\tb ", 9) == "a b"
