"""What make conformance tells: which failures are the gateway's; the mock's answers as events."""

import json
from pathlib import Path

import pytest

from tools.conformance.clients import AS_CHAT, STRAIGHT, Check, ClientsRun
from tools.conformance.event_front import events
from tools.conformance.partial import with_rows_of
from tools.conformance.report import clients_section, read_section, worse, write_section
from tools.conformance.suites import Outcome, SuiteRun
from tools.conformance.suites_report import suites_section, unexplained


def check(way: str, *, ok: bool, what: str = "streamed") -> Check:
    note = "3 pieces" if ok else "Error: no | text"
    return Check("openai_node.mjs", way, "openai", "7.0", "chat", what, ok, note)


def test_only_what_works_without_the_gateway_is_held_against_it() -> None:
    """What fails straight as well is no complaint; what is asked of gateways alone is one."""
    assert worse(ClientsRun([check(STRAIGHT, ok=False), check(AS_CHAT, ok=False)], {}, [])) == []
    both = [check(STRAIGHT, ok=True), check(AS_CHAT, ok=False)]
    assert len(worse(ClientsRun(both, {}, []))) == 1
    assert len(worse(ClientsRun([check(AS_CHAT, ok=False)], {}, []))) == 1


def test_a_failure_is_a_number_with_its_text_below() -> None:
    """The same text has the same number, and no text breaks the table."""
    found = [check(STRAIGHT, ok=True), check(AS_CHAT, ok=False), check(AS_CHAT, ok=False, what="x")]
    text = clients_section(ClientsRun(found, {("finished", "provider"): 3}, ["a.mjs"]), "today")
    assert "| openai (JavaScript) 7.0 | chat | streamed | yes | **no** (1) | - |" in text
    assert text.count("**no** (1)") == 2
    assert "\n1. `Error: no | text`\n" in text
    assert "| finished | provider | 3 |" in text
    assert "not run: a.mjs" in text


def test_a_section_is_written_between_its_own_markers(tmp_path: Path) -> None:
    """What people wrote stays, and a page without markers is an error."""
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- begin of x -->\nold\n<!-- end of x -->\nb\n")
    write_section("x", "new\n", page)
    assert page.read_text() == "a\n<!-- begin of x -->\n\nnew\n\n<!-- end of x -->\nb\n"
    with pytest.raises(ValueError, match="markers"):
        write_section("y", "new", page)


def test_a_difference_without_a_reason_is_named() -> None:
    """Known differences are told with their reason; others are complaints."""
    known = Outcome("openai", "responses", "a", None, "400 - ... Previous response with id ...")
    other = Outcome("openai", "responses", "b", None, "502")
    outdated = Outcome("openai", "responses", "c", "'path': 'body.x', 'message': 'Unknown'", "400")
    run = SuiteRun("openai", "3.0", [known, other, outdated])
    assert unexplained([run]) == ["openai b: 502"]
    text = suites_section([run], "today")
    assert "| openai 3.0 | **all** | 3 | 2 | 0 | 3 |" in text
    assert "**not explained**: 502" in text
    assert "`body.x: Unknown`" in text


@pytest.mark.parametrize(
    ("path", "whole", "kinds"),
    [
        ("/chat/completions", {"choices": [{"message": {"content": "a"}}]}, [None, None]),
        ("/responses", {"id": "r"}, ["response.created", "response.completed"]),
        (
            "/v1/messages",
            {"content": [{"type": "text", "text": "a"}], "usage": {"output_tokens": 1}},
            [
                "message_start",
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop",
            ],
        ),
    ],
)
def test_a_whole_answer_is_told_as_events(
    path: str, whole: dict[str, object], kinds: list[str | None]
) -> None:
    """Each endpoint has its own events, in order, and its own end."""
    lines = [line for line in events(path, whole).split(b"\n") if line.startswith(b"data: ")]
    values = [{} if line.endswith(b"[DONE]") else json.loads(line[6:]) for line in lines]
    assert [value.get("type") for value in values] == kinds


def _section(*rows: str, booked: str = "| finished | provider | 2 |", date: str = "monday") -> str:
    lines = "\n".join(rows)
    return (
        f"Run of {date}. Passed: a 1 of 1; b 1 of 2.\n\n| library | API | what | a | b |\n"
        f"| --- | --- | --- | --- | --- |\n{lines}\n\n1. `no`\n\nWhat the ledger has:\n\n"
        f"| outcome | usage | rows |\n| --- | --- | --- |\n{booked}\n"
    )


def test_rows_of_some_clients_are_renewed() -> None:
    """Those of the others stay, in their order; counts are of all rows."""
    one, two = "| one 1.0 | chat | x | yes | **no** (1) |", "| two 1.0 | chat | x | yes | yes |"
    before = _section(one, two)
    new = _section("| two 2.0 | chat | x | yes | yes |", "| two 2.0 | chat | y | - | yes |")
    after = with_rows_of(new, before, "tuesday")
    assert after is not None
    assert "two 1.0" not in after
    assert after.index("one 1.0") < after.index("| two 2.0 | chat | x") < after.index("chat | y")
    assert after.startswith("Run of monday, of two of tuesday. Passed: a 2 of 2; b 2 of 3.")
    assert "| finished | provider | 2 |" in after
    more = _section("| new (Python) 1 | chat | x | - | yes |", booked="| finished | provider | 5 |")
    after = with_rows_of(more, before, "monday")
    assert after is not None
    assert after.startswith("Run of monday. Passed: a 2 of 2; b 2 of 3.")
    assert "| finished | provider | 7 |" in after
    assert with_rows_of(before, before, "monday") is None, "notes are numbered through all rows"


def test_a_section_is_read_as_it_was_written(tmp_path: Path) -> None:
    """What stands between the markers."""
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- begin of x -->\nold\n<!-- end of x -->\nb\n")
    write_section("x", "new\n\nlines\n", page)
    assert read_section("x", page) == "new\n\nlines\n"
