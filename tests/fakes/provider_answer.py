"""One answer of the simulated provider: the order of its parts, and where faults strike."""

import asyncio
from collections.abc import Iterator

from tests.fakes.provider_faults import POINTED, SECOND_RESPONSE, VARIANTS
from tests.fakes.provider_media import MEDIA, SILENCE, MediaEventMaker
from tests.fakes.provider_script import ProviderAsk
from tests.fakes.provider_shapes import EventMaker, error_body, head, usage_of, whole_body
from tests.fakes.provider_wire import Connection
from tests.fakes.truth import TruthLog

_HTML = b"<html><body>502 Bad Gateway</body></html>"
_UNFRAMED = ("length_long", "length_short", "close_delimited", "http10")


class Answer:
    """Implements `provider_faults.Wire` on a connection."""

    def __init__(
        self, connection: Connection, log: TruthLog, request: str, ask: ProviderAsk
    ) -> None:
        self._connection = connection
        self._log = log
        self._request = request
        self._ask = ask
        self.script = ask.script
        self._fault = ask.script.fault
        self._at = ask.script.at or "2"
        self._chunked = False

    async def give(self) -> None:
        """The whole answer as scripted."""
        script = self.script
        if script.delay_ms:
            await asyncio.sleep(script.delay_ms / 1000)
        if not await self._point("head"):
            return
        if script.status != 200:
            await self._refuse()
        elif self._fault == "html":
            await self._sized(200, "text/html; charset=utf-8", _HTML)
        elif self._ask.endpoint == "speech" and not self._ask.stream:
            await self._sound()
        elif self._ask.stream:
            await self._stream()
        else:
            await self._whole()

    # What a fault can reach.

    async def raw(self, data: bytes) -> None:
        """Bytes past the framing."""
        await self._connection.send(data)

    async def body(self, data: bytes) -> None:
        """Bytes of the body, framed as the head announced."""
        if self._fault == "dribble":
            for byte in data:
                await self.raw(b"1\r\n%c\r\n" % byte if self._chunked else b"%c" % byte)
        elif data:
            await self.raw(b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data)

    async def finish(self) -> None:
        """The end of the body."""
        self._log.note("answered", req=self._request)
        tail = b""
        if self._chunked:
            tail = b"0\r\nx-trailer: 1\r\n\r\n" if self._fault == "trailers" else b"0\r\n\r\n"
        if self._fault == "second":
            tail += SECOND_RESPONSE
        await self.raw(tail)
        if self._fault in ("close_delimited", "http10"):
            self.close()
        elif self._fault in ("length_long", "length_short"):
            await self.until_closed()

    async def until_closed(self) -> None:
        """Wait for the peer to go."""
        await self._connection.until_closed()

    def reset(self) -> None:
        """End the connection with RST."""
        self._connection.reset()

    def close(self) -> None:
        """End the connection with FIN."""
        self._connection.close()

    # The parts.

    async def _stream(self) -> None:
        events = self._maker()
        await self.raw(self._head("text/event-stream; charset=utf-8"))
        if not await self._point("first"):
            return
        await self.body(self._varied(events.opening()))
        if not await self._tokens(events) or not await self._point("usage"):
            return
        tail = b"".join(self._closing(events))
        if self._at != "done" or self._fault not in POINTED:
            await self.body(tail if self._fault == "no_done" else tail + self._varied(events.done))
        else:
            await self.body(tail)
            if not await self._point("done"):
                return
            await self.body(events.done)
        if await self._point("end"):
            await self.finish()

    async def _tokens(self, events: EventMaker | MediaEventMaker) -> bool:
        """All tokens, `burst` of them in a write; each is in the log before it leaves."""
        script, held = self.script, b""
        stop = int(self._at) if self._fault in POINTED and self._at.isdigit() else -1
        for position in range(1, script.tokens + 1):
            if position - 1 == stop:
                await self.body(held)
                held = b""
                if not await self._point(self._at):
                    return False
            if script.gap_ms and position > 1:
                await asyncio.sleep(script.gap_ms / 1000)
            held += self._varied(events.token(position))
            if position % script.burst == 0 or position == script.tokens:
                self._log.tokens(self._request, position)
                await self.body(held)
                held = b""
            elif position == stop:
                self._log.tokens(self._request, position)
        return stop != script.tokens or await self._point(self._at)

    def _closing(self, events: EventMaker | MediaEventMaker) -> Iterator[bytes]:
        yield self._varied(events.finish())
        usage = usage_of(self._ask)
        if usage is not None and (self._ask.include_usage or self.script.usage == "native"):
            self._log.note("usage", req=self._request, usage=usage)
            yield self._varied(events.usage(usage))

    async def _whole(self) -> None:
        body = whole_body(self._ask)
        usage = usage_of(self._ask)
        if self._ask.endpoint in ("chat", "completions"):
            self._log.tokens(self._request, self.script.tokens)
        if usage is not None:
            self._log.note("usage", req=self._request, usage=usage)
        start = self._head("application/json", len(body))
        if self._fault not in POINTED and self._fault != "dribble":
            await self.raw(start + body)
            await self.finish()
            return
        await self.raw(start)
        if not await self._point("first"):
            return
        half = len(body) // 2
        await self.body(body[:half])
        if self._at.isdigit() and not await self._point(self._at):
            return
        await self.body(body[half:])
        if await self._point("end"):
            await self.finish()

    async def _sound(self) -> None:
        """One piece for each token."""
        await self.raw(self._head("audio/mpeg"))
        for position in range(self.script.tokens):
            if not await self._point(str(position)):
                return
            await asyncio.sleep(self.script.gap_ms / 1000)
            await self.body(SILENCE)
        await self.finish()

    async def _refuse(self) -> None:
        script, status = self.script, self.script.status
        if status in (204, 304):
            await self.raw(head(status, []))
            await self.finish()
        elif self._fault == "html":
            await self._sized(status, "text/html", _HTML)
        else:
            await self._sized(status, "application/json", error_body(status), script.retry_after)

    async def _sized(
        self, status: int, kind: str, body: bytes, retry_after: str | None = None
    ) -> None:
        fields = [("content-type", kind), ("content-length", str(len(body)))]
        if retry_after is not None:
            fields.append(("retry-after", retry_after))
        if 300 <= status < 400:
            fields.append(("location", self.script.location))
        await self.raw(head(status, fields) + body)
        await self.finish()

    def _head(self, kind: str, size: int | None = None) -> bytes:
        """The head of a 200; without a size the body is chunked unless a fault says otherwise."""
        fault = self._fault
        fields = [] if fault == "no_type" else [("content-type", kind)]
        if fault == "gzip":
            fields.append(("content-encoding", "gzip"))
        if fault == "huge_header":
            fields.append(("x-huge", "a" * self.script.size))
        if fault == "many_headers":
            fields += [(f"x-{number}", "1") for number in range(5000)]
        self._chunked = size is None and fault not in _UNFRAMED
        if self._chunked or fault == "te_and_cl":
            fields.append(("transfer-encoding", "chunked"))
        if fault == "te_and_cl":
            fields.append(("content-length", str(size or 5)))
        elif fault in ("length_long", "length_short"):
            claimed = size if size is not None else self._stream_size()
            fields.append(("content-length", str(claimed + (50 if fault == "length_long" else -9))))
        elif size is not None and fault not in _UNFRAMED:
            fields.append(("content-length", str(size)))
        return head(200, fields, version="1.0" if fault == "http10" else "1.1")

    def _maker(self) -> EventMaker | MediaEventMaker:
        media = self._ask.endpoint in MEDIA.values()
        return MediaEventMaker(self._ask) if media else EventMaker(self._ask)

    def _stream_size(self) -> int:
        events = self._maker()
        parts = [events.opening(), events.finish(), events.done]
        parts += [events.token(position) for position in range(1, self.script.tokens + 1)]
        usage = usage_of(self._ask)
        if usage is not None and self._ask.include_usage:
            parts.append(events.usage(usage))
        return sum(map(len, parts))

    def _varied(self, event: bytes) -> bytes:
        variant = VARIANTS.get(self._fault)
        return variant(event) if variant is not None and event else event

    async def _point(self, name: str) -> bool:
        """Whether the answer goes on past this point."""
        fault = POINTED.get(self._fault)
        return fault is None or self._at != name or await fault(self)
