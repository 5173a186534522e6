"""`/api/chat`: what is judged, and what is written for a provider of the same dialect."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.dialects import ollama_chat, ollama_fields
from tollway.dialects.ask import Ask, Rewrite
from tollway.domain.refusal import BadRequest

SAME = Rewrite("t", False, None, None)
HI = [{"role": "user", "content": "hi"}]


def parsed(**fields):
    body = {"model": "m", "messages": HI, **fields}
    return ollama_chat.parse(json.dumps(body).encode())


def ask(**fields):
    found = parsed(**fields)
    assert isinstance(found, Ask), found
    return found


def refusal(**fields):
    found = parsed(**fields)
    assert isinstance(found, BadRequest), found
    return found.code, found.param


def sent(found, **changes):
    return json.loads(ollama_chat.render(found, SAME._replace(**changes)))


class TestJudging:
    @pytest.mark.parametrize(
        ("said", "streams"), [({}, True), ({"stream": None}, True), ({"stream": True}, True),
                              ({"stream": False}, False)]
    )  # fmt: skip
    def test_who_says_nothing_gets_a_stream(self, said, streams):
        """As at Ollama's."""
        assert ask(**said).stream is streams

    @pytest.mark.parametrize(
        ("options", "limit"),
        [
            (None, None),
            ({}, None),
            ({"num_predict": 7}, 7),
            ({"num_predict": None}, None),
            ({"num_predict": 0}, None),
            ({"num_predict": -1}, None),
            ({"num_predict": -2}, None),
        ],
        ids=str,
    )
    def test_the_output_limit_is_an_option(self, options, limit):
        """0 and less are no limit."""
        assert ask(options=options).output_limit == limit

    @pytest.mark.parametrize(
        ("fields", "code", "param"),
        [
            ({"messages": None}, "missing_required_parameter", "messages"),
            ({"messages": "hi"}, "invalid_type", "messages"),
            ({"stream": "no"}, "invalid_type", "stream"),
            ({"stream": 0}, "invalid_type", "stream"),
            ({"tools": {}}, "invalid_type", "tools"),
            ({"options": []}, "invalid_type", "options"),
            ({"options": {"num_predict": "7"}}, "invalid_type", "options.num_predict"),
            ({"options": {"num_predict": True}}, "invalid_type", "options.num_predict"),
            ({"options": {"num_predict": 1.5}}, "invalid_type", "options.num_predict"),
            ({"options": {"num_predict": -3}}, "invalid_value", "options.num_predict"),
            ({"options": {"num_predict": 2**31}}, "invalid_value", "options.num_predict"),
            ({"top_logprobs": 21}, "invalid_value", "top_logprobs"),
            ({"model": ""}, "invalid_value", "model"),
            ({"base_url": "http://x"}, "forbidden_parameter", "base_url"),
        ],
        ids=str,
    )
    def test_what_is_refused(self, fields, code, param):
        """By the field's own name."""
        assert refusal(**fields) == (code, param)

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"Model": "other"}, "Model"),
            ({"STREAM": False}, "STREAM"),
            ({"\u017ftream": False}, "\u017ftream"),
            ({"Keep_Alive": 0}, "Keep_Alive"),
            ({"\u212aeep_alive": 0}, "\u212aeep_alive"),
            ({"Options": {"num_predict": -1}}, "Options"),
            ({"options": {"NUM_PREDICT": -1}}, "options.NUM_PREDICT"),
            ({"options": {"Num_GPU": 0}}, "options.Num_GPU"),
        ],
        ids=str,
    )
    def test_another_spelling_does_not_ride_along(self, fields, param):
        """Ollama's servers read names in any case: what was judged must be what they go by."""
        assert refusal(**fields) == ("invalid_parameter_name", param)

    def test_a_model_may_be_left_to_the_tenant(self):
        """As in the other dialects."""
        assert ask(model=None).model == ""

    @pytest.mark.parametrize(
        ("messages", "bounded"),
        [
            (HI, True),
            ([], True),
            ([{**HI[0], "images": ["AAAA"]}], False),
            ([{**HI[0], "Images": ["AAAA"]}], False),
            ([5], False),
            ([{"role": "tool", "tool_name": "f", "content": "x"}], True),
        ],
        ids=str,
    )
    def test_text_is_bounded(self, messages, bounded):
        """Pictures, and what nobody here knows, may have more tokens than bytes."""
        assert ollama_chat.is_bounded(ask(messages=messages)) is bounded


class TestRendering:
    def test_bytes_pass(self):
        """Values keep theirs, unknown fields too."""
        body = b'{"model":"m","messages":[ {"role":"user"} ],"new":1.50,"options":{"min_p": 0.10}}'
        found = ollama_chat.parse(body)
        written = ollama_chat.render(found, SAME)
        assert written == (
            b'{"model":"t","messages":[ {"role":"user"} ],"new":1.50,"options":{"min_p":0.10}}'
        )
        assert ollama_fields.left_out(found) == ()

    def test_a_servers_own_matters_are_left_out(self):
        """A server is shared: how its models are loaded, and how long they stay, is not a
        tenant's."""
        found = ask(keep_alive=-1, options={"num_gpu": 0, "num_ctx": 4096, "use_mmap": False})
        assert sent(found) == {"model": "t", "messages": HI, "options": {"num_ctx": 4096}}
        assert ollama_fields.left_out(found) == (
            "keep_alive",
            "options.num_gpu",
            "options.use_mmap",
        )

    @pytest.mark.parametrize(
        ("options", "written"),
        [
            (None, {"num_predict": 10}),
            ({}, {"num_predict": 10}),
            ({"num_predict": 5, "seed": 1}, {"num_predict": 5, "seed": 1}),
            ({"num_predict": 50}, {"num_predict": 10}),
            ({"num_predict": 0}, {"num_predict": 10}),
            ({"num_predict": -1}, {"num_predict": 10}),
        ],
        ids=str,
    )
    def test_output_is_clamped(self, options, written):
        """Down to the ceiling, which stands in where there was no limit."""
        assert sent(ask(options=options), output_ceiling=10)["options"] == written

    def test_of_a_repeated_option_one_was_judged(self):
        """And that one is sent."""
        body = b'{"model":"m","messages":[],"options":{"num_predict":9,"num_predict":4}}'
        found = ollama_chat.parse(body)
        assert found.output_limit == 4
        assert ollama_chat.render(found, SAME).count(b"num_predict") == 1

    def test_usage_is_not_asked_for(self):
        """It is in every answer."""
        assert "stream_options" not in sent(ask(), force_usage=True)


names = st.sampled_from(
    ["model", "messages", "options", "stream", "tools", "keep_alive", "Options"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["num_predict", "num_gpu", "X"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, values, max_size=5), st.integers(1, 100))
def test_what_passes_is_within_its_ceiling(fields, ceiling):
    """No shape raises; whatever is sent has a limit that was judged."""
    found = ollama_chat.parse(json.dumps({"model": "m", "messages": [], **fields}).encode())
    if isinstance(found, BadRequest):
        return
    ollama_chat.is_bounded(found)
    written = sent(found, output_ceiling=ceiling)
    assert 0 < written["options"]["num_predict"] <= ceiling
    assert written["model"] == "t"
    assert "keep_alive" not in written
