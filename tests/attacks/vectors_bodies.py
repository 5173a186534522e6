"""Hostile request bodies as data: table C of the attack list. One `Vector` is one request and what
must come of it, wherever it is run: against the parse functions alone or over a socket.

`body` takes a model name that exists for the caller. A status of 200 presumes a provider that
accepts everything. `layer` says who can decide: `dialect` (the parse function) or `http` (the
server, before or after it).
"""

import gzip
import json
from collections.abc import Callable
from typing import Literal, NamedTuple

CHAT = b"/v1/chat/completions"
COMPLETIONS = b"/v1/completions"
EMBEDDINGS = b"/v1/embeddings"
ANSWERS = b"/v1/responses"
TALK = b"/v1/messages"
COUNT = b"/v1/messages/count_tokens"
OLLAMA = b"/api/chat"
JSON = ((b"content-type", b"application/json"),)
OK, BAD = frozenset({200}), frozenset({400})


class Vector(NamedTuple):
    """Row of the attack list, a name of its own, the request, and the permitted outcomes."""

    row: int
    name: str
    body: Callable[[str], bytes]
    statuses: frozenset[int]
    code: str | None = None
    param: str | None = None
    path: bytes = CHAT
    headers: tuple[tuple[bytes, bytes], ...] = JSON
    layer: Literal["dialect", "http"] = "dialect"

    def __str__(self) -> str:
        return f"{self.row}-{self.name}"


MESSAGES = [{"role": "user", "content": "hi"}]


def chat(**fields):
    """A chat body with these fields added or replaced; a value of `...` leaves the field out."""

    def build(model):
        body = {"model": model, "messages": MESSAGES, **fields}
        return json.dumps({k: v for k, v in body.items() if v is not ...}).encode()

    return build


def completion(**fields):
    """A text completion body."""
    return lambda model: json.dumps({"model": model, "prompt": "hi", **fields}).encode()


def embedding(**fields):
    """An embedding body."""
    return lambda model: json.dumps({"model": model, "input": "hi", **fields}).encode()


def response(**fields):
    """A body that asks for a response."""
    return lambda model: json.dumps({"model": model, "input": "hi", **fields}).encode()


def message(**fields):
    """A body that asks for a message; a value of `...` leaves the field out."""
    return chat(**{"max_tokens": 9, **fields})


def counted(**fields):
    """A body that asks for a count of tokens."""
    return chat(**fields)


def raw(text):
    """A chat body from text in which MODEL and MESSAGES stand for valid ones."""
    if isinstance(text, str):
        text = text.encode()
    return lambda model: text.replace(b"MODEL", json.dumps(model).encode()).replace(
        b"MESSAGES", json.dumps(MESSAGES).encode()
    )


def with_field(name, value):
    """A chat body with one field written as JSON text."""
    return raw(f'{{"model":MODEL,"messages":MESSAGES,"{name}":{value}}}')


def image(url):
    """A chat body that links to an image."""
    parts = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": url}}]
    return chat(messages=[{"role": "user", "content": parts}])


def source(url):
    """A message with a document by address, as Anthropic's dialect nests it in a tool's result."""
    document = {"type": "document", "source": {"type": "url", "url": url}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [document]}
    return message(messages=[{"role": "user", "content": [result]}])


def item(url):
    """A response to a file by address, as a tool gave it."""
    part = {"type": "input_file", "file_url": url}
    return response(input=[{"type": "function_call_output", "call_id": "c", "output": [part]}])


def _million_names(model):
    names = b",".join(b'"%x":1' % i for i in range(1_000_000))  # just under 10 MiB
    return b'{"model":"m","messages":[],' + names + b"}"


def _utf16(encoding):
    return lambda model: json.dumps({"model": model, "messages": MESSAGES}).encode(encoding)


def _limit(value, statuses, code=None, name="max_tokens"):
    return Vector(
        40, f"{name}-{value}", with_field(name, value), statuses, code, name if code else None
    )


def _number(name, value, path=CHAT):
    make = {CHAT: chat, COMPLETIONS: completion}[path]
    kind = path.rsplit(b"/", 2)[-2 if path == CHAT else -1].decode()
    return Vector(
        41, f"{kind}-{name}-{value}", make(**{name: value}), BAD, "invalid_value", name, path
    )


_COMPLEX = "request_too_complex"
DEEP = 100_000

VECTORS: tuple[Vector, ...] = (
    # 33: too long
    Vector(
        33,
        "11-mib",
        lambda model: chat(pad="x" * (11 * 1024 * 1024))(model),
        frozenset({413}),
        layer="http",
    ),
    Vector(33, "empty", lambda _: b"", BAD, "invalid_json"),
    # 34: structure
    Vector(
        34, "deep-arrays", raw('{"model":MODEL,"messages":' + "[" * DEEP + "]" * DEEP + "}"), BAD
    ),
    Vector(
        34,
        "deep-objects",
        raw('{"model":MODEL,"messages":[' + '{"a":' * DEEP + "1" + "}" * DEEP + "]}"),
        BAD,
    ),
    Vector(34, "deep-unclosed", raw("[" * DEEP), BAD),
    *(
        Vector(
            34,
            f"deep-ollama-{name}",
            raw(f'{{"model":MODEL,"messages":MESSAGES,"{name}":{inner}}}'),
            BAD,
            path=OLLAMA,
        )
        for name, inner in (
            ("options", '{"a":' * DEEP + "1" + "}" * DEEP),
            ("tools", "[" * DEEP + "]" * DEEP),
        )
    ),
    Vector(
        34,
        "65-levels",
        raw('{"model":MODEL,"messages":' + "[" * 64 + "]" * 64 + "}"),
        BAD,
        _COMPLEX,
    ),
    Vector(34, "64-levels", raw('{"model":MODEL,"messages":' + "[" * 63 + "]" * 63 + "}"), OK),
    Vector(34, "million-names", _million_names, BAD, _COMPLEX),
    Vector(34, "million-values", chat(metadata=[0] * 1_000_000), BAD, _COMPLEX),
    Vector(34, "5000-digits-passed-on", with_field("seed", "9" * 5000), OK),
    _limit("9" * 5000, BAD, "invalid_type"),
    Vector(
        34,
        "long-name",
        with_field("n" * 257, "1"),
        BAD,
        "invalid_request",
    ),
    # 35: numbers that JSON has not, or that no type holds
    Vector(35, "nan", with_field("temperature", "NaN"), BAD, "invalid_json"),
    Vector(35, "infinity", with_field("temperature", "Infinity"), BAD, "invalid_json"),
    Vector(35, "minus-infinity", with_field("temperature", "-Infinity"), BAD, "invalid_json"),
    Vector(35, "judged-1e999", with_field("n", "1e999"), BAD, "invalid_type", "n"),
    Vector(35, "passed-1e999", with_field("temperature", "1e999"), OK),
    Vector(35, "passed-tiny", with_field("temperature", "1e-400"), OK),
    Vector(35, "passed-minus-zero", with_field("temperature", "-0"), OK),
    # 37: encodings
    Vector(37, "lone-high-surrogate", with_field("user", '"\\ud800"'), BAD, "invalid_json"),
    Vector(37, "lone-low-surrogate", with_field("user", '"\\udc00"'), BAD, "invalid_json"),
    Vector(
        37,
        "surrogate-in-text",
        raw('{"model":MODEL,"messages":[{"role":"user","content":"\\ud83d x"}]}'),
        BAD,
        "invalid_json",
    ),
    Vector(37, "raw-nul", with_field("user", '"a\x00b"'), BAD, "invalid_json"),
    Vector(37, "escaped-nul", with_field("user", '"a\\u0000b"'), OK),
    Vector(37, "bom", raw(b'\xef\xbb\xbf{"model":MODEL,"messages":MESSAGES}'), BAD, "invalid_json"),
    Vector(37, "overlong", raw(b'{"model":MODEL,"messages":"\xc0\xaf"}'), BAD, "invalid_utf8"),
    Vector(
        37, "utf8-surrogate", raw(b'{"model":MODEL,"messages":"\xed\xa0\x80"}'), BAD, "invalid_utf8"
    ),
    Vector(37, "latin1", raw(b'{"model":MODEL,"messages":"\xe9"}'), BAD, "invalid_utf8"),
    Vector(37, "utf16", _utf16("utf-16"), BAD, "invalid_utf8"),
    Vector(37, "utf16-without-bom", _utf16("utf-16-le"), BAD, "invalid_json"),
    Vector(37, "utf32", _utf16("utf-32"), BAD, "invalid_utf8"),
    Vector(
        37,
        "emoji",
        raw('{"model":MODEL,"messages":[{"role":"user","content":"é 😀 \\ud83d\\ude00"}]}'),
        OK,
    ),
    # 38: compressed
    *(
        Vector(
            38,
            f"{coding.decode()}-body",
            lambda _: gzip.compress(b"[" * 1_000_000),
            frozenset({415, 413}),
            headers=(*JSON, (b"content-encoding", coding)),
            layer="http",
        )
        for coding in (b"gzip", b"br", b"zstd", b"deflate")
    ),
    # 39: content types
    *(
        Vector(39, name, chat(), frozenset({415, 400, 431}), headers=headers, layer="http")
        for name, headers in (
            ("no-content-type", ()),
            ("text-plain", ((b"content-type", b"text/plain"),)),
            ("json-seq", ((b"content-type", b"application/json-seq"),)),
            ("two-content-types", (*JSON, (b"content-type", b"text/plain"))),
            (
                "megabyte-boundary",
                ((b"content-type", b"multipart/form-data; boundary=" + b"b" * 1_000_000),),
            ),
        )
    ),
    Vector(
        39,
        "hundred-thousand-parts",
        lambda _: b"--b\r\n\r\n\r\n" * 100_000,
        frozenset({415, 400}),
        headers=((b"content-type", b"multipart/form-data; boundary=b"),),
        layer="http",
    ),
    Vector(
        39,
        "charset",
        chat(),
        OK,
        headers=((b"content-type", b"application/json; charset=utf-8"),),
        layer="http",
    ),
    # 40: output limits
    *(
        _limit(value, statuses, code, name)
        for name in ("max_tokens", "max_completion_tokens")
        for value, statuses, code in (
            ("-1", BAD, "invalid_value"),
            ("0", OK, None),
            ("1e18", BAD, "invalid_type"),
            ("1000000000000000000", BAD, "invalid_value"),
            ("1.5", BAD, "invalid_type"),
            ("10.0", BAD, "invalid_type"),
            ("1e1", BAD, "invalid_type"),
            ('"10"', BAD, "invalid_type"),
            ("true", BAD, "invalid_type"),
            ("[1]", BAD, "invalid_type"),
            ("{}", BAD, "invalid_type"),
            ("1e999", BAD, "invalid_type"),
            ("null", OK, None),
            ("1", OK, None),
        )
    ),
    Vector(40, "absent", chat(), OK),
    Vector(
        40,
        "completions-zero",
        completion(max_tokens=0, echo=True, logprobs=1),
        OK,
        path=COMPLETIONS,
    ),
    Vector(
        40,
        "completions-minus-one",
        completion(max_tokens=-1),
        BAD,
        "invalid_value",
        "max_tokens",
        COMPLETIONS,
    ),
    *(
        Vector(40, f"native-{name}-{value}", make(**{name: value}), statuses, code, name, path)
        for make, path, name in (
            (response, ANSWERS, "max_output_tokens"),
            (message, TALK, "max_tokens"),
        )
        for value, statuses, code in (
            (-1, BAD, "invalid_value"),
            (1.5, BAD, "invalid_type"),
            (10**18, BAD, "invalid_value"),
            ("10", BAD, "invalid_type"),
            (True, BAD, "invalid_type"),
            (1, OK, None),
        )
    ),
    Vector(
        40,
        "message-absent",
        message(max_tokens=...),
        BAD,
        "missing_required_parameter",
        "max_tokens",
        TALK,
    ),
    Vector(
        40,
        "message-null",
        message(max_tokens=None),
        BAD,
        "missing_required_parameter",
        "max_tokens",
        TALK,
    ),
    Vector(40, "message-zero", message(max_tokens=0), OK, path=TALK),
    Vector(40, "response-absent", response(), OK, path=ANSWERS),
    *(
        Vector(
            40,
            f"ollama-{value}",
            chat(options={"num_predict": value}),
            statuses,
            code,
            "options.num_predict",
            OLLAMA,
        )
        for value, statuses, code in (
            (-3, BAD, "invalid_value"),
            (-1, OK, None),
            (0, OK, None),
            (1.5, BAD, "invalid_type"),
            (10**18, BAD, "invalid_value"),
            ("10", BAD, "invalid_type"),
            (True, BAD, "invalid_type"),
            (1, OK, None),
        )
    ),
    *(
        Vector(
            40,
            f"ollama-spelt-{name}",
            chat(**fields),
            BAD,
            "invalid_parameter_name",
            name,
            OLLAMA,
        )
        for name, fields in (
            ("options.Num_Predict", {"options": {"Num_Predict": -1}}),
            ("OPTIONS", {"OPTIONS": {"num_predict": -1}}),
            ("KEEP_ALIVE", {"KEEP_ALIVE": -1}),
        )
    ),
    # 41: what multiplies the cost of a request
    _number("n", 10**9),
    _number("n", 129),
    _number("n", 0),
    _number("n", -1),
    _number("top_logprobs", 10**6),
    _number("top_logprobs", -1),
    _number("n", 10**9, COMPLETIONS),
    _number("best_of", 10**9, COMPLETIONS),
    _number("logprobs", 10**6, COMPLETIONS),
    Vector(41, "n-128", chat(n=128), OK),
    Vector(41, "n-true", chat(n=True), BAD, "invalid_type", "n"),
    Vector(41, "logprobs-number", chat(logprobs=10**6), BAD, "invalid_type", "logprobs"),
    Vector(41, "10k-stops", chat(stop=["x"] * 10_000), BAD, "invalid_value", "stop"),
    Vector(41, "17-stops", chat(stop=["x"] * 17), BAD, "invalid_value", "stop"),
    Vector(41, "16-stops", chat(stop=["x"] * 16), OK),
    Vector(41, "stop-number", chat(stop=5), BAD, "invalid_type", "stop"),
    Vector(41, "stop-numbers", chat(stop=[5]), BAD, "invalid_type", "stop"),
    Vector(
        41, "2049-inputs", embedding(input=["x"] * 2049), BAD, "invalid_value", "input", EMBEDDINGS
    ),
    Vector(41, "2048-inputs", embedding(input=["x"] * 2048), OK, path=EMBEDDINGS),
    Vector(41, "8192-token-ids", embedding(input=[1] * 8192), OK, path=EMBEDDINGS),
    Vector(
        41,
        "2049-prompts",
        completion(prompt=[[1]] * 2049),
        BAD,
        "invalid_value",
        "prompt",
        COMPLETIONS,
    ),
    Vector(
        41,
        "10k-stop-sequences",
        message(stop_sequences=["x"] * 10_000),
        BAD,
        "invalid_value",
        "stop_sequences",
        TALK,
    ),
    Vector(
        41,
        "stop-sequences-numbers",
        message(stop_sequences=[5]),
        BAD,
        "invalid_type",
        "stop_sequences",
        TALK,
    ),
    Vector(
        41,
        "response-top-logprobs",
        response(top_logprobs=10**6),
        BAD,
        "invalid_value",
        "top_logprobs",
        ANSWERS,
    ),
    Vector(
        41,
        "message-fallbacks",
        message(fallbacks=[{"model": "dear"}]),
        BAD,
        "unsupported_parameter",
        "fallbacks",
        TALK,
    ),
    # 42: stream options
    Vector(
        42,
        "usage-false",
        chat(stream=True, stream_options={"include_usage": False, "new": [1]}),
        OK,
    ),
    Vector(42, "options-null", chat(stream=True, stream_options=None), OK),
    Vector(
        42,
        "usage-text",
        chat(stream=True, stream_options={"include_usage": "yes"}),
        BAD,
        "invalid_type",
        "stream_options.include_usage",
    ),
    Vector(
        42,
        "options-array",
        chat(stream=True, stream_options=[]),
        BAD,
        "invalid_type",
        "stream_options",
    ),
    Vector(42, "stream-text", chat(stream="true"), BAD, "invalid_type", "stream"),
    Vector(42, "stream-one", chat(stream=1), BAD, "invalid_type", "stream"),
    Vector(42, "stream-null", chat(stream=None), OK),
    Vector(
        42, "embeddings-stream", embedding(stream=True), BAD, "invalid_value", "stream", EMBEDDINGS
    ),
    Vector(42, "count-stream", counted(stream=True), BAD, "invalid_value", "stream", COUNT),
    Vector(42, "message-stream-text", message(stream="x"), BAD, "invalid_type", "stream", TALK),
    Vector(42, "response-stream-one", response(stream=1), BAD, "invalid_type", "stream", ANSWERS),
    # 43: models
    Vector(43, "megabyte", chat(model="m" * 1_000_000), BAD, "invalid_value", "model"),
    Vector(43, "257-characters", chat(model="m" * 257), BAD, "invalid_value", "model"),
    Vector(43, "empty", chat(model=""), BAD, "invalid_value", "model"),
    Vector(43, "line-break", chat(model="m\r\nx: y"), BAD, "invalid_value", "model"),
    *(
        Vector(
            43,
            f"spelt-{name}-{path.decode().rpartition('/')[2]}",
            chat(**{"max_tokens": 9, "input": "hi", "prompt": "hi", name: "other"}),
            BAD,
            "invalid_parameter_name",
            name,
            path,
        )
        for name in ("Model", "MODEL")
        for path in (CHAT, EMBEDDINGS, TALK, COUNT, OLLAMA)
    ),
    Vector(43, "nul", chat(model="m\x00"), BAD, "invalid_value", "model"),
    Vector(43, "number", chat(model=5), BAD, "invalid_type", "model"),
    Vector(43, "null", chat(model=None), BAD, "missing_required_parameter", "model", layer="http"),
    Vector(43, "absent", chat(model=...), BAD, "missing_required_parameter", "model", layer="http"),
    Vector(43, "path", chat(model="../x"), frozenset({404}), "model_not_found", layer="http"),
    Vector(43, "unknown", chat(model="no-such"), frozenset({404}), "model_not_found", layer="http"),
    # 44: fields that would choose the provider's address or credential
    *(
        Vector(44, name, chat(**{name: "http://127.0.0.1"}), BAD, "forbidden_parameter", name)
        for name in ("api_base", "base_url", "api_key", "extra_headers", "custom_llm_provider")
    ),
    *(
        Vector(44, f"{kind}-{name}", make(**{name: "x"}), BAD, "forbidden_parameter", name, path)
        for kind, make, path in (
            ("response", response, ANSWERS),
            ("message", message, TALK),
            ("count", counted, COUNT),
        )
        for name in ("api_base", "api_key")
    ),
    Vector(44, "null-too", with_field("api_base", "null"), BAD, "forbidden_parameter", "api_base"),
    Vector(
        44,
        "escaped",
        with_field("\\u0061pi\\u005fbase", '"x"'),
        BAD,
        "forbidden_parameter",
        "api_base",
    ),
    Vector(
        44,
        "on-embeddings",
        embedding(api_key="x"),
        BAD,
        "forbidden_parameter",
        "api_key",
        EMBEDDINGS,
    ),
    Vector(44, "unknown-passes", chat(brand_new={"a": [1, None]}), OK),
    Vector(44, "other-spelling", chat(API_BASE="x"), BAD, "invalid_parameter_name", "API_BASE"),
    # 45: labels
    Vector(45, "megabyte-user", chat(user="u" * 1_000_000), OK),
    Vector(45, "user-number", chat(user=7), BAD, "invalid_type", "user"),
    Vector(45, "user-object", chat(user={}), BAD, "invalid_type", "user"),
    Vector(
        45,
        "million-tags",
        chat(metadata={str(i): "" for i in range(1_000_000)}),
        frozenset({400, 413}),
        _COMPLEX,
    ),
    Vector(45, "message-user", message(metadata={"user_id": "u" * 1_000_000}), OK, path=TALK),
    Vector(
        45,
        "message-user-number",
        message(metadata={"user_id": 7}),
        BAD,
        "invalid_type",
        "metadata.user_id",
        TALK,
    ),
    Vector(45, "message-metadata", message(metadata="x"), BAD, "invalid_type", "metadata", TALK),
    Vector(45, "response-user-number", response(user=7), BAD, "invalid_type", "user", ANSWERS),
    # 46: volume
    Vector(46, "10k-messages", chat(messages=MESSAGES * 10_000), OK),
    Vector(
        46,
        "9-mib-of-a",
        chat(messages=[{"role": "user", "content": "a" * (9 * 1024 * 1024)}]),
        BAD,
        _COMPLEX,
    ),
    Vector(46, "commas-in-text", chat(messages=[{"role": "user", "content": ",[{" * 200_000}]), OK),
    # 47: addresses that a provider would open
    *(
        Vector(47, url.partition(":")[0], image(url), BAD, "unsupported_url_scheme", "messages")
        for url in ("file:///etc/passwd", "gopher://x/", "ftp://x/y", "FILE:/x", "//x/y", "x.png")
    ),
    Vector(
        47,
        "escaped-name",
        raw(
            '{"model":MODEL,"messages":[{"role":"user","content":'
            '[{"type":"image\\u005furl","image\\u005f\\u0075rl":{"url":"file:///etc/passwd"}}]}]}'
        ),
        BAD,
        "unsupported_url_scheme",
        "messages",
    ),
    Vector(
        47,
        "escaped-scheme",
        raw(
            '{"model":MODEL,"messages":[{"role":"user","content":'
            '[{"type":"image_url","image_url":{"url":"f\\u0069le:///etc/passwd"}}]}]}'
        ),
        BAD,
        "unsupported_url_scheme",
        "messages",
    ),
    *(
        Vector(
            47,
            f"{kind}-{url.partition(':')[0]}",
            make(url),
            BAD,
            "unsupported_url_scheme",
            field,
            path,
        )
        for kind, make, field, path in (
            ("source", source, "messages", TALK),
            ("item", item, "input", ANSWERS),
        )
        for url in ("file:///etc/passwd", "GOPHER://x/", "//x/y")
    ),
    Vector(
        47,
        "source-escaped",
        raw(
            '{"model":MODEL,"max_tokens":1,"messages":[{"role":"user","content":[{"type":"image",'
            '"source":{"typ\\u0065":"\\u0075rl","\\u0075r\\u006c":"file:///etc/passwd"}}]}]}'
        ),
        BAD,
        "unsupported_url_scheme",
        "messages",
        TALK,
    ),
    Vector(
        47,
        "server-of-tools",
        message(mcp_servers=[{"type": "url", "name": "x", "url": "file:///x"}]),
        BAD,
        "unsupported_url_scheme",
        "mcp_servers",
        TALK,
    ),
    Vector(
        47,
        "response-server-of-tools",
        response(tools=[{"type": "mcp", "server_label": "x", "server_url": "file:///x"}]),
        BAD,
        "unsupported_url_scheme",
        "tools",
        ANSWERS,
    ),
    *(
        Vector(
            47,
            f"spelt-{name}-{path.decode().rpartition('/')[2]}",
            message(messages=[{"role": "user", "content": [{"type": "image_url", name: value}]}]),
            BAD,
            "invalid_parameter_name",
            f"messages.{param}",
            path,
        )
        for name, value, param in (
            ("IMAGE_URL", {"url": "file:///etc/passwd"}, "IMAGE_URL"),
            ("Image_url", "http://127.0.0.1/", "Image_url"),
            ("image_url", {"URL": "file:///etc/passwd"}, "URL"),
        )
        for path in (CHAT, TALK, COUNT)
    ),
    *(
        Vector(
            47,
            f"twice-{name}",
            raw(f'{{"model":MODEL,"messages":[{{"role":"user","content":[{part}]{more}}}]}}'),
            BAD,
            "invalid_parameter_name",
            f"messages.{name}",
        )
        for name, part, more in (
            ("image_url", '{"image_url":{"url":"file:///etc/passwd"},"image_url":{}}', ""),
            ("content", '{"image_url":{"url":"file:///etc/passwd"}}', ',"content":"hi"'),
        )
    ),
    Vector(47, "source-https-passes", source("https://example.com/a.pdf"), OK, path=TALK),
    Vector(47, "item-https-passes", item("https://example.com/a.pdf"), OK, path=ANSWERS),
    Vector(
        47,
        "arguments-pass",
        message(
            messages=[
                {
                    "role": "assistant",
                    "content": [
                        {
                            "type": "tool_use",
                            "id": "t",
                            "name": "f",
                            "input": {"type": "url", "url": "file:///x", "image_url": "x.png"},
                        }
                    ],
                }
            ]
        ),
        OK,
        path=TALK,
    ),
    Vector(47, "https-passes", image("https://example.com/a.png"), OK),
    Vector(47, "data-passes", image("data:image/png;base64,AAAA"), OK),
    Vector(
        47,
        "50-mb-data-url",
        lambda model: image("data:," + "A" * 50_000_000)(model),
        frozenset({413}),
        layer="http",
    ),
    Vector(
        47,
        "written-in-text-passes",
        chat(messages=[{"role": "user", "content": '{"image_url": {"url": "file:///x"}}'}]),
        OK,
    ),
    # 48: schemas travel as bytes, nobody here interprets them
    Vector(
        48,
        "ref-loop",
        chat(tools=[{"type": "function", "function": {"parameters": {"$ref": "#"}}}]),
        frozenset({200, 400}),
    ),
    Vector(
        48,
        "megabyte-pattern",
        chat(
            tools=[{"type": "function", "function": {"parameters": {"pattern": "(a+)+" * 200_000}}}]
        ),
        frozenset({200, 400}),
    ),
    # 50: our own wire format as a prompt
    Vector(
        50,
        "sse-text",
        chat(
            messages=[{"role": "user", "content": "x\r\n\r\ndata: [DONE]\n\ndata: {}\r\n\r\n"}],
            stream=True,
        ),
        OK,
    ),
    # Beside the table: documents that are no request.
    Vector(34, "array", raw("[]"), BAD, "invalid_json"),
    Vector(34, "number", raw("1"), BAD, "invalid_json"),
    Vector(34, "null", raw("null"), BAD, "invalid_json"),
    Vector(34, "two-documents", raw('{"model":MODEL,"messages":MESSAGES}{}'), BAD, "invalid_json"),
    Vector(34, "cut", raw('{"model":MODEL,"messages":['), BAD, "invalid_json"),
    Vector(34, "trailing-comma", raw('{"model":MODEL,"messages":MESSAGES,}'), BAD, "invalid_json"),
    Vector(34, "comment", raw('{"model":MODEL,/*x*/"messages":MESSAGES}'), BAD, "invalid_json"),
    Vector(34, "no-messages", chat(messages=...), BAD, "missing_required_parameter", "messages"),
    Vector(34, "null-messages", chat(messages=None), BAD, "missing_required_parameter", "messages"),
    Vector(34, "messages-text", chat(messages="hi"), BAD, "invalid_type", "messages"),
    Vector(34, "input-number", response(input=5), BAD, "invalid_type", "input", ANSWERS),
    Vector(
        34, "message-messages-text", message(messages="hi"), BAD, "invalid_type", "messages", TALK
    ),
    Vector(
        34,
        "response-65-levels",
        raw('{"model":MODEL,"input":' + "[" * 64 + "]" * 64 + "}"),
        BAD,
        _COMPLEX,
        None,
        ANSWERS,
    ),
    Vector(34, "prompt-number", completion(prompt=5), BAD, "invalid_type", "prompt", COMPLETIONS),
    Vector(
        34,
        "no-input",
        raw('{"model":MODEL}'),
        BAD,
        "missing_required_parameter",
        "input",
        EMBEDDINGS,
    ),
)

# Parts of table C that wait for a feature: row, what, and which feature brings it.
EXPECTED_LATER: tuple[tuple[int, str, str], ...] = (
    (33, "a larger body cap for one tenant", "per-tenant overrides come with tenant settings"),
    (38, "compressed bodies accepted, inflated under a cap", "refused with 415 until enabled"),
    (40, "what is reserved equals the clamp", "quotas"),
    (43, "unpriced model under a cost budget is 400 model_not_priced", "prices and budgets"),
    (45, "cardinality of counters stays flat under unique users", "quotas"),
    (46, "pathological text for a tokenizer", "local token counts"),
    (47, "an image URL to a metadata or private address", "address policy for what providers open"),
    (48, "schemas that loop or blow up are refused by us", "schema translation between dialects"),
    (51, "prompts shown in the admin UI and in CSV exports are inert", "admin UI and exports"),
)

# Parts of table C that are no request body, and the test that holds them.
ELSEWHERE: tuple[tuple[int, str, str], ...] = (
    (33, "lying and absurd content-length, endless chunked bodies", "the HTTP layer's vectors"),
    (42, "usage is captured whatever the client's stream options say", "tests/unit/app/gateway"),
    (43, "another tenant's model is absent", "tests/unit/domain/test_access.py"),
    (49, "a provider's 400 is mapped, billed 0 and not retried", "tests/unit/app/gateway"),
    (
        50,
        "a provider's text that looks like events stays inert",
        "tests/unit/dialects/test_stream.py",
    ),
)
