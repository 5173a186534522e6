"""LlamaIndex's OpenAILike."""

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from reporting import (
    ASK,
    ASK_TOOL,
    BASE_URL,
    DESCRIPTION,
    KEY,
    MODEL,
    TOOL,
    called,
    check,
    streamed,
)

PACKAGE = "llama-index-llms-openai-like"
llm = OpenAILike(
    model=MODEL,
    api_base=BASE_URL,
    api_key=KEY,
    is_chat_model=True,
    is_function_calling_model=True,
    max_tokens=100,
    max_retries=0,
)


def get_weather(city: str) -> str:
    return f"Sunny in {city}"


@check(PACKAGE, "chat", "streamed")
def _():
    return streamed(piece.delta for piece in llm.stream_chat([ChatMessage(ASK)]))


@check(PACKAGE, "chat", "tool call")
def _():
    tool = FunctionTool.from_defaults(get_weather, name=TOOL, description=DESCRIPTION)
    answer = llm.chat_with_tools([tool], user_msg=ASK_TOOL, tool_required=True)
    (call,) = llm.get_tool_calls_from_response(answer)
    return called(call.tool_name, call.tool_kwargs)
