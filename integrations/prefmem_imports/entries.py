"""Entries of another memory, turned into cards: those that are standing preferences, and no more.

Another memory's words are not the user's: they pass through a memory of their own first, which
finds the rules in them as `learn` would, and come over as an export, as `load` takes one in.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from prefmem import Card, InputError, PreferenceMemory, Turn
from prefmem_imports.person import first_person


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that another memory holds.

    Attributes:
        id: Its name there.
        text: What it says.
        owner: Names of whose it is; empty where the file does not say.
        at: When it was written, UTC; None where the file does not say.
        skip: Why it is left out whatever it says; empty where it is not.
    """

    id: str
    text: str
    owner: tuple[str, ...] = ()
    at: datetime | None = None
    skip: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry that became no card, and why."""

    entry: Entry
    reason: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What one import did.

    Attributes:
        added: New cards; those that claim authority wait for confirmation.
        updated: Cards that said the same and gained the entry's words as evidence.
        skipped: Entries that became no card, in the order of the file.
    """

    added: tuple[Card, ...] = ()
    updated: tuple[Card, ...] = ()
    skipped: tuple[Skipped, ...] = ()


@dataclass(slots=True)
class _Names:
    """Names cards after the entry that they come from: the same in every import of it."""

    entry: str = ""
    _count: int = field(default=0)

    def begin(self, entry: str) -> None:
        self.entry, self._count = entry, 0

    def __call__(self) -> str:
        self._count += 1
        told = f"{self.entry}\x1f{self._count}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(told).hexdigest()[:16]


def take_in(
    memory: PreferenceMemory,
    entries: Sequence[Entry],
    *,
    source: str,
    user_id: str,
    owner: str | None = None,
) -> ImportReport:
    """Take entries into a memory; doing it again changes nothing, also with a longer file.

    Each entry is read as the user's sentence by the memory's own extractor. Its cards have the
    source `imported`, the entry's time, and its words as evidence; those that claim authority are
    quarantined. Later entries take the place of earlier ones; cards that are there stay, and one
    that says the same gains the evidence. What the user forgot stays forgotten.

    Args:
        memory: The memory.
        entries: What the other memory holds.
        source: Name of the other memory.
        user_id: The user, as authenticated by the host.
        owner: Whose entries are taken, by the name in the file; `user_id` unless given.

    Raises:
        InputError: No entry is the owner's; nothing was stored.
    """
    wanted = owner or user_id
    owners = {"/".join(entry.owner) for entry in entries if entry.owner}
    if owners and not any(_belongs(entry, wanted) for entry in entries if entry.owner):
        raise InputError(
            f"the file holds memories of {', '.join(map(repr, sorted(owners)))}, none of "
            f"{wanted!r}: say whose are to become those of {user_id!r}"
        )
    turn_ids = _turn_ids(source, entries)
    names, time = _Names(f"{source}\x1f{user_id}"), _Time()
    skipped: dict[int, str] = {}
    cards: dict[int, tuple[str, ...]] = {}
    with PreferenceMemory(
        ":memory:", extractor=memory.extractor, embedder=memory.embedder, relater=memory.relater,
        reranker="none", judge="none", clock=time, ids=names,
        config=memory.config.model_copy(update={"on_conflict": "keep_both"}),
    ) as apart:  # fmt: skip
        for number in sorted(range(len(entries)), key=lambda n: entries[n].at or time.now):
            entry = entries[number]
            found: tuple[Card, ...] = ()
            reason = entry.skip if _belongs(entry, wanted) else "another user's"
            if not reason:
                names.begin("\x1f".join((source, user_id, entry.id, entry.text)))
                time.at = min(entry.at or time.now, time.now)
                turn = Turn(turn_ids[number], "user", first_person(entry.text), entry.at)
                reason, found = _read(apart, turn, source, user_id)
            if reason:
                skipped[number] = reason
            cards[number] = tuple(card.id for card in found)
        data = apart.export(user_id=user_id)
    words = {turn_ids[number]: entry.text for number, entry in enumerate(entries)}
    report = memory.load(_imported(data, words), user_id=user_id)
    taken = {card.id for card in report.added}
    heard = {evidence.turn_id for card in report.updated for evidence in card.preference.evidence}
    for number, ids in cards.items():
        if ids and turn_ids[number] not in heard and not taken.intersection(ids):
            skipped[number] = "taken in before, or forgotten since"
    return ImportReport(
        report.added,
        report.updated,
        tuple(Skipped(entries[number], skipped[number]) for number in sorted(skipped)),
    )


@dataclass(slots=True)
class _Time:
    """Gives the time of the entry that is read."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    at: datetime | None = None

    def __call__(self) -> datetime:
        return self.at or self.now


def _belongs(entry: Entry, wanted: str) -> bool:
    return not entry.owner or wanted in (*entry.owner, "/".join(entry.owner))


def _read(
    apart: PreferenceMemory, turn: Turn, source: str, user_id: str
) -> tuple[str, tuple[Card, ...]]:
    """Find the rules of one entry; gives why there are none, or the cards."""
    if not turn.text:
        return "empty", ()
    if len(turn.text) > apart.config.max_turn_chars:
        return f"longer than {apart.config.max_turn_chars:,} characters", ()
    if apart.command([turn], user_id="nobody").commands:  # of a file none is carried out
        return "an instruction to the memory, no preference", ()
    report = apart.learn([turn], user_id=user_id, session_id=source)
    if report.skipped:
        return "said in an earlier entry", ()
    found = (*report.added, *report.updated)
    return ("" if found else "no standing preference"), found


def _imported(data: dict[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """Give an export with the words of the file as evidence, and no more than the cards' events."""
    events = [event for event in data["events"] if event["changes"]]
    for card in (change["card"] for event in events for change in event["changes"]):
        card["source"] = "imported"
        for evidence in card["evidence"]:
            evidence["quote"] = words[evidence["turn_id"]]
    for number, event in enumerate(events, start=1):
        event["seq"] = number
    return data | {"events": events, "cards": [], "interactions": [], "edits": [], "state": None}


def _turn_ids(source: str, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Name the entries; two with one name are told apart by their places."""
    count = Counter(entry.id for entry in entries)
    return tuple(
        f"{source}:{_plain(entry.id)}" + (f"#{number}" if count[entry.id] > 1 else "")
        for number, entry in enumerate(entries)
    )


def _plain(name: str) -> str:
    """Give a name as it is, or a hash of one with characters that no turn's id can keep."""
    if name.isprintable():
        return name
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def mapping(value: object) -> Mapping[str, object]:
    """Give a JSON object as it is, and anything else as an empty one."""
    return cast(Mapping[str, object], value) if isinstance(value, Mapping) else {}


def moment(value: object) -> datetime | None:
    """Read a time as exports write it, ISO 8601 or seconds since 1970; None for anything else."""
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            at = datetime.fromtimestamp(value, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return at.astimezone(UTC) if at.year >= 1971 else None
