"""The doors through which strangers' data comes in, each with the inputs that are tried on it."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from hypothesis import strategies as st

from prefmem.errors import PrefmemError, StoreUnavailableError
from prefmem.extract.answers import Tally, questions, read_answers
from prefmem.extract.chat import ChatExtractor
from prefmem.extract.parse import MAX_ITEMS, parse
from prefmem.extract.prompts import PromptName
from prefmem.interaction import Offer, UserState
from prefmem.models.endpoint import OpenAIChat
from prefmem.selftest import inputs
from prefmem.selftest.doors import (
    Memories,
    check_block,
    check_messages,
    check_words,
    fresh,
)
from prefmem.stores import codec, journal
from prefmem.types import Turn, Window

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_SAID = "When I write code, always use tabs. Never use emojis! Keep answers short."


@dataclass(frozen=True, slots=True)
class Target:
    """One door.

    Attributes:
        name: What is tried.
        share: Of the cases that go to it, in proportion to the others'.
        inputs: What it is tried with.
        check: Takes one input; raises where the door does not hold: anything but the refusal that
            it promises.
        seeds: Sound inputs as bytes, for fuzzers that begin with some.
    """

    name: str
    share: int
    inputs: "st.SearchStrategy[Any]"
    check: Callable[[Any], None]
    seeds: tuple[bytes, ...] = ()


def targets() -> tuple[Target, ...]:
    """Give the doors of the core."""
    export = sample_export()
    blobs = _blobs()
    heads, bodies, states = _parts(blobs)
    cards: list[Any] = [c["card"] for e in export["events"] for c in e["changes"]]
    changes: list[Any] = [event["changes"] for event in export["events"]]
    turns: list[Any] = [job["turns"] for job in export["jobs"]]
    memories = Memories()
    log = _blob(blobs) | inputs.signed_entry(heads, bodies)
    state = _blob(states) | inputs.signed_state(states)
    answer = inputs.altered_json(_ANSWERS) | inputs.deep | inputs.text
    return (
        Target("extractor answers", 16, answer, check_answer, _bytes(_ANSWERS)),
        Target("chat model replies", 2, inputs.anything | answer, _Replies()),
        Target("endpoint bodies", 4, _json(_BODIES), check_body, _bytes(_BODIES)),
        Target("exports to load", 8, inputs.altered([export]) | inputs.json_value, memories.load),
        Target("log blobs", 14, log, check_entry, tuple(blobs)),
        Target("state blobs", 10, state, check_state, tuple(states)),
        Target("stored cards", 8, _json(cards), check_card, _bytes(cards)),
        Target("stored events", 6, _json(changes), check_changes, _bytes(changes)),
        Target("stored turns", 6, _json(turns), check_turns, _bytes(turns)),
        Target("ids", 6, st.lists(inputs.anything, min_size=6, max_size=6), memories.ids),
        Target("messages", 10, inputs.messages, check_messages),
        Target("dialogues", 4, inputs.messages, memories.dialogue),
        Target("words", 8, inputs.text, check_words),
        Target("rules by hand", 4, st.tuples(inputs.text, inputs.text), memories.by_hand),
        Target("rendering", 20, st.lists(inputs.text, min_size=1, max_size=12), check_block),
    )


def _json(documents: Sequence[Any]) -> "st.SearchStrategy[str]":
    return inputs.altered_json(documents) | inputs.deep


def _bytes(documents: Sequence[Any]) -> tuple[bytes, ...]:
    return tuple(json.dumps(document).encode() for document in documents)


# What a model answered


_ANSWERS: tuple[dict[str, Any], ...] = (
    {
        "preferences": [
            {"condition": "writing code", "action": "use tabs", "confidence": 0.9},
            {"condition": "", "action": "never use emojis", "confidence": 0.8},
            {"condition": "always", "action": "keep answers short", "confidence": 1},
        ]
    },
    {"preferences": []},
)
_BODIES: tuple[dict[str, Any], ...] = (
    {
        "id": "x", "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "{}"}}],
        "usage": {"total_tokens": 3},
    },
)  # fmt: skip
_WINDOW = Window("ann", "s", (Turn("0", "assistant", "Hello"), Turn("1", "user", _SAID)))
_PROMPTS: tuple[PromptName, ...] = ("training", "card", "instructed")
_ASKED = {prompt: questions(_WINDOW, ["1"], prompt) for prompt in _PROMPTS}


def check_answer(answer: str) -> None:
    """Whatever a model says there is a result, and it holds only what the user said."""
    parsed = parse(answer)
    assert len(parsed.items) <= MAX_ITEMS
    for asked in _ASKED.values():
        for preference in read_answers([answer], asked, ["1"], Tally()):
            assert preference.evidence
            assert all(e.turn_id == "1" and e.quote in _SAID for e in preference.evidence)
            assert 0 < preference.confidence <= 1


class _Replies:
    """Asks a chat model that replies with anything."""

    def __init__(self) -> None:
        self._reply: object = ""
        self._extractor = ChatExtractor(cast(Any, self))

    def bind(self, **_: object) -> "_Replies":
        return self

    def invoke(self, *_: object) -> object:
        return self._reply

    def __call__(self, reply: object) -> None:
        self._reply = reply
        with suppress(PrefmemError):
            for preference in self._extractor.extract(_WINDOW, ["1"]):
                assert all(e.quote in _SAID for e in preference.evidence)


_ENDPOINT = OpenAIChat("http://localhost:1/v1", model="m")


def check_body(body: str) -> None:
    """The body of an endpoint's answer gives a text, or is refused."""
    read: Callable[[bytes, str | None], str] = getattr(_ENDPOINT, "_text")  # noqa: B009  # no network here
    with suppress(PrefmemError):
        assert isinstance(read(body.encode("utf-8", "surrogatepass"), None), str)  # pyright: ignore[reportUnnecessaryIsInstance]  # it is what is shown


# What lies in a store


def sample_export() -> dict[str, Any]:
    """Give the export of a user with some of everything."""
    with fresh() as memory:
        memory.learn([("user", _SAID)], user_id="ann", session_id="s")
        card = memory.add("writing mails", "sign as Ann", user_id="ann")
        first = memory.recall("write code", user_id="ann", session_id="s", strict=True)
        said = [("user", "write code"), ("assistant", "done"), ("user", "not tabs again")]
        memory.learn(said, user_id="ann", session_id="s")
        memory.edit(card.id, user_id="ann", action="sign as A.")
        memory.feedback(first, 1.0, user_id="ann")
        memory.learn_from_edit("Hello there", "Hi there", "a mail", user_id="ann")
        event = memory.history(card.id, user_id="ann")[-1]
        memory.undo(event.id, user_id="ann")
        window = codec.JobRecord(
            session_id="s", turns=(codec.TurnRecord.of(Turn("0", "user", "Always rest.", _AT)),),
            keys=("k:",), queued_at=_AT, due=_AT, tries=1, error="OSError", dead=True,
        )  # fmt: skip
        return memory.export(user_id="ann") | {"jobs": [window.model_dump(mode="json")]}


def _blobs() -> list[bytes]:
    """Give blobs as a store holds them: offers and observations."""
    held = codec.Export.read(sample_export())
    numbers = {card.id: place for place, card in enumerate(held.cards, start=1)}
    return [journal.write_entry(entry.payload) for entry in held.interactions_of(numbers)]


def _parts(blobs: Sequence[bytes]) -> tuple[list[Any], list[bytes], list[bytes]]:
    """Give the heads and bodies of blobs, and a state's blob."""
    heads = [json.loads(blob[5:].partition(b"\n")[0]) for blob in blobs]
    bodies = [blob[5:].partition(b"\n")[2] for blob in blobs]
    with fresh() as memory:
        memory.learn([("user", _SAID)], user_id="ann")
        memory.recall("write code", user_id="ann", strict=True)
        memory.learn([("user", "write code"), ("user", "not tabs again")], user_id="ann")
        return heads, bodies, [journal.write_state(memory.get_user("ann"))]


def _blob(blobs: Sequence[bytes]) -> "st.SearchStrategy[bytes]":
    return inputs.altered_bytes(blobs) | st.binary(max_size=200)


def check_entry(blob: bytes) -> None:
    """A damaged line of the log of interaction is named, a sound one reads as it was written."""
    with suppress(StoreUnavailableError):
        offer = journal.read_offer(blob, recall_id="r", asked="a", at=_AT)
        assert _same_entry(offer, journal.read_offer(
            journal.write_entry(offer), recall_id="r", asked="a", at=_AT))  # fmt: skip
    with suppress(StoreUnavailableError):
        said = journal.read_observation(blob)
        assert _same_entry(said, journal.read_observation(journal.write_entry(said)))


def _same_entry(one: journal.Payload, other: journal.Payload) -> bool:
    return journal.write_entry(one) == journal.write_entry(other) and (
        not isinstance(one, Offer) or len(one.reasons) == len(one.numbers) == len(one.shown)
    )


def check_state(blob: bytes) -> None:
    """A damaged state is named, and a sound one reads as it was written."""

    def read(given: bytes) -> UserState:
        return journal.read_state(given, user_id="u", model="m", basis="b", session_id="s", steps=1)

    with suppress(StoreUnavailableError):
        written = journal.write_state(read(blob))
        assert journal.write_state(read(written)) == written


def check_card(text: str) -> None:
    """A stored card reads as it was written, or is damaged."""
    with suppress(StoreUnavailableError):
        card = codec.read_card(text, "ann")
        assert codec.read_card(codec.write_card(card), "ann") == card
        assert card.text
    with suppress(StoreUnavailableError):
        codec.without_links(text, "x")


def check_changes(text: str) -> None:
    """A stored event reads as it was written, or is damaged, to whatever looks into it."""
    with suppress(StoreUnavailableError):
        changes = codec.read_changes(text, "ann")
        assert codec.read_changes(codec.write_changes(changes), "ann") == changes
    for look in (codec.place_in_changes, codec.shows_edits, codec.without_card):
        with suppress(StoreUnavailableError):
            cast("Callable[[str, str], object]", look)(text, "x")


def check_turns(text: str) -> None:
    """A stored window reads as it was written, or is damaged."""
    with suppress(StoreUnavailableError):
        turns = codec.read_turns(text)
        assert codec.read_turns(codec.write_turns(turns)) == turns
