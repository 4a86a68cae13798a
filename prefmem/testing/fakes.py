"""Small stand-ins without weights: same input, same output, in every process."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import get_args

import numpy as np

from prefmem.interaction import Followup, Judgement, Label
from prefmem.types import (
    Evidence,
    Matrix,
    Polarity,
    Preference,
    Relation,
    Scope,
    UserKey,
    Vector,
    Window,
)

_WORD = re.compile(r"\w+")
_RULE = re.compile(
    r"(?:when (?P<condition>[^,.]+), )?(?P<mark>always|never) (?P<action>[^.!?]+)", re.I
)


class ScriptedAgent:
    """A preference agent that writes for each user what it is given, whatever is asked.

    Args:
        rules: What it writes, by user id; nothing for others.

    Attributes:
        rules_of: What it writes, by user id; to be changed as you like.
        asked: Users and queries that it was asked about, in order.
        forgotten: Users whom it forgot, in order.
    """

    def __init__(self, rules: Mapping[str, Sequence[str]]) -> None:
        """Take the script."""
        self.rules_of = {user: tuple(said) for user, said in rules.items()}
        self.asked: list[tuple[UserKey, str]] = []
        self.forgotten: list[UserKey] = []

    def version(self, user: UserKey) -> str:
        """Name what it would write."""
        said = "\n".join(self.rules_of.get(user.user_id, ()))
        return said and hashlib.sha256(said.encode()).hexdigest()[:16]

    def rules(self, query: str, *, user: UserKey, context: str = "") -> tuple[str, ...]:
        """Write what the script has for the user."""
        del context
        self.asked.append((user, query))
        return self.rules_of.get(user.user_id, ())

    def forget_user(self, user: UserKey) -> int:
        """Forget what the script has for the user, and count it as one adapter."""
        self.forgotten.append(user)
        return int(self.rules_of.pop(user.user_id, None) is not None)


class HashEmbedder:
    """Embeds a text as the sum of its words' random signs: shared words bring texts together.

    Args:
        width: Width of a vector.
    """

    def __init__(self, width: int = 64) -> None:
        """Choose the width."""
        self._width = width

    @property
    def basis(self) -> str:
        """Name of the space; depends on the width."""
        return f"hash-{self._width}"

    @property
    def width(self) -> int:
        """Width of a vector."""
        return self._width

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Embed n texts: unit rows, (n, e); a text without words gives a zero row."""
        return np.stack([self._one(t) for t in texts]) if texts else self._none()

    def relevance(self, cosines: Vector) -> Vector:
        """Take a cosine for the probability, negative ones for 0."""
        return np.clip(cosines, 0, 1).astype(np.float32)

    def _none(self) -> Matrix:
        return np.zeros((0, self._width), dtype=np.float32)

    def _one(self, text: str) -> Vector:
        total = np.zeros(self._width, dtype=np.float32)
        for word in re.findall(r"\w+", text.lower()):
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            total += np.random.default_rng(seed).choice([-1.0, 1.0], self._width)
        return (total / max(float(np.linalg.norm(total)), 1e-12)).astype(np.float32)


class PhraseExtractor:
    """Finds "always X", "never X" and "when C, always X" in user turns, and nothing else.

    Args:
        confidence: Confidence of everything that is found, in [0, 1].
    """

    def __init__(self, confidence: float = 0.9) -> None:
        """Choose the confidence."""
        self._confidence = confidence

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        """Extract from the named user turns."""
        found: list[Preference] = []
        for turn in window.turns:
            if turn.role != "user" or turn.id not in turn_ids:
                continue
            for match in _RULE.finditer(turn.text):
                avoid = match["mark"].lower() == "never"
                polarity: Polarity = "avoid" if avoid else "do"
                action = f"never {match['action']}" if avoid else match["action"]
                condition = match["condition"] or ""
                found.append(
                    Preference(
                        condition,
                        action.strip(),
                        polarity,
                        self._confidence,
                        Scope("conditional" if condition else "global"),
                        (Evidence(turn.id, match.group(0)),),
                    )
                )
        return tuple(found)


class TableRelater:
    """Knows what some rules are to others; any other two have nothing to do with each other.

    Args:
        table: Relation by the texts of the old rule and of the new one.
    """

    def __init__(self, table: Mapping[tuple[str, str], Relation] | None = None) -> None:
        """Keep the table."""
        self._table = dict(table or {})

    def relations(
        self, new: Preference, old: Sequence[Preference]
    ) -> tuple[Mapping[Relation, float], ...]:
        """Give each old rule's relation the probability 1."""
        found = (self._table.get((rule.text, new.text), "distinct") for rule in old)
        return tuple(
            {relation: float(relation == it) for relation in get_args(Relation)} for it in found
        )


class Clock:
    """Gives 1 January 2026, noon UTC, and a minute more at every call."""

    def __init__(self) -> None:
        """Start at noon."""
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Give the time and move on."""
        now = self.now
        self.now += timedelta(minutes=1)
        return now


class Counter:
    """Gives names in order: id0001, id0002, ..."""

    def __init__(self, prefix: str = "id") -> None:
        """Start at 1."""
        self._prefix = prefix
        self._count = 0

    def __call__(self) -> str:
        """Give the next name."""
        self._count += 1
        return f"{self._prefix}{self._count:04}"


class WordJudge:
    """Judges a follow-up by a few words, and by those that it shares with a rule."""

    def judge(self, followups: Sequence[Followup]) -> tuple[Judgement, ...]:
        """Judge each: "not", "wrong" and "again" complain, "thanks" is content, "drop" rejects."""
        return tuple(self._one(followup) for followup in followups)

    def _one(self, followup: Followup) -> Judgement:
        said = set(_WORD.findall(followup.text.lower()))
        shared = [
            len(said & words) / max(len(words), 1)
            for words in (set(_WORD.findall(rule.lower())) for rule in followup.rules)
        ]
        fit = np.array(shared, dtype=np.float32)
        rejects = np.where(followup.shown & ("drop" in said), fit, 0).astype(np.float32)
        label: Label = "satisfied" if "thanks" in said else "neutral"
        if said & {"not", "wrong", "again", "drop"}:
            label = "dissatisfied"
        return Judgement(label, 1.0, fit, rejects)
