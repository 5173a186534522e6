"""`/api/embed` of Ollama's dialect. Nothing here can stream. Source: Ollama's API reference,
"Generate embeddings".
"""

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.ollama_fields import OLLAMA_RULES, read_ollama, write_ollama
from tollway.dialects.request import Form
from tollway.domain.refusal import BadRequest

FORM = Form(
    rules={
        **OLLAMA_RULES,
        "input": rules.prompts(2048),
        "stream": rules.never_streamed("Embeddings"),
    },
    required="input",
    may_default=True,
)


def parse(body: bytes) -> Ask | BadRequest:
    """An embedding request, judged."""
    ask = read_ollama(FORM, body)
    return ask if isinstance(ask, BadRequest) else ask._replace(stream=False)


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider. Nothing is written, so nothing is clamped."""
    return write_ollama(FORM, ask, rewrite._replace(output_ceiling=None))
