"""A LangChain agent with memory in three lines."""

from dataclasses import dataclass

from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from prefmem import PreferenceMemory
from prefmem_langchain import PreferenceMiddleware


@dataclass
class Context:
    """Who is asking, as your host authenticated them."""

    user_id: str


model = GenericFakeChatModel(messages=iter([AIMessage("Noted."), AIMessage("Here it is.")]))

memory = PreferenceMemory(":memory:")  # a path keeps it on disk
agent = create_agent(model, context_schema=Context, middleware=[PreferenceMiddleware(memory)])

ann = Context(user_id="ann@example.org")
for text in ("I'm allergic to peanuts, so keep them out of recipes.", "A quick dinner recipe?"):
    answer = agent.invoke({"messages": [("user", text)]}, context=ann)
    print(text, "->", answer["messages"][-1].text)

print(memory.render(memory.recall("A quick dinner recipe?", user_id=ann.user_id)))
