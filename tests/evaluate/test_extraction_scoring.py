from prefmem.evaluate.extraction import compare
from prefmem.train.windows import Gold, Span, WrittenTurn, WrittenWindow
from prefmem.types import Evidence, Polarity, Preference

TEXT = "no emojis please, and sign with my initials"
GOLD = (
    Gold("any", "use no emojis", "avoid", 0, Span("av", 0, 9), "no emojis please"),
    Gold("any", "sign with initials", "do", 0, Span("do", 22, 43), "sign with my initials"),
)
WINDOW = WrittenWindow("w", "style", "several", (WrittenTurn("user", TEXT),), GOLD)


def said(action: str, polarity: Polarity, turn: str = "0") -> Preference:
    return Preference("", action, polarity, evidence=(Evidence(turn, "x"),))


def counts(*found: Preference) -> tuple[int, int, int]:
    scored = compare(WINDOW, found)
    return scored.found, scored.matched, scored.right


def test_both_rules_right() -> None:
    assert counts(said("no emojis", "avoid"), said("sign with my initials", "do")) == (2, 2, 2)


def test_wrong_polarity_matches_but_is_not_right() -> None:
    assert counts(said("no emojis", "do")) == (1, 1, 0)


def test_a_gold_rule_is_matched_once() -> None:
    assert counts(said("no emojis", "avoid"), said("no emojis please", "avoid")) == (2, 1, 1)


def test_half_of_the_words_must_be_shared() -> None:
    # "sign" against "sign with my initials": 2 * 1 / 5
    assert counts(said("sign", "do")) == (1, 0, 0)


def test_another_turn_does_not_count() -> None:
    assert counts(said("no emojis", "avoid", turn="2")) == (1, 0, 0)


def test_the_verb_that_we_added_is_not_held_against_a_thing() -> None:
    # "avoid emojis" is compared as "emojis" with "no emojis": 2 * 1 / 3
    assert counts(said("avoid emojis", "avoid")) == (1, 1, 1)
