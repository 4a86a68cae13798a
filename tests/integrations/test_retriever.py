import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_tests.integration_tests import RetrieversIntegrationTests
from pydantic import ValidationError

from prefmem import PreferenceMemory, StoreError, UserRequiredError
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
from prefmem_langchain import PreferenceRetriever

ANN: Any = {"configurable": {"user_id": "ann"}}
QUERY = "write SQL for monthly sales"


def on_fakes() -> PreferenceMemory:
    return PreferenceMemory(
        ":memory:",
        embedder=HashEmbedder(),
        extractor=PhraseExtractor(),
        relater=TableRelater(),
        reranker="none",
        judge="none",
    )


class TestStandard(RetrieversIntegrationTests):
    """The suite of langchain-tests."""

    @pytest.fixture(autouse=True)
    def kept(self) -> Any:  # noqa: ANN401  # a fixture
        with on_fakes() as memory:
            for action in ("use CTEs", "put keywords in capitals", "name every column", "be brief"):
                memory.add("you write SQL for monthly sales", action, user_id="ann")
            self.memory = memory
            yield

    @property
    def retriever_constructor(self) -> type[PreferenceRetriever]:
        return PreferenceRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"memory": self.memory, "user_id": "ann"}

    @property
    def retriever_query_example(self) -> str:
        return QUERY


def test_documents_carry_the_rule(memory: PreferenceMemory) -> None:
    card = memory.add("you write SQL", "never use SELECT *", user_id="ann", polarity="avoid")
    (found,) = PreferenceRetriever(memory=memory, user_id="ann").invoke("write SQL")
    relevance = found.metadata.pop("relevance")
    assert 0.22 <= relevance <= 1
    assert found == Document(
        "When you write SQL, never use SELECT *.",
        id=card.id,
        metadata={
            "card_id": card.id,
            "condition": "you write SQL",
            "action": "never use SELECT *",
            "polarity": "avoid",
            "scope": "conditional",
            "confidence": 1.0,
            "source": "added",
            "since": card.valid_from.isoformat(),
        },
    )


def test_what_the_query_brings_up_comes_before_what_always_holds(memory: PreferenceMemory) -> None:
    memory.add("", "answer briefly", user_id="ann")
    memory.add("you write SQL", "use CTEs", user_id="ann")
    retriever = PreferenceRetriever(memory=memory, user_id="ann")
    assert [d.page_content for d in retriever.invoke("write SQL")] == [
        "When you write SQL, use CTEs.",
        "Answer briefly.",
    ]
    assert [d.page_content for d in retriever.invoke("write SQL", k=1)] == [
        "When you write SQL, use CTEs."
    ]
    assert retriever.invoke("write SQL", k=0) == []
    assert [
        d.page_content
        for d in PreferenceRetriever(memory=memory, user_id="ann", min_score=1.0).invoke("a poem")
    ] == ["Answer briefly."]


async def test_user_comes_from_the_run(memory: PreferenceMemory) -> None:
    memory.add("", "answer briefly", user_id="ann")
    retriever = PreferenceRetriever(memory=memory, on_error="raise")
    assert [d.page_content for d in retriever.invoke("hi", ANN)] == ["Answer briefly."]
    assert [d.page_content for d in await retriever.ainvoke("hi", ANN)] == ["Answer briefly."]
    bob: Any = {"configurable": {"user_id": "bob"}}
    assert retriever.invoke("hi", bob) == await retriever.ainvoke("hi", bob) == []

    def contents(found: Any) -> list[str]:  # noqa: ANN401  # hosts are loosely typed
        return [d.page_content for d in found["docs"]]

    chain: Any = {"docs": retriever, "asked": RunnablePassthrough()} | RunnableLambda(contents)
    assert chain.invoke("hi", ANN) == await chain.ainvoke("hi", ANN) == ["Answer briefly."]
    both = await asyncio.gather(retriever.ainvoke("hi", ANN), retriever.ainvoke("hi", bob))
    assert [len(found) for found in both] == [1, 0]
    assert [len(found) for found in retriever.batch(["hi", "hi"], [ANN, bob])] == [1, 0]


def test_without_user_or_memory_nothing_is_found(
    memory: PreferenceMemory, caplog: pytest.LogCaptureFixture
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    retriever = PreferenceRetriever(memory=memory)
    assert retriever.invoke("hi") == retriever.invoke("hi") == []
    assert PreferenceRetriever(user_id="ann").invoke("hi") == []
    told = [r.getMessage() for r in caplog.records if r.name == "prefmem"]
    assert [t.split(";")[0] for t in told] == [
        "PreferenceRetriever: a run has no user id, so it has no memory",
        "PreferenceRetriever: a run has no memory",
    ]
    with pytest.raises(UserRequiredError):
        PreferenceRetriever(memory=memory, on_missing_user="raise").invoke("hi")


def test_a_failure_finds_nothing_and_is_logged_without_words(
    memory: PreferenceMemory, caplog: pytest.LogCaptureFixture
) -> None:
    memory.close()
    caplog.set_level(logging.DEBUG, "prefmem")
    assert PreferenceRetriever(memory=memory, user_id="ann").invoke("my secret is 42") == []
    (told,) = [r.getMessage() for r in caplog.records if r.name == "prefmem"]
    assert told.startswith("PreferenceRetriever: recall failed with StoreClosedError")
    with pytest.raises(StoreError):
        PreferenceRetriever(memory=memory, user_id="ann", on_error="raise").invoke("hi")


@pytest.mark.parametrize("wrong", [{"k": -1}, {"k": 51}, {"min_score": 2}, {"limit": 3}])
def test_wrong_settings_are_refused(memory: PreferenceMemory, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        PreferenceRetriever(memory=memory, **wrong)


def test_neither_the_memory_nor_the_user_is_printed(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    del scribe
    retriever = PreferenceRetriever(memory=memory, user_id="ann@example.org")
    assert "ann" not in repr(retriever)
    assert "ann" not in repr(retriever.model_dump())
