"""The memory of a langgraph store: one for its life, without settings; asynchronous stores."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.messages import HumanMessage
from langgraph.store.base import Op, Result
from langgraph.store.base.batch import AsyncBatchedBaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.sqlite.aio import AsyncSqliteStore  # pyright: ignore[reportMissingTypeStubs]

from prefmem import Config, PreferenceMemory, StoreError
from prefmem.protocols import Store
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater, check_store
from prefmem_langchain import PreferenceMiddleware
from prefmem_langchain.store import BaseStoreStorage
from prefmem_langchain.store_memory import memory_on
from tests.integrations.basestores import database, items, opened


def on_fakes(storage: Store, config: Config) -> PreferenceMemory:
    return PreferenceMemory(
        store=storage, config=config, embedder=HashEmbedder(), extractor=PhraseExtractor(),
        relater=TableRelater(), reranker="none",
    )  # fmt: skip


class Batched(AsyncBatchedBaseStore):
    """An asynchronous store of a host, as a server may have one."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = InMemoryStore()

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        return super().batch(ops)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return await self.inner.abatch(ops)


# One memory for a store


def test_a_store_has_one_memory_for_each_setting() -> None:
    store, other = InMemoryStore(), InMemoryStore()
    first = memory_on(store, make=on_fakes)
    assert memory_on(store) is first
    assert memory_on(store, config=Config()) is first
    assert memory_on(other, make=on_fakes) is not first
    assert memory_on(store, config=Config(limit=1), make=on_fakes) is not first
    found: list[PreferenceMemory] = []
    third = InMemoryStore()
    threads = [
        threading.Thread(target=lambda: found.append(memory_on(third, make=on_fakes)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(memory) for memory in found}) == 1


def test_a_memory_goes_with_its_store() -> None:
    store = InMemoryStore()
    memory = memory_on(store, make=on_fakes)
    memory.learn_later([("user", "Always answer briefly.")], user_id="ann")
    assert memory.flush(30)
    assert [card.text for card in memory.list(user_id="ann")] == ["Answer briefly."]
    gone = weakref.ref(store)
    del store
    gc.collect()
    assert gone() is None, "a memory kept its store from going"
    for thread in threading.enumerate():
        if thread.name == "prefmem-close":
            thread.join(20)
    with pytest.raises(StoreError, match=r"is closed|is gone"):
        memory.list(user_id="ann")
    assert not [t for t in threading.enumerate() if t.name == "prefmem-close"]


def test_settings_that_fail_leave_nothing_behind(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as store:
        memory_on(store, make=on_fakes).add("", "answer briefly", user_id="ann")

    def broken(storage: Store, config: Config) -> PreferenceMemory:
        raise StoreError("down")

    fresh = InMemoryStore()
    with pytest.raises(StoreError, match="down"):
        memory_on(fresh, make=broken)
    assert memory_on(fresh, make=on_fakes).list(user_id="ann") == ()


@pytest.mark.model
def test_a_store_is_all_that_a_middleware_needs(scribe: Any) -> None:  # noqa: ANN401  # a factory of chat models
    store, model = InMemoryStore(), scribe()
    middleware: Any = PreferenceMiddleware(on_error="raise")
    app: Any = create_agent(model, [], middleware=[middleware], store=store)
    ann = {"user_id": "ann@example.org"}
    app.invoke({"messages": [HumanMessage("Please always answer in French.")]}, context=ann)
    memory = memory_on(store)
    assert memory.flush(120)
    assert len(memory.list(user_id=ann["user_id"])) == 1
    app.invoke({"messages": [HumanMessage("How are you?")]}, context=ann)
    assert "French" in str(model.seen[-1][0].content)
    assert memory_on(InMemoryStore()).embedder is memory.embedder, "models are loaded once"


# Asynchronous stores


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "batched"])
async def test_an_asynchronous_store_serves_other_threads_than_its_own(
    kind: str, tmp_path: Path
) -> None:
    async def use(store: Any) -> None:  # noqa: ANN401  # one of three
        await asyncio.to_thread(check_store, lambda: BaseStoreStorage(store))
        memory = await asyncio.to_thread(memory_on, store, make=as_checked)
        turn = [("user", "Always answer briefly.")]
        assert await memory.alearn_later(turn, user_id="ann@example.org")
        assert await memory.aflush(60)
        cards = await memory.alist(user_id="ann@example.org")
        assert [card.text for card in cards] == ["Answer briefly."]
        with pytest.raises(StoreError, match=r"own event loop.*async verbs"):
            memory.list(user_id="ann@example.org")
        with pytest.raises(StoreError, match="own event loop"):
            BaseStoreStorage(store).bind("x", 3)
        many = [memory.aadd("", f"use rule{n}", user_id=f"u{n}") for n in range(20)]
        assert len(await asyncio.gather(*many)) == 20
        await memory.aforget_user(user_id="ann@example.org")
        await memory.aclose()

    if kind == "postgres":
        async with AsyncPostgresStore.from_conn_string(database()) as store:
            await store.setup()
            await use(store)
    elif kind == "sqlite":
        async with AsyncSqliteStore.from_conn_string(str(tmp_path / "host.db")) as sqlite:
            await sqlite.setup()
            await use(sqlite)
    else:
        await use(Batched())


def as_checked(storage: Store, config: Config) -> PreferenceMemory:
    class Named(HashEmbedder):
        """An embedder of the space that the contract ties a store to."""

        @property
        def basis(self) -> str:
            return "test"

    return PreferenceMemory(
        store=storage, config=config, embedder=Named(4), extractor=PhraseExtractor(),
        relater=TableRelater(), reranker="none",
    )  # fmt: skip


async def test_an_agent_on_an_asynchronous_store(scribe: Any) -> None:  # noqa: ANN401  # a factory of chat models
    async with AsyncPostgresStore.from_conn_string(database()) as store:
        await store.setup()
        memory = await asyncio.to_thread(memory_on, store, make=on_fakes)
        model = scribe()
        middleware: Any = PreferenceMiddleware(on_error="raise")
        app: Any = create_agent(model, [], middleware=[middleware], store=store)
        ann = {"user_id": "ann"}
        said = {"messages": [HumanMessage("Always answer briefly.")]}
        async for _ in app.astream(said, context=ann, stream_mode="messages"):
            pass
        assert await memory.aflush(60)
        await app.ainvoke({"messages": [HumanMessage("hi")]}, context=ann)
        assert "Answer briefly." in str(model.seen[-1][0].content)
        await memory.aclose()


def test_a_loop_that_has_ended_is_told(tmp_path: Path) -> None:
    async def start() -> AsyncSqliteStore:
        async with AsyncSqliteStore.from_conn_string(str(tmp_path / "host.db")) as store:
            await store.setup()
            return store

    store = asyncio.run(start())
    with pytest.raises(StoreError, match="event loop of AsyncSqliteStore has stopped"):
        BaseStoreStorage(store).bind("test", 4)


def test_a_database_that_is_down_is_told_without_words(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as store:
        memory = on_fakes(BaseStoreStorage(store), Config())
        memory.add("", "answer briefly", user_id="ann")
        assert len(items(store)) == 3
    with pytest.raises(StoreError, match="cannot read SqliteStore: ProgrammingError") as caught:
        memory.list(user_id="ann")
    assert "briefly" not in str(caught.value)
