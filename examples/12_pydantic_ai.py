"""A pydantic-ai agent with memory: one capability (pip install "pydantic-ai-slim[openai]")."""

import asyncio
from dataclasses import dataclass

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from shared import Endpoint, endpoint

from prefmem import PreferenceMemory
from prefmem_pydantic_ai import PreferenceCapability


@dataclass
class Deps:
    """What your host knows of the one who asks, after authentication."""

    user_id: str


async def main(model: Endpoint, memory: PreferenceMemory) -> None:
    agent = Agent(
        OpenAIChatModel(
            model.model, provider=OpenAIProvider(base_url=model.url, api_key=model.key)
        ),
        instructions="You help with cooking.",
        deps_type=Deps,
        capabilities=[PreferenceCapability(memory)],
    )
    ann, bob = Deps("ann@example.org"), Deps("bob@example.org")
    first = await agent.run("I'm vegetarian, so never suggest meat.", deps=ann)
    print("ann gets:", first.output)
    await memory.aflush()  # for this script: a service lets the worker learn in its own time
    second = await agent.run("A quick dinner?", deps=ann, message_history=first.all_messages())
    print("ann gets:", second.output)
    print("bob gets:", (await agent.run("A quick dinner?", deps=bob)).output)
    print("a rule in the history:", b"vegetarian." in second.all_messages_json())


with endpoint(__doc__) as at, PreferenceMemory(":memory:") as preferences:
    asyncio.run(main(at, preferences))
