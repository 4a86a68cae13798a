"""What is forgotten leaves no trace, down to the bytes of the files."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prefmem import NotFoundError, PreferenceMemory
from prefmem.testing import HashEmbedder

Open = Callable[..., PreferenceMemory]


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())


def traces(folder: Path, *texts: str) -> list[str]:
    """Name the texts that are on disk, as words or as the vector of their rule."""
    content = on_disk(folder)
    found: list[str] = []
    for text in texts:
        vector = HashEmbedder().embed([text])[0]
        marks = [text.encode(), vector.astype("<f2").tobytes(), vector.astype("<f4").tobytes()]
        if any(mark in content for mark in marks):
            found.append(text)
    return found


def test_a_forgotten_card_leaves_no_trace(memory: PreferenceMemory, tmp_path: Path) -> None:
    memory.learn(
        [("user", "Always use SI units. Always zigzag quaintly.")], user_id="ann", session_id="s"
    )
    memory.learn([("user", "So, always zigzag quaintly!")], user_id="ann", session_id="s")
    memory.learn([("user", "Always zigzag quaintly.")], user_id="bob")
    card = next(c for c in memory.list(user_id="ann") if "Zigzag" in c.text)
    memory.edit(card.id, user_id="ann", condition="it rains frogs")
    memory.recall("zigzag", user_id="ann")
    memory.forget(card.id, user_id="ann")

    assert [c.text for c in memory.list(user_id="ann")] == ["Use SI units."]
    assert [r.text for r in memory.recall("zigzag", user_id="ann").rules] == ["Use SI units."]
    assert memory.render([card.id], user_id="ann") == ""
    data = json.dumps(memory.export(user_id="ann"))
    assert "zigzag" not in data
    assert "frogs" not in data
    assert card.id not in data
    assert not memory.get_user("ann").short.any()
    for use in (memory.get, memory.history, memory.forget):
        with pytest.raises(NotFoundError):
            use(card.id, user_id="ann")

    memory.forget_user(user_id="bob")  # the only other user who said it
    content = on_disk(tmp_path).lower()
    assert b"zigzag" not in content
    assert b"frogs" not in content
    assert traces(tmp_path, "Zigzag quaintly.", "When it rains frogs, zigzag quaintly.") == []
    assert traces(tmp_path, "Use SI units.") == ["Use SI units."]


def test_the_turns_that_taught_it_do_not_bring_it_back(memory: PreferenceMemory) -> None:
    window = [("assistant", "Hi"), ("user", "Always use SI units."), ("user", "Never use emojis.")]
    memory.learn(window, user_id="ann")
    card = next(c for c in memory.list(user_id="ann") if "SI" in c.text)
    memory.forget(card.id, user_id="ann")
    assert memory.learn(window, user_id="ann").skipped == 2
    assert memory.learn(window[1:], user_id="ann").skipped == 2
    assert [c.text for c in memory.list(user_id="ann")] == ["Never use emojis."]
    again = memory.learn([("user", "Please, always use SI units.")], user_id="ann")
    assert [c.text for c in again.added] == ["Use SI units."]
    assert again.added[0].id != card.id


def test_only_the_users_own_card_goes(memory: PreferenceMemory) -> None:
    for user in ("ann", "bob"):
        memory.learn([("user", "Always use SI units.")], user_id=user)
    (mine,), (theirs,) = memory.list(user_id="ann"), memory.list(user_id="bob")
    memory.forget(mine.id, user_id="ann")
    with pytest.raises(NotFoundError):
        memory.forget(theirs.id, user_id="ann")
    assert memory.list(user_id="bob") == (theirs,)


def test_forgetting_a_user_leaves_no_trace(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory()
    for user in ("ann.canary", "bob"):
        memory.learn([("user", f"Always greet {user}.")], user_id=user, session_id=f"{user}.s")
        memory.add("writing", f"sign as {user}", user_id=user)
        memory.recall("writing", user_id=user)
    theirs = memory.export(user_id="bob")
    receipt = memory.forget_user(user_id="ann.canary")

    assert (receipt.cards, receipt.events, receipt.checkpointed) == (2, 3, True)
    assert memory.list(user_id="ann.canary") == ()
    assert memory.recall("writing", user_id="ann.canary").rules == ()
    content = on_disk(tmp_path)
    assert b"ann.canary" not in content
    assert theirs["interactions"]
    assert traces(tmp_path, "Greet ann.canary.", "When writing, sign as ann.canary.") == []
    left = memory.export(user_id="bob")
    assert {**left, "exported_at": ""} == {**theirs, "exported_at": ""}
    again = memory.forget_user(user_id="ann.canary")
    assert (again.cards, again.events) == (0, 0)
    assert memory.learn([("user", "Always greet ann.canary.")], user_id="ann.canary").turns == 1


@pytest.mark.parametrize("seed", [12, 15, 21])  # orders of rows in which SQLite leaves copies
def test_many_cards_of_many_sizes_leave_no_trace(
    open_memory: Open, tmp_path: Path, seed: int
) -> None:
    names = random.Random(seed)
    memory = open_memory(ids=lambda: f"{names.getrandbits(64):016x}")
    rng = np.random.default_rng(5)
    for n in range(150):
        action = f"mark{n:03} " + "x" * int(rng.integers(0, 220))
        card = memory.add("", action, user_id=f"u{n % 3}")
        if n % 4 == 0:
            memory.edit(card.id, user_id=f"u{n % 3}", action=f"{action[:200]} edited{n:03}")
    kept: set[str] = set()
    for user in ("u0", "u1"):
        for place, card in enumerate(memory.list(user_id=user)):
            if place % 2:
                memory.forget(card.id, user_id=user)
            else:
                kept.add(card.preference.action.split()[0])
    memory.forget_user(user_id="u2")
    content = on_disk(tmp_path)
    found = {f"mark{n:03}" for n in range(150) if f"mark{n:03}".encode() in content.lower()}
    assert found == kept
    assert len(kept) == 50


def test_a_user_who_comes_back_never_meets_an_old_index(open_memory: Open) -> None:
    one, two = open_memory(), open_memory()
    for round_ in range(5):
        rule = f"rule number {round_}"
        one.add("", rule, user_id="ann")
        for memory in (one, two):
            recalled = memory.recall("x", user_id="ann")
            assert [r.text for r in recalled.rules] == [f"Rule number {round_}."]
        two.forget_user(user_id="ann")
