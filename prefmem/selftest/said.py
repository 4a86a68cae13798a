"""What users say in the faults, and what a memory must hold afterwards."""

import hashlib
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass

from prefmem.memory import PreferenceMemory

_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def word(*parts: object) -> str:
    """Give a word of ten letters that nothing else has."""
    name = "\x1f".join(str(part) for part in parts)
    return hashlib.sha256(name.encode()).hexdigest()[:10].translate(_LETTERS)


def request(user: str, number: int) -> str:
    """Give what a user asks before saying how it is wanted."""
    return f"Write a line about {word(user, number)}."


def turn(user: str, number: int) -> str:
    """Give what a user says with one rule in it."""
    return f"Always begin with the word {word(user, number)}."


def rule(user: str, number: int, *, edited: bool = False) -> str:
    """Give the text of the card that the turn makes, or that an edit makes of it."""
    return f"{'End' if edited else 'Begin'} with the word {word(user, number)}."


def action(user: str, number: int) -> str:
    """Give the action that an edit writes."""
    return rule(user, number, edited=True)[:-1].lower()


def window(user: str, number: int) -> list[tuple[str, str]]:
    """Give the dialogue in which the turn is said: every second one follows an answer."""
    if number % 2:
        return [("user", turn(user, number))]
    return [
        ("user", request(user, number)), ("assistant", "There it is."),
        ("user", f"Thanks. {turn(user, number)}"),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """How what is held differs from what must be.

    Attributes:
        lost: Rules that are missing.
        extra: Rules that should not be there.
        doubled: Rules that are there twice, or learned twice from one turn.
    """

    lost: int = 0
    extra: int = 0
    doubled: int = 0

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.lost or self.extra or self.doubled)


def difference(memory: PreferenceMemory, user: str, wanted: Set[str]) -> Difference:
    """Compare a user's cards with the rules that must be there, each from one turn."""
    cards = memory.list(user_id=user)
    held = Counter(card.text for card in cards)
    twice = sum(held.values()) - len(held)
    twice += sum(len(card.preference.evidence) > 1 for card in cards)
    return Difference(len(wanted - held.keys()), len(held.keys() - wanted), twice)
