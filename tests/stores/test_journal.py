"""The log of interaction and states as bytes: what is written comes back, and damage is seen."""

from dataclasses import fields, replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem import UserState
from prefmem.errors import StoreUnavailableError
from prefmem.interaction import Observation, Offer
from prefmem.stores import journal

AT = datetime(2026, 1, 1, tzinfo=UTC)
OFFER = Offer(
    "r", "süß 🙂", "q", np.array([1, 7, 9]), np.array([0.5, 0.25, 0.1], np.float32),
    np.array([0.1, -0.1, 0], np.float32), np.array([1, 0, 0], np.float32),
    np.array([True, False, False]), ("global", "doubted", "paused"), "ledger/1", AT,
)  # fmt: skip
SAID = Observation(
    "r", "s", "satisfied", 0.5, 0.75, False, np.array([7, 9]), np.array([1.5, -12], np.float32),
    np.array([-0.1, 0], np.float32), np.array([11]), np.array([0.5], np.float32), 0.25,
    np.array([0, 7]),
)  # fmt: skip
STATE = UserState(
    "ann", "ledger/1", "", np.array([1, 7, 11]), np.array([0.1, -2, 5], np.float32),
    np.array([2, 0.5, 9], np.float32), np.array([0.25, 0, -1], np.float32), 3, 0.5,
    session_id="s", paused=np.array([7]), sessions=2, steps=7,
)  # fmt: skip


def told(value: object) -> list[object]:
    held = (getattr(value, field.name) for field in fields(value))  # type: ignore[arg-type]
    return [v.tolist() if isinstance(v, np.ndarray) else v for v in held]


def read(blob: bytes) -> UserState:
    return journal.read_state(
        blob, user_id="ann", model="ledger/1", basis="", session_id="s", steps=7
    )


def test_offers_and_observations_come_back() -> None:
    offer = journal.read_offer(journal.write_entry(OFFER), recall_id="r", asked="q", at=AT)
    assert told(offer) == told(OFFER)
    assert told(journal.read_observation(journal.write_entry(SAID))) == told(SAID)
    empty = Observation("r")
    assert told(journal.read_observation(journal.write_entry(empty))) == told(empty)


@given(st.integers(0, 8 * len(journal.write_entry(OFFER)) - 1))
def test_every_flipped_bit_of_an_offer_is_seen(bit: int) -> None:
    blob = bytearray(journal.write_entry(OFFER))
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(StoreUnavailableError, match="stored offer is damaged"):
        journal.read_offer(bytes(blob), recall_id="r", asked="q", at=AT)


@pytest.mark.parametrize("cut", [0, 3, 20, -1])
def test_a_cut_observation_is_seen(cut: int) -> None:
    blob = journal.write_entry(SAID)
    with pytest.raises(StoreUnavailableError, match="stored observation is damaged"):
        journal.read_observation(blob[:cut])


def test_states_come_back() -> None:
    assert told(read(journal.write_state(STATE))) == told(STATE)
    vectors = replace(
        UserState("ann", "ledger/1", session_id="s", steps=7),
        long=np.array([1, 2], np.float32), short=np.array([3, 4], np.float32), baseline=0.1,
    )  # fmt: skip
    assert told(read(journal.write_state(vectors))) == told(vectors)
    assert journal.same(vectors, read(journal.write_state(vectors)))
    assert not journal.same(vectors, STATE)


@given(st.integers(0, 8 * len(journal.write_state(STATE)) - 1))
def test_every_flipped_bit_of_a_state_is_seen(bit: int) -> None:
    blob = bytearray(journal.write_state(STATE))
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(StoreUnavailableError, match="user's state is damaged"):
        read(bytes(blob))


def test_a_hundred_cards_take_less_than_a_kilobyte() -> None:
    numbers = np.arange(1, 201, 2)
    figures = np.ones(100, dtype=np.float32)
    full = replace(STATE, numbers=numbers, evidence=figures, amount=figures, prior=figures)
    assert len(journal.write_state(full)) == 41 + 25 + 8 * 100 + 4  # head, bits, cards, a pause


def test_a_forgotten_card_has_no_column_left() -> None:
    offer = journal.without_number(OFFER, 7)
    assert isinstance(offer, Offer)
    assert (offer.numbers.tolist(), offer.reasons) == ([1, 9], ("global", "paused"))
    said = journal.without_number(SAID, 7)
    assert isinstance(said, Observation)
    assert (said.numbers.tolist(), said.paused.tolist()) == ([9], [0])
    said = journal.without_number(SAID, 11)
    assert isinstance(said, Observation)
    assert said.taught.tolist() == said.taught_prior.tolist() == []
    assert journal.without_number(OFFER, 2) is OFFER
    assert journal.forgotten(STATE, 7).evidence.tolist() == pytest.approx([0.1, 5])
