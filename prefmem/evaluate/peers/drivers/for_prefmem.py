"""prefmem: `python for_prefmem.py store|default|shipped`.

`store` does what the peers do: five nearest by the vectors given, no model, no log of what was
recalled. `default` has the user model and the log, and leaves out the models that read texts alone.
`shipped` is `PreferenceMemory(path)`, which embeds, compares and reranks with the packaged models.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from serve import Found, Vectors, serve  # type: ignore[import-not-found]

_MANY = {"max_cards": 1_000_000, "cache_bytes": 2**30}  # 2,000 cards of a user by default


class Precomputed:
    """An embedder that looks vectors up.

    Args:
        vectors: The vectors.
    """

    basis = "precomputed/1"

    def __init__(self, vectors: Vectors) -> None:
        """Keep the vectors."""
        self._vectors, self.width = vectors, vectors.width

    def embed(self, texts: Sequence[str]) -> Any:  # noqa: ANN401
        """Give the vectors of n texts, (n, e)."""
        return self._vectors.rows[[self._vectors.places[text] for text in texts]]

    def relevance(self, cosines: Any) -> Any:  # noqa: ANN401
        """Take the cosine for the probability, in [0, 1]."""
        return cosines.clip(0, 1)


class Memory:
    """A `PreferenceMemory`.

    Args:
        make: Opens another one on a path.
        path: The file.
    """

    def __init__(self, make: Any, path: Path) -> None:  # noqa: ANN401
        """Open it."""
        self._make, self._memory = make, make(path)

    def add(self, user: str, condition: str, action: str) -> str:
        """Add a rule by hand."""
        return str(self._memory.add(condition, action, user_id=user).id)

    def fill(self, memories: Sequence[tuple[str, str, str]]) -> None:
        """Make them in memory, then load what that exports: one transaction a user."""
        with self._make(":memory:") as draft:
            for user, condition, action in memories:
                draft.add(condition, action, user_id=user)
            for user in dict.fromkeys(user for user, _, _ in memories):
                self._memory.load(draft.export(user_id=user), user_id=user)

    def search(self, user: str, query: str, k: int) -> Found:
        """Recall with no floor, and give what came nearest."""
        found = self._memory.recall(query, user_id=user, limit=k, min_score=0.0, strict=True)
        nearest = sorted(found.candidates, key=lambda one: -one.dense)[:k]
        return [(str(one.card.id), str(one.card.text)) for one in nearest]

    def find(self, user: str, text: str) -> str:
        """Name the card with a text."""
        return next(str(c.id) for c in self._memory.list(user_id=user) if c.text == text)

    def delete(self, user: str, name: str) -> None:
        """Forget a card."""
        self._memory.forget(name, user_id=user)

    def close(self) -> None:
        """Close the file."""
        self._memory.close()


class Maker:
    """prefmem in one of three shapes."""

    keeps = "disk"
    durability = "SQLite, write-ahead log, fsync"
    packages = ("prefmem",)

    def __init__(self, shape: str) -> None:
        """Choose the shape."""
        self._shape = shape

    def load(self) -> None:
        """Import as the README does."""
        import_module("prefmem").PreferenceMemory  # noqa: B018  # loads it

    def open(self, folder: Path, vectors: Vectors) -> Memory:
        """Open the file."""
        prefmem: Any = import_module("prefmem")

        def make(path: Path | str) -> Any:  # noqa: ANN401
            if self._shape == "shipped":
                return prefmem.PreferenceMemory(path, config=prefmem.Config(**_MANY))
            found: dict[str, Any] = {"config": prefmem.Config(**_MANY)}
            if self._shape == "store":
                config = prefmem.Config(**_MANY, candidates=5, log_offers=False)
                found = {"config": config, "user_model": "none", "judge": "none"}
            return prefmem.PreferenceMemory(
                path, embedder=Precomputed(vectors), relater="none", reranker="none", **found
            )

        return Memory(make, folder / "prefs.db")


if __name__ == "__main__":
    serve(Maker(sys.argv[1]))
