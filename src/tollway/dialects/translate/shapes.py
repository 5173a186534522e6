"""Small readings of decoded JSON that all sides share: what is there if it is of the right type.
Nothing here knows a dialect.
"""

from collections.abc import Iterator

import msgspec

from tollway.dialects.limits import Caps, structure_problem
from tollway.dialects.translate.talk import Document, Image, Json, Part, Text

# Of what a provider sends. It is built whole here, and written again, deeper: without a bound its
# values take many times its size, and what can be read cannot always be written.
_CAPS = Caps(string_bytes=64 * 1024 * 1024)
_load = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode
DATA_URL = "data:"


def text_of(value: dict[str, Json], name: str) -> str:
    """The string under this name, or an empty one."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


def objects_of(value: object) -> Iterator[dict[str, Json]]:
    """The objects of a list; what else is in it is passed over."""
    for one in value if isinstance(value, list) else ():
        if isinstance(one, dict):
            yield one


def loaded(body: bytes) -> dict[str, Json] | None:
    """The object in a body, or None: also of one that is too deep or of too many values."""
    try:
        if not body.isascii():
            body.decode()
        value = _bounded(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _bounded(body: bytes) -> object:
    return None if structure_problem(body, _CAPS) is not None else _load(body)


def arguments_of(text: str) -> dict[str, Json]:
    """A call's arguments as the object that they are to be. Models sometimes write what is none, or
    what is too deep: then it stands whole under `_raw`, so that nothing is lost on the way back."""
    try:
        value = _bounded(text.encode()) if text.strip() else {}
    except (msgspec.DecodeError, RecursionError):
        return {"_raw": text}
    return value if isinstance(value, dict) else {"_raw": text}


def arguments_text(value: object) -> str:
    """The text of arguments that came as JSON."""
    if isinstance(value, dict) and list(value) == ["_raw"] and isinstance(value["_raw"], str):
        return value["_raw"]
    return encode(value if isinstance(value, dict) else {}).decode()


def data_url(media_type: str, data: str) -> str:
    """Bytes in base64 as a URL."""
    return f"data:{media_type};base64,{data}"


def split_data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 of a data URL; None: it is none, or not in base64."""
    if url[:5].lower() != DATA_URL:
        return None
    head, comma, data = url[5:].partition(",")
    media_type, *marks = head.split(";")
    if not comma or "base64" not in [mark.strip().lower() for mark in marks]:
        return None
    return media_type.strip().lower() or "application/octet-stream", data


def plain_text(parts: tuple[Part, ...]) -> str:
    """The words of texts and of documents that are words, a line between two."""
    words = [part.text for part in parts if isinstance(part, Text | Document) and part.text]
    return "\n".join(words)


def image_url(image: Image) -> str:
    """Where a picture is, or itself as a data URL."""
    return image.url or data_url(image.media_type, image.data)
