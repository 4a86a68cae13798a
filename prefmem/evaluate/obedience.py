"""How often a chat model obeys rules that code can check, per rendering and placement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import numpy as np

from prefmem.config import Config
from prefmem.evaluate.metrics import Figure, mean
from prefmem.protocols import Writer
from prefmem.render import WRITERS
from prefmem.render_check import broken_rules, check_of
from prefmem.train.progress import Progress
from prefmem.types import Recall, Rule, ScopeKind

Message: TypeAlias = Mapping[str, str]
Chat: TypeAlias = Callable[[Sequence[Sequence[Message]]], list[str]]
Placement: TypeAlias = Literal["system", "user"]

PLACEMENTS: tuple[Placement, ...] = ("system", "user")
PRESENT = "json, system"  # what a memory and the middleware do unless told otherwise
# Rules by what they are about: two of one group are never given together.
RULES: Mapping[str, tuple[str, ...]] = {
    "length": ("answer in at most 25 words", "never write more than two sentences"),
    "layout": (
        "use bullet points", "never use bullet points", "answer with numbered steps",
        "put a heading on top", "never use headings",
    ),
    "language": ("answer in German", "always reply in French"),
    "opening": ("skip the preamble", "start with the answer"),
    "ending": ("end with a question", "never end with a question", "sign off with Cheers"),
    "case": ("write everything in lower case", "write everything in capitals"),
    "words": ("use the word indeed", "avoid the word important", "no emojis"),
}  # fmt: skip
REQUESTS = (
    "Why is the sky blue?",
    "How do I boil an egg?",
    "What should I see in Lisbon on one day?",
    "What is a good present for a colleague who moves house?",
    "How do I keep basil alive on a window sill?",
    "What does inflation mean?",
    "How can I fall asleep faster?",
    "Which sport is easy to take up at fifty?",
    "What makes bread rise?",
    "How do I clean a cast iron pan?",
    "Why do cats purr?",
    "What should I pack for a day by the sea?",
    "How does a bicycle stay upright?",
    "What can I cook from rice and eggs?",
)
_SYSTEM = "You are a helpful assistant."
_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_NONCE = "5e1f0a7c93d2b648"
_FRESH = 0.7  # share of different word triples below which an answer goes round in circles
_TOGETHER = 16  # conversations between two reports of progress


@dataclass(frozen=True, slots=True)
class Case:
    """A request with two rules: one for every answer, and one that the request brought up."""

    request: str
    rules: tuple[Rule, Rule]


def draw(n: int, *, seed: int) -> tuple[Case, ...]:
    """Draw n cases; requests and groups of rules come equally often."""
    rng = np.random.default_rng(seed)
    groups, cases = list(RULES.values()), list[Case]()
    for number in range(n):
        first = number % len(groups)
        second = (first + 1 + int(rng.integers(len(groups) - 1))) % len(groups)
        pair = [str(rng.choice(groups[i])) for i in (first, second)]
        if rng.integers(2):
            pair.reverse()
        request = REQUESTS[number % len(REQUESTS)]
        cases.append(Case(request, (_rule(pair[0], "global"), _rule(pair[1], "conditional"))))
    return tuple(cases)


def messages(case: Case, writer: Writer | None, placement: Placement) -> list[Message]:
    """Give what the chat model reads, placed as the middleware places it; no rules, no writer."""
    recall = Recall("r", "u", "", case.request, (), (), case.rules, "none", _SINCE)
    tokens = Config().max_tokens
    block = "" if writer is None else writer(recall, max_tokens=tokens, nonce=_NONCE)
    system = f"{_SYSTEM}\n\n{block}" if block and placement == "system" else _SYSTEM
    before = [{"role": "user", "content": block}] if block and placement == "user" else []
    return [
        {"role": "system", "content": system},
        *before,
        {"role": "user", "content": case.request},
    ]


def measure(chat: Chat, *, cases: int, seed: int, progress: Progress) -> dict[str, Figure]:
    """Ask every case in every rendering and placement, and check the rules.

    Args:
        chat: Answers conversations.
        cases: Requests, each with two rules.
        seed: Draws the cases, and the resampling.
        progress: Told the stage, what is done and how much there is.

    Returns:
        The share of rules that are kept, per arm; then, for each arm, what it keeps more than the
        present rendering on the same cases. Intervals come from resampling cases.
    """
    drawn = draw(cases, seed=seed)
    arms: dict[str, tuple[Writer | None, Placement]] = {"no rules": (None, "system")}
    for name, given in WRITERS.items():
        arms |= {f"{name}, {placement}": (given, placement) for placement in PLACEMENTS}
    kept: dict[str, list[float]] = {arm: [] for arm in arms}
    for start in range(0, cases, _TOGETHER):
        part = drawn[start : start + _TOGETHER]
        for number, (arm, (writer, placement)) in enumerate(arms.items()):
            answers = chat([messages(case, writer, placement) for case in part])
            kept[arm] += [_kept(c, a) for c, a in zip(part, answers, strict=True)]
            done = start * len(arms) + (number + 1) * len(part)
            progress(arm, done, cases * len(arms))
    return _figures(kept, seed)


def _rule(action: str, kind: ScopeKind) -> Rule:
    return Rule(f"{action[:1].upper()}{action[1:]}.", "card", (action,), _SINCE, kind)


def _kept(case: Case, answer: str) -> float:
    """Give the share of a case's rules that an answer keeps.

    An answer that is not sound keeps none: a small model that falls silent is short, too, and does
    not obey.
    """
    rules = [rule.text for rule in case.rules]
    if not sound(rules, answer):
        return 0.0
    return 1 - len(broken_rules(rules, answer)) / len(rules)


def sound(rules: Sequence[str], answer: str) -> bool:
    """Whether an answer says something, does not go round in circles and recites no rule."""
    said = answer.casefold()
    words = said.split()
    threes = list(zip(words, words[1:], words[2:], strict=False))
    checks = (check_of(rule) for rule in rules)
    given = [*(rule.rstrip(".") for rule in rules), *(c.wish for c in checks if c)]
    recited = any(text.casefold() in said for text in given)
    return bool(words) and len(set(threes)) >= _FRESH * len(threes) and not recited


def _figures(kept: Mapping[str, Sequence[float]], seed: int) -> dict[str, Figure]:
    figures = {arm: mean(values, seed=seed) for arm, values in kept.items()}
    present = kept[PRESENT]
    for arm, values in kept.items():
        if arm != PRESENT:
            gain = [a - b for a, b in zip(values, present, strict=True)]
            figures[f"{arm}: above {PRESENT}"] = mean(gain, seed=seed)
    return figures
