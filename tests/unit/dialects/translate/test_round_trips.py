"""What one side of a dialect writes the other side reads: nothing is lost between a provider's and
a client's side of the same dialect, whatever is said.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.dialects import chat, messages
from tollway.dialects.ask import Heading
from tollway.dialects.translate import (
    chat_client,
    chat_provider,
    messages_client,
    messages_provider,
)
from tollway.dialects.translate.pieces import (
    Begun,
    Ended,
    PartEnded,
    TextPiece,
    ToolBegun,
    ToolPiece,
)
from tollway.dialects.translate.talk import (
    Answer,
    Format,
    Image,
    Message,
    Stop,
    Talk,
    Text,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    joined,
)
from tollway.domain.usage import Usage

HEADING = Heading("m", "req_1", 1)
DIALECTS = {
    "chat": (chat.parse, chat_client.CLIENT, chat_provider.PROVIDER),
    "messages": (messages.parse, messages_client.CLIENT, messages_provider.PROVIDER),
}
word = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
name = st.text("abc_", min_size=1, max_size=5)
texts = word.map(Text)
images = st.sampled_from([Image("image/png", "QUJD"), Image(url="https://x.example/a.png")])
arguments = st.dictionaries(name, st.integers() | word, max_size=2).map(
    lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)
)
calls = st.tuples(name, name, arguments).map(lambda said: ToolUse(*said))
spoken = st.tuples(texts, st.lists(calls, max_size=3)).map(
    lambda parts: Message("assistant", (parts[0], *parts[1]))
)
asked = st.lists(texts | images, min_size=1, max_size=3).map(
    lambda parts: Message("user", tuple(parts))
)
results = st.lists(
    st.tuples(name, st.tuples(texts)).map(lambda said: ToolResult(*said)), min_size=1, max_size=3
).map(lambda parts: Message("user", tuple(parts)))
turns = st.lists(st.tuples(asked | results, spoken), max_size=3)
tools = st.lists(
    st.tuples(name, word, st.just({"type": "object"}), st.sampled_from([None, True])).map(
        lambda said: Tool(*said)
    ),
    min_size=1,
    max_size=2,
)
choices = st.sampled_from(["auto", "none", "any"]).map(ToolChoice) | name.map(
    lambda one: ToolChoice("named", one)
)


@st.composite
def talks(draw):
    """Whatever both dialects can say."""
    said = [message for turn in draw(turns) for message in turn] + [draw(asked)]
    wanted = tuple(draw(tools)) if draw(st.booleans()) else ()
    return Talk(
        tuple(said),
        (draw(texts),) if draw(st.booleans()) else (),
        wanted,
        draw(choices) if wanted else None,
        None,
        Format("schema", schema={"type": "object"}, strict=True, name="answer")
        if draw(st.booleans())
        else None,
        max_output=draw(st.integers(1, 9000)),
        temperature=draw(st.none() | st.sampled_from([0, 0.5, 1])),
        top_p=draw(st.none() | st.sampled_from([0.1, 1])),
        stop=tuple(draw(st.lists(word, max_size=3))),
        end_user=draw(st.just("") | name),
    )


def told(talk):
    """What must be the same: neighbours are one turn, names of schemas are one dialect's."""
    wanted = talk.format
    return talk._replace(
        messages=tuple(joined(talk.messages)),
        format=None if wanted is None else wanted._replace(name=""),
    )


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=100, deadline=None)
@given(talk=talks())
def test_a_request_is_read_as_it_was_meant(dialect, talk):
    """Every turn, tool, choice, form and number."""
    parse, client, provider = DIALECTS[dialect]
    body = provider.write(talk, "m").body
    found = client.read(parse(body))
    assert told(found) == told(talk)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=100, deadline=None)
@given(
    text=word,
    used=st.lists(calls, max_size=3),
    usage=st.tuples(*[st.integers(0, 99)] * 3).map(
        lambda counts: Usage(counts[0], counts[1], None, counts[2])
    ),
)
def test_an_answer_is_read_as_it_was_meant(dialect, text, used, usage):
    """Words, calls, reason and usage; whole and streamed alike."""
    _, client, provider = DIALECTS[dialect]
    stop = Stop.TOOL if used else Stop.END
    answer = Answer((Text(text), *used), stop, usage)
    found = provider.read_answer(client.write_answer(answer, HEADING))
    assert (found.parts, found.stop) == (answer.parts, stop)
    assert _counts(found.usage) == _counts(usage)
    pieces = [Begun("x", usage._replace(output=None)), TextPiece(0, text), PartEnded(0)]
    for number, call in enumerate(used, 1):
        pieces += [ToolBegun(number, call.id, call.name), ToolPiece(number, call.arguments)]
        pieces.append(PartEnded(number))
    pieces.append(Ended(stop, usage))
    reader = provider.reader()
    streamed = [*reader.feed(client.writer(HEADING).write(pieces)), *reader.end()]
    # When a part ends is not said in every dialect; that it does is.
    said = [piece for piece in streamed if not isinstance(piece, Begun | Ended | PartEnded)]
    assert said == [piece for piece in pieces[1:-1] if not isinstance(piece, PartEnded)]
    ended = [piece.part for piece in streamed if isinstance(piece, PartEnded)]
    assert sorted(ended) == list(range(len(used) + 1))
    assert streamed[-1].stop is stop
    assert _counts(streamed[-1].usage) == _counts(usage)


def _counts(usage):
    """Nothing and none are the same here: dialects differ in which they say."""
    return tuple(count or 0 for count in usage)
