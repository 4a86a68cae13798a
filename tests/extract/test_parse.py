import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefmem.extract.parse import AnswerItem, parse

BRIEF = AnswerItem(condition="writing emails", action="be brief", confidence=0.9)
ITEM = '{"condition": "writing emails", "action": "be brief", "confidence": 0.9}'
LIST = f'{{"preferences": [{ITEM}]}}'


@pytest.mark.parametrize(
    "answer",
    [
        LIST,
        f"[{ITEM}]",
        ITEM,
        f"```json\n{LIST}\n```",
        f"Here is what I found:\n{LIST}\nAnything else?",
        f'The 5" screen [see note] and {{more}}: {LIST}',
        f"An open bracket [ and {LIST}",
        f"<think>\n\n</think>\n\n{LIST}",
        f'<think>Maybe {{"action": "shout"}}?</think>{LIST}',
        f'Maybe {{"action": "shout"}}?</think>{LIST}',
        f'{LIST}<think>or {{"action": "shout"}}',
        f'{{"preferences": [{ITEM}, {{"condition": "cod',
        f'{{"preferences": [{ITEM}, {{"condition": "code", "action": "comm"',
        f"{ITEM}\n{ITEM}",
        f'[{ITEM}, {{"condition": "Writing  emails", "action": "Be brief.", "confidence": 0.2}}]',
        f"[{ITEM}}}]",
        f'[{ITEM}, {{"condition": "x", "action": "y", }}]',
        '{"condition": " writing emails ", "action": "be brief", "confidence": "0.9", "why": [1]}',
        f'{{"a": {{"b": {{"action": {{"c": 1}}}}}}, "preferences": [{ITEM}]}}',
    ],
)
def test_the_one_preference_is_found(answer: str) -> None:
    assert parse(answer) == (BRIEF,)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "No preferences.",
        '{"preferences": []}',
        '{"preferences": null}',
        '{"preferences": ["be brief"]}',
        "null",
        "{'action': 'be brief'}",
        '{"action": ""}',
        '{"action": "  "}',
        '{"action": null}',
        '{"action": 3}',
        '{"action": ["be brief"]}',
        '{"condition": "writing emails"}',
        '{"condition": 7, "action": "be brief"}',
        '{"action": "be brief", "confidence": 1.01}',
        '{"action": "be brief", "confidence": -0.01}',
        '{"action": "be brief", "confidence": NaN}',
        '{"action": "be brief", "confidence": Infinity}',
        '{"action": "be brief", "confidence": "high"}',
        '{"action": "be brief", "confidence": 1' + "0" * 5_000 + "}",
        '{"action": "\\ud800"}',
        '{"action": "be brief"',
        f"<think>{LIST}",
        "{" * 60_000,
        "[{" * 30_000 + "}]" * 30_000,
        '{"' + '\\"' * 30_000 + "\\",
        '[""' * 20_000,
    ],
)
def test_a_bad_answer_gives_nothing(answer: str) -> None:
    assert parse(answer) == ()


def test_slots_have_bounds() -> None:
    items = [
        {"condition": "c" * 128, "action": "a" * 256, "confidence": 1},
        {"condition": "c" * 129, "action": "b", "confidence": 1},
        {"condition": "c", "action": "a" * 257, "confidence": 0},
        {"condition": "d", "action": "a", "confidence": 0},
    ]
    found = parse(json.dumps({"preferences": items}))
    assert [(len(i.condition), len(i.action), i.confidence) for i in found] == [
        (128, 256, 1),
        (1, 1, 0),
    ]


@pytest.mark.parametrize(
    "item",
    ['{"action": "be brief"}', '{"action": "be brief", "condition": null, "confidence": null}'],
)
def test_what_is_missing_is_no_condition_and_even_odds(item: str) -> None:
    assert parse(item) == (AnswerItem(condition="", action="be brief", confidence=0.5),)


def test_twenty_items_are_enough() -> None:
    found = parse("".join(f'{{"action": "do {n}"}}' for n in range(30)))
    assert [item.action for item in found] == [f"do {n}" for n in range(20)]


def test_what_follows_64k_is_not_read() -> None:
    assert parse(" " * (65_536 - len(ITEM)) + ITEM) == (BRIEF,)
    assert parse(" " * (65_537 - len(ITEM)) + ITEM) == ()


FRAGMENTS = st.sampled_from(
    ["{", "}", "[", "]", '"', "\\", ",", ":", '"action"', '"be brief"', '"confidence"', "0.9",
     "null", "<think>", "</think>", "```", "\n", "é", "\ud800", "\0", ITEM, "{}", "[]"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.lists(FRAGMENTS, max_size=60).map("".join)))
def test_any_text_gives_valid_items(answer: str) -> None:
    found = parse(answer)
    assert len(found) <= 20
    for item in found:
        assert 0 < len(item.action) <= 256
        assert len(item.condition) <= 128
        assert 0 <= item.confidence <= 1


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
LETTERS = st.characters(codec="utf-8", exclude_characters="<", exclude_categories=["Cc"])
TEXT = st.text(LETTERS, min_size=1, max_size=30)


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXT.filter(str.strip), max_size=5), JSON)
def test_a_valid_list_is_read_back(actions: list[str], noise: object) -> None:
    items = [{"condition": f"case {n}", "action": action} for n, action in enumerate(actions)]
    answer = json.dumps({"preferences": items, "noise": noise}, ensure_ascii=False)
    read = [(item.condition, item.action) for item in parse(answer)]
    assert read[: len(items)] == [(i["condition"], i["action"].strip()) for i in items]
