"""The audit log, erasures and rebuilding on PostgreSQL, as on a file."""

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from prefmem import PreferenceMemory
from prefmem.stores.erasures import Erased, ErasureFile
from prefmem.types import Rebuilt, UserKey

psycopg = pytest.importorskip("psycopg")
from prefmem.stores.postgres import PostgresStore  # noqa: E402  # once its driver is there

Open = Callable[..., PreferenceMemory]
AT = datetime(2026, 1, 1, tzinfo=UTC)
ANN = UserKey("ann")


@pytest.fixture
def base(dsn: str) -> Iterator[Callable[[str | None], str]]:
    """Give a function that makes a database, a copy of another one if that is named."""
    made: list[str] = []

    def address(name: str) -> str:
        return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))

    def make(of: str | None = None) -> str:
        name = f"d{os.urandom(4).hex()}"
        template = f" template {urlsplit(of).path[1:]}" if of else ""
        with psycopg.connect(dsn, autocommit=True) as server:
            server.execute(f"create database {name}{template}")
        made.append(name)
        return address(name)

    yield make
    with psycopg.connect(dsn, autocommit=True) as server:
        for name in made:
            server.execute(f"drop database {name} with (force)")


def run(address: str, statement: str) -> Any:  # noqa: ANN401  # rows
    with psycopg.connect(address, autocommit=True) as db:
        found = db.execute(f"set search_path to prefmem, public; {statement}")
        return found.fetchall() if found.description else None


def test_a_list_is_replayed_after_the_clock_was_turned_back(
    open_memory: Open, base: Callable[..., str], tmp_path: Path
) -> None:
    live = base()
    with open_memory(store=PostgresStore(live)) as memory:
        for user in ("ann", "bob", "cid"):
            memory.add("", f"greet {user}", user_id=user)
        memory.forget_user(user_id="cid")
        memory.add("", "greet cid again", user_id="cid")
    earlier = base(live)
    with open_memory(store=PostgresStore(live)) as memory:
        receipt = memory.forget_user(user_id="ann", actor="support")
        assert (receipt.cards, receipt.checkpointed, receipt.listed) == (1, False, False)
    store = PostgresStore(live)
    ErasureFile(tmp_path / "list").write(store.erased())
    store.close()

    store = PostgresStore(earlier)
    listed = Erased.read((tmp_path / "list").read_bytes(), "list")
    assert store.replay_erasures(listed, actor="op", at=AT) == 1
    assert store.users() == ("bob", "cid")  # who came back before is not erased for what was
    assert store.replay_erasures(listed, actor="op", at=AT) == 0
    assert [act.action for act in store.acts(ANN)] == ["replay"]
    store.close()


def test_lines_of_many_connections_make_one_chain(
    open_memory: Open, base: Callable[..., str]
) -> None:
    address = base()
    store = PostgresStore(address)
    memory = open_memory(store=store)
    cards = {f"u{n}": memory.add("", "use tabs", user_id=f"u{n}") for n in range(4)}

    def work(user: str) -> None:
        for number in range(10):
            memory.edit(cards[user].id, user_id=user, action=f"use {number} tabs", actor="x")

    threads = [threading.Thread(target=work, args=(user,)) for user in cards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.acts()) == 40
    assert all(check.ok for check in memory.verify())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(address, "set role prefmem_app; delete from audit")
    run(address, "update audit set actor = 'y' where id = (select min(id) + 3 from audit)")
    assert [check.what for check in memory.verify() if not check.ok] == ["audit log"]


def test_damage_is_made_right(open_memory: Open, base: Callable[..., str]) -> None:
    address = base()
    memory = open_memory(store=PostgresStore(address))
    for user in ("ann", "bob"):
        memory.learn([("user", "Always use SI units.")], user_id=user)
        card = memory.add("writing SQL", "use views", user_id=user)
        recall = memory.recall("writing SQL", user_id=user, strict=True)
        memory.feedback(recall, 1.0, user_id=user, card_id=card.id)
    before = run(address, "select * from cards order by uid, card_id")
    assert all(check.ok for check in memory.verify(users=0))
    assert memory.rebuild(user_id="ann") == Rebuilt()
    assert run(address, "select * from cards order by uid, card_id") == before

    where = "where uid = (select uid from users where ext_id = 'ann')"
    run(address, f"update cards set vec = '\\x00' {where}")  # noqa: S608  # fixed texts
    run(address, f"update cards set body = '[' {where} and scope = 'global'")  # noqa: S608  # fixed texts
    run(address, f"update users set state = '\\x0102' {where}")  # noqa: S608  # fixed texts
    assert not memory.verify(users=0)[-1].ok
    done = memory.rebuild(user_id="ann")
    assert (len(done.cards), len(done.vectors), done.removed, done.state) == (1, 2, (), True)
    assert all(check.ok for check in memory.verify(users=0))
    assert run(address, "select * from cards order by uid, card_id") == before
