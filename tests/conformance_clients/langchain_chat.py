"""LangChain's ChatOpenAI, over Chat Completions and over Responses."""

from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from reporting import ASK, ASK_TOOL, BASE_URL, KEY, MODEL, TOOL, called, check, streamed


@tool(TOOL)
def get_weather(city: str) -> str:
    """Weather of a city"""
    return f"Sunny in {city}"


def model(api):
    return ChatOpenAI(
        base_url=BASE_URL,
        api_key=KEY,
        model=MODEL,
        max_tokens=100,
        max_retries=0,
        use_responses_api=api == "responses",
        stream_usage=True,
    )


def checks(api):
    llm = model(api)

    @check("langchain-openai", api, "streamed")
    def _():
        chunks = list(llm.stream(ASK))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        assert whole.usage_metadata["output_tokens"] > 0
        return streamed(chunk.text for chunk in chunks)

    @check("langchain-openai", api, "tool call and its result")
    def _():
        answer = llm.bind_tools([get_weather], tool_choice="any").invoke(ASK_TOOL)
        (call,) = answer.tool_calls
        result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
        assert llm.invoke([("user", ASK_TOOL), answer, result]).text.strip()
        return called(call["name"], call["args"])


checks("chat")
checks("responses")
