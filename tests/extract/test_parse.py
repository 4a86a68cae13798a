import json
import re
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefmem.extract.parse import SCHEMA, AnswerItem, Parsed, Reason, parse

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
    assert parse(answer).items == (BRIEF,)


@pytest.mark.parametrize(
    ("answer", "rejected"),
    [
        ("", {"empty": 1}),
        (f"<think>{LIST}", {"empty": 1}),
        ("No preferences.", {"not_json": 1}),
        ("null", {"not_json": 1}),
        ('["be brief"]', {"not_json": 1}),
        ("{'action': 'be brief'}", {"not_json": 1}),
        ('{"preferences": []}', {}),
        ("[ ]", {}),
        ('{"preferences": null}', {"wrong_type": 1}),
        ('{"preferences": ["be brief"]}', {"wrong_type": 1}),
        ('{"action": ""}', {"no_action": 1}),
        ('{"action": "  "}', {"no_action": 1}),
        ('{"condition": "writing emails"}', {"no_action": 1}),
        ('{"action": null}', {"wrong_type": 1}),
        ('{"action": 3}', {"wrong_type": 1}),
        ('{"action": ["be brief"]}', {"wrong_type": 1}),
        ('{"condition": 7, "action": "be brief"}', {"wrong_type": 1}),
        ('{"action": "\\ud800"}', {"wrong_type": 1}),
        ('{"action": "be brief", "confidence": 7}', {"confidence": 1}),
        ('{"action": "be brief", "confidence": 1.01}', {"confidence": 1}),
        ('{"action": "be brief", "confidence": -0.01}', {"confidence": 1}),
        ('{"action": "be brief", "confidence": NaN}', {"confidence": 1}),
        ('{"action": "be brief", "confidence": Infinity}', {"confidence": 1}),
        ('{"action": "be brief", "confidence": "high"}', {"confidence": 1}),
        ('{"action": "be brief", "confidence": 1' + "0" * 5_000 + "}", {"not_json": 1}),
        ('{"action": "be brief"', {"cut_off": 1}),
        ("{" * 60_000, {"cut_off": 1, "too_deep": 1}),
        # Only the two innermost objects are low enough to be looked at.
        ('{"a":' * 100 + "1" + "}" * 100, {"no_action": 2, "too_deep": 1}),
        ("[" * 100 + "]" * 100, {"too_deep": 1}),
        ('{"' + '\\"' * 30_000 + "\\", {"cut_off": 1}),
        ('[""' * 20_000, {"cut_off": 1, "too_deep": 1}),
        ("x" * 1_000_000, {"too_long": 1}),
    ],
)
def test_a_bad_answer_gives_nothing_but_reasons(answer: str, rejected: dict[str, int]) -> None:
    assert parse(answer) == Parsed((), cast(dict[Reason, int], rejected))


def test_the_rest_of_a_partly_bad_answer_counts() -> None:
    bad = ['{"action": 3}', ITEM, '{"action": "x", "confidence": "high"}', ITEM, '{"act']
    again = '{"condition": "code", "action": "comment it", "why": "said", "confidence": 1}'
    found = parse('{"preferences": [' + ", ".join([ITEM, again, *bad]))
    assert found.items == (BRIEF, AnswerItem(condition="code", action="comment it", confidence=1))
    assert found.rejected == {
        "wrong_type": 1, "confidence": 1, "duplicate": 2, "unknown_key": 1, "cut_off": 1,
    }  # fmt: skip


def test_the_schema_has_the_bounds_of_an_item() -> None:
    item = SCHEMA["properties"]["preferences"]["items"]
    assert item["required"] == list(AnswerItem.model_fields) == list(item["properties"])
    longest = {name: item["properties"][name]["maxLength"] for name in ("condition", "action")}
    whole = {name: "x" * length for name, length in longest.items()}
    assert parse(json.dumps(whole)).rejected == {}
    for name in whole:
        assert parse(json.dumps({**whole, name: whole[name] + "x"})).rejected == {"too_long": 1}


def test_slots_have_bounds() -> None:
    items = [
        {"condition": "c" * 128, "action": "a" * 256, "confidence": 1},
        {"condition": "c" * 129, "action": "b", "confidence": 1},
        {"condition": "c", "action": "a" * 257, "confidence": 0},
        {"condition": "d", "action": "a", "confidence": 0},
    ]
    found = parse(json.dumps({"preferences": items}))
    assert [(len(i.condition), len(i.action), i.confidence) for i in found.items] == [
        (128, 256, 1),
        (1, 1, 0),
    ]
    assert found.rejected == {"too_long": 2}


@pytest.mark.parametrize(
    "item",
    ['{"action": "be brief"}', '{"action": "be brief", "condition": null, "confidence": null}'],
)
def test_what_is_missing_is_no_condition_and_even_odds(item: str) -> None:
    assert parse(item).items == (AnswerItem(condition="", action="be brief", confidence=0.5),)


def test_twenty_items_are_enough() -> None:
    found = parse("".join(f'{{"action": "do {n}"}}' for n in range(500)))
    assert [item.action for item in found.items] == [f"do {n}" for n in range(20)]
    assert found.rejected == {"too_many": 480}


def test_what_follows_64k_is_not_read() -> None:
    assert parse(" " * (65_536 - len(ITEM)) + ITEM) == Parsed((BRIEF,), {})
    found = parse(" " * (65_537 - len(ITEM)) + ITEM)
    assert found == Parsed((), {"too_long": 1, "cut_off": 1})


FRAGMENTS = st.sampled_from(
    ["{", "}", "[", "]", '"', "\\", ",", ":", '"action"', '"be brief"', '"confidence"', "0.9",
     "null", "<think>", "</think>", "```", "\n", "é", "\ud800", "\0", ITEM, "{}", "[]"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.lists(FRAGMENTS, max_size=60).map("".join)))
def test_any_text_gives_valid_items(answer: str) -> None:
    found = parse(answer)
    assert found.items or found.rejected or re.search(r"\[\s*\]", answer)
    assert len(found.items) <= 20
    for item in found.items:
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
    read = [(item.condition, item.action) for item in parse(answer).items]
    assert read[: len(items)] == [(i["condition"], i["action"].strip()) for i in items]
