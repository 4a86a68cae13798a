"""An agent of the OpenAI Agents SDK with memory: its instructions, and the hooks of a run."""

import asyncio
from dataclasses import dataclass

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    Runner,
    SQLiteSession,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from shared import Endpoint, endpoint

from prefmem import PreferenceMemory
from prefmem_openai_agents import PreferenceHooks


@dataclass
class Context:
    """What your host knows of the one who asks, after authentication."""

    user_id: str
    session_id: str


async def main(model: Endpoint, memory: PreferenceMemory) -> None:
    set_tracing_disabled(True)  # the SDK would send instructions, rules among them, to OpenAI
    client = AsyncOpenAI(base_url=model.url, api_key=model.key)
    preferences = PreferenceHooks(memory)
    agent = Agent(
        "cook",
        instructions=preferences.instructions("You help with cooking."),
        model=OpenAIChatCompletionsModel(model.model, client),
    )
    for user, session, text in (
        ("ann", "monday", "I'm vegetarian, so never suggest meat."),
        ("ann", "tuesday", "A quick dinner?"),
        ("bob", "tuesday", "A quick dinner?"),
    ):
        result = await Runner.run(
            agent, text, context=Context(user, session), hooks=preferences,
            session=SQLiteSession(f"{user}/{session}"),
        )  # fmt: skip
        await memory.aflush()  # for this script: a service lets the worker learn in its own time
        print(f"{user} gets:", result.final_output)


with endpoint(__doc__) as at, PreferenceMemory(":memory:") as held:
    asyncio.run(main(at, held))
