"""What `learn` takes from windows: an extractor's preferences, checked against the user's words."""

from collections.abc import Callable, Sequence
from functools import partial

from prefmem.config import Config
from prefmem.extract.ground import grounded
from prefmem.protocols import BatchExtractor, Extractor
from prefmem.types import Preference, Window


def read_windows(
    extractor: Extractor, items: Sequence[tuple[Window, Sequence[str]]], *, config: Config
) -> list[tuple[Preference, ...]]:
    """Extract from n windows, each with its named turns, and keep what stands on a quote.

    Args:
        extractor: Finds preferences; one that reads many windows together is given them together.
        items: Windows and the turns that are learned from.
        config: Settings.

    Returns:
        The preferences of each window.
    """
    if isinstance(extractor, BatchExtractor):
        found = extractor.extract_many(items)
    else:
        found = [extractor.extract(window, turn_ids) for window, turn_ids in items]
    return [
        grounded(
            preferences,
            {turn.id: turn for turn in window.turns if turn.id in turn_ids},
            min_confidence=config.min_confidence,
            max_chars=config.max_slot_chars,
        )
        for (window, turn_ids), preferences in zip(items, found, strict=True)
    ]


def reader(
    make: Callable[[], Extractor],
) -> Callable[[Sequence[tuple[Window, Sequence[str]]]], list[tuple[Preference, ...]]]:
    """Make what reads windows as `learn` does, with the default settings.

    Args:
        make: Makes the extractor.
    """
    return partial(read_windows, make(), config=Config())
