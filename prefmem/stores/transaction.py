"""An open transaction about one user, on rows: what every write of a memory is made of."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime

from prefmem.errors import InputError
from prefmem.ids import rule_hash
from prefmem.interaction import Entry, KeptEdit, UserState
from prefmem.job import Job
from prefmem.stores import codec, journal
from prefmem.stores.audit import write_act
from prefmem.stores.base import Base
from prefmem.stores.jobs import remove_dead, remove_job
from prefmem.stores.rows import EDIT_TEXTS, Rows, append, next_seq
from prefmem.types import Action, Card, Event, Preference, Shelf, Vector

_REWORDED = frozenset({"add", "edit", "restore"})  # changes that may bring another text
_LIVE = "status in ('active', 'candidate', 'quarantined')"


class RowTransaction:
    """One open transaction of one user; made by a store's `write`."""

    def __init__(self, base: Base, rows: Rows) -> None:
        """Work on rows that nobody else writes now."""
        self._base, self._rows, self._db, self._uid = base, rows, rows.db, rows.uid
        self.forgot = False

    def knows(self, key: str) -> bool:
        """Whether an event with this idempotency key was recorded before."""
        return bool(self._rows.known((key,)))

    def card(self, card_id: str) -> Card | None:
        """Read a card."""
        return self._rows.card(card_id)

    def twin(self, preference: Preference) -> Card | None:
        """Find the live card that says the same, letter case and spacing aside."""
        row = self._db.execute(
            f"select card_id, body from cards where uid = ? and rule_hash = ? and {_LIVE}",  # noqa: S608  # a fixed text
            (self._uid, self._named(preference)),
        ).fetchone()
        return self._rows.read_card(*row) if row else None

    def revision(self) -> int:
        """Number that changes whenever the user's cards do; 0 before the first."""
        return self._rows.revision()

    def record(self, event: Event, vectors: Mapping[str, Vector]) -> None:
        """Append the event and write its cards; a vector changes only where a text may."""
        seq = next_seq(self._rows)
        if event.changes:
            self._touch()
        self._db.execute(
            "insert into events (uid, seq, key, kind, body, at) values (?, ?, ?, ?, ?, ?)",
            (
                self._uid,
                seq,
                self._rows.key(event.key),
                event.kind,
                self._rows.seal.text(codec.write_changes(event.changes), "events.body", seq),
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
        return self._rows.state()

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
                self._rows.seal.blob(journal.write_state(state), "users.state"),
                self._uid,
            ),
        )

    def note(self, entry: Entry) -> bool:
        """Append to the log of interaction; False where it holds the key already."""
        return not self._rows.noted(entry.key) and append(self._rows, entry)

    def interactions(self) -> tuple[Entry, ...]:
        """Read the log of interaction in order."""
        return self._rows.interactions()

    def keep_edit(self, edit: KeptEdit, *, most: int) -> bool:
        """Keep an edit, and of all the newest `most`; False where its key is known."""
        seal, texts = self._rows.seal, (edit.context, edit.draft, edit.final)
        kept = self._db.execute(
            "insert into edits (uid, seq, key, context, draft, final, at) "
            "values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
            (
                self._uid,
                next_seq(self._rows),
                seal.key(edit.key, "edits.key"),
                *(
                    seal.text(text, f"edits.{name}", edit.key)
                    for name, text in zip(EDIT_TEXTS, texts, strict=True)
                ),
                codec.stamp(edit.at),
            ),
        ).rowcount
        self._db.execute(
            "delete from edits where uid = ? and seq <= coalesce((select seq from edits "
            "where uid = ? order by seq desc limit 1 offset ?), 0)",
            (self._uid, self._uid, most),
        )
        return bool(kept)

    def numbers(self) -> Mapping[str, int]:
        """Give the number of every card, by card id."""
        return self._rows.numbers()

    def shelf(self) -> Shelf:
        """Read the active cards' vectors as they are now."""
        return self._rows.shelf()

    def finish(self, job: Job) -> bool:
        """Remove a job, together with what this transaction writes; False where it is gone."""
        return remove_job(self._base, self._db, self._uid, job)

    def audit(
        self, action: Action, *, actor: str, at: datetime, card_id: str = "", n: int = 1
    ) -> None:
        """Append a line to the audit log."""
        self._base.audit_turn(self._db)
        secret = self._base.secret(self._db)
        user = self._rows.user
        write_act(self._db, secret, action, user=user, actor=actor, at=at, card_id=card_id, n=n)

    def forget(self, card_id: str) -> bool:
        """Remove a card from the cards, every event and every link; False when there is none.

        With a card that edits taught go the kept edits, and with any the dead jobs that hold its
        words.
        """
        held = self.card(card_id)
        name = codec.name_in_changes(card_id)
        told_in = [(seq, body) for seq, body in self._rows.bodies() if name in body]
        told = any(codec.place_in_changes(body, card_id) is not None for _, body in told_in)
        shows_edits = any(codec.shows_edits(body, card_id) for _, body in told_in)
        number = self._known_number(card_id)
        if not self._delete(card_id) and not told:
            return False
        if number is not None:
            self._forget_number(number)
            self._db.execute(
                "delete from retired where uid = ? and card_id = ?", (self._uid, card_id)
            )
        if held is not None:
            quotes = [evidence.quote for evidence in held.preference.evidence]
            remove_dead(self._db, self._uid, quotes, self._rows.seal)
        if shows_edits:
            self._db.execute("delete from edits where uid = ?", (self._uid,))
        sealed = self._rows.seal.text
        kept = ((seq, codec.without_card(body, card_id)) for seq, body in told_in)
        self._db.executemany(
            "update events set body = ? where uid = ? and seq = ?",
            [(sealed(body, "events.body", seq), self._uid, seq) for seq, body in kept],
        )
        self._unlink(card_id, name)
        self._touch()
        self.forgot = True
        return True

    def _unlink(self, card_id: str, name: str) -> None:
        """Take every link to a card out of the others."""
        rows = self._db.execute(
            "select card_id, body from cards where uid = ?", (self._uid,)
        ).fetchall()
        seal = self._rows.seal
        bodies = ((other, seal.open_text(body, "cards.body", other)) for other, body in rows)
        linked = (
            (other, codec.without_links(body, card_id)) for other, body in bodies if name in body
        )
        self._db.executemany(
            "update cards set body = ? where uid = ? and card_id = ?",
            [(seal.text(body, "cards.body", other), self._uid, other) for other, body in linked],
        )

    def _forget_number(self, number: int) -> None:
        """Take a card's columns out of the log of interaction, and its evidence out of the state.

        What the card's evidence did to others is in the state still: whoever needs it gone makes
        the state again from the log.
        """
        for entry in self.interactions():
            kept = journal.without_number(entry.payload, number)
            if kept is not entry.payload:
                body = self._rows.seal.blob(
                    journal.write_entry(kept), "interactions.body", entry.seq
                )
                self._db.execute(
                    "update interactions set body = ? where uid = ? and seq = ?",
                    (body, self._uid, entry.seq),
                )
        state = self.state()
        if state is not None:
            self.save_state(journal.forgotten(state, number))

    def _first_told(self, card_id: str) -> tuple[int, int]:
        """Give the event that tells of a card first, and the card's place in it."""
        name = codec.name_in_changes(card_id)
        told = ((seq, body) for seq, body in self._rows.bodies() if name in body)
        places = ((seq, codec.place_in_changes(body, card_id)) for seq, body in told)
        return next((seq, place) for seq, place in places if place is not None)

    def _retire(self, card_id: str) -> None:
        """Remove a card that may come back under its number."""
        self._db.execute(
            "insert into retired (uid, card_id, number) select uid, card_id, number from cards "
            "where uid = ? and card_id = ? on conflict do nothing",
            (self._uid, card_id),
        )
        self._delete(card_id)

    def _delete(self, card_id: str) -> bool:
        return bool(
            self._db.execute(
                "delete from cards where uid = ? and card_id = ?", (self._uid, card_id)
            ).rowcount
        )

    def _known_number(self, card_id: str) -> int | None:
        """Give the number of a card that is there, or was until it was undone."""
        row = self._db.execute(
            "select number from cards where uid = ? and card_id = ? "
            "union all select number from retired where uid = ? and card_id = ?",
            (self._uid, card_id, self._uid, card_id),
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

    def _named(self, preference: Preference) -> bytes:
        return self._rows.seal.name(rule_hash(preference))

    def _touch(self) -> None:
        """Give the user a revision that no user of this store ever had.

        A user who was erased and comes back must not meet an old revision: another process may
        still hold its index.
        """
        revision = self._base.next_revision(self._db)
        self._db.execute("update users set rev = ? where uid = ?", (revision, self._uid))

    def _put(self, card: Card, vector: Vector, first: tuple[int, int]) -> None:
        with self._told_apart(card):
            self._db.execute(
                "insert into cards (uid, card_id, rule_hash, scope, status, confidence, "  # noqa: S608  # a fixed text
                "created_seq, place, ends, body, vec, number) "
                f"values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {self._base.vectors.mark}, ?) "
                "on conflict (uid, card_id) do update set rule_hash = excluded.rule_hash, "
                "scope = excluded.scope, status = excluded.status, "
                "confidence = excluded.confidence, ends = excluded.ends, "
                "body = excluded.body, vec = excluded.vec",
                (
                    self._uid,
                    card.id,
                    self._named(card.preference),
                    card.preference.scope.kind,
                    card.status,
                    card.preference.confidence,
                    *first,
                    _ends(card),
                    self._body(card),
                    self._base.vectors.write(vector, card.id, self._rows.seal),
                    self._number(card.id),
                ),
            )

    def _update(self, card: Card) -> bool:
        """Write a card whose text is as it was; False when there is none."""
        with self._told_apart(card):
            done = self._db.execute(
                "update cards set status = ?, confidence = ?, ends = ?, body = ? "
                "where uid = ? and card_id = ?",
                (
                    card.status,
                    card.preference.confidence,
                    _ends(card),
                    self._body(card),
                    self._uid,
                    card.id,
                ),
            )
        return bool(done.rowcount)

    def _body(self, card: Card) -> str:
        return self._rows.seal.text(codec.write_card(card), "cards.body", card.id)

    @contextmanager
    def _told_apart(self, card: Card) -> Generator[None, None, None]:
        """Refuse a second live card that says the same."""
        try:
            yield
        except self._base.duplicate as error:
            raise InputError(
                f"another card of this user says the same as {card.id!r} would; edit or forget "
                "that one"
            ) from error


def _ends(card: Card) -> float | None:
    return None if card.valid_to is None else card.valid_to.timestamp()
