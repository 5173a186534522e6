"""Reading a request and writing it again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.dialects import chat, completions, embeddings, messages, moderations, responses
from tollway.dialects.ask import Ask, Rewrite
from tollway.domain.refusal import BadRequest

SAME = Rewrite("m", False, None, None)
HEAD = b'{"model":"m","messages":[]'


def ask(tail=b"", head=HEAD):
    found = chat.parse(head + tail + b"}")
    assert isinstance(found, Ask), found
    return found


def rendered(tail=b"", form=chat, head=HEAD, **changes):
    found = form.parse(head + tail + b"}")
    assert isinstance(found, Ask), found
    return form.render(found, SAME._replace(**changes))


class TestJudging:
    def test_what_is_asked_is_read(self):
        """Model, stream, usage, limit and end user come out of the body."""
        found = ask(
            b',"stream":true,"stream_options":{"include_usage":true},"max_tokens":7,"user":"u"'
        )
        assert found[:5] == ("m", True, True, 7, "u")
        assert found.input_bytes == 107

    def test_nothing_asked_is_nothing(self):
        """Absent and null fields count as not given."""
        assert ask()[:5] == ("m", False, False, None, None)
        null = b',"stream":null,"stream_options":null,"max_tokens":null,"user":null,"stop":null'
        assert ask(null + b',"n":null,"logprobs":null')[:5] == ("m", False, False, None, None)

    def test_the_larger_of_two_limits_counts(self):
        """A provider may follow either name, so the larger one bounds its answer."""
        assert ask(b',"max_tokens":7,"max_completion_tokens":9').output_limit == 9

    def test_usage_is_wanted_of_streams_only(self):
        """Stream options without a stream ask for nothing, and are not judged."""
        assert ask(b',"stream_options":{"include_usage":true}').wants_usage is False
        assert ask(b',"stream_options":{"include_usage":5}').wants_usage is False
        assert ask(b',"stream":true,"stream_options":{}').wants_usage is False
        nothing = b',"stream":true,"stream_options":{"include_usage":null}'
        assert ask(nothing).wants_usage is False

    def test_an_end_user_may_be_a_safety_identifier(self):
        """`safety_identifier` names the end user where `user` does not."""
        assert ask(b',"safety_identifier":"s"').end_user == "s"
        assert ask(b',"safety_identifier":"s","user":"u"').end_user == "u"

    def test_a_message_may_be_anything(self):
        """What messages hold is the provider's to judge."""
        assert ask(b',"messages":[1,null,{"content":[5,{"image_url":7}]},{"content":"x_url"}]')

    @pytest.mark.parametrize("value", [b"5", b'"x"', b"[1]", b"true"])
    def test_options_are_an_object(self, value):
        """Stream options of another type are refused, by name."""
        found = chat.parse(HEAD + b',"stream":true,"stream_options":' + value + b"}")
        assert isinstance(found, BadRequest)
        assert found.param == "stream_options"

    def test_a_number_out_of_range_beside_a_link_is_refused(self):
        """Messages that cannot be read to find their links are not sent."""
        found = chat.parse(b'{"model":"m","messages":[{"image_url":1e999}]}')
        assert isinstance(found, BadRequest)
        assert found.param == "messages"

    def test_long_names_are_measured_in_bytes(self):
        """A field's name may have 256 bytes, however many characters that is."""
        assert ask(b',"' + b"n" * 256 + b'":1')
        assert ask(b',"' + "é".encode() * 128 + b'":1')
        found = chat.parse(HEAD + b',"' + "é".encode() * 129 + b'":1}')
        assert isinstance(found, BadRequest)

    def test_the_place_of_bad_json_is_told_and_its_text_is_not(self):
        """The message helps to find the fault without quoting the body."""
        found = chat.parse(b'{"model":"m","messages":[secret]}')
        assert isinstance(found, BadRequest)
        assert "byte 25" in found.message
        assert "secret" not in found.message

    def test_a_prompt_may_be_text_or_ids(self):
        """Text, token ids, and lists of either; null is absent."""
        for prompt in (b'"x"', b"[1,2]", b"[[1],[2]]", b'["x"]', b"[]"):
            found = completions.parse(b'{"model":"m","prompt":' + prompt + b"}")
            assert isinstance(found, Ask)
        found = completions.parse(b'{"model":"m","prompt":null}')
        assert found.code == "missing_required_parameter"

    def test_embeddings_may_say_that_they_do_not_stream(self):
        """`stream: false` asks for nothing special."""
        found = embeddings.parse(b'{"model":"m","input":"x","stream":false}')
        assert isinstance(found, Ask)

    @pytest.mark.parametrize(
        "limits",
        [
            {"max_tokens": 0},
            {"max_completion_tokens": 0},
            {"max_tokens": 7, "max_completion_tokens": 0},
            {"max_tokens": 0, "max_completion_tokens": 7},
        ],
        ids=str,
    )
    def test_a_limit_of_none_limits_nothing(self, limits):
        """0 is passed on as it came, and counted on as little as a limit that is not there."""
        given = ask(b"," + json.dumps(limits).encode()[1:-1])
        assert given.output_limit is None
        sent = json.loads(chat.render(given, Rewrite("m", False, None, None)))
        assert {name: sent[name] for name in limits} == limits

    @pytest.mark.parametrize(
        ("fields", "choices"),
        [(b"", 1), (b',"n":3', 3), (b',"n":3,"best_of":0', 3), (b',"best_of":5', 5)],
    )
    def test_no_best_of_still_makes_an_answer(self, fields, choices):
        """`best_of` may be 0, as OpenAI's document has it; what is counted on is one at least."""
        head = b'{"model":"m","prompt":"x"'
        for more in (b"", b',"best_of":0') if b"best_of" not in fields else (b"",):
            found = completions.parse(head + fields + more + b"}")
            assert found.choices == choices
            sent = json.loads(completions.render(found, Rewrite("m", False, None, None)))
            assert sent.get("best_of") == found_best(fields + more)
        assert completions.parse(head + b',"best_of":-1}').param == "best_of"

    @pytest.mark.parametrize(
        "name", ["Model", "MAX_TOKENS", "N", "Messages", "\\u017ftream", "\u017ftream", "Api_Base"]
    )
    def test_another_spelling_of_a_judged_field_is_refused(self, name):
        """Some servers read names in any case, the last one counting: a model that was not granted
        must not ride past the one that was."""
        body = HEAD + b',"%b":"other"}' % name.encode()
        found = chat.parse(body)
        assert isinstance(found, BadRequest)
        assert found.code == "invalid_parameter_name"
        assert found.param.casefold() in chat.FORM.rules

    def test_a_model_may_be_left_to_the_tenant(self):
        """Where one may be a default, its absence is no fault of the body's."""
        for parse, rest in (
            (chat.parse, b'"messages":[]'),
            (completions.parse, b'"prompt":"x"'),
            (embeddings.parse, b'"input":"x"'),
            (responses.parse, b'"instructions":"x"'),
            (messages.parse, b'"messages":[],"max_tokens":1'),
            (messages.parse_count, b'"messages":[]'),
        ):
            for named in (b"", b'"model":null,'):
                found = parse(b"{" + named + rest + b"}")
                assert found.model == ""
            assert parse(b'{"model":"",' + rest + b"}").param == "model"
        assert moderations.parse(b'{"input":"x"}').code == "missing_required_parameter"


def found_best(fields):
    """What these fields say of `best_of`."""
    return json.loads(b"{" + fields.lstrip(b",") + b"}").get("best_of")


class TestRendering:
    def test_values_keep_their_bytes(self):
        """Numbers, escapes, spacing inside values and unknown fields pass untouched, in order."""
        tail = b',"t":1.50e+2,"x":{"b": [1 , 2],"a":"\\u00e9/\\/"},"messages":[ {"role":"user"} ]'
        assert rendered(tail) == (
            b'{"model":"m","messages":[ {"role":"user"} ],"t":1.50e+2,'
            b'"x":{"b": [1 , 2],"a":"\\u00e9/\\/"}}'
        )

    def test_what_was_judged_is_what_is_sent(self):
        """Of repeated and escaped names one value is judged, and it is the only one sent."""
        assert rendered(b',"n":500,"n":1,"\\u006e":2') == b'{"model":"m","messages":[],"n":2}'
        found = chat.parse(HEAD + b',"n":1,"n":500}')
        assert isinstance(found, BadRequest)

    def test_the_model_is_replaced(self):
        """The target's name stands where the client's stood, escaped as JSON wants it."""
        assert rendered(model='t"\u2028') == '{"model":"t\\"\u2028","messages":[]}'.encode()

    def test_usage_is_forced_and_other_options_stay(self):
        """include_usage becomes true, whatever it was; unknown options keep their bytes."""
        options = b',"stream":true,"stream_options":{"include_usage":false,"x":1.0}'
        assert rendered(options, force_usage=True) == (
            HEAD + b',"stream":true,"stream_options":{"include_usage":true,"x":1.0}}'
        )
        for none in (b"", b',"stream_options":null'):
            out = json.loads(rendered(b',"stream":true' + none, force_usage=True))
            assert out["stream_options"] == {"include_usage": True}

    def test_usage_is_not_forced_without_a_stream(self):
        """A whole answer carries its usage anyway, and providers refuse the option there."""
        assert rendered(force_usage=True) == HEAD + b"}"

    @pytest.mark.parametrize(
        ("given", "sent"),
        [
            (b"", {"max_completion_tokens": 10}),
            (b',"max_tokens":null', {"max_tokens": None, "max_completion_tokens": 10}),
            (b',"max_tokens":5', {"max_tokens": 5}),
            (b',"max_tokens":50', {"max_tokens": 10}),
            (b',"max_tokens":0', {"max_tokens": 1}),
            (b',"max_completion_tokens":0', {"max_completion_tokens": 1}),
            (b',"max_completion_tokens":50', {"max_completion_tokens": 10}),
            (
                b',"max_tokens":50,"max_completion_tokens":4',
                {"max_tokens": 10, "max_completion_tokens": 4},
            ),
        ],
    )
    def test_output_is_clamped(self, given, sent):
        """Each limit is at most the ceiling; without one the ceiling is the limit."""
        out = json.loads(rendered(given, output_ceiling=10))
        assert {name: out[name] for name in out if "tokens" in name} == sent

    def test_each_endpoint_clamps_by_its_own_name(self):
        """Text completions know max_tokens only, and embeddings write nothing."""
        prompt, text = b'{"model":"m","prompt":"x"', b'{"model":"m","input":"x"'
        assert rendered(form=completions, head=prompt, output_ceiling=3) == (
            prompt + b',"max_tokens":3}'
        )
        assert rendered(form=embeddings, head=text, output_ceiling=3) == text + b"}"

    def test_names_of_people_are_replaced(self):
        """Users and cache keys of two tenants never meet at one provider account."""
        names = b',"user":"u\\u00e9","prompt_cache_key":"k","safety_identifier":null'
        assert rendered(names, namespace=lambda name: f"<{name}>") == (
            HEAD + ',"user":"<ué>","prompt_cache_key":"<k>","safety_identifier":null}'.encode()
        )


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)
JUDGED = set(chat.FORM.rules)


@given(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), json_values),
    st.booleans(),
)
def test_unknown_fields_survive(fields, plain):
    """Whatever a client adds arrives at the provider as the same JSON value."""
    fields = {name: value for name, value in fields.items() if name.casefold() not in JUDGED}
    body = {"model": "m", "messages": [], **fields}
    found = chat.parse(json.dumps(body, ensure_ascii=plain).encode())
    assert isinstance(found, Ask)
    assert json.loads(chat.render(found, SAME)) == body


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_no_bytes_make_it_raise(noise):
    """Any bytes, alone or inside a body, are read or refused."""
    for body in (noise, HEAD + b"," + noise + b"}", HEAD + b',"user":"' + noise + b'"}'):
        found = chat.parse(body)
        assert isinstance(found, Ask | BadRequest)
        if isinstance(found, Ask):
            json.loads(chat.render(found, Rewrite("t", True, 1, str.upper)))


def test_messages_that_cannot_be_read_have_no_bound():
    """A number that no type holds hides what stands beside it, and raises nothing."""
    assert not chat.is_bounded(ask(b',"messages":[1e999]'))
    assert not chat.is_bounded(ask(b',"messages":[{"content":[{"type":[]}]}]'))
    assert chat.is_bounded(ask(b',"messages":[{"content":"x"}]'))
