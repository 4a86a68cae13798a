"""A LangGraph graph with memory: recall, chat, learn."""

from dataclasses import dataclass

from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import Runtime

from prefmem import PreferenceMemory
from prefmem_langchain import LearnNode, PreferenceState, RecallNode, with_rules

memory = PreferenceMemory(":memory:")


@dataclass
class Context:
    """Who is asking, as your host authenticated them."""

    user_id: str


class State(MessagesState, PreferenceState):
    """Messages, and the ids of the cards that apply."""


def chat(state: State, runtime: Runtime[Context]) -> dict[str, list[AIMessage]]:
    """Call your model here; the rules go into what it reads, never into the state."""
    rules = memory.render(state["preferences"], user_id=runtime.context.user_id)
    prompt = with_rules(state["messages"], rules)
    return {"messages": [AIMessage(f"({len(prompt)} messages; rules: {rules or 'none'})")]}


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
    result = app.invoke(
        {"messages": [("user", text)]},
        {"configurable": {"thread_id": thread}},
        context=Context(user_id="tomas@example.org"),
    )
    print(thread, "->", result["messages"][-1].text)
