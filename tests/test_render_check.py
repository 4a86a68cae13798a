"""Which rules code recognises, and what it says of replies."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem import broken_rules
from prefmem.render_check import check_of

LONG = "The kettle boils. " * 3  # 9 words, 3 sentences


@pytest.mark.parametrize(
    ("rule", "kept", "broken"),
    [
        ("Keep your answers under 10 words.", LONG, LONG + "Now."),
        ("Answer in at most 9 words.", LONG, LONG + "Now."),
        ("limit replies to ten words", LONG + "Now.", LONG + "Right now."),
        ("Keep answers to 3 sentences or less.", LONG, LONG + "Go!"),
        ("Answer in one sentence.", "It is 3.5 km, e.g. by bus.", "Yes. It is."),
        ("Never write more than two sentences.", "1. Fill it.\n2. Boil it.", LONG),
        ("Never use bullet points.", "Fill it - then boil it.", "Do this:\n- fill it"),
        ("don't use bullets in your answers", "5 * 3 is 15", "  • fill it"),
        ("Use bullet points.", "* fill it\n* boil it", "Fill it, boil it."),
        ("Answer with numbered steps.", "1. Fill it.\n2. Boil it.", "First fill it."),
        ("No headings please.", "The #1 kettle", "## Kettles\nFill it."),
        ("Avoid section titles.", "It is **hot**.", "**Kettles**\nFill it."),
        ("Put a heading on top.", "# Kettles\nFill it.", "Kettles: fill it."),
        ("Always answer in German.", "Der Tee ist für die Gäste.", "The tea is for you."),
        ("Reply to me in French.", "Oui!", "The tea is for you and me."),
        ("Skip the preamble.", "Great Britain.", "Great question! Britain."),
        ("Get straight to the point.", "Fill it.", "Here is how:\nFill it."),
        ("Start with the answer.", "Forty two.", "What is the answer?\nForty two."),
        ("End with a question.", "Fill it. More tea?", "More tea? Fill it."),
        ("Never end with a question.", "More tea? Fill it.", "Fill it. **More tea?**"),
        ("No emojis.", "Fill it :)", "Fill it \U0001fad6"),
        ("Write everything in lower case.", "fill it.", "Fill it."),
        ("Always use capitals.", "FILL IT, 2 CUPS.", "Fill it."),
        ("Sign off with Cheers.", "Fill it.\n\nCheers!", "Cheers, fill it."),
        ("Use the word indeed.", "Indeed, it boils.", "Indeedy."),
        ("avoid the word “very”", "Everyday tea.", "Very hot."),
    ],
)
def test_a_known_rule_is_checked(rule: str, kept: str, broken: str) -> None:
    assert broken_rules([rule], kept) == ()
    assert len(broken_rules([rule], broken)) == 1
    conditional = f"When making tea, {rule[:1].lower()}{rule[1:]}"
    assert broken_rules([conditional], broken) == broken_rules([rule], broken)


@pytest.mark.parametrize(
    "rule",
    [
        "", "...", "Keep it short.", "Use bullet points only for shopping lists.",
        "Write mails in German.", "50 words.", "Answer in under 1 words.",
        "Sign off with a joke.", "Give me no fewer than 50 words.", "Never answer in German.",
        "Use emojis.", "No emojis in mails.", "Avoid the word count of 500.",
    ],
)  # fmt: skip
def test_what_says_more_or_less_than_a_known_form_is_left_to_the_model(rule: str) -> None:
    assert check_of(rule) is None
    assert broken_rules([rule], "") == ()


def test_the_wish_is_an_imperative_of_its_own() -> None:
    rules = ["Keep answers under 3 words.", "Don't use bullets.", "No emojis."]
    assert broken_rules([*rules, rules[0]], "- Fill it up \U0001fad6") == (
        "Answer in at most 2 words",
        "Write in paragraphs instead of bullet points",
        "Use words only, without emojis",
    )


@pytest.mark.parametrize(
    ("rule", "request_"),
    [
        ("Answer in at most 2 words.", "Write a long essay on tea."),
        ("Never use bullet points.", "List five teas."),
        ("Answer in German.", "Translate it into Dutch."),
        ("Avoid the word tea.", "What is tea?"),
        ("Never end with a question.", "Write a quiz."),
    ],
)
def test_the_request_wins(rule: str, request_: str) -> None:
    reply = "- What is the name of the tea that you like?"
    assert broken_rules([rule], reply, request=request_) == ()
    assert len(broken_rules([rule], reply, request="Help me.")) == 1


def test_code_is_not_looked_at() -> None:
    reply = "see\n```\n- A\n# B\nC D E\n```"
    rules = ["No bullets.", "No headings.", "Use lower case.", "Answer in at most 1 word."]
    assert broken_rules(rules, reply) == ()


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_can_be_a_rule_or_a_reply(rule: str, reply: str) -> None:
    broken = broken_rules([rule, "Answer in one sentence.", "No headings."], reply)
    assert all(re.fullmatch(r"[\w, -]+", wish) for wish in broken)


@pytest.mark.parametrize("piece", ["\n", ".", "*", "```", "# ", "please ", "all ", " ", "- "])
def test_huge_texts_take_linear_time(piece: str) -> None:
    rules = [
        "Answer in at most 3 sentences.",
        "No bullets.",
        "No headings.",
        "Start with the answer.",
    ]
    assert isinstance(broken_rules([*rules, piece * 4_000], piece * 100_000), tuple)
