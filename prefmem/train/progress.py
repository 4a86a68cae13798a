"""How long work tells how far it is."""

from collections.abc import Callable
from typing import TypeAlias

# Called with the stage, what is done, and how much there is.
Progress: TypeAlias = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""
    del stage, done, total
