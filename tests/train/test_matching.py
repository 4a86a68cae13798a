"""When an extracted rule says what a written one says."""

import pytest

from prefmem.train.matching import Match, Matcher
from prefmem.train.windows import GENERAL, Gold, Span
from prefmem.types import Polarity, Preference

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    return Matcher()


def gold(action: str, condition: str = GENERAL, polarity: Polarity = "do") -> Gold:
    return Gold(condition, action, polarity, 0, Span("do", 0, 1), "x")


def test_the_same_words_are_right(matcher: Matcher) -> None:
    match = matcher.compare(Preference("", "use bullet points"), gold("use bullet points"))
    assert match.right
    assert match.score == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("keep your answers short", "keep replies brief"),
        ("prefer window seats", "book window seats"),
        ("avoid chain hotels", "do not suggest chain hotels"),
        ("no emojis", "use no emojis"),
        ("put the units behind every number", "write units after each number"),
    ],
)
def test_a_paraphrase_says_the_same(matcher: Matcher, found: str, wanted: str) -> None:
    assert matcher.compare(Preference("", found), gold(wanted)).action


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("use bullet points", "recommend vegetarian food"),
        ("keep answers short", "sign mails with my initials"),
        ("prefer window seats", "prefer small guesthouses"),
        ("use", "use metric units"),
    ],
)
def test_another_action_does_not(matcher: Matcher, found: str, wanted: str) -> None:
    assert not matcher.compare(Preference("", found), gold(wanted)).action


def test_polarity_must_be_the_same(matcher: Matcher) -> None:
    match = matcher.compare(Preference("", "use emojis"), gold("use emojis", polarity="avoid"))
    assert (match.action, match.polarity, match.condition, match.right) == (
        True, False, True, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "wanted", "same"),
    [
        ("", GENERAL, True),
        ("writing mails", GENERAL, False),
        ("", "writing mails", False),
        ("writing mails", "writing mails", True),
        ("in mails to my boss", "writing mails to the user's boss", True),
        ("writing emails", "drafting a mail", True),
        ("cooking", "cooking dinner for guests", True),  # one of three words, and all that is said
        ("cooking dinner", "writing SQL", False),
    ],
)
def test_the_condition_must_be_alike(matcher: Matcher, found: str, wanted: str, same: bool) -> None:
    match = matcher.compare(Preference(found, "be brief"), gold("be brief", wanted))
    assert (match.action, match.condition, match.right) == (True, same, same)


def test_a_condition_may_stand_in_the_action(matcher: Matcher) -> None:
    found = Preference("at work", "use CTEs in every SQL query")
    assert matcher.compare(found, gold("use CTEs", "writing SQL queries")).condition


def test_right_is_all_of_it() -> None:
    assert Match(True, True, True, 0.5).right
    for wrong in ((False, True, True), (True, False, True), (True, True, False)):
        assert not Match(*wrong, 0.5).right
