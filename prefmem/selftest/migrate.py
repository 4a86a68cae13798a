"""kill -9 before every statement of every migration, from every schema that there ever was."""

import os
import signal
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from prefmem.config import Config
from prefmem.memory import PreferenceMemory
from prefmem.selftest.ground import Finding, Ground, opened, told
from prefmem.selftest.worker import Tell
from prefmem.selftest.workers import Nest
from prefmem.stores.driver import Driver
from prefmem.stores.migrations import MIGRATIONS
from prefmem.stores.seal import OPEN
from prefmem.stores.sqlitefile import APPLICATION_ID, SQLiteFile, statements

_USERS = ("ann", "bob", "ünï")
_LATER = {"interactions": 5, "edits": 5, "state": 5, "jobs": 6}  # schema that first held it
_TEXTS = {  # what a row is called where its text is written
    "cards.body": "card_id", "events.body": "seq", "edits.context": "key", "edits.draft": "key",
    "edits.final": "key", "jobs.body": "session_id",
}  # fmt: skip


class _Counted(sqlite3.Connection):
    """A connection that counts statements, and ends its process before a chosen one."""

    left = -1  # statements that are run yet; never ends below 0
    count = 0

    def execute(self, *given: Any) -> sqlite3.Cursor:  # noqa: ANN401  # as sqlite3 takes it
        if _Counted.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        _Counted.left -= 1
        _Counted.count += 1
        return super().execute(*given)


class _Counting(Driver):
    """Opens connections that count."""

    def connect(self, path: str, *, timeout: float) -> sqlite3.Connection:
        return sqlite3.connect(
            path, timeout=timeout, isolation_level=None, check_same_thread=False, factory=_Counted
        )


def run(ground: Ground, size: int) -> Finding:
    """Kill `size` migrations, each before another statement, and open the file afterwards."""
    newest = Path(ground.target("newest"))
    wanted = _filled(newest)
    points = [
        (version, place)
        for version in range(1, len(MIGRATIONS))
        for place in range(_statements(ground, newest, version))
    ]
    step = max(1.0, len(points) / size)
    chosen = [points[int(number * step)] for number in range(min(size, len(points)))]
    between = differing = broken = old = 0
    errors: list[str] = []
    with Nest() as nest:
        for number, (version, place) in enumerate(chosen, start=1):
            path = Path(ground.target(f"v{version}.{place}"))
            as_of(newest, path, version)
            nest.work("migrate.upgrade", path=str(path), place=place)
            nest.rest()
            reached = _whole_schema(path)
            between += reached is None or reached < version
            old += reached == version
            try:
                found = _held(path)
                broken += not found.pop("sound")
                differing += found != _possible(wanted, version)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is counted
                errors.append(f"schema {version}, statement {place}: {told(error)}")
            for file in path.parent.glob(f"{path.name}*"):
                file.unlink()
            ground.tell("kills", number, len(chosen))
    wrong = between + differing + broken + len(errors)
    return Finding(
        "migrate", not wrong, len(chosen),
        {
            "points": len(points), "between": between, "differing": differing, "broken": broken,
            "errors": len(errors), "still_old": old,
        },
        f"{len(chosen)} kills at {len(points)} statements of {len(MIGRATIONS) - 1} schemas: "
        f"{between} files between two schemas, {differing} with other cards or logs, {broken} not "
        f"sound; {old} were still as before the first step"
        + (f"; {len(errors)} errors, the first: {errors[0]}" if errors else ""),
    )  # fmt: skip


def upgrade(given: Mapping[str, Any], tell: Tell) -> None:
    """Open a file, and die before a statement."""
    del tell
    _Counted.left = int(given["place"])
    SQLiteFile(given["path"], driver=_Counting()).close()


def as_of(newest: Path, path: Path, version: int) -> None:
    """Write a file of an older schema with what of a new one it could hold."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        _make(db, version)
        db.create_function("plain", 3, OPEN.open_text)
        db.execute("attach ? as new", (str(newest),))
        tables = [
            r[0] for r in db.execute("select name from main.sqlite_master where type='table'")
        ]
        db.execute("begin")
        for table in tables:
            if table.startswith("sqlite_"):
                continue
            columns = _columns(db, "main", table) & _columns(db, "new", table)
            if table == "users" and version < _LATER["state"]:
                columns -= {"state", "steps", "basis", "session_id"}
            names = ", ".join(sorted(columns))
            which = "where key not in ('secret', 'listed')" if table == "meta" else ""
            db.execute(
                f"insert or replace into main.{table} ({names}) "  # noqa: S608  # names of the schema
                f"select {names} from new.{table} {which}"
            )
        for column, row in _TEXTS.items():  # as they were before there were checksums
            table, name = column.split(".")
            if table in tables:
                db.execute(f"update main.{table} set {name} = plain({name}, ?, {row})", (column,))  # noqa: S608  # as above
        db.execute("commit")
        db.execute("detach new")


def _filled(path: Path) -> dict[str, Any]:
    """Fill a file with something of every kind; gives what users hold."""
    with _memory(path) as memory:
        for user in _USERS:
            memory.learn([("user", f"Always greet {user}."), ("user", "Hi")], user_id=user)
            card = memory.add("writing SQL", "use CTEs", user_id=user)
            memory.edit(card.id, user_id=user, action="use views")
            gone = memory.add("", "be brief", user_id=user)
            memory.forget(gone.id, user_id=user)
            undone = memory.add("", "use tabs", user_id=user)
            memory.undo(memory.history(undone.id, user_id=user)[0].id, user_id=user)
            recall = memory.recall("writing SQL", user_id=user, session_id="s", strict=True)
            memory.feedback(recall, 1.0, user_id=user, card_id=card.id)
            memory.learn_from_edit("Dear Sir, thanks.", "Hi, thanks.", "a mail", user_id=user)
            memory.learn_later([("user", "Always say bye.")], user_id=user, session_id="later")
    found = _held(path)
    del found["sound"]
    return found


def _held(path: Path) -> dict[str, Any]:
    """Give what users hold, and whether the file is sound."""
    with _memory(path) as memory:
        found: dict[str, Any] = {user: memory.export(user_id=user) for user in _USERS}
        found["sound"] = all(check.ok for check in memory.verify(users=0))
    for user in _USERS:
        del found[user]["exported_at"]
    return found


def _possible(wanted: Mapping[str, Any], version: int) -> dict[str, Any]:
    """Give what a file of an older schema could hold of that."""
    lost = {name for name, first in _LATER.items() if version < first}
    empty = {"state": None}
    return {
        user: {name: empty.get(name, []) if name in lost else value for name, value in held.items()}
        for user, held in wanted.items()
    }


def _memory(path: Path) -> PreferenceMemory:
    return opened(path, config=Config(learn_delay=60))  # what waits goes on waiting


def _statements(ground: Ground, newest: Path, version: int) -> int:
    """Count the statements of an opening that migrates."""
    path = Path(ground.target("counted"))
    as_of(newest, path, version)
    _Counted.left, _Counted.count = -1, 0
    SQLiteFile(path, driver=_Counting()).close()
    count = _Counted.count
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    return count


def _whole_schema(path: Path) -> int | None:
    """Give the version of a file; None where its tables are not those of that version."""
    with (
        closing(sqlite3.connect(path)) as db,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as other,
    ):
        version = int(db.execute("pragma user_version").fetchone()[0])
        _make(other, version)
        return version if _schema(db) == _schema(other) else None


def _schema(db: sqlite3.Connection) -> list[tuple[str, str]]:
    found = db.execute("select name, sql from sqlite_master where sql is not null order by 1")
    return found.fetchall()


def _make(db: sqlite3.Connection, version: int) -> None:
    for step in MIGRATIONS[:version]:
        for statement in statements(step):
            db.execute(statement)
    db.execute(f"pragma user_version = {version}")
    db.execute(f"pragma application_id = {APPLICATION_ID}")


def _columns(db: sqlite3.Connection, schema: str, table: str) -> set[str]:
    return {row[1] for row in db.execute(f"pragma {schema}.table_info({table})").fetchall()}
