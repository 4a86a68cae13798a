"""The queue of a store: jobs are rows beside the cards, and leave with their user."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from prefmem.job import LONGEST, PATIENCE, Backlog, Job
from prefmem.stores import codec
from prefmem.stores.base import Base, Connection, Row, Uid
from prefmem.stores.seal import Seal
from prefmem.types import UserKey

_COLUMNS = (
    "jobs.id, tenant, ext_id, jobs.session_id, keys, body, queued_at, due, tries, error, "
    "died_at is not null"
)
_BODY = "jobs.body"
_RUNNING = "(owner <> '' and leased_until > ? and leased_until <= ?)"
_DUE = "(due <= ? or due > ? or (? = 1 and tries = 0))"
_IN_USE = "exists (select 1 from users where users.uid = jobs.uid and moved = '')"
_COUNTED = (
    "exists (select 1 from users where users.uid = jobs.uid "
    "and (moved = '' or substr(moved, 1, 1) = '>'))"
)
_FIRST = (
    "jobs.id = (select min(other.id) from jobs as other where other.uid = jobs.uid "
    "and other.died_at is null)"
)


class RowJobs:
    """Jobs as rows; every change is on disk when the call returns.

    Args:
        base: The store's database.
    """

    def __init__(self, base: Base) -> None:
        """Use the store's database."""
        self._base = base

    def put(self, job: Job, *, most: int, most_of_user: int) -> int:
        """Put a job in, once; gives how many others were dropped to make room.

        A chat waits for it, so it asks little of the database: each statement may cost a turn at
        Python's interpreter lock.
        """
        with self._base.write_all() as db:
            uid = self._base.enter(db, job.user)
            seal = self._base.seal(db, job.user, uid, writing=True)
            names = [seal.key(key, "jobs.keys") for key in job.keys]
            keys = set(names)
            rows = db.execute(
                "select jobs.id, session_id, keys, queued_at, "
                "tries = 0 and owner = '' and died_at is null from jobs where uid = ? order by id",
                (uid,),
            ).fetchall()
            mine = [(row, set(json.loads(row[2]))) for row in rows if row[1] == job.session_id]
            if any(keys <= theirs for _, theirs in mine):
                return 0
            replaced = [row for row, theirs in mine if row[4] and theirs <= keys]
            if replaced:
                _replace(db, replaced, job, names, seal)
                return 0
            dropped = 0
            total = int(db.execute("select count(*) from jobs").fetchone()[0])
            if len(rows) >= most_of_user or total >= most:
                dropped = _drop_some(db, most_of_user, "uid = ?", uid)
                dropped += _drop_some(db, most, "1 = ?", 1)
            db.execute(
                "insert into jobs (uid, session_id, keys, body, queued_at, due) "
                "values (?, ?, ?, ?, ?, ?)",
                (
                    uid,
                    job.session_id,
                    json.dumps(names),
                    _body(job, seal),
                    job.queued_at.timestamp(),
                    job.due.timestamp(),
                ),
            )
            return dropped

    def lease(
        self, owner: str, *, now: datetime, until: datetime, most: int, hurry: bool = False
    ) -> tuple[Job, ...]:
        """Take due jobs: the first of each user that has none running, the oldest due first."""
        found, given = self._found("jobs.id, jobs.uid", now, most, hurry=hurry)
        if not self._base.read_all(lambda db: db.execute(found, given).fetchone()):
            return ()  # most often: then nobody waits for a lock
        with self._base.write_all() as db:
            rows = db.execute(f"{found}{self._base.locking}", given).fetchall()
            db.executemany(
                "update jobs set owner = ?, leased_until = ?, tries = tries + 1 "
                "where id = ? and uid = ?",
                [(owner, until.timestamp(), *row) for row in rows],
            )
            return tuple(job for row in rows for job in self._read(db, "jobs.id = ?", row[0]))

    def due(self, *, now: datetime, most: int, hurry: bool = False) -> tuple[float, ...]:
        """Give when the jobs that `lease` would take were due, in its order."""
        found, given = self._found("due", now, most, hurry=hurry)
        return self._base.read_all(
            lambda db: tuple(row[0] for row in db.execute(found, given).fetchall())
        )

    def held(self) -> int:
        """Count all rows."""
        asked = "select count(*) from jobs"
        return self._base.read_all(lambda db: int(db.execute(asked).fetchone()[0]))

    def extend(self, owner: str, *, until: datetime) -> None:
        """Hold the owner's leases for longer."""
        self._change("leased_until = ? where owner = ?", until.timestamp(), owner)

    def release(self, owner: str) -> None:
        """Give back the owner's leases, as if the jobs had not been begun."""
        self._change(
            "owner = '', leased_until = 0, "
            "tries = case when tries > 0 then tries - 1 else 0 end where owner = ?",
            owner,
        )

    def retry(self, job: Job, owner: str, *, due: datetime, error: str) -> None:
        """Put a leased job back for later; nothing where the owner lost the lease."""
        self._put_back(job, owner, "due", due, error)

    def bury(self, job: Job, owner: str, *, at: datetime, error: str) -> None:
        """Try a leased job no more, but keep it; nothing where the owner lost the lease."""
        self._put_back(job, owner, "died_at", at, error)

    def finish(self, job: Job) -> bool:
        """Remove a job; False where it is gone."""
        with self._base.write_all() as db:
            return remove_job(self._base, db, self._known(db, job.user), job)

    def revive(self, user: UserKey) -> int:
        """Try the dead jobs of a user again, as if new; gives how many."""
        with self._base.write_all() as db:
            return db.execute(
                "update jobs set died_at = null, tries = 0, due = queued_at "
                "where uid = ? and died_at is not null",
                (self._known(db, user),),
            ).rowcount

    def purge(self, before: datetime) -> int:
        """Remove the jobs that died before a time; gives how many."""
        with self._base.write_all() as db:
            return db.execute("delete from jobs where died_at < ?", (before.timestamp(),)).rowcount

    def of(self, user: UserKey) -> tuple[Job, ...]:
        """Read a user's jobs in order, the dead ones among them."""
        return self._base.read_all(
            lambda db: self._read(db, "jobs.uid = ?", self._base.uid(db, user))
        )

    def backlog(self, now: datetime) -> Backlog:
        """Count what waits, of all users."""
        times = _times(now)

        def count(db: Connection) -> Row:
            waits = f"died_at is null and not {_RUNNING}"
            found: Row = db.execute(
                f"select coalesce(sum(case when {waits} then 1 else 0 end), 0), "  # noqa: S608  # fixed texts
                f"coalesce(sum(case when died_at is null and {_RUNNING} then 1 else 0 end), 0), "
                "coalesce(sum(case when died_at is not null then 1 else 0 end), 0), "
                f"min(case when {waits} then queued_at end), min(case when {waits} then due end) "
                f"from jobs where {_COUNTED if self._base.shard else '1 = 1'}",
                times * 4,
            ).fetchone()
            return found

        waiting, running, dead, oldest, due = self._base.read_all(count)
        return Backlog(int(waiting), int(running), int(dead), _moment(oldest), _moment(due))

    def _found(
        self, columns: str, now: datetime, most: int, *, hurry: bool
    ) -> tuple[str, tuple[float, ...]]:
        """Give the query for the jobs that may begin, and what it is given."""
        times = _times(now)
        here = f"and {_IN_USE} " if self._base.shard else ""
        return (
            f"select {columns} from jobs where died_at is null and {_DUE} "  # noqa: S608  # fixed texts
            f"and not {_RUNNING} and {_FIRST} {here}order by due, jobs.id limit ?",
            (*times, int(hurry), *times, most),
        )

    def _known(self, db: Connection, user: UserKey) -> Uid:
        """Give what stands for a user whose jobs are changed; in a shard, the rows must be here."""
        return self._base.enter(db, user) if self._base.shard else self._base.uid(db, user)

    def _put_back(self, job: Job, owner: str, column: str, at: datetime, error: str) -> None:
        with self._base.write_all() as db:
            which, given = _which(self._base, db, self._known(db, job.user), job)
            db.execute(
                f"update jobs set owner = '', leased_until = 0, {column} = ?, error = ? "  # noqa: S608  # fixed texts
                f"where {which} and owner = ?",
                (at.timestamp(), error, *given, owner),
            )

    def _change(self, how: str, *given: str | float) -> None:
        with self._base.write_all() as db:
            db.execute(f"update jobs set {how}", given)  # noqa: S608  # fixed texts

    def _read(self, db: Connection, which: str, value: Uid) -> tuple[Job, ...]:
        rows = db.execute(
            f"select {_COLUMNS}, jobs.uid from jobs join users using (uid) "  # noqa: S608  # fixed texts
            f"where {which} order by jobs.id",
            (value,),
        ).fetchall()
        return tuple(self._job(db, row) for row in rows)

    def _job(self, db: Connection, row: Row) -> Job:
        number, tenant, user_id, session_id, keys, body, queued_at, due, tries, error, dead, uid = (
            row
        )
        user = UserKey(user_id, tenant)
        seal = self._base.seal(db, user, uid)
        turns = codec.read_turns(seal.open_text(body, _BODY, session_id))
        named = tuple(seal.open_key(key, "jobs.keys") for key in json.loads(keys))
        return Job(
            user, session_id, turns, named,
            datetime.fromtimestamp(queued_at, UTC), datetime.fromtimestamp(due, UTC),
            f"{self._base.shard}:{number}" if self._base.shard else str(number), tries, error,
            bool(dead),
        )  # fmt: skip


def remove_job(base: Base, db: Connection, uid: Uid, job: Job) -> bool:
    """Remove a job of a user within an open transaction; False where it is gone."""
    which, given = _which(base, db, uid, job)
    return bool(db.execute(f"delete from jobs where {which}", given).rowcount)  # noqa: S608  # fixed texts


def _which(base: Base, db: Connection, uid: Uid, job: Job) -> tuple[str, tuple[Uid, ...]]:
    """Say which row a job is; one that moved here meanwhile is known by what it holds."""
    shard, _, number = job.id.rpartition(":")
    if shard == base.shard:
        return "id = ? and uid = ?", (int(number), uid)
    seal = base.seal(db, job.user, uid)
    keys = json.dumps([seal.key(key, "jobs.keys") for key in job.keys])
    return "uid = ? and session_id = ? and keys = ?", (uid, job.session_id, keys)


def remove_dead(db: Connection, uid: Uid, quotes: Iterable[str], seal: Seal) -> None:
    """Remove the dead jobs of a user that hold one of these quotes, within an open transaction."""
    rows = db.execute(
        "select id, session_id, body from jobs where uid = ? and died_at is not null", (uid,)
    )
    wanted = [quote for quote in quotes if quote]
    for number, session_id, body in rows.fetchall():
        told = codec.read_turns(seal.open_text(body, _BODY, session_id))
        said = [turn.text for turn in told]
        if any(quote in text for quote in wanted for text in said):
            db.execute("delete from jobs where id = ? and uid = ?", (number, uid))


def _replace(
    db: Connection, rows: Sequence[Row], job: Job, names: Sequence[str], seal: Seal
) -> None:
    """Put a job in the place of the waiting ones that it holds all of."""
    first, *others = rows
    delay = (job.due - job.queued_at).total_seconds()
    db.execute(
        "update jobs set keys = ?, body = ?, due = ? where id = ?",
        (
            json.dumps(names),
            _body(job, seal),
            min(job.due.timestamp(), first[3] + PATIENCE * delay),
            first[0],
        ),
    )
    for other in others:
        db.execute("delete from jobs where id = ?", (other[0],))


def _body(job: Job, seal: Seal) -> str:
    return seal.text(codec.write_turns(job.turns), _BODY, job.session_id)


def _drop_some(db: Connection, most: int, among: str, value: Uid) -> int:
    """Make room for one more: dead ones first, then those never begun, each by age."""
    held = db.execute(f"select count(*) from jobs where {among}", (value,)).fetchone()[0]  # noqa: S608  # fixed texts
    if held + 1 <= most:
        return 0
    return db.execute(
        f"delete from jobs where id in (select id from jobs where {among} "  # noqa: S608  # fixed texts
        "and owner = '' order by died_at is null, tries > 0, id limit ?)",
        (value, held + 1 - most),
    ).rowcount


def _times(now: datetime) -> tuple[float, float]:
    return now.timestamp(), (now + LONGEST).timestamp()


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
