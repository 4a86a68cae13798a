"""What is held about one user, read from rows; the same statements on SQLite and PostgreSQL."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import numpy as np

from prefmem.interaction import Entry, KeptEdit, Offer, UserState
from prefmem.stores import codec, journal
from prefmem.stores.base import Connection, Row, Uid, Vectors
from prefmem.stores.places import revision
from prefmem.stores.seal import Seal
from prefmem.types import Card, Event, Shelf, Status, UserKey

OFFER = "offer:"  # before the id of a recall: key of its offer
EDIT_TEXTS = ("context", "draft", "final")
IN_A_QUERY = 500


class Rows:
    """The rows of one user, on a connection within a transaction."""

    def __init__(
        self,
        db: Connection,
        user: UserKey,
        uid: Uid,
        seal: Seal,
        vectors: Vectors,
        width: int,
        shard: str = "",
    ) -> None:
        """Look at the rows of a user."""
        self.shard = shard
        self.db, self.user, self.uid, self.seal = db, user, uid, seal
        self.vectors, self.width = vectors, width

    def revision(self) -> int:
        """Number that changes whenever the user's cards do; 0 before the first."""
        row = self.db.execute("select rev from users where uid = ?", (self.uid,)).fetchone()
        return revision(self.shard, int(row[0])) if row else 0

    def shelf(self, status: Status = "active") -> Shelf:
        """Read the vectors of the cards that have a status, ordered by number."""
        held = self.revision()
        rows: list[Row] = self.db.execute(
            f"select card_id, scope, {self.vectors.column}, confidence, ends, number from cards "  # noqa: S608  # a fixed text
            "where uid = ? and status = ?",
            (self.uid, status),
        ).fetchall()
        rows.sort(key=itemgetter(5))  # quicker than in the database, which would move the vectors
        return Shelf(
            held,
            tuple(r[0] for r in rows),
            np.array([r[1] == "global" for r in rows], dtype=np.bool_),
            np.array([r[3] for r in rows], dtype=np.float32),
            self.vectors.read([(r[0], r[2]) for r in rows], self.width, self.seal),
            np.array([np.inf if r[4] is None else r[4] for r in rows], dtype=np.float64),
            np.array([r[5] for r in rows], dtype=np.int64),
        )

    def numbers(self) -> Mapping[str, int]:
        """Give the number of every card, by card id."""
        rows = self.db.execute(
            "select card_id, number from cards where uid = ? order by number", (self.uid,)
        ).fetchall()
        return dict(rows)

    def numbered(self) -> int:
        """Give the last number of a card; 0 before the first."""
        row = self.db.execute("select numbered from users where uid = ?", (self.uid,)).fetchone()
        return int(row[0]) if row else 0

    def card(self, card_id: str) -> Card | None:
        """Read one card."""
        found = self.cards(ids=(card_id,))
        return found[0] if found else None

    def cards(
        self, *, ids: Iterable[str] | None = None, status: Status | None = None
    ) -> tuple[Card, ...]:
        """Read cards in the order of saying; only those in `ids`, only those of `status`."""
        asked = "select created_seq, place, card_id, body from cards where uid = ?"
        given: tuple[Any, ...] = (self.uid,)
        if status is not None:
            asked, given = f"{asked} and status = ?", (self.uid, status)
        rows: list[tuple[int, int, str, str]] = []
        if ids is None:
            rows = self.db.execute(asked, given).fetchall()
        else:
            for some in _parts(ids):
                marks = ",".join("?" * len(some))
                rows += self.db.execute(
                    f"{asked} and card_id in ({marks})", (*given, *some)
                ).fetchall()
        return tuple(self.read_card(card_id, body) for _, _, card_id, body in sorted(rows))

    def read_card(self, card_id: str, body: str) -> Card:
        """Read a card's body."""
        told = self.seal.open_text(body, "cards.body", card_id)
        return codec.read_card(told, self.user.user_id)

    def known(self, keys: Sequence[str]) -> frozenset[str]:
        """Say which of these idempotency keys were recorded before."""
        asked = {key: tuple(self.key(name) for name in _same(key)) for key in keys}
        found: set[str] = set()
        for some in _parts(same for names in asked.values() for same in names):
            marks = ",".join("?" * len(some))
            rows = self.db.execute(
                f"select key from events where uid = ? and key in ({marks})",  # noqa: S608  # only question marks are put in
                (self.uid, *some),
            ).fetchall()
            found.update(row[0] for row in rows)
        known = {key for key, names in asked.items() if not found.isdisjoint(names)}
        bare = [key for key in keys if key.endswith(":") and key not in known]
        known.update(key for key in bare if self._begins(asked[key][0]))
        return frozenset(known)

    def events(self, card_id: str | None = None) -> tuple[Event, ...]:
        """Read the log in order; with `card_id` only the changes of that card."""
        rows = self.db.execute(
            "select seq, key, kind, body, at from events where uid = ? order by seq", (self.uid,)
        ).fetchall()
        events: list[Event] = []
        for seq, key, kind, body, at in rows:
            told = self.seal.open_text(body, "events.body", seq)
            changes = codec.read_changes(told, self.user.user_id)
            if card_id is not None:
                changes = tuple(c for c in changes if c.card.id == card_id)
                if not changes:
                    continue
            name = self.seal.open_key(key, "events.key")
            events.append(Event(name, kind, changes, datetime.fromisoformat(at), seq))
        return tuple(events)

    def bodies(self) -> Iterator[tuple[int, str]]:
        """Read the changes of every event as they are stored, in order."""
        rows = self.db.execute(
            "select seq, body from events where uid = ? order by seq", (self.uid,)
        ).fetchall()
        return ((seq, self.seal.open_text(body, "events.body", seq)) for seq, body in rows)

    def state(self) -> UserState | None:
        """Read the user's state; None before the first."""
        row = self.db.execute(
            "select model, basis, session_id, steps, state from users "
            "where uid = ? and state is not null",
            (self.uid,),
        ).fetchone()
        if row is None:
            return None
        model, basis, session_id, steps, blob = row
        return journal.read_state(
            self.seal.open_blob(blob, "users.state"), user_id=self.user.user_id, model=model,
            basis=basis, session_id=session_id, steps=steps,
        )  # fmt: skip

    def interactions(
        self, *, asked: str | None = None, recall_id: str | None = None
    ) -> tuple[Entry, ...]:
        """Read the log of interaction in order; only the newest offer of a query or of a recall."""
        wanted, given = "order by seq", tuple[Any, ...]((self.uid,))
        if asked is not None:
            wanted = "and kind = 'offer' and asked = ? order by seq desc limit 1"
            given = (self.uid, self.seal.key(asked, "interactions.asked"))
        elif recall_id is not None:
            name = self.seal.key(f"{OFFER}{recall_id}", "interactions.key")
            wanted, given = "and key = ?", (self.uid, name)
        rows = self.db.execute(
            f"select seq, key, kind, asked, body, at from interactions where uid = ? {wanted}",  # noqa: S608  # fixed texts
            given,
        ).fetchall()
        return tuple(self._entry(row) for row in rows)

    def noted(self, key: str) -> bool:
        """Whether the log of interaction holds this key."""
        found = self.db.execute(
            "select 1 from interactions where uid = ? and key = ?",
            (self.uid, self.seal.key(key, "interactions.key")),
        )
        return found.fetchone() is not None

    def edits(self) -> tuple[KeptEdit, ...]:
        """Read the edits that are kept, oldest first."""
        rows = self.db.execute(
            "select key, context, draft, final, at from edits where uid = ? order by seq",
            (self.uid,),
        ).fetchall()
        return tuple(self._edit(row) for row in rows)

    def key(self, key: str) -> str:
        """Give an idempotency key as the log holds it."""
        return self.seal.key(key, "events.key")

    def _edit(self, row: tuple[str, str, str, str, str]) -> KeptEdit:
        key = self.seal.open_key(row[0], "edits.key")
        context, draft, final = (
            self.seal.open_text(text, f"edits.{name}", key)
            for name, text in zip(EDIT_TEXTS, row[1:4], strict=True)
        )
        return KeptEdit(key, context, draft, final, datetime.fromisoformat(row[4]))

    def _begins(self, words: str) -> bool:
        """Whether a key `words:x` was recorded; `words:` is that, told without the turn before."""
        found = self.db.execute(
            "select 1 from events where uid = ? and key >= ? and key < ? limit 1",
            (self.uid, words, f"{words[:-1]};"),
        )
        return found.fetchone() is not None

    def _entry(self, row: tuple[int, str, str, str, bytes, str]) -> Entry:
        seq, name, kind, asked, body, at = row
        when = datetime.fromisoformat(at)
        blob = self.seal.open_blob(body, "interactions.body", seq)
        key = self.seal.open_key(name, "interactions.key")
        if kind == "offer":
            recall_id = key.removeprefix(OFFER)
            told = self.seal.open_key(asked, "interactions.asked")
            offer = journal.read_offer(blob, recall_id=recall_id, asked=told, at=when)
            return Entry(key, offer, when, seq)
        return Entry(key, journal.read_observation(blob), when, seq)


def next_seq(rows: Rows) -> int:
    """Count the user's log up; 0 for an unknown user."""
    row = rows.db.execute(
        "update users set seq = seq + 1 where uid = ? and moved = '' returning seq", (rows.uid,)
    ).fetchone()
    return int(row[0]) if row else 0


def append(rows: Rows, entry: Entry) -> bool:
    """Write a line of the log of interaction; False for an unknown user."""
    offer = entry.payload if isinstance(entry.payload, Offer) else None
    seq = next_seq(rows)
    if seq:
        rows.db.execute(
            "insert into interactions (uid, seq, key, kind, asked, body, at) "
            "values (?, ?, ?, ?, ?, ?, ?)",
            (
                rows.uid,
                seq,
                rows.seal.key(
                    entry.key if offer is None else f"{OFFER}{offer.recall_id}", "interactions.key"
                ),
                "observation" if offer is None else "offer",
                "" if offer is None else rows.seal.key(offer.asked, "interactions.asked"),
                rows.seal.blob(journal.write_entry(entry.payload), "interactions.body", seq),
                codec.stamp(entry.at),
            ),
        )
    return bool(seq)


def _same(key: str) -> tuple[str, ...]:
    """Give the names under which a key may have been recorded: `words:x` is `words:`, too."""
    words, colon, before = key.partition(":")
    return (key, f"{words}:") if colon and before else (key,)


def _parts(names: Iterable[str]) -> Iterator[list[str]]:
    """Cut names into as many as fit in a query, each name once."""
    wanted = list(dict.fromkeys(names))
    for start in range(0, len(wanted), IN_A_QUERY):
        yield wanted[start : start + IN_A_QUERY]
