"""How well the default extractor reads our written windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prefmem.evaluate import plugs
from prefmem.evaluate.metrics import Figure, f1, ratio
from prefmem.train.progress import Progress
from prefmem.train.windows import Gold, WrittenWindow, load_split
from prefmem.types import Preference

WINDOWS = Path(__file__).resolve().parent.parent / "train" / "data" / "windows"


@dataclass(frozen=True, slots=True)
class Scored:
    """Counts of one window.

    Attributes:
        window: The window.
        found: Rules that were extracted.
        matched: Of these, how many state a gold action in its turn.
        right: Of these, how many have its polarity too.
    """

    window: WrittenWindow
    found: int
    matched: int
    right: int


def measure(split: str, *, seed: int, progress: Progress) -> dict[str, Figure]:
    """Extract from every window of a split.

    A rule matches a gold rule when at least half of the words of its action and of the marked words
    are shared (F1), in the same turn; pairs are one to one.

    Args:
        split: `test`, or `dev` for development.
        seed: Of the resampling.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Figures by name.
    """
    windows = load_split(WINDOWS / split)
    scored: list[Scored] = []
    for done, window in enumerate(windows, start=1):
        messages = [{"role": t.role, "content": t.text} for t in window.turns]
        scored.append(compare(window, plugs.extract_one(messages)))
        progress("windows", done, len(windows))
    return _figures(scored, seed)


def compare(window: WrittenWindow, found: Sequence[Preference]) -> Scored:
    """Pair what was found with the gold rules of a window, best first."""
    pairs = sorted(
        (
            (-_overlap(window, gold, p), p.polarity != gold.polarity, i, j)
            for i, p in enumerate(found)
            for j, gold in enumerate(window.gold)
            if p.evidence[0].turn_id == str(gold.turn) and _overlap(window, gold, p) >= 0.5
        ),
    )
    used_i: set[int] = set()
    used_j: set[int] = set()
    right = 0
    for _, wrong, i, j in pairs:
        if i not in used_i and j not in used_j:
            used_i.add(i)
            used_j.add(j)
            right += not wrong
    return Scored(window, len(found), len(used_i), right)


def _overlap(window: WrittenWindow, gold: Gold, preference: Preference) -> float:
    marked = window.turns[gold.turn].text[gold.span.start : gold.span.stop].lower().split()
    said = preference.action.lower().split()
    if said and said[0] in ("prefer", "avoid") and said[0] not in marked:
        said = said[1:]
    strip = ".,;:!?\"'()"
    left, right = [w.strip(strip) for w in marked], [w.strip(strip) for w in said]
    shared = sum(min(left.count(w), right.count(w)) for w in set(left))
    return 2 * shared / (len(left) + len(right)) if shared else 0.0


def _figures(scored: Sequence[Scored], seed: int) -> dict[str, Figure]:
    golds = [float(len(s.window.gold)) for s in scored]
    found = [float(s.found) for s in scored]
    hit = [float(bool(s.window.gold) and s.found > 0) for s in scored]
    some = [float(s.found > 0) for s in scored]
    wanted = [float(bool(s.window.gold)) for s in scored]
    matched, right = [float(s.matched) for s in scored], [float(s.right) for s in scored]
    figures = {
        "windows with a preference: found (recall)": ratio(hit, wanted, seed=seed),
        "windows with something found: rightly (precision)": ratio(hit, some, seed=seed),
        "windows: F1": f1(hit, some, wanted, seed=seed),
        "rules: action right (precision)": ratio(matched, found, seed=seed),
        "rules: action right (recall)": ratio(matched, golds, seed=seed),
        "rules: action and polarity right (precision)": ratio(right, found, seed=seed),
        "rules: action and polarity right (recall)": ratio(right, golds, seed=seed),
        "polarity right of matched rules": ratio(right, matched, seed=seed),
        "false extraction on windows without a preference": ratio(
            [a for a, w in zip(some, wanted, strict=True) if not w],
            [1.0 for w in wanted if not w],
            seed=seed,
        ),
    }
    for kind in sorted({s.window.kind for s in scored}):
        of_kind = [float(s.found > 0) for s in scored if s.window.kind == kind]
        what = "false extraction" if kind.startswith("neg_") else "found"
        figures[f"{kind}: {what}"] = ratio(of_kind, [1.0] * len(of_kind), seed=seed)
    return figures
