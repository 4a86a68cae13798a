"""What is written is read back; what is damaged or foreign is refused by name."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem import Card, Evidence, InputError, Preference, Scope, UserState
from prefmem.errors import StoreUnavailableError
from prefmem.interaction import Entry, Observation, Offer
from prefmem.stores import codec
from prefmem.stores.seal import OPEN
from prefmem.types import Change, Event

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
RULE = Preference(
    'writing to \0 my "team" �',
    "use 😀",
    "avoid",
    0.1 + 0.2,
    Scope("global", "mail", "team", "de"),
    (Evidence("0", "line\nline"), Evidence("1", "x")),
)
CARD = Card("c", "ann", RULE, "superseded", "imported", "s", AT, AT, AT, "d")
STATE = UserState(
    "ann", "ledger/1", "b", np.array([1, 4]), np.array([0.1, -2], np.float32),
    np.array([2, 0.5], np.float32), np.array([0.25, 0], np.float32), 3, 0.5,
    long=np.array([1e-8, 3], np.float32), short=np.array([0, 1], np.float32), session_id="s",
    sessions=2, steps=7,
)  # fmt: skip
OFFER = Offer(
    "r", "s", "q", np.array([1, 4]), np.array([0.5, 0.25], np.float32),
    np.array([0.1, -0.1], np.float32), np.array([1, 0], np.float32), np.array([True, False]),
    ("relevant", "irrelevant"), "ledger/1", AT,
)  # fmt: skip
SAID = Observation(
    "r", "s", "dissatisfied", -0.5, 0.75, True, np.array([4]), np.array([1.5], np.float32),
    np.array([-0.1], np.float32), np.array([1]), np.array([0.5], np.float32), 0.25,
    np.array([0, 4]),
)  # fmt: skip
LOG = (Entry("offer:r", OFFER, AT, 1), Entry("heard:k", SAID, AT, 2))


def export() -> dict[str, Any]:
    events = [Event("k", "learn", (Change("add", CARD),), AT, 1)]
    return codec.Export.of(
        "ann", cards=[CARD], events=events, interactions=LOG, edits=(), state=STATE, jobs=(),
        numbers={"c": 1, "d": 4}, at=AT,
    ).model_dump(mode="json")  # fmt: skip


def test_cards_and_changes_come_back() -> None:
    assert codec.read_card(codec.write_card(CARD), "ann") == CARD
    changes = (Change("add", CARD), Change("merge", CARD))
    text = codec.write_changes(changes)
    assert codec.read_changes(text, "ann") == changes
    assert codec.read_card(codec.write_card(CARD), "bob").user_id == "bob"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text: str) -> None:
    card = Card("c", "ann", Preference(text, f"x{text}"), "active", "said", text, AT, AT)
    assert codec.read_card(codec.write_card(card), "ann") == card


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"id": "c"}', "\x00"])
def test_damaged_cards_and_changes_are_named_without_their_text(text: str) -> None:
    with pytest.raises(StoreUnavailableError, match="a card is damaged; restore a backup"):
        codec.read_card(text, "ann")
    if text != "[]":
        with pytest.raises(StoreUnavailableError, match="a log entry is damaged"):
            codec.read_changes(text, "ann")


def test_one_card_is_taken_out_of_the_changes() -> None:
    other = Card('odd "id" \\ ü', "ann", RULE, "active", "said", "", AT, AT)
    text = codec.write_changes((Change("add", CARD), Change("add", other)))
    assert codec.read_changes(codec.without_card(text, "c"), "ann") == (Change("add", other),)
    assert codec.name_in_changes(other.id) in text
    assert codec.name_in_changes(other.id) not in codec.without_card(text, other.id)


def test_vectors_come_back_as_unit_rows() -> None:
    blob = codec.write_vector(np.array([0.6, 0.8, 0], np.float32))
    assert len(blob) == 6 + 5
    rows = codec.read_vectors([blob, bytes(6)], 3)
    assert rows[0] == pytest.approx([0.6, 0.8, 0], abs=1e-3)
    assert np.linalg.norm(rows[0]) == pytest.approx(1)
    assert rows[1].tolist() == [0, 0, 0]
    assert codec.read_vectors([], 3).shape == (0, 3)
    with pytest.raises(StoreUnavailableError, match="a vector is damaged"):
        codec.read_vectors([blob, blob[:-1]], 3)


def test_a_bit_that_flips_in_a_value_is_named() -> None:
    blob = codec.write_vector(np.array([0.6, 0.8, 0], np.float32))
    assert codec.read_vectors([blob[:6]], 3)[0] == pytest.approx([0.6, 0.8, 0], abs=1e-3)  # of old
    for place in range(8 * len(blob)):
        damaged = bytearray(blob)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(StoreUnavailableError, match="restore a backup"):
            codec.read_vectors([bytes(damaged)], 3)

    text = OPEN.text('["Use SI."]', "events.body", 7)
    assert OPEN.open_text(text, "events.body", 7) == '["Use SI."]'
    assert OPEN.open_text('["Use SI."]', "events.body", 7) == '["Use SI."]'  # of old
    for changed, row in ((text.replace("SI", "SJ"), 7), (text[:-1] + "g", 7), (text, 8)):
        with pytest.raises(StoreUnavailableError, match=r"events\.body is damaged; restore a"):
            OPEN.open_text(changed, "events.body", row)


def test_times_are_written_in_utc() -> None:
    there = timezone(timedelta(hours=2))
    assert codec.stamp(datetime(2026, 1, 1, 1, tzinfo=there)) == "2025-12-31T23:00:00+00:00"


def test_an_export_is_json_and_comes_back() -> None:
    data = json.loads(json.dumps(export()))
    held = codec.Export.read(data)
    assert [r.card("ann") for r in held.cards] == [CARD]
    (event,) = held.log("ann")
    assert event == Event("k", "learn", (Change("add", CARD),), AT, 1)
    assert data["state"]["cards"] == [
        {"card_id": "c", "evidence": pytest.approx(0.1), "amount": 2},
        {"card_id": "d", "evidence": -2, "amount": 0.5},
    ]
    offered, said = held.interactions_of({"d": 9})  # in a store where c is not, and d is the ninth
    assert isinstance(offered.payload, Offer)
    assert isinstance(said.payload, Observation)
    assert (offered.payload.numbers.tolist(), offered.payload.reasons) == ([9], ("irrelevant",))
    assert offered.payload.relevance.tolist() == [0.25]
    assert (said.key, said.payload.numbers.tolist(), said.payload.taught.tolist()) == (
        "heard:k", [9], [],
    )  # fmt: skip
    assert said.payload.paused.tolist() == [0, 9]


def test_cards_without_an_event_get_one() -> None:
    data = export()
    data["events"] = []
    (event,) = codec.Export.read(data).log("bob")
    assert event.kind == "load"
    assert [c.card.user_id for c in event.changes] == ["bob"]
    assert codec.Export.read(data).log("bob")[0].key == event.key


def broken(path: str, value: object) -> dict[str, Any]:
    data = deepcopy(export())
    at: Any = data
    *way, last = (int(p) if p.isdigit() else p for p in path.split("."))
    for part in way:
        at = at[part]
    at[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "other"),
        ("version", 0),
        ("user_id", None),
        ("cards", "none"),
        ("cards.0.id", ""),
        ("cards.0.id", "x" * 65),
        ("cards.0.action", ""),
        ("cards.0.action", "\ud800"),
        ("cards.0.condition", 7),
        ("cards.0.polarity", "maybe"),
        ("cards.0.confidence", 1.5),
        ("cards.0.confidence", float("nan")),
        ("cards.0.scope.kind", "some"),
        ("cards.0.status", "gone"),
        ("cards.0.valid_from", "yesterday"),
        ("cards.0.valid_from", "2026-01-01T00:00:00"),
        ("cards.0.recorded_at", "0001-01-01T00:00:00Z"),
        ("cards.0.extra", 1),
        ("events.0.seq", 0),
        ("events.0.key", ""),
        ("events.0.kind", "party"),
        ("events.0.changes.0.op", "steal"),
        ("events.0.changes.0.card.source", "rumour"),
        ("events.0.at", "9999-12-31T23:59:59Z"),
        ("state.long", [1, float("inf")]),
        ("interactions.0.relevance", ["x"]),
        ("interactions.1.reward", 2),
        ("state.steps", -1),
        ("state.steps", 2**63),
    ],
)
def test_a_broken_export_is_refused_by_field(path: str, value: object) -> None:
    where = path.replace("interactions.0", "interactions.0.offer")
    where = where.replace("interactions.1", "interactions.1.observation")
    with pytest.raises(InputError, match=f"not a prefmem export: {where}"):
        codec.Export.read(broken(path, value))


@pytest.mark.parametrize("data", [None, 7, "x", [], {}, {"version": 1}])
def test_what_is_no_export_is_refused(data: object) -> None:
    with pytest.raises(InputError, match="not a prefmem export"):
        codec.Export.read(data)


def test_an_export_of_a_newer_format_is_refused() -> None:
    with pytest.raises(InputError, match="format version 2, this prefmem reads 1; upgrade"):
        codec.Export.read({"version": 2, "anything": "new"})
