"""Last turns of written windows beside the rules that they state: they teach what is one rule."""

import random
from typing import Any

import numpy as np

from prefmem.protocols import Embedder
from prefmem.train.followups import Written, of_rows
from prefmem.train.requests import DATA
from prefmem.train.windows import load_split
from prefmem.types import Preference

_NEAR, _FAR = 30, 0.6  # rules near a turn, of which none is as near as this to one that it states
_MOST_CHARS = 500
_OTHERS = 3


def stated(embedder: Embedder, *, seed: int = 0, quick: bool = False) -> tuple[Written, ...]:
    """Give the turns that state rules, each with those, two near ones and a strange one.

    Args:
        embedder: Finds the near ones.
        seed: Of the draw.
        quick: A small part.
    """
    rng = random.Random(seed)
    found: list[tuple[str, str, str, list[str]]] = []
    for window in load_split(DATA / "windows" / "train")[:: 20 if quick else 1]:
        last = len(window.turns) - 1
        gold = [g for g in window.gold if g.turn == last]
        if not gold:
            continue
        text = window.turns[last].text
        said = text if len(text) <= _MOST_CHARS else gold[0].evidence
        before = window.turns[last - 1] if last else None
        reply = before.text if before and before.role == "assistant" else ""
        query = window.turns[last - 2].text if last > 1 else ""
        rules = [
            Preference("" if g.condition == "any" else g.condition, g.action, g.polarity).text
            for g in gold
        ]
        found.append((query[-200:], reply, said, rules))
    every = sorted({rule for *_, rules in found for rule in rules})
    matrix = np.concatenate([embedder.embed([rule]) for rule in every])  # (m, e)
    place = {rule: n for n, rule in enumerate(every)}
    rows: list[dict[str, Any]] = []
    for query, reply, said, rules in found:
        cosines = matrix @ embedder.embed([said])[0]  # (m, e) @ (e,) -> (m,)
        near: list[int] = np.argsort(-cosines, kind="stable")[: 6 * _NEAR].tolist()
        own = (matrix[near] @ matrix[[place[r] for r in rules]].T).max(axis=1)
        apart = [every[n] for n, cosine in zip(near, own, strict=True) if cosine < _FAR][:_NEAR]
        others = [*rng.sample(apart, min(_OTHERS - 1, len(apart))), rng.choice(every)]
        both = list(dict.fromkeys([*rules, *others]))
        rows.append(
            {
                "query": query or " ", "reply": reply, "followup": said,
                "rules": [{"id": rule, "text": rule, "injected": False} for rule in both],
                "stated": rules,
            }
        )  # fmt: skip
    followups = of_rows(rows, embedder)
    nothing = [np.zeros(len(f.rules), dtype=np.bool_) for f in followups]
    return tuple(
        Written(
            "", f, f.rules, "neutral",
            np.array([rule in row["stated"] for rule in f.rules], dtype=np.bool_),
            none, False, "",
        )
        for row, f, none in zip(rows, followups, nothing, strict=True)
    )  # fmt: skip
