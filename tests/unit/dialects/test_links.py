"""Addresses inside messages."""

import json

import pytest
from msgspec import Raw

from tollway.dialects.links import link_problem


def messages(*parts):
    return Raw(json.dumps([{"role": "user", "content": list(parts)}]).encode())


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "HTTPS://x/y"}},
        {"type": "image_url", "image_url": "data:image/png;base64,AA"},
        {"type": "video_url", "video_url": {"url": " http://x"}},
        {"type": "image_url", "image_url": {"url": 5}},
        {"type": "image_url", "image_url": None},
        {"type": "text", "text": "file:///x of some_url"},
        "image_url",
    ],
    ids=str,
)
def test_these_pass(part):
    """Web and data addresses, text about addresses, and shapes the provider will refuse."""
    assert link_problem("messages", messages(part)) is None


@pytest.mark.parametrize("kind", ["image_url", "file_url", "video_url", "audio_url"])
@pytest.mark.parametrize("url", ["file:///x", "gopher://x", "javascript:1", "/x", ""])
def test_other_schemes_are_refused(kind, url):
    """Whatever a part is called, its address is of a scheme that reads nobody's disk."""
    problem = link_problem("messages", messages({"type": kind, kind: {"url": url}}))
    assert problem is not None
    assert problem.code == "unsupported_url_scheme"
    assert link_problem("messages", messages({"type": kind, kind: url})) is not None


@pytest.mark.parametrize("raw", [b'{"a_url":1}', b'[["a_url"]]', b'[{"content":"a_url"}]'])
def test_other_shapes_hold_no_address(raw):
    """Only parts of a message's content can link."""
    assert link_problem("messages", Raw(raw)) is None
