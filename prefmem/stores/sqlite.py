"""The embedded store: one SQLite file that is the truth about every user.

Acknowledged means on disk (see `sqlitefile`). Deleted bytes are overwritten, and an erasure
rewrites the file, as SQLite leaves copies behind where it moved rows between pages.
"""

import sqlite3
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import numpy as np

from prefmem.errors import (
    BasisMismatchError,
    InputError,
    StoreError,
    StoreUnavailableError,
)
from prefmem.ids import rule_hash
from prefmem.interaction import Entry, KeptEdit, Offer, UserState
from prefmem.job import Job
from prefmem.stores import codec, journal
from prefmem.stores.jobs import SQLiteJobs, remove_dead, remove_job
from prefmem.stores.sqlitefile import SQLiteFile
from prefmem.types import (
    Card,
    Erasure,
    Event,
    EventKind,
    Preference,
    Shelf,
    Status,
    UserKey,
    Vector,
)

_OFFER = "offer:"  # before the id of a recall: key of its offer
_IN_A_QUERY = 500
_COMPACTED_BYTES = 32 * 2**20  # a file of this size is rewritten in about a third of a second
_UNSCRUBBED = "insert or ignore into meta values ('unscrubbed', 1)"
_REWORDED = frozenset({"add", "edit", "restore"})  # changes that may bring another text
_LIVE = "status in ('active', 'candidate', 'quarantined')"


class SQLiteStore:
    """Keeps cards, events and states of many users in one file.

    Safe to use from several threads and, on a local disk, from several processes.

    Args:
        path: The file; it is made if missing. `":memory:"` keeps everything in memory.

    Raises:
        StoreVersionError: A newer prefmem wrote the file, or it is not ours.
        StoreUnavailableError: The file cannot be opened or is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the file and bring its schema up to date."""
        self._file = SQLiteFile(path)
        self._width = 0
        self.jobs = SQLiteJobs(self._file)

    @property
    def path(self) -> str:
        """The file."""
        return self._file.path

    def bind(self, basis: str, width: int) -> None:
        """Tie the store to one vector space, or check that it is tied to this one."""
        with self._file.lock, self._file.explained("read"):
            bound = self._file.meta()
            if "basis" not in bound:
                with self._file.begin():
                    self._file.db.executemany(
                        "insert or ignore into meta values (?, ?)",
                        [("basis", basis), ("width", str(width))],
                    )
                bound = self._file.meta()
        if (bound["basis"], bound["width"]) != (basis, str(width)):
            raise BasisMismatchError(
                f"{self.path} holds vectors of {bound['basis']!r} (width {bound['width']}), this "
                f"memory embeds with {basis!r} (width {width}); open it with the embedder it was "
                "made with, or export its users and load them into a new store"
            )
        self._width = width

    def revision(self, user: UserKey) -> int:
        """Number that changes whenever the user's cards do; 0 for an unknown user."""
        with self._file.lock, self._file.explained("read"):
            row = self._file.db.execute(
                "select rev from users where tenant = ? and ext_id = ?", (user.tenant, user.user_id)
            ).fetchone()
        return int(row[0]) if row else 0

    def shelf(self, user: UserKey, *, status: Status = "active") -> Shelf:
        """Read the vectors of the cards that have a status, ordered by number."""
        with self._file.lock, self._file.explained("read"):
            row = self._file.db.execute(
                "select uid, rev from users where tenant = ? and ext_id = ?",
                (user.tenant, user.user_id),
            ).fetchone()
            uid, revision = (int(row[0]), int(row[1])) if row else (-1, 0)
            rows = self._file.db.execute(
                "select card_id, scope, vec, confidence, coalesce(ends, 9e999), number from cards "
                "where uid = ? and status = ? order by number",
                (uid, status),
            ).fetchall()
        return Shelf(
            revision,
            tuple(r[0] for r in rows),
            np.array([r[1] == "global" for r in rows], dtype=np.bool_),
            np.array([r[3] for r in rows], dtype=np.float32),
            codec.read_vectors([r[2] for r in rows], self._width),
            np.array([r[4] for r in rows], dtype=np.float64),
            np.array([r[5] for r in rows], dtype=np.int64),
        )

    def numbers(self, user: UserKey) -> Mapping[str, int]:
        """Give the number of every card, by card id."""
        with self._file.lock, self._file.explained("read"):
            return dict(
                self._file.db.execute(
                    "select card_id, number from cards where uid = ? order by number",
                    (self._uid(user),),
                ).fetchall()
            )

    def card(self, user: UserKey, card_id: str) -> Card | None:
        """Read one card."""
        found = self.cards(user, ids=(card_id,))
        return found[0] if found else None

    def cards(
        self, user: UserKey, *, ids: Iterable[str] | None = None, status: Status | None = None
    ) -> tuple[Card, ...]:
        """Read cards in the order of saying; only those in `ids`, only those of `status`."""
        rows: list[tuple[int, int, str, str]] = []
        with self._file.lock, self._file.explained("read"):
            uid = self._uid(user)
            if ids is None:
                rows = self._file.db.execute(
                    "select created_seq, place, card_id, body from cards where uid = ? "
                    "and (?2 is null or status = ?2)",
                    (uid, status),
                ).fetchall()
            else:
                wanted = list(dict.fromkeys(ids))
                for start in range(0, len(wanted), _IN_A_QUERY):
                    some = wanted[start : start + _IN_A_QUERY]
                    marks = ",".join("?" * len(some))
                    rows += self._file.db.execute(
                        "select created_seq, place, card_id, body from cards where uid = ? "  # noqa: S608  # only question marks are put in
                        f"and (? is null or status = ?) and card_id in ({marks})",
                        (uid, status, status, *some),
                    ).fetchall()
        return tuple(codec.read_card(body, user.user_id) for *_, body in sorted(rows))

    def known(self, user: UserKey, keys: Sequence[str]) -> frozenset[str]:
        """Say which of these idempotency keys were recorded before."""
        asked = {key: _same(key) for key in keys}
        wanted = list(dict.fromkeys(same for names in asked.values() for same in names))
        found: set[str] = set()
        with self._file.lock, self._file.explained("read"):
            uid = self._uid(user)
            for start in range(0, len(wanted), _IN_A_QUERY):
                some = wanted[start : start + _IN_A_QUERY]
                marks = ",".join("?" * len(some))
                rows = self._file.db.execute(
                    f"select key from events where uid = ? and key in ({marks})",  # noqa: S608  # only question marks are put in
                    (uid, *some),
                ).fetchall()
                found.update(row[0] for row in rows)
            known = {key for key, names in asked.items() if not found.isdisjoint(names)}
            bare = [key for key in keys if key.endswith(":") and key not in known]
            known.update(key for key in bare if self._begins(uid, key))
        return frozenset(known)

    def _begins(self, uid: int, words: str) -> bool:
        """Whether a key `words:x` was recorded; `words:` is that, told without the turn before."""
        found = self._file.db.execute(
            "select 1 from events where uid = ? and key >= ? and key < ? limit 1",
            (uid, words, f"{words[:-1]};"),
        )
        return found.fetchone() is not None

    def events(self, user: UserKey, *, card_id: str | None = None) -> tuple[Event, ...]:
        """Read the log in order; with `card_id` only the changes of that card."""
        with self._file.lock, self._file.explained("read"):
            rows: list[tuple[int, str, EventKind, str, str]] = self._file.db.execute(
                "select seq, key, kind, body, at from events where uid = ? order by seq",
                (self._uid(user),),
            ).fetchall()
        events: list[Event] = []
        for seq, key, kind, body, at in rows:
            changes = codec.read_changes(body, user.user_id)
            if card_id is not None:
                changes = tuple(c for c in changes if c.card.id == card_id)
                if not changes:
                    continue
            events.append(Event(key, kind, changes, datetime.fromisoformat(at), seq))
        return tuple(events)

    def state(self, user: UserKey) -> UserState | None:
        """Read the user's state; None before the first."""
        with self._file.lock, self._file.explained("read"):
            row = self._file.db.execute(
                "select model, basis, session_id, steps, state from users "
                "where tenant = ? and ext_id = ? and state is not null",
                (user.tenant, user.user_id),
            ).fetchone()
        if row is None:
            return None
        model, basis, session_id, steps, blob = row
        return journal.read_state(
            blob, user_id=user.user_id, model=model, basis=basis, session_id=session_id, steps=steps
        )

    def note(self, user: UserKey, entry: Entry) -> bool:
        """Append to the log of interaction what nothing waits for; False where it was dropped.

        It is on disk with the next checkpoint, not at once, and it is dropped where another
        connection is writing, the file cannot be written, or the user is unknown.
        """
        with suppress(sqlite3.Error), self._file.aside() as db:
            uid = self._uid(user, db)
            if uid < 0:
                return False
            db.execute("begin immediate")
            try:
                _append(db, uid, entry)
                db.execute("commit")
                return True
            finally:
                if db.in_transaction:
                    db.execute("rollback")
        return False

    def interactions(
        self, user: UserKey, *, asked: str | None = None, recall_id: str | None = None
    ) -> tuple[Entry, ...]:
        """Read the log of interaction in order; only the newest offer of a query or of a recall."""
        with self._file.lock, self._file.explained("read"):
            wanted, given = "", []
            if asked is not None:
                wanted = "and kind = 'offer' and asked = ? order by seq desc limit 1"
                given = [asked]
            elif recall_id is not None:
                wanted, given = "and key = ?", [f"{_OFFER}{recall_id}"]
            rows = self._file.db.execute(
                "select seq, key, kind, asked, body, at from interactions where uid = ? "  # noqa: S608  # fixed texts
                f"{wanted or 'order by seq'}",
                (self._uid(user), *given),
            ).fetchall()
        return tuple(_entry(row) for row in rows)

    def edits(self, user: UserKey) -> tuple[KeptEdit, ...]:
        """Read the edits that are kept, oldest first."""
        with self._file.lock, self._file.explained("read"):
            rows = self._file.db.execute(
                "select key, context, draft, final, at from edits where uid = ? order by seq",
                (self._uid(user),),
            ).fetchall()
        return tuple(
            KeptEdit(key, context, draft, final, datetime.fromisoformat(at))
            for key, context, draft, final, at in rows
        )

    def noted(self, user: UserKey, key: str) -> bool:
        """Whether the log of interaction holds this key."""
        with self._file.lock, self._file.explained("read"):
            return (
                self._file.db.execute(
                    "select 1 from interactions where uid = ? and key = ?", (self._uid(user), key)
                ).fetchone()
                is not None
            )

    @contextmanager
    def write(self, user: UserKey) -> Generator["SQLiteTransaction", None, None]:
        """Open a transaction; an exception inside undoes all of it."""
        with self._file.lock, self._file.explained("write"), self._file.begin():
            self._file.db.execute(
                "insert or ignore into users (tenant, ext_id) values (?, ?)",
                (user.tenant, user.user_id),
            )
            transaction = SQLiteTransaction(self, self._file.db, user, self._uid(user))
            yield transaction
        if transaction.forgot:
            self._scrub()

    def forget_user(self, user: UserKey) -> Erasure:
        """Remove everything held about a user, and the freed bytes with it."""
        with self._file.lock, self._file.explained("write"):
            with self._file.begin():
                uid = self._uid(user)
                cards, events, offers = (
                    self._file.db.execute(f"delete from {table} where uid = ?", (uid,)).rowcount  # noqa: S608  # three fixed names
                    for table in ("cards", "events", "interactions")
                )
                for table in ("retired", "edits", "jobs"):
                    self._file.db.execute(f"delete from {table} where uid = ?", (uid,))  # noqa: S608  # three fixed names
                self._file.db.execute("delete from users where uid = ?", (uid,))
                self._file.db.execute(_UNSCRUBBED)
            return Erasure(cards, events + offers, self._scrub())

    def checkpoint(self) -> bool:
        """Move the write-ahead log into the file and empty it; False while someone reads."""
        with self._file.lock, self._file.explained("write"):
            busy = self._file.db.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
        return not busy

    def compact(self) -> bool:
        """Rewrite the file without the bytes of what was erased; False while someone reads.

        Takes about 10 ms for each MB, and as much free disk space as the file has.
        """
        with self._file.lock, self._file.explained("write"):
            self._file.db.execute("vacuum")
            done = self.checkpoint()
            if done:
                self._file.db.execute("delete from meta where key = 'unscrubbed'")
        return done

    def users(self, tenant: str = "") -> tuple[str, ...]:
        """List the tenant's user ids."""
        with self._file.lock, self._file.explained("read"):
            rows = self._file.db.execute(
                "select ext_id from users where tenant = ? order by ext_id", (tenant,)
            ).fetchall()
        return tuple(row[0] for row in rows)

    def check(self) -> Mapping[str, str | int]:
        """Report the store's health: schema, basis, counts, and SQLite's own integrity check."""
        with self._file.lock, self._file.explained("read"):
            counts = {
                table: int(self._file.db.execute(f"select count(*) from {table}").fetchone()[0])  # noqa: S608  # six fixed names
                for table in ("users", "cards", "events", "interactions", "edits", "jobs")
            }
            return {
                "schema": int(self._file.db.execute("pragma user_version").fetchone()[0]),
                "integrity": str(self._file.db.execute("pragma integrity_check").fetchone()[0]),
                **self._file.meta(),
                **counts,
            }

    def close(self) -> None:
        """Empty the write-ahead log and close the file; closing twice is fine."""
        with self._file.lock:
            with suppress(
                StoreError, sqlite3.Error
            ):  # closed, or read-only: what was acknowledged is on disk
                self.checkpoint()
                if "unscrubbed" in self._file.meta():
                    self._scrub()
            self._file.close()

    def _scrub(self) -> bool:
        """Clear the bytes of an erasure, if that can be done in passing."""
        with (
            self._file.lock,
            suppress(StoreUnavailableError),
        ):  # locked or full: erased all the same
            pages, size = (
                int(self._file.db.execute(f"pragma {name}").fetchone()[0])
                for name in ("page_count", "page_size")
            )
            if pages * size <= _COMPACTED_BYTES:
                return self.compact()
            self.checkpoint()
        return False

    def _uid(self, user: UserKey, db: sqlite3.Connection | None = None) -> int:
        row = (
            (db or self._file.db)
            .execute(
                "select uid from users where tenant = ? and ext_id = ?", (user.tenant, user.user_id)
            )
            .fetchone()
        )
        return int(row[0]) if row else -1


class SQLiteTransaction:
    """One open transaction of one user; made by `SQLiteStore.write`."""

    def __init__(self, store: SQLiteStore, db: sqlite3.Connection, user: UserKey, uid: int) -> None:
        """Work on the store's connection, which holds the lock."""
        self._store, self._db, self._user, self._uid = store, db, user, uid
        self.forgot = False

    def knows(self, key: str) -> bool:
        """Whether an event with this idempotency key was recorded before."""
        return bool(self._store.known(self._user, (key,)))

    def card(self, card_id: str) -> Card | None:
        """Read a card."""
        return self._store.card(self._user, card_id)

    def twin(self, preference: Preference) -> Card | None:
        """Find the live card that says the same, letter case and spacing aside."""
        row = self._db.execute(
            f"select body from cards where uid = ? and rule_hash = ? and {_LIVE}",  # noqa: S608  # a fixed text
            (self._uid, rule_hash(preference)),
        ).fetchone()
        return codec.read_card(row[0], self._user.user_id) if row else None

    def revision(self) -> int:
        """Number that changes whenever the user's cards do; 0 before the first."""
        return self._store.revision(self._user)

    def record(self, event: Event, vectors: Mapping[str, Vector]) -> None:
        """Append the event and write its cards; a vector changes only where a text may."""
        seq = self._next_seq()
        if event.changes:
            self._touch()
        self._db.execute(
            "insert into events (uid, seq, key, kind, body, at) values (?, ?, ?, ?, ?, ?)",
            (
                self._uid,
                seq,
                event.key,
                event.kind,
                codec.write_changes(event.changes),
                codec.stamp(event.at),
            ),
        )
        for place, change in enumerate(event.changes):
            card = change.card
            if change.op == "remove":
                self._retire(card.id)
            elif change.op in _REWORDED or not self._update(card):
                first = self._first_told(card.id) if change.op == "restore" else (seq, place)
                self._put(card, vectors[card.id], first)

    def state(self) -> UserState | None:
        """Read the user's state; None before the first."""
        return self._store.state(self._user)

    def save_state(self, state: UserState) -> None:
        """Replace the user's state."""
        self._db.execute(
            "update users set model = ?, basis = ?, session_id = ?, steps = ?, state = ? "
            "where uid = ?",
            (
                state.model,
                state.basis,
                state.session_id,
                state.steps,
                journal.write_state(state),
                self._uid,
            ),
        )

    def note(self, entry: Entry) -> bool:
        """Append to the log of interaction; False where it holds the key already."""
        if self._store.noted(self._user, entry.key):
            return False
        _append(self._db, self._uid, entry)
        return True

    def interactions(self) -> tuple[Entry, ...]:
        """Read the log of interaction in order."""
        return self._store.interactions(self._user)

    def keep_edit(self, edit: KeptEdit, *, most: int) -> bool:
        """Keep an edit, and of all the newest `most`; False where its key is known."""
        kept = self._db.execute(
            "insert or ignore into edits (uid, seq, key, context, draft, final, at) "
            "values (?, ?, ?, ?, ?, ?, ?)",
            (
                self._uid,
                self._next_seq(),
                edit.key,
                edit.context,
                edit.draft,
                edit.final,
                codec.stamp(edit.at),
            ),
        ).rowcount
        self._db.execute(
            "delete from edits where uid = ?1 and seq <= coalesce((select seq from edits "
            "where uid = ?1 order by seq desc limit 1 offset ?2), 0)",
            (self._uid, most),
        )
        return bool(kept)

    def numbers(self) -> Mapping[str, int]:
        """Give the number of every card, by card id."""
        return self._store.numbers(self._user)

    def shelf(self) -> Shelf:
        """Read the active cards' vectors as they are now."""
        return self._store.shelf(self._user)

    def finish(self, job: Job) -> bool:
        """Remove a job, together with what this transaction writes; False where it is gone."""
        return remove_job(self._db, self._uid, job)

    def forget(self, card_id: str) -> bool:
        """Remove a card from the cards, every event and every link; False when there is none.

        With a card that edits taught go the kept edits, and with any the dead jobs that hold its
        words.
        """
        held = self.card(card_id)
        name = codec.name_in_changes(card_id)
        rows: list[tuple[int, str]] = self._db.execute(
            "select seq, body from events where uid = ? and instr(body, ?)", (self._uid, name)
        ).fetchall()
        told = any(codec.place_in_changes(body, card_id) is not None for _, body in rows)
        shows_edits = any(codec.shows_edits(body, card_id) for _, body in rows)
        number = self._known_number(card_id)
        if not self._delete(card_id) and not told:
            return False
        if number is not None:
            self._forget_number(number)
            self._db.execute(
                "delete from retired where uid = ? and card_id = ?", (self._uid, card_id)
            )
        if held is not None:
            remove_dead(self._db, self._uid, [e.quote for e in held.preference.evidence])
        if shows_edits:
            self._db.execute("delete from edits where uid = ?", (self._uid,))
        self._db.executemany(
            "update events set body = ? where uid = ? and seq = ?",
            [(codec.without_card(body, card_id), self._uid, seq) for seq, body in rows],
        )
        linked = self._db.execute(
            "select card_id, body from cards where uid = ? and instr(body, ?)", (self._uid, name)
        ).fetchall()
        self._db.executemany(
            "update cards set body = ? where uid = ? and card_id = ?",
            [(codec.without_links(body, card_id), self._uid, other) for other, body in linked],
        )
        self._touch()
        self._db.execute(_UNSCRUBBED)
        self.forgot = True
        return True

    def _forget_number(self, number: int) -> None:
        """Take a card's columns out of the log of interaction, and its evidence out of the state.

        What the card's evidence did to others is in the state still: whoever needs it gone makes
        the state again from the log.
        """
        for entry in self.interactions():
            kept = journal.without_number(entry.payload, number)
            if kept is not entry.payload:
                self._db.execute(
                    "update interactions set body = ? where uid = ? and seq = ?",
                    (journal.write_entry(kept), self._uid, entry.seq),
                )
        state = self.state()
        if state is not None:
            self.save_state(journal.forgotten(state, number))

    def _first_told(self, card_id: str) -> tuple[int, int]:
        """Give the event that tells of a card first, and the card's place in it."""
        rows = self._db.execute(
            "select seq, body from events where uid = ? and instr(body, ?) order by seq",
            (self._uid, codec.name_in_changes(card_id)),
        )
        places = ((seq, codec.place_in_changes(body, card_id)) for seq, body in rows)
        return next((seq, place) for seq, place in places if place is not None)

    def _retire(self, card_id: str) -> None:
        """Remove a card that may come back under its number."""
        self._db.execute(
            "insert or ignore into retired "
            "select uid, card_id, number from cards where uid = ? and card_id = ?",
            (self._uid, card_id),
        )
        self._delete(card_id)

    def _delete(self, card_id: str) -> bool:
        return bool(
            self._db.execute(
                "delete from cards where uid = ? and card_id = ?", (self._uid, card_id)
            ).rowcount
        )

    def _next_seq(self) -> int:
        return _next_seq(self._db, self._uid)

    def _known_number(self, card_id: str) -> int | None:
        """Give the number of a card that is there, or was until it was undone."""
        row = self._db.execute(
            "select number from cards where uid = ?1 and card_id = ?2 "
            "union all select number from retired where uid = ?1 and card_id = ?2",
            (self._uid, card_id),
        ).fetchone()
        return int(row[0]) if row else None

    def _number(self, card_id: str) -> int:
        """Give a card's number, a new one for a new card."""
        known = self._known_number(card_id)
        if known is not None:
            return known
        row = self._db.execute(
            "update users set numbered = numbered + 1 where uid = ? returning numbered",
            (self._uid,),
        ).fetchone()
        return int(row[0])

    def _touch(self) -> None:
        """Give the user a revision that no user of this file ever had.

        A user who was erased and comes back must not meet an old revision: another process may
        still hold its index.
        """
        revision = self._db.execute(
            "update meta set value = value + 1 where key = 'revision' returning value"
        ).fetchone()[0]
        self._db.execute("update users set rev = ? where uid = ?", (int(revision), self._uid))

    def _put(self, card: Card, vector: Vector, first: tuple[int, int]) -> None:
        with _told_apart(card):
            self._db.execute(
                "insert into cards (uid, card_id, rule_hash, scope, status, confidence, "
                "created_seq, place, ends, body, vec, number) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "on conflict (uid, card_id) do update set rule_hash = excluded.rule_hash, "
                "scope = excluded.scope, status = excluded.status, "
                "confidence = excluded.confidence, ends = excluded.ends, "
                "body = excluded.body, vec = excluded.vec",
                (
                    self._uid,
                    card.id,
                    rule_hash(card.preference),
                    card.preference.scope.kind,
                    card.status,
                    card.preference.confidence,
                    *first,
                    _ends(card),
                    codec.write_card(card),
                    codec.write_vector(vector),
                    self._number(card.id),
                ),
            )

    def _update(self, card: Card) -> bool:
        """Write a card whose text is as it was; False when there is none."""
        with _told_apart(card):
            done = self._db.execute(
                "update cards set status = ?, confidence = ?, ends = ?, body = ? "
                "where uid = ? and card_id = ?",
                (
                    card.status,
                    card.preference.confidence,
                    _ends(card),
                    codec.write_card(card),
                    self._uid,
                    card.id,
                ),
            )
        return bool(done.rowcount)


def _same(key: str) -> tuple[str, ...]:
    """Give the names under which a key may have been recorded: `words:x` is `words:`, too."""
    words, colon, before = key.partition(":")
    return (key, f"{words}:") if colon and before else (key,)


def _next_seq(db: sqlite3.Connection, uid: int) -> int:
    row = db.execute(
        "update users set seq = seq + 1 where uid = ? returning seq", (uid,)
    ).fetchone()
    return int(row[0])


def _append(db: sqlite3.Connection, uid: int, entry: Entry) -> None:
    """Write a line of the log of interaction."""
    offer = entry.payload if isinstance(entry.payload, Offer) else None
    db.execute(
        "insert into interactions (uid, seq, key, kind, asked, body, at) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        (
            uid,
            _next_seq(db, uid),
            entry.key if offer is None else f"{_OFFER}{offer.recall_id}",
            "observation" if offer is None else "offer",
            "" if offer is None else offer.asked,
            journal.write_entry(entry.payload),
            codec.stamp(entry.at),
        ),
    )


def _entry(row: tuple[int, str, str, str, bytes, str]) -> Entry:
    seq, key, kind, asked, body, at = row
    when = datetime.fromisoformat(at)
    if kind == "offer":
        recall_id = key.removeprefix(_OFFER)
        offer = journal.read_offer(body, recall_id=recall_id, asked=asked, at=when)
        return Entry(key, offer, when, seq)
    return Entry(key, journal.read_observation(body), when, seq)


def _ends(card: Card) -> float | None:
    return None if card.valid_to is None else card.valid_to.timestamp()


@contextmanager
def _told_apart(card: Card) -> Generator[None, None, None]:
    """Refuse a second live card that says the same."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise InputError(
            f"another card of this user says the same as {card.id!r} would; edit or forget that one"
        ) from error
