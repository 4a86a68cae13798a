"""The queue of an SQLite store: jobs are rows beside the cards, and leave with their user."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from prefmem.job import LONGEST, PATIENCE, Backlog, Job
from prefmem.stores import codec
from prefmem.stores.sqlitefile import SQLiteFile
from prefmem.types import UserKey

_COLUMNS = (
    "jobs.id, tenant, ext_id, jobs.session_id, keys, body, queued_at, due, tries, error, "
    "died_at is not null"
)
_RUNNING = "(owner <> '' and leased_until > :now and leased_until <= :far)"
_DUE = "(due <= :now or due > :far or (:hurry and tries = 0))"
_FIRST = (
    "jobs.id = (select min(id) from jobs as other where other.uid = jobs.uid "
    "and other.died_at is null)"
)


class SQLiteJobs:
    """Jobs as rows; every change is on disk when the call returns.

    Args:
        file: The store's file.
    """

    def __init__(self, file: SQLiteFile) -> None:
        """Use the store's connection."""
        self._file = file

    def put(self, job: Job, *, most: int, most_of_user: int) -> int:
        """Put a job in, once; gives how many others were dropped to make room.

        A chat waits for it, so it asks little of the database: each statement may cost a turn at
        Python's interpreter lock.
        """
        keys = set(job.keys)
        with self._file.lock, self._file.explained("write"), self._file.begin():
            self._file.db.execute(
                "insert or ignore into users (tenant, ext_id) values (?, ?)",
                (job.user.tenant, job.user.user_id),
            )
            rows = self._file.db.execute(
                "select jobs.id, jobs.session_id, keys, queued_at, "
                "tries = 0 and owner = '' and died_at is null, (select count(*) from jobs) "
                "from users left join jobs using (uid) where tenant = ? and ext_id = ? "
                "order by jobs.id",
                (job.user.tenant, job.user.user_id),
            ).fetchall()
            held, total = [row for row in rows if row[0] is not None], rows[0][5]
            mine = [(row, set(json.loads(row[2]))) for row in held if row[1] == job.session_id]
            if any(keys <= theirs for _, theirs in mine):
                return 0
            replaced = [row for row, theirs in mine if row[4] and theirs <= keys]
            if replaced:
                self._replace(replaced, job)
                return 0
            dropped = 0
            if len(held) >= most_of_user or total >= most:
                dropped = self._drop(self._uid(job.user), most, most_of_user)
            self._file.db.execute(
                "insert into jobs (uid, session_id, keys, body, queued_at, due) "
                "select uid, ?, ?, ?, ?, ? from users where tenant = ? and ext_id = ?",
                (
                    job.session_id,
                    json.dumps(job.keys),
                    codec.write_turns(job.turns),
                    job.queued_at.timestamp(),
                    job.due.timestamp(),
                    job.user.tenant,
                    job.user.user_id,
                ),
            )
            return dropped

    def lease(
        self, owner: str, *, now: datetime, until: datetime, most: int, hurry: bool = False
    ) -> tuple[Job, ...]:
        """Take due jobs: the first of each user that has none running, the oldest due first."""
        given = {**_times(now), "hurry": hurry, "most": most}
        found = (
            f"select {_COLUMNS} from jobs join users using (uid) "  # noqa: S608  # fixed texts
            f"where died_at is null and {_DUE} and not {_RUNNING} and {_FIRST} "
            "order by due, jobs.id limit :most"
        )
        with self._file.lock, self._file.explained("write"):
            if not self._file.db.execute(found, given).fetchone():
                return ()  # most often: then nobody waits for a lock
            with self._file.begin():
                rows = self._file.db.execute(found, given).fetchall()
                self._file.db.executemany(
                    "update jobs set owner = ?, leased_until = ?, tries = tries + 1 where id = ?",
                    [(owner, until.timestamp(), row[0]) for row in rows],
                )
                ids = [row[0] for row in rows]
        return tuple(job for job in map(self._read, ids) if job is not None)

    def extend(self, owner: str, *, until: datetime) -> None:
        """Hold the owner's leases for longer."""
        self._change("leased_until = ? where owner = ?", until.timestamp(), owner)

    def release(self, owner: str) -> None:
        """Give back the owner's leases, as if the jobs had not been begun."""
        self._change(
            "owner = '', leased_until = 0, tries = max(0, tries - 1) where owner = ?", owner
        )

    def retry(self, job: Job, owner: str, *, due: datetime, error: str) -> None:
        """Put a leased job back for later; nothing where the owner lost the lease."""
        self._change(
            "owner = '', leased_until = 0, due = ?, error = ? where id = ? and owner = ?",
            due.timestamp(), error, int(job.id), owner,
        )  # fmt: skip

    def bury(self, job: Job, owner: str, *, at: datetime, error: str) -> None:
        """Try a leased job no more, but keep it; nothing where the owner lost the lease."""
        self._change(
            "owner = '', leased_until = 0, died_at = ?, error = ? where id = ? and owner = ?",
            at.timestamp(), error, int(job.id), owner,
        )  # fmt: skip

    def finish(self, job: Job) -> bool:
        """Remove a job; False where it is gone."""
        with self._file.lock, self._file.explained("write"), self._file.begin():
            return remove_job(self._file.db, self._uid(job.user), job)

    def revive(self, user: UserKey) -> int:
        """Try the dead jobs of a user again, as if new; gives how many."""
        with self._file.lock, self._file.explained("read"):
            uid = self._uid(user)
        return self._change(
            "died_at = null, tries = 0, due = queued_at where uid = ? and died_at is not null", uid
        )

    def purge(self, before: datetime) -> int:
        """Remove the jobs that died before a time; gives how many."""
        with self._file.lock, self._file.explained("write"), self._file.begin():
            return self._file.db.execute(
                "delete from jobs where died_at < ?", (before.timestamp(),)
            ).rowcount

    def of(self, user: UserKey) -> tuple[Job, ...]:
        """Read a user's jobs in order, the dead ones among them."""
        with self._file.lock, self._file.explained("read"):
            rows = self._file.db.execute(
                f"select {_COLUMNS} from jobs join users using (uid) "  # noqa: S608  # fixed texts
                "where uid = ? order by jobs.id",
                (self._uid(user),),
            ).fetchall()
        return tuple(_job(row) for row in rows)

    def backlog(self, now: datetime) -> Backlog:
        """Count what waits, of all users."""
        with self._file.lock, self._file.explained("read"):
            waiting, running, dead, oldest, due = self._file.db.execute(
                f"select coalesce(sum(died_at is null and not {_RUNNING}), 0), "  # noqa: S608  # fixed texts
                f"coalesce(sum(died_at is null and {_RUNNING}), 0), "
                "coalesce(sum(died_at is not null), 0), "
                f"min(case when died_at is null and not {_RUNNING} then queued_at end), "
                f"min(case when died_at is null and not {_RUNNING} then due end) from jobs",
                _times(now),
            ).fetchone()
        return Backlog(waiting, running, dead, _moment(oldest), _moment(due))

    def _uid(self, user: UserKey) -> int:
        row = self._file.db.execute(
            "select uid from users where tenant = ? and ext_id = ?", (user.tenant, user.user_id)
        ).fetchone()
        return int(row[0]) if row else -1

    def _replace(self, rows: Sequence[tuple[Any, ...]], job: Job) -> None:
        """Put a job in the place of the waiting ones that it holds all of."""
        first, *others = rows
        delay = (job.due - job.queued_at).total_seconds()
        self._file.db.execute(
            "update jobs set keys = ?, body = ?, due = ? where id = ?",
            (
                json.dumps(job.keys),
                codec.write_turns(job.turns),
                min(job.due.timestamp(), first[3] + PATIENCE * delay),
                first[0],
            ),
        )
        for other in others:
            self._file.db.execute("delete from jobs where id = ?", (other[0],))

    def _drop(self, uid: int, most: int, most_of_user: int) -> int:
        """Make room for one more, of the user and in all."""
        return self._drop_some(most_of_user, "uid = ?", uid) + self._drop_some(most, "?", 1)

    def _drop_some(self, most: int, among: str, value: int) -> int:
        """Make room for one more: dead ones first, then those never begun, each by age."""
        db = self._file.db
        held = db.execute(f"select count(*) from jobs where {among}", (value,)).fetchone()[0]  # noqa: S608  # fixed texts
        return db.execute(
            f"delete from jobs where id in (select id from jobs where {among} "  # noqa: S608  # fixed texts
            "and owner = '' order by died_at is null, tries > 0, id limit ?)",
            (value, max(0, held + 1 - most)),
        ).rowcount

    def _change(self, how: str, *given: str | float) -> int:
        with self._file.lock, self._file.explained("write"), self._file.begin():
            return self._file.db.execute(f"update jobs set {how}", given).rowcount  # noqa: S608  # fixed texts

    def _read(self, number: int) -> Job | None:
        with self._file.lock, self._file.explained("read"):
            row = self._file.db.execute(
                f"select {_COLUMNS} from jobs join users using (uid) where jobs.id = ?",  # noqa: S608  # fixed texts
                (number,),
            ).fetchone()
        return _job(row) if row else None


def remove_job(db: sqlite3.Connection, uid: int, job: Job) -> bool:
    """Remove a job of a user within an open transaction; False where it is gone."""
    done = db.execute("delete from jobs where id = ? and uid = ?", (int(job.id), uid))
    return bool(done.rowcount)


def remove_dead(db: sqlite3.Connection, uid: int, quotes: Iterable[str]) -> None:
    """Remove the dead jobs of a user that hold one of these quotes, within an open transaction."""
    rows = db.execute("select id, body from jobs where uid = ? and died_at is not null", (uid,))
    wanted = [quote for quote in quotes if quote]
    for number, body in rows.fetchall():
        said = [turn.text for turn in codec.read_turns(body)]
        if any(quote in text for quote in wanted for text in said):
            db.execute("delete from jobs where id = ?", (number,))


def _times(now: datetime) -> Mapping[str, float]:
    return {"now": now.timestamp(), "far": (now + LONGEST).timestamp()}


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _job(row: tuple[int, str, str, str, str, str, float, float, int, str, int]) -> Job:
    number, tenant, user_id, session_id, keys, body, queued_at, due, tries, error, dead = row
    return Job(
        UserKey(user_id, tenant), session_id, codec.read_turns(body), tuple(json.loads(keys)),
        datetime.fromtimestamp(queued_at, UTC), datetime.fromtimestamp(due, UTC),
        str(number), tries, error, bool(dead),
    )  # fmt: skip
