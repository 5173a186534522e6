"""Ollama's `/api/generate` as clients speak it: what is understood, and that the official client's
types read what is written.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ollama import GenerateResponse
from ollama._types import GenerateRequest
from ollama._types import Image as GivenImage

from tests.unit.dialects.translate.test_ollama_client import HEADING, PIECES, PNG
from tollway.dialects import ollama_generate
from tollway.dialects.translate.ollama_generate_client import CLIENT
from tollway.dialects.translate.talk import (
    Answer,
    Format,
    Image,
    Message,
    Reasoning,
    Stop,
    Talk,
    Text,
    Thinking,
)
from tollway.domain.refusal import BadRequest
from tollway.domain.usage import Usage


def asked(**fields):
    """The talk in such a request."""
    ask = ollama_generate.parse(json.dumps({"model": "m", **fields}).encode())
    assert not isinstance(ask, BadRequest), ask
    return CLIENT.read(ask)


def test_a_prompt_is_a_users_turn():
    """As the official client sends it, with empty texts for what was not said."""
    sent = GenerateRequest(
        model="m",
        prompt="look",
        suffix="",
        system="be brief",
        template="",
        images=[GivenImage(value=PNG)],
        format="json",
        think=True,
        options={"num_predict": 7, "min_p": 0.1},
    ).model_dump(exclude_none=True)
    assert asked(**sent) == Talk(
        (Message("user", (Text("look"), Image("image/png", PNG))),),
        (Text("be brief"),),
        format=Format("json"),
        reasoning=Reasoning("medium", shown=True),
        max_output=7,
        left_out=("options.min_p",),
    )


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"suffix": "x"}, "suffix", "unsupported_parameter"),
        ({"template": "x"}, "template", "unsupported_parameter"),
        ({"raw": True}, "raw", "unsupported_parameter"),
        ({"context": [1]}, "context", "unsupported_parameter"),
        ({"width": 512}, "width", "unsupported_parameter"),
        ({"prompt": ""}, "prompt", "unsupported_parameter"),
        ({"images": [5]}, "images.0", "invalid_type"),
        ({"images": ["x"]}, "images.0", "unsupported_parameter"),
        ({"options": {"temperature": "x"}}, "options.temperature", "invalid_type"),
    ],
    ids=str,
)
def test_what_cannot_be_understood(fields, field, code):
    """Is refused by the client's own name for it."""
    found = asked(**{"prompt": "hi", **fields})
    assert isinstance(found, BadRequest)
    assert (found.param, found.code) == (field, code)


def test_a_number_that_no_type_holds():
    """Is a refusal, and no exception."""
    found = CLIENT.read(ollama_generate.parse(b'{"model":"m","prompt":"x","width":1e999}'))
    assert found.code == "invalid_value"


def test_a_whole_answer():
    """The official client's types read it."""
    answer = Answer((Thinking("hm"), Text("hel"), Text("lo")), Stop.LENGTH, Usage(5, output=2))
    found = GenerateResponse(**json.loads(CLIENT.write_answer(answer, HEADING)))
    assert (found.response, found.thinking, found.model) == ("hello", "hm", "llama3.2:1b")
    assert (found.done, found.done_reason, found.eval_count) == (True, "length", 2)
    bare = json.loads(CLIENT.write_answer(Answer((Text("x"),), Stop.END), HEADING))
    assert ("thinking" in bare, "message" in bare) == (False, False)


def test_a_stream():
    """Each line is read by the official client's types, and only the last says done."""
    data = CLIENT.writer(HEADING).write(PIECES)
    lines = [GenerateResponse(**json.loads(line)) for line in data.splitlines()]
    assert "".join(line.response for line in lines) == "hello"
    assert [line.thinking for line in lines if line.thinking] == ["hm"]
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    assert (lines[-1].prompt_eval_count, lines[-1].eval_count) == (10, 6)


values = st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.lists(st.text())


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(CLIENT.known - {"model"})), values, max_size=5))
@pytest.mark.uncounted
def test_no_shape_makes_it_raise(fields):
    """It is understood or refused by name."""
    ask = ollama_generate.parse(json.dumps({"model": "m", **fields}).encode())
    if not isinstance(ask, BadRequest):
        assert isinstance(CLIENT.read(ask), Talk | BadRequest)
