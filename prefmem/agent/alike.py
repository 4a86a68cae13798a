"""Texts that say nearly the same: found by hashes of five words in a row, in linear time."""

import zlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from prefmem.agent.leak import words

NEAR = 0.8  # share of the runs that two texts have in common, of all that they have
_RUN = 5  # words in a row
_BANDS, _ROWS = 16, 4  # of a sketch: texts that are 0.8 alike meet with a chance of 0.9998
_MOST = 50  # texts of a band that one is compared to
_ODD = np.random.default_rng(20241003).integers(
    1, 2**63, size=(2, _BANDS * _ROWS), dtype=np.uint64
) | np.uint64(1)


def distinct(texts: Sequence[str]) -> tuple[int, ...]:
    """Give the places of texts of which none before says nearly the same, in order.

    Texts of fewer than five words are alike only where all their words are.
    """
    bands: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    runs: dict[int, frozenset[int]] = {}
    for place, text in enumerate(texts):
        found = _runs(text)
        keys = [(n, part.tobytes()) for n, part in enumerate(np.split(_sketch(found), _BANDS))]
        near = {other for key in keys for other in bands[key][:_MOST]}
        if any(_alike(found, runs[other]) for other in near):
            continue
        runs[place] = found
        for key in keys:
            bands[key].append(place)
    return tuple(runs)


def _alike(one: frozenset[int], other: frozenset[int]) -> bool:
    return len(one & other) >= NEAR * len(one | other)


def _runs(text: str) -> frozenset[int]:
    said = words(text)
    count = max(1, len(said) - _RUN + 1)
    return frozenset(zlib.crc32(" ".join(said[n : n + _RUN]).encode()) for n in range(count))


def _sketch(runs: frozenset[int]) -> NDArray[np.uint32]:
    """Give the least of each of 64 hashes of the runs: (64,)."""
    values = np.fromiter(runs, dtype=np.uint64, count=len(runs))[:, None]  # (n, 1)
    mixed = (values * _ODD[0] + _ODD[1]) >> np.uint64(32)  # (n, 64); wraps at 2**64
    least: NDArray[np.uint32] = mixed.min(axis=0).astype(np.uint32)
    return least
