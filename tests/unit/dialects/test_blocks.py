"""Blocks inside messages and items. What is refused of them: table C, and beside each dialect."""

import pytest
from msgspec import Raw

from tests.fakes.promptly import within_cpu
from tollway.dialects.blocks import blocks_of, blocks_problem, load_value


def test_every_block_is_found_and_arguments_are_none():
    """Parts, the parts of those, and sources; not what a tool is called with."""
    nested = {"type": "document", "source": {"type": "content", "content": [{"type": "image"}]}}
    result = {"type": "tool_result", "content": [nested, 5, None]}
    call = {"type": "tool_use", "input": {"type": "url", "content": [{"type": "image"}]}}
    found = blocks_of([{"role": "user", "content": [result, call]}, "x", {"content": "y"}])
    kinds = sorted(str(block.get("type")) for block in found)
    assert kinds == ["None", "None", "content", "document", "image", "tool_result", "tool_use"]


def test_a_number_out_of_range_beside_a_link_is_refused():
    """Blocks that cannot be read to find their links are not sent."""
    problem = blocks_problem("messages", Raw(b'[{"url":1e999}]'))
    assert (problem.code, problem.param) == ("invalid_value", "messages")
    assert blocks_problem("messages", Raw(b"[1e999]")) is None
    assert list(blocks_of(load_value(Raw(b"[1e999]")))) == [{"type": "unreadable"}]


@pytest.mark.parametrize(
    "value",
    [
        b'[{"image_url":5}]',
        b'[{"image_url":{"url":5}}]',
        b'[{"image_url":null}]',
        b'[{"type":"url","url":{}}]',
        b'[{"type":"link","url":"file:///x"}]',
        b'[{"type":"x","file_id":"f"}]',
        b'{"file_id":"f"}',
    ],
)
def test_what_nobody_would_open_passes(value):
    """Other types are the provider's to judge, and so are names outside of what it opens."""
    assert blocks_problem("messages", Raw(value)) is None


def test_thousands_of_blocks_are_judged_in_a_moment():
    """The walk costs no more than the reading of what is there."""
    one = b'{"type":"text","text":"x","url":"y"},'
    body = Raw(b'[{"role":"user","content":[' + one * 20_000 + b'{"url":1}]}]')
    with within_cpu(0.5):
        assert blocks_problem("messages", body) is None
