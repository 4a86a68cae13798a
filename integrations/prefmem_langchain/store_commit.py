"""What a write leaves in a langgraph store: one item, a commit, that holds all of it.

A store writes one item whole or not at all, and promises nothing for two. So what has to be true
together lies in one item: the events of a write with the vectors of their cards, and what was
observed. Every process gives its commits names of their own: two that write at once lose nothing.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from prefmem.errors import StoreUnavailableError
from prefmem.interaction import Entry, KeptEdit, Offer, UserState
from prefmem.stores import codec, journal
from prefmem.types import Event


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """An event of a commit.

    Attributes:
        event: The event with its place in the log.
        vectors: Float16 vectors of the cards whose text it brought, by card id.
    """

    event: Event
    vectors: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


@dataclass(frozen=True, slots=True, eq=False)
class Commit:
    """All that one write did.

    Attributes:
        key: Its name: commits come in the order of their names, which begin with the time.
        root: Name of the commit that the user's log began with; its own for that one. Where that
            one is gone the user was erased, and a commit that names it counts no more.
        mark: Random, and not 0 where cards changed: all of a log together make its revision.
        told: The events, in order.
        entries: Lines of the log of interaction.
        numbers: Numbers given to new cards, by card id.
        forgotten: Numbers of forgotten cards by card id, 0 for none: no commit up to this one may
            say anything of them.
        edits_until: Place in the log up to which kept edits are dropped.
    """

    key: str
    root: str
    mark: int = 0
    told: tuple[Told, ...] = ()
    entries: tuple[Entry, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict[str, int])
    forgotten: Mapping[str, int] = field(default_factory=dict[str, int])
    edits_until: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A user's version item: written last, read first.

    Attributes:
        token: Random: while it stays, nothing was written.
        root: The commit that the log begins with, as its writer knew it.
        count: Commits that its writer knew of; there may be more.
        state: What a user model learned; None before the first.
    """

    token: str
    root: str
    count: int
    state: UserState | None = None


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Line(_Strict):
    key: str
    seq: int
    at: codec.Moment
    kind: Literal["offer", "observation"]
    recall: str
    asked: str
    body: str

    @classmethod
    def of(cls, entry: Entry) -> "_Line":
        offer = entry.payload if isinstance(entry.payload, Offer) else None
        return cls(
            key=entry_key(entry), seq=entry.seq, at=entry.at,
            kind="observation" if offer is None else "offer",
            recall="" if offer is None else offer.recall_id,
            asked="" if offer is None else offer.asked,
            body=_text(journal.write_entry(entry.payload)),
        )  # fmt: skip

    def entry(self) -> Entry:
        blob = b64decode(self.body, validate=True)
        if self.kind == "observation":
            return Entry(self.key, journal.read_observation(blob), self.at, self.seq)
        offer = journal.read_offer(blob, recall_id=self.recall, asked=self.asked, at=self.at)
        return Entry(self.key, offer, self.at, self.seq)


class _Said(_Strict):
    event: codec.EventRecord
    vectors: dict[str, str]


class _Body(_Strict):
    mark: int
    told: tuple[_Said, ...]
    entries: tuple[_Line, ...]
    numbers: dict[str, int]
    forgotten: dict[str, int]
    edits_until: int


class _State(_Strict):
    model: str
    basis: str
    session_id: str
    steps: int
    body: str


def entry_key(entry: Entry) -> str:
    """Give the idempotency key of a line of the log: an offer's is its recall."""
    payload = entry.payload
    return f"offer:{payload.recall_id}" if isinstance(payload, Offer) else entry.key


def write_commit(commit: Commit) -> dict[str, Any]:
    """Give a commit as an item's value; text of users is JSON within JSON, as NUL is not allowed.

    PostgreSQL's jsonb refuses NUL, which a card's id may hold, even where it is written as an
    escape.
    """
    body = _Body(
        mark=commit.mark,
        told=tuple(
            _Said(
                event=codec.EventRecord.of(told.event),
                vectors={card_id: _text(blob) for card_id, blob in told.vectors.items()},
            )
            for told in commit.told
        ),
        entries=tuple(_Line.of(entry) for entry in commit.entries),
        numbers=dict(commit.numbers),
        forgotten=dict(commit.forgotten),
        edits_until=commit.edits_until,
    )
    return {"root": commit.root, "body": body.model_dump_json()}


def read_commit(key: str, value: Mapping[str, Any], user_id: str) -> Commit:
    """Read a commit from an item's value.

    Raises:
        StoreUnavailableError: It is damaged.
    """
    try:
        body = _Body.model_validate_json(value["body"])
        return Commit(
            key, _str(value["root"]), body.mark,
            tuple(
                Told(
                    said.event.event(user_id),
                    {i: b64decode(text, validate=True) for i, text in said.vectors.items()},
                )
                for said in body.told
            ),
            tuple(line.entry() for line in body.entries),
            body.numbers, body.forgotten, body.edits_until,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):  # their messages would hold a card's text
        raise damaged("log entry") from None


def write_head(head: Head, user_id: str) -> dict[str, Any]:
    """Give a version item's value."""
    state = ""
    if head.state is not None:
        kept = head.state
        state = _State(
            model=kept.model, basis=kept.basis, session_id=kept.session_id, steps=kept.steps,
            body=_text(journal.write_state(kept)),
        ).model_dump_json()  # fmt: skip
    return {
        "user": user_id, "token": head.token, "root": head.root, "count": head.count,
        "state": state,
    }  # fmt: skip


def read_head(value: Mapping[str, Any], user_id: str) -> Head:
    """Read a version item.

    Raises:
        StoreUnavailableError: It is damaged.
    """
    try:
        state = None
        if value["state"]:
            kept = _State.model_validate_json(value["state"])
            state = journal.read_state(
                b64decode(kept.body, validate=True), user_id=user_id, model=kept.model,
                basis=kept.basis, session_id=kept.session_id, steps=kept.steps,
            )  # fmt: skip
        return Head(_str(value["token"]), _str(value["root"]), int(value["count"]), state)
    except (ValueError, KeyError, TypeError):
        raise damaged("version") from None


def write_offer(entry: Entry, root: str) -> dict[str, Any]:
    """Give the value of an offer's own item; `asked` stands outside, as it is searched for."""
    line = _Line.of(entry)
    return {"root": root, "asked": line.asked, "body": line.model_dump_json()}


def read_offer(value: Mapping[str, Any]) -> Entry:
    """Read an offer.

    Raises:
        StoreUnavailableError: It is damaged.
    """
    try:
        return _Line.model_validate_json(value["body"]).entry()
    except (ValueError, KeyError, TypeError):
        raise damaged("offer") from None


def write_edit(edit: KeptEdit, root: str, seq: int) -> dict[str, Any]:
    """Give the value of a kept edit's item."""
    told = {
        "key": edit.key, "context": edit.context, "draft": edit.draft, "final": edit.final,
        "at": codec.stamp(edit.at), "seq": seq,
    }  # fmt: skip
    return {"root": root, "body": json.dumps(told, ensure_ascii=False)}


def read_edit(value: Mapping[str, Any]) -> tuple[int, KeptEdit]:
    """Read a kept edit with its place in the log.

    Raises:
        StoreUnavailableError: It is damaged.
    """
    try:
        told = json.loads(value["body"])
        edit = KeptEdit(
            _str(told["key"]), _str(told["context"]), _str(told["draft"]), _str(told["final"]),
            datetime.fromisoformat(told["at"]),
        )  # fmt: skip
        return int(told["seq"]), edit
    except (ValueError, KeyError, TypeError):
        raise damaged("edit") from None


def damaged(what: str) -> StoreUnavailableError:
    """Give the error for an item that cannot be read."""
    return StoreUnavailableError(
        f"a {what} in the langgraph store is damaged; restore a backup of its database"
    )


def _text(blob: bytes) -> str:
    return b64encode(blob).decode()


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
