"""What an event or a reply holds, typed or not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.dialects.bounded import load_any
from tollway.dialects.chunk import content_size, read_chunk


def size_of(delta, where="delta", **choice):
    chunk = read_chunk(json.dumps({"choices": [{where: delta, **choice}]}).encode())
    return sum(map(content_size, chunk.choices))


@pytest.mark.parametrize(
    ("delta", "size"),
    [
        ({}, 0),
        ({"role": "assistant", "content": ""}, 0),
        ({"content": None}, 0),
        ({"content": "hello"}, 5),
        ({"content": "é😀"}, 6),
        ({"reasoning_content": "abc"}, 3),
        ({"reasoning": "abc", "content": "d"}, 4),
        ({"reasoning": "abc", "reasoning_content": "abc"}, 3),
        ({"refusal": "no"}, 2),
        ({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": '{"a"'}}]}, 5),
        ({"tool_calls": [{"index": 0}, {"function": {"arguments": "x"}}]}, 1),
        ({"tool_calls": []}, 0),
        ({"function_call": {"name": "f", "arguments": "{}"}}, 3),
        ({"audio": {"id": "a", "data": "AAAA"}}, 1),
        ({"audio": {"transcript": "hello", "data": "AAAA"}}, 5),
        # Shapes beyond OpenAI's.
        ({"content": [{"type": "text", "text": "hé"}, {"type": "thinking", "thinking": "x"}]}, 4),
        ({"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"k": "vw"}}}]}, 3),
        ({"content": 5}, 0),
    ],
    ids=str,
)
@pytest.mark.parametrize("where", ["delta", "message"])
def test_content_is_measured(delta, size, where):
    """Text, reasoning, refusals and tool calls count in UTF-8 bytes; labels do not."""
    assert size_of(delta, where) == size


def test_text_completions_are_measured():
    """`text` counts where there is no message."""
    assert size_of(None, text="abcé") == 5
    assert size_of(None, text=None) == 0


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"5", b'"x"', b"[]", b"null", b'{"a":NaN}', b'{"a":"\xff"}', b"[" * 100_000],
)
def test_what_is_no_object_is_none(payload):
    """An event is a JSON object in UTF-8 or it is nothing."""
    assert read_chunk(payload) is None


@pytest.mark.parametrize("payload", [b'{"a":"\xff"}', b"{", b"1e999", b"[" * 100_000])
def test_no_value_is_none(payload):
    """What cannot be read as a value reads as none, whatever the reason."""
    assert load_any(payload) is None


def test_other_shapes_are_read_without_types():
    """Usage, finish reason and index survive a choice of an unknown shape."""
    chunk = read_chunk(
        b'{"choices":[{"index":2,"finish_reason":5,"delta":{"content":["x"]}},7,{"index":"a"}],'
        b'"usage":{"prompt_tokens":1}}'
    )
    assert [(c.index, c.finish_reason) for c in chunk.choices] == [(2, "5"), (0, None)]
    assert chunk.usage == {"prompt_tokens": 1}
    strange = read_chunk(b'{"choices":{"a":1},"error":"x"}')
    assert (strange.choices, strange.error) == (None, "x")


def test_deep_shapes_are_walked_without_recursion():
    """A content as deep as the decoder takes it is measured."""
    deep = b"[" * 300 + b'"abc"' + b"]" * 300
    chunk = read_chunk(b'{"choices":[{"delta":{"content":' + deep + b"}}]}")
    assert content_size(chunk.choices[0]) == 3


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_both_readings_agree(text, plain):
    """A text counts the same whether its event is of OpenAI's shape or only like it."""
    for delta in ({"content": text}, {"content": [{"type": "text", "text": text}]}):
        payload = json.dumps({"choices": [{"delta": delta}]}, ensure_ascii=plain).encode()
        assert content_size(read_chunk(payload).choices[0]) == len(text.encode())
