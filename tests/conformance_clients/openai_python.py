"""openai-python: Chat Completions, Responses, and an unknown key."""

import openai
from reporting import (
    ASK,
    ASK_TOOL,
    BASE_URL,
    CHAT_TOOL,
    DESCRIPTION,
    KEY,
    MODEL,
    REFUSED,
    SCHEMA,
    STRANGER,
    TOOL,
    called,
    check,
    refused,
    streamed,
)

client = openai.OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)


def asks(text):
    return {"model": MODEL, "messages": [{"role": "user", "content": text}]}


@check("openai", "chat", "streamed")
def _():
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(
            **asks(ASK), stream=True, stream_options=options, max_tokens=60
        )
    )
    assert chunks[-1].usage.completion_tokens > 0
    return streamed(chunk.choices[0].delta.content for chunk in chunks if chunk.choices)


@check("openai", "chat", "tool call")
def _():
    answer = client.chat.completions.create(
        **asks(ASK_TOOL), tools=[CHAT_TOOL], tool_choice="required", max_tokens=100
    )
    (call,) = answer.choices[0].message.tool_calls
    return called(call.function.name, call.function.arguments)


@check("openai", "chat", "tool call, streamed")
def _():
    with client.chat.completions.stream(
        **asks(ASK_TOOL), tools=[CHAT_TOOL], tool_choice="required", max_tokens=100
    ) as stream:
        (call,) = stream.get_final_completion().choices[0].message.tool_calls
    return called(call.function.name, call.function.arguments)


RESPONSES_TOOL = {
    "type": "function",
    "name": TOOL,
    "description": DESCRIPTION,
    "parameters": SCHEMA,
    "strict": False,
}


@check("openai", "responses", "streamed")
def _():
    with client.responses.stream(
        model=MODEL, input=ASK, max_output_tokens=60, store=False
    ) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert final.output_text == "".join(pieces)
    assert final.usage.output_tokens > 0
    return streamed(pieces)


@check("openai", "responses", "tool call")
def _():
    answer = client.responses.create(
        model=MODEL,
        input=ASK_TOOL,
        tools=[RESPONSES_TOOL],
        tool_choice="required",
        max_output_tokens=100,
        store=False,
    )
    (call,) = (item for item in answer.output if item.type == "function_call")
    return called(call.name, call.arguments)


@check("openai", "models", "listed")
def _():
    names = [model.id for model in client.models.list()]
    assert MODEL in names, names
    return ", ".join(names)


@check("openai", "chat", REFUSED)
def _():
    stranger = client.with_options(api_key=STRANGER)
    return refused(
        lambda: stranger.chat.completions.create(**asks(ASK)), openai.AuthenticationError
    )
