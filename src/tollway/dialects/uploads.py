"""`/v1/audio/transcriptions`, `/v1/audio/translations` and `/v1/images/edits` of the OpenAI
dialect: forms with files. The parts that are judged are text and stand once; `model` and names of
people are written anew, every other part passes byte for byte.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.images import PICTURE_RULES, streamed_alone
from tollway.dialects.multipart import Part, form_type, read_upload, text_part, written
from tollway.dialects.request import COMMON_RULES, NAMESPACED, Form, ask_of, missing
from tollway.dialects.spelling import misspelling
from tollway.domain.refusal import BadRequest

# Bytes of a file for each byte of text that the estimates go by: so 400 for a token. Speech has ten
# tokens a second at OpenAI, and at 32 kbit/s four kilobytes.
FILE_BYTES = 100
MAX_TEXT_BYTES = 1024 * 1024  # of a part that is judged
_LITERAL = frozenset({"stream", "n", "partial_images"})  # written as JSON writes them
_EXPLAINED = b"explained-form-boundary"

_write = msgspec.json.encode
_load_members = msgspec.json.Decoder(dict[str, Raw]).decode
_load_text = msgspec.json.Decoder(str).decode


@dataclass(frozen=True, slots=True)
class UploadForm:
    """What an endpoint judges, and what its files may be called, the usual name first."""

    form: Form
    files: tuple[str, ...]
    instead: str | None = None  # a judged part that may stand in a file's place


def _charset(name: str, _: Raw) -> BadRequest:
    return BadRequest(f"'{name}' may not be set: forms are UTF-8.", "invalid_value", name)


def _address(name: str, raw: Raw) -> object:
    value = _load_text(raw)
    return rules.scheme_problem(name, value) or value


_RULES = {**COMMON_RULES, "_charset_": _charset, "response_format": rules.text}
SOUND_FORM = UploadForm(
    Form(rules={**_RULES, "stream": rules.flag, "url": _address}, required="model"),
    files=("file",),
    instead="url",
)
TRANSLATION_FORM = UploadForm(
    Form(
        rules={**_RULES, "stream": rules.never_streamed("Translations"), "url": _address},
        required="model",
    ),
    files=("file",),
    instead="url",
)
PICTURE_FORM = UploadForm(
    Form(
        rules={**_RULES, **PICTURE_RULES, "prompt": rules.text},
        required="prompt",
    ),
    files=("image", "image[]"),
)


def is_bounded(_: Ask) -> bool:
    """Never: a file's tokens are not known by its bytes."""
    return False


def parse_sound(body: bytes) -> Ask | BadRequest:
    """Sound to be written down, judged."""
    return _parse(SOUND_FORM, body)


def parse_foreign(body: bytes) -> Ask | BadRequest:
    """Sound to be translated, judged."""
    return _parse(TRANSLATION_FORM, body)


def parse_pictures(body: bytes) -> Ask | BadRequest:
    """Pictures to be changed, judged."""
    return streamed_alone(_parse(PICTURE_FORM, body))


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same form for the provider."""
    upload, namespace = ask.upload, rewrite.namespace
    assert upload is not None, "a form was parsed"
    changed = {"model": rewrite.model}
    for name in NAMESPACED:
        if namespace is not None and name in ask.fields:
            changed[name] = namespace(_load_text(ask.fields[name]))
    return written(
        upload.boundary,
        [
            text_part(part.name, changed[part.name]) if part.name in changed else part.raw
            for part in upload.parts
        ],
    )


def form_like(body: bytes, file: str) -> tuple[bytes, bytes]:
    """A form with the fields of a JSON body and a stand-in for its file, and its content type: to
    explain what would become of it. What is no JSON object is left as it is."""
    try:
        fields = _load_members(body)
    except msgspec.DecodeError:
        return body, form_type(_EXPLAINED)
    parts = [
        text_part(name, _load_text(raw) if rules.first_byte(raw) == b'"' else bytes(raw).decode())
        for name, raw in fields.items()
        if name != file
    ]
    head = f'Content-Disposition: form-data; name="{file}"; filename="{file}"\r\n\r\n'
    return written(_EXPLAINED, [*parts, head.encode()]), form_type(_EXPLAINED)


def _parse(wanted: UploadForm, body: bytes) -> Ask | BadRequest:
    upload = read_upload(body)
    if isinstance(upload, BadRequest):
        return upload
    fields: dict[str, Raw] = {}
    values: dict[str, object] = {}
    for part in upload.parts:
        rule = wanted.form.rules.get(part.name)
        if rule is not None:
            raw = _judged(part, rule, again=part.name in fields)
            if isinstance(raw, BadRequest):
                return raw
            fields[part.name], values[part.name] = raw
        elif part.name.casefold() in wanted.form.rules:
            return misspelling(part.name, part.name)
    ask = ask_of(wanted.form, fields, values, size=_size(upload.parts))
    if isinstance(ask, BadRequest):
        return ask
    return _file_problem(wanted, upload.parts, fields) or ask._replace(upload=upload)


def _judged(
    part: Part, rule: Callable[[str, Raw], object], *, again: bool
) -> tuple[Raw, object] | BadRequest:
    """The part's text as JSON, and its value."""
    name = part.name
    if again:
        return BadRequest(f"'{name}' stands twice in the form.", "invalid_form", name)
    if part.is_file or not part.is_text or len(part.content) > MAX_TEXT_BYTES:
        most = MAX_TEXT_BYTES // 1024
        message = f"'{name}' must be plain text in UTF-8, no file, at most {most} KiB."
        return BadRequest(message, "invalid_type", name)
    try:
        text = str(part.content, "utf-8")
    except UnicodeDecodeError:
        return BadRequest(f"'{name}' is not UTF-8.", "invalid_utf8", name)
    raw = Raw(text.encode() if name in _LITERAL and _is_literal(text) else _write(text))
    value = rule(name, raw)
    return value if isinstance(value, BadRequest) else (raw, value)


def _is_literal(text: str) -> bool:
    return text in ("true", "false") or (text.isascii() and text.isdigit() and len(text) <= 9)


def _size(parts: tuple[Part, ...]) -> int:
    return sum(
        len(part.content) // FILE_BYTES if part.is_file else len(part.content) for part in parts
    )


def _file_problem(
    wanted: UploadForm, parts: tuple[Part, ...], fields: dict[str, Raw]
) -> BadRequest | None:
    given = [part for part in parts if part.name in wanted.files]
    for part in given:
        if not part.is_file:
            return BadRequest(f"'{part.name}' must be a file.", "invalid_type", part.name)
    return None if given or wanted.instead in fields else missing(wanted.files[0])
