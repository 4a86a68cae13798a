"""A clock that is set back, runs ahead, or shows local time: what is held does not depend on it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from random import Random
from typing import Any, TypeAlias, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from prefmem.config import Config
from prefmem.memory import PreferenceMemory
from prefmem.selftest.ground import Finding, Ground, opened
from prefmem.selftest.said import action, request, rule, turn, word
from prefmem.testing import Counter

Step: TypeAlias = tuple[str, int]  # what, with which rule

_STEPS, _USER = 40, "ann"
_BEGIN = datetime(2026, 10, 24, 20, tzinfo=UTC)  # five hours before summer time ends in Berlin
_END = "30 November 2026"
_TICK = timedelta(minutes=2)  # of each look at the clock
_FROM, _UNTIL = 12, 30  # steps between which it is wrong
_MIX = {"learn": 10, "end": 3, "recall": 8, "praise": 6, "edit": 3, "forget": 3, "again": 3}
# Which of more equal rules than there is room for are shown goes by when they were said.
_EVERYTHING = Config(learn_delay=0, limit=50, max_global=50, max_tokens=20_000)
_LEARNED = frozenset({"state", "interactions", "recall"})
_TIMES = frozenset({"at", "recorded_at", "valid_from", "exported_at", "queued_at", "due"})


@dataclass(slots=True)
class _Clock:
    """Gives a time that goes on with every look, and is wrong by what it was set by."""

    zone: tzinfo = UTC
    wrong: timedelta = timedelta(0)
    looks: int = 0

    def __call__(self) -> datetime:
        self.looks += 1
        return (_BEGIN + self.looks * _TICK + self.wrong).astimezone(self.zone)


def run(ground: Ground, size: int) -> Finding:
    """Play `size` dialogues with a right clock and with wrong ones, and compare what is held."""
    differences: list[str] = []
    expired = 0
    for number in range(size):
        for ends in (False, True):
            steps = _script(ground.rng(number), ends=ends)
            folder = ground.folder / f"{number}.{ends}"
            folder.mkdir()
            right, _ = _played(folder / "right.db", steps, _Clock(), timedelta(0))
            for name, (zone, wrong) in _ways().items():
                held, shown = _played(folder / f"{name}.db", steps, _Clock(zone), wrong)
                # a rule that has ended is not praised while the clock says so
                left = _LEARNED if ends and wrong > timedelta(0) else frozenset[str]()
                differences += [name] * (_told(held, left, zone) != _told(right, left, zone))
                expired += shown
        ground.tell("dialogues", number + 1, size)
    ways, where = (
        _ways(),
        ", ".join(f"{name} {differences.count(name)}" for name in dict.fromkeys(differences)),
    )
    return Finding(
        "clock", not differences and not expired, size,
        {"differences": len(differences), "expired_shown": expired, "ways": len(ways)},
        f"{size:,} dialogues with {len(ways)} wrong clocks ({', '.join(ways)}): "
        f"{len(differences)} differ from the straight run in cards, order, log, ends or learned "
        f"state{f' ({where})' if where else ''}; {expired} rules shown after their end",
    )  # fmt: skip


def _ways() -> dict[str, tuple[tzinfo, timedelta]]:
    """Give the wrong clocks: the zone that they show, and what they are wrong by."""
    return {
        "back a day": (UTC, -timedelta(days=1)), "an hour back": (UTC, -timedelta(hours=1)),
        "ahead ten years": (UTC, timedelta(days=3_653)), "local time": (_berlin(), timedelta(0)),
    }  # fmt: skip


def _script(rng: Random, *, ends: bool) -> list[Step]:
    """Draw what a user does; rules with an end are named by odd numbers."""
    held: list[int] = []
    steps: list[Step] = []
    for number in range(_STEPS):
        what = rng.choices(list(_MIX), list(_MIX.values()))[0]
        if what in ("edit", "forget", "again") and not held:
            what = "learn"
        if what in ("learn", "end"):
            held.append(2 * number + (what == "end" and ends))
            steps.append(("learn", held[-1]))
        elif what in ("edit", "forget", "again"):
            steps.append((what, rng.choice(held)))
            if what == "forget":
                held.remove(steps[-1][1])
        else:
            steps.append((what, number))
    return steps


def _played(
    path: Path, steps: list[Step], clock: _Clock, wrong: timedelta
) -> tuple[dict[str, Any], int]:
    """Play a dialogue with a clock that is wrong for a while; gives what is held in the end.

    And how often a rule was shown that had ended by that clock.
    """
    expired = 0
    with opened(path, clock=clock, ids=Counter(), config=_EVERYTHING) as memory:
        for number, (what, which) in enumerate(steps):
            clock.wrong = wrong if _FROM <= number < _UNTIL else timedelta(0)
            expired += _step(memory, clock, what, which)
        clock.wrong = timedelta(0)
        held = memory.export(user_id=_USER)
        held["list"] = [(c.text, c.status) for c in memory.list(user_id=_USER)]
        found = memory.recall(request(_USER, 0), user_id=_USER, session_id="last")
        held["recall"] = [(c.card.id, c.belief, c.total) for c in found.candidates]
    return held, expired


def _step(memory: PreferenceMemory, clock: _Clock, what: str, number: int) -> int:
    """Do one step; gives how many rules it showed that had ended."""
    if what in ("learn", "again"):
        memory.learn([("user", _said(number))], user_id=_USER, session_id="s")
    elif what in ("recall", "praise"):
        asked = f"{request(_USER, number)} {word(_USER, number)}"
        found = memory.recall(asked, user_id=_USER, session_id="s")
        if what == "praise" and found.candidates:
            memory.feedback(found, 1.0, user_id=_USER, key=str(number))
        cards = {c.card.id: c.card for c in found.candidates}
        shown = [cards[i] for said in found.rules for i in said.card_ids]
        return sum(card.valid_to is not None and card.valid_to <= found.at for card in shown)
    else:
        texts = (rule(_USER, number), rule(_USER, number, edited=True))
        card = next((c for c in memory.list(user_id=_USER) if c.text in texts), None)
        if card is not None and what == "edit":
            memory.edit(card.id, user_id=_USER, action=action(_USER, number))
        elif card is not None:
            memory.forget(card.id, user_id=_USER)
    return 0


def _said(number: int) -> str:
    text = turn(_USER, number)
    return f"{text[:-1]} until {_END}." if number % 2 else text


def _told(held: dict[str, Any], left: frozenset[str], zone: tzinfo) -> object:
    """Give what is compared: without some parts, and without times unless just the zone differs."""
    return _timeless({k: v for k, v in held.items() if k not in left}, exact=zone is not UTC)


def _timeless(held: object, *, exact: bool, name: str = "") -> object:
    """Give data without the times of writing; with them, as moments, where `exact`."""
    if name in _TIMES:
        return datetime.fromisoformat(str(held)).timestamp() if exact else None
    if isinstance(held, dict):
        items = cast("dict[str, object]", held).items()
        return {key: _timeless(value, exact=exact, name=key) for key, value in items}
    if isinstance(held, list | tuple):
        return [_timeless(value, exact=exact) for value in cast("list[object]", held)]
    return held


def _berlin() -> tzinfo:
    """Give a zone whose clocks are set back an hour in the first night; a fixed one without it."""
    try:
        return ZoneInfo("Europe/Berlin")
    except ZoneInfoNotFoundError:  # Windows has none of its own
        return timezone(timedelta(hours=2))
