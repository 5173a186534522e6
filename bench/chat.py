"""The bytes of the benchmark: one chat request of about 500 bytes, one answer of about 1 KB, stream
events of about 200 bytes. Every subject gets and gives the same ones; nobody makes them up per
request.
"""

import json

CLIENT_MODEL = "bench-chat"
PROVIDER_MODEL = "bench-1"
PATH = "/v1/chat/completions"
HOST = "gateway.bench"  # the same for all, so that request heads are equal to the byte

_SYSTEM = (
    "You are the assistant of a logistics company. Answer in two sentences, name the shipment you "
    "speak of, and never promise a date that the tracking data does not contain."
)
_QUESTION = (
    "Shipment 4711 left the harbour on Monday and was seen in the depot this morning. The "
    "customer asks when it will arrive and whether it can be sent to another address."
)
_ANSWER = (
    "Shipment 4711 was scanned in the depot this morning, so it is on its way. The tracking data "
    "holds no delivery date yet; as soon as it does, the customer gets a message with the day. "
    "A new address can be given until the van is loaded, with the link in that message. If the "
    "customer is not at home, the parcel goes to the nearest shop and stays there for a week."
)
_WORDS = (
    *(" the", " parcel", " is", " on", " its", " way", " and", " will"),
    *(" reach", " you", " soon", " unless", " it", " rains", " all", " day"),
)
DISTINCT_EVENTS = len(_WORDS)  # after so many, content repeats


def request_body(
    chunks: int = 0, gap_ms: int = 0, *, hold: bool = False, burst: bool = False
) -> bytes:
    """A chat request. With `chunks` it asks for a stream of so many content events, `gap_ms` apart;
    `burst` sends them in one write, `hold` leaves the stream open after them. The `bench_` fields
    are unknown to gateways, which let them pass; only the mock reads them.
    """
    body: dict[str, object] = {
        "model": CLIENT_MODEL,
        "messages": [
            {"role": "system", "content": _SYSTEM},
            {"role": "user", "content": _QUESTION},
        ],
        "temperature": 0.2,
        "max_tokens": 512,
    }
    if chunks:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        body |= {"bench_chunks": chunks, "bench_gap_ms": gap_ms}
        body |= {"bench_hold": 1} if hold else {}
        body |= {"bench_burst": 1} if burst else {}
    return json.dumps(body, separators=(",", ":")).encode()


def request_bytes(body: bytes, key: str) -> bytes:
    """The whole HTTP request, as every client of the benchmark sends it."""
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {key}\r\n"
        "User-Agent: bench/1\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def answer_body() -> bytes:
    """A whole chat completion with usage."""
    return json.dumps(
        {
            "id": "chatcmpl-B4nchmarkB4nchmarkB4nchmark",
            "object": "chat.completion",
            "created": 1_795_000_000,
            "model": PROVIDER_MODEL,
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": _ANSWER,
                        "refusal": None,
                        "annotations": [],
                    },
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": _USAGE,
            "service_tier": "default",
            "system_fingerprint": "fp_b4nchmark0",
        }
    ).encode()


def content_event(position: int) -> bytes:
    """One server-sent event with one token."""
    delta: dict[str, object] = {"content": _WORDS[position % len(_WORDS)]}
    if position == 0:
        delta = {"role": "assistant", **delta}
    return _event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}], None)


def usage_event() -> bytes:
    """The event after the last token, for a client that asked for usage."""
    return _event([], _USAGE)


DONE_EVENT = b"data: [DONE]\n\n"


def stream_events(chunks: int) -> list[bytes]:
    """Every event of a stream of `chunks` tokens, in order."""
    return [*(content_event(i) for i in range(chunks)), usage_event(), DONE_EVENT]


def _event(choices: list[object], usage: dict[str, object] | None) -> bytes:
    body = {
        "id": "chatcmpl-B4nchmarkB4nchmarkB4nchmark",
        "object": "chat.completion.chunk",
        "created": 1_795_000_000,
        "model": PROVIDER_MODEL,
        "system_fingerprint": "fp_b4nchmark0",
        "choices": choices,
        **({} if usage is None else {"usage": usage}),
    }
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


_USAGE: dict[str, object] = {
    "prompt_tokens": 87,
    "completion_tokens": 79,
    "total_tokens": 166,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
