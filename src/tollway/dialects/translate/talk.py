"""What a conversation says, whichever dialect said it: the values between one dialect's reader and
another's writer. Pure values; nothing here knows a wire format.

A reader fills in what its dialect can say, a writer carries what its own can. What it cannot carry
it refuses (`CannotCarryError`, caught where sides are put together), or leaves out and names in
`Written.dropped`: no meaning changes in silence. Sources: OpenAI's Chat Completions and Responses,
Anthropic's Messages, Google's generateContent, Amazon's Converse and Ollama's chat.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from tollway.domain.usage import Usage

# JSON as decoded: schemas and arguments that nobody here looks into.
Json = Any


# What stands before a signature of Gemini's that travels with a thought: anybody else refuses it.
GEMINI_SIGNED = "gemini."


class Text(NamedTuple):
    """Words. `cached`: the prompt up to here is to be kept by the provider (a cache breakpoint)."""

    text: str
    cached: bool = False


class Image(NamedTuple):
    """A picture, by its bytes (`data` in base64 with its `media_type`) or by `url`, never both."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    detail: str = ""  # low | high | auto; empty: not said
    cached: bool = False


class Document(NamedTuple):
    """A file, mostly a PDF, by its bytes in base64, by `url`, or as plain `text`."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    text: str = ""
    name: str = ""
    cached: bool = False


class Audio(NamedTuple):
    """Sound, as base64. `format` is `wav`, `mp3` and so on."""

    data: str
    format: str


class Thinking(NamedTuple):
    """What the model thought before it spoke. `signature` is opaque and goes back to the provider
    it came from; `sealed` is thinking that only the provider can read."""

    text: str
    signature: str = ""
    sealed: str = ""


class Refusal(NamedTuple):
    """The model's own words of why it does not answer."""

    text: str


class ToolUse(NamedTuple):
    """The model calls a tool. `arguments` is the JSON text of an object, as the model wrote it.
    `signature` as in `Thinking` (Gemini hangs it on the call)."""

    id: str
    name: str
    arguments: str
    signature: str = ""
    cached: bool = False


class ToolResult(NamedTuple):
    """What a tool gave back for the call `id`: texts, images and documents."""

    id: str
    parts: "tuple[Part, ...]"
    failed: bool = False
    cached: bool = False


Part = Text | Image | Document | Audio | Thinking | Refusal | ToolUse | ToolResult


class Message(NamedTuple):
    """One turn. Results of tools are parts of a user's turn, which may hold several. Neighbours may
    have the same role; a writer whose dialect wants turns to alternate joins them (`joined`)."""

    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]
    name: str = ""  # of a speaker, where several share a role


class Tool(NamedTuple):
    """A function the model may call. `schema` is the JSON schema of its arguments, None: none."""

    name: str
    description: str = ""
    schema: Json = None
    strict: bool | None = None
    cached: bool = False


class ToolChoice(NamedTuple):
    """Whether tools are called: `auto`, `none`, `any` (at least one), or this one by `name`."""

    mode: Literal["auto", "none", "any", "named"]
    name: str = ""


class Format(NamedTuple):
    """What the answer's text must be: any JSON object, or one of this schema."""

    kind: Literal["json", "schema"]
    name: str = ""
    schema: Json = None
    strict: bool | None = None
    description: str = ""


class Reasoning(NamedTuple):
    """How much the model may think. `effort`: none | minimal | low | medium | high | xhigh | max;
    `budget` in tokens; `shown`: whether its thoughts are wanted in the answer (None: not said)."""

    effort: str = ""
    budget: int | None = None
    shown: bool | None = None
    adaptive: bool = False  # the model decides how much
    display: str = ""  # summarized | omitted, for models that ask how to show it; empty: not said


class Talk(NamedTuple):
    """A request. `None`, empty and `()` mean that nothing was said."""

    messages: tuple[Message, ...]
    system: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    format: Format | None = None
    reasoning: Reasoning | None = None
    max_output: int | None = None  # tokens, thinking included
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    end_user: str = ""  # already renamed per tenant
    stream: bool = False
    left_out: tuple[str, ...] = ()  # fields that the reader could not take, and that are told of


# An attribute of `Talk`; a client's side knows what it calls it.
Feature = str


class CannotCarryError(Exception):
    """The other dialect has no words for this, and without it the answer would be another.
    `feature` is a `Talk` attribute or a part's kind in lower case (`image`, `document`)."""

    def __init__(self, feature: Feature, why: str = "") -> None:
        super().__init__(feature)
        self.feature = feature
        self.why = why


class Written(NamedTuple):
    """A request in a provider's dialect. `dropped` are features that were left out and that a
    client would expect to be told of."""

    body: bytes
    dropped: tuple[Feature, ...] = ()


class Stop(StrEnum):
    """Why an answer ended."""

    END = "end"
    LENGTH = "length"
    TOOL = "tool"
    SEQUENCE = "sequence"  # a stop sequence was written
    FILTER = "filter"  # the provider's moderation
    REFUSAL = "refusal"  # the model's own
    CONTEXT = "context"  # the context window is full
    PAUSE = "pause"  # the provider's tools ran long: ask again to go on


class Answer(NamedTuple):
    """A whole reply. `usage` in disjoint classes; None: not reported."""

    parts: tuple[Part, ...]
    stop: Stop
    usage: Usage | None = None
    id: str = ""
    stop_sequence: str = ""


def joined(messages: Sequence[Message]) -> list[Message]:
    """The same turns, neighbours of one role put together."""
    turns: list[Message] = []
    for message in messages:
        if turns and turns[-1].role == message.role:
            turns[-1] = turns[-1]._replace(parts=turns[-1].parts + message.parts)
        else:
            turns.append(message)
    return turns
