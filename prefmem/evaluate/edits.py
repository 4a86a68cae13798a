"""How much less a user has to edit when style rules are learned from the edits.

A user with four planted styles, one for each kind of text, gets a draft, turns it into the text as
it should be, and gets the next: 50 documents of each kind, in random order. The writer of the
drafts keeps to each rule that is proposed and that it understands with probability 0.9. What is
compared is the cumulative edit cost, in tokens put in, left out or replaced. This is the setting of
PRELUDE (arXiv:2404.15269) with texts, styles and a writer of our own.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from prefmem.evaluate.metrics import Figure, mean, ratio
from prefmem.evaluate.rewriting import CHANGES, Understood, understood
from prefmem.feedback.edits import EditPair, FeatureInducer, Observed, cost, induce
from prefmem.train.progress import Progress, silent

Arm: TypeAlias = Literal["none", "rolling", "single", "ours", "oracle"]
POOL = Path(__file__).resolve().parent / "pools" / "edits"
ROLLING = (10, 20, 64)  # last edits that a rolling profile is written from
OBEYS = 0.9  # probability that the writer keeps to a rule that it understands
# The kinds of text of one user, and what the user changes in each, in the order of `CHANGES`.
STYLES: Mapping[str, tuple[str, ...]] = {
    "mails": ("hi", "cheers", "no opener", "no offer", "contract"),
    "reports": ("expand", "digits", "no hedges", "no intensifiers", "day first"),
    "notes": ("24 hours", "no intensifiers", "bullets", "open items", "ampersands"),
    "posts": ("contract", "words", "12 hours", "cheer"),
}


@dataclass(frozen=True, slots=True)
class Document:
    """A neutral draft of some kind, and the text that the user wants.

    Attributes:
        kind: A key of `STYLES`.
        context: What the text is for, in the user's words.
        neutral: The draft of a writer who knows no rule.
        wanted: The text in the style of its kind.
    """

    kind: str
    context: str
    neutral: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Course:
    """What became of n documents, written one by one.

    Attributes:
        costs: Tokens edited in each document, (n,).
        rules: Rules that were proposed for each, (n,).
        facts: Numbers and names of all texts before each, (n,).
    """

    costs: tuple[int, ...]
    rules: tuple[tuple[str, ...], ...]
    facts: tuple[frozenset[str], ...]


def documents(seed: int, *, each: int = 50) -> list[Document]:
    """Write documents of all kinds, in random order.

    Args:
        seed: Of the order and of what fills the slots.
        each: Documents of a kind.
    """
    rng = np.random.default_rng(seed)
    made: list[Document] = []
    for kind, styles in STYLES.items():
        templates = _templates(kind)
        for n in range(each):
            context, text = templates[(n + seed) % len(templates)]
            neutral = _filled(text, rng)
            made.append(Document(kind, context, neutral, _changed(neutral, styles)))
    return [made[i] for i in rng.permutation(len(made))]


def course(work: Sequence[Document], arm: Arm, *, seed: int, last: int = 10) -> Course:
    """Write documents one by one and count what the user edits.

    Args:
        work: The documents, in order.
        arm: `none` learns nothing. `rolling` rewrites one profile after each edit, from the last
            edits whatever they were for. `single` has the best one profile for all kinds from the
            start. `ours` asks for the rules of similar contexts. `oracle` has the rules of each
            kind from the start.
        seed: Of the writer's slips.
        last: Edits that the rolling profile is written from.
    """
    inducer, seen, facts = FeatureInducer(), list[Observed](), frozenset[str]()
    known: list[frozenset[str]] = []
    costs: list[int] = []
    rules: list[tuple[str, ...]] = []
    profile = best_profile(work) if arm == "single" else ()
    for n, document in enumerate(work):
        if arm in ("single", "oracle"):
            styles = profile if arm == "single" else STYLES[document.kind]
            kept = [name for name in styles if _obeys(seed, n, name)]
            draft, proposed = _changed(document.neutral, kept), tuple(styles)
        else:
            proposed = _rules(inducer, seen, document.context, arm, last)
            draft = written(document.neutral, proposed, seed=seed, number=n)
        costs.append(cost(draft, document.wanted).tokens)
        rules.append(proposed)
        known.append(facts)
        if arm in ("rolling", "ours"):
            seen.append(inducer.observe(EditPair(document.context, draft, document.wanted)))
            facts |= seen[-1].facts
    return Course(tuple(costs), tuple(rules), tuple(known))


def best_profile(work: Sequence[Document]) -> tuple[str, ...]:
    """Choose, knowing all documents, the styles of which each alone saves edits over all kinds."""
    tokens = dict.fromkeys(CHANGES, 0)
    for document in work:
        before = cost(document.neutral, document.wanted).tokens
        for name, change in CHANGES.items():
            changed = change(document.neutral)
            if changed != document.neutral:
                tokens[name] += cost(changed, document.wanted).tokens - before
    return tuple(name for name, more in tokens.items() if more < 0)


def measure(*, seeds: Sequence[int], each: int, progress: Progress = silent) -> dict[str, Figure]:
    """Compare the arms on the same documents and slips of the writer.

    Args:
        seeds: Of the documents, their order and the slips; all are put together.
        each: Documents of a kind.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Tokens edited per document for each arm; what learning from similar contexts saves against
        each of the others, a share of their cost; and, in the second half of the documents, how
        many of the planted styles are among the rules, how many of the rules are planted, and how
        many hold a fact of the texts.
    """
    arms: dict[str, tuple[Arm, int]] = {
        "no learning": ("none", 0),
        **{f"rolling profile of {n} edits": ("rolling", n) for n in ROLLING},
        "best single profile": ("single", 0),
        "similar contexts": ("ours", 0),
        "all rules known": ("oracle", 0),
    }
    costs: dict[str, list[float]] = {name: [] for name in arms}
    counts: list[tuple[int, int, int, int]] = []
    for at, seed in enumerate(seeds):
        work = documents(seed, each=each)
        for n, (name, (arm, last)) in enumerate(arms.items()):
            progress("courses", at * len(arms) + n, len(seeds) * len(arms))
            found = course(work, arm, seed=seed, last=last)
            costs[name] += map(float, found.costs)
            if arm == "ours":
                counts += _counts(work, found)
    progress("courses", len(seeds) * len(arms), len(seeds) * len(arms))
    ours = costs["similar contexts"]
    figures = {f"tokens: {name}": mean(made, seed=0) for name, made in costs.items()}
    for name, made in costs.items():
        if name not in ("similar contexts", "all rules known"):
            saved = [other - mine for other, mine in zip(made, ours, strict=True)]
            figures[f"saved against {name}"] = ratio(saved, made, seed=0)
    planted, recovered, rules, leaks = (
        list(map(float, column)) for column in zip(*counts, strict=True)
    )
    return figures | {
        "planted styles recovered": ratio(recovered, planted, seed=0),
        "rules that are planted": ratio(recovered, rules, seed=0),
        "rules with a fact of the texts": ratio(leaks, rules, seed=0),
    }


def written(neutral: str, rules: Sequence[str], *, seed: int, number: int) -> str:
    """Write a draft that keeps to rules, each with probability 0.9 where it is understood."""
    done: list[tuple[int, str, Understood]] = []
    order = [*CHANGES]
    for rule in rules:
        found = understood(rule)
        if found is not None and _obeys(seed, number, rule):
            place = order.index(found.style) if found.style in order else 0
            done.append((place, rule, found))
    for _, _, found in sorted(done, key=lambda item: item[:2]):
        neutral = found.change(neutral)
    return neutral


def learner(items: Sequence[Mapping[str, str]], context: str) -> list[str]:
    """Propose rules for a context from edits, as benchmark runners call it.

    Args:
        items: Each has `context`, `draft` and `final`.
        context: What is to be written.
    """
    pairs = [EditPair(item["context"], item["draft"], item["final"]) for item in items]
    return [rule.action for rule in induce(pairs, context)]


def _changed(text: str, styles: Sequence[str]) -> str:
    for name in styles:
        text = CHANGES[name](text)
    return text


def _rules(
    inducer: FeatureInducer, seen: Sequence[Observed], context: str, arm: Arm, last: int
) -> tuple[str, ...]:
    if arm == "none":
        return ()
    found = (
        inducer.combine(seen[-last:], "") if arm == "rolling" else inducer.combine(seen, context)
    )
    return tuple(rule.action for rule in found)


def _counts(work: Sequence[Document], made: Course) -> list[tuple[int, int, int, int]]:
    """Count planted styles, those recovered, rules, and rules with a fact of the texts before."""
    found: list[tuple[int, int, int, int]] = []
    for n in range(len(work) // 2, len(work)):
        planted, rules = STYLES[work[n].kind], made.rules[n]
        styles = {read.style for rule in rules if (read := understood(rule))}
        facts = {fact.lower() for fact in made.facts[n]}
        leaks = sum(not facts.isdisjoint(_words(rule)) for rule in rules)
        found.append((len(planted), len(styles & {*planted}), len(rules), leaks))
    return found


def _words(rule: str) -> list[str]:
    """Give the words of a rule, "24h" being one, in lower case."""
    return re.findall(r"\w+(?:[.,:]\w+)*", rule.lower())


def _obeys(seed: int, number: int, rule: str) -> bool:
    """Draw whether a rule is kept to: the same for a rule and document in every arm."""
    letters = int.from_bytes(rule.encode()[:64], "big")
    return bool(np.random.default_rng([seed, number, letters % 2**63]).random() < OBEYS)


def _filled(text: str, rng: np.random.Generator) -> str:
    """Fill each slot with one of its values, another one each time if it can be."""
    for slot, values in _slots().items():
        order = iter([int(i) for i in rng.permutation(len(values))] * 3)
        while f"{{{slot}}}" in text:
            text = text.replace(f"{{{slot}}}", values[next(order)], 1)
    return "\n".join(line[:1].upper() + line[1:] for line in _capitals(text).split("\n"))


def _capitals(text: str) -> str:
    """Begin sentences with a capital letter, as a slot may stand there."""
    parts = text.split(". ")
    return ". ".join(part[:1].upper() + part[1:] for part in parts)


@cache
def _slots() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in _read("slots").splitlines():
        name, _, values = line.partition(": ")
        mark = " | " if " | " in values else ", "
        found[name] = tuple(values.split(mark))
    return found


@cache
def _templates(kind: str) -> tuple[tuple[str, str], ...]:
    """Read the templates of a kind, each with its context."""
    return tuple(_entries(_read(kind)))


def _entries(text: str) -> Iterator[tuple[str, str]]:
    for entry in text.split("=== ")[1:]:
        context, _, body = entry.partition("\n")
        yield context.strip(), body.strip()


def _read(name: str) -> str:
    return (POOL / f"{name}.txt").read_text(encoding="utf-8")
