"""What is told about an event, and in which words each kind of receiver gets it: JSON after the
Standard Webhooks specification 1.0.0, Slack's blocks, a Teams card, the text of a mail.

Names in a notice are chosen by tenants. None of them may become a link, a mention or a line of its
own anywhere. How a notice is signed is `notice_signing.py`'s.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tollway.domain.window import utc_text

TITLE_CHARS, LABEL_CHARS, VALUE_CHARS, MAX_FACTS = 300, 60, 300, 10

# Control characters, line ends of Unicode, lone surrogates, and the marks that turn the direction
# of writing: with them a name can make the rest of a line read as something else.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]+"
)


class NoticeFormat(StrEnum):
    """What the receiver understands."""

    JSON = "json"
    SLACK = "slack"
    TEAMS = "teams"
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Notice:
    """One event to be told. `facts` are pairs of label and value for people; `data` is for programs
    and holds what JSON can hold."""

    id: str
    kind: str
    at_s: int
    tenant_id: str | None
    tenant_name: str | None
    title: str
    facts: tuple[tuple[str, str], ...]
    data: Mapping[str, object]


def body(notice: Notice, notice_format: NoticeFormat) -> bytes:
    """The notice in UTF-8, the same bytes every time. Raises TypeError or ValueError when `data`
    holds what JSON cannot."""
    return _WRITERS[notice_format](notice)


def content_type(notice_format: NoticeFormat) -> str:
    """The media type of `body`."""
    return "text/plain; charset=utf-8" if notice_format is NoticeFormat.EMAIL else _JSON_TYPE


def plain(text: str, limit: int) -> str:
    """The text as one printable line of at most so many characters."""
    line = _UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def title_line(notice: Notice) -> str:
    """The title as people see it."""
    return plain(notice.title, TITLE_CHARS)


def _fact_lines(notice: Notice) -> list[tuple[str, str]]:
    return [
        (plain(label, LABEL_CHARS), plain(value, VALUE_CHARS))
        for label, value in notice.facts[:MAX_FACTS]
    ]


def _origin_line(notice: Notice) -> str:
    """The small print: whose event, of which kind, when, and the id to look it up by."""
    tenant = plain(notice.tenant_name or notice.tenant_id or "", LABEL_CHARS)
    parts = (tenant, plain(notice.kind, LABEL_CHARS), utc_text(notice.at_s), notice.id)
    return " · ".join(part for part in parts if part)


def _json(notice: Notice) -> bytes:
    data = {**notice.data, "tenant_id": notice.tenant_id, "title": title_line(notice)}
    return _dump(
        {
            "id": notice.id,
            "type": notice.kind,
            "timestamp": utc_text(notice.at_s),
            "data": data,
        }
    )


def _slack(notice: Notice) -> bytes:
    title = _escaped(title_line(notice))
    blocks: list[object] = [{"type": "section", "text": _mrkdwn(f"*{title}*")}]
    fields = [
        _mrkdwn(f"*{_escaped(label)}*\n{_escaped(value)}") for label, value in _fact_lines(notice)
    ]
    if fields:
        blocks.append({"type": "section", "fields": fields})
    origin = _mrkdwn(_escaped(_origin_line(notice)))
    blocks.append({"type": "context", "elements": [origin]})
    quiet = {"unfurl_links": False, "unfurl_media": False, "link_names": False}
    return _dump({"text": title, "mrkdwn": False, **quiet, "blocks": blocks})


def _mrkdwn(text: str) -> dict[str, object]:
    # `verbatim`: Slack must not turn bare URLs, #channels and @names into links by itself.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escaped(text: str) -> str:
    """Slack's three control characters as entities: no `<!channel>`, no `<https://...|label>`. The
    marks of emphasis have no escape: at worst a name is printed bold."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _teams(notice: Notice) -> bytes:
    # Text blocks and fact sets read Markdown, links included; a text run does not (its schema's
    # words: "Markdown is not supported").
    lines: list[object] = [_rich(_run(title_line(notice), weight="Bolder", size="Medium"))]
    lines += [
        _rich(_run(f"{label}: ", weight="Bolder"), _run(value))
        for label, value in _fact_lines(notice)
    ]
    lines.append(_rich(_run(_origin_line(notice), size="Small", isSubtle=True)))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": lines,
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return _dump({"type": "message", "attachments": [attachment]})


def _rich(*runs: dict[str, object]) -> dict[str, object]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **style: object) -> dict[str, object]:
    return {"type": "TextRun", "text": text, **style}


def _mail_text(notice: Notice) -> bytes:
    facts = [f"{label}: {value}" for label, value in _fact_lines(notice)]
    parts = [title_line(notice), "\n".join(facts), f"-- \n{_origin_line(notice)}"]
    return ("\n\n".join(part for part in parts if part) + "\n").encode()


def _dump(document: object) -> bytes:
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate can only come in by `data`; no UTF-8 can hold it.
    return text.encode("utf-8", "replace")


_JSON_TYPE = "application/json"
_WRITERS: dict[NoticeFormat, Callable[[Notice], bytes]] = {
    NoticeFormat.JSON: _json,
    NoticeFormat.SLACK: _slack,
    NoticeFormat.TEAMS: _teams,
    NoticeFormat.EMAIL: _mail_text,
}
