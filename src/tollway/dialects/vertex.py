"""What Vertex AI is sent unchanged: Messages for Anthropic's models, and Chat Completions for those
of other publishers. What differs from the dialects at home is where the model's name stands, and
that the version of Messages stands in the body (decision 27). Betas stay in the client's header.

Sources: Google's reference of Vertex AI ("Anthropic's Claude models", "Call open models"), and
Anthropic's own client for it.
"""

import re

import msgspec

from tollway.dialects import chat, messages
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.carrier import Passing, Rendered
from tollway.dialects.reply import read_completion
from tollway.dialects.reply_messages import read_message, read_token_count
from tollway.dialects.stream import StreamReader
from tollway.dialects.stream_messages import MessagesReader
from tollway.domain.vertex import vertex_model

CHAT_PATH = "/endpoints/openapi/chat/completions"
# Vertex's name for Anthropic's version 2023-06-01; later ones have the same names at both.
VERSION = {"anthropic_version": "vertex-2023-10-16"}
_FIRST = "2023-06-01"
_CLAUDES = "/publishers/anthropic/models"
_NOT_IN_PATHS = re.compile(rb"[^A-Za-z0-9._@-]")
_write = msgspec.json.Encoder().encode


def name_of(model: str) -> str:
    """What paths and bodies call a target's model."""
    found = vertex_model(model)
    assert found is not None, "who has no publisher has no carrier"
    return found.name


def claude_path(model: str, stream: bool) -> str:
    """Where a model of Anthropic's answers."""
    method = "streamRawPredict" if stream else "rawPredict"
    name = _NOT_IN_PATHS.sub(lambda found: b"%%%02X" % found[0][0], name_of(model).encode())
    return f"{_CLAUDES}/{name.decode()}:{method}"


class _Messages(Passing):
    """The model is part of the path, and so is whether it streams."""

    __slots__ = ()

    def render(self, ask: Ask, rewrite: Rewrite) -> Rendered:
        """The same request, but for what `Rewrite` lists and where the model stands."""
        return Rendered(claude_path(rewrite.model, ask.stream), self.write(ask, rewrite))


def _message(ask: Ask, rewrite: Rewrite) -> bytes:
    fields = messages.rewritten_message(messages.FORM, ask, rewrite)
    del fields["model"]
    return _write({**fields, **_version(rewrite)})


def _count(ask: Ask, rewrite: Rewrite) -> bytes:
    named = rewrite._replace(model=name_of(rewrite.model))
    return _write(
        {**messages.rewritten_message(messages.COUNT_FORM, ask, named), **_version(rewrite)}
    )


def _version(rewrite: Rewrite) -> dict[str, str]:
    """What the client's body is written in: versions differ in what they refuse."""
    said = rewrite.version
    return VERSION if said is None or said == _FIRST else {"anthropic_version": said}


def _chat(ask: Ask, rewrite: Rewrite) -> bytes:
    return chat.render(ask, rewrite._replace(model=name_of(rewrite.model)))


MESSAGES = _Messages(_CLAUDES, _message, lambda _: MessagesReader(), read_message)
COUNT = Passing(f"{_CLAUDES}/count-tokens:rawPredict", _count, None, read_token_count)
CHAT = Passing(CHAT_PATH, _chat, StreamReader, read_completion)
