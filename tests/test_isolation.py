"""Users and tenants behave as dictionaries that never touch."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefmem import InputError, PreferenceMemory
from prefmem.testing import Clock, HashEmbedder, PhraseExtractor, TableRelater

Verb = Literal["learn", "add", "edit", "forget", "forget_user"]
Who = tuple[str, str]  # tenant, user

WHO: list[Who] = [("", "ann"), ("", "bob"), ("", "cat"), ("t", "ann")]
WORDS = ["alpha", "beta", "gamma", "delta"]
EMBEDDER = HashEmbedder(16)


@dataclass
class Shadow:
    """What one user should hold: rules with their confidence, and the turns that were heard."""

    rules: dict[str, float] = field(default_factory=dict[str, float])
    heard: set[str] = field(default_factory=set[str])

    def learn(self, word: str) -> None:
        if word not in self.heard:
            self.heard.add(word)
            self.rules[word] = 1 - (1 - self.rules.get(word, 0)) * 0.1

    def add(self, word: str) -> None:
        self.rules[word] = 1.0

    def edit(self, word: str, new: str) -> None:
        self.rules = {new if w == word else w: p for w, p in self.rules.items()}


def texts(words: object) -> list[str]:
    return sorted(f"Do {word}." for word in words)  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType, reportUnknownArgumentType]  # any iterable


def ids(memory: PreferenceMemory, user_id: str) -> dict[str, str]:
    return {c.preference.action[3:]: c.id for c in memory.list(user_id=user_id)}


def apply(
    memory: PreferenceMemory, user_id: str, shadow: Shadow, step: tuple[Verb, str, str]
) -> None:
    verb, word, new = step
    if verb == "learn":
        report = memory.learn([("user", f"Always do {word}.")], user_id=user_id)
        assert report.skipped == (word in shadow.heard)
        shadow.learn(word)
    elif verb == "add":
        memory.add("", f"do {word}", user_id=user_id)
        shadow.add(word)
    elif verb == "forget_user":
        assert memory.forget_user(user_id=user_id).cards == len(shadow.rules)
        shadow.rules, shadow.heard = {}, set()
    elif word in shadow.rules and verb == "forget":
        memory.forget(ids(memory, user_id)[word], user_id=user_id)
        del shadow.rules[word]
    elif word in shadow.rules and verb == "edit":
        card_id = ids(memory, user_id)[word]
        if new != word and new in shadow.rules:
            with pytest.raises(InputError, match="says the same"):
                memory.edit(card_id, user_id=user_id, action=f"do {new}")
        else:
            memory.edit(card_id, user_id=user_id, action=f"do {new}")
            shadow.edit(word, new)


def check(memory: PreferenceMemory, user_id: str, shadow: Shadow) -> None:
    cards = memory.list(user_id=user_id)
    assert sorted(card.text for card in cards) == texts(shadow.rules)
    for card in cards:
        word = card.preference.action[3:]
        assert card.preference.confidence == pytest.approx(shadow.rules[word])
        assert card.user_id == user_id
    recalled = memory.recall("do alpha", user_id=user_id)
    assert sorted(rule.text for rule in recalled.rules) == texts(shadow.rules)
    held = memory.export(user_id=user_id)
    assert sorted(card["action"] for card in held["cards"]) == sorted(
        card.preference.action for card in cards
    )
    assert memory.get_user(user_id).long.any() == bool(shadow.rules)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(WHO),
        st.booleans(),
        st.tuples(
            st.sampled_from(["learn", "learn", "add", "edit", "forget", "forget_user"]),
            st.sampled_from(WORDS),
            st.sampled_from(WORDS),
        ),
    ),
    max_size=25,
)


@settings(max_examples=25)
@given(STEPS)
def test_every_user_has_a_memory_of_their_own(steps: Any) -> None:  # noqa: ANN401  # as drawn above
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prefs.db"

        def opened(tenant: str) -> PreferenceMemory:
            return PreferenceMemory(
                path,
                extractor=PhraseExtractor(0.9),
                embedder=EMBEDDER,
                relater=TableRelater(),
                reranker="none",
                clock=Clock(),
                tenant=tenant,
            )

        doors = {(tenant, second): opened(tenant) for tenant in ("", "t") for second in (0, 1)}
        shadows = {who: Shadow() for who in WHO}
        for (tenant, user), second, step in steps:
            apply(doors[tenant, second], user, shadows[tenant, user], step)
            check(doors[tenant, not second], user, shadows[tenant, user])
        for (tenant, user), shadow in shadows.items():
            for second in (0, 1):
                check(doors[tenant, second], user, shadow)
        for door in doors.values():
            door.close()


def test_tenants_do_not_see_each_other(tmp_path: Path) -> None:
    def opened(tenant: str) -> PreferenceMemory:
        return PreferenceMemory(
            tmp_path / "prefs.db",
            extractor=PhraseExtractor(),
            embedder=EMBEDDER,
            tenant=tenant,
            relater=TableRelater(),
            reranker="none",
        )

    with opened("") as plain, opened("t") as one, opened("u") as two:
        card = one.add("", "be brief", user_id="ann")
        for other in (plain, two):
            assert other.list(user_id="ann") == ()
            assert other.recall("x", user_id="ann").rules == ()
            assert other.render([card.id], user_id="ann") == ""
            assert other.export(user_id="ann")["events"] == []
            assert other.forget_user(user_id="ann").cards == 0
        assert one.list(user_id="ann") == (card,)
