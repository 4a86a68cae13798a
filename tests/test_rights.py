"""What users may ask for: all that is held, taken along and back, ended in time, made right."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefmem import Config, PreferenceMemory, StoreError
from prefmem.errors import StoreUnavailableError
from prefmem.stores.sqlite import SQLiteStore
from prefmem.testing import HashEmbedder
from prefmem.types import Rebuilt, Swept

Open = Callable[..., PreferenceMemory]
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Stopped:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **given: float) -> None:
        self.now += timedelta(**given)


@pytest.fixture
def clock() -> Stopped:
    return Stopped()


def fill(memory: PreferenceMemory, user_id: str = "ann") -> None:
    """Leave something of every kind: cards, history, offers, observations, an edit, a state."""
    memory.learn([("user", "Always use SI units."), ("user", "Hello")], user_id=user_id)
    memory.learn([("user", "So always use si units!")], user_id=user_id, session_id="s")
    card = memory.add("writing SQL", "use CTEs", user_id=user_id)
    memory.edit(card.id, user_id=user_id, action="use views")
    gone = memory.add("", "be brief", user_id=user_id)
    memory.forget(gone.id, user_id=user_id)
    undone = memory.add("", "use tabs", user_id=user_id)
    memory.undo(memory.history(undone.id, user_id=user_id)[0].id, user_id=user_id)
    recall = memory.recall("writing SQL", user_id=user_id, session_id="s")
    memory.feedback(recall, 1.0, user_id=user_id, card_id=card.id)
    memory.recall("How tall in SI units?", user_id=user_id, session_id="t")
    turns = [("user", "How tall in SI units?"), ("assistant", "6 ft"), ("user", "Wrong, again!")]
    memory.learn(turns, user_id=user_id, session_id="t")
    memory.learn_from_edit("Dear Sir, thank you.", "Hi, thanks.", "a mail", user_id=user_id)


def rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Read the rows that hold cards and what was learned, to the byte."""
    with sqlite3.connect(path) as db:
        found = {
            table: db.execute(f"select * from {table} order by 1, 2").fetchall()  # noqa: S608  # fixed names
            for table in ("users", "cards", "retired", "events", "interactions", "edits")
        }
    db.close()
    return found


# Export and back


def test_export_erase_load_gives_everything_back(open_memory: Open) -> None:
    memory = open_memory(config=Config(learn_delay=60))
    fill(memory)
    memory.learn_later([("user", "Always greet in French.")], user_id="ann", session_id="u")
    before = json.loads(json.dumps(memory.export(user_id="ann")))
    ids = [card.id for card in memory.list(user_id="ann")]
    histories = {i: memory.history(i, user_id="ann") for i in ids}
    receipt = memory.forget_user(user_id="ann")
    assert (receipt.cards, receipt.edits, receipt.jobs, receipt.states) == (2, 1, 1, 1)
    assert receipt.interactions == len(before["interactions"]) == 4
    assert receipt.events == len(before["events"]) + len(before["interactions"])
    gone = memory.export(user_id="ann")
    assert not any(gone[name] for name in ("cards", "events", "interactions", "edits", "jobs"))
    assert gone["state"] is None

    memory.load(before, user_id="ann")
    after = json.loads(json.dumps(memory.export(user_id="ann")))
    for held in (before, after):
        del held["exported_at"]
        for job in held["jobs"]:
            del job["queued_at"], job["due"]
        for entry in held["events"]:  # both logs count together, and come back one by one
            del entry["seq"]
    assert after == before
    again = {i: memory.history(i, user_id="ann") for i in ids}
    for card_id, told in histories.items():
        assert [replace(e, seq=0) for e in again[card_id]] == [replace(e, seq=0) for e in told]


# Ends


def test_no_rule_is_rendered_after_its_end(open_memory: Open, clock: Stopped) -> None:
    memory = open_memory(clock=clock)
    for number in range(1, 21):
        memory.add("", f"greet {number} times until {number} February", user_id="ann")
    memory.add("", "be brief", user_id="ann")
    everything = Config(max_global=50, max_tokens=20_000)
    wide = open_memory(clock=clock, config=everything)
    for day in range(60):
        clock.now = START + timedelta(days=day)
        live = {c.text for c in memory.list(user_id="ann", status="active")}
        shown = {rule.text for rule in wide.recall("hello", user_id="ann").rules}
        assert shown == live
        assert len(live) == 1 + min(20, max(0, 20 - max(0, (clock.now - START).days - 31)))
        memory.sweep()


def test_what_nobody_confirms_ends_after_180_days(open_memory: Open, clock: Stopped) -> None:
    memory = open_memory(clock=clock, config=Config(active_confidence=0.95))
    memory.learn([("user", "Always use SI units.")], user_id="ann")  # 0.9: a candidate
    sure = memory.add("", "be brief", user_id="ann")
    asked = memory.add("", "never use emojis", user_id="ann")
    memory.edit(asked.id, user_id="ann", status="quarantined")
    waiting = memory.list(user_id="ann", status="candidate")[0]
    clock.pass_(days=180, seconds=-1)
    assert memory.sweep() == Swept(1, 0, 0)
    clock.pass_(seconds=1)
    assert memory.sweep(user_id="bob") == Swept(1, 0, 0)
    assert memory.sweep(user_id="ann") == Swept(1, 2, 0)
    assert memory.sweep() == Swept(1, 0, 0)
    ended = memory.get(waiting.id, user_id="ann")
    assert (ended.status, ended.valid_to) == ("expired", START + timedelta(days=180))
    assert memory.get(asked.id, user_id="ann").status == "expired"
    assert memory.get(sure.id, user_id="ann").status == "active"
    assert memory.history(waiting.id, user_id="ann")[-1].kind == "sweep"
    back = memory.edit(waiting.id, user_id="ann", status="active")
    assert (back.status, back.valid_to) == ("active", None)
    assert memory.sweep() == Swept(1, 0, 0)
    again = memory.learn([("user", "Never use emojis. Always use grams.")], user_id="ann")
    assert len(again.added) == 2  # what ended does not stand in the way


def test_what_edits_taught_ends_unless_it_is_confirmed(open_memory: Open, clock: Stopped) -> None:
    memory = open_memory(clock=clock, config=Config(unconfirmed_days=10))
    for name in ("Ann", "Bob", "Cid", "Dan", "Eve"):
        draft = f"Dear {name}, I am writing to you today with regard to the meeting! Thank you!"
        memory.learn_from_edit(draft, draft.replace("!", "."), "a mail", user_id="ann")
    taught = memory.list(user_id="ann", status="active")
    if not taught:
        pytest.skip("the edits of this test teach nothing")
    assert {card.source for card in taught} == {"inferred"}
    memory.edit(taught[0].id, user_id="ann", action="write no exclamation mark")
    clock.pass_(days=10)
    assert memory.sweep().ended == len(taught) - 1
    assert len(memory.recall("a mail", user_id="ann").rules) <= 1


def test_what_is_over_is_removed_with_its_evidence(
    open_memory: Open, clock: Stopped, tmp_path: Path
) -> None:
    memory = open_memory(clock=clock, config=Config(retain_days=30))
    memory.learn([("user", "Always zigzag until 3 January.")], user_id="ann")
    memory.learn([("user", "Always use SI units.")], user_id="ann")
    over = next(c for c in memory.list(user_id="ann") if "igzag" in c.text)
    assert over.valid_to is not None
    clock.now = over.valid_to + timedelta(days=30, seconds=-1)
    assert memory.sweep() == Swept(1, 0, 0)
    clock.pass_(seconds=1)
    assert memory.sweep(actor="cron") == Swept(1, 0, 1)
    assert [card.text for card in memory.list(user_id="ann")] == ["Use SI units."]
    memory.close()
    left = b"".join(f.read_bytes() for f in tmp_path.iterdir()).lower()
    assert b"zigzag" not in left
    store = SQLiteStore(tmp_path / "prefs.db")
    assert [(act.actor, act.action, act.n) for act in store.acts()] == [("cron", "sweep", 1)]
    store.close()


def test_without_a_limit_nothing_is_removed(open_memory: Open, clock: Stopped) -> None:
    memory = open_memory(clock=clock)
    memory.add("", "greet until 3 January", user_id="ann")
    clock.pass_(days=3_000)
    assert memory.sweep() == Swept(1, 0, 0)
    assert [card.status for card in memory.list(user_id="ann")] == ["expired"]


def test_a_sweep_is_not_what_undo_that_takes_back(open_memory: Open, clock: Stopped) -> None:
    memory = open_memory(clock=clock, config=Config(active_confidence=0.95))
    memory.learn([("user", "Always use SI units.")], user_id="ann")
    clock.pass_(days=180)
    mine = memory.add("", "be brief", user_id="ann")
    memory.sweep()
    memory.command([("user", "Undo that.")], user_id="ann")
    assert mine.id not in {card.id for card in memory.list(user_id="ann")}


# Verify and rebuild


def test_what_is_sound_is_found_so_and_left_to_the_byte(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory()
    for user in ("ann", "bob"):
        fill(memory, user)
    before = rows(tmp_path / "prefs.db")
    checks = memory.verify()
    assert [check.what for check in checks if not check.ok] == []
    assert checks[-1].detail == "2 of 2 users, 4 cards"
    assert memory.rebuild(user_id="ann") == Rebuilt()
    assert memory.rebuild(user_id="nobody") == Rebuilt()
    assert rows(tmp_path / "prefs.db") == before


DAMAGE = {
    "body": ("update cards set body = '{' where {card}", ("cards",)),
    "text": ("update cards set body = replace(body, 'views', 'vines') where {card}", ("cards",)),
    "status": ("update cards set status = 'superseded' where {card}", ("cards",)),
    "ends": ("update cards set ends = 5 where {card}", ("cards",)),
    "hash": ("update cards set rule_hash = x'00' where {card}", ("cards",)),
    "order": ("update cards set created_seq = 900, place = 3 where {card}", ("cards",)),
    "gone": ("delete from cards where {card}", ("cards",)),
    "width": ("update cards set vec = x'0000' where {card}", ("vectors",)),
    "nothing": ("update cards set vec = zeroblob(128) where {card}", ("vectors",)),
    "nan": ("update cards set vec = replace(hex(zeroblob(64)), '00', char(255)) "
            "where {card}", ("vectors",)),
    "other": ("update cards set vec = (select vec from cards where not ({card}) and uid = 1) "
              "where {card}", ("vectors",)),
    "state": ("update users set state = x'0102' where uid = 1", ("state",)),
    "learned": ("update users set state = (select state from users where uid = 2) where uid = 1",
                ("state",)),
    "extra": ("insert into cards select uid, 'more', x'01', scope, status, confidence, created_seq,"
              " body, vec, place, ends, 99 from cards where {card}", ("removed",)),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_made_right(open_memory: Open, tmp_path: Path, kind: str) -> None:
    memory = open_memory()
    fill(memory, "ann")
    fill(memory, "bob")
    card = next(c for c in memory.list(user_id="ann") if "views" in c.text)
    recall = memory.recall("writing SQL", user_id="bob", session_id="z")
    memory.feedback(recall, -1.0, user_id="bob")
    path = tmp_path / "prefs.db"
    export = memory.export(user_id="ann")
    before = rows(path)
    statement, wrong = DAMAGE[kind]
    where = f"uid = 1 and card_id = '{card.id}'"
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute(statement.replace("{card}", where))
    db.close()

    checks = {check.what: check for check in memory.verify(users=0)}
    assert not checks["users"].ok
    assert "user 1 of those looked at" in checks["users"].detail
    done = memory.rebuild(user_id="ann", actor="op")
    assert {n for n in ("cards", "removed", "vectors", "state") if getattr(done, n)} == set(wrong)
    assert all(check.ok for check in memory.verify())
    after = rows(path)
    for held in (before, after):
        held["users"] = [(row[0], *row[4:]) for row in held["users"]]
        held["retired"] = []
    if kind == "gone":  # its number is lost with it
        for held in (before, after):
            held["cards"] = [row[:-1] for row in held["cards"]]
            held["users"] = []
    assert after == before
    again = memory.export(user_id="ann")
    assert (again["cards"], again["events"]) == (export["cards"], export["events"])
    assert memory.rebuild(user_id="ann") == Rebuilt()


@pytest.mark.parametrize("table", ["events", "interactions"])
def test_a_damaged_log_is_named_and_nothing_is_made_of_it(
    open_memory: Open, tmp_path: Path, table: str
) -> None:
    memory = open_memory()
    fill(memory)
    with sqlite3.connect(tmp_path / "prefs.db", isolation_level=None) as db:
        db.execute(f"update {table} set body = x'41' where seq = (select max(seq) from {table})")  # noqa: S608  # fixed names
    db.close()
    users = memory.verify()[-1]
    assert not users.ok
    assert "log" in users.detail
    assert "views" not in users.detail
    with pytest.raises(StoreUnavailableError, match="restore"):
        memory.rebuild(user_id="ann")


def test_some_users_stand_for_all(open_memory: Open) -> None:
    memory = open_memory()
    for number in range(10):
        memory.add("", "be brief", user_id=f"u{number}")
    assert memory.verify(users=3)[-1].detail == "3 of 10 users, 3 cards"
    assert memory.verify(users=0)[-1].detail == "10 of 10 users, 10 cards"


def test_a_store_without_rows_says_so(open_memory: Open) -> None:
    pytest.importorskip("langgraph")
    from langgraph.store.memory import InMemoryStore

    from prefmem_langchain import BaseStoreStorage

    memory = open_memory(store=BaseStoreStorage(InMemoryStore()))
    memory.add("", "be brief", user_id="ann", actor="import")
    assert memory.sweep() == Swept(1, 0, 0)
    for use in (memory.verify, lambda: memory.rebuild(user_id="ann")):
        with pytest.raises(StoreError, match="keeps no rows"):
            use()


def test_vectors_are_compared_within_half_precision(open_memory: Open) -> None:
    memory = open_memory(embedder=HashEmbedder(8))
    memory.add("", "be brief", user_id="ann")
    assert memory.rebuild(user_id="ann") == Rebuilt()
    assert np.isfinite(memory.get_user("ann").long).all()
