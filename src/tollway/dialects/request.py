"""Reading a JSON request and writing it again: the top level is name -> bytes, so that what was
judged is what is sent, byte for byte, and nothing that was not judged can ride along (a repeated or
escaped name, a second document, another encoding).

Which fields an endpoint judges is its own file (`chat.py`, `completions.py`, `embeddings.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from tollway.dialects import rules
from tollway.dialects.ask import UNNAMED, Ask, Rewrite
from tollway.dialects.limits import DEFAULT_CAPS, MAX_NAME_BYTES, Caps, structure_problem
from tollway.dialects.spelling import misspelling
from tollway.domain.refusal import BadRequest

# Beyond any model: a larger number is a mistake, and would only make a hold absurd.
MAX_OUTPUT_TOKENS = 2**31 - 1

COMMON_RULES: Mapping[str, rules.Rule] = {
    "model": rules.model_name,
    "user": rules.text,
    "prompt_cache_key": rules.text,
    "safety_identifier": rules.text,
    "api_base": rules.forbidden,
    "base_url": rules.forbidden,
    "api_key": rules.forbidden,
    "extra_headers": rules.forbidden,
    "custom_llm_provider": rules.forbidden,
}
NAMESPACED = ("user", "prompt_cache_key", "safety_identifier")

_load_members = msgspec.json.Decoder(dict[str, Raw]).decode
_load_text = msgspec.json.Decoder(str | None).decode
_load_limit = msgspec.json.Decoder(int | None).decode
_write = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Form:
    """What an endpoint judges. `limits` are the names that cap output, the injected one first;
    `may_default` tells whether a tenant's default model stands in for one that is not named."""

    rules: Mapping[str, rules.Rule]
    required: str | None
    limits: tuple[str, ...] = ()
    may_default: bool = False
    caps: Caps = DEFAULT_CAPS


def read_request(form: Form, body: bytes) -> Ask | BadRequest:
    """The judged request, or the first thing that is wrong with it."""
    fields = _read_fields(body, form.caps)
    if isinstance(fields, BadRequest):
        return fields
    values: dict[str, object] = {}
    known = form.rules
    for name, raw in fields.items():
        rule = known.get(name)
        if rule is not None:
            value = values[name] = rule(name, raw)
            if isinstance(value, BadRequest):
                return value
        elif name.casefold() in known:
            return misspelling(name, name)
        elif len(name) > 64 and len(name.encode()) > MAX_NAME_BYTES:
            return BadRequest(f"A field's name is longer than {MAX_NAME_BYTES} bytes.")
    return ask_of(form, fields, values, size=len(body))


def write_request(form: Form, ask: Ask, rewrite: Rewrite) -> bytes:
    """The request as the provider gets it."""
    return _write(rewritten(form, ask, rewrite))


def rewritten(form: Form, ask: Ask, rewrite: Rewrite) -> dict[str, object]:
    """Its fields, of which those that nobody rewrites are bytes."""
    fields: dict[str, object] = {**ask.fields, "model": rewrite.model}
    if rewrite.force_usage and ask.stream:
        given = ask.fields.get("stream_options")
        options = None if given is None else msgspec.json.decode(given, type=dict[str, Raw] | None)
        fields["stream_options"] = {**(options or {}), "include_usage": True}
    namespace = rewrite.namespace
    if namespace is not None:
        for name in NAMESPACED:
            raw = ask.fields.get(name)
            text = None if raw is None else _load_text(raw)
            if text is not None:
                fields[name] = namespace(text)
    if rewrite.output_ceiling is not None and form.limits:
        fields.update(_clamped(form.limits, ask, rewrite.output_ceiling))
    return fields


def _read_fields(body: bytes, caps: Caps) -> dict[str, Raw] | BadRequest:
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            return BadRequest(f"The body is not UTF-8 (byte {error.start}).", "invalid_utf8")
    problem = structure_problem(body, caps)
    if problem is not None:
        return problem
    try:
        return _load_members(body)
    except msgspec.ValidationError:
        return BadRequest("The body must be a JSON object.", "invalid_json")
    except msgspec.DecodeError as error:
        return BadRequest(f"The body is not valid JSON: {error}.", "invalid_json")


def ask_of(
    form: Form, fields: dict[str, Raw], values: dict[str, object], *, size: int
) -> Ask | BadRequest:
    """The request with these fields, judged one by one, as a whole; `size` in bytes."""
    model = values.get("model")
    if not isinstance(model, str):
        if not form.may_default:
            return missing("model")
        model = UNNAMED
    if form.required is not None and values.get(form.required) is None:
        return missing(form.required)
    stream = values.get("stream") is True
    wants_usage = False
    options = values.get("stream_options")
    if stream and isinstance(options, dict) and "include_usage" in options:
        wanted = rules.flag("stream_options.include_usage", options["include_usage"])
        if isinstance(wanted, BadRequest):
            return wanted
        wants_usage = wanted is True
    limits = [limit for name in form.limits if isinstance(limit := values.get(name), int)]
    end_user = values.get("user") or values.get("safety_identifier")
    return Ask(
        model,
        stream,
        wants_usage,
        max(limits) if limits and 0 not in limits else None,  # 0 is no limit at some servers
        end_user if isinstance(end_user, str) else None,
        fields,
        size,
        _choices(values),
    )


def _choices(values: Mapping[str, object]) -> int:
    each = max(_number(values.get("n")), _number(values.get("best_of")))
    return each * _number(values.get("prompt"))


def _number(value: object) -> int:
    return value if type(value) is int else 1


def _clamped(names: tuple[str, ...], ask: Ask, ceiling: int) -> dict[str, int]:
    """Every limit that was given, clamped. Where there is none, the ceiling itself. 0 becomes the
    least that every server takes for a limit."""
    clamped = {}
    for name in names:
        raw = ask.fields.get(name)
        limit = None if raw is None else _load_limit(raw)
        if limit is not None:
            clamped[name] = max(min(limit, ceiling), 1)
    return clamped or {names[0]: ceiling}


def is_null(raw: Raw | None) -> bool:
    """Whether a field counts as absent."""
    return raw is None or bytes(raw) == b"null"


def missing(name: str) -> BadRequest:
    """A field that an endpoint cannot do without."""
    return BadRequest(f"'{name}' is required.", "missing_required_parameter", name)
