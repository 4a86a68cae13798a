"""langgraph's own suite over the savers that our examples and tests configure.

prefmem ships none; these are the ones that its promises about checkpoints are tested on.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.conformance import (  # pyright: ignore[reportMissingTypeStubs]
    checkpointer_test,
    validate,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


class Awaited(SqliteSaver):
    """The synchronous saver behind the asynchronous methods that the suite calls."""

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self.get_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        for found in self.list(config, filter=filter, before=before, limit=limit):
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        self.put_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        self.delete_thread(thread_id)


@pytest.mark.parametrize("kind", ["memory", "sqlite", "async sqlite"])
async def test_saver_conforms(kind: str, tmp_path: Path) -> None:
    count = iter(range(10_000))

    @checkpointer_test(name=kind)
    async def made() -> AsyncGenerator[BaseCheckpointSaver[Any], None]:
        path = str(tmp_path / f"{next(count)}.db")
        if kind == "memory":
            yield InMemorySaver()
        elif kind == "sqlite":
            with Awaited.from_conn_string(path) as saver:
                yield saver
        else:
            async with AsyncSqliteSaver.from_conn_string(path) as late:
                yield late

    report = await validate(made)
    wrong = {name: found for name, found in report.results.items() if found.passed is False}
    assert wrong == {}
    assert report.passed_all_base()
