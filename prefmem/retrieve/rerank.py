"""Reranking: request and rule read together, within a time budget, and never in the way.

A reranker may be anybody's code. Where it raises, or answers with something else than one
probability a rule, the relevance by the cosine serves, and the failure is counted.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from threading import Lock

import numpy as np

from prefmem.protocols import Reranker
from prefmem.retrieve.dense import ranked
from prefmem.types import Candidate, Vector

_LOG = logging.getLogger(__name__)


class Reranking:
    """Reranks the nearest conditional candidates; threads may share it.

    Args:
        reranker: Reads request and rule together.
        most: Candidates that are read at most, from 1.
        budget_ms: Milliseconds for one query; None for no limit. The first pair of all, which may
            load weights, is not counted; then what a pair took last says how many fit.
        clock: Gives seconds.
    """

    def __init__(
        self,
        reranker: Reranker,
        *,
        most: int,
        budget_ms: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Start without a failure and without a measured pair."""
        self._reranker, self._most, self._clock = reranker, most, clock
        self._budget = None if budget_ms is None else budget_ms / 1000
        self._pair: float | None = None  # seconds
        self._lock = Lock()
        self.failures: Counter[str] = Counter()

    def afresh(self) -> "Reranking":
        """Give the same with figures of its own."""
        other = copy(self)
        other._lock, other.failures = Lock(), Counter()
        return other

    def warm(self, query: str) -> None:
        """Let the reranker load what it needs; a failure is counted, as in a recall."""
        try:
            self._reranker.relevance(query, [query], np.ones(1, dtype=np.float32))
        except Exception as error:  # noqa: BLE001  # anybody's code, and recall goes on without it
            self._count(error)
            _tell(error)

    def __call__(self, query: str, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Do as `read`; the candidates as they are where the reranker fails."""
        try:
            return self.read(query, candidates)
        except Exception as error:  # noqa: BLE001  # anybody's code, and recall goes on without it
            _tell(error)
            return tuple(candidates)

    def reads(self, candidates: Sequence[Candidate]) -> bool:
        """Whether there is a candidate that the reranker would be asked about."""
        return any(c.card.preference.scope.kind == "conditional" for c in candidates)

    def read(self, query: str, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Give the candidates with the reranker's relevance where it was asked, best first.

        What the reranker raises is counted, and raised for the caller to log.

        Args:
            query: The request; with a blank one nothing is reranked.
            candidates: Scored by their cosines; global ones stay as they are.
        """
        asked = [c for c in candidates if c.card.preference.scope.kind == "conditional"]
        asked = sorted(asked, key=lambda c: (-c.dense, c.card.id))[: self._most]
        if not asked or not query.strip():
            return tuple(candidates)
        try:
            relevance = self._within_budget(query, asked)
        except Exception as error:
            self._count(error)
            raise
        read = {
            c.card.id: replace(c, relevance=float(r), dense_relevance=c.relevance)
            for c, r in zip(asked, relevance, strict=False)
        }
        return ranked(read.get(c.card.id, c) for c in candidates)

    def _within_budget(self, query: str, asked: Sequence[Candidate]) -> Vector:
        """Read as many candidates as there is time for, at least one: (m,)."""
        if self._budget is None:
            return self._read(query, asked)
        if self._pair is None:
            self._read(query, asked[:1])
        start = self._clock()
        first = self._read(query, asked[:1])
        spent = self._clock() - start
        pair = max(spent if self._pair is None else self._pair, 1e-9)
        rest = asked[1 : 1 + max(0, int((self._budget - spent) / pair))]
        if not rest:
            self._pair = spent
            return first
        start = self._clock()
        others = self._read(query, rest)
        self._pair = (self._clock() - start) / len(rest)
        return np.concatenate([first, others])

    def _read(self, query: str, asked: Sequence[Candidate]) -> Vector:
        """Ask the reranker, and check what it answers."""
        cosines = np.array([c.dense for c in asked], dtype=np.float32)
        found = self._reranker.relevance(query, [c.card.text for c in asked], cosines)
        relevance = np.asarray(found, dtype=np.float32)
        if relevance.shape != cosines.shape:
            raise ValueError(f"{relevance.shape} numbers for {len(asked)} rules")
        if not bool(((relevance >= 0) & (relevance <= 1)).all()):
            raise ValueError("a relevance that is not in [0, 1]")
        return relevance

    def _count(self, error: Exception) -> None:
        with self._lock:
            self.failures[type(error).__name__] += 1


def _tell(error: Exception) -> None:
    """Log a failure by its name: its message may quote the user."""
    name = type(error).__name__
    _LOG.warning("reranking failed with %s; relevance is by the cosine", name)
