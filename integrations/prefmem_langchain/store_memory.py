"""One memory for each langgraph store, made when it is first asked for.

`PreferenceMiddleware()` without a memory takes `memory_on(runtime.store)`: on LangGraph Server that
is the server's own database, and nothing needs to be set up.
"""

import threading
import weakref
from collections.abc import Callable
from functools import cache

from langgraph.store.base import BaseStore

from prefmem import Config, PreferenceMemory
from prefmem.protocols import Embedder, Extractor, Judge, Store
from prefmem_langchain.store import BaseStoreStorage

_lock = threading.Lock()
_memories: "weakref.WeakKeyDictionary[BaseStore, dict[Config, PreferenceMemory]]" = (
    weakref.WeakKeyDictionary()
)


def memory_on(
    store: BaseStore,
    *,
    config: Config | None = None,
    make: Callable[[Store, Config], PreferenceMemory] | None = None,
) -> PreferenceMemory:
    """Give the memory that lies in a langgraph store; the same one for the store's whole life.

    It keeps the store from nothing: when the host lets go of the store, the memory is closed. The
    models are loaded once in a process, however many stores there are.

    The first call for a store reads it. For an asynchronous store make it on a worker thread, as
    `await asyncio.to_thread(memory_on, store)`.

    Args:
        store: The store, as in `runtime.store`. It stays the host's: nobody closes it here.
        config: Settings; a store has one memory for each.
        make: Makes the memory from storage and settings; one with the packaged models unless given.

    Returns:
        The memory.

    Raises:
        BasisMismatchError: The store holds vectors of another embedder.
        StoreError: The store cannot be read, or was asked on its own event loop.
    """
    settings = config or Config()
    with _lock:
        memories = _memories.setdefault(store, {})
        if settings not in memories:
            storage = BaseStoreStorage.weakly(store)
            memory = (make or _with_packaged_models)(storage, settings)
            memories[settings] = memory
            weakref.finalize(store, _closed_aside, memory).atexit = False
        return memories[settings]


def _closed_aside(memory: PreferenceMemory) -> None:
    """Close a memory whose store is gone, on a thread of its own: locks may be held on this one."""
    threading.Thread(target=memory.close, args=(0.0,), name="prefmem-close", daemon=True).start()


def _with_packaged_models(storage: Store, config: Config) -> PreferenceMemory:
    embedder, judge = _embedder_and_judge()
    return PreferenceMemory(
        store=storage,
        config=config,
        embedder=embedder,
        judge=judge,
        extractor=_extractor(config.min_confidence, config.max_slot_chars),
    )


@cache
def _embedder_and_judge() -> tuple[Embedder, Judge | None]:
    """Give the packaged ones, one of each in a process; relater and reranker share theirs."""
    from prefmem import defaults

    return defaults.embedder(), defaults.judge()


@cache
def _extractor(min_confidence: float, max_slot_chars: int) -> Extractor:
    """Give the packaged one for these settings."""
    from prefmem import defaults

    settings = Config(min_confidence=min_confidence, max_slot_chars=max_slot_chars)
    return defaults.extractor(settings)
