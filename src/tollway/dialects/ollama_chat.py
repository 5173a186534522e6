"""`/api/chat` of Ollama's dialect: which fields are judged. Source: Ollama's API reference,
"Generate a chat message".
"""

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.blocks import load_value
from tollway.dialects.ollama_fields import OLLAMA_RULES, read_ollama, write_ollama
from tollway.dialects.request import Form
from tollway.domain.refusal import BadRequest

FORM = Form(
    rules={**OLLAMA_RULES, "messages": rules.array, "tools": rules.array},
    required="messages",
    may_default=True,
)
# Of a message whose tokens are bounded by its bytes.
_PLAIN_MEMBERS = frozenset(
    {"role", "content", "thinking", "tool_calls", "tool_name", "tool_call_id"}
)


def parse(body: bytes) -> Ask | BadRequest:
    """A request to chat, judged."""
    return read_ollama(FORM, body)


def is_bounded(ask: Ask) -> bool:
    """Whether the input cannot have more tokens than the request has bytes: text alone."""
    messages = load_value(ask.fields["messages"])
    return all(
        isinstance(message, dict) and _PLAIN_MEMBERS.issuperset(message)
        for message in (messages if isinstance(messages, list) else (None,))
    )


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider."""
    return write_ollama(FORM, ask, rewrite)
