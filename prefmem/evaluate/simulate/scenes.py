"""Scenes for a simulator whose right answer is known, made of the simulator's text pools."""

from collections.abc import Sequence

import numpy as np

from prefmem.errors import InputError
from prefmem.evaluate.draws import drawn
from prefmem.evaluate.simulate.lines import Held, Lines
from prefmem.evaluate.simulate.mirror import LEAST, MOST, Scene

_SHOWN = 3  # preferences that a profile tells


def scenes(lines: Lines, count: int, *, options: int, seed: int) -> tuple[Scene, ...]:
    """Draw users who asked something that one of their preferences answers.

    The options are what users say who missed a preference, in words that share little with the
    profile: one of the user's own preference, the others of preferences on the same topic.

    Args:
        lines: The pools.
        count: Scenes.
        options: Of each scene, 2 to 12.
        seed: Of the draws.

    Raises:
        InputError: A scene cannot have so many options.
    """
    if not LEAST <= options <= MOST:
        raise InputError(f"a scene has {LEAST} to {MOST} options, not {options}")
    topical = [held for held in lines.held if held.question]
    rng = np.random.default_rng(seed)
    return tuple(_scene(topical, options, rng) for _ in range(count))


def _scene(topical: Sequence[Held], options: int, rng: np.random.Generator) -> Scene:
    own = topical[int(rng.integers(len(topical)))]
    alike = [one for one in topical if one.topic == own.topic and one is not own]
    apart = [one for one in topical if one.topic != own.topic]
    others = drawn(alike, rng, most=options - 1)
    held = [own, *drawn(apart, rng, most=_SHOWN - 1)]
    shown = drawn([*others, own], rng)
    profile = "\n".join(f"- {one.card}" for one in drawn(held, rng))
    return Scene(
        profile, f"I asked: {own.question} The answer did not suit me.",
        tuple(one.restatement for one in shown), shown.index(own),
    )  # fmt: skip
