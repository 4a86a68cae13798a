"""A LangChain agent with memory in three lines."""

from dataclasses import dataclass

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from shared import endpoint

from prefmem import PreferenceMemory
from prefmem_langchain import PreferenceMiddleware


@dataclass
class Context:
    """Who is asking, as your host authenticated them."""

    user_id: str


with endpoint(__doc__) as model, PreferenceMemory(":memory:") as memory:
    chat = ChatOpenAI(base_url=model.url, model=model.model, api_key=model.key)
    agent = create_agent(
        chat, context_schema=Context, middleware=[PreferenceMiddleware(memory, learn="inline")]
    )
    ann, bob = Context("ann@example.org"), Context("bob@example.org")
    for user, text in (
        (ann, "I can't stand coriander, so never put it into recipes."),
        (ann, "A quick dinner recipe?"),
        (bob, "A quick dinner recipe?"),
    ):
        answer = agent.invoke({"messages": [("user", text)]}, context=user)
        print(f"{user.user_id}: {text}")
        print("assistant:", answer["messages"][-1].text)
