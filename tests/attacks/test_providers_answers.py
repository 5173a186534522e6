"""Table F of the attack list above HTTP: answers of a hostile provider of each dialect, to clients
of the same and of every other. Rows 90 to 93 and 95, and what other gateways met: calls
that are none, signs that steer a client, roles and names that are not its own.
"""

import json
import re
from typing import Any

import pytest

from tests.fakes.amazon import frame, header
from tests.fakes.hostile import (
    COUNTS,
    ENDS,
    PAIRS,
    SIDES,
    TEXT,
    TRANSLATED,
    USAGES,
    USED,
    Quiet,
    ask,
    at,
    event,
    told_once,
)
from tests.fakes.pipeline import SECRET, Script, chunk
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.entry import cleaned
from tollway.domain.failure import Failure, client_status

JSON_TYPE = [(b"content-type", b"application/json")]
EVENTS = b"text/event-stream; charset=utf-8"
HTML = b"<!doctype html><title>Login</title><script>x</script>"
STEERING = "\r\n\r\nevent: error\ndata: [DONE]\n\n\x00\x1b[2J\u2028\u202e\ufeff"
BINARY = bytes(range(256)) * 16


def good(side: str) -> bytes:
    return SIDES[side].whole(USAGES[side])


def is_one(value: Any) -> bytes:
    return json.dumps(value).encode()


# By name: status, type, body. Row 93, and of row 91 what reaches this floor.
NONE: dict[str, tuple[int, bytes, bytes]] = {
    "HTML": (200, b"text/html", HTML),
    "HTML as JSON": (200, b"application/json", HTML),
    "nothing": (200, b"application/json", b""),
    "204": (204, b"application/json", b""),
    "301": (301, b"text/html", HTML),
    "307": (307, b"application/json", b""),
    "600": (600, b"application/json", b"{}"),
    "binary": (200, b"application/json", BINARY),
    "NULs": (200, b"application/json", b"\0" * 5000),
    "a list": (200, b"application/json", b"[1]"),
    "a number": (200, b"application/json", b"1e400"),
    "an empty object": (200, b"application/json", b"{}"),
    "NaN": (200, b"application/json", b"NaN"),
    "an error as 200": (200, b"application/json", b'{"error": {"message": "no"}}'),
    "deep": (200, b"application/json", b'{"a":' * 100_000),
    "a stream": (200, b"text/event-stream", b": x\n\n" * 99),
    "401": (401, b"application/json", b'{"error": {"message": "no %s"}}' % SECRET.encode()),
}


def is_safe(text: str) -> bool:
    """Fit to show: no markup, no key, one line."""
    return not re.search(r"[\x00-\x1f\x7f-\x9f<\u2028\u2029]", text) and SECRET not in text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", NONE)
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_an_answer_that_is_none(client: str, side: str, name: str, stream: bool) -> None:
    """Rows 91 and 93: 502 or the status it has, told on one safe line, and nothing billed; what is
    no stream of this dialect's is none whatever its bytes."""
    status, kind, body = NONE[name]
    made = at(side, Script(status, [(b"content-type", kind)], [body]))
    by, verdict = await ask(made, client, stream=stream)
    assert (by.status, by.body) == (None, b"")
    assert isinstance(verdict, Failure)
    assert client_status(verdict) == 502
    assert is_safe(verdict.message)
    [row] = made.journal.receipts
    assert (row.payer, row.input, row.output, row.upstream_status) == ("failed", 0, 0, status)


SPOILED = {
    "half": lambda body: body[:-1],
    "two": lambda body: body + body,
    "not UTF-8": lambda body: body.replace(TEXT.encode(), b"\xff\xfe"),
    "overlong": lambda body: body.replace(TEXT.encode(), b"\xc0\x80"),
    "a surrogate": lambda body: body.replace(TEXT.encode(), b"\\ud800"),
    "a NUL": lambda body: body.replace(TEXT.encode(), b"\0"),
    "a line end": lambda body: body.replace(TEXT.encode(), b"a\nb"),
    "a tail": lambda body: body + b"\0",
}


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_a_spoiled_answer(client: str, side: str, how: str) -> None:
    """Row 93: what is not quite JSON is none, also where it would only pass."""
    made = at(side, Script(pieces=[SPOILED[how](good(side))]))
    _, verdict = await ask(made, client, stream=False)
    if how == "a surrogate" and verdict is None:
        assert client == side, "nobody writes it anew"
        return
    assert isinstance(verdict, Failure)
    assert client_status(verdict) == 502
    assert made.journal.receipts[0].payer == "failed"


def counted(side: str, read: str, written: str) -> bytes:
    into, out = COUNTS[side]
    return f'{{"{into}": {read}, "{out}": {written}}}'.encode()


# Row 90: what it claims of input and output, and what is booked: None is an estimate.
CLAIMS: dict[str, tuple[str, str, tuple[int, int] | None]] = {
    "negative": ("-5", "-7", None),
    "floats": ("1.5", "2e3", None),
    "huge": ("99999999999999999999999", "9223372036854775807", None),
    "400 digits": ("9" * 400, "9" * 400, None),
    "texts": ('"3"', "true", None),
    "containers": ("{}", "[[]]", None),
    "zero": ("0", "0", (0, 0)),
    "far above": (str(10**9), str(10**9), (10**9, 10**9)),
    "above any answer": (str(10**9 + 1), str(2**53), None),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_usage_that_is_claimed(client: str, side: str, claim: str, stream: bool) -> None:
    """Row 90: what can be true is booked as it is claimed, what cannot counts as not reported: then
    the row is estimated, never negative, never lost, and never one that the ledger sets aside."""
    read, written, booked = CLAIMS[claim]
    spoken, usage = SIDES[side], counted(side, read, written)
    script = Script(pieces=[spoken.whole(usage)])
    if stream:
        pieces = [spoken.start, spoken.words(TEXT), spoken.stopped(usage), spoken.last]
        script = spoken.streamed(*pieces)
    made = at(side, script)
    by, verdict = await ask(made, client, stream=stream)
    assert verdict is None
    [row] = made.journal.receipts
    if booked is not None:
        assert (row.payer, row.input, row.output) == ("reported", *booked)
    else:
        assert (row.payer, row.usage_source, row.output) == ("estimated", "estimated", 2)
        assert row.input > 0
    assert cleaned(row) == row
    assert TEXT.encode() in by.body


LONG = "word " * 3200  # 16,000 bytes: some 4,000 tokens, and 500 at the very least


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("claimed", "flagged"), [(0, True), (1, True), (300, True), (500, False), (4000, False)]
)
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_usage_far_below_what_was_sent(
    client: str, side: str, claimed: int, flagged: bool, stream: bool
) -> None:
    """Row 90: it is booked as it is claimed, and the row says that it cannot be; in no language has
    a token 32 bytes by the mean."""
    spoken, usage = SIDES[side], counted(side, "5", str(claimed))
    pieces = [spoken.whole(usage).replace(TEXT.encode(), LONG.encode())]
    script = Script(pieces=pieces)
    if stream:
        pieces = [spoken.start, spoken.words(LONG), spoken.stopped(usage), spoken.last]
        script = spoken.streamed(*pieces)
    made = at(side, script)
    limit = {"max_tokens": 9000} if client == "messages" else {}
    _, verdict = await ask(made, client, stream=stream, by=Quiet(), **limit)
    assert verdict is None
    [row] = made.journal.receipts
    assert (row.payer, row.output, row.outcome) == ("reported", claimed, "finished")
    assert row.error == ("usage:below_seen" if flagged else None)


# What is no word of the model's, by the dialect: pictures, findings of its provider's tools, seals.
MUCH = "x" * 20_000
UNWRITTEN: list[tuple[str, dict[str, Any]]] = [
    ("chat", {"images": [{"image_url": {"url": "data:image/png;base64," + MUCH}}]}),
    ("chat", {"content": [{"type": "image_url", "image_url": {"url": "data:," + MUCH}}]}),
    ("chat", {"audio": {"id": "a", "data": MUCH, "transcript": "short"}}),
    ("chat", {"content": "x", "extra": {"seal": MUCH}}),
    ("messages", {"type": "web_search_tool_result", "content": [{"url": "x", "title": MUCH}]}),
    ("messages", {"type": "redacted_thinking", "data": MUCH}),
    ("messages", {"type": "thinking", "thinking": "x", "signature": MUCH}),
    ("messages", {"type": "text", "text": "x", "citations": [{"cited_text": MUCH}]}),
    ("responses", {"type": "image_generation_call", "result": MUCH}),
    ("responses", {"type": "mcp_list_tools", "tools": [{"description": MUCH}]}),
    ("responses", {"type": "mcp_call", "name": "f", "arguments": "{}", "output": MUCH}),
    ("responses", {"type": "reasoning", "summary": [], "encrypted_content": MUCH}),
    ("responses", {"type": "message", "content": [{"text": "x", "annotations": [MUCH]}]}),
]


@pytest.mark.parametrize(("side", "unwritten"), UNWRITTEN)
async def test_what_no_model_wrote_is_not_seen(side: str, unwritten: dict[str, Any]) -> None:
    """Row 90: no alarm about what has few tokens, or none."""
    body = json.loads(good(side))
    if side == "chat":
        body["choices"][0]["message"] = unwritten
    else:
        body["content" if side == "messages" else "output"].append(unwritten)
    made = at(side, Script(pieces=[is_one(body)]))
    _, verdict = await ask(made, side, stream=False)
    assert verdict is None
    [row] = made.journal.receipts
    assert (row.output, row.error) == (USED[1], None)


WRITTEN: list[dict[str, Any]] = [
    {"type": "function_call", "name": "f", "arguments": MUCH},
    {"type": "custom_tool_call", "name": "f", "input": MUCH},
    {"type": "code_interpreter_call", "code": MUCH},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": MUCH}], "content": None},
    {"type": "message", "content": ["odd", {"type": "refusal", "refusal": MUCH}]},
]


@pytest.mark.parametrize("item", WRITTEN)
async def test_all_that_a_model_wrote_is_seen(item: dict[str, Any]) -> None:
    """Row 90: calls, thoughts and refusals as well as words."""
    body = json.loads(good("responses"))
    body["output"] += [item, "odd"]
    made = at("responses", Script(pieces=[is_one(body)]))
    await ask(made, "responses", stream=False)
    assert made.journal.receipts[0].error == "usage:below_seen"


@pytest.mark.parametrize(("fields", "flagged"), [({"echo": True}, False), ({}, True)])
async def test_a_prompt_that_is_told_again_is_not_seen(fields: Any, flagged: bool) -> None:
    """Row 90: with `echo` the prompt stands in the answer, and is none of its tokens."""
    used = {"prompt_tokens": 4000, "completion_tokens": 1}
    body = {"choices": [{"text": LONG, "index": 0, "finish_reason": "length"}], "usage": used}
    made = at("chat", Script(pieces=[is_one(body)]))
    endpoint = ENDPOINTS[b"/v1/completions"]
    asked = {"model": "m", "prompt": LONG, "max_tokens": 1, **fields}
    _, verdict = await made.ask(asked, endpoint=endpoint, client=Quiet())
    assert verdict is None
    assert made.journal.receipts[0].error == ("usage:below_seen" if flagged else None)


UNREADABLE = {
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "1e400": b"1e400",
    "5000 digits": b"9" * 5000,
}


@pytest.mark.parametrize("number", UNREADABLE)
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_numbers_that_no_json_has(client: str, side: str, number: str) -> None:
    """Row 90: such an answer is none, or its usage is not reported; it is never booked."""
    usage = counted(side, "7", "7").replace(b"7", UNREADABLE[number])
    made = at(side, Script(pieces=[SIDES[side].whole(usage)]))
    _, verdict = await ask(made, client, stream=False)
    [row] = made.journal.receipts
    assert row.payer == ("estimated" if verdict is None else "failed")
    assert row.usage_source != "provider"
    spoken = SIDES[side]
    made = at(side, spoken.streamed(spoken.start, spoken.words(TEXT), spoken.stopped(usage)))
    by, _ = await ask(made, client, stream=True)
    [row] = made.journal.receipts
    assert row.usage_source == "estimated"
    assert row.output == 2
    assert by.ended in ("finished", "aborted")


@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_keys_that_come_twice(client: str, side: str) -> None:
    """Row 90: the last one counts, as it does for clients."""
    usage = counted(side, "1", "1")[:-1] + b", " + counted(side, "5", "2")[1:]
    made = at(side, Script(pieces=[SIDES[side].whole(usage)]))
    _, verdict = await ask(made, client, stream=False)
    assert verdict is None
    [row] = made.journal.receipts
    assert (row.input, row.output, row.payer) == (*USED, "reported")


def counting(read: int, written: int) -> bytes:
    """An event of Chat Completions that tells nothing but a usage."""
    return b'data: {"choices":[],"usage":%b}\n\n' % counted("chat", str(read), str(written))


@pytest.mark.parametrize(
    "told",
    [[(900, 900), (5, 2)], [(1, 1), (5, 2)], [(5, 2), (-1, -7)], [(5, 2), (10**12, 10**12)]],
    ids=str,
)
@pytest.mark.parametrize("client", [client for client, side in PAIRS if side == "chat"])
async def test_usage_that_is_told_again(client: str, told: list[tuple[int, int]]) -> None:
    """Row 90: of several the last that can be true is booked, once; they are not added up."""
    spoken = SIDES["chat"]
    usages = [counting(*one) for one in told]
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    pieces = [spoken.start, usages[0], spoken.words(TEXT), usages[1], end, spoken.last]
    made = at("chat", spoken.streamed(*pieces))
    by, verdict = await ask(made, client, stream=True)
    assert (verdict, by.ended) == (None, "finished")
    [row] = made.journal.receipts
    assert (row.payer, row.input, row.output) == ("reported", 5, 2)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_headers_that_are_not_for_clients(client: str, side: str, stream: bool) -> None:
    """Row 91: cookies, places, names of ours and of the hop stay here, whoever translates."""
    names = (
        "set-cookie location refresh x-secret connection keep-alive trailer transfer-encoding "
        "upgrade proxy-authenticate www-authenticate x-request-id x-tollway-provider warning link "
        "access-control-allow-origin x-ratelimit-remaining content-encoding content-length server "
        "x-amzn-requestid alt-svc"
    )
    foreign = [(name.encode(), b"x") for name in names.split()]
    spoken = SIDES[side]
    script = spoken.streamed(*spoken.sound, headers=[*spoken.head, *foreign])
    if not stream:
        script = Script(headers=[(b"content-type", HTML[:5]), *foreign], pieces=[good(side)])
    made = at(side, script)
    by, verdict = await ask(made, client, stream=stream)
    assert verdict is None
    ours = {b"content-type", b"x-request-id", b"x-tollway-provider"}
    assert set(by.headers) - {b"cache-control", b"x-accel-buffering", b"warning"} == ours
    assert by.headers[b"x-tollway-provider"] == b"one"
    assert b"x" not in (by.headers[b"x-request-id"], by.headers.get(b"warning"))
    kind = by.headers[b"content-type"]
    events = SIDES["ollama"].head[0][1] if client == "ollama" else EVENTS
    assert kind == (events if stream else b"application/json")


@pytest.mark.parametrize("value", [b"v" * 20_000, b"2020\xff", b"a\tb"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_header_for_clients_that_is_none(value: bytes, stream: bool) -> None:
    """Row 91: what may pass is a few plain words; some clients take 8 KiB of headers in all."""
    spoken, told = SIDES["chat"], [(b"openai-version", value), (b"openai-processing-ms", b"12")]
    script = Script(headers=[(b"content-type", b"application/json"), *told], pieces=[good("chat")])
    if stream:
        script = spoken.streamed(*spoken.sound, headers=[*spoken.head, *told])
    by, verdict = await ask(at("chat", script), "chat", stream=stream)
    assert verdict is None
    assert b"openai-version" not in by.headers
    assert by.headers[b"openai-processing-ms"] == b"12"


NAMES = ["a\r\nset-cookie: x", "a\rset-cookie: x", 'a", evil "b', "a\\", "\0\x1b[2J", "\u202eb"]


@pytest.mark.parametrize("side", ["messages", "bedrock"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_name_that_writes_headers(side: str, name: str) -> None:
    """Row 91: a field that a provider has no words for is told of in a header, and its name is the
    client's own: it stays inside of its quotes."""
    made = at(side, Script(pieces=[good(side)]))
    by, verdict = await ask(made, "chat", stream=False, **{name: 1})
    assert verdict is None
    told = by.headers[b"warning"]
    assert re.fullmatch(rb'299 tollway "[ !#-\[\]-~]*"', told)
    assert b"left out: " in told


async def test_names_that_fill_a_head() -> None:
    """Row 91: what is told of many long names is short: some clients take 8 KiB of headers."""
    made = at("messages", Script(pieces=[good("messages")]))
    by, _ = await ask(made, "chat", stream=False, **{f"{n:02}" + "x" * 250: 1 for n in range(64)})
    assert len(by.headers[b"warning"]) < 1200


def values_of(client: str, body: bytes) -> list[Any]:
    """What a client of this dialect reads: each event is JSON, or the last word."""
    if client == "ollama":
        values = [json.loads(line) for line in body.splitlines()]
        assert not [one for one in values if one.get("error")]
        return values
    payloads = [line[6:] for line in re.split(rb"\r\n|\n|\r", body) if line[:6] == b"data: "]
    if client == "chat":
        assert payloads[-1] == b"[DONE]"
        payloads.pop()
    values = [json.loads(payload) for payload in payloads]
    assert not [one for one in values if one.get("error")]
    return values


ARGUMENTS = ["", "{", "[1]", '"x"', "NaN", "null", '{"a":1}{"b":2}', '{"a":1e999}', STEERING, "\0"]


@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize(("client", "side"), TRANSLATED)
async def test_arguments_that_are_not_json(client: str, side: str, arguments: str) -> None:
    """What a model wrote reaches the client in a sound stream: nothing of it steers."""
    spoken = SIDES[side]
    call = spoken.call(0, "c1", "look", arguments)
    usage = USAGES[side]
    made = at(side, spoken.streamed(spoken.start, call, spoken.stopped(usage), spoken.last))
    by, verdict = await ask(made, client, stream=True)
    assert (verdict, by.ended) == (None, "finished")
    assert values_of(client, by.body)
    assert by.body.count(ENDS[client]) in (1, 2)
    [row] = made.journal.receipts
    assert (row.payer, row.input, row.output) == ("reported", *USED)


PLACES: list[list[Any]] = [[0, 10**9], [10**9, 0], [2**70, -1], [0, 0], [None, "x"], [1.5, {}]]


@pytest.mark.parametrize("places", PLACES, ids=str)
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_calls_at_odd_places(client: str, side: str, places: list[Any]) -> None:
    """Places that jump, come twice or are none, ids that repeat, names that steer: the client's own
    places are small and in order, and each line is an event of its dialect."""
    spoken = SIDES[side]
    calls = [spoken.call(place, "c1", STEERING + "f", '{"at":1}') for place in places]
    pieces = [spoken.start, *calls, spoken.stopped(USAGES[side]), spoken.last]
    made = at(side, spoken.streamed(*pieces))
    by, verdict = await ask(made, client, stream=True)
    assert (verdict, by.ended) == (None, "finished")
    values = values_of(client, by.body)
    for raw in ("\x00", "\x1b", "\r"):
        assert raw not in by.body.decode()
    if client != side:
        assert max(indexes(values), default=0) < 2 * len(places)
    [row] = made.journal.receipts
    assert (row.payer, row.input, row.output) == ("reported", *USED)


def indexes(value: Any) -> list[int]:
    """All places in what a client reads."""
    if isinstance(value, list):
        return [number for one in value for number in indexes(one)]
    if not isinstance(value, dict):
        return []
    own = [value[name] for name in ("index", "output_index") if name in value]
    return own + [number for one in value.values() for number in indexes(one)]


@pytest.mark.parametrize(("client", "side"), TRANSLATED)
async def test_names_and_roles_of_its_own(client: str, side: str) -> None:
    """The model that was asked for and an assistant answer, whatever the provider calls them; its
    ids stay where they are no call's."""
    spoken, told = SIDES[side], STEERING + "other"
    more = {"model": told, "id": told, "modelVersion": told, "role": "system", "responseId": told}
    body = json.loads(good(side)) | more
    for holder in (
        body.get("choices", [{}])[0].get("message"),
        body.get("output", {}).get("message"),
    ):
        if holder is not None:
            holder["role"] = "user"
    made = at(side, Script(pieces=[is_one(body)]))
    by, verdict = await ask(made, client, stream=False)
    assert verdict is None
    answer = json.loads(by.body)
    assert answer["model"] == "m"
    assert b"other" not in by.body
    assert b'"role":"user"' not in by.body
    assert b'"role":"assistant"' in by.body
    made = at(side, spoken.streamed(*spoken.sound))
    by, _ = await ask(made, client, stream=True)
    assert b'"role":"user"' not in by.body


def garbled(side: str) -> bytes:
    """One event that is none."""
    if side == "bedrock":
        headers = header(":event-type", "contentBlockDelta") + header(":message-type", "event")
        return frame(headers, b'{"delta": \xff}')
    if side == "ollama":
        return b'{"message": \xff\n'
    return event(b'{"choices": [\xff')


@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_one_malformed_event_among_60(client: str, side: str) -> None:
    """Row 95: it is skipped and the stream goes on; two in a row end it."""
    spoken, words = SIDES[side], [SIDES[side].words(f"w{number} ") for number in range(60)]
    stopped = [spoken.stopped(USAGES[side]), spoken.last]
    for place in (0, 1, 30, 60):
        pieces = [spoken.start, *words[:place], garbled(side), *words[place:], *stopped]
        made = at(side, spoken.streamed(*pieces))
        by, verdict = await ask(made, client, stream=True)
        assert (verdict, by.ended) == (None, "finished")
        assert [number for number in range(60) if b"w%d " % number not in by.body] == []
        assert values_of(client, by.body)
    pieces = [spoken.start, *words, garbled(side), garbled(side), *stopped]
    made = at(side, spoken.streamed(*pieces))
    by, _ = await ask(made, client, stream=True)
    assert by.ended == "aborted"
    assert told_once(client, by.body)
    assert made.journal.receipts[0].payer == "cut"


EVENTED = [one for one in PAIRS if one[1] not in ("bedrock", "ollama")]
FIELDS = b"id: 1\nretry: 1\nevent: evil\n: note\nfoo: bar\n"


@pytest.mark.parametrize(("client", "side"), EVENTED)
async def test_lines_that_steer_a_client(client: str, side: str) -> None:
    """Row 92: `id:`, `retry:` and an `event:` that is not the type's stay here."""
    spoken = SIDES[side]
    lines = [line for piece in spoken.sound for line in re.split(rb"\n\n", piece) if line]
    pieces = [FIELDS + line[line.find(b"data:") :] + b"\n\n" for line in lines]
    made = at(side, spoken.streamed(*pieces))
    by, verdict = await ask(made, client, stream=True)
    assert (verdict, by.ended) == (None, "finished")
    for unwanted in (b"retry", b"evil", b"foo", b"\nid:"):
        assert unwanted not in by.body
    assert TEXT.encode() in by.body


SWAPPED = {"role": "user", "content": TEXT}


async def test_a_role_that_is_swapped_passes_where_bytes_do() -> None:
    """A client of the same dialect gets the provider's own bytes; they are counted all the same."""
    piece = chunk(choices=[{"index": 0, "delta": SWAPPED}])
    spoken = SIDES["chat"]
    made = at("chat", spoken.streamed(piece, *spoken.sound[2:]))
    by, _ = await ask(made, "chat", stream=True)
    assert by.body.startswith(piece)
    assert made.journal.receipts[0].output == USED[1]
