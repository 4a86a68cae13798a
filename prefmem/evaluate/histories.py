"""The product as a system that lives through dated sessions, as history benchmarks call it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any, cast

from prefmem.memory import PreferenceMemory
from prefmem.types import Turn

_USER = "user"


class HistorySystem:
    """One user's memory, on the days that it is told; everything else is the default."""

    def __init__(self) -> None:
        """Start with an empty memory, on the first of January 2026."""
        self._now = datetime(2026, 1, 1, tzinfo=UTC)
        self._memory = PreferenceMemory(":memory:", clock=lambda: self._now)

    def learn(self, session: Mapping[str, Any]) -> None:
        """Learn from a session: its id, its date (YYYY-MM-DD), its turns of role and content."""
        self._now = _noon(session["date"])
        turns = [
            Turn(str(n), turn["role"], turn["content"], self._now)
            for n, turn in enumerate(cast(Sequence[Mapping[str, Any]], session["turns"]))
        ]
        self._memory.learn(turns, user_id=_USER, session_id=session["id"])

    def ask(self, query: str, date: str) -> list[dict[str, str]]:
        """Give the rules that apply to a query on a day, best first."""
        self._now = _noon(date)
        return [
            {"text": rule.text}
            for rule in self._memory.recall(query, user_id=_USER, strict=True).rules
        ]

    def rules(self) -> list[dict[str, object]]:
        """Give all rules, and whether each is active."""
        cards = self._memory.list(user_id=_USER)
        return [{"text": card.text, "active": card.status == "active"} for card in cards]


def _noon(date: str) -> datetime:
    return datetime.combine(datetime.fromisoformat(date), time(12), tzinfo=UTC)
