import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefmem.extract.support import polarity_of, scope_of, sentences, support
from prefmem.types import Evidence, Turn


def quote(condition: str, action: str, text: str) -> str | None:
    evidence = support(condition, action, sentences([Turn("1", "user", text)]))
    return evidence.quote if evidence else None


@pytest.mark.parametrize(
    ("condition", "action", "text", "wanted"),
    [
        ("", "use bulleted lists", "Hi! I like bullets. Bye.", "I like bullets."),
        ("", "keep summaries short", "A shorter summary, please", "A shorter summary, please"),
        ("", "format code", "Mind the formatting of coding samples!\nThanks",
         "Mind the formatting of coding samples!"),
        ("", "call me Jo", "I'm calling about a bill; call me Jo; ok?", "call me Jo;"),
        ("", "use version 3.5", "Use 3.5 for me. Or not.", "Use 3.5 for me."),
        ("cooking", "use metric units", "I use metric. When cooking, metric too.",
         "When cooking, metric too."),
        ("", "be brief", "Brief. Brief!", "Brief!"),
        ("", "不要使用表格", "你好。请不要用表格！谢谢", "请不要用表格！"),
        ("", "répondre en français", "Merci! Toujours en français.", "Toujours en français."),
    ],
)  # fmt: skip
def test_the_sentence_with_most_shared_words_is_quoted(
    condition: str, action: str, text: str, wanted: str
) -> None:
    assert quote(condition, action, text) == wanted


@pytest.mark.parametrize(
    ("condition", "action", "text"),
    [
        ("", "be concise", "Keep it brief."),  # no word in common: a pity, but no evidence
        ("writing Python", "use type hints", "Write some Python for me."),
        ("", "always use your own", "You always use your own."),  # stop words alone
        ("", "", "Anything."),
        ("", "be brief", ""),
        ("", "keep answers polite", "How shall I answer my boss?"),
        # One of five words: fonts, large, titles, blue, links.
        ("", "use large fonts for titles and blue links", "Which fonts do printers use?"),
        ("", "never use emojis", 'He wrote "never use emojis in any of your mails" to me.'),
        ("", "never use emojis", "> never use emojis\nWhat do you think?"),
        ("", "never use emojis", "```\nnever use emojis\n```"),
    ],
)
def test_without_shared_words_of_the_users_own_there_is_no_quote(
    condition: str, action: str, text: str
) -> None:
    assert quote(condition, action, text) is None


def test_only_user_turns_support_and_the_newest_of_equals_wins() -> None:
    turns = [
        Turn("1", "user", "Be brief."),
        Turn("2", "user", "Brief again"),
        Turn("3", "assistant", "Brief, brief, brief."),
        Turn("4", "tool", "Brief."),
    ]
    assert support("", "be brief", sentences(turns)) == Evidence("2", "Brief again")


def test_a_sentence_without_an_end_is_cut_between_words() -> None:
    text = "word " * 100 + "metric"
    found = quote("", "use metric units", text)
    assert found is not None
    assert found.endswith("metric")
    assert len(found) <= 310
    assert found in text


@pytest.mark.parametrize(
    "action",
    ["avoid jargon", "never use emojis", "Don't apologise", "don’t apologise", "do not apologise",
     "no tables", "use no tables", "write without emojis", "skip the intro", "always avoid jargon",
     "user does not want tables", "refrain from jokes", "please omit the summary",
     "you shouldn't joke", "not too long"],
)  # fmt: skip
def test_wording_that_keeps_away(action: str) -> None:
    assert polarity_of(action) == "avoid"


@pytest.mark.parametrize(
    "action",
    ["", "be brief", "be concise and avoid jargon", "notify me", "use notes",
     "keep it no longer than a page", "use no more than three bullets",
     "never forget the units", "add an unavoidable caveat",
     "''''''''''''''''''''''''''" * 9],
)  # fmt: skip
def test_wording_that_does(action: str) -> None:
    assert polarity_of(action) == "do"


@pytest.mark.parametrize(
    "condition",
    ["", " ", "-", "always", "General", "in general", "any", "all", "all conversations",
     "any topic", "answering questions", "N/A", "when responding"],
)  # fmt: skip
def test_conditions_that_say_nothing(condition: str) -> None:
    assert scope_of(condition) == "global"


@pytest.mark.parametrize(
    "condition", ["writing SQL", "always in emails", "answering questions about Python", "写代码"]
)
def test_conditions_that_restrict(condition: str) -> None:
    assert scope_of(condition) == "conditional"


@settings(max_examples=100, deadline=None)
@given(st.text(), st.text(), st.text())
def test_a_quote_is_always_verbatim(condition: str, action: str, text: str) -> None:
    found = quote(condition, f"{action} {text[3:9]}", text)
    assert found is None or (found and found in text)
