"""Every act leaves a line that names nobody and cannot be changed unnoticed."""

import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from prefmem import InputError, PreferenceMemory
from prefmem.stores.audit import Act
from prefmem.stores.sqlite import SQLiteStore
from prefmem.types import UserKey

Open = Callable[..., PreferenceMemory]
ANN, BOB = UserKey("ann"), UserKey("bob")


@pytest.fixture
def store(tmp_path: Path) -> SQLiteStore:
    return SQLiteStore(tmp_path / "prefs.db")


def told(acts: tuple[Act, ...]) -> list[tuple[str, str, int]]:
    return [(act.actor, act.action, act.n) for act in acts]


def test_every_act_leaves_a_line(open_memory: Open, store: SQLiteStore) -> None:
    memory = open_memory(store=store)
    memory.learn([("user", "Always be brief.")], user_id="ann")
    card = memory.add("", "use tabs", user_id="ann")
    assert store.acts() == ()  # the user's own words need none
    other = memory.add("", "use spaces", user_id="ann", actor="import")
    memory.edit(card.id, user_id="ann", action="use two tabs")
    memory.edit(card.id, user_id="ann", status="quarantined", actor="support")
    memory.edit(card.id, user_id="ann", status="active", actor="ann")
    memory.forget(other.id, user_id="ann", actor="support")
    data = memory.export(user_id="ann", actor="admin:7")
    memory.load(data, user_id="bob", actor="admin:7")
    memory.forget_user(user_id="ann", actor="admin:7")
    memory.forget_users(["cid", "bob"])
    assert told(store.acts()) == [
        ("import", "add", 1), ("user", "edit", 1), ("support", "edit", 1), ("user", "confirm", 1),
        ("support", "forget", 1), ("admin:7", "export", 1), ("admin:7", "load", 2),
        ("admin:7", "forget_user", 2), ("user", "forget_user", 0), ("user", "forget_user", 2),
    ]  # fmt: skip
    assert told(store.acts(BOB)) == [("admin:7", "load", 2), ("user", "forget_user", 2)]
    assert all(check.ok for check in memory.verify())


def test_lines_name_no_user_no_card_and_no_rule(
    open_memory: Open, store: SQLiteStore, tmp_path: Path
) -> None:
    memory = open_memory(store=store)
    card = memory.add("", "greet zanzibar", user_id="ann.canary", actor="import")
    memory.edit(card.id, user_id="ann.canary", action="greet timbuktu")
    (_, edited) = store.acts(UserKey("ann.canary"))
    assert store.card_names(UserKey("ann.canary")) == {edited.card: card.id}
    memory.forget_user(user_id="ann.canary")
    memory.close()
    left = b"".join(file.read_bytes() for file in tmp_path.iterdir()).lower()
    for word in ("ann.canary", card.id, "zanzibar", "timbuktu"):
        assert word.encode() not in left
    with sqlite3.connect(tmp_path / "prefs.db") as db:
        assert db.execute("select count(*) from audit").fetchone() == (3,)
    db.close()


def test_what_fails_leaves_no_line(open_memory: Open, store: SQLiteStore) -> None:
    memory = open_memory(store=store)
    one, two = (memory.add("", f"use {name}", user_id="ann") for name in ("tabs", "spaces"))
    with pytest.raises(InputError, match="says the same"):
        memory.edit(one.id, user_id="ann", action="use spaces")
    assert store.acts() == ()
    actors: list[Any] = ["", " ", "a\nb", "x" * 129, "a\0", " a", None, 7]
    for actor in actors:
        for use in (
            lambda actor=actor: memory.edit(one.id, user_id="ann", action="x", actor=actor),
            lambda actor=actor: memory.forget(two.id, user_id="ann", actor=actor),
            lambda actor=actor: memory.forget_user(user_id="ann", actor=actor),
            lambda actor=actor: memory.export(user_id="ann", actor=actor),
        ):
            with pytest.raises(InputError):
                use()
    assert store.acts() == ()
    assert [card.text for card in memory.list(user_id="ann")] == ["Use tabs.", "Use spaces."]


@pytest.mark.parametrize(
    "change",
    [
        "update audit set actor = 'nobody' where id = 2",
        "update audit set action = 'confirm' where id = 2",
        "update audit set at = '2020-01-01T00:00:00+00:00' where id = 2",
        "update audit set who = x'00' where id = 2",
        "update audit set card_id = 'x' where id = 2",
        "update audit set n = 9 where id = 2",
        "update audit set chain = x'00' where id = 2",
        "delete from audit where id = 2",
        "delete from audit where id = 1",
        "delete from audit where id = 4",
        "insert into audit select 9, at, actor, action, who, card_id, n, chain from audit "
        "where id = 2",
    ],
)
def test_a_line_that_is_changed_or_gone_is_noticed(
    open_memory: Open, store: SQLiteStore, tmp_path: Path, change: str
) -> None:
    memory = open_memory(store=store)
    card = memory.add("", "use tabs", user_id="ann")
    for number in range(4):
        memory.edit(card.id, user_id="ann", action=f"use {number + 2} tabs")
    assert all(check.ok for check in store.soundness())
    with sqlite3.connect(tmp_path / "prefs.db", isolation_level=None) as db:
        db.execute(change)
    db.close()
    assert any(not check.ok and "audit" in check.what for check in store.soundness())


def test_lines_of_many_threads_make_one_chain(store: SQLiteStore) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def work(user: UserKey) -> None:
        for _ in range(20):
            store.audit(user, "export", actor="x", at=at)

    threads = [threading.Thread(target=work, args=(UserKey(f"u{n}"),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.acts()) == 80
    assert all(check.ok for check in store.soundness())
    store.close()
