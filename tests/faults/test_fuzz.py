"""Hostile inputs are refused at every door, the importers' too."""

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from prefmem import InputError, PreferenceMemory, Turn, UserRequiredError
from prefmem.errors import StoreUnavailableError
from prefmem.selftest import inputs
from prefmem.selftest.fuzz import fuzz, run
from prefmem.selftest.ground import Ground
from prefmem.selftest.targets import Target, sample_export
from prefmem.stores import codec, journal
from prefmem.testing import Clock, HashEmbedder, PhraseExtractor, TableRelater
from prefmem_imports import import_langmem, import_mem0

MEM0: dict[str, Any] = {
    "results": [
        {
            "id": "m1", "memory": "User always signs as Ann", "user_id": "ann",
            "created_at": "2026-01-01T00:00:00Z", "updated_at": 1_767_000_000,
            "expiration_date": "2030-01-01", "attributed_to": "user", "agent_id": None,
        },
        {"id": "m2", "memory": "Always use tabs.", "user_id": "ann", "role": "user"},
    ]
}  # fmt: skip
LANGMEM: list[Any] = [
    {
        "namespace": ["memories", "ann"], "key": "k1", "created_at": "2026-01-01T00:00:00Z",
        "value": {"kind": "Memory", "content": {"content": "Never use emojis"}},
    },
    {"namespace": ["memories", "ann"], "key": "k2", "value": {"content": "Always use tabs."}},
]  # fmt: skip


def imports() -> tuple[Target, ...]:
    """Give the doors of the importers: files are taken in whole or refused whole."""

    def checked(
        take: Callable[..., object],
    ) -> Callable[[Any], None]:
        def check(data: Any) -> None:  # noqa: ANN401  # any JSON
            with opened() as memory:
                try:
                    take(memory, data, user_id="ann")
                except InputError:
                    assert memory.list(user_id="ann") == ()
                    return
                held = [card.text for card in memory.list(user_id="ann")]
                take(memory, data, user_id="ann")
                assert [card.text for card in memory.list(user_id="ann")] == held
                assert all(text.isprintable() for text in held)

        return check

    rows = inputs.altered([LANGMEM]).filter(lambda data: isinstance(data, list))
    return (
        Target("mem0", 1, inputs.altered([MEM0, MEM0["results"]]), checked(import_mem0)),
        Target("langmem", 1, rows | st.lists(inputs.json_value), checked(import_langmem)),
    )


def opened() -> PreferenceMemory:
    return PreferenceMemory(
        ":memory:", extractor=PhraseExtractor(), embedder=HashEmbedder(8), relater=TableRelater(),
        reranker="none", judge="none", clock=Clock(),
    )  # fmt: skip


def test_every_door_of_the_core_holds(tmp_path: Path) -> None:
    finding = run(Ground(tmp_path, seed=7), 600)
    assert finding.passed, finding.told
    assert finding.size >= 600
    assert finding.figures["crashes"] == 0


def test_the_importers_hold() -> None:
    for tried in fuzz(60, seed=7, doors=imports()):
        assert tried.crashes == (), tried.example
        assert tried.cases >= 30


@pytest.mark.long
def test_the_doors_hold_for_long(tmp_path: Path) -> None:
    assert run(Ground(tmp_path, seed=8), 100_000).passed
    for tried in fuzz(5_000, seed=8, doors=imports()):
        assert tried.crashes == (), tried.example


def test_a_crash_is_reported_with_its_smallest_input() -> None:
    def check(number: int) -> None:
        if number >= 10:
            raise KeyError(number)

    (tried,) = fuzz(200, doors=[Target("numbers", 1, st.integers(0, 1_000), check)])
    assert tried.crashes[0].startswith("KeyError")
    assert tried.example.startswith("10\n")


# What was found, each as the smallest input that showed it


def test_brackets_without_end_in_a_blob_are_damage() -> None:
    content = b"[" * 100_000 + b"\n"
    blob = journal_blob(content)
    with pytest.raises(StoreUnavailableError, match="offer is damaged"):
        read_offer(blob)


def test_half_a_character_in_a_blob_is_damage() -> None:
    head = {"session": "\ud8d8", "model": "m", "n": [0]}
    with pytest.raises(StoreUnavailableError, match="offer is damaged"):
        read_offer(journal_blob(json.dumps(head).encode() + b"\n"))


def journal_blob(content: bytes) -> bytes:
    return struct.pack("<BI", 1, zlib.crc32(content)) + content


def read_offer(blob: bytes) -> object:
    return journal.read_offer(blob, recall_id="r", asked="a", at=Clock()())


@pytest.mark.parametrize(
    "look", [codec.place_in_changes, codec.shows_edits, codec.without_card, codec.without_links]
)
@pytest.mark.parametrize("text", ["[", "[1]", '[{"card": {}}]', "{}"])
def test_a_damaged_row_is_named_by_whatever_looks_into_it(
    look: Callable[[str, str], object], text: str
) -> None:
    with pytest.raises(StoreUnavailableError, match="damaged") as caught:
        look(text, "x")
    assert caught.value.__cause__ is None  # it would hold what was said


@pytest.mark.parametrize("job", [{"session_id": "\0"}, {"session_id": "x" * 300}])
def test_an_export_with_an_impossible_job_is_refused_before_anything_is_stored(
    job: dict[str, Any],
) -> None:
    data = sample_export()
    data["jobs"][0] |= job
    with opened() as memory:
        with pytest.raises(InputError, match="session_id"):
            memory.load(data, user_id="bob")
        assert memory.export(user_id="bob")["events"] == []


@pytest.mark.parametrize("messages", [None, 5, object(), [Turn(5, "user", "x")], [("user", 5)]])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # as callers do
def test_what_is_no_dialogue_is_an_input_error(messages: Any) -> None:  # noqa: ANN401  # anything
    with opened() as memory, pytest.raises(InputError):
        memory.learn(messages, user_id="ann")


@pytest.mark.parametrize("name", [None, 5, b"x", ["x"]])
def test_what_is_no_text_names_nothing(name: Any) -> None:  # noqa: ANN401  # anything
    with opened() as memory:
        memory.add("", "be brief", user_id="ann")
        uses: Sequence[Callable[[], object]] = (
            lambda: memory.get(name, user_id="ann"),
            lambda: memory.forget(name, user_id="ann"),
            lambda: memory.history(name, user_id="ann"),
            lambda: memory.undo(name, user_id="ann"),
            lambda: memory.feedback(name, 1.0, user_id="ann"),
        )
        for use in uses:
            with pytest.raises(InputError):
                use()
        with pytest.raises(UserRequiredError):
            memory.in_tenant(name).list(user_id="ann")


def test_an_error_does_not_repeat_a_whole_text() -> None:
    with opened() as memory, pytest.raises(InputError) as caught:
        memory.learn([{"role": "x" * 10_000, "content": ""}], user_id="ann")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "at",
    ["2026-01-01", datetime(2026, 1, 1), datetime(1, 1, 1, tzinfo=UTC), 5],  # what is refused
)
def test_a_time_that_cannot_be_kept_is_refused(at: Any) -> None:  # noqa: ANN401  # anything
    with opened() as memory:
        for take in (memory.learn, memory.learn_later):
            with pytest.raises(InputError, match="message 0 has at="):
                take([Turn("0", "user", "Always rest.", at)], user_id="ann")


@pytest.mark.parametrize("key", ["\0", "a\ud800", "a\nb", "plain"])
def test_an_import_keeps_the_words_of_entries_with_odd_names(key: str) -> None:
    items = [LANGMEM[0], {"key": key, "value": {"content": "Always use tabs."}}]
    with opened() as memory:
        report = import_langmem(memory, items, user_id="ann")
        tabs = next(card for card in report.added if card.text == "Use tabs.")
        assert tabs.preference.evidence[0].quote == "Always use tabs."
