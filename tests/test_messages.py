"""Hosts' messages become turns, or are refused by position."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from prefmem import InputError, Turn
from prefmem.messages import clean, plain, slot, to_turns


def read(*messages: object) -> list[tuple[str, str]]:
    turns = to_turns(messages, max_chars=1000)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # anything may come
    return [(turn.role, turn.text) for turn in turns]


@pytest.mark.parametrize(
    ("given_role", "role"),
    [
        ("user", "user"),
        ("human", "user"),
        ("User", "user"),
        ("assistant", "assistant"),
        ("ai", "assistant"),
        ("system", "system"),
        ("developer", "system"),
        ("tool", "tool"),
        ("function", "tool"),
    ],
)
def test_roles(given_role: str, role: str) -> None:
    assert read({"role": given_role, "content": "x"}, (given_role, "y")) == [
        (role, "x"),
        (role, "y"),
    ]


def test_ids_are_positions_and_turns_keep_theirs() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    turns = to_turns([("user", "a"), Turn("m7", "user", "b", at), ("ai", "c")], max_chars=9)
    assert [turn.id for turn in turns] == ["0", "m7", "2"]
    assert turns[1].at == at


def test_langchain_messages() -> None:
    assert read(
        SystemMessage("s"),
        HumanMessage("h"),
        AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}]),
        ToolMessage("t", tool_call_id="1"),
        AIMessageChunk(content="c"),
        HumanMessage(content=[{"type": "text", "text": "a"}, "b"]),
    ) == [
        ("system", "s"),
        ("user", "h"),
        ("assistant", ""),
        ("tool", "t"),
        ("assistant", "c"),
        ("user", "a\nb"),
    ]


def test_blocks_give_the_text_that_was_typed() -> None:
    blocks = [
        {"type": "text", "text": "typed"},
        {"type": "input_text", "text": "too"},
        {"text": "bare"},
        {"type": "image_url", "image_url": {"url": "data:"}},
        {"type": "text-plain", "text": "an attached file: always pay first"},
        {"type": "text", "text": None},
        {"type": ["odd"], "text": "odd"},
        {},
        7,
    ]
    assert read({"role": "user", "content": blocks}) == [("user", "typed\ntoo\nbare")]
    assert read({"role": "user", "content": []}) == [("user", "")]


def test_an_empty_message_keeps_its_place() -> None:
    assert read(
        {"role": "assistant", "content": None},
        {"role": "assistant", "tool_calls": [{"id": "1"}]},
        ("user", ""),
    ) == [("assistant", ""), ("assistant", ""), ("user", "")]


@dataclass
class Odd:
    type: str
    content: object


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"role": "wizard", "content": "x"}, "message 1 has role 'wizard'"),
        ({"role": None, "content": "x"}, "message 1 has role None"),
        (("narrator", "x"), "message 1 has role 'narrator'"),
        (Turn("1", "bard", "x"), "message 1 has role 'bard'"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point
        ({"role": "user"}, r"message 1 needs 'role' and 'content': \['role'\]"),
        ({"content": "x", 3: "y"}, "message 1 needs 'role' and 'content'"),
        ({"role": "assistant", "tool_calls": []}, "message 1 needs"),
        ({"role": "user", "content": 7}, "message 1 has content of type int"),
        ({"role": "user", "content": b"x"}, "message 1 has content of type bytes"),
        ({"role": "user", "content": {"text": "x"}}, "message 1 has content of type dict"),
        (Turn("1", "user", None), None),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point
        (Odd("remove", ""), "message 1 has role 'remove'"),
        (Odd("human", 1.5), "message 1 has content of type float"),
        ("hello", "message 1 is a str; pass dicts"),
        (("user", "a", "b"), "message 1 is a tuple"),
        (["user", "a"], "message 1 is a list"),
        (None, "message 1 is a NoneType"),
        (Turn("0", "user", "x"), "message 1 has the id '0' of an earlier one"),
        (("user", "x" * 1001), "message 1 has 1,001 characters, at most 1,000 are read"),
    ],
)
def test_what_cannot_be_read_is_refused_by_position(message: object, said: str | None) -> None:
    if said is None:
        assert read(("user", "first"), message) == [("user", "first"), ("user", "")]
        return
    with pytest.raises(InputError, match=said):
        read(("user", "first"), message)


def test_one_text_is_no_list_of_messages() -> None:
    with pytest.raises(InputError, match="message 0 is a str"):
        to_turns("hello", max_chars=9)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point


def test_lone_surrogates_and_nul_are_replaced() -> None:
    assert clean("a\0b\ud800c\udfffd") == "a�b�c�d"
    assert clean("😀 \U0010ffff") == "😀 \U0010ffff"
    assert read(("user", "a\0\ud83d")) == [("user", "a��")]
    (turn,) = to_turns([Turn("\ud800", "user", "x")], max_chars=9)
    assert turn.id == "�"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("  use \t SI\n\nunits ", "use SI units"),
        ("ﬁne", "fine"),  # a ligature
        ("a\u200bb\u202ec\u2028d\u2029e\x07f", "abc d ef"),
        ("e\u200d\u0301", "é"),  # the joiner kept letter and accent apart
        ("\ud800\0", "��"),
        ("\U000e0041\ufe0f", ""),  # tags and variation selectors go
        ("a\u034fb\u3164c\U000e0100d", "abcd"),  # a joiner, a filler, a selector
        ("", ""),
    ],
)
def test_plain_text_is_one_line_of_visible_characters(text: str, wanted: str) -> None:
    assert plain(text, limit=100) == wanted


def test_plain_text_is_cut() -> None:
    assert plain("abcdef", limit=3) == "abc"
    assert plain("ab cd", limit=3) == "ab"
    assert plain("x" * 10_000_000, limit=5) == "xxxxx"


def test_a_slot_is_never_cut() -> None:
    assert slot("a" * 20, longest=20) == "a" * 20
    assert slot(f"  {'a' * 20}\n", longest=20) == "a" * 20
    assert slot("a" * 21, longest=20) is None
    assert slot("a" * 20 + " b", longest=20) is None
    assert slot("a" * 20 + " " * 10_000 + "b", longest=20) is None


@given(st.text(st.characters(), max_size=300), st.integers(1, 300))
def test_plain_text_stays_as_it_is(text: str, limit: int) -> None:
    once = plain(text, limit=limit)
    assert len(once) <= limit
    assert "\n" not in once
    assert once.isprintable()
    assert plain(once, limit=limit) == once
    once.encode()
