"""Ids of kept responses in answers and streams, and what may be asked about one."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dialects.test_stream_responses import USAGE, WHOLE, event, response
from tollway.dialects import kept
from tollway.dialects.ask import Ask, Heading, Rewrite
from tollway.dialects.kept import KeepingResponses, KeptCall, KeptResponsesReader, renamed
from tollway.dialects.registry import ENDPOINTS, carrier_for, find_kept
from tollway.dialects.reply_responses import read_response
from tollway.dialects.sse import field_of, split_events
from tollway.dialects.stream_responses import ResponsesReader
from tollway.domain.provider import ProviderKind
from tollway.domain.refusal import BadRequest
from tollway.domain.usage import Usage


def ours(name):
    return "resp_of_ours_" + name[::-1]


NAMED = Heading("m", "req_1", 0, naming=ours)
SENT = Rewrite("t", False, None, None, "resp_1")
STREAM = b"".join(
    (
        event("response.created", response={"id": "resp_1", "previous_response_id": "resp_0"}),
        b": a comment\n\n",
        response("in_progress", previous_response_id=None),
        event("response.output_text.delta", delta="resp_1", logprobs=[]),
        event("response.audio.delta", delta="AAAA", response_id="resp_1"),
        event("keepalive"),
        event("response.output_text.done", text='say "id":"resp_1"'),
        response("completed", USAGE, output=[{"id": "resp_1"}], error=None),
    )
)


def events_of(stream):
    return [
        json.loads(line.removeprefix(b"data: "))
        for line in stream.split(b"\n")
        if line.startswith(b"data: ")
    ]


class TestWhole:
    def test_ids_of_responses_become_ours(self):
        """Its own and the one it goes on from; every other value keeps its bytes."""
        body = b'{ "x":1e2,"id":"resp_1" ,"previous_response_id":"resp_0","o":[ {"id": "resp_1"} ]}'
        assert renamed(body, ours) == (
            b'{"x":1e2,"id":"resp_of_ours_1_pser",'
            b'"previous_response_id":"resp_of_ours_0_pser","o":[ {"id": "resp_1"} ]}'
        )

    def test_a_repeated_id_cannot_pass_beside_ours(self):
        """The last counts, and stands once, however it is spelled."""
        body = b'{"id":"resp_1","\\u0069d":"resp_2"}'
        assert json.loads(renamed(body, ours)) == {"id": ours("resp_2")}
        assert b"resp_1" not in renamed(body, ours)

    @pytest.mark.parametrize(
        "body", [b'{"id":5}', b'{"id":null}', b"{}", b"[]", b"{", b'{"x":"\xff"}']
    )
    def test_what_has_no_id_is_left_alone(self, body):
        """Not ours to judge here."""
        assert renamed(body, ours) == body

    def test_an_answer_that_is_not_kept_passes_unchanged(self):
        """No bytes are touched, none are written anew."""
        body = b'{ "id":"resp_1", "output":[], "usage":{"input_tokens":1,"output_tokens":2} }'
        carrier = carrier_for(ENDPOINTS[b"/v1/responses"], ProviderKind.OPENAI, "m")
        assert isinstance(carrier, KeepingResponses)
        assert carrier.read_reply(body, NAMED._replace(naming=None)).body is None
        told = carrier.read_reply(body, NAMED)
        assert json.loads(told.body)["id"] == ours("resp_1")
        assert told.usage == read_response(body).usage == Usage(input=1, output=2)

    def test_an_error_is_an_error(self):
        """Also where ids would be ours."""
        carrier = carrier_for(ENDPOINTS[b"/v1/responses"], ProviderKind.OPENAI, "m")
        assert not carrier.read_reply(b'{"error":{"message":"no"}}', NAMED).valid


class TestStream:
    def test_the_response_has_our_id_in_every_event(self):
        """And what the model says is left alone."""
        reader = KeptResponsesReader(ours)
        passed = reader.feed(STREAM) + reader.end()
        assert reader.done
        told = events_of(passed)
        assert [one["response"]["id"] for one in told if "response" in one] == [ours("resp_1")] * 3
        assert told[0]["response"]["previous_response_id"] == ours("resp_0")
        assert told[1]["response"]["previous_response_id"] is None
        assert told[2]["delta"] == "resp_1"
        assert told[3]["response_id"] == ours("resp_1")
        assert told[5]["text"] == 'say "id":"resp_1"'
        assert told[6]["response"]["output"] == [{"id": "resp_1"}]
        assert [one["type"] for one in told] == [one["type"] for one in events_of(STREAM)]
        for kind in (b"response.output_text.delta", b"response.output_text.done"):
            begin = STREAM.index(b"event: " + kind)
            end = STREAM.index(b"\n\n", begin) + 2
            assert STREAM[begin:end] in passed

    def test_the_same_facts_are_read(self):
        """As of one that is not kept."""
        plain, kept_one = ResponsesReader(), KeptResponsesReader(ours)
        for reader in (plain, kept_one):
            reader.feed(WHOLE)
        for fact in ("done", "read", "events", "content_bytes", "usage", "error", "dropped"):
            assert getattr(plain, fact) == getattr(kept_one, fact)

    @pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
    def test_cut_at_every_byte(self, ending):
        """The same bytes pass, whatever ends a line and wherever it is cut; none is the
        provider's id."""
        stream = STREAM.replace(b"\n", ending)
        whole = KeptResponsesReader(ours)
        expected = whole.feed(stream) + whole.end()
        for cut in range(len(stream) + 1):
            reader = KeptResponsesReader(ours)
            passed = reader.feed(stream[:cut]) + reader.feed(stream[cut:]) + reader.end()
            assert passed == expected
            assert (reader.usage, reader.events) == (whole.usage, whole.events)
        byte_by_byte = KeptResponsesReader(ours)
        passed = b"".join(byte_by_byte.feed(stream[at : at + 1]) for at in range(len(stream)))
        assert passed + byte_by_byte.end() == expected
        assert [one["type"] for one in events_of(expected.replace(ending, b"\n"))] == [
            one["type"] for one in events_of(STREAM)
        ]

    def test_a_payload_of_several_lines_stays_one_event(self):
        """Its line breaks are the stream's, not the value's."""
        written = json.dumps(
            {"type": "response.created", "response": {"id": "resp_1", "o": [1]}}, indent=1
        )
        lines = "".join(f"data: {line}\n" for line in written.split("\n"))
        reader = KeptResponsesReader(ours)
        passed = reader.feed(f"event: response.created\n{lines}\n".encode())
        assert passed.count(b"\n\n") == 1
        told = json.loads(
            b"\n".join(line[6:] for line in passed.split(b"\n") if line[:5] == b"data:")
        )
        assert told == {"type": "response.created", "response": {"id": ours("resp_1"), "o": [1]}}

    @pytest.mark.parametrize("value", [None, 5, "x", [], {}, {"id": None}])
    def test_a_strange_response_passes(self, value):
        """There is nothing to rename."""
        sent = event("response.in_progress", response=value)
        reader = KeptResponsesReader(ours)
        assert events_of(reader.feed(sent)) == events_of(sent)


FRAGMENTS = st.sampled_from(
    [
        *(event_bytes + b"\n\n" for event_bytes in STREAM.split(b"\n\n") if event_bytes),
        *(
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"data: ",
            b"event: ",
            b": x\n\n",
            b"\xef\xbb\xbf",
            b"\xff",
        ),
        b'data: {"type":"response.created","response":{"id":"resp_1"}}\n\n',
        b'data: {"type":"response.created",\rdata: "response":{"id":"resp_1"}}\r\r',
        b'data: {"type":"response.queued","response":{"id":"a","id":"resp_1"}}\n\n',
        b'data: {"type":"response.failed","response":{"id":"resp_1","error":{"message":"x"}}}\n\n',
        b'event: error\ndata: {"response":{"id":"resp_1"}}\n\n',
        b"data: [DONE]\n\n",
        b"data: {\n\n",
    ]
)


@given(st.lists(FRAGMENTS, max_size=12), st.lists(st.integers(0, 600), max_size=4))
def test_whatever_comes_the_facts_are_the_same_and_the_id_is_ours(fragments, cuts):
    """As of a stream that is not kept: as many events pass, and the provider's id in none that has
    a response."""
    stream = b"".join(fragments)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    plain, reader = ResponsesReader(), KeptResponsesReader(ours)
    expected = plain.feed(stream) + plain.end()
    pieces = [stream[begin:end] for begin, end in pairwise(places)]
    passed = b"".join([reader.feed(piece) for piece in pieces]) + reader.end()
    for fact in ("done", "began", "events", "content_bytes", "usage", "error", "dropped"):
        assert getattr(plain, fact) == getattr(reader, fact)
    assert len(loose_events(passed)) == len(loose_events(expected))
    for told in loose_events(passed):
        if isinstance(told.get("response"), dict):
            assert told["response"].get("id") != "resp_1"
        assert told.get("response_id") != "resp_1"


def loose_events(stream):
    """Every event's data, whatever ends its lines."""
    payloads = []
    for lines in split_events(stream):
        data = [value for name, value in map(field_of, lines) if name == b"data"]
        if data:
            payloads.append(json.loads(b"\n".join(data)))
    return payloads


class TestAsking:
    @pytest.mark.parametrize(
        ("method", "path", "name"),
        [
            (b"GET", b"/v1/responses/resp_1", "responses_get"),
            (b"DELETE", b"/v1/responses/resp_1", "responses_delete"),
            (b"GET", b"/v1/responses/resp_1/input_items", "responses_input_items"),
            (b"POST", b"/v1/responses/resp_1/cancel", "responses_cancel"),
        ],
    )
    def test_a_path_means_an_endpoint(self, method, path, name):
        """A key that may make responses may ask about them."""
        endpoint, asked = find_kept(method, path)
        assert (endpoint.name, endpoint.permission, asked) == (name, "responses", b"resp_1")
        for kind in (
            ProviderKind.OPENAI,
            ProviderKind.AZURE_OPENAI,
            ProviderKind.OPENAI_COMPATIBLE,
        ):
            assert isinstance(carrier_for(endpoint, kind, "m"), KeptCall)
            assert carrier_for(endpoint, kind, "m", translate_responses=True) is None
        assert carrier_for(endpoint, ProviderKind.ANTHROPIC, "m") is None
        assert carrier_for(endpoint, ProviderKind.ECHO, "m") is None

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            (b"POST", b"/v1/responses/resp_1"),
            (b"PUT", b"/v1/responses/resp_1"),
            (b"GET", b"/v1/responses/"),
            (b"GET", b"/v1/responses/resp_1/"),
            (b"GET", b"/v1/responses/resp_1/cancel"),
            (b"DELETE", b"/v1/responses/resp_1/input_items"),
            (b"GET", b"/v1/responses/resp_1/input_items/x"),
            (b"GET", b"/v1/responses//input_items"),
        ],
    )
    def test_other_paths_mean_none(self, method, path):
        """They are not guessed at."""
        assert find_kept(method, path) is None

    def test_what_is_sent(self):
        """The provider's own id, the judged query, no body, the method."""
        endpoint, asked = find_kept(b"GET", b"/v1/responses/resp_1/input_items")
        query = b"?limit=2&order=asc&after=msg_1&include[]=a.b&include[]=c"
        ask = endpoint.parse(asked + query)
        carrier = carrier_for(endpoint, ProviderKind.OPENAI, "m")
        sent = carrier.render(ask, SENT)
        assert sent.path == (
            "/responses/resp_1/input_items"
            "?limit=2&order=asc&after=msg_1&include%5B%5D=a.b&include%5B%5D=c"
        )
        assert (sent.body, sent.method, sent.dropped) == (b"", "GET", ())
        plain = carrier.render(endpoint.parse(asked), SENT)
        assert plain.path == "/responses/resp_1/input_items"
        assert endpoint.render(ask, SENT) == b""

    def test_a_name_cannot_leave_its_segment(self):
        """What a provider called it is one segment, whatever it holds."""
        endpoint, asked = find_kept(b"GET", b"/v1/responses/x")
        carrier = carrier_for(endpoint, ProviderKind.OPENAI, "m")
        sent = carrier.render(endpoint.parse(asked), SENT._replace(previous="../../files?a#b"))
        assert sent.path == "/responses/..%2F..%2Ffiles%3Fa%23b"

    @pytest.mark.parametrize(
        ("query", "code", "param"),
        [
            (b"stream=yes", "invalid_value", "stream"),
            (b"stream", "invalid_value", "stream"),
            (b"starting_after=", "invalid_value", "starting_after"),
            (b"api_key=x", "unsupported_parameter", "api_key"),
            (b"limit=2", "unsupported_parameter", "limit"),
            (b"include=", "invalid_value", "include"),
            (b"include=a%0d%0ab", "invalid_value", "include"),
            (b"include=a+b", "invalid_value", "include"),
            (b"include=" + b"x" * 257, "invalid_value", "include"),
            (b"&".join([b"include=x"] * 33), "invalid_query", None),
            (b"%0a=1", "unsupported_parameter", "?"),
        ],
    )
    def test_a_query_that_is_not_known_is_refused_by_name(self, query, code, param):
        """And never sent."""
        found = kept.parse_answer(b"resp_1?" + query)
        assert isinstance(found, BadRequest)
        assert (found.code, found.param) == (code, param)

    def test_saying_no_to_a_stream_is_saying_nothing(self):
        """Clients write defaults out."""
        found = kept.parse_answer(b"resp_1?stream=false&include_obfuscation=false")
        assert isinstance(found, Ask)
        assert (found.keeping.previous, found.keeping.query) == ("resp_1", "")
        assert not found.stream
        assert isinstance(kept.parse_bare(b"resp_1?include=x"), BadRequest)
        for parse in (kept.parse_bare, kept.parse_items):
            assert parse(b"resp_1?stream=true").param == "stream"

    def test_what_comes_back(self):
        """Any object that says what it is, with our id; it used nothing now."""
        call = KeptCall("GET")
        for body in (
            {"object": "response", "id": "resp_1", "status": "failed", "error": {"code": "x"}},
            {"object": "response", "id": "resp_1", "output": [], "usage": USAGE},
            {"object": "response.deleted", "id": "resp_1", "deleted": True},
        ):
            told = call.read_reply(json.dumps(body).encode(), NAMED)
            assert told[:3] == (True, Usage(input=0, output=0), 0)
            assert json.loads(told.body) == {**body, "id": ours("resp_1")}
        listed = b'{"object": "list", "data": [{"id": "msg_1"}], "first_id": "msg_1"}'
        assert call.read_reply(listed, NAMED).body == listed
        assert call.read_reply(listed, NAMED._replace(naming=None)).body is None

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"error":{"message":"no"}}', b"<html>"])
    def test_what_is_no_object_is_an_error(self, body):
        """In the provider's words where it has some."""
        assert not KeptCall("GET").read_reply(body, NAMED).valid

    @pytest.mark.parametrize(
        ("way", "body", "said"),
        [
            *(
                ((b"DELETE", b""), body, {"deleted": deleted})
                for body, deleted in (
                    (b"", True),
                    (b" \r\n", True),
                    (b"null", True),
                    (b"{}", True),
                    (b'{"deleted":true}', True),
                    (b'{"id":"resp_1","deleted":false}', False),
                )
            ),
            *(
                ((b"POST", b"/cancel"), body, {"status": status})
                for body, status in (
                    (b"", "cancelled"),
                    (b"{}", "cancelled"),
                    (b'{"status":"completed"}', "completed"),
                )
            ),
        ],
    )
    def test_what_is_done_needs_no_answer(self, way, body, said):
        """A success that says nothing is told as OpenAI tells it, by the client's id."""
        endpoint, _ = find_kept(way[0], b"/v1/responses/resp_x" + way[1])
        call = carrier_for(endpoint, ProviderKind.OPENAI_COMPATIBLE, "m")
        told = call.read_reply(body, NAMED._replace(asked="resp_x"))
        assert told[:3] == (True, Usage(input=0, output=0), 0)
        assert json.loads(told.body) == {"id": "resp_x", "object": "response", **said}

    @pytest.mark.parametrize("way", [(b"DELETE", b""), (b"POST", b"/cancel")])
    @pytest.mark.parametrize(
        "body", [b"<html>", b"[]", b"5", b'{"error":{"message":"no"}}', b'{"message":"x"}', b"{"]
    )
    def test_what_may_not_have_been_done(self, way, body):
        """Anything else is no word of it, not from a login page either."""
        endpoint, _ = find_kept(way[0], b"/v1/responses/resp_x" + way[1])
        call = carrier_for(endpoint, ProviderKind.OPENAI_COMPATIBLE, "m")
        assert not call.read_reply(body, NAMED._replace(asked="resp_x")).valid

    def test_as_a_stream(self):
        """From where the client says; one that does not stream may answer at once."""
        endpoint, asked = find_kept(b"GET", b"/v1/responses/x")
        ask = endpoint.parse(asked + b"?stream=true&starting_after=5&include_obfuscation=true")
        assert ask.stream
        carrier = carrier_for(endpoint, ProviderKind.OPENAI, "m")
        assert carrier.whole_too
        sent = carrier.render(ask, SENT)
        assert sent.path == (
            "/responses/resp_1?stream=true&starting_after=5&include_obfuscation=true"
        )
        assert sent.headers == ((b"accept", b"text/event-stream"),)

    @pytest.mark.parametrize("pace", [1, 7, len(STREAM)])
    def test_a_stream_told_again_is_no_use(self, pace):
        """Its bytes are those of the first; nothing of it counts, wherever it is cut."""
        first, again = KeptResponsesReader(ours), KeptCall("GET").stream_reader(NAMED)
        passed = first.feed(STREAM)
        told = []
        for at in range(0, len(STREAM), pace):
            told.append(again.feed(STREAM[at : at + pace]))
            assert again.usage == Usage(input=0, output=0)
            assert (again.events, again.content_bytes, again.counted) == (0, 0, (0, 0))
        assert b"".join(told) + again.end() == passed + first.end()
        assert (again.done, again.read) == (True, first.read)
