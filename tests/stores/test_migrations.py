"""Files of every schema that there was: as they were written then, and broken off at every step.

The dumps in `tests/data/stores` were written by prefmem as it was when that schema was the newest.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from prefmem import PreferenceMemory
from prefmem.errors import StoreUnavailableError
from prefmem.selftest.ground import Ground
from prefmem.selftest.migrate import run
from prefmem.stores.backup import restore
from prefmem.stores.driver import Driver
from prefmem.stores.migrations import MIGRATIONS
from prefmem.stores.sqlite import SQLiteStore
from prefmem.stores.sqlitefile import SQLiteFile
from prefmem.testing import Clock, HashEmbedder

Open = Callable[..., PreferenceMemory]
DUMPS = Path(__file__).parents[1] / "data" / "stores"
VERSIONS = range(1, 8)
ANN = [
    ("active", "Use SI units.", 2),  # heard twice
    ("active", "When writing SQL, use views.", 0),
    ("quarantined", "Never use emojis.", 0),
]
GRAMS = "When cooking, use grams."


def written(version: int, path: Path) -> Path:
    """Write the file of an earlier schema."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript((DUMPS / f"schema_{version}.sql").read_text("utf-8"))
    return path


def shape(path: Path) -> tuple[int, list[tuple[str, str]]]:
    """Give the version of a file and its tables, without how a statement was laid out."""
    with closing(sqlite3.connect(path)) as db:
        tables = db.execute(
            "select name, sql from sqlite_master where sql is not null order by name"
        ).fetchall()
        version = int(db.execute("pragma user_version").fetchone()[0])
    return version, [(name, " ".join(sql.replace('"', "").split())) for name, sql in tables]


def test_there_is_a_file_of_every_schema_but_the_newest() -> None:
    held = {int(file.stem.split("_")[1]) for file in DUMPS.glob("schema_*.sql")}
    assert held == set(VERSIONS)
    assert held >= set(range(1, len(MIGRATIONS)))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_held_is_held(open_memory: Open, tmp_path: Path, version: int) -> None:
    path = written(version, tmp_path / "prefs.db")
    memory = open_memory(embedder=HashEmbedder(16))
    cards = memory.list(user_id="ann")
    assert [(c.status, c.text, len(c.preference.evidence)) for c in cards[:3]] == ANN
    assert [c.text for c in cards[3:]] == [GRAMS]
    assert [c.text for c in memory.list(user_id="bob")] == ["Never say é 日本."]
    assert [c.text for c in cards if c.status == "active"] == [ANN[0][1], ANN[1][1], GRAMS]
    views = next(card for card in cards if "views" in card.text)
    assert [event.kind for event in memory.history(views.id, user_id="ann")] == ["add", "edit"]

    held = memory.export(user_id="ann")
    assert len(held["events"]) == (10 if version < 5 else 15)
    assert len(held["interactions"]) == (0 if version < 5 else 3)
    assert len(held["edits"]) == (0 if version < 5 else 1)
    assert (held["state"] is None) == (version < 5)
    assert len(memory.export(user_id="bob")["jobs"]) == (0 if version < 6 else 1)
    assert [check.what for check in memory.verify(users=0) if not check.ok] == []
    for user in ("ann", "bob"):
        assert not memory.rebuild(user_id=user)
    recalled = memory.recall("When cooking, use grams.", user_id="ann")
    assert GRAMS in [rule.text for rule in recalled.rules]
    known = memory.learn([("user", "Always use SI units."), ("user", "Hello")], user_id="ann")
    assert known.skipped == 2
    memory.close()
    new = tmp_path / "new.db"
    SQLiteStore(new).close()
    assert shape(path)[0] == len(MIGRATIONS)
    assert [name for name, _ in shape(path)[1]] == [name for name, _ in shape(new)[1]]
    with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(new)) as fresh:
        for name, _ in shape(path)[1]:
            asked = f"pragma table_info({name})"
            assert sorted(old.execute(asked).fetchall()) == sorted(fresh.execute(asked).fetchall())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_backup_of_any_schema_is_restored(
    open_memory: Open, tmp_path: Path, version: int
) -> None:
    copy, path = written(version, tmp_path / "copy.db"), tmp_path / "prefs.db"
    done = restore(copy, path, at=Clock().now)
    assert (done.erased, done.counts["cards"]) == (0, 5)
    memory = open_memory(embedder=HashEmbedder(16))
    assert len(memory.list(user_id="ann")) == 4
    memory.forget_user(user_id="ann")
    memory.close()
    assert restore(copy, path, replace=True, at=Clock().now).erased == 1
    memory = open_memory(embedder=HashEmbedder(16))
    assert memory.list(user_id="ann") == ()
    assert len(memory.list(user_id="bob")) == 1


class Breaks(Driver):
    """Opens connections on which a chosen statement fails."""

    def __init__(self, left: int) -> None:
        self.left = left

    def connect(self, path: str, *, timeout: float) -> sqlite3.Connection:
        outer = self

        class Connection(sqlite3.Connection):
            def execute(self, *given: Any) -> sqlite3.Cursor:  # noqa: ANN401  # as sqlite3 takes it
                outer.left -= 1
                if outer.left == -1:
                    raise sqlite3.OperationalError("disk I/O error")
                return super().execute(*given)

        return sqlite3.connect(path, timeout=timeout, isolation_level=None, factory=Connection)


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_step_that_fails_leaves_the_schema_before_it(tmp_path: Path, version: int) -> None:
    path = tmp_path / "prefs.db"
    before = written(version, tmp_path / "before").read_bytes()
    shapes: list[tuple[int, list[tuple[str, str]]]] = []
    for end in range(version, len(MIGRATIONS) + 1):  # each schema on the way
        path.write_bytes(before)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("pragma synchronous = off")
            for number in range(version, end):
                db.executescript(MIGRATIONS[number])
                db.execute(f"pragma user_version = {number + 1}")
        shapes.append(shape(path))
        path.unlink()
    seen: set[int] = set()
    place = 0
    while True:
        path.write_bytes(before)
        try:
            SQLiteFile(path, driver=Breaks(place)).close()
        except StoreUnavailableError:
            reached = shape(path)
            assert reached in shapes, f"statement {place} leaves something between two schemas"
            seen.add(reached[0])
        else:
            break
        for file in tmp_path.iterdir():
            file.unlink()
        place += 1
    assert seen == set(range(version, len(MIGRATIONS) + 1))
    assert shape(path) == shapes[-1]


def test_kills_at_some_statements_leave_the_old_or_the_new_schema(tmp_path: Path) -> None:
    found = run(Ground(tmp_path), 4)
    assert found.passed, found.told
    assert found.size == 4
