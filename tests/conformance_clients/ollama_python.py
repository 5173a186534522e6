"""ollama-python: its own chat API, streamed, with a tool and its result, and an unknown key."""

import ollama
from reporting import (
    ASK,
    ASK_TOOL,
    CHAT_TOOL,
    KEY,
    MODEL,
    REFUSED,
    ROOT_URL,
    STRANGER,
    called,
    check,
    refused,
    streamed,
)


def client_of(key):
    return ollama.Client(host=ROOT_URL, headers={"authorization": f"Bearer {key}"})


client = client_of(KEY)


def asks(text):
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": text}],
        "options": {"num_predict": 100},
    }


@check("ollama", "ollama", "streamed")
def _():
    parts = list(client.chat(**asks(ASK), stream=True))
    assert parts[-1].done
    assert parts[-1].eval_count > 0
    return streamed(part.message.content for part in parts)


def call_of(parts):
    (call,) = [call for part in parts for call in part.message.tool_calls or ()]
    return call


@check("ollama", "ollama", "tool call and its result")
def _():
    asked = asks(ASK_TOOL)
    answer = client.chat(**asked, tools=[CHAT_TOOL])
    function = call_of([answer]).function
    result = {"role": "tool", "tool_name": function.name, "content": "18 degrees, sunny"}
    asked["messages"] += [answer.message, result]
    last = client.chat(**asked)
    assert last.message.content
    return called(function.name, dict(function.arguments))


@check("ollama", "ollama", "tool call, streamed")
def _():
    parts = list(client.chat(**asks(ASK_TOOL), tools=[CHAT_TOOL], stream=True))
    function = call_of(parts).function
    return called(function.name, dict(function.arguments))


@check("ollama", "models", "listed")
def _():
    names = [model.model for model in client.list().models]
    assert MODEL in names, names
    return ", ".join(names)


@check("ollama", "ollama", REFUSED)
def _():
    return refused(lambda: client_of(STRANGER).chat(**asks(ASK)), ollama.ResponseError)
