"""Several stores as one: homes by names, moves that may die anywhere, and shards that are down."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from prefmem import Card, InputError, Preference, PreferenceMemory
from prefmem.cli import app
from prefmem.errors import ConfigError, NotFoundError, ShardDownError, StoreUnavailableError
from prefmem.interaction import Entry, KeptEdit, Observation, UserState
from prefmem.job import Job
from prefmem.stores import moving
from prefmem.stores.packing import TABLES
from prefmem.stores.places import MovedError, home
from prefmem.stores.sharded import ShardedStore
from prefmem.stores.sqlite import SQLiteStore
from prefmem.testing import check_store
from prefmem.types import Change, Event, Turn, UserKey, Vector

AT = datetime(2026, 1, 1, tzinfo=UTC)
ANN = UserKey("ann")
EAST: Vector = np.array([0.6, 0.8, 0, 0], dtype=np.float32)
NONE, FLAT = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
SAID = Observation("r", "s", "neutral", 0, 0, False, NONE, FLAT, FLAT, NONE, FLAT, 0, NONE)
STEPS = ("fence", "copy", "switch", "activate", "settle", "done")
Open = Callable[..., ShardedStore]


class Stopped(BaseException):
    """Stands for kill -9 between two steps."""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open the shards of a folder, each call as another process would."""
    stores: list[ShardedStore] = []

    def make(*names: str, folder: Path = tmp_path, **settings: Any) -> ShardedStore:  # noqa: ANN401  # its arguments
        folder.mkdir(exist_ok=True)
        makers = {n: partial(SQLiteStore, folder / f"{n}.db") for n in names or ("a", "b", "c")}
        store = ShardedStore(makers, **settings)
        store.bind("test", 4)
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()


def card(name: str, action: str, user: UserKey = ANN) -> Card:
    return Card(name, user.user_id, Preference("", action), "active", "said", "s", AT, AT)


def teach(store: ShardedStore, name: str, user: UserKey = ANN) -> None:
    with store.write(user) as transaction:
        change = Change("add", card(name, f"use {name}", user))
        transaction.record(Event(f"k{name}", "learn", (change,), AT), {name: EAST})


def held(store: ShardedStore, user: UserKey = ANN) -> list[str]:
    return [c.id for c in store.cards(user)]


def at(store: ShardedStore, user: UserKey = ANN) -> str:
    place = moving.where(store, user)
    return "" if place is None else place.name


def marks(store: ShardedStore, user: UserKey = ANN) -> dict[str, str]:
    """Give the kind of mark in each shard that has a row."""
    found = {name: shard.mark(user).kind for name, shard in store.finder.shards.items()}
    return {name: kind for name, kind in found.items() if kind != "none"}


def away(store: ShardedStore, user: UserKey = ANN) -> list[str]:
    """Name the shards that are not the user's home."""
    return [n for n in store.finder.plan.now if n != store.finder.plan.home(user)]


def stop_at(wanted: str) -> Callable[[str], None]:
    def step(name: str) -> None:
        if name == wanted:
            raise Stopped

    return step


def rows(folder: Path, name: str, user: UserKey = ANN) -> dict[str, list[tuple[Any, ...]]]:
    """Read all rows of a user as they lie in the file, without what each file gives itself."""
    own, whose = (
        {"uid", "id", "rev", "moved"},
        "select uid from users where ext_id = ? and tenant = ?",
    )
    with sqlite3.connect(folder / f"{name}.db") as db:
        found: dict[str, list[tuple[Any, ...]]] = {}
        for table in ("users", *TABLES):
            columns = [r[1] for r in db.execute(f"pragma table_info({table})") if r[1] not in own]
            asked = f"select {', '.join(columns)} from {table} where uid in ({whose})"  # noqa: S608  # of the schema
            found[table] = db.execute(asked, (user.user_id, user.tenant)).fetchall()
        return found


def fill(store: ShardedStore, user: UserKey = ANN) -> None:
    """Put something into every table."""
    for name in ("one", "two"):
        teach(store, name, user)
    with store.write(user) as transaction:
        transaction.record(
            Event("undo", "undo", (Change("remove", card("two", "use two", user)),), AT), {}
        )
        transaction.note(Entry("o", SAID, AT))
        transaction.keep_edit(KeptEdit("e", "a mail", "draft", "final", AT), most=9)
        transaction.save_state(
            UserState(user.user_id, "test/1", "test", long=EAST, short=EAST, session_id="s")
        )
    job = Job(user, "s", (Turn("t", "user", "always x", AT),), ("k",), AT, AT)
    store.jobs.put(job, most=9, most_of_user=9)


# Homes


def test_it_keeps_the_contract_over_three_files(tmp_path: Path) -> None:
    folders = (tmp_path / str(number) for number in range(9))

    def make() -> ShardedStore:
        folder = next(folders)
        folder.mkdir()
        return ShardedStore({n: partial(SQLiteStore, folder / f"{n}.db") for n in "abc"})

    check_store(make)


def test_a_home_follows_from_names_and_a_new_name_takes_only_its_own() -> None:
    users = [UserKey(f"u{n}", tenant="t") for n in range(3_000)]
    before = {user: home(user, ("a", "b", "c")) for user in users}
    assert before == {user: home(user, ("c", "a", "b")) for user in users}
    counted = Counter(before.values())
    assert all(880 < counted[name] < 1_120 for name in "abc"), counted  # 1,000 +- 4.6 sigma
    after = {user: home(user, ("a", "b", "c", "d")) for user in users}
    changed = [user for user in users if after[user] != before[user]]
    assert {after[user] for user in changed} == {"d"}
    assert 640 < len(changed) < 860  # 750 +- 4.6 sigma
    assert home(UserKey("u"), ("a",)) == "a"
    assert any(home(UserKey(u.user_id, "x"), "ab") != home(u, "ab") for u in users)


def test_users_are_spread_and_listed_together(opened: Open) -> None:
    store = opened()
    users = [UserKey(f"u{n}") for n in range(20)]
    for user in users:
        teach(store, "one", user)
        assert at(store, user) == store.finder.plan.home(user)
    assert store.users() == tuple(sorted(u.user_id for u in users))
    assert store.users("other") == ()
    assert sum(moving.counts(store).values()) == 20
    assert all(number > 0 for number in moving.counts(store).values())
    assert moving.where(store, UserKey("nobody")) is None
    assert held(store, UserKey("nobody")) == []


# Moving


def test_a_move_takes_every_row_exactly(opened: Open, tmp_path: Path) -> None:
    store = opened()
    fill(store)
    source, target = at(store), away(store)[0]
    before, revision = rows(tmp_path, source), store.revision(ANN)
    assert all(before.values()), "a table is empty"
    assert moving.move(store, ANN, target)
    assert rows(tmp_path, target) == before
    assert (at(store), marks(store)) == (target, {source: "gone", target: "here"})
    left = rows(tmp_path, source)
    assert [table for table, found in left.items() if found] == ["users"]
    assert b"use one" not in b"".join(f.read_bytes() for f in tmp_path.glob(f"{source}.db"))
    assert store.revision(ANN) not in (0, revision)
    assert store.shelf(ANN).revision == store.revision(ANN)
    assert not moving.move(store, ANN, target)
    teach(store, "three")
    assert store.numbers(ANN) == {"one": 1, "three": 3}, "a number was given twice"


def test_a_move_home_and_one_between_two_others_leave_one_row_each(opened: Open) -> None:
    store, other = opened(), opened()
    teach(store, "one")
    first, (second, third) = at(store), away(store)
    seen = {store.revision(ANN)}
    for number, to in enumerate((second, third, first, third, second, first)):
        assert held(other)  # which remembers where that was
        moving.move(store, ANN, to)
        assert store.revision(ANN) not in seen, "a cache would take old rules for new ones"
        seen.add(store.revision(ANN))
        teach(other, f"n{number}")
        assert (at(store), at(other)) == (to, to)
        assert marks(store) == ({first: "here"} if to == first else {first: "gone", to: "here"})
        assert held(store) == held(other) == ["one", *(f"n{n}" for n in range(number + 1))]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("way", ["from home", "to home", "between others"])
def test_a_mover_that_dies_loses_nothing_and_another_goes_on(
    opened: Open, step: str, way: str
) -> None:
    store, reader = opened(), opened()
    teach(store, "one")
    source, target = at(store), away(store)[0]
    if way != "from home":
        moving.move(store, ANN, target)
        source, target = target, (away(store)[1] if way == "between others" else source)
    with pytest.raises(Stopped):
        moving.move(store, ANN, target, step=stop_at(step))
    for handle in (reader, opened()):  # one that knows where ann was, and one that does not
        assert held(handle) == ["one"]
        assert handle.users() == ("ann",)
    moving.move(opened(), ANN, target)
    teach(reader, "two")
    assert (at(store), held(store)) == (target, ["one", "two"])
    kinds = {store.finder.plan.home(ANN): "gone", target: "here"}
    assert marks(store) == kinds


@pytest.mark.parametrize("step", STEPS)
def test_whoever_writes_ends_a_move_that_died(opened: Open, step: str) -> None:
    store = opened()
    teach(store, "one")
    source, target = at(store), away(store)[0]
    with pytest.raises(Stopped):
        moving.move(store, ANN, target, step=stop_at(step))
    writer = opened(abandoned=0.05)
    teach(writer, "two")
    assert held(store) == held(writer) == ["one", "two"]
    assert at(store) == (source if step in STEPS[:3] else target)
    third = away(store)[1]
    moving.move(store, ANN, third)  # a copy that came to nothing goes, too
    assert marks(store) == {source: "gone", third: "here"}
    assert held(store) == ["one", "two"]


def test_a_write_waits_for_a_move_and_reads_do_not(opened: Open) -> None:
    store, writer = opened(), opened()
    teach(store, "one")
    target, told = away(store)[0], threading.Event()

    def write() -> None:
        teach(writer, "two")
        told.set()

    thread = threading.Thread(target=write)

    def step(name: str) -> None:
        if name == "copy":
            thread.start()
        if name in ("copy", "switch"):
            assert held(writer) == ["one"]
            assert not told.wait(0.05)
            assert not writer.note(ANN, Entry("n", SAID, AT))

    moving.move(store, ANN, target, step=step)
    thread.join(20)
    assert told.is_set()
    assert held(store) == ["one", "two"]
    with pytest.raises(Stopped):
        moving.move(store, ANN, away(store)[1], step=stop_at("copy"))
    with pytest.raises(StoreUnavailableError, match="being moved"):
        teach(opened(wait=0.05), "three")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("other", ["same", "third", "back", "settle", "write", "erase", "heal"])
def test_two_who_move_at_once_leave_one_copy(opened: Open, step: str, other: str) -> None:
    store, rival = opened(), opened(abandoned=0.0)
    fill(store)
    source, (target, third) = at(store), away(store)
    moving.move(store, ANN, target)
    known = ["one"]

    def between(name: str) -> None:
        if name != step or known[-1] == "done":
            return
        known.append("done")
        if other == "write":
            teach(rival, "more")
        elif other == "erase":
            assert rival.forget_user(ANN).cards == 1
        elif other == "settle":
            moving.settle(rival, ANN, at(rival))
        elif other == "heal":
            rival.finder.heal(ANN)
        else:
            moving.move(rival, ANN, {"same": third, "third": target, "back": source}[other])

    try:
        moving.move(store, ANN, third, step=between)
    except NotFoundError:
        assert other == "erase"
    for handle in (store, rival, opened()):
        wanted = ["one", "more"] if other == "write" else ["one"]
        assert held(handle) == ([] if other == "erase" else wanted)
    kinds = marks(store)
    assert list(kinds.values()).count("here") == (other != "erase")
    assert set(kinds.values()) <= ({"gone", "copy"} if other == "erase" else {"here", "gone"})
    teach(opened(), "late")
    assert held(store)[-1] == "late"
    assert list(marks(store).values()).count("here") == 1


class Story:
    """What happens to ann, in an order that is drawn: moves within moves, deaths, words."""

    def __init__(self, folder: Path, data: st.DataObject) -> None:
        makers = {n: partial(SQLiteStore, folder / f"{n}.db") for n in "abc"}
        self.stores = [ShardedStore(makers, abandoned=0.0) for _ in range(2)]
        for store in self.stores:
            store.bind("test", 4)
        self.data, self.known = data, list[str]()

    def act(self, depth: int) -> None:
        store = self.stores[depth % 2]
        what = self.data.draw(st.sampled_from(["teach", "teach", "move", "move", "erase"]))
        if what == "teach":
            name = f"n{len(self.known)}x{depth}"
            teach(store, name)
            self.known.append(name)
        elif what == "erase":
            store.forget_user(ANN)
            self.known.clear()
        elif self.known:
            self.move(store, depth)
        for handle in self.stores:
            assert held(handle) == self.known
        assert sum(kind in ("here", "going") for kind in marks(store).values()) <= 1

    def move(self, store: ShardedStore, depth: int) -> None:
        moment, dies = self.data.draw(st.sampled_from(STEPS)), self.data.draw(st.booleans())
        begun: list[str] = []

        def step(name: str) -> None:
            if name == moment and not begun:
                begun.append(name)
                if depth < 2:
                    self.act(depth + 1)
                if dies:
                    raise Stopped

        with suppress(Stopped, NotFoundError):
            moving.move(store, ANN, self.data.draw(st.sampled_from("abc")), step=step)


@settings(max_examples=10)
@given(st.data())
def test_any_order_of_moves_deaths_and_words_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    story = Story(tmp_path_factory.mktemp("shards"), data)
    try:
        for _ in range(data.draw(st.integers(1, 6))):
            story.act(0)
    finally:
        for store in story.stores:
            store.close()


def test_moves_that_cannot_be_are_refused(opened: Open) -> None:
    store = opened()
    with pytest.raises(NotFoundError, match="no shard has rows"):
        moving.move(store, ANN, "a")
    teach(store, "one")
    with pytest.raises(InputError, match="known are a, b, c"):
        moving.move(store, ANN, "z")


# Jobs


def test_a_job_moves_with_its_user_and_is_finished_where_it_came_to(opened: Open) -> None:
    store, now = opened(), AT + timedelta(hours=1)
    until = now + timedelta(minutes=1)
    job = Job(ANN, "s", (Turn("t", "user", "always x", AT),), ("k",), AT, AT)
    for session in ("s", "t"):
        store.jobs.put(replace(job, session_id=session), most=9, most_of_user=9)
    (first,) = store.jobs.lease("w", now=now, until=until, most=9)
    assert first.id.startswith(f"{at(store)}:")
    target = away(store)[0]
    moving.move(store, ANN, target)
    assert store.jobs.lease("v", now=now, until=until, most=9) == (), "another job of ann runs"
    assert (store.jobs.backlog(now).running, store.jobs.backlog(now).waiting) == (1, 1)
    with store.write(ANN) as transaction:
        assert transaction.finish(first)
        assert not transaction.finish(first)
    (second,) = store.jobs.lease("w", now=now, until=until, most=9)
    assert (second.session_id, second.id.partition(":")[0]) == ("t", target)
    moving.move(store, ANN, away(store)[1])
    store.jobs.retry(second, "v", due=until, error="E")
    assert store.jobs.of(ANN)[0].error == "", "a lease that is another's"
    store.jobs.retry(second, "w", due=until, error="E")
    (held_back,) = store.jobs.of(ANN)
    assert (held_back.error, held_back.tries) == ("E", 1)
    store.jobs.lease("w", now=until, until=until + timedelta(minutes=1), most=9)
    store.jobs.bury(second, "w", at=now, error="F")
    assert (store.jobs.backlog(now).dead, store.jobs.revive(ANN)) == (1, 1)
    assert store.jobs.finish(second)
    assert store.jobs.of(ANN) == ()


def test_jobs_of_a_user_who_is_being_moved_wait_and_count_once(opened: Open) -> None:
    store, now = opened(), AT + timedelta(hours=1)
    job = Job(ANN, "s", (Turn("t", "user", "always x", AT),), ("k",), AT, AT)
    store.jobs.put(job, most=9, most_of_user=9)
    for step in ("switch", "activate"):
        with pytest.raises(Stopped):
            moving.move(store, ANN, away(store)[0], step=stop_at(step))
        assert store.jobs.lease("w", now=now, until=now + timedelta(minutes=1), most=9) == ()
        assert len(store.jobs.of(ANN)) == 1 or step == "activate"
    moving.move(store, ANN, away(store)[0])
    assert store.jobs.backlog(now).waiting == 1


def test_all_shards_share_the_limit_and_the_oldest_due_comes_first(opened: Open) -> None:
    store = opened()
    users = [UserKey(f"u{n}") for n in range(9)]
    assert len({store.finder.plan.home(user) for user in users}) == 3
    for number, user in enumerate(users):
        at_ = AT + timedelta(seconds=number)
        job = Job(user, "s", (Turn("t", "user", "always x", AT),), ("k",), at_, at_)
        assert store.jobs.put(job, most=9, most_of_user=9) == 0
    now = AT + timedelta(minutes=1)
    found = store.jobs.lease("w", now=now, until=now + timedelta(minutes=1), most=4)
    assert [job.user for job in found] == users[:4]
    store.jobs.release("w")
    last = users[8]
    again = Job(last, "t", (Turn("t", "user", "always y", AT),), ("l",), AT, AT)
    assert store.jobs.put(again, most=9, most_of_user=9) == 1
    assert store.jobs.backlog(now).waiting == 9


# Erasing


def test_erasing_reaches_rows_pointers_and_copies_that_came_to_nothing(
    opened: Open, tmp_path: Path
) -> None:
    store = opened()
    fill(store)
    moving.move(store, ANN, away(store)[0])
    with pytest.raises(Stopped):
        moving.move(store, ANN, away(store)[1], step=stop_at("switch"))
    assert len(marks(store)) == 3
    receipt = store.forget_user(ANN)
    assert (receipt.cards, receipt.jobs, receipt.edits, receipt.listed) == (1, 1, 1, True)
    assert marks(store) == {}
    store.close()
    bytes_ = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for word in (b"use one", b"always x", b"ann"):
        assert word not in bytes_


def test_nothing_is_erased_while_a_shard_is_down_and_others_go_on(
    opened: Open, tmp_path: Path
) -> None:
    store = opened()
    users = [UserKey(f"u{n}") for n in range(12)]
    for user in users:
        teach(store, "one", user)
    homes = {user: at(store, user) for user in users}
    store.close()
    file = tmp_path / "b.db"
    file.rename(tmp_path / "kept")
    file.mkdir()  # cannot be opened
    store = opened()
    for user in users:
        if homes[user] == "b":
            with pytest.raises(StoreUnavailableError, match="'b' is down"):
                store.cards(user)
            with pytest.raises(StoreUnavailableError), store.write(user):
                pass
            assert not store.note(user, Entry("n", SAID, AT))
        else:
            teach(store, "two", user)
            assert held(store, user) == ["one", "two"]
        with pytest.raises(StoreUnavailableError):
            store.forget_user(user)
    with pytest.raises(StoreUnavailableError):
        store.users()
    with pytest.raises(StoreUnavailableError):
        store.jobs.backlog(AT)
    assert store.jobs.lease("w", now=AT, until=AT, most=1) == ()
    assert "b.down" in store.check()
    file.rmdir()
    (tmp_path / "kept").rename(file)
    store = opened()
    assert all(held(store, u) == ["one", "two"][: 1 + (homes[u] != "b")] for u in users)


# The set of shards


def test_a_shard_joins_and_nobody_is_lost(opened: Open) -> None:
    old = opened("a", "b")
    users = [UserKey(f"u{n}") for n in range(16)]
    for user in users:
        teach(old, "one", user)
    placed = next(u for u in users if at(old, u) == "a")
    moving.move(old, placed, "b")
    store, early = opened("a", "b", "c"), opened("a", "b", "c")
    assert store.finder.plan.now == ("a", "b")
    moving.join(store, "c")
    assert [held(store, user) for user in users] == [["one"]] * 16
    for user in users:  # before anybody was moved, by one who knows the plan and one who does not
        teach(store, "two", user)
        teach(early, "three", user)
    moved = {s.user for s in moving.strays(store) if not s.placed}
    assert moved == {u for u in users if home(u, "abc") == "c" and u != placed}
    fresh = [UserKey(f"v{n}") for n in range(12)]
    for user in fresh:
        teach(early, "one", user)
        assert at(store, user) == home(user, ("a", "b", "c"))
        if at(store, user) == "c":
            with pytest.raises(StoreUnavailableError, match="'c' belongs to this memory"):
                teach(old, "two", user)
    assert moving.rebalance(store) == len(moved)
    assert store.finder.plan.before == ()
    for handle in (store, early, opened("c", "b", "a")):
        assert [held(handle, user) for user in users] == [["one", "two", "three"]] * 16
        assert {at(handle, user) for user in moved} == {"c"}
        assert at(handle, placed) == "b"
    assert moving.rebalance(store) == 0
    with pytest.raises(InputError, match="is a home already"):
        moving.join(store, "c")
    with pytest.raises(InputError, match="is not given"):
        moving.join(store, "d")
    with pytest.raises(ConfigError, match="'c' belongs to this memory"):
        opened("a", "b")


def test_a_store_that_has_users_becomes_the_first_shard(tmp_path: Path, opened: Open) -> None:
    alone = SQLiteStore(tmp_path / "a.db")
    alone.bind("test", 4)
    for number in range(9):
        with alone.write(UserKey(f"u{number}")) as transaction:
            transaction.record(Event("k", "learn", (), AT), {})
    alone.close()
    store = opened()
    users = [UserKey(f"u{number}") for number in range(9)]
    assert {at(store, user) for user in users} == {"a"}
    assert moving.rebalance(store) == sum(home(u, ("a", "b", "c")) != "a" for u in users)
    assert [at(store, user) for user in users] == [home(u, ("a", "b", "c")) for u in users]
    assert all(store.known(user, ["k"]) for user in users)


def test_shards_that_do_not_belong_together_are_refused(opened: Open, tmp_path: Path) -> None:
    store = opened()
    teach(store, "one")
    shard = at(store)
    moving.move(store, ANN, away(store)[0])
    store.close()
    with pytest.raises(ConfigError, match="that of 'a'"):
        ShardedStore({"b": partial(SQLiteStore, tmp_path / "a.db")})
    other = opened("a", "b", "d", folder=tmp_path / "other")
    other.close()
    with pytest.raises(ConfigError, match="different memories"):
        ShardedStore({
            **{n: partial(SQLiteStore, tmp_path / f"{n}.db") for n in "abc"},
            "d": partial(SQLiteStore, tmp_path / "other" / "d.db"),
        })  # fmt: skip
    for names in ((), ("a/b",), ("",)):
        with pytest.raises(ConfigError):
            ShardedStore({name: partial(SQLiteStore, tmp_path / "x.db") for name in names})
    alone = SQLiteStore(tmp_path / f"{shard}.db")
    with pytest.raises(ConfigError, match="is the shard"):
        alone.bind("test", 4)
    with pytest.raises(MovedError, match="open the memory with all"), alone.write(ANN):
        pass
    job = Job(ANN, "s", (Turn("t", "user", "always x", AT),), ("k",), AT, AT)
    with pytest.raises(StoreUnavailableError, match="open the memory with all"):
        alone.jobs.put(job, most=9, most_of_user=9)
    alone.close()


# Through the memory and the command line


def test_a_memory_takes_a_list_or_names(
    open_memory: Callable[..., PreferenceMemory], tmp_path: Path
) -> None:
    files = [tmp_path / f"{n}.db" for n in range(3)]
    memory = open_memory(path=files)
    for number in range(6):
        memory.learn([("user", "Always be brief.")], user_id=f"u{number}")
    assert all(len(memory.list(user_id=f"u{n}")) == 1 for n in range(6))
    memory.close()
    memory = open_memory(path={"2": files[2], "0": files[0], "1": files[1]})
    assert all(memory.recall("Hello", user_id=f"u{n}").rules for n in range(6))
    memory.forget_user(user_id="u1")
    memory.close()
    with pytest.raises(ConfigError, match="its own address"):
        open_memory(path=files[::-1])
    with pytest.raises(ConfigError, match="no shard"):
        open_memory(path=[])


def test_a_shard_that_is_down_does_not_stop_the_recalls_of_others(
    open_memory: Callable[..., PreferenceMemory], tmp_path: Path
) -> None:
    files = [tmp_path / f"{n}.db" for n in range(3)]
    names = [f"u{n}" for n in range(9)]
    homes = {name: home(UserKey(name), "012") for name in names}
    memory = open_memory(path=files)
    for name in names:
        memory.learn([("user", "Always be brief.")], user_id=name)
    memory.close()
    files[1].rename(tmp_path / "kept")
    files[1].mkdir()  # cannot be opened
    memory = open_memory(path=files)
    for _ in range(3):
        for name in names:  # more failures in a row than open a breaker
            found = [memory.recall("Hello", user_id=name) for _ in range(7)]
            assert all(bool(recall.rules) == (homes[name] != "1") for recall in found), name
    with pytest.raises(ShardDownError, match="'1' is down"):
        memory.list(user_id=next(name for name in names if homes[name] == "1"))
    files[1].rmdir()


def test_the_commands_say_where_and_move(opened: Open, tmp_path: Path) -> None:
    store = opened("a", "b")
    users = [UserKey(f"u{n}") for n in range(8)]
    for user in users:
        teach(store, "one", user)
    store.close()
    run = CliRunner()
    two = [word for n in "ab" for word in ("--shard", f"{n}={tmp_path / n}.db")]
    three = [*two, "--shard", f"c={tmp_path / 'c'}.db"]

    def told(*words: str, fails: bool = False) -> str:
        result = run.invoke(app, ["shard", *words])
        assert result.exit_code == int(fails), result.output
        return result.output

    assert told("where", "u0", *two).split()[0] == home(users[0], "ab")
    assert "no shard has rows" in told("where", "nobody", *two, fails=True)
    to = "b" if home(users[0], "ab") == "a" else "a"
    assert f"is in '{to}' now" in told("move", "u0", "--to", to, *two)
    assert f"was in '{to}' already" in told("move", "u0", "--to", to, *two)
    assert f'"shard": "{to}"' in told("where", "u0", "--json", *two)
    assert "shard add" in told("list", *three)
    assert "is a home" in told("add", "c", *three)
    assert "rebalance" in told("list", *three)
    wanted = [u.user_id for u in users[1:] if home(u, "abc") == "c"]
    listed = told("rebalance", "--dry-run", *three)
    assert sorted(line.split()[0] for line in listed.splitlines()[:-1]) == wanted
    assert f'"moved": {len(wanted)}' in told("rebalance", "--json", *three)
    assert "0 users would be moved" in told("rebalance", "--dry-run", *three)
    assert told("rebalance", "--dry-run", "--json", *three).strip() == "[]"
    assert '"home": true' in told("list", "--json", *three)
    assert "give all shards a name" in told("list", "-s", "a=x.db", "-s", "y.db", fails=True)
    assert "one name" in told("list", "-s", "a=x.db", "-s", "a=y.db", fails=True)


# PostgreSQL


@pytest.fixture
def on_postgres(dsn: str) -> Iterator[Callable[..., ShardedStore]]:
    """Open shards in schemas of one server; the types of their vectors by name."""
    from prefmem.stores.postgres import PostgresStore

    stores: list[ShardedStore] = []

    def make(word: str, **kinds: Any) -> ShardedStore:  # noqa: ANN401  # types of vectors, or makers
        makers: dict[str, Callable[[], Any]] = {
            name: partial(
                PostgresStore,
                dsn,
                schema=f"{word}_{name}",
                connections=3,
                wait=10,
                vectors="halfvec" if kind == "halfvec" else "bytea",
            )
            if isinstance(kind, str)
            else kind
            for name, kind in kinds.items()
        }
        stores.append(ShardedStore(makers))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def test_it_keeps_the_contract_over_three_postgres_schemas(
    on_postgres: Callable[..., ShardedStore],
) -> None:
    words = iter(("one", "two", "three"))
    check_store(lambda: on_postgres(next(words), a="bytea", b="bytea", c="halfvec"))


def test_a_user_grows_out_of_a_file_into_postgres_and_any_type_of_vector(
    on_postgres: Callable[..., ShardedStore], tmp_path: Path
) -> None:
    file = partial(SQLiteStore, tmp_path / "f.db")
    store = on_postgres("grown", a="bytea", b="halfvec", f=file)
    store.bind("test", 4)
    fill(store)
    moving.move(store, ANN, "f")
    before, shelf, state = rows(tmp_path, "f"), store.shelf(ANN), store.state(ANN)
    events, log, edits = store.events(ANN), store.interactions(ANN), store.edits(ANN)
    (job,) = store.jobs.of(ANN)
    for to in ("a", "b", "a", "f", "b", "f"):
        with pytest.raises(Stopped):
            moving.move(store, ANN, to, step=stop_at("switch"))
        assert moving.move(store, ANN, to)
        assert at(store) == to
        assert np.array_equal(store.shelf(ANN).matrix, shelf.matrix)
        assert store.events(ANN) == events
        assert store.edits(ANN) == edits
        assert [entry.key for entry in store.interactions(ANN)] == [e.key for e in log]
        assert state is not None
        assert np.array_equal((store.state(ANN) or state).evidence, state.evidence)
        assert replace(store.jobs.of(ANN)[0], id="") == replace(job, id="")
    assert rows(tmp_path, "f") == before
    teach(store, "three")
    assert store.numbers(ANN) == {"one": 1, "three": 3}
    assert store.forget_user(ANN).cards == 2
    assert marks(store) == {}
