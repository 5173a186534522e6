"""What requests of Ollama's dialect have in common: who does not say whether to stream gets a
stream, and what caps output stands in `options`.

Ollama's servers read names in any case, the last one counting, so that another spelling would ride
past what was judged: names are lower case here. What is about the server and not about the request
(how long a model stays in memory, how it is loaded) is left out, as a server is shared by tenants.
Source: Ollama's API reference.
"""

import re

import msgspec
from msgspec import Raw

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.request import (
    COMMON_RULES,
    MAX_OUTPUT_TOKENS,
    Form,
    is_null,
    read_request,
    write_request,
)
from tollway.domain.refusal import BadRequest

LIMIT = "options.num_predict"
_NO_LIMIT = -2  # the least that is known: as much as the context holds
_NAME = re.compile(r"[a-z0-9_]+")
SERVERS_FIELDS = frozenset({"keep_alive"})
SERVERS_OPTIONS = frozenset(
    {
        "numa", "num_batch", "num_gpu", "main_gpu", "low_vram", "vocab_only", "use_mmap",
        "use_mlock", "num_thread", "num_keep", "f16_kv", "logits_all",
    }
)  # fmt: skip
_load_members = msgspec.json.Decoder(dict[str, Raw] | None).decode
_load_limit = msgspec.json.Decoder(int | None).decode
_write = msgspec.json.Encoder().encode


def _options(name: str, raw: Raw) -> object:
    """The output limit in them; True where there is none."""
    found = rules.members(name, raw)
    if not isinstance(found, dict):
        return found
    problem = _misnamed(found, f"{name}.")
    if problem is not None:
        return problem
    limit = rules.whole_number(_NO_LIMIT, MAX_OUTPUT_TOKENS)(
        LIMIT, found.get("num_predict", Raw(b"null"))
    )
    return True if limit is None else limit


OLLAMA_RULES = {
    **COMMON_RULES,
    "stream": rules.flag,
    "options": _options,
    "top_logprobs": rules.whole_number(0, 20),
}


def read_ollama(form: Form, body: bytes) -> Ask | BadRequest:
    """A request, judged."""
    ask = read_request(form, body)
    if isinstance(ask, BadRequest):
        return ask
    problem = _misnamed(ask.fields, "")
    if problem is not None:
        return problem
    limit = _limit_of(_options_of(ask))
    return ask._replace(stream=_streams(ask), output_limit=limit)


def write_ollama(form: Form, ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider, but for what is its server's. Usage is in every answer."""
    fields = {name: raw for name, raw in ask.fields.items() if name not in SERVERS_FIELDS}
    options: dict[str, object] = {
        name: raw for name, raw in _options_of(ask).items() if name not in SERVERS_OPTIONS
    }
    if rewrite.output_ceiling is not None:
        wanted = ask.output_limit
        ceiling = rewrite.output_ceiling
        options["num_predict"] = ceiling if wanted is None else min(wanted, ceiling)
    if options or "options" in fields:  # written anew: of a repeated name, one was judged
        fields["options"] = Raw(_write(options))
    return write_request(
        form, ask._replace(fields=fields), rewrite._replace(force_usage=False, output_ceiling=None)
    )


def left_out(ask: Ask) -> tuple[str, ...]:
    """What `render` leaves out, as the client calls it."""
    options = (f"options.{name}" for name in _options_of(ask) if name in SERVERS_OPTIONS)
    return (*(name for name in ask.fields if name in SERVERS_FIELDS), *options)


def _misnamed(fields: dict[str, Raw], before: str) -> BadRequest | None:
    for name in fields:
        if not _NAME.fullmatch(name):
            message = "Names of fields are lower case letters, digits and _ in Ollama's dialect."
            return BadRequest(message, "invalid_parameter_name", f"{before}{name}"[:256])
    return None


def _options_of(ask: Ask) -> dict[str, Raw]:
    raw = ask.fields.get("options")
    return (None if raw is None else _load_members(raw)) or {}


def _limit_of(options: dict[str, Raw]) -> int | None:
    """0 and less are no limit."""
    raw = options.get("num_predict")
    limit = None if raw is None else _load_limit(raw)
    return limit if limit is not None and limit > 0 else None


def _streams(ask: Ask) -> bool:
    raw = ask.fields.get("stream")
    return is_null(raw) or bytes(raw or b"") == b"true"
