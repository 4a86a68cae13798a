"""Random verbs on two handles of one store, compared with dicts after every step.

Handles are dropped without being closed, dialogues wait for later, cards end, users are erased and
come back. At the end of a run everything that is stored must be what its logs give.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeAlias, cast

import hypothesis
from hypothesis import HealthCheck, Phase, reporting
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from prefmem import defaults
from prefmem.cards.fold import fold
from prefmem.config import Config
from prefmem.errors import InputError
from prefmem.memory import PreferenceMemory
from prefmem.protocols import Store
from prefmem.selftest import said
from prefmem.selftest.ground import Finding, Ground, opened, told
from prefmem.selftest.model import Person, Said
from prefmem.types import Turn, UserKey

_STEPS = 50
_USERS, _RULES, _TALKS = 2, 5, 3
_CONFIG = Config(learn_delay=60, max_new_cards_per_hour=None, max_jobs_per_user=1_000)
_SLOW_AND_LARGE = (  # runs are
    HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example,
    HealthCheck.filter_too_much,
)  # fmt: skip
_FEW = 20  # runs after which the progress bar moves

_user, _talk, _rule = (st.integers(0, n - 1) for n in (_USERS, _TALKS, _RULES))
_handle, _place = st.integers(0, 1), st.integers(0, 60)
Handle: TypeAlias = tuple[PreferenceMemory, Store]


class DifferenceError(AssertionError):
    """What is stored is not what must be."""


def run(ground: Ground, size: int, *, make: Callable[..., PreferenceMemory] = opened) -> Finding:
    """Run `size` sequences of at most 50 steps, on memories that `make` opens."""
    tally = Tally(ground, size, make)
    wrong = ""
    with reporting.with_reporter(lambda _: None):
        try:
            hypothesis.seed(ground.seed)(run_state_machine_as_test)(
                cast(type[Machine], lambda: Machine(tally)), settings=_settings(size)
            )
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the finding
            wrong = _shown(error)
    return Finding(
        "property", not wrong, tally.runs,
        {"runs": tally.runs, "steps": tally.steps, "crashes": tally.crashes,
         "undos": tally.undos, "differences": float(bool(wrong))},
        f"{tally.runs:,} runs, {tally.steps:,} steps, {tally.crashes:,} handles dropped, "
        f"{tally.undos:,} undos: {wrong or '0 differences'}",
    )  # fmt: skip


def _settings(size: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=size, stateful_step_count=_STEPS, deadline=None, database=None,
        derandomize=False, phases=(Phase.generate,), print_blob=False,
        report_multiple_bugs=False, suppress_health_check=_SLOW_AND_LARGE,
    )  # fmt: skip


def _shown(error: Exception) -> str:
    return f"difference: {error}" if isinstance(error, DifferenceError) else f"error: {told(error)}"


class Tally:
    """What all runs share: where they are run, and what is counted.

    Args:
        ground: Where.
        size: Runs that are wanted.
        make: Opens a memory on fakes.
    """

    def __init__(self, ground: Ground, size: int, make: Callable[..., PreferenceMemory]) -> None:
        """Count from 0."""
        self.ground, self.size, self.make = ground, size, make
        self.runs = self.steps = self.crashes = self.undos = 0
        self._number = count()

    def begin(self) -> tuple[str, str]:
        """Begin a run; gives its store, and what its users' names begin with."""
        number = next(self._number)
        self.runs += 1
        if number % _FEW == 0:
            self.ground.tell("runs", min(number, self.size), self.size)
        return self.ground.target(f"run{number}"), f"r{number}."


class Machine(RuleBasedStateMachine):
    """The verbs, as they come.

    Args:
        tally: What all runs share.
    """

    def __init__(self, tally: Tally) -> None:
        """Open nothing yet."""
        super().__init__()
        self._tally = tally
        self._target, self._prefix = tally.begin()
        self._people = [Person() for _ in range(_USERS)]
        self._disliked: set[int] = set()  # who judged a rule below 0: it may be withheld
        self._clock = _Clock()
        self._dropped: list[Handle] = []
        self._handles: list[Handle] = []

    @initialize()
    def open(self) -> None:
        """Open two handles on one store."""
        self._handles = [self._opened(), self._opened()]

    @rule(user=_user, talk=_talk, number=_rule, limited=st.booleans(), after=st.booleans(),
          by=_handle)  # fmt: skip
    def learn(self, user: int, talk: int, number: int, limited: bool, after: bool, by: int) -> None:
        """Say a rule, as a first word or after an answer, with or without an end."""
        turns, wanted = self._window(user, talk, number, limited, after)
        now, name = self._clock.now, self._name(user)
        report = self._memory(by).learn(turns, user_id=name, session_id=f"t{talk}")
        new = self._people[user].learn(wanted, now)
        self._same("learn", bool(report.turns), new)
        self._look(user, 1 - by)

    @rule(user=_user, talk=_talk, number=_rule, limited=st.booleans(), after=st.booleans(),
          by=_handle)  # fmt: skip
    def learn_later(
        self, user: int, talk: int, number: int, limited: bool, after: bool, by: int
    ) -> None:
        """Put a window off."""
        turns, wanted = self._window(user, talk, number, limited, after)
        now, name = self._clock.now, self._name(user)
        new = self._memory(by).learn_later(turns, user_id=name, session_id=f"t{talk}")
        self._same("learn_later", new, self._people[user].learn_later(wanted, now))

    @rule(by=_handle)
    def flush(self, by: int) -> None:
        """Learn what waits."""
        self._same("flush", self._memory(by).flush(60), True)
        for user, person in enumerate(self._people):
            person.flush()
            self._look(user, 1 - by)

    @rule(user=_user, number=_rule, by=_handle)
    def add(self, user: int, number: int, by: int) -> None:
        """Store a rule by hand."""
        text = self._text(user, number)
        self._memory(by).add("", text[:-1].lower(), user_id=self._name(user))
        self._people[user].add(text)
        self._look(user, 1 - by)

    @rule(user=_user, place=_place, number=_rule, by=_handle)
    def edit(self, user: int, place: int, number: int, by: int) -> None:
        """Give a card another text, unless another one says that."""
        cards = [card for card in self._people[user].cards.values() if card.ends is None]
        if not cards:
            return
        card, text = cards[place % len(cards)], self._text(user, number)
        with suppress(InputError):
            self._memory(by).edit(
                self._id(user, card.text, by), user_id=self._name(user), action=text[:-1].lower()
            )
            self._same("edit", True, self._people[user].edit(card.name, text))
            self._look(user, 1 - by)
            return
        self._same("edit", False, self._people[user].edit(card.name, text))

    @rule(user=_user, place=_place, by=_handle)
    def forget(self, user: int, place: int, by: int) -> None:
        """Remove a card for good."""
        cards = list(self._people[user].cards.values())
        if cards:
            card = cards[place % len(cards)]
            found = self._id(user, card.text, by)
            self._memory(by).forget(found, user_id=self._name(user))
            self._people[user].forget(card.name)
            self._look(user, 1 - by)

    @rule(user=_user, place=_place, by=_handle)
    def undo(self, user: int, place: int, by: int) -> None:
        """Take back one of the newest events, or be refused."""
        person, name = self._people[user], self._name(user)
        if not person.log:
            return
        place = len(person.log) - 1 - place % min(6, len(person.log))
        event = self._handles[by][1].events(UserKey(name))[place]
        done = False
        with suppress(InputError):
            self._memory(by).undo(event.id, user_id=name)
            done = True
        self._tally.undos += done
        self._same("undo", done, person.undo(place))
        self._look(user, 1 - by)

    @rule(user=_user, by=_handle)
    def forget_user(self, user: int, by: int) -> None:
        """Erase a user, who may come back."""
        held = len(self._people[user].cards)
        receipt = self._memory(by).forget_user(user_id=self._name(user))
        self._same("forget_user", receipt.cards, held)
        self._people[user] = Person()
        self._disliked.discard(user)
        self._look(user, 1 - by)

    @rule(user=_user, number=_rule, score=st.sampled_from((-1.0, 1.0)), one=st.booleans(),
          by=_handle)  # fmt: skip
    def recall(self, user: int, number: int, score: float, one: bool, by: int) -> None:
        """Ask for rules, and judge them by a button."""
        name, alive = self._name(user), self._people[user].alive(self._clock.now)
        found = self._memory(by).recall(
            said.request(name, number), user_id=name, session_id="t0", strict=True
        )
        texts = {rule.text for rule in found.rules}
        doubted = {
            c.card.text
            for c, verdict in zip(found.candidates, found.verdicts, strict=True)
            if verdict.reason == "doubted" and user in self._disliked
        }
        self._same("recall", texts | doubted, set(alive))
        noted = self._handles[by][1].interactions(UserKey(name), recall_id=found.id)
        if texts and noted:  # a busy store drops it
            card = found.rules[0].card_ids[0] if one else None
            if score < 0:
                self._disliked.add(user)
            told = [
                self._memory(1 - by).feedback(found, score, user_id=name, card_id=card, key="k")
                for _ in range(2)
            ]
            self._same("feedback twice", told[1], False)

    @rule(user=_user, by=_handle)
    def export(self, user: int, by: int) -> None:
        """Take everything to another user, and to the same one, who has it."""
        memory, name = self._memory(by), self._name(user)
        data = memory.export(user_id=name)
        again = memory.load(data, user_id=name)
        self._same("load again", (again.added, again.updated), ((), ()))
        memory.load(data, user_id=f"{name}x")
        other = self._held(f"{name}x", 1 - by)
        self._same("load", other, self._wanted(self._people[user]))
        memory.forget_user(user_id=f"{name}x")
        self._look(user, 1 - by)

    @rule(by=_handle)
    def crash(self, by: int) -> None:
        """Drop a handle as it is, and open another one."""
        self._dropped.append(self._handles[by])
        self._handles[by] = self._opened()
        self._tally.crashes += 1
        for user in range(_USERS):
            self._look(user, by)

    @precondition(lambda self: any(p.cards for p in self._people))
    @rule(by=_handle)
    def expire(self, by: int) -> None:
        """Let a month go by."""
        self._clock.now += timedelta(days=30)
        for user in range(_USERS):
            self._look(user, by)

    @rule(user=_user, by=_handle)
    def replay(self, user: int, by: int) -> None:
        """Compare everything stored with what the logs give."""
        key = UserKey(self._name(user))
        store = self._handles[by][1]
        log, cards = store.events(key), {card.id: card for card in store.cards(key)}
        self._same("fold", fold(log), cards)
        self._same("log", len(log), len(self._people[user].log))
        wrong = self._memory(1 - by).rebuild(user_id=key.user_id)
        self._same("rebuild", bool(wrong), False)
        self._look(user, by)

    def teardown(self) -> None:
        """Compare everything once more, erase it, and close."""
        try:
            if self._handles:
                for user in range(_USERS):
                    self.replay(user, 0)
                    self.forget_user(user, 1)
        finally:
            for memory, _ in (*self._handles, *self._dropped):
                memory.close(0)

    # Steps

    def _memory(self, by: int) -> PreferenceMemory:
        self._tally.steps += 1
        return self._handles[by][0]

    def _opened(self) -> Handle:
        store = defaults.store(self._target)
        return self._tally.make(None, store=store, clock=self._clock, config=_CONFIG), store

    def _name(self, user: int) -> str:
        return f"{self._prefix}u{user}"

    def _text(self, user: int, number: int) -> str:
        return said.rule(f"u{user}", number)

    def _window(
        self, user: int, talk: int, number: int, limited: bool, after: bool
    ) -> tuple[list[Turn], tuple[Said, ...]]:
        """Give the messages of a window, and what must be learned from each."""
        text = said.turn(f"u{user}", number)
        if limited:
            text = f"{text[:-1]} for the next 10 days."
        key = f"{talk}.{number}.{limited}"
        turns, wanted = [Turn(key, "user", text)], [Said(key, self._text(user, number), limited)]
        if after:
            asked = said.request(f"u{user}", talk)
            turns = [
                Turn(f"{talk}", "user", asked), Turn("a", "assistant", "There it is."), *turns,
            ]  # fmt: skip
            wanted.insert(0, Said(f"{talk}"))
        return turns, tuple(wanted)

    def _id(self, user: int, text: str, by: int) -> str:
        """Find a card's id by its text."""
        cards = self._handles[by][0].list(user_id=self._name(user))
        return next(card.id for card in cards if card.text == text)

    def _look(self, user: int, by: int) -> None:
        """Compare a user's cards, as a handle shows them."""
        self._same("cards", self._held(self._name(user), by), self._wanted(self._people[user]))

    def _wanted(self, person: Person) -> Sequence[dict[str, int]]:
        return person.alive(self._clock.now), person.over(self._clock.now)

    def _held(self, name: str, by: int) -> Sequence[dict[str, int]]:
        cards = self._handles[by][0].list(user_id=name)
        held: tuple[dict[str, int], dict[str, int]] = ({}, {})
        for card in cards:
            place = held[card.status == "expired"]
            if card.text in place or card.status not in ("active", "expired"):
                raise DifferenceError(f"a card is there twice, or {card.status}")
            place[card.text] = len(card.preference.evidence)
        return held

    def _same(self, what: str, found: Any, wanted: Any) -> None:  # noqa: ANN401  # anything that has `==`
        if found != wanted:
            raise DifferenceError(f"{what}: {found!r:.300} in place of {wanted!r:.300}")


class _Clock:
    """Moves on by a second at each look."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now
