"""How well the default extractor reads our written windows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prefmem.config import Config
from prefmem.evaluate import plugs
from prefmem.evaluate.metrics import Figure, f1, ratio
from prefmem.train.calibrate import calibration_error
from prefmem.train.matching import Match, Matcher
from prefmem.train.progress import Progress
from prefmem.train.windows import WrittenWindow, load_split
from prefmem.types import Preference

WINDOWS = Path(__file__).resolve().parent.parent / "train" / "data" / "windows"
_BINS = 5


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of one window.

    Attributes:
        window: The window.
        found: The rules that were extracted.
        pairs: Of each rule, how it compares with the gold rule that it was paired with; None where
            it says no gold action of its turn.
    """

    window: WrittenWindow
    found: tuple[Preference, ...]
    pairs: tuple[Match | None, ...]

    def count(self, test: Callable[[Match], bool]) -> float:
        """Count the rules whose comparison passes a test."""
        return float(sum(pair is not None and test(pair) for pair in self.pairs))


def measure(split: str, *, seed: int, progress: Progress) -> dict[str, Figure]:
    """Extract from every window of a split.

    Figures come twice: over all that is stored, and over the rules that are active at once, which
    are the ones that get injected.

    Args:
        split: `test`, or `dev` for development.
        seed: Of the resampling.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Figures by name.
    """
    windows = load_split(WINDOWS / split)
    matcher = Matcher()
    read: list[tuple[WrittenWindow, tuple[Preference, ...]]] = []
    for done, window in enumerate(windows, start=1):
        messages = [{"role": t.role, "content": t.text} for t in window.turns]
        read.append((window, plugs.extract_one(messages)))
        progress("windows", done, len(windows))
    stored = [compare(window, found, matcher) for window, found in read]
    sure = Config().active_confidence
    active = [
        compare(window, [p for p in found if p.confidence >= sure], matcher)
        for window, found in read
    ]
    figures = {f"stored, {name}": f for name, f in figures_of(stored, seed).items()}
    figures |= {f"active, {name}": f for name, f in figures_of(active, seed).items()}
    return figures | _calibration(stored, seed) | _kinds(stored, seed)


def compare(window: WrittenWindow, found: Sequence[Preference], matcher: Matcher) -> Scored:
    """Pair rules with the gold rules of the same turn, the best pairs first, one to one."""
    matches = [
        (match, i, j)
        for i, preference in enumerate(found)
        for j, gold in enumerate(window.gold)
        if preference.evidence[0].turn_id == str(gold.turn)
        and (match := matcher.compare(preference, gold)).action
    ]
    matches.sort(key=lambda m: (-m[0].right, -m[0].polarity, -m[0].score, m[1], m[2]))
    pairs: dict[int, Match] = {}
    taken: set[int] = set()
    for match, i, j in matches:
        if i not in pairs and j not in taken:
            pairs[i] = match
            taken.add(j)
    return Scored(window, tuple(found), tuple(pairs.get(i) for i in range(len(found))))


def figures_of(scored: Sequence[Scored], seed: int) -> dict[str, Figure]:
    """Sum up windows: what is found, what is right, and what is made up."""
    golds = [float(len(s.window.gold)) for s in scored]
    found = [float(len(s.found)) for s in scored]
    some = [float(bool(s.found)) for s in scored]
    wanted = [float(bool(s.window.gold)) for s in scored]
    hit = [float(bool(s.window.gold) and bool(s.found)) for s in scored]
    said = [s.count(lambda m: m.action) for s in scored]
    right = [s.count(lambda m: m.right) for s in scored]
    conditional = [[p and p.condition for p in s.pairs] for s in scored]
    none = [1.0 - w for w in wanted]
    return {
        "windows with a preference: found (recall)": ratio(hit, wanted, seed=seed),
        "windows with something found: rightly (precision)": ratio(hit, some, seed=seed),
        "windows: F1": f1(hit, some, wanted, seed=seed),
        "rules: all right (precision)": ratio(right, found, seed=seed),
        "rules: all right (recall)": ratio(right, golds, seed=seed),
        "rules: action right (precision)": ratio(said, found, seed=seed),
        "rules: action right (recall)": ratio(said, golds, seed=seed),
        "polarity right where the action is": ratio(
            [s.count(lambda m: m.polarity) for s in scored], said, seed=seed
        ),
        "condition right where the action is": ratio(
            [float(sum(map(bool, row))) for row in conditional], said, seed=seed
        ),
        "false extraction on windows without a preference": ratio(
            [a * n for a, n in zip(some, none, strict=True)], none, seed=seed
        ),
    }


def _calibration(scored: Sequence[Scored], seed: int) -> dict[str, Figure]:
    """Say how far confidence is from being right in action and polarity, and show each bin."""
    said = np.array([p.confidence for s in scored for p in s.found], dtype=np.float64)
    right = np.array([bool(m and m.polarity) for s in scored for m in s.pairs], dtype=np.float64)
    error = calibration_error(said, right, bins=_BINS)
    figures = {"confidence: expected calibration error": Figure(error, error, error, len(said))}
    for b in range(_BINS):
        inside = np.minimum((said * _BINS).astype(int), _BINS - 1) == b
        if bool(inside.any()):
            span = f"confidence {b / _BINS:.1f} to {(b + 1) / _BINS:.1f}"
            name = f"{span}, mean {said[inside].mean():.2f}: right"
            figures[name] = ratio(right[inside].tolist(), [1.0] * int(inside.sum()), seed=seed)
    return figures


def _kinds(scored: Sequence[Scored], seed: int) -> dict[str, Figure]:
    """Sum up the kinds of windows: rules that are right, or windows with something made up."""
    figures: dict[str, Figure] = {}
    for kind in sorted({s.window.kind for s in scored}):
        of_kind = [s for s in scored if s.window.kind == kind]
        if kind.startswith("neg_"):
            some = [float(bool(s.found)) for s in of_kind]
            figures[f"{kind}: false extraction"] = ratio(some, [1.0] * len(some), seed=seed)
        else:
            right = [s.count(lambda m: m.right) for s in of_kind]
            golds = [float(len(s.window.gold)) for s in of_kind]
            figures[f"{kind}: rules right (recall)"] = ratio(right, golds, seed=seed)
    return figures
