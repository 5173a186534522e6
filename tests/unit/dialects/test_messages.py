"""Reading a request of Anthropic's dialect and writing it again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.dialects import messages
from tollway.dialects.ask import Ask, Rewrite
from tollway.domain.refusal import BadRequest

SAME = Rewrite("m", False, None, None)
TEXT = [{"role": "user", "content": "hi"}]


def body(**fields):
    made = {"model": "m", "max_tokens": 9, "messages": TEXT, **fields}
    return json.dumps({name: value for name, value in made.items() if value is not ...}).encode()


def ask(parse=messages.parse, **fields):
    found = parse(body(**fields))
    assert isinstance(found, Ask), found
    return found


def refusal(parse=messages.parse, **fields):
    found = parse(body(**fields))
    assert isinstance(found, BadRequest), found
    return found.code, found.param


def rendered(tail, **changes):
    found = messages.parse(b'{"model":"m","max_tokens":9,"messages":[]' + tail + b"}")
    assert isinstance(found, Ask), found
    return messages.render(found, SAME._replace(**changes))


def said(*blocks):
    return [{"role": "user", "content": list(blocks)}]


class TestJudging:
    def test_what_is_asked_is_read(self):
        """Model, stream, limit and end user come out of the body; usage is never asked for."""
        found = ask(stream=True, metadata={"user_id": "u"})
        assert found[:5] == ("m", True, False, 9, "u")
        assert found.choices == 1
        assert found.input_bytes == len(body(stream=True, metadata={"user_id": "u"}))

    def test_a_limit_is_required(self):
        """Anthropic has no default for the output; 0 only warms a cache."""
        assert refusal(max_tokens=...) == ("missing_required_parameter", "max_tokens")
        assert refusal(max_tokens=None) == ("missing_required_parameter", "max_tokens")
        assert ask(max_tokens=0).output_limit is None

    @pytest.mark.parametrize("metadata", [None, {}, {"user_id": None}, {"other": 5}])
    def test_an_end_user_may_be_unnamed(self, metadata):
        """Metadata is optional, and so is what it says."""
        assert ask(metadata=metadata).end_user is None

    @pytest.mark.parametrize(
        ("metadata", "param"),
        [({"user_id": 5}, "metadata.user_id"), ([], "metadata"), ("u", "metadata")],
    )
    def test_metadata_of_another_type(self, metadata, param):
        """The field that is wrong is named."""
        assert refusal(metadata=metadata) == ("invalid_type", param)

    def test_tools_bring_a_prompt_of_the_providers(self):
        """What Anthropic adds for tools is not in the bytes, and counts as if it were."""
        plain, tools = body(), body(tools=[])
        assert ask().input_bytes == len(plain)
        assert ask(tools=[]).input_bytes == len(tools) + messages.TOOL_PROMPT_BYTES

    def test_counting_needs_no_limit_and_has_no_stream(self):
        """A count of tokens is asked with the same fields, but for those of the answer."""
        found = ask(messages.parse_count, max_tokens=..., metadata={"user_id": "u"})
        assert (found.output_limit, found.stream, found.end_user) == (None, False, "u")
        assert refusal(messages.parse_count, stream=True) == ("invalid_value", "stream")
        assert ask(messages.parse_count, stream=False)

    def test_what_a_provider_keeps_cannot_be_named(self):
        """Containers, threads and other models are refused by name; null and new ones pass."""
        code = "unsupported_parameter"
        for container in ("c", {"id": "c"}, {"skills": [{"type": "custom", "skill_id": "s"}]}, 5):
            assert refusal(container=container) == (code, "container")
        skills = {"skills": [{"type": "anthropic", "skill_id": "pptx"}, 5]}
        for container in (None, {}, {"skills": 5}, skills):
            assert ask(container=container)
        assert refusal(thread={"type": "create"}) == (code, "thread")
        assert refusal(fallbacks=[{"model": "other"}]) == (code, "fallbacks")
        assert ask(thread=None, fallbacks=None)

    def test_other_fields_are_the_providers(self):
        """What is not judged passes, whatever it is."""
        assert ask(thinking=5, tool_choice=[], system={}, brand_new={"a": [1]}, temperature="x")


class TestBounds:
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"system": "x"},
            {"system": [{"type": "text", "text": "x"}]},
            {"tools": [{"name": "f", "input_schema": {}}, {"type": "custom", "name": "g"}]},
            {"tools": None},
            {
                "messages": [
                    *said({"type": "text", "text": "x"}),
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "thinking", "thinking": "x", "signature": "y"},
                            {"type": "redacted_thinking", "data": "x"},
                            {
                                "type": "tool_use",
                                "id": "t",
                                "name": "f",
                                "input": {"type": "image"},
                            },
                        ],
                    },
                    *said({"type": "tool_result", "content": [{"type": "text", "text": "x"}]}),
                ]
            },
        ],
    )
    def test_text_is_bounded(self, fields):
        """Text, thoughts and the client's own tools have at most as many tokens as bytes."""
        assert messages.is_bounded(ask(**fields))

    @pytest.mark.parametrize(
        "fields",
        [
            {"messages": said({"type": "image", "source": {"type": "base64", "data": "x"}})},
            {"messages": said({"type": "document", "source": {"type": "text", "data": "x"}})},
            {
                "messages": said(
                    {"type": "tool_result", "content": [{"type": "image", "source": {}}]}
                )
            },
            {"messages": said({"text": "of no type"})},
            {"system": [{"type": "image"}]},
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            {"tools": [5]},
            {"mcp_servers": []},
            {"container": None},
        ],
    )
    def test_the_rest_is_not(self, fields):
        """Images, documents, and whatever a provider looks up have no bound in bytes."""
        assert not messages.is_bounded(ask(**fields))

    def test_what_cannot_be_read_is_not(self):
        """A number that no type holds hides what stands beside it."""
        for field in (b'"messages":[1e999]', b'"messages":[],"system":[1e999]'):
            found = messages.parse(b'{"model":"m","max_tokens":1,' + field + b"}")
            assert not messages.is_bounded(found)


class TestRendering:
    def test_values_keep_their_bytes(self):
        """Only the model's name is changed."""
        tail = b',"t":1.50e+2,"x":{"b": [1 , 2],"a":"\\u00e9/\\/"}'
        assert rendered(tail, model="t") == (
            b'{"model":"t","max_tokens":9,"messages":[]' + tail + b"}"
        )

    def test_usage_is_not_asked_for(self):
        """Every stream reports it, and the dialect has no such option."""
        assert b"stream_options" not in rendered(b',"stream":true', force_usage=True)

    @pytest.mark.parametrize(("ceiling", "sent"), [(5, 5), (50, 9), (None, 9)])
    def test_output_is_clamped(self, ceiling, sent):
        """The limit is at most the ceiling."""
        assert json.loads(rendered(b"", output_ceiling=ceiling))["max_tokens"] == sent

    def test_the_end_user_is_renamed(self):
        """Users of two tenants never meet at one account; other metadata keeps its bytes."""
        tail = b',"metadata":{"x":1.0,"user_id":"a","user\\u005fid":"u\\u00e9"}'
        assert rendered(tail, namespace=lambda name: f"<{name}>").endswith(
            ',"metadata":{"x":1.0,"user_id":"<ué>"}}'.encode()
        )

    @pytest.mark.parametrize("metadata", [b"null", b"{}", b'{"x": 1}', b'{"user_id":null}'])
    def test_nobody_is_renamed_where_nobody_is_named(self, metadata):
        """Metadata without a user keeps its values."""
        sent = json.loads(rendered(b',"metadata":' + metadata, namespace=str.upper))
        assert sent["metadata"] == json.loads(metadata)

    def test_a_repeated_name_cannot_hide_a_user(self):
        """Of several users one is judged, and no other is sent."""
        tail = b',"metadata":{"user_id":"hidden","user_id":null}'
        assert b"hidden" not in rendered(tail, namespace=str.upper)

    def test_a_count_is_not_clamped(self):
        """It writes nothing, so it has no limit to clamp."""
        found = ask(messages.parse_count, max_tokens=...)
        sent = messages.render_count(found, Rewrite("t", True, 5, str.upper))
        assert json.loads(sent) == {"model": "t", "messages": TEXT}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "source", "url", "file_id", "text", "id", "user_id"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
FIELDS = sorted(messages.FORM.rules | {"system": None, "tools": None})


@given(st.dictionaries(st.sampled_from(FIELDS), json_values), st.booleans())
@pytest.mark.uncounted
def test_no_shape_makes_it_raise(fields, counts):
    """Whatever JSON stands in whatever field, a request is read or refused, and can be sent on."""
    parse, render = messages.parse, messages.render
    if counts:
        parse, render = messages.parse_count, messages.render_count
    made = {"model": "m", "max_tokens": 9, "messages": TEXT, **fields}
    found = parse(json.dumps(made).encode("utf-8", "replace"))
    if isinstance(found, Ask):
        json.loads(render(found, Rewrite("t", True, 1, str.upper)))
        messages.is_bounded(found)
    else:
        assert isinstance(found, BadRequest)
