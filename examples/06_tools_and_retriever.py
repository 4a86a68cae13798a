"""Tools that a model may call on its user's memory, and a retriever for chains."""

from dataclasses import dataclass
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolCall
from langchain_core.runnables import Runnable
from langchain_openai import ChatOpenAI
from shared import endpoint

from prefmem import PreferenceMemory
from prefmem_langchain import PreferenceRetriever, preference_tools


@dataclass
class Context:
    """Who is asking: the tools take the user from here, never from what the model fills in."""

    user_id: str


class Scripted(GenericFakeChatModel):
    """Calls the tools that a script says; with --endpoint a real model decides."""

    def bind_tools(self, tools: object, **kwargs: object) -> Runnable[Any, Any]:
        """Take any tools."""
        return self


CALLS = (
    ("add_preference", {"condition": "writing mails", "action": "sign with just A."}),
    ("add_preference", {"action": "use no emojis", "avoid": True, "user_id": "bob"}),
    ("list_preferences", {}),
)
script = [
    *(AIMessage("", tool_calls=[ToolCall(name=n, args=a, id=str(i))])
      for i, (n, a) in enumerate(CALLS)),
    AIMessage("Done."),
]  # fmt: skip

with endpoint(__doc__) as model, PreferenceMemory(":memory:") as memory:
    scripted, real = Scripted(messages=iter(script)), model.model != "parrot"
    chat = ChatOpenAI(base_url=model.url, model=model.model, api_key=model.key) if real else None
    agent = create_agent(chat or scripted, preference_tools(memory), context_schema=Context)
    said = "Sign my mails with just A., please, and list what you know."
    for message in agent.invoke({"messages": [("user", said)]}, context=Context("ann"))["messages"]:
        print(f"{message.type}: {message.text or [c['name'] for c in message.tool_calls]}")
    print("bob has:", memory.list(user_id="bob"))

    retriever = PreferenceRetriever(memory=memory, user_id="ann", k=4)
    for document in retriever.invoke("Write a mail to my landlord."):
        print("retrieved:", document.page_content, round(document.metadata["relevance"], 2))
