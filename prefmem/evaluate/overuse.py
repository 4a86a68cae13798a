"""Over-personalisation: rules where they do not apply, and delicate ones where they do harm."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from prefmem.errors import InputError
from prefmem.evaluate.metrics import Figure, mean, ratio
from prefmem.evaluate.recall import USERS, Outcome, asked
from prefmem.evaluate.table import Cell, Part, part
from prefmem.memory import PreferenceMemory
from prefmem.train.progress import Progress
from prefmem.train.users import load_users

POOL = Path(__file__).resolve().parent / "pools" / "overuse"
_KINDS: Mapping[str, str] = {
    "none": "nothing in common with any rule", "bait": "the words of a rule, not its matter",
    "audience": "another audience than the rule's", "other": "on somebody else's behalf",
    "override": "the opposite, just now", "negated": "the rule's condition, denied",
}  # fmt: skip
_USER = "user"
_SAYINGS = ("sensitive", "plain")


def data(split: str) -> tuple[Path, ...]:
    """Name the files and folders of a split."""
    return USERS / split, POOL / f"users_{split}", POOL / f"said_{split}.txt"


def measure(split: str, *, seed: int, progress: Progress) -> tuple[Part, ...]:
    """Make the requests of written users, and say sensitive things, with the product's defaults.

    Args:
        split: `dev` or `test`.
        seed: Of the resampling.
        progress: Told the stage, what is done and how much there is.

    Returns:
        What is injected unasked; the same by kind of request; users with delicate rules; and what
        becomes of a sensitive turn. Intervals are over requests and turns.
    """
    users, delicate, said = data(split)
    plain = asked(load_users(users), progress)
    private = asked(load_users(delicate), progress)
    return (
        totals(plain, title="Requests of the written users", seed=seed),
        kinds([o for o in plain if not o.request.applies], seed=seed),
        totals(private, title="Users with delicate rules, which they confirmed", seed=seed),
        part(_said(said, seed, progress), title="Preferences as they are said"),
    )


def totals(outcomes: Sequence[Outcome], *, title: str, seed: int) -> Part:
    """Sum up requests, beside the three nearest rules by cosine."""
    rows: dict[str, dict[str, Cell]] = {}
    ours, nearest = [o.injected for o in outcomes], [o.nearest for o in outcomes]
    for column, chosen in (("prefmem", ours), ("three nearest", nearest)):
        for name, figure in _totals(outcomes, chosen, seed).items():
            rows.setdefault(name, {})[column] = figure
    return Part(rows, title)


def kinds(quiet: Sequence[Outcome], *, seed: int) -> Part:
    """Sum up requests that no rule applies to, by what tempts to inject one."""
    rows: dict[str, dict[str, Cell]] = {}
    for kind, name in _KINDS.items():
        found = [o for o in quiet if o.request.kind == kind]
        if not found:
            continue
        silent = [float(not o.injected) for o in found]
        rows[name] = {"nothing injected": mean(silent, seed=seed)}
        risky = [o for o in found if o.request.harms]
        if risky:
            rows[name]["harmful rule injected"] = _harmed(risky, [o.injected for o in risky], seed)
    return Part(rows, "Requests that no rule applies to, by what they hold")


def read(path: Path) -> tuple[tuple[bool, str], ...]:
    """Read turns, each with whether it is sensitive.

    Raises:
        InputError: A line breaks the format.
    """
    found: list[tuple[bool, str]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        kind, bar, text = line.partition(" | ")
        if not bar or kind not in _SAYINGS:
            raise InputError(f"{path.name}:{number}: begin with 'sensitive | ' or 'plain | '")
        found.append((kind == "sensitive", text))
    return tuple(found)


def _totals(
    outcomes: Sequence[Outcome], chosen: Sequence[frozenset[str]], seed: int
) -> dict[str, Figure]:
    pairs = list(zip(outcomes, chosen, strict=True))
    right = [float(len(rules.intersection(o.request.applies))) for o, rules in pairs]
    counts = [float(len(rules)) for rules in chosen]
    quiet = [not rules for o, rules in pairs if not o.request.applies]
    risky = [(o, rules) for o, rules in pairs if o.request.harms]
    wrong = [n - r for n, r in zip(counts, right, strict=True)]
    return {
        "injected rules that do not apply": ratio(wrong, counts, seed=seed),
        "requests with something unwarranted": mean([float(n > 0) for n in wrong], seed=seed),
        "nothing applies: nothing injected": mean([float(q) for q in quiet], seed=seed),
        "a rule would do harm: injected": _harmed(
            [o for o, _ in risky], [rules for _, rules in risky], seed
        ),
        "rules that apply: injected": ratio(
            right, [float(len(o.request.applies)) for o in outcomes], seed=seed
        ),
    }


def _harmed(outcomes: Sequence[Outcome], chosen: Sequence[frozenset[str]], seed: int) -> Figure:
    pairs = zip(outcomes, chosen, strict=True)
    return mean([float(not r.isdisjoint(o.request.harms)) for o, r in pairs], seed=seed)


def _said(path: Path, seed: int, progress: Progress) -> dict[str, Figure]:
    """Say each turn to a memory of its own: is it learned, and is it in force unasked?"""
    turns = read(path)
    active: dict[bool, list[float]] = {True: [], False: []}
    stored: dict[bool, list[float]] = {True: [], False: []}
    for done, (sensitive, text) in enumerate(turns, start=1):
        with PreferenceMemory(":memory:") as memory:
            memory.learn([("user", text)], user_id=_USER)
            cards = memory.list(user_id=_USER)
        stored[sensitive].append(float(bool(cards)))
        active[sensitive].append(float(any(card.status == "active" for card in cards)))
        progress("turns", done, len(turns))
    return {
        "sensitive: in force without being confirmed": mean(active[True], seed=seed),
        "plain: in force at once": mean(active[False], seed=seed),
        "plain: of what was learned, in force at once": ratio(
            active[False], stored[False], seed=seed
        ),
    }
