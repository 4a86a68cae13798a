"""Rules of which one change explains several."""

from collections.abc import Mapping

from prefmem.feedback.evidence import Verdict
from prefmem.feedback.measure import Vote, Wish
from prefmem.feedback.passage import Span
from prefmem.feedback.sift import Extent, is_repeated, maximal, sift, unexplained


def verdict(name: str, sure: float, *spans: Span, groups: str = "", shown: str = "") -> Verdict:
    """Make a rule that each of three edits moved towards, for the same spans."""
    wish = Wish(name, f"{name.capitalize()}.", groups=groups)
    votes = {n: Vote(wish, 1.0, True, shown, spans) for n in range(3)}
    return Verdict(wish, sure, tuple(votes), (), votes)


def names(found: list[Verdict]) -> list[str]:
    return [v.wish.name for v in found]


KEPT = [Extent(10, bytes(40))] * 3
CUT = [Extent(10, b"\x01" * 20 + bytes(20))] * 3  # half of each draft is gone


def test_of_a_group_the_surest_stays() -> None:
    found = sift(
        [verdict("a", 0.6, groups="x y"), verdict("b", 0.8, groups="y"), verdict("c", 0.7)], KEPT
    )
    assert names(found) == ["b", "c"]


def test_of_equals_a_rule_about_a_place_stays() -> None:
    found = sift([verdict("thanks", 0.8, groups="t"), verdict("lead:t", 0.8, groups="t")], KEPT)
    assert names(found) == ["lead:t"]


def test_what_others_account_for_goes() -> None:
    found = sift([verdict("words", 0.6, (3, 7)), verdict("sentences", 0.8, (0, 20))], KEPT)
    assert names(found) == ["sentences"]
    found = sift([verdict("words", 0.6, (3, 27)), verdict("sentences", 0.8, (0, 20))], KEPT)
    assert names(found) == ["sentences", "words"]


def test_brevity_is_a_rule_where_nothing_else_explains_what_is_gone() -> None:
    short = verdict("length:short", 0.9)
    assert names(sift([short], CUT)) == ["length:short"]
    assert names(sift([short, verdict("offers:drop", 0.8, (0, 20))], CUT)) == ["offers:drop"]


def test_short_texts_of_short_sentences_make_one_rule() -> None:
    (found,) = sift([verdict("length:short", 0.9), verdict("sentences:short", 0.7)], CUT)
    assert found.wish.action == "Keep it short{limit}, in short sentences."


def phrase(name: str, moved: int, *spans: Span, evidence: str = "") -> Mapping[int, Vote]:
    wish = Wish(name, f'Write "{name}".')
    return {n: Vote(wish, 1.0, True, evidence, spans) for n in range(moved)}


def test_a_phrase_is_repeated_when_chance_is_no_explanation() -> None:
    needed = {"swap:buy:purchase": 2, "gone:if possible": 3, "gone:really": 4, "new:ahoy": 4}
    for name, least in needed.items():
        assert is_repeated(phrase(name, least))
        assert not is_repeated(phrase(name, least - 1))
    assert not is_repeated({0: Vote(Wish("gone:x", ""), -1.0)})


def test_a_phrase_is_left_to_the_rule_that_explains_it() -> None:
    rule = verdict("hedges:drop", 0.8, (0, 10))
    assert unexplained(phrase("gone:maybe so", 4, (4, 8)), [rule]).keys() == {3}
    assert unexplained(phrase("gone:ahoy there", 4, (10, 14)), [rule]).keys() == {0, 1, 2, 3}


def test_a_phrase_in_a_sentence_that_a_rule_asks_for_is_left_to_it() -> None:
    asked = verdict("thanks:add", 0.8, shown="Thanks for the rope.")
    said = phrase("new:the rope", 3, evidence="Thanks for the rope.")
    assert unexplained(said, [asked]) == {}
    assert unexplained(said, [verdict("clock:half", 0.8, shown="Thanks for the rope.")]) == said


def test_of_phrases_that_share_words_one_stays() -> None:
    found = [
        verdict("gone:of course", 0.8),
        verdict("gone:course", 0.9),
        verdict("swap:buy:purchase", 0.7),
    ]
    assert names(maximal(found)) == ["gone:course", "swap:buy:purchase"]
