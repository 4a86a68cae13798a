"""No memory is given: the store that the graph was compiled with serves, or none."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]
    START,
    MessagesState,
    StateGraph,
)
from langgraph.prebuilt import ToolNode
from langgraph.runtime import Runtime
from langgraph.store.memory import InMemoryStore

from prefmem import ConfigError, PreferenceMemory
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
from prefmem_langchain import (
    ConfirmationState,
    ConfirmNode,
    ElicitationState,
    ElicitNode,
    LearnNode,
    PreferenceMiddleware,
    PreferenceRetriever,
    PreferenceState,
    RecallNode,
    preference_tools,
)
from prefmem_langchain.store_memory import memory_on

ANN = {"user_id": "ann@example.org"}


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()


@pytest.fixture
def kept(store: InMemoryStore) -> PreferenceMemory:
    """Give the memory that everything here finds on the store."""

    def on_fakes(storage: Any, config: Any) -> PreferenceMemory:  # noqa: ANN401  # as in memory_on
        return PreferenceMemory(
            store=storage,
            config=config,
            embedder=HashEmbedder(),
            extractor=PhraseExtractor(),
            relater=TableRelater(),
            reranker="none",
            judge="none",
        )

    return memory_on(store, make=on_fakes)


def says(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def thread(name: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


def texts(memory: PreferenceMemory) -> list[str]:
    assert memory.flush(60)
    return [card.text for card in memory.list(user_id="ann@example.org")]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("learn", ["background", "inline"])
async def test_an_agent_learns_on_the_store_of_its_graph(
    kept: PreferenceMemory,
    store: InMemoryStore,
    scribe: Callable[..., Any],
    learn: Any,  # noqa: ANN401  # as the setting
    asynchronous: bool,
) -> None:
    middleware: Any = PreferenceMiddleware(learn=learn, on_error="raise")
    model = scribe()
    app: Any = create_agent(
        model, middleware=[middleware], store=store, checkpointer=InMemorySaver()
    )
    for name, text in (("a", "Always answer briefly."), ("b", "Who wrote Emma?")):
        if asynchronous:
            await app.ainvoke(says(text), thread(name), context=ANN)
        else:
            app.invoke(says(text), thread(name), context=ANN)
        assert kept.flush(60)
    assert texts(kept) == ["Answer briefly."]
    assert ["Answer briefly." in prompt for prompt in model.prompts] == [False, True]


def test_the_tools_of_an_agent_are_on_it_too(
    kept: PreferenceMemory, store: InMemoryStore, scribe: Callable[..., Any]
) -> None:
    call = {"name": "add_preference", "args": {"action": "answer briefly"}, "id": "1"}
    middleware: Any = PreferenceMiddleware(tools=True, on_error="raise")
    app: Any = create_agent(
        scribe(AIMessage("", tool_calls=[call]), "Done."), middleware=[middleware], store=store
    )
    app.invoke(says("Be brief."), context=ANN)
    assert texts(kept) == ["Answer briefly."]


class State(MessagesState, PreferenceState, ElicitationState, ConfirmationState):
    """What the graph here passes on."""


def test_nodes_retriever_and_tools_are_on_it(kept: PreferenceMemory, store: InMemoryStore) -> None:
    kept.add("", "answer briefly", user_id="ann@example.org")
    retriever = PreferenceRetriever(on_error="raise")

    def look(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        del runtime
        found = retriever.invoke(str(state["messages"][-1].text))
        call: Any = {"name": "list_preferences", "args": {}, "id": "1"}
        text = " ".join(d.page_content for d in found)
        return {"messages": [AIMessage(text, tool_calls=[call])]}

    builder: Any = StateGraph(State)
    builder.add_sequence(
        [
            ("recall", RecallNode(on_error="raise")),
            ("look", look),
            ("tools", ToolNode(preference_tools())),
            ("learn", LearnNode(on_error="raise")),
            ("confirm", ConfirmNode(on_error="raise")),
            ("elicit", ElicitNode(on_error="raise")),
        ]
    )
    builder.add_edge(START, "recall")
    app = builder.compile(store=store, checkpointer=InMemorySaver())
    after = app.invoke(says("Always use SI units."), thread("t"), context=ANN)
    card = kept.list(user_id="ann@example.org")[0]
    assert texts(kept) == ["Answer briefly.", "Use SI units."]
    assert after["preferences"] == [card.id]
    assert after["messages"][1].text == "Answer briefly."
    assert "Answer briefly." in after["messages"][2].text
    assert after["__interrupt__"][0].value["kind"] == "preference_question"


def test_without_a_store_the_chat_goes_on_with_one_warning(
    scribe: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    middleware: Any = PreferenceMiddleware(confirm=True, elicit=True)
    app: Any = create_agent(scribe("Hello!"), middleware=[middleware], checkpointer=InMemorySaver())
    for _ in range(2):
        after = app.invoke(says("Always answer briefly."), thread("t"), context=ANN)
        assert after["messages"][-1].text == "Hello!"
    told = [t for r in caplog.records if (t := r.getMessage()).startswith("prefmem: ")]
    assert told == [
        "prefmem: a run has no memory; pass a PreferenceMemory, or compile the graph with a store "
        "for it (this is said once)"
    ]
    assert middleware.failures == 0
    strict: Any = PreferenceMiddleware(on_error="raise")
    failing: Any = create_agent(scribe(), middleware=[strict])
    with pytest.raises(ConfigError, match="compile the graph with a store"):
        failing.invoke(says("hi"), context=ANN)
