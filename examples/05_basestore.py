"""Memory on a langgraph store: the one that your graph has already, Postgres included."""

from dataclasses import dataclass

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from langgraph.store.memory import InMemoryStore
from shared import endpoint

from prefmem import PreferenceMemory
from prefmem_langchain import BaseStoreStorage, PreferenceMiddleware


@dataclass
class Context:
    """Who is asking, as your host authenticated them."""

    user_id: str


with endpoint(__doc__) as model:
    store = InMemoryStore()  # or SqliteStore, PostgresStore
    chat = ChatOpenAI(base_url=model.url, model=model.model, api_key=model.key)
    agent = create_agent(  # no memory is passed: the graph's own store serves
        chat,
        context_schema=Context,
        store=store,
        middleware=[PreferenceMiddleware(learn="inline")],
    )
    ann = Context("ann@example.org")
    for text in ("When you plan trips for me, always go by train.", "Plan a weekend in Ghent."):
        answer = agent.invoke({"messages": [("user", text)]}, context=ann)
        print("assistant:", answer["messages"][-1].text)

    with PreferenceMemory(store=BaseStoreStorage(store)) as memory:  # the same store, by hand
        for card in memory.list(user_id=ann.user_id):
            print("in the store:", card.text)
        print("forgotten:", memory.forget_user(user_id=ann.user_id).cards, "card")
