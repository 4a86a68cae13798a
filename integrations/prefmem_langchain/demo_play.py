"""Plays a dialogue through a LangGraph graph with a memory, as an application would run it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]  # py.typed lies above the package
    END,
    START,
    MessagesState,
    StateGraph,
)
from langgraph.runtime import Runtime

from prefmem import Card, PreferenceMemory, Recall
from prefmem_langchain.demo_dialogues import Dialogue
from prefmem_langchain.nodes import LearnNode, PreferenceState, RecallNode

Chat: TypeAlias = Callable[[Sequence[Mapping[str, str]]], str]


class State(MessagesState, PreferenceState):
    """The conversation, and the ids of the cards that apply."""


@dataclass(frozen=True, slots=True)
class Context:
    """Who is talking, as the application has authenticated them."""

    user_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A later question.

    Attributes:
        question: The question.
        recall: Every candidate, and what was chosen.
        block: The exact system message that the chat model received; empty when there was none.
        reply: What it said; empty without a chat model.
    """

    question: str
    recall: Recall
    block: str
    reply: str


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a dialogue.

    Attributes:
        dialogue: What was played.
        cards: What the memory holds after the sessions, oldest first.
        answers: The later questions, in order.
        missed: Session and words of expected preferences that no card's evidence touches.
    """

    dialogue: Dialogue
    cards: tuple[Card, ...]
    answers: tuple[Answer, ...]
    missed: tuple[tuple[str, str], ...]


def build_graph(memory: PreferenceMemory, chat: Chat, *, learns: bool = True) -> Any:  # noqa: ANN401  # langgraph's type has four parameters that say nothing here
    """Build recall -> chat -> learn, with a checkpointer; without `learns` it ends after chat.

    The nodes raise instead of going on without memory: a demo shows failures.
    """

    def answer(state: State, runtime: Runtime[Context]) -> dict[str, list[AIMessage]]:
        block = memory.render(state["preferences"], user_id=runtime.context.user_id)
        system = [{"role": "system", "content": block}] if block else []
        return {"messages": [AIMessage(chat([*system, *map(_plain, state["messages"])]))]}

    graph: Any = StateGraph(State, context_schema=Context)
    graph.add_node("recall", RecallNode(memory, on_missing_user="raise", on_error="raise"))
    graph.add_node("chat", answer)
    graph.add_edge(START, "recall")
    graph.add_edge("recall", "chat")
    if learns:
        learn = LearnNode(memory, learn="inline", on_missing_user="raise", on_error="raise")
        graph.add_node("learn", learn)
        graph.add_edge("chat", "learn")
        graph.add_edge("learn", END)
    else:
        graph.add_edge("chat", END)
    return graph.compile(checkpointer=InMemorySaver())


def play(
    dialogue: Dialogue,
    memory: PreferenceMemory,
    chat: Chat | None = None,
    *,
    progress: Callable[[], None] = lambda: None,
) -> Played:
    """Play the sessions turn by turn, a thread each, then ask the questions.

    Each question has a thread of its own and teaches nothing, so that the order does not matter.

    Args:
        dialogue: What to play.
        memory: Where it is learned; the user id is the dialogue's `who`.
        chat: The chat model; the replies of the script unless given.
        progress: Called after every turn and question.
    """
    heard = _Heard(chat or _script(dialogue))
    graph = build_graph(memory, heard)
    for session in dialogue.sessions:
        for exchange in session.exchanges:
            _say(graph, exchange.user, user=dialogue.who, thread=session.id)
            progress()
    cards = memory.list(user_id=dialogue.who)

    graph = build_graph(memory, heard, learns=False)
    answers: list[Answer] = []
    for number, question in enumerate(dialogue.questions, start=1):
        thread = f"question {number}"
        recall = memory.recall(question, user_id=dialogue.who, session_id=thread)
        reply = _say(graph, question, user=dialogue.who, thread=thread)
        answers.append(Answer(question, recall, heard.block, reply))
        progress()
    return Played(dialogue, cards, tuple(answers), _missed(dialogue, cards))


class _Heard:
    """A chat model that keeps the system message it received last."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self.block = ""

    def __call__(self, messages: Sequence[Mapping[str, str]]) -> str:
        self.block = "".join(m["content"] for m in messages if m["role"] == "system")
        return self._chat(messages)


def _script(dialogue: Dialogue) -> Chat:
    """Give the replies of the script in order, then nothing."""
    replies = iter([e.reply for session in dialogue.sessions for e in session.exchanges])
    return lambda _: next(replies, "")


def _say(graph: Any, text: str, *, user: str, thread: str) -> str:  # noqa: ANN401  # see build_graph
    state = graph.invoke(
        {"messages": [HumanMessage(text)]},
        {"configurable": {"thread_id": thread}},
        context=Context(user),
    )
    return str(state["messages"][-1].text)


def _plain(message: AnyMessage) -> dict[str, str]:
    role = "user" if isinstance(message, HumanMessage) else "assistant"
    return {"role": role, "content": str(message.text)}


def _missed(dialogue: Dialogue, cards: Sequence[Card]) -> tuple[tuple[str, str], ...]:
    """Find the expected words that share nothing with any card's evidence."""
    quotes = [e.quote for card in cards for e in card.preference.evidence]
    turns = [(s.id, e.user) for s in dialogue.sessions for e in s.exchanges]
    return tuple(
        (session, words)
        for session, words in dialogue.expected
        if not any(
            _overlap(text, words, quote)
            for place, text in turns
            if place == session
            for quote in quotes
        )
    )


def _overlap(text: str, one: str, other: str) -> bool:
    """Whether two quotes of a text share a character; False when either is not in it."""
    a, b = text.find(one), text.find(other)
    return min(a, b) >= 0 and max(a, b) < min(a + len(one), b + len(other))
