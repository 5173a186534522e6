"""`/api/generate` and `/api/embed`: what is judged, and what is written for an Ollama."""

import json

import pytest

from tollway.dialects import ollama_embed, ollama_generate
from tollway.dialects.ask import Ask, Rewrite
from tollway.domain.refusal import BadRequest

SAME = Rewrite("t", False, 10, None)


def parsed(form, **fields):
    return form.parse(json.dumps({"model": "m", **fields}).encode())


def test_a_text_is_capped_and_its_server_left_alone():
    """As in the chat."""
    found = parsed(
        ollama_generate, prompt="hi", keep_alive=0, options={"num_gpu": 1, "num_predict": 50}
    )
    assert (found.stream, found.output_limit) == (True, 50)
    assert json.loads(ollama_generate.render(found, SAME)) == {
        "model": "t",
        "prompt": "hi",
        "options": {"num_predict": 10},
    }


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"prompt": 5}, "invalid_type", "prompt"),
        ({"system": []}, "invalid_type", "system"),
        ({"suffix": 5}, "invalid_type", "suffix"),
        ({"template": {}}, "invalid_type", "template"),
        ({"raw": 1}, "invalid_type", "raw"),
        ({"images": "x"}, "invalid_type", "images"),
        ({"context": "x"}, "invalid_type", "context"),
        ({"Prompt": "x"}, "invalid_parameter_name", "Prompt"),
        ({"nEW": "x"}, "invalid_parameter_name", "nEW"),
        ({"options": {"num_predict": "x"}}, "invalid_type", "options.num_predict"),
    ],
    ids=str,
)
def test_what_is_refused(fields, code, param):
    """By the field's own name."""
    found = parsed(ollama_generate, **fields)
    assert isinstance(found, BadRequest)
    assert (found.code, found.param) == (code, param)


@pytest.mark.parametrize(
    ("fields", "bounded"),
    [
        ({"prompt": "x"}, True),
        ({"prompt": "x", "context": [1, 2], "images": None}, True),
        ({"images": ["AAAA"]}, False),
        ({"template": "{{ .Prompt }}{{ .Prompt }}"}, False),
    ],
    ids=str,
)
def test_text_is_bounded(fields, bounded):
    """A template may say the prompt as often as it likes."""
    assert ollama_generate.is_bounded(parsed(ollama_generate, **fields)) is bounded


def test_embeddings_write_nothing():
    """No stream, no limit of output; texts are counted, and what is the server's is left out."""
    found = parsed(ollama_embed, input=["a", "b"], keep_alive="1m", dimensions=8)
    assert isinstance(found, Ask)
    assert (found.stream, found.choices) == (False, 1)
    assert json.loads(ollama_embed.render(found, SAME)) == {
        "model": "t",
        "input": ["a", "b"],
        "dimensions": 8,
    }


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({}, "missing_required_parameter", "input"),
        ({"input": 5}, "invalid_type", "input"),
        ({"input": ["x"] * 2049}, "invalid_value", "input"),
        ({"input": "x", "stream": True}, "invalid_value", "stream"),
        ({"input": "x", "INPUT": "y"}, "invalid_parameter_name", "INPUT"),
    ],
    ids=str,
)
def test_embeddings_that_are_refused(fields, code, param):
    """By the field's own name."""
    found = parsed(ollama_embed, **fields)
    assert (found.code, found.param) == (code, param)
