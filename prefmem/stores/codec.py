"""Cards, events and states as JSON and bytes. Nothing here can run code when it is read."""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable, Mapping
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
)

from prefmem.errors import InputError, StoreUnavailableError
from prefmem.types import (
    Card,
    Change,
    Event,
    EventKind,
    Evidence,
    Op,
    Polarity,
    Preference,
    Scope,
    ScopeKind,
    Source,
    Status,
    UserState,
    Vector,
)

_STATE = struct.Struct("<4sHHII")  # magic, version, dtype (1 = float32), width, CRC32
_MAGIC = b"PMST"
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
        )


class ChangeRecord(_Strict):
    """A change as written in the log."""

    op: Op
    card: CardRecord


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
            changes=tuple(ChangeRecord(op=c.op, card=CardRecord.of(c.card)) for c in event.changes),
            at=event.at,
        )

    def event(self, user_id: str) -> Event:
        """Read the event of a user."""
        return Event(
            self.key,
            self.kind,
            tuple(Change(c.op, c.card.card(user_id)) for c in self.changes),
            self.at,
            self.seq,
        )


class StateRecord(_Strict):
    """A user's vectors as written in exports."""

    basis: str
    long: tuple[Number, ...]
    short: tuple[Number, ...]
    session_id: str
    steps: int = Field(ge=0, lt=2**53)

    @classmethod
    def of(cls, state: UserState) -> "StateRecord":
        """Write a state down."""
        return cls(
            basis=state.basis,
            long=tuple(state.long.tolist()),
            short=tuple(state.short.tolist()),
            session_id=state.session_id,
            steps=state.steps,
        )

    def state(self, user_id: str) -> UserState:
        """Read the state of a user."""
        long, short = (np.array(v, dtype=np.float32) for v in (self.long, self.short))
        return UserState(user_id, self.basis, long, short, self.session_id, self.steps)


class Export(_Strict):
    """Everything held about one user; `version` counts the format."""

    format: Literal["prefmem.export"] = "prefmem.export"
    version: Literal[1] = 1
    user_id: str
    exported_at: Moment
    cards: tuple[CardRecord, ...]
    events: tuple[EventRecord, ...] = ()
    state: StateRecord | None = None

    @classmethod
    def of(
        cls, user_id: str, *, cards: Iterable[Card], events: Iterable[Event],
        state: UserState | None, at: datetime,
    ) -> "Export":  # fmt: skip
        """Write down everything held about a user."""
        return cls(
            user_id=user_id,
            exported_at=at,
            cards=tuple(CardRecord.of(card) for card in cards),
            events=tuple(EventRecord.of(event) for event in events),
            state=StateRecord.of(state) if state else None,
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

    def log(self, user_id: str) -> tuple[Event, ...]:
        """Give the events as those of `user_id`; cards without an event get one of kind `load`."""
        events = tuple(record.event(user_id) for record in self.events)
        told = {change.card.id for event in events for change in event.changes}
        rest = tuple(Change("add", r.card(user_id)) for r in self.cards if r.id not in told)
        if rest:
            key = hashlib.sha256("\x1f".join(c.card.id for c in rest).encode()).hexdigest()[:32]
            events += (Event(f"load:{key}", "load", rest, self.exported_at),)
        return events


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
    records = [
        ChangeRecord(op=c.op, card=CardRecord.of(c.card)).model_dump(mode="json") for c in changes
    ]
    return json.dumps(records, ensure_ascii=False, separators=(",", ":"))


def read_changes(text: str, user_id: str) -> tuple[Change, ...]:
    """Read an event's changes from JSON that we wrote.

    Raises:
        StoreUnavailableError: The text is damaged.
    """
    try:
        records = _CHANGES.validate_json(text)
    except ValueError:  # its message would hold a card's text
        raise _damaged("log entry") from None
    return tuple(Change(r.op, r.card.card(user_id)) for r in records)


def name_in_changes(card_id: str) -> str:
    """Give a card's id as it stands in an event's changes."""
    return json.dumps(card_id, ensure_ascii=False)


def without_card(text: str, card_id: str) -> str:
    """Take one card out of an event's changes."""
    kept = [r for r in json.loads(text) if r["card"]["id"] != card_id]
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def write_vector(vector: Vector) -> bytes:
    """Give a vector as float16 bytes, little endian."""
    return vector.astype("<f2").tobytes()


def read_vectors(blobs: list[bytes], width: int) -> Vector:
    """Read float16 vectors into (n, e) float32 unit rows.

    Raises:
        StoreUnavailableError: A vector has another width.
    """
    if not blobs:
        return np.zeros((0, width), dtype=np.float32)
    if any(len(blob) != 2 * width for blob in blobs):
        raise _damaged("vector")
    matrix = np.frombuffer(b"".join(blobs), dtype="<f2").astype(np.float32)
    matrix = matrix.reshape(len(blobs), width)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return cast(Vector, matrix / np.maximum(norms, 1e-12))


def write_state(state: UserState) -> bytes:
    """Give the two vectors behind a header with a checksum."""
    body = np.concatenate([state.long, state.short]).astype("<f4").tobytes()
    return _STATE.pack(_MAGIC, 1, 1, state.long.size, zlib.crc32(body)) + body


def read_state(blob: bytes) -> tuple[Vector, Vector]:
    """Read the long and the short vector.

    Raises:
        StoreUnavailableError: The bytes are damaged.
    """
    head, body = blob[: _STATE.size], blob[_STATE.size :]
    if len(head) == _STATE.size:
        magic, version, dtype, width, crc = _STATE.unpack(head)
        ours = (magic, version, dtype) == (_MAGIC, 1, 1)
        if ours and len(body) == 8 * width and zlib.crc32(body) == crc:
            both = np.frombuffer(body, dtype="<f4").astype(np.float32)
            return both[:width], both[width:]
    raise _damaged("user's state")


def stamp(at: datetime) -> str:
    """Give a time as ISO 8601 in UTC."""
    return at.astimezone(UTC).isoformat()


def _damaged(what: str) -> StoreUnavailableError:
    return StoreUnavailableError(f"a {what} is damaged; restore a backup of the store")
