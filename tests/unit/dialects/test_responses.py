"""Reading a request for a response and writing it again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.dialects import responses
from tollway.dialects.ask import Ask, Rewrite
from tollway.domain.refusal import BadRequest

SAME = Rewrite("m", False, None, None)
UNSUPPORTED = "unsupported_parameter"


def body(**fields):
    made = {"model": "m", "input": "hi", **fields}
    return json.dumps({name: value for name, value in made.items() if value is not ...}).encode()


def ask(**fields):
    found = responses.parse(body(**fields))
    assert isinstance(found, Ask), found
    return found


def refusal(**fields):
    found = responses.parse(body(**fields))
    assert isinstance(found, BadRequest), found
    return found.code, found.param


def rendered(tail=b"", **changes):
    found = responses.parse(b'{"model":"m","input":"x"' + tail + b"}")
    assert isinstance(found, Ask), found
    return responses.render(found, SAME._replace(**changes))


class TestJudging:
    def test_what_is_asked_is_read(self):
        """Model, stream, limit and end user come out of the body; usage is never asked for."""
        found = ask(stream=True, max_output_tokens=7, user="u", stream_options={"x": 1})
        assert found[:5] == ("m", True, False, 7, "u")
        assert found.choices == 1
        assert ask(safety_identifier="s").end_user == "s"

    def test_input_is_text_or_items(self):
        """Both forms pass; another type is refused. None is the provider's to judge."""
        assert ask(input="hi")
        assert ask(input=[])
        assert ask(input=[{"role": "user", "content": "hi"}, 5, None])
        assert refusal(input=5) == ("invalid_type", "input")
        for none in (None, ...):
            assert responses.is_bounded(ask(input=none))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("previous_response_id", "resp_1"),
            ("conversation", "conv_1"),
            ("conversation", {"id": "conv_1"}),
            ("prompt", {"id": "pmpt_1"}),
            ("background", True),
        ],
    )
    def test_what_a_provider_keeps_is_refused_with_advice(self, name, value):
        """State at a provider's account is not there for tenants: the message says what to do."""
        found = responses.parse(body(**{name: value}))
        assert (found.code, found.param) == (UNSUPPORTED, name)
        assert "whole conversation as 'input'" in found.message

    def test_without_state_they_pass(self):
        """null and false ask for nothing that is kept."""
        assert ask(previous_response_id=None, conversation=None, prompt=None, background=False)
        assert ask(background=None, store=None)
        assert refusal(background="yes") == ("invalid_type", "background")
        assert refusal(store="yes") == ("invalid_type", "store")

    @pytest.mark.parametrize(
        "item",
        [
            {"type": "item_reference", "id": "msg_1"},
            {"id": "msg_1"},
            {"id": "msg_1", "type": None},
            {"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]},
            {"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]},
            {
                "type": "computer_call_output",
                "output": {"type": "computer_screenshot", "file_id": "file-1"},
            },
        ],
    )
    def test_items_and_files_of_a_provider_are_refused(self, item):
        """An id names what lies at the account, whoever put it there."""
        assert refusal(input=[item]) == (UNSUPPORTED, "input")

    def test_items_that_have_an_id_pass(self):
        """A client sends back what it was given, ids included."""
        assert ask(
            input=[
                {"type": "message", "id": "msg_1", "role": "assistant", "content": []},
                {"role": "assistant", "id": "msg_1", "content": "x"},
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
                {"type": "function_call", "id": "fc_1", "call_id": "c", "arguments": "{}"},
                {"role": "user", "content": [{"type": "input_image", "file_id": None}]},
            ]
        )

    @pytest.mark.parametrize(
        "tool",
        [
            {"type": "file_search", "vector_store_ids": ["vs_1"]},
            {"type": "code_interpreter", "container": "cntr_1"},
            {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}},
            {"type": "shell", "environment": {"container_id": "cntr_1"}},
        ],
    )
    def test_tools_that_name_objects_are_refused(self, tool):
        """Stores and containers of the account are nobody's to name."""
        assert refusal(tools=[tool]) == (UNSUPPORTED, "tools")

    def test_other_tools_pass(self):
        """Functions, searches and new containers name nothing."""
        auto = {"type": "code_interpreter", "container": {"type": "auto"}}
        function = {"type": "function", "name": "f", "parameters": {"file_id": {}}}
        assert ask(tools=[auto, function, {"type": "web_search"}, 5, {"environment": 5}])
        assert ask(tools=None)
        assert refusal(tools={}) == ("invalid_type", "tools")


class TestBounds:
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"tools": [{"type": "function"}, {"type": "custom"}]},
            {"tools": None},
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": "x"}]},
                    {"type": "message", "role": "assistant", "content": "x"},
                    {"type": "reasoning", "summary": [], "encrypted_content": "x"},
                    {"type": "function_call", "arguments": '{"type":"input_image"}'},
                    {"type": "function_call_output", "output": "x"},
                ]
            },
        ],
    )
    def test_text_is_bounded(self, fields):
        """Text, thoughts and the client's own tools have at most as many tokens as bytes."""
        assert responses.is_bounded(ask(**fields))

    @pytest.mark.parametrize(
        "fields",
        [
            {"tools": [{"type": "web_search"}]},
            {"tools": [5]},
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            {"input": [{"type": "function_call_output", "output": [{"type": "input_file"}]}]},
            {"input": [{"type": "compaction", "encrypted_content": "x"}]},
            {"input": [{}]},
        ],
    )
    def test_the_rest_is_not(self, fields):
        """Images, files, and whatever a provider looks up have no bound in bytes."""
        assert not responses.is_bounded(ask(**fields))

    def test_what_cannot_be_read_is_not(self):
        """A number that no type holds hides what stands beside it."""
        found = responses.parse(b'{"model":"m","input":[1e999]}')
        assert not responses.is_bounded(found)


class TestRendering:
    @pytest.mark.parametrize("store", [b"", b',"store":true', b',"store":false', b',"store":null'])
    def test_nothing_is_stored(self, store):
        """Whatever was asked, the provider is told to keep nothing."""
        assert json.loads(rendered(store))["store"] is False

    def test_values_keep_their_bytes(self):
        """Nothing else is changed but the model's name."""
        tail = b',"store":true,"t":1.50e+2,"x":{"b": [1 , 2],"a":"\\u00e9/\\/"}'
        sent = b'{"model":"t","input":"x"' + tail.replace(b"true", b"false") + b"}"
        assert rendered(tail, model="t") == sent

    def test_usage_is_not_asked_for(self):
        """Every stream reports it, and the dialect has no such option."""
        assert b"stream_options" not in rendered(b',"stream":true', force_usage=True)

    @pytest.mark.parametrize(
        ("given", "sent"),
        [(b"", 10), (b',"max_output_tokens":null', 10), (b',"max_output_tokens":5', 5)],
    )
    def test_output_is_clamped(self, given, sent):
        """The limit is at most the ceiling; without one the ceiling is the limit."""
        assert json.loads(rendered(given, output_ceiling=10))["max_output_tokens"] == sent

    def test_names_of_people_are_replaced(self):
        """Users and cache keys of two tenants never meet at one provider account."""
        names = b',"user":"u","prompt_cache_key":"k","safety_identifier":"s"'
        sent = json.loads(rendered(names, namespace=str.upper))
        assert (sent["user"], sent["prompt_cache_key"], sent["safety_identifier"]) == (
            "U",
            "K",
            "S",
        )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "output", "image_url", "file_id", "id", "container"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(sorted(responses.FORM.rules)), json_values))
def test_no_shape_makes_it_raise(fields):
    """Whatever JSON stands in whatever field, a request is read or refused, and can be sent on."""
    found = responses.parse(
        json.dumps({"model": "m", "input": "x", **fields}).encode("utf-8", "replace")
    )
    if isinstance(found, Ask):
        json.loads(responses.render(found, Rewrite("t", True, 1, str.upper)))
        responses.is_bounded(found)
    else:
        assert isinstance(found, BadRequest)
