"""Cards, events and states as JSON and bytes. Nothing here can run code when it is read."""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias, cast

import numpy as np
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from prefmem.errors import InputError, StoreUnavailableError
from prefmem.interaction import Entry, KeptEdit, Label, Numbers, Observation, Offer, UserState
from prefmem.job import Job
from prefmem.types import (
    Card,
    Change,
    Event,
    EventKind,
    Evidence,
    Link,
    Op,
    Origin,
    Polarity,
    Preference,
    Reason,
    Relation,
    Role,
    Scope,
    ScopeKind,
    Source,
    Status,
    Turn,
    Vector,
)

_HALF = 2  # bytes of a component
_CRC = struct.Struct("<IB")  # of a vector: CRC32, and `_HALF`, which makes the length odd
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)

Number: TypeAlias = Annotated[float, Field(ge=-1e9, le=1e9)]  # of a vector
Moment: TypeAlias = Annotated[AwareDatetime, Field(ge=_FIRST, lt=_LAST)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EvidenceRecord(_Strict):
    """Evidence as written in files and exports."""

    turn_id: str
    quote: str


class ScopeRecord(_Strict):
    """Scope as written in files and exports."""

    kind: ScopeKind
    task: str | None = None
    audience: str | None = None
    language: str | None = None


class LinkRecord(_Strict):
    """A link as written in files and exports."""

    relation: Relation
    card_id: str
    probability: float = Field(ge=0, le=1)

    @classmethod
    def of(cls, link: Link) -> "LinkRecord":
        """Write a link down."""
        return cls(relation=link.relation, card_id=link.card_id, probability=link.probability)

    def link(self) -> Link:
        """Read the link."""
        return Link(self.relation, self.card_id, self.probability)


class CardRecord(_Strict):
    """A card as written in files and exports; the user is named outside."""

    id: str = Field(min_length=1, max_length=64)
    condition: str
    action: str = Field(min_length=1)
    polarity: Polarity
    confidence: float = Field(ge=0, le=1)
    scope: ScopeRecord
    evidence: tuple[EvidenceRecord, ...] = ()
    status: Status
    source: Source
    session_id: str = ""
    valid_from: Moment
    recorded_at: Moment
    valid_to: Moment | None = None
    superseded_by: str | None = None
    links: tuple[LinkRecord, ...] = ()

    @classmethod
    def of(cls, card: Card) -> "CardRecord":
        """Write a card down."""
        p = card.preference
        return cls(
            id=card.id,
            condition=p.condition,
            action=p.action,
            polarity=p.polarity,
            confidence=p.confidence,
            scope=ScopeRecord(
                kind=p.scope.kind,
                task=p.scope.task,
                audience=p.scope.audience,
                language=p.scope.language,
            ),
            evidence=tuple(EvidenceRecord(turn_id=e.turn_id, quote=e.quote) for e in p.evidence),
            status=card.status,
            source=card.source,
            session_id=card.session_id,
            valid_from=card.valid_from,
            recorded_at=card.recorded_at,
            valid_to=card.valid_to,
            superseded_by=card.superseded_by,
            links=tuple(LinkRecord.of(link) for link in card.links),
        )

    def card(self, user_id: str) -> Card:
        """Read the card of a user."""
        return Card(
            self.id,
            user_id,
            Preference(
                self.condition,
                self.action,
                self.polarity,
                self.confidence,
                Scope(self.scope.kind, self.scope.task, self.scope.audience, self.scope.language),
                tuple(Evidence(e.turn_id, e.quote) for e in self.evidence),
            ),
            self.status,
            self.source,
            self.session_id,
            self.valid_from,
            self.recorded_at,
            self.valid_to,
            self.superseded_by,
            tuple(record.link() for record in self.links),
        )


class ChangeRecord(_Strict):
    """A change as written in the log."""

    op: Op
    card: CardRecord
    reason: LinkRecord | None = None

    @classmethod
    def of(cls, change: Change) -> "ChangeRecord":
        """Write a change down."""
        reason = LinkRecord.of(change.reason) if change.reason else None
        return cls(op=change.op, card=CardRecord.of(change.card), reason=reason)

    def change(self, user_id: str) -> Change:
        """Read the change of a user's card."""
        return Change(self.op, self.card.card(user_id), self.reason.link() if self.reason else None)


_CHANGES = TypeAdapter(tuple[ChangeRecord, ...])


class EventRecord(_Strict):
    """An event as written in exports."""

    seq: int = Field(ge=1)
    key: str = Field(min_length=1, max_length=128)
    kind: EventKind
    changes: tuple[ChangeRecord, ...]
    at: Moment

    @classmethod
    def of(cls, event: Event) -> "EventRecord":
        """Write an event down."""
        return cls(
            seq=event.seq,
            key=event.key,
            kind=event.kind,
            changes=tuple(ChangeRecord.of(change) for change in event.changes),
            at=event.at,
        )

    def event(self, user_id: str) -> Event:
        """Read the event of a user."""
        return Event(
            self.key,
            self.kind,
            tuple(record.change(user_id) for record in self.changes),
            self.at,
            self.seq,
        )


class OfferRecord(_Strict):
    """What a recall offered as written in exports, with card ids in place of numbers."""

    kind: Literal["offer"] = "offer"
    recall_id: str = Field(max_length=128)
    session_id: str
    asked: str = Field(max_length=64)
    cards: tuple[str, ...]
    relevance: tuple[Number, ...]
    prior: tuple[Number, ...]
    chance: tuple[Number, ...]
    shown: tuple[bool, ...]
    reasons: tuple[Reason, ...]
    model: str
    at: Moment

    @classmethod
    def of(cls, entry: Entry, offer: Offer, names: Mapping[int, str]) -> "OfferRecord":
        """Write an offer down; cards that are gone are left out."""
        kept = [i for i, n in enumerate(offer.numbers.tolist()) if n in names]
        return cls(
            recall_id=offer.recall_id, session_id=offer.session_id, asked=offer.asked,
            cards=tuple(names[int(offer.numbers[i])] for i in kept),
            relevance=tuple(offer.relevance[kept].tolist()),
            prior=tuple(offer.prior[kept].tolist()), chance=tuple(offer.chance[kept].tolist()),
            shown=tuple(offer.shown[kept].tolist()),
            reasons=tuple(offer.reasons[i] for i in kept), model=offer.model, at=entry.at,
        )  # fmt: skip

    def entry(self, numbers: Mapping[str, int]) -> Entry:
        """Read the entry for a user whose cards have these numbers; others are left out."""
        kept = [i for i, card_id in enumerate(self.cards) if card_id in numbers]
        offer = Offer(
            self.recall_id, self.session_id, self.asked, _counted(self.cards, numbers),
            _figures(self.relevance, kept), _figures(self.prior, kept),
            _figures(self.chance, kept), np.array([self.shown[i] for i in kept], dtype=np.bool_),
            tuple(self.reasons[i] for i in kept), self.model, self.at,
        )  # fmt: skip
        return Entry(f"offer:{self.recall_id}", offer, self.at)

    @model_validator(mode="after")
    def _aligned(self) -> "OfferRecord":
        columns = (self.relevance, self.prior, self.chance, self.shown, self.reasons)
        if any(len(column) != len(self.cards) for column in columns):
            raise ValueError("its columns differ in length")
        return self


class ObservationRecord(_Strict):
    """What came back as written in exports, with card ids in place of numbers."""

    kind: Literal["observation"] = "observation"
    key: str = Field(min_length=1, max_length=256)
    recall_id: str = Field(max_length=128)
    session_id: str
    label: Label
    reward: float = Field(ge=-1, le=1)
    said: float = Field(ge=0, le=1)
    rejects: bool
    cards: tuple[str, ...]
    fit: tuple[Number, ...]
    prior: tuple[Number, ...]
    taught: tuple[str, ...]
    taught_prior: tuple[Number, ...]
    similarity: float = Field(ge=-1.01, le=1.01)
    paused: tuple[str, ...]
    paused_all: bool
    heard: bool = True
    at: Moment

    @classmethod
    def of(cls, entry: Entry, said: Observation, names: Mapping[int, str]) -> "ObservationRecord":
        """Write an observation down; cards that are gone are left out."""
        kept = [i for i, n in enumerate(said.numbers.tolist()) if n in names]
        taught = [i for i, n in enumerate(said.taught.tolist()) if n in names]
        return cls(
            key=entry.key, recall_id=said.recall_id, session_id=said.session_id, label=said.label,
            reward=said.reward, said=said.said, rejects=said.rejects,
            cards=tuple(names[int(said.numbers[i])] for i in kept),
            fit=tuple(said.fit[kept].tolist()), prior=tuple(said.prior[kept].tolist()),
            taught=tuple(names[int(said.taught[i])] for i in taught),
            taught_prior=tuple(said.taught_prior[taught].tolist()), similarity=said.similarity,
            paused=tuple(names[n] for n in said.paused.tolist() if n in names),
            paused_all=0 in said.paused, heard=said.heard, at=entry.at,
        )  # fmt: skip

    def entry(self, numbers: Mapping[str, int]) -> Entry:
        """Read the entry for a user whose cards have these numbers; others are left out."""
        kept = [i for i, card_id in enumerate(self.cards) if card_id in numbers]
        taught = [i for i, card_id in enumerate(self.taught) if card_id in numbers]
        paused = _counted(self.paused, numbers)
        said = Observation(
            self.recall_id, self.session_id, self.label, self.reward, self.said, self.rejects,
            _counted(self.cards, numbers), _figures(self.fit, kept), _figures(self.prior, kept),
            _counted(self.taught, numbers), _figures(self.taught_prior, taught), self.similarity,
            np.union1d(paused, [0]) if self.paused_all else paused, self.heard,
        )  # fmt: skip
        return Entry(self.key, said, self.at)

    @model_validator(mode="after")
    def _aligned(self) -> "ObservationRecord":
        sizes = ((self.fit, self.cards), (self.prior, self.cards), (self.taught_prior, self.taught))
        if any(len(column) != len(cards) for column, cards in sizes):
            raise ValueError("its columns differ in length")
        return self


class EditRecord(_Strict):
    """A kept edit as written in exports."""

    key: str = Field(min_length=1, max_length=128)
    context: str
    draft: str
    final: str
    at: Moment

    @classmethod
    def of(cls, edit: KeptEdit) -> "EditRecord":
        """Write an edit down."""
        return cls(
            key=edit.key, context=edit.context, draft=edit.draft, final=edit.final, at=edit.at
        )

    def edit(self) -> KeptEdit:
        """Read the edit."""
        return KeptEdit(self.key, self.context, self.draft, self.final, self.at)


class TurnRecord(_Strict):
    """A turn as written in the queue and in exports."""

    id: str
    role: Role
    text: str
    at: Moment | None = None
    origin: Origin = "typed"

    @classmethod
    def of(cls, turn: Turn) -> "TurnRecord":
        """Write a turn down."""
        return cls(id=turn.id, role=turn.role, text=turn.text, at=turn.at, origin=turn.origin)

    def turn(self) -> Turn:
        """Read the turn."""
        return Turn(self.id, self.role, self.text, self.at, self.origin)


_TURNS = TypeAdapter(tuple[TurnRecord, ...])


class JobRecord(_Strict):
    """A window that waits to be learned from, as written in exports."""

    session_id: str
    turns: tuple[TurnRecord, ...]
    keys: tuple[Annotated[str, Field(min_length=1, max_length=128)], ...]
    queued_at: Moment
    due: Moment
    tries: int = Field(ge=0)
    error: str = Field(max_length=128)
    dead: bool

    @classmethod
    def of(cls, job: Job) -> "JobRecord":
        """Write a job down."""
        return cls(
            session_id=job.session_id, turns=tuple(TurnRecord.of(turn) for turn in job.turns),
            keys=job.keys, queued_at=job.queued_at, due=job.due, tries=job.tries, error=job.error,
            dead=job.dead,
        )  # fmt: skip

    def spoken(self) -> tuple[Turn, ...]:
        """Read the window."""
        return tuple(record.turn() for record in self.turns)


class EvidenceRow(_Strict):
    """What a user model learned about a card."""

    card_id: str
    evidence: float = Field(ge=-5, le=5)
    amount: float = Field(ge=0)


class StateRecord(_Strict):
    """What a user model learned, as written in exports; it is made again from the interactions."""

    model: str
    basis: str
    cards: tuple[EvidenceRow, ...]
    turns: int = Field(ge=0)
    restated: float = Field(ge=0)
    long: tuple[Number, ...]
    short: tuple[Number, ...]
    baseline: float
    session_id: str
    sessions: int = Field(ge=0)
    steps: int = Field(ge=0, lt=2**53)

    @classmethod
    def of(cls, state: UserState, names: Mapping[int, str]) -> "StateRecord":
        """Write a state down."""
        rows = zip(
            state.numbers.tolist(), state.evidence.tolist(), state.amount.tolist(), strict=True
        )
        return cls(
            model=state.model, basis=state.basis,
            cards=tuple(
                EvidenceRow(card_id=names[n], evidence=d, amount=a)
                for n, d, a in rows
                if n in names
            ),
            turns=state.turns, restated=state.restated, long=tuple(state.long.tolist()),
            short=tuple(state.short.tolist()), baseline=state.baseline,
            session_id=state.session_id, sessions=state.sessions, steps=state.steps,
        )  # fmt: skip


class Export(_Strict):
    """Everything held about one user; `version` counts the format."""

    format: Literal["prefmem.export"] = "prefmem.export"
    version: Literal[1] = 1
    user_id: str
    exported_at: Moment
    cards: tuple[CardRecord, ...]
    events: tuple[EventRecord, ...] = ()
    interactions: tuple[
        Annotated[OfferRecord | ObservationRecord, Field(discriminator="kind")], ...
    ] = ()
    edits: tuple[EditRecord, ...] = ()
    state: StateRecord | None = None
    jobs: tuple[JobRecord, ...] = ()

    @classmethod
    def of(
        cls, user_id: str, *, cards: Iterable[Card], events: Iterable[Event],
        interactions: Iterable[Entry], edits: Iterable[KeptEdit], state: UserState | None,
        jobs: Iterable[Job], numbers: Mapping[str, int], at: datetime,
    ) -> "Export":  # fmt: skip
        """Write down everything held about a user."""
        names = {number: card_id for card_id, number in numbers.items()}
        return cls(
            user_id=user_id,
            exported_at=at,
            cards=tuple(CardRecord.of(card) for card in cards),
            events=tuple(EventRecord.of(event) for event in events),
            interactions=tuple(
                OfferRecord.of(entry, entry.payload, names)
                if isinstance(entry.payload, Offer)
                else ObservationRecord.of(entry, entry.payload, names)
                for entry in interactions
            ),
            edits=tuple(EditRecord.of(edit) for edit in edits),
            state=StateRecord.of(state, names) if state else None,
            jobs=tuple(JobRecord.of(job) for job in jobs),
        )

    @classmethod
    def read(cls, data: object) -> "Export":
        """Check an export that comes from outside.

        Raises:
            InputError: It is no export, or one of a newer format; the message names the field.
        """
        version = (
            cast(Mapping[str, object], data).get("version") if isinstance(data, Mapping) else 0
        )
        if isinstance(version, int) and version > 1:
            raise InputError(
                f"the export has format version {version}, this prefmem reads 1; upgrade prefmem"
            )
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the top level"
            raise InputError(f"not a prefmem export: {where}: {first['msg']}") from None

    def interactions_of(self, numbers: Mapping[str, int]) -> tuple[Entry, ...]:
        """Give the log of interaction for a user whose cards have these numbers."""
        return tuple(record.entry(numbers) for record in self.interactions)

    def log(self, user_id: str) -> tuple[Event, ...]:
        """Give the events as those of `user_id`; cards without an event get one of kind `load`."""
        events = tuple(record.event(user_id) for record in self.events)
        told = {change.card.id for event in events for change in event.changes}
        rest = tuple(Change("add", r.card(user_id)) for r in self.cards if r.id not in told)
        if rest:
            key = hashlib.sha256("\x1f".join(c.card.id for c in rest).encode()).hexdigest()[:32]
            events += (Event(f"load:{key}", "load", rest, self.exported_at),)
        return events


def _counted(cards: Iterable[str], numbers: Mapping[str, int]) -> Numbers:
    return np.array([numbers[i] for i in cards if i in numbers], dtype=np.int64)


def _figures(column: Sequence[float], kept: Sequence[int]) -> Vector:
    return np.array([column[i] for i in kept], dtype=np.float32)


def write_turns(turns: Iterable[Turn]) -> str:
    """Give turns as JSON."""
    return _TURNS.dump_json(tuple(TurnRecord.of(turn) for turn in turns)).decode()


def read_turns(text: str) -> tuple[Turn, ...]:
    """Read turns from JSON that we wrote.

    Raises:
        StoreUnavailableError: The text is damaged.
    """
    try:
        return tuple(record.turn() for record in _TURNS.validate_json(text))
    except ValueError:  # its message would hold what was said
        raise StoreUnavailableError(
            "a stored job is damaged; restore a backup of the store"
        ) from None


def write_card(card: Card) -> str:
    """Give a card as JSON."""
    return CardRecord.of(card).model_dump_json()


def read_card(text: str, user_id: str) -> Card:
    """Read a card from JSON that we wrote.

    Raises:
        StoreUnavailableError: The text is damaged.
    """
    try:
        return CardRecord.model_validate_json(text).card(user_id)
    except ValueError:  # its message would hold the card's text
        raise _damaged("card") from None


def write_changes(changes: tuple[Change, ...]) -> str:
    """Give an event's changes as JSON."""
    records = [ChangeRecord.of(change).model_dump(mode="json") for change in changes]
    return json.dumps(records, ensure_ascii=False, separators=(",", ":"))


def read_changes(text: str, user_id: str) -> tuple[Change, ...]:
    """Read an event's changes from JSON that we wrote.

    Raises:
        StoreUnavailableError: The text is damaged.
    """
    return tuple(record.change(user_id) for record in _records(text))


def _records(text: str) -> tuple[ChangeRecord, ...]:
    try:
        return _CHANGES.validate_json(text)
    except ValueError:  # its message would hold a card's text
        raise _damaged("log entry") from None


def name_in_changes(card_id: str) -> str:
    """Give a card's id as it stands in an event's changes."""
    return json.dumps(card_id, ensure_ascii=False)


def place_in_changes(text: str, card_id: str) -> int | None:
    """Give a card's place among an event's changes; None where it is not among them.

    Raises:
        StoreUnavailableError: The text is damaged.
    """
    names = [record.card.id for record in _records(text)]
    return names.index(card_id) if card_id in names else None


def shows_edits(text: str, card_id: str) -> bool:
    """Say whether an event's changes hold words of an edit as evidence for a card.

    Raises:
        StoreUnavailableError: The text is damaged.
    """
    cards = (record.card for record in _records(text))
    quoted = (e for card in cards if card.id == card_id for e in card.evidence)
    return any(evidence.turn_id.startswith("edit:") for evidence in quoted)


def without_card(text: str, card_id: str) -> str:
    """Take one card, and every link to it, out of an event's changes.

    Raises:
        StoreUnavailableError: The text is damaged.
    """
    changes = _records(text)
    kept = [_unlinked(r, card_id).model_dump(mode="json") for r in changes if r.card.id != card_id]
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def without_links(text: str, card_id: str) -> str:
    """Take every link to one card out of another card.

    Raises:
        StoreUnavailableError: The text is damaged.
    """
    try:
        record = CardRecord.model_validate_json(text)
    except ValueError:  # its message would hold the card's text
        raise _damaged("card") from None
    return _alone(record, card_id).model_dump_json()


def _unlinked(record: ChangeRecord, card_id: str) -> ChangeRecord:
    reason = record.reason
    if reason is not None and reason.card_id == card_id:
        reason = reason.model_copy(update={"card_id": ""})
    return ChangeRecord(op=record.op, card=_alone(record.card, card_id), reason=reason)


def _alone(record: CardRecord, card_id: str) -> CardRecord:
    by = record.superseded_by
    links = tuple(link for link in record.links if link.card_id != card_id)
    return record.model_copy(
        update={"superseded_by": None if by == card_id else by, "links": links}
    )


def write_vector(vector: Vector) -> bytes:
    """Give a vector as float16 bytes, little endian, and five bytes with their checksum."""
    data = vector.astype("<f2").tobytes()
    return data + _CRC.pack(zlib.crc32(data), _HALF)


def halves(blob: bytes) -> bytes:
    """Give the float16 bytes of a vector: what has no checksum was written before there was one.

    Raises:
        StoreUnavailableError: The checksum is another one.
    """
    if len(blob) % _HALF == 0:
        return blob
    data = blob[: -_CRC.size]
    if len(blob) < _CRC.size or _CRC.unpack_from(blob, len(data)) != (zlib.crc32(data), _HALF):
        raise _damaged("vector")
    return data


def read_vectors(blobs: list[bytes], width: int) -> Vector:
    """Read float16 vectors into (n, e) float32 unit rows.

    Raises:
        StoreUnavailableError: A vector has another width, or is damaged.
    """
    if not blobs:
        return np.zeros((0, width), dtype=np.float32)
    blobs = [halves(blob) for blob in blobs]
    if any(len(blob) != 2 * width for blob in blobs):
        raise _damaged("vector")
    matrix = np.frombuffer(b"".join(blobs), dtype="<f2").astype(np.float32)
    matrix = matrix.reshape(len(blobs), width)
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    matrix /= np.maximum(norms, 1e-12)[:, np.newaxis]
    return cast(Vector, matrix)


def stamp(at: datetime) -> str:
    """Give a time as ISO 8601 in UTC."""
    return at.astimezone(UTC).isoformat()


def _damaged(what: str) -> StoreUnavailableError:
    return StoreUnavailableError(f"a {what} is damaged; restore a backup of the store")
