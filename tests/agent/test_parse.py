"""Answers of big models, as they come: tagged, listed, cut off, wrapped, or nothing at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem.agent.parse import MAX_ANSWER_CHARS, MAX_ITEM_CHARS, MAX_ITEMS, items, text_of

HI, SHORT, BYE = RULES = (
    "Greet with 'Hi' and the name.",
    "Keep it under 80 words.",
    "Sign off with 'Cheers, Ann'.",
)
LIST = "\n".join(f"- {rule}" for rule in RULES)
NUMBERED = "\n".join(f"{n}. {rule}" for n, rule in enumerate(RULES, start=1))
QUOTED = ", ".join(json.dumps(rule) for rule in RULES)

MALFORMED = {
    "prose around": f"Sure! Here are the rules:\n\n{LIST}\n\nLet me know if you need more.",
    "a number for a dash": f"<rules>\n{NUMBERED}\n</rules>",
    "all on one line": f"<rules>{NUMBERED}</rules>".replace("\n", " "),
    "thoughts with a block": "<thinking>- one\n<rules>no</rules></thinking>"
    + f"<rules>\n{LIST}\n</rules>",
    "thoughts left open": f"<thinking>\n- the first is shorter\n<rules>\n{LIST}\n</rules>",
    "thoughts that never began": f"- the first is shorter\n</think>\n{LIST}",
    "all inside of thoughts": f"<think>\n{LIST}\n</think>",
    "a block left open": f"<rules>\n{LIST}",
    "a block that only ends": f"{LIST}\n</rules>",
    "broken off": f"<rules>\n{LIST}\n- Use no exclam",
    "other letters and spaces": f"< RULES >\n{LIST}\n</ Rules >",
    "two blocks": f"<rules>\n- Old.\n</rules>\nOn second thought:\n<rules>\n{LIST}\n</rules>",
    "an empty block behind": f"<rules>\n{LIST}\n</rules>\n<rules>\n</rules>",
    "another name": f"<guidelines>\n{LIST}\n</guidelines>",
    "JSON in a fence": f'```json\n{{"rules": [{QUOTED}]}}\n```',
    "JSON of objects": "<rules>["
    + ", ".join(json.dumps({"id": n, "rule": rule}) for n, rule in enumerate(RULES))
    + "]</rules>",
    "JSON broken off": f'{{"rules": [{QUOTED}, "Use no excl',
    "a fence": f"```\n{LIST}\n```",
    "bold labels": "\n".join(f"{n}. **Rule {n}:** {rule}" for n, rule in enumerate(RULES)),
    "all bold": "\n".join(f"* **{rule}**" for rule in RULES),
    "quotation marks": "\n".join(f'- "{rule}"' for rule in RULES),
    "several lines each": "<rules>\n- Greet with 'Hi'\n  and the name.\n"
    + f"- {SHORT}\n- {BYE}\n</rules>",
    "nested": f"<rules>\n- {HI}\n  - {SHORT}\n    * {BYE}\n</rules>",
    "no marks": "<rules>\n" + "\n".join(RULES) + "\n</rules>",
    "a table": "| # | Rule |\n|---|---|\n"
    + "\n".join(f"| {n} | {r} |" for n, r in enumerate(RULES)),
    "under headings": f"## Rules\n\n### Opening\n- {HI}\n### Length\n- {SHORT}\n---\n- {BYE}",
    "twice the same": f"<rules>\n{LIST}\n{LIST.upper()}\n</rules>",
    "a tag for each": "<rules>" + "".join(f"<rule>{rule}</rule>" for rule in RULES) + "</rules>",
    "named by number": "\n".join(f"Rule {n}: {rule}" for n, rule in enumerate(RULES)),
    "bullets without a space": "\n".join(f"•{rule}" for rule in RULES),
    "boxes": "\n".join(f"- [ ] {rule}" for rule in RULES),
    "line ends of Windows": f"<rules>\n{LIST}\n</rules>".replace("\n", "\r\n"),
    "what cannot be seen": "<rules>\n- \u200b\n" + LIST.replace(" ", "\u00a0 ") + "\n</rules>",
}  # fmt: skip


def test_an_answer_as_it_was_asked_for_is_read() -> None:
    answer = f"<thinking>\n- The user's own is shorter.\n</thinking>\n<rules>\n{LIST}\n</rules>"
    assert items(answer, "rules") == RULES


@pytest.mark.parametrize("name", MALFORMED)
def test_rules_are_found_however_they_are_laid_out(name: str) -> None:
    assert items(MALFORMED[name], "rules") == RULES


@pytest.mark.parametrize(
    "answer",
    ["", " \n", "<rules></rules>", "<rules>\n- \n*\n</rules>", "I cannot.", "[]", "{}", "[1]",
     "<think>I wonder", "['a', 'b'", "- " + "x" * (MAX_ITEM_CHARS + 1)],
)  # fmt: skip
def test_where_there_is_nothing_nothing_is_read(answer: str) -> None:
    assert items(answer, "rules") == ()


def test_a_rule_may_hold_brackets_and_quotes() -> None:
    rules = ('Put tags at the end, such as ["work"].', 'Say "yes" or "no" first.')
    assert items("\n".join(f"- {rule}" for rule in rules), "rules") == rules


def test_intents_have_tags_of_their_own() -> None:
    answer = (
        "<scratchpad>- tone: warm</scratchpad><intent>\n- I cannot come.\n- I am ill.\n</intent>"
    )
    assert items(answer, "intent") == ("I cannot come.", "I am ill.")


def test_the_text_of_an_answer_is_without_thoughts() -> None:
    assert text_of("<think>\nHm.\n</think>\n\nHi Tom,\nsee you.\n") == "Hi Tom,\nsee you."


def test_no_more_is_read_than_fits() -> None:
    lines = "\n".join(f"- Rule number {n}." for n in range(MAX_ITEMS + 5))
    assert len(items(lines, "rules")) == MAX_ITEMS
    assert items(" " * MAX_ANSWER_CHARS + LIST, "rules") == ()


PIECES = (
    "<rules>", "</rules>", "<think>", "</think>", "- a\n", "1. b. ", "\n", "```\n", '["x"', "| c |",
    "|---|", "**", '"', "]", "}", "{", "\\", "<rule>", "\x00", "\ud800", "words of prose",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_nothing_breaks_it(answer: str) -> None:
    for item in items(answer, "rules"):
        assert item == " ".join(item.split())
        assert 0 < len(item) <= MAX_ITEM_CHARS
