"""anthropic, the Python library: Messages at a provider that speaks Chat Completions."""

import anthropic
from reporting import (
    ASK,
    ASK_TOOL,
    DESCRIPTION,
    KEY,
    MODEL,
    REFUSED,
    ROOT_URL,
    SCHEMA,
    STRANGER,
    TOOL,
    called,
    check,
    refused,
    streamed,
)

client = anthropic.Anthropic(base_url=ROOT_URL, api_key=KEY, max_retries=0)
TOOLS = [{"name": TOOL, "description": DESCRIPTION, "input_schema": SCHEMA}]


def asks(text):
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": 100}


@check("anthropic", "messages", "streamed")
def _():
    with client.messages.stream(**asks(ASK)) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert final.usage.output_tokens > 0
    return streamed(pieces)


@check("anthropic", "messages", "tool call")
def _():
    answer = client.messages.create(**asks(ASK_TOOL), tools=TOOLS, tool_choice={"type": "any"})
    (call,) = (block for block in answer.content if block.type == "tool_use")
    return called(call.name, call.input)


@check("anthropic", "messages", "tool call, streamed")
def _():
    with client.messages.stream(
        **asks(ASK_TOOL), tools=TOOLS, tool_choice={"type": "any"}
    ) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == "tool_use", final.stop_reason
    (call,) = (block for block in final.content if block.type == "tool_use")
    return called(call.name, call.input)


@check("anthropic", "models", "listed")
def _():
    names = [model.id for model in client.models.list()]
    assert MODEL in names, names
    return ", ".join(names)


@check("anthropic", "messages", REFUSED)
def _():
    stranger = client.with_options(api_key=STRANGER)
    return refused(lambda: stranger.messages.create(**asks(ASK)), anthropic.AuthenticationError)
