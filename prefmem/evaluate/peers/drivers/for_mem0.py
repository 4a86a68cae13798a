"""mem0, open source: `python for_mem0.py faiss|qdrant`. Without an LLM: `infer=False`."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from serve import Found, Vectors, sentence, serve  # type: ignore[import-not-found]

os.environ["MEM0_TELEMETRY"] = "False"  # noqa: TID251  # read by mem0 at import


class Mem0:
    """A `mem0.Memory` that keeps its vectors in a local store.

    Args:
        memory: It.
        vectors: Stand in for its embedder.
    """

    def __init__(self, memory: Any, vectors: Vectors) -> None:  # noqa: ANN401
        """Give it the vectors."""
        self._memory, self._vectors = memory, vectors
        memory.embedding_model = self

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """Look a vector up, for mem0."""
        del memory_action
        found: list[float] = self._vectors.lists([text])[0]
        return found

    def add(self, user: str, condition: str, action: str) -> str:
        """Add without inference."""
        added = self._memory.add(sentence(condition, action), user_id=user, infer=False)
        return str(added["results"][0]["id"])

    def fill(self, memories: Sequence[tuple[str, str, str]]) -> None:
        """Write to the vector store in one go: one by one, each rewrites all files."""
        import hashlib
        import uuid
        from datetime import UTC, datetime

        now = datetime.now(UTC).isoformat()
        texts = [sentence(condition, action) for _, condition, action in memories]
        lemmas: Any = import_module("mem0.utils.lemmatization").lemmatize_for_bm25
        payloads = [
            {
                "user_id": user, "role": "user", "data": text,
                "hash": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
                "created_at": now, "updated_at": now, "text_lemmatized": lemmas(text),
            }
            for (user, _, _), text in zip(memories, texts, strict=True)
        ]  # fmt: skip
        self._memory.vector_store.insert(
            vectors=self._vectors.lists(texts), payloads=payloads,
            ids=[str(uuid.uuid4()) for _ in memories],
        )  # fmt: skip

    def search(self, user: str, query: str, k: int) -> Found:
        """Search without a threshold."""
        found = self._memory.search(query, filters={"user_id": user}, top_k=k, threshold=0.0)
        return [(str(one["id"]), str(one["memory"])) for one in found["results"]]

    def delete(self, user: str, name: str) -> None:
        """Delete a memory by its id."""
        del user
        self._memory.delete(name)

    def close(self) -> None:
        """Close the history and, for Qdrant, the client."""
        self._memory.close()
        client = getattr(self._memory.vector_store, "client", None)
        if client is not None:
            client.close()


class Maker:
    """mem0 over `faiss` or local `qdrant`."""

    keeps = "disk"

    def __init__(self, store: str) -> None:
        """Choose the vector store."""
        self._store = store
        self.packages = ("mem0ai", "faiss-cpu" if store == "faiss" else "qdrant-client")
        self.durability = (
            "history: SQLite, fsync; index and texts: whole files rewritten, no fsync"
            if store == "faiss"
            else "history and points: two SQLite files, fsync each"
        )

    def load(self) -> None:
        """Import `Memory`, and the vector store that its factory would import."""
        import_module("mem0")
        import_module(f"mem0.vector_stores.{self._store}")

    def open(self, folder: Path, vectors: Vectors) -> Mem0:
        """Configure it; the LLM and embedder of the configuration are never asked."""
        memory: Any = import_module("mem0").Memory
        own = {"distance_strategy": "cosine"} if self._store == "faiss" else {"on_disk": True}
        never = {"provider": "openai", "config": {"api_key": "none"}}
        config = {
            "vector_store": {
                "provider": self._store,
                "config": {
                    "collection_name": "memories", "path": str(folder / self._store),
                    "embedding_model_dims": vectors.width, **own,
                },
            },
            "history_db_path": str(folder / "history.db"), "llm": never, "embedder": never,
        }  # fmt: skip
        return Mem0(memory.from_config(config), vectors)


if __name__ == "__main__":
    serve(Maker(sys.argv[1]))
