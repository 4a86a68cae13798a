"""A LangGraph graph with memory as nodes: recall, chat, learn."""

from dataclasses import dataclass

from langchain_core.messages import BaseMessage
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from shared import Endpoint, endpoint

from prefmem import PreferenceMemory
from prefmem_langchain import LearnNode, PreferenceState, RecallNode, with_rules


@dataclass
class Context:
    """Who is asking, as your host authenticated them."""

    user_id: str


class State(MessagesState, PreferenceState):
    """Messages, and the ids of the cards that apply: checkpoints hold no rule."""


def run(model: Endpoint, memory: PreferenceMemory) -> None:
    llm = ChatOpenAI(base_url=model.url, model=model.model, api_key=model.key)

    def chat(state: State, runtime: Runtime[Context]) -> dict[str, list[BaseMessage]]:
        rules = memory.render(state["preferences"], user_id=runtime.context.user_id)
        return {"messages": [llm.invoke(with_rules(state["messages"], rules))]}

    graph = StateGraph(State, context_schema=Context)
    graph.add_node("recall", RecallNode(memory))
    graph.add_node("chat", chat)
    graph.add_node("learn", LearnNode(memory))
    graph.add_edge(START, "recall")
    graph.add_edge("recall", "chat")
    graph.add_edge("chat", "learn")
    graph.add_edge("learn", END)
    app = graph.compile(checkpointer=InMemorySaver())
    for thread, text in (
        ("monday", "Hi! When you write mails for me, always sign with just T."),
        ("tuesday", "Write a short mail to the plumber."),
    ):
        config = {"configurable": {"thread_id": thread}}
        said = {"messages": [("user", text)]}
        result = app.invoke(said, config, context=Context("tomas@example.org"))
        memory.flush()  # for this script: a service lets the worker learn in its own time
        print(f"{thread}: {result['messages'][-1].text}")
    print("in the checkpoint:", app.get_state(config).values["preferences"])


with endpoint(__doc__) as at, PreferenceMemory(":memory:") as preferences:
    run(at, preferences)
