"""PrefEval (arXiv 2502.09597): pairs of a preference and a request that an unaware answer breaks.

The published folder `benchmark_dataset` holds `explicit_preference/TOPIC.json`,
`implicit_preference/choice-based/TOPIC.json`, `implicit_preference/persona-driven/TOPIC.json` and
`mcq_options/TOPIC.json`, each a list of objects with `preference`, `question`, `explanation`; the
implicit ones also a `conversation`, and the last `classification_task_options`, of which the first
keeps the preference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prefmem.errors import InputError
from prefmem.evaluate.benchmarks.case import Request, Said, Session, User
from prefmem.evaluate.benchmarks.files import Entry, entries
from prefmem.evaluate.draws import drawn

_PAIR = ("preference", "question")
_CHOICE = ("query", "assistant_options", "user_selection")
_OPTIONS = "classification_task_options"
_TOGETHER = 20  # preferences of one user


@dataclass(frozen=True, slots=True)
class _Pair:
    preference: str
    question: str
    topic: str
    form: str
    session: Session


def users(path: Path, seed: int) -> tuple[User, ...]:
    """Read a file of pairs, or a folder with any of the published ones.

    Pairs of one form are dealt to users who hold 20 each: each preference is said in a session of
    its own, and every request has one that applies among those of other topics.

    Raises:
        InputError: There is no such file, or it does not fit.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*.json"))
    if not files:
        raise InputError(
            f"{str(path)!r} holds no JSON file; give a file of PrefEval, or its folder"
        )
    apart = [file for file in files if file.parent.name == "mcq_options"]
    options = {
        (one.text("preference"), one.text("question")): one.texts(_OPTIONS)
        for file in apart
        for one in entries(file, *_PAIR, _OPTIONS)
    }
    pairs = [
        _pair(one, file)
        for file in files
        if file not in apart or len(files) == len(apart)
        for one in entries(file, *_PAIR)
    ]
    rng = np.random.default_rng(seed)
    found: list[User] = []
    for form in dict.fromkeys(pair.form for pair in pairs):
        mine = [pair for pair in pairs if pair.form == form]
        dealt = drawn(mine, rng)
        for start in range(0, len(dealt), _TOGETHER):
            number = start // _TOGETHER + 1
            found.append(_user(f"{form} {number}", dealt[start : start + _TOGETHER], options))
    return tuple(found)


def _pair(one: Entry, file: Path) -> _Pair:
    preference = one.text("preference")
    form, session = "explicit", Session((Said("user", preference, frozenset({0})),))
    if one.has("conversation"):
        form, session = _conversation(one)
    return _Pair(preference, one.text("question"), file.stem, form, session)


def _conversation(one: Entry) -> tuple[str, Session]:
    """Read a dialogue that implies the preference: a choice, or turns by number."""
    told = one.within("conversation", *_CHOICE)
    if told.has("query"):
        turns = (
            Said("user", told.text("query")), Said("assistant", told.text("assistant_options")),
            Said("user", told.text("user_selection"), frozenset({0})),
        )  # fmt: skip
        return "choice", Session(turns)
    spoken: list[Said] = []
    for turn in one.each("conversation", "user", "assistant"):
        spoken.append(Said("user", turn.text("user"), frozenset({0})))
        if turn.has("assistant"):
            spoken.append(Said("assistant", turn.text("assistant")))
    return "persona", Session(tuple(spoken))


def _user(
    name: str, pairs: list[_Pair], options: Mapping[tuple[str, str], tuple[str, ...]]
) -> User:
    sessions = tuple(
        Session(tuple(Said(t.role, t.text, frozenset({n}) if t.gold else t.gold)
                      for t in pair.session.turns))
        for n, pair in enumerate(pairs)
    )  # fmt: skip
    requests = tuple(
        Request(
            pair.question, frozenset({n}), f"{pair.form}",
            options=options.get((pair.preference, pair.question), ()),
        )
        for n, pair in enumerate(pairs)
    )  # fmt: skip
    return User(name, tuple(pair.preference for pair in pairs), sessions, requests)
