"""Draws from sequences, by a generator of random numbers."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

_T = TypeVar("_T")


def order(count: int, rng: np.random.Generator) -> list[int]:
    """Give the numbers from 0 below `count` in random order."""
    places: list[int] = rng.permutation(count).tolist()
    return places


def drawn(items: Sequence[_T], rng: np.random.Generator, *, most: int | None = None) -> list[_T]:
    """Give items in random order, each once; no more than `most`."""
    return [items[place] for place in order(len(items), rng)[:most]]
