"""Responses that a provider keeps: ids of its own become ours on their way to the client, in whole
answers and in streams, and nothing else of an answer does. Also the requests about one response,
which have no body: what is asked stands in the path.

Source: OpenAI's API reference (get, delete, cancel a response, list its input items).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from tollway.dialects.ask import Ask, Heading, Keeping, Rewrite
from tollway.dialects.carrier import EVENT_STREAM, Headers, Passing, Rendered
from tollway.dialects.event_stream import event_of
from tollway.dialects.reading import EventReader
from tollway.dialects.reply import Reply, decoded, read_error
from tollway.dialects.sse import field_of
from tollway.dialects.stream_responses import ResponsesReader
from tollway.domain.refusal import BadRequest
from tollway.domain.usage import Usage

Naming = Callable[[str], str]

_NAMED = ("id", "previous_response_id")  # of a response
_NOTHING = Usage(input=0, output=0)  # what a response has used was booked when it was made
_ACCEPT: Headers = ((b"accept", b"application/json"),)
_QUERY_VALUE = re.compile(r"[\x21-\x7e]{1,256}")
_MOST_FIELDS = 32
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")
_EVENTS: Headers = ((b"accept", EVENT_STREAM),)
_INCLUDED = ("include", "include[]")
_ANSWER_QUERY = (*_INCLUDED, "stream", "starting_after", "include_obfuscation")
_ITEMS_QUERY = (*_INCLUDED, "after", "before", "limit", "order")
_STREAMED = "stream=true"

_load_members = msgspec.json.Decoder(dict[str, Raw]).decode
_load_any = msgspec.json.Decoder(dict[str, object]).decode
_load_text = msgspec.json.Decoder(str).decode
_write = msgspec.json.Encoder().encode


def renamed(body: bytes, naming: Naming) -> bytes:
    """A response (or what tells that it was deleted) with ids of ours; every other value keeps its
    bytes. Unchanged where there is nothing to rename."""
    fields = decoded(_load_members, body)
    if fields is None:
        return body
    changed = {name: _renamed(fields[name], naming) for name in _NAMED if name in fields}
    return _write({**fields, **changed}) if changed else body


def _renamed(raw: Raw, naming: Naming) -> Raw:
    value = decoded(_load_text, bytes(raw))
    return raw if value is None else Raw(_write(naming(value)))


class KeptResponsesReader(ResponsesReader):
    """Reads one stream of a response that is kept. Events that bring content pass as they are; the
    few that hold the response itself are written anew. `first` is the response as it came first,
    in the provider's words and in the client's."""

    __slots__ = ("_naming", "first")

    def __init__(self, naming: Naming) -> None:
        super().__init__()
        self._naming = naming
        self.first: tuple[bytes, bytes] | None = None

    def _read_event(self, lines: list[bytes]) -> bytes:
        passed = super()._read_event(lines)
        return self._rewritten(passed) if b"response" in passed else passed

    def _rewritten(self, passed: bytes) -> bytes:
        lines = passed.splitlines(keepends=True)
        data = [value for name, value in map(field_of, lines[:-1]) if name == b"data"]
        payload = b"\n".join(data).strip()
        fields = decoded(_load_members, payload)
        if fields is None:
            return passed
        changed = {}
        if "response" in fields:
            response = bytes(fields["response"])
            told = renamed(response, self._naming)
            if self.first is None:
                self.first = response, told
            changed["response"] = Raw(told)
        if "response_id" in fields:
            changed["response_id"] = _renamed(fields["response_id"], self._naming)
        if not changed:
            return passed
        written = b"data: " + _write({**fields, **changed}).replace(b"\n", b"\ndata: ") + b"\n"
        kept = [line for line in lines[:-1] if field_of(line)[0] != b"data"]
        return event_of([*kept, written], b"\n")


class ToldAgainReader(KeptResponsesReader):
    """Reads a stream of a response that was made before, or is being made in another request, which
    books it. Here it is nothing."""

    __slots__ = ()

    def __init__(self, naming: Naming) -> None:
        super().__init__(naming)
        self.usage = _NOTHING

    def feed(self, data: bytes) -> bytes:
        """What passes of everything one read event brought."""
        passed = super().feed(data)
        self._count_nothing()
        return passed

    def end(self) -> bytes:
        """What passes of the rest."""
        passed = super().end()
        self._count_nothing()
        return passed

    def _count_nothing(self) -> None:
        self.events = self.content_bytes = 0
        self.usage, self.counted = _NOTHING, (0, 0)


@dataclass(frozen=True, slots=True)
class KeepingResponses(Passing):
    """Responses of a provider that has them: unchanged, but for ids of those that it keeps."""

    def stream_reader(self, heading: Heading) -> EventReader:
        """Events keep their bytes, but for those ids."""
        if heading.naming is not None:
            return KeptResponsesReader(heading.naming)
        return ResponsesReader()

    def read_reply(self, body: bytes, heading: Heading) -> Reply:
        """Read, and not changed but for those ids."""
        reply = self.read(body)
        if heading.naming is None or not reply.valid:
            return reply
        return reply._replace(body=renamed(body, heading.naming))


@dataclass(frozen=True, slots=True)
class KeptCall:
    """A request about one response, at whoever keeps it."""

    method: str
    suffix: str = ""
    done: tuple[str, object] | None = None  # what it says where the provider says no more than yes
    same: bool = True
    stream_type: bytes = EVENT_STREAM
    whole_too: bool = False

    def render(self, ask: Ask, rewrite: Rewrite) -> Rendered | BadRequest:
        """Nothing of the client's goes along but what was judged of its query."""
        assert ask.keeping is not None
        assert rewrite.previous is not None, "it is about a response"
        path = f"/responses/{quoted(rewrite.previous)}{self.suffix}"
        if ask.keeping.query:
            path += f"?{ask.keeping.query}"
        headers = _EVENTS if ask.stream else _ACCEPT
        return Rendered(path, render_nothing(ask, rewrite), (), headers, self.method)

    def stream_reader(self, heading: Heading) -> EventReader:
        """Events with the id that the client knows it by."""
        assert heading.naming is not None, "it is about a response"
        return ToldAgainReader(heading.naming)

    def read_reply(self, body: bytes, heading: Heading) -> Reply:
        """With the id that the client knows it by."""
        reply = read_kept(body)
        if not reply.valid and self.done is not None:
            return _done(body, heading, self.done) or reply
        if not reply.valid or heading.naming is None:
            return reply
        return reply._replace(body=renamed(body, heading.naming))


def parse_answer(target: bytes) -> Ask | BadRequest:
    """`{id}?{query}` of a response that is wanted."""
    return _parse(target, _ANSWER_QUERY)


def parse_items(target: bytes) -> Ask | BadRequest:
    """The same of what it was made from."""
    return _parse(target, _ITEMS_QUERY)


def parse_bare(target: bytes) -> Ask | BadRequest:
    """The same where there is nothing to choose."""
    return _parse(target, ())


def render_nothing(_ask: Ask, _rewrite: Rewrite) -> bytes:
    """What is asked about a response has no body."""
    return b""


def read_kept(body: bytes) -> Reply:
    """Any object that says what it is, or an error. Its usage is not read: it was booked before."""
    fields = decoded(_load_members, body)
    if fields is None or "object" not in fields:
        return read_error(body)
    return Reply(True, _NOTHING, 0, None, None)


def _done(body: bytes, heading: Heading, done: tuple[str, object]) -> Reply | None:
    """A success without an answer (204, or nothing in it): what was asked has been carried out."""
    name, value = done
    fields = decoded(_load_any, body) if body.strip() else {}
    if fields is None and body.strip() != b"null":
        return None
    said = fields or {}
    if said.get("error") is not None or (said and name not in said):
        return None
    told = {"id": heading.asked, "object": "response", name: said.get(name, value)}
    return Reply(True, _NOTHING, 0, None, None, _write(told))


def _parse(target: bytes, known: tuple[str, ...]) -> Ask | BadRequest:
    name, _, query = target.decode("latin-1").partition("?")
    judged = _judged(query, known)
    if isinstance(judged, BadRequest):
        return judged
    streamed = _STREAMED in judged.split("&")
    return Ask("", streamed, False, None, None, {}, 0, keeping=Keeping(name, False, judged))


def _judged(query: str, known: tuple[str, ...]) -> str | BadRequest:
    """What of the query goes on, in a spelling of our own."""
    fields = [field for field in query.split("&") if field]
    if len(fields) > _MOST_FIELDS:
        return BadRequest(f"The query has more than {_MOST_FIELDS} fields.", "invalid_query")
    passed = []
    for field in fields:
        name, _, value = (_unquoted(part) for part in field.partition("="))
        if name in ("stream", "include_obfuscation") and value == "false":
            continue
        if name == "stream" and name in known and value != "true":
            return BadRequest("'stream' must be true or false.", "invalid_value", name)
        if name not in known:
            shown = name[:64] if name[:64].isprintable() else "?"
            return BadRequest(f"'{shown}' cannot be asked here.", "unsupported_parameter", shown)
        if _QUERY_VALUE.fullmatch(value) is None:
            text = f"'{name}' must be 1 to 256 printable characters without spaces."
            return BadRequest(text, "invalid_value", name)
        passed.append(f"{quoted(name)}={quoted(value)}")
    return "&".join(passed)


def quoted(text: str) -> str:
    """As a segment of a path, or in a query."""
    return "".join(
        char if char in _PLAIN else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in text
    )


def _unquoted(text: str) -> str:
    """Of a query: `+` is a space."""
    raw = _ESCAPE.sub(_unescaped, text.replace("+", " "))
    return raw.encode("latin-1").decode("utf-8", "replace")


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))
