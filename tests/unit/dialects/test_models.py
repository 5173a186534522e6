"""How models are listed."""

import json

import ollama
import pytest

from tollway.dialects.models import (
    OLLAMA_VERSION,
    read_shown,
    render_model,
    render_models,
    render_shown,
    render_tags,
    render_version,
)
from tollway.domain.model import ModelRecord
from tollway.domain.refusal import BadRequest


def model(name, created_s=0):
    return ModelRecord("mdl_x", name, (), created_s=created_s)


def test_openais_shape():
    """The list and its items as OpenAI's clients read them; the provider is not named."""
    item = {"id": "a", "object": "model", "created": 1795000000, "owned_by": "tollway"}
    assert json.loads(render_models([model("a", 1795000000)], False)) == {
        "object": "list",
        "data": [item],
    }
    assert json.loads(render_model(model("a", 1795000000), False)) == item


def test_anthropics_shape():
    """The list as Anthropic's clients read it, with the first and the last id."""
    listed = json.loads(render_models([model("a", 1795000000), model("b")], True))
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("a", "b", False)
    assert listed["data"][0] == {
        "type": "model",
        "id": "a",
        "display_name": "a",
        "created_at": "2026-11-18T11:06:40Z",
    }
    assert json.loads(render_model(model("b"), True))["created_at"] == "1970-01-01T00:00:00Z"


def test_ollamas_shape():
    """The list, one model and the version, as the official client's types read them; what a model
    is made of is not told."""
    [listed] = ollama.ListResponse(**json.loads(render_tags([model("a:b", 1795000000)]))).models
    assert (listed.model, listed.size, len(listed.digest)) == ("a:b", 0, 64)
    assert listed.modified_at.isoformat() == "2026-11-18T11:06:40+00:00"
    shown = ollama.ShowResponse(**json.loads(render_shown(model("a:b", 1795000000))))
    assert (shown.capabilities, shown.details.family) == (["completion", "tools"], "")
    assert json.loads(render_version()) == {"version": OLLAMA_VERSION}


@pytest.mark.parametrize(
    ("body", "name"),
    [(b'{"model":"a"}', "a"), (b'{"name":"a"}', "a"), (b'{"model":"b","name":"a"}', "b")],
)
def test_which_model_is_to_be_shown(body, name):
    """By its name, or by what that was called before."""
    assert read_shown(body) == name


@pytest.mark.parametrize("body", [b"", b"[]", b'{"model":5}', b"{}", b'{"model":""}', b"\xff"])
def test_no_model_to_be_shown(body):
    """A 400."""
    assert isinstance(read_shown(body), BadRequest)


@pytest.mark.parametrize("anthropic", [True, False])
def test_an_empty_list_is_a_list(anthropic):
    """A caller without models gets an empty list, not an error."""
    listed = json.loads(render_models([], anthropic))
    assert listed["data"] == []
    assert listed.get("first_id") is None
