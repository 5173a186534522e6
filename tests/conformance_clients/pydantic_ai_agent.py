"""Pydantic AI: an agent with one tool, over Chat Completions and over Responses."""

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from reporting import ASK, ASK_TOOL, BASE_URL, KEY, MODEL, TOOL, called, check, streamed

provider = OpenAIProvider(base_url=BASE_URL, api_key=KEY)


def checks(api, kind):
    settings = {"max_tokens": 100}
    model = kind(MODEL, provider=provider, settings=settings)

    @check("pydantic-ai-slim", api, "streamed")
    def _():
        with Agent(model).run_stream_sync(ASK) as result:
            return streamed(result.stream_text(delta=True, debounce_by=None))

    @check("pydantic-ai-slim", api, "tool call and its result")
    def _():
        seen = []
        agent = Agent(model)

        @agent.tool_plain(name=TOOL)
        def get_weather(city: str) -> str:
            """Weather of a city"""
            seen.append(city)
            return f"Sunny in {city}"

        assert agent.run_sync(ASK_TOOL).output.strip()
        return called(TOOL, {"city": seen[0]})


checks("chat", OpenAIChatModel)
checks("responses", OpenAIResponsesModel)
