"""Content blocks of Converse: parts of a talk as the models behind it take them.

Bytes go along in base64. What lies at an address is refused, `s3://` too: it would be read with the
gateway's rights, not with the client's. Sources: Amazon's API reference, ContentBlock and what it
holds; its guide's lists of models for caches and for the status of results.
"""

import re
from base64 import b64encode
from typing import Any, NamedTuple

from tollway.dialects.translate.shapes import arguments_of, split_data_url
from tollway.dialects.translate.talk import (
    Audio,
    CannotCarryError,
    Document,
    Image,
    Message,
    Part,
    Refusal,
    Talk,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)

CACHE_POINT = {"cachePoint": {"type": "default"}}
_CLAUDE = re.compile(r"anthropic|claude")
_NOVA = re.compile(r"amazon\.nova")
_WITHOUT_CACHE = re.compile(r"claude-(?:v2|instant|3-(?:sonnet|haiku|opus)|3-5-sonnet-20240620)")
_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif",
           "image/webp": "webp"}  # fmt: skip
_OFFICE = "application/vnd.openxmlformats-officedocument."
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    f"{_OFFICE}wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    f"{_OFFICE}spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_SOUNDS = frozenset(
    {"mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "m4a", "mpeg", "mpga", "pcm", "webm"}
)
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9\-()\[\]]+")
_MAX_NAME_CHARS = 100
_SEND_CONTENT = "Send its content, not its address."


class Family(NamedTuple):
    """What a model takes, as far as its id says it; of an application's own profile it says
    nothing."""

    claude: bool
    nova: bool
    caches: bool  # cache points in messages and system; without them nothing is another answer


def family_of(model: str) -> Family:
    """By a base model's id, an inference profile's, or the ARN of either."""
    name = model.lower()
    claude, nova = _CLAUDE.search(name) is not None, _NOVA.search(name) is not None
    return Family(claude, nova, nova or (claude and _WITHOUT_CACHE.search(name) is None))


class Blocks:
    """Writes the blocks of one request: documents in it need names of their own."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._names: set[str] = set()

    def messages(self, talk: Talk) -> list[dict[str, Any]]:
        """Turns that alternate; those that say nothing are left out."""
        turns: list[dict[str, Any]] = []
        for message in talk.messages:
            content = self._content(message)
            if content and turns and turns[-1]["role"] == message.role:
                turns[-1]["content"] = _results_first(turns[-1]["content"] + content)
            elif content:
                turns.append({"role": message.role, "content": content})
        return turns

    def system(self, talk: Talk) -> list[dict[str, Any]]:
        """The words before the talk."""
        return [block for text in talk.system for block in self._marked(text)]

    def _content(self, message: Message) -> list[dict[str, Any]]:
        parts = message.parts
        return _results_first([block for part in parts for block in self._marked(part)])

    def _marked(self, part: Part) -> list[dict[str, Any]]:
        block = self._block(part)
        if block is None:
            return []
        cached = self._family.caches and getattr(part, "cached", False)
        return [block, CACHE_POINT] if cached else [block]

    def _block(self, part: Part) -> dict[str, Any] | None:
        """None: it says nothing, and an empty block is refused."""
        if isinstance(part, Text | Refusal):
            return {"text": part.text} if part.text.strip() else None
        if isinstance(part, Thinking):
            return _thought(part)
        if isinstance(part, ToolUse):
            call = {"toolUseId": part.id, "name": part.name, "input": arguments_of(part.arguments)}
            return {"toolUse": call}
        if isinstance(part, ToolResult):
            return self._result(part)
        if isinstance(part, Image):
            return _image(part)
        return _audio(part) if isinstance(part, Audio) else self._document(part)

    def _result(self, part: ToolResult) -> dict[str, Any]:
        content = [block for one in part.parts if (block := self._block(one)) is not None]
        result: dict[str, Any] = {"toolUseId": part.id, "content": content}
        if part.failed and (self._family.claude or self._family.nova):
            result["status"] = "error"
        elif part.failed:
            content.insert(0, {"text": "Error:"})
        return {"toolResult": result}

    def _document(self, part: Document) -> dict[str, Any]:
        if part.text:
            # As bytes: as text only some models take it.
            format_, data = "txt", b64encode(part.text.encode()).decode()
        else:
            media_type, data = _bytes_of(part, "document")
            format_ = _DOCUMENTS.get(media_type, "")
            if not format_:
                raise CannotCarryError("document", "The provider does not read this type of file.")
        name = self._name(part.name)
        return {"document": {"format": format_, "name": name, "source": {"bytes": data}}}

    def _name(self, given: str) -> str:
        """Amazon takes few signs, and no name twice."""
        wanted = _NOT_IN_NAMES.sub(" ", given)[:_MAX_NAME_CHARS].strip() or "document"
        name, number = wanted, 1
        while name in self._names:
            number += 1
            name = f"{wanted} {number}"
        self._names.add(name)
        return name


def _results_first(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A turn begins with results, as it must; a cache point stays behind its block."""
    results: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    place = rest
    for block in blocks:
        if block is not CACHE_POINT:
            place = results if "toolResult" in block else rest
        place.append(block)
    return results + rest


def _thought(part: Thinking) -> dict[str, Any] | None:
    """Only what the provider has signed or sealed goes back to it."""
    if part.sealed:
        return {"reasoningContent": {"redactedContent": part.sealed}}
    if not part.signature:
        return None
    thought = {"text": part.text, "signature": part.signature}
    return {"reasoningContent": {"reasoningText": thought}}


def _image(part: Image) -> dict[str, Any]:
    media_type, data = _bytes_of(part, "image")
    known = _IMAGES.get(media_type)
    if known is None:
        raise CannotCarryError("image", "The provider takes PNG, JPEG, GIF and WebP.")
    return {"image": {"format": known, "source": {"bytes": data}}}


def _audio(part: Audio) -> dict[str, Any]:
    if part.format not in _SOUNDS:
        raise CannotCarryError("audio", "The provider does not take this format.")
    return {"audio": {"format": part.format, "source": {"bytes": part.data}}}


def _bytes_of(part: Image | Document, kind: str) -> tuple[str, str]:
    """Media type and base64. Raises CannotCarryError."""
    inline = split_data_url(part.url)
    if inline is not None:
        return inline
    if part.url:
        raise CannotCarryError(kind, _SEND_CONTENT)
    return part.media_type.partition(";")[0].strip().lower(), part.data
