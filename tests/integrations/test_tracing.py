"""What a tracer sees: named runs with counts and ids, and no word of the user unless wanted."""

from typing import Any

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tracers import BaseTracer, Run
from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]
    END,
    START,
    MessagesState,
    StateGraph,
)

from prefmem import PreferenceMemory
from prefmem_langchain import (
    LearnNode,
    PreferenceMiddleware,
    PreferenceRetriever,
    PreferenceState,
    RecallNode,
)

SECRET = "zanzibar"
QUERY = f"writing {SECRET}"
RULE = f"When writing {SECRET}, use capital letters."


class Collector(BaseTracer):
    """Keeps every run, however deep."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Any] = []  # their fields are half unknown to a type checker

    def _persist_run(self, run: Run) -> None:
        self._keep(run)

    def _keep(self, run: Run) -> None:
        self.runs.append(run)
        for child in run.child_runs:
            self._keep(child)

    def named(self, name: str) -> list[Any]:
        return [run for run in self.runs if run.name == name]

    def only(self, name: str) -> Any:  # noqa: ANN401  # as above
        (run,) = self.named(name)
        return run


class State(MessagesState, PreferenceState):
    """A thread with what was recalled."""


@pytest.fixture
def tracer() -> Collector:
    return Collector()


@pytest.fixture
def card_id(memory: PreferenceMemory) -> str:
    return memory.add(QUERY, "use capital letters", user_id="ann").id


def config(tracer: Collector) -> RunnableConfig:
    return {"configurable": {"user_id": "ann", "thread_id": "t"}, "callbacks": [tracer]}


def told(run: Any) -> str:  # noqa: ANN401  # as above
    return repr((run.inputs, run.outputs, run.error, run.extra))


def graph(memory: PreferenceMemory, **given: Any) -> Any:  # noqa: ANN401  # a compiled graph
    built: Any = StateGraph(State)
    built.add_node("recall", RecallNode(memory, **given))
    built.add_node("learn", LearnNode(memory, learn="inline", **given))
    built.add_edge(START, "recall")
    built.add_edge("recall", "learn")
    built.add_edge("learn", END)
    return built.compile()


def agent(memory: PreferenceMemory, *replies: str, **given: Any) -> Any:  # noqa: ANN401  # as above
    model = GenericFakeChatModel(messages=iter([AIMessage(reply) for reply in replies]))
    return create_agent(model, middleware=[PreferenceMiddleware(memory, learn="inline", **given)])


@pytest.mark.parametrize("twin", [False, True])
async def test_nodes_are_named_runs(
    memory: PreferenceMemory, tracer: Collector, card_id: str, twin: bool
) -> None:
    app, asked = graph(memory), {"messages": [("user", f"{QUERY}. Always praise {SECRET}.")]}
    if twin:
        await app.ainvoke(asked, config(tracer))
    else:
        app.invoke(asked, config(tracer))
    recall, learn = tracer.only("RecallNode"), tracer.only("LearnNode")
    assert (recall.outputs["rules"], recall.outputs["candidates"]) == (1, 1)
    assert recall.outputs["card_ids"] == [card_id]
    assert recall.outputs["withheld"] == {}
    assert len(recall.outputs["recall_id"]) == 16
    assert (learn.outputs["turns"], len(learn.outputs["added"])) == (1, 1)
    assert SECRET not in told(recall) + told(learn)
    around = {run.id: run.name for run in tracer.runs}
    assert [around[run.parent_run_id] for run in (recall, learn) if run.parent_run_id] == [
        "recall", "learn"
    ]  # fmt: skip


@pytest.mark.usefixtures("card_id")
def test_the_middleware_is_seen_within_the_agent(
    memory: PreferenceMemory, tracer: Collector
) -> None:
    app = agent(memory, "Fine.", "Done.")
    app.invoke({"messages": [("user", QUERY)]}, config(tracer))
    recall, learn = tracer.only("prefmem.recall"), tracer.only("prefmem.learn")
    assert recall.outputs["rules"] == 1
    assert learn.outputs["turns"] == 1
    told_of = [("user", f"Remember that I use tabs in {SECRET}.")]
    app.invoke({"messages": told_of}, config(tracer))
    command = tracer.named("prefmem.command")[-1]
    assert command.outputs["commands"] == ["remember"]
    assert SECRET not in "".join(
        told(run) for run in tracer.runs if run.name.startswith("prefmem.")
    )


@pytest.mark.parametrize("twin", [False, True])
async def test_the_retriever_tells_ids_and_figures(
    memory: PreferenceMemory, tracer: Collector, card_id: str, twin: bool
) -> None:
    retriever = PreferenceRetriever(memory=memory)
    if twin:
        found = await retriever.ainvoke(QUERY, config(tracer))
    else:
        found = retriever.invoke(QUERY, config(tracer))
    assert [document.page_content for document in found] == [RULE]
    run = tracer.only("PreferenceRetriever")
    assert run.run_type == "retriever"
    (document,) = run.outputs["documents"]
    assert (document.id, document.page_content) == (card_id, "")
    assert document.metadata["relevance"] == found[0].metadata["relevance"]
    assert SECRET not in told(run)


@pytest.mark.usefixtures("card_id")
def test_content_is_told_where_it_is_switched_on(
    memory: PreferenceMemory, tracer: Collector
) -> None:
    graph(memory, trace="content").invoke({"messages": [("user", QUERY)]}, config(tracer))
    recall = tracer.only("RecallNode")
    assert (recall.outputs["query"], recall.outputs["texts"]) == (QUERY, [RULE])
    PreferenceRetriever(memory=memory, trace="content").invoke(QUERY, config(tracer))
    assert RULE in told(tracer.only("PreferenceRetriever"))
    agent(memory, "Fine.", trace="content").invoke({"messages": [("user", QUERY)]}, config(tracer))
    assert RULE in told(tracer.only("prefmem.recall"))


def test_a_failure_is_told_by_its_kind(tracer: Collector) -> None:
    class Broken:
        width, basis = 4, "broken/1"

        def embed(self, texts: object) -> Any:  # noqa: ANN401  # it gives nothing
            raise RuntimeError(f"{SECRET}: {texts}")

        def relevance(self, cosines: Any) -> Any:  # noqa: ANN401  # as above
            return cosines

    with PreferenceMemory(":memory:", embedder=Broken(), reranker="none") as memory:
        app = graph(memory)
        app.invoke({"messages": [("user", f"Always praise {SECRET}.")]}, config(tracer))
    run = tracer.only("LearnNode")
    assert run.error is not None
    assert run.error.startswith("RuntimeError(")
    assert SECRET not in told(run)


def test_without_a_tracer_nothing_changes(memory: PreferenceMemory, card_id: str) -> None:
    alone: RunnableConfig = {"configurable": {"user_id": "ann", "thread_id": "t"}}
    found = graph(memory).invoke({"messages": [("user", QUERY)]}, alone)
    assert found["preferences"] == [card_id]
