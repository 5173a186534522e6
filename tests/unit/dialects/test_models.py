"""How models are listed."""

import json

import pytest

from tollway.dialects.models import render_model, render_models
from tollway.domain.model import ModelRecord


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


@pytest.mark.parametrize("anthropic", [True, False])
def test_an_empty_list_is_a_list(anthropic):
    """A caller without models gets an empty list, not an error."""
    listed = json.loads(render_models([], anthropic))
    assert listed["data"] == []
    assert listed.get("first_id") is None
