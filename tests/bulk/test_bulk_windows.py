"""Rows as windows, and rules as records."""

from typing import Any

import pytest

from prefmem.bulk.windows import FIELDS, entry, record
from prefmem.errors import InputError
from prefmem.types import Evidence, Preference, Scope, Turn, Window

SAID = {"role": "user", "content": "Never apologise."}


def read(**fields: Any) -> Any:  # noqa: ANN401  # rows may hold anything
    names = fields.pop("names", FIELDS)
    row = {"user_id": "ann", "messages": [SAID], **fields}
    return entry(row, 7, log="a/b.jsonl", names=names)


def test_a_row_becomes_a_window() -> None:
    found = read(id="w1", session_id="s1", messages=[{"role": "ai", "content": "Hm."}, SAID])
    turns = (Turn("0", "assistant", "Hm."), Turn("1", "user", "Never apologise."))
    assert (found.id, found.row) == ("w1", 7)
    assert found.window == Window("ann", "s1", turns)
    assert found.turn_ids == ("1",)


def test_without_a_name_the_row_is_named_by_its_place() -> None:
    assert (read().id, read().window.session_id) == ("a/b.jsonl:7", "")


def test_whole_numbers_are_taken_for_names() -> None:
    found = read(id=5, user_id=17, session_id=3)
    assert (found.id, found.window.user_id, found.window.session_id) == ("5", "17", "3")


def test_a_log_may_have_other_names() -> None:
    names = {**FIELDS, "user_id": "who", "messages": "talk", "role": "from", "content": "value"}
    found = read(who="bob", talk=[{"from": "human", "value": "Hi."}], names=names)
    assert found.window == Window("bob", "", (Turn("0", "user", "Hi."),))


def test_what_learn_would_pass_over_is_no_error() -> None:
    empty = read(messages=[])
    call = read(messages=[{"role": "assistant", "tool_calls": [{"name": "f"}]}, SAID])
    assert (empty.window.turns, empty.turn_ids) == ((), ())
    assert call.turn_ids == ("1",)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"user_id": None}, "user_id is missing, or cannot be a key"),
        ({"user_id": "  "}, "user_id is missing, or cannot be a key"),
        ({"user_id": "secret" * 50}, "user_id is missing, or cannot be a key"),
        ({"user_id": ["secret"]}, "user_id is no text"),
        ({"user_id": True}, "user_id is no text"),
        ({"user_id": 1.5}, "user_id is no text"),
        ({"session_id": "secret\0"}, "session_id cannot be a key"),
        ({"session_id": "\ud800"}, "session_id cannot be a key"),
        ({"session_id": "é" * 129}, "session_id cannot be a key"),
        ({"id": {"secret": 1}}, "id is no text"),
        ({"messages": None}, "messages is no list"),
        ({"messages": "secret"}, "messages is no list"),
        ({"messages": [SAID, "secret"]}, "message 1 cannot be read"),
        ({"messages": [{"role": "secret", "content": "x"}]}, "message 0 cannot be read"),
        ({"messages": [{"content": "secret"}]}, "message 0 cannot be read"),
        ({"messages": [SAID, SAID, {"role": "user"}]}, "message 2 cannot be read"),
        ({"messages": [{"role": "user", "content": {"secret": 1}}]}, "message 0 cannot be read"),
        ({"messages": [{"role": "user", "content": "x" * 100_001}]}, "over 100,000 characters"),
    ],
)
def test_what_learn_would_refuse_is_refused_without_its_words(
    fields: dict[str, object], reason: str
) -> None:
    with pytest.raises(InputError, match=reason) as refusal:
        read(**fields)
    assert "secret" not in str(refusal.value)


def test_rules_become_plain_data() -> None:
    preference = Preference(
        "writing SQL", "use CTEs", "do", 0.123456789, Scope("conditional", task="code"),
        (Evidence("0", "Never apologise"),),
    )  # fmt: skip
    assert record(read(id="w1", session_id="s1"), [preference]) == {
        "id": "w1",
        "user_id": "ann",
        "session_id": "s1",
        "rules": [
            {
                "condition": "writing SQL",
                "action": "use CTEs",
                "polarity": "do",
                "confidence": 0.123457,
                "scope": {
                    "kind": "conditional",
                    "task": "code",
                    "audience": None,
                    "language": None,
                },
                "evidence": [{"turn": 0, "quote": "Never apologise"}],
            }
        ],
    }
