"""Frames of Amazon's event streams, as Bedrock sends them."""

import json
from binascii import crc32


def header(name, value, kind=7):
    """One header; texts have type 7."""
    value = value.encode() if isinstance(value, str) else value
    size = len(value).to_bytes(2, "big") if kind in (6, 7) else b""
    return bytes([len(name)]) + name.encode() + bytes([kind]) + size + value


def frame(headers, payload):
    """A sound frame around these bytes."""
    total = len(headers) + len(payload) + 16
    data = total.to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    data += crc32(data).to_bytes(4, "big") + headers + payload
    return data + crc32(data).to_bytes(4, "big")


def event(name, **body):
    """One event of ConverseStream, with the padding that Amazon puts into each."""
    headers = (
        header(":event-type", name)
        + header(":content-type", "application/json")
        + header(":message-type", "event")
    )
    return frame(headers, json.dumps({**body, "p": "abcdef"}).encode())


def exception(name, message="no"):
    """What went wrong inside a 200."""
    headers = header(":exception-type", name) + header(":message-type", "exception")
    return frame(headers, json.dumps({"message": message}).encode())


START = event("messageStart", role="assistant")
USAGE = {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}
METADATA = event("metadata", usage=USAGE, metrics={"latencyMs": 9})


def delta(index, **said):
    """More of a block."""
    return event("contentBlockDelta", contentBlockIndex=index, delta=said)


def called(index, id_, name):
    """A call begins."""
    start = {"toolUse": {"toolUseId": id_, "name": name}}
    return event("contentBlockStart", contentBlockIndex=index, start=start)


def block_end(index):
    """A block is whole."""
    return event("contentBlockStop", contentBlockIndex=index)


def stop(reason, **more):
    """Why it ended."""
    return event("messageStop", stopReason=reason, **more)
