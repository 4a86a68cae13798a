"""Which extracted rules are right, and what is summed up of them."""

from collections.abc import Sequence

import pytest

from prefmem.evaluate.extraction import Scored, compare, figures_of
from prefmem.train.matching import Match, Matcher
from prefmem.train.windows import Gold, Span, WrittenTurn, WrittenWindow
from prefmem.types import Evidence, Polarity, Preference

TEXT = "no emojis please, and sign with my initials"
GOLD = (
    Gold("any", "use no emojis", "avoid", 0, Span("av", 0, 9), "no emojis please"),
    Gold("any", "sign with initials", "do", 0, Span("do", 22, 43), "sign with my initials"),
)
WINDOW = WrittenWindow("w", "style", "several", (WrittenTurn("user", TEXT),), GOLD)
SILENT = WrittenWindow("n", "style", "neg_chat", (WrittenTurn("user", "hello"),), ())


def said(action: str, polarity: Polarity, *, condition: str = "", turn: str = "0") -> Preference:
    return Preference(condition, action, polarity, evidence=(Evidence(turn, "x"),))


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    return Matcher()


def verdicts(matcher: Matcher, *found: Preference) -> list[str]:
    """Say of each rule whether it is right, or what of it is wrong."""
    scored = compare(WINDOW, found, matcher)
    assert (scored.window, scored.found) == (WINDOW, found)
    return [_verdict(pair) for pair in scored.pairs]


def _verdict(pair: Match | None) -> str:
    if pair is None:
        return "none"
    return "right" if pair.right else "polarity" if pair.condition else "condition"


@pytest.mark.model
def test_rules_are_paired_with_what_they_say(matcher: Matcher) -> None:
    emojis, initials = said("no emojis", "avoid"), said("sign with my initials", "do")
    assert verdicts(matcher, emojis, initials) == ["right", "right"]
    assert verdicts(matcher, initials, emojis) == ["right", "right"]
    assert verdicts(matcher) == []


@pytest.mark.model
def test_what_is_wrong_of_a_pair(matcher: Matcher) -> None:
    assert verdicts(matcher, said("no emojis", "do")) == ["polarity"]
    assert verdicts(matcher, said("no emojis", "avoid", condition="cooking")) == ["condition"]
    assert verdicts(matcher, said("book window seats", "do")) == ["none"]
    assert verdicts(matcher, said("no emojis", "avoid", turn="2")) == ["none"]


@pytest.mark.model
def test_a_gold_rule_is_paired_once_and_with_the_best(matcher: Matcher) -> None:
    wrong, right = said("use no emojis", "do"), said("avoid emojis", "avoid")
    assert verdicts(matcher, wrong, right) == ["none", "right"]
    assert verdicts(matcher, right, right) == ["right", "none"]


def scored(window: WrittenWindow, pairs: Sequence[Match | None]) -> Scored:
    return Scored(window, tuple(said("x", "do") for _ in pairs), tuple(pairs))


def test_figures_of_two_windows() -> None:
    right = Match(action=True, polarity=True, condition=True, score=0.9)
    turned = Match(action=True, polarity=False, condition=True, score=0.9)
    both = [scored(WINDOW, [right, None, turned]), scored(SILENT, [None])]
    assert both[0].count(lambda m: m.condition) == 2
    figures = {name: figure.value for name, figure in figures_of(both, 0).items()}
    assert figures == {
        "windows with a preference: found (recall)": 1,
        "windows with something found: rightly (precision)": 0.5,
        "windows: F1": pytest.approx(2 / 3),  # one is right, two are found, one is wanted
        "rules: all right (precision)": 0.25,
        "rules: all right (recall)": 0.5,
        "rules: action right (precision)": 0.5,
        "rules: action right (recall)": 1,
        "polarity right where the action is": 0.5,
        "condition right where the action is": 1,
        "false extraction on windows without a preference": 1,
    }


def test_figures_where_nothing_is_found() -> None:
    figures = figures_of([scored(WINDOW, []), scored(SILENT, [])], 0)
    assert figures["rules: all right (recall)"].value == 0
    assert figures["windows: F1"].value == 0
    assert figures["false extraction on windows without a preference"].value == 0
    assert str(figures["rules: all right (precision)"]) == "nan [nan, nan]"
