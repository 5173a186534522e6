"""Reading a request for a response and writing it again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.dialects import responses
from tollway.dialects.ask import Ask, Keeping, Rewrite
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
            ("conversation", "conv_1"),
            ("conversation", {"id": "conv_1"}),
            ("prompt", {"id": "pmpt_1"}),
        ],
    )
    def test_what_a_provider_keeps_is_refused_with_advice(self, name, value):
        """State at a provider's account is not there for tenants: the message says what to do."""
        found = responses.parse(body(**{name: value}))
        assert (found.code, found.param) == (UNSUPPORTED, name)
        assert "whole conversation as 'input'" in found.message

    def test_the_background_keeps_what_it_makes(self):
        """And is a stream to the provider, whatever it is to the client."""
        for fields in ({}, {"store": True}, {"store": None}, {"stream": False}):
            found = ask(background=True, **fields)
            assert found.keeping == Keeping(None, True, background=True, at_once=True)
            assert found.stream
            sent = json.loads(responses.render(found, Rewrite("t", False, None, None)))
            assert (sent["background"], sent["stream"], sent["store"]) == (True, True, True)
        streamed = ask(background=True, stream=True, previous_response_id="resp_x").keeping
        assert streamed == Keeping("resp_x", True, background=True)
        assert refusal(background=True, store=False) == ("invalid_value", "store")

    def test_what_is_kept_is_read(self):
        """Only where the client says so in words, or names what was kept."""
        assert ask(store=True).keeping == Keeping(None, True)
        assert ask(previous_response_id="resp_x").keeping == Keeping("resp_x")
        assert ask(previous_response_id="resp_x", store=True).keeping == Keeping("resp_x", True)
        assert ask(previous_response_id="resp_x", store=False).keeping == Keeping("resp_x")
        assert ask(store=False).keeping is ask().keeping is None
        assert refusal(previous_response_id=5) == ("invalid_type", "previous_response_id")
        assert refusal(previous_response_id="") == ("invalid_value", "previous_response_id")

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
            {"previous_response_id": "resp_x"},
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
    @pytest.mark.parametrize("store", [b"", b',"store":false', b',"store":null'])
    def test_nothing_is_stored_unasked(self, store):
        """Whoever does not say so has nothing kept at a provider, whatever its default."""
        assert json.loads(rendered(store))["store"] is False

    def test_what_is_asked_to_be_kept_is_kept(self):
        """Also where the name is repeated or escaped: what was judged is what is sent."""
        assert json.loads(rendered(b',"store":true'))["store"] is True
        assert rendered(b',"store":true,"\\u0073tore":false').count(b"store") == 1
        assert json.loads(rendered(b',"store":true,"\\u0073tore":false'))["store"] is False

    def test_an_earlier_one_is_named_as_its_provider_does(self):
        """Never as the client did; and null stays null."""
        sent = rendered(b',"previous_response_id":"resp_ours"', previous="resp_1")
        assert json.loads(sent)["previous_response_id"] == "resp_1"
        assert b"resp_ours" not in sent
        none = rendered(b',"previous_response_id":null')
        assert json.loads(none)["previous_response_id"] is None

    def test_values_keep_their_bytes(self):
        """Nothing else is changed but the model's name."""
        tail = b',"store":false,"t":1.50e+2,"x":{"b": [1 , 2],"a":"\\u00e9/\\/"}'
        sent = b'{"model":"t","input":"x"' + tail + b"}"
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


class TestItems:
    """An id of an item is the provider's: by it, an item of another tenant could be looked up."""

    @staticmethod
    def sent(items, *, previous=None):
        raw = items if isinstance(items, bytes) else json.dumps(items).encode()
        found = responses.parse(b'{"model":"m","input":' + raw + b"}")
        made = responses.render(found, SAME._replace(namespace=str.upper, previous=previous))
        return json.loads(made)["input"]

    def test_ids_go_out_as_the_tenants_own(self):
        """With the word before the first `_`, which providers look at."""
        items = [
            {"type": "message", "id": "msg_ab", "role": "assistant", "content": []},
            {"type": "reasoning", "id": "rs_ab", "summary": [], "encrypted_content": None},
            {"type": "image_generation_call", "id": "ig_ab"},
            {"role": "user", "id": "strange", "content": "x"},
            {"role": "user", "id": "a-very-long-word-that-says-nothing_x", "content": "x"},
            {"type": "function_call", "id": None, "call_id": "call_1"},
            {"type": "function_call_output", "id": 5, "call_id": "call_1"},
            5,
        ]
        found = self.sent(items)
        assert [item["id"] for item in found[:5]] == [
            "msg_MSG_AB",
            "rs_RS_AB",
            "ig_IG_AB",
            "item_STRANGE",
            "item_A-VERY-LONG-WORD-THAT-SAYS-NOTHING_X",
        ]
        assert found[5:] == items[5:]
        assert [{**item, "id": 0} for item in found[:5]] == [
            {**item, "id": 0} for item in items[:5]
        ]

    def test_what_is_encrypted_is_bound_to_its_id(self):
        """Then the id says nothing that the rest does not."""
        items = [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}]
        assert self.sent(items) == items

    @pytest.mark.parametrize(
        "raw",
        [
            b'[{"role":"user","content":"x","id":"msg_A","\\u0069d":null}]',
            b'[{"id":"rs_1","encrypted_content":"x","encrypted_content":"","role":"user"}]',
        ],
    )
    def test_a_repeated_name_is_not_sent(self, raw):
        """Neither the last one nor any other is there for the provider to take."""
        found = responses.parse(b'{"model":"m","input":' + raw + b"}")
        assert (found.code, "twice" in found.message) == ("invalid_parameter_name", True)

    def test_an_approval_is_of_what_stands_beside_it(self):
        """Or of what the kept response asked; of nothing else that a provider knows."""
        asked = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "f"}
        given = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1"}
        assert [*self.sent([asked, given])[0].values()][1] == "mcpr_MCPR_1"
        assert self.sent([asked, given])[1]["approval_request_id"] == "mcpr_MCPR_1"
        assert self.sent([given])[0]["approval_request_id"] == "mcpr_MCPR_1"
        assert self.sent([given], previous="resp_1")[0]["approval_request_id"] == "mcpr_1"

    def test_where_no_item_has_an_id_nothing_is_written_anew(self):
        """The bytes of the input stay."""
        raw = b'[ {"role":"user" ,"content":"hi"} ]'
        found = responses.parse(b'{"model":"m","input":' + raw + b"}")
        assert raw in responses.render(found, SAME._replace(namespace=str.upper))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "role",
                    "content",
                    "output",
                    "image_url",
                    "file_id",
                    "id",
                    "container",
                    "encrypted_content",
                    "approval_request_id",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(sorted(responses.FORM.rules)), json_values))
@pytest.mark.uncounted
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
