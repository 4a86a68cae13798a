"""The doors of a memory that is open: verbs, messages, and the block that an agent reads."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any, cast

from prefmem.commands import parse as parse_commands
from prefmem.config import Config
from prefmem.errors import InputError, NotFoundError
from prefmem.memory import PreferenceMemory
from prefmem.messages import plain, to_turns
from prefmem.render import WRITERS, render_rules
from prefmem.stores import codec
from prefmem.testing import Clock, HashEmbedder, PhraseExtractor, TableRelater, WordJudge
from prefmem.types import Recall, Rule, Turn

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_MAX_CHARS = 2_000
_RENEWED = 300  # uses after which a memory makes room for a new one


def fresh() -> PreferenceMemory:
    """Open a memory on fakes that lies in memory."""
    return PreferenceMemory(
        ":memory:", extractor=PhraseExtractor(), embedder=HashEmbedder(8), relater=TableRelater(),
        reranker="none", judge=WordJudge(), clock=Clock(), config=Config(max_turn_chars=_MAX_CHARS),
    )  # fmt: skip


class Memories:
    """One memory after the other, so that what is tried leaves little behind."""

    def __init__(self) -> None:
        """Open the first."""
        self._uses = count()
        self._memory = fresh()

    def _next(self) -> tuple[PreferenceMemory, str]:
        number = next(self._uses)
        if number % _RENEWED == 0:
            self._memory.close()
            self._memory = fresh()
            self._memory.add("", "be kind", user_id="bystander")
        return self._memory, f"u{number}"

    def load(self, data: Any) -> None:  # noqa: ANN401  # any JSON
        """An export is taken in whole or refused whole, and what was taken in comes out again."""
        memory, user = self._next()
        try:
            memory.load(data, user_id=user)
        except InputError:
            assert not memory.export(user_id=user)["events"]
            return
        held = memory.export(user_id=user)
        again = memory.load(held, user_id=user)
        assert not again.added
        recalled = memory.recall("write code", user_id=user, strict=True)
        check_lines(memory.render(recalled, user_id=user, strict=True))
        assert len(memory.list(user_id="bystander")) == 1

    def ids(self, names: Sequence[Any]) -> None:
        """An id of any shape is refused, or names what was stored under it and nothing else."""
        memory, _ = self._next()
        user, session, card, event, key, tenant = names
        with suppress(InputError):
            other = memory.in_tenant(tenant)
            other.learn([("user", "Always rest.")], user_id=user, session_id=session)
            assert [c.text for c in other.list(user_id=user)] == ["Rest."]
            other.recall("rest", user_id=user, session_id=session, strict=True)
            assert other.forget_user(user_id=user).cards == 1
        for use in (
            lambda: memory.add("", "rest", user_id=user),
            lambda: memory.get(card, user_id="bystander"),
            lambda: memory.edit(card, user_id="bystander", action="rest"),
            lambda: memory.forget(card, user_id="bystander"),
            lambda: memory.history(card, user_id="bystander"),
            lambda: memory.undo(event, user_id="bystander"),
            lambda: memory.feedback(event, 1.0, user_id="bystander", card_id=card, key=key),
            lambda: memory.render([card, event], user_id="bystander", strict=True),
            lambda: memory.get_user(user),
            lambda: memory.export(user_id=user),
            lambda: memory.revive(user_id=user),
            lambda: memory.forget_user(user_id=user),
        ):
            with suppress(InputError, NotFoundError):
                use()
        assert [c.text for c in memory.list(user_id="bystander")] == ["Be kind."]

    def dialogue(self, said: Any) -> None:  # noqa: ANN401  # any shape
        """A dialogue teaches or is refused, and the same once more teaches nothing."""
        memory, user = self._next()
        said = _kept(said)
        with suppress(InputError):
            memory.command(said, user_id=user)
            first = memory.learn(said, user_id=user)
            again = memory.learn(said, user_id=user)
            assert again.turns == 0
            assert again.skipped == first.turns + first.skipped
        with suppress(InputError):
            memory.learn_later(said, user_id=user)
            recalled = memory.recall(said, user_id=user, strict=True)
            check_lines(memory.render(recalled, user_id=user, strict=True))
        memory.forget_user(user_id=user)

    def by_hand(self, slots: tuple[str, str]) -> None:
        """A rule by hand is one plain line, or is refused."""
        memory, user = self._next()
        condition, action = slots
        with suppress(InputError):
            card = memory.add(condition, action, user_id=user)
            assert card.text.isprintable()
            assert memory.add(condition, action, user_id=user).id == card.id
            memory.edit(card.id, user_id=user, action=f"{action} now")
        check_lines(
            memory.render(
                memory.recall(action, user_id=user, context=condition, strict=True), strict=True
            )
        )
        with suppress(InputError):
            memory.learn_from_edit(condition[:300], action[:300], user_id=user)


def _kept(said: Any) -> Any:  # noqa: ANN401  # any shape
    """Give messages as something that can be read twice."""
    return list(cast("Iterable[Any]", said)) if hasattr(said, "__next__") else said


def check_messages(said: Any) -> None:  # noqa: ANN401  # any shape
    """Messages become turns that a store can hold, or are refused in a short error."""
    refused = ""
    turns: tuple[Turn, ...] = ()
    try:
        turns = to_turns(said, max_chars=_MAX_CHARS)
    except InputError as error:
        refused = str(error)
    assert len(refused) <= 400
    for turn in turns:
        assert turn.id.encode() is not None
        assert turn.text.encode() is not None
        assert len(turn.text) <= _MAX_CHARS
    assert codec.read_turns(codec.write_turns(turns)) == turns


def check_words(text: str) -> None:
    """Words of any kind are read for commands, and made plain, without harm."""
    for command in parse_commands(text):
        assert command.sentence in text
    line = plain(text, limit=240)
    assert len(line) <= 240
    assert plain(line, limit=240) == line
    assert line.isprintable()


# What an agent reads


def check_block(texts: Sequence[str]) -> None:
    """Rules of any text are one JSON line each, within the fence and the budget."""
    rules = tuple(Rule(text, "card", (str(n),), _AT) for n, text in enumerate(texts))
    block = render_rules(rules, max_tokens=100_000, nonce="abcdef")
    assert len(check_lines(block)) == len(rules)
    small = render_rules(rules, max_tokens=400, nonce="abcdef")
    assert len(small) <= 1_200
    check_lines(small)
    recall = Recall("r", "ann", "s", "q", (), (), rules, "b", _AT)
    for writer in WRITERS.values():
        block = writer(recall, max_tokens=100_000, nonce="abcdef")
        _check_fence(block.split("\n"))


def check_lines(block: str) -> list[Mapping[str, str]]:
    """Read the rules of a block; raises where something left its line or the fence."""
    if not block:
        return []
    lines = block.split("\n")
    _check_fence(lines)
    rules = [json.loads(line) for line in lines[1:-1] if line.startswith("{")]
    assert all(sorted(rule) == ["rule", "since"] for rule in rules)
    return rules


def _check_fence(lines: Sequence[str]) -> None:
    name = lines[0].removeprefix("<").removesuffix(">")
    assert name.startswith("user-preferences-")
    assert (lines[0], lines[-1]) == (f"<{name}>", f"</{name}>")
    for line in lines[1:-1]:
        assert line.isascii()
        assert line.isprintable()
        assert not set(line) & set("<>&")
