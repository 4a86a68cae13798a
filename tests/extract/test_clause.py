from dataclasses import replace
from typing import Literal

from prefmem.extract.clause import actions, condition, contrast, is_exclusive
from prefmem.models.tagger import TaggedSpan, TaggedTurn


def span(text: str, words: str, avoid: float = -1.0, label: str = "action") -> TaggedSpan:
    start = text.index(words)
    named: Literal["condition", "action"] = "condition" if label == "condition" else "action"
    return TaggedSpan(named, start, start + len(words), 2.0, avoid, -1.0)


def said(text: str, *spans: TaggedSpan) -> list[tuple[str, bool]]:
    tagged = TaggedTurn(tuple(spans), ((0, len(text)),))
    return [(text[s.start : s.stop], s.avoid > 0) for s in actions(text, tagged)]


def test_the_object_of_a_liking_runs_to_the_end_of_its_clause() -> None:
    text = "I only buy devices that run Linux, because I tinker."
    assert said(text, span(text, "devices")) == [("buy devices that run Linux", False)]


def test_a_subject_ends_where_the_tagger_says() -> None:
    text = "walnuts put me in hospital"
    assert said(text, span(text, "walnuts", 2.0)) == [("walnuts", True)]


def test_parts_of_a_list_become_one() -> None:
    text = "I can't eat nuts, seeds and soy"
    spans = [span(text, "nuts", 3.0), span(text, "seeds", 3.0), span(text, "soy", 3.0)]
    assert said(text, *spans) == [("nuts, seeds and soy", True)]


def test_what_becomes_one_takes_after_the_surest_part() -> None:
    text = "I can't eat nuts, seeds and soy"
    nuts, soy = span(text, "nuts", 3.0), span(text, "soy", 3.0)
    seeds = replace(span(text, "seeds"), score=9.0, avoid=3.0, refers=-4.0, topic="cooking")
    (found,) = actions(text, TaggedTurn((nuts, seeds, soy), ()))
    assert (found.score, found.refers, found.topic) == (9.0, -4.0, "cooking")


def test_two_orders_stay_two() -> None:
    text = "no emojis, no exclamation marks"
    spans = [span(text, "no emojis", 3.0), span(text, "no exclamation marks", 3.0)]
    assert said(text, *spans) == [("no emojis", True), ("no exclamation marks", True)]


def test_two_adjectives_become_one_thing_and_take_the_verbs_side() -> None:
    text = "I am not a fan of modern, minimalist designs."
    spans = [span(text, "modern", 1.0), span(text, "minimalist designs", -1.0)]
    assert said(text, *spans) == [("modern, minimalist designs", True)]


def test_the_verb_before_a_thing_outvotes_the_tagger() -> None:
    text = "I'm allergic to cats"
    assert said(text, span(text, "cats", -4.0)) == [("cats", True)]


def test_a_preference_not_to() -> None:
    text = "I prefer not to watch long films"
    assert said(text, span(text, "not to", -1.0)) == [("watch long films", True)]


def test_a_reason_is_no_rule_of_its_own() -> None:
    text = "I avoid lifts due to past trouble"
    spans = [span(text, "lifts", 3.0), span(text, "trouble", 3.0)]
    assert said(text, *spans) == [("lifts", True)]


def test_the_side_that_was_passed_over_is_added() -> None:
    text = "I dislike chain hotels and prefer small guesthouses"
    assert said(text, span(text, "small guesthouses")) == [
        ("chain hotels", True),
        ("small guesthouses", False),
    ]


def test_a_relative_clause_keeps_its_noun() -> None:
    text = "I look for hotels that do not offer parties"
    assert said(text, span(text, "offer parties")) == [
        ("for hotels that do not offer parties", False)
    ]


def test_a_habit_keeps_its_verb() -> None:
    text = "I follow a strict vegan diet"
    assert said(text, span(text, "vegan diet")) == [("follow a strict vegan diet", False)]


def test_an_end_inside_a_word_moves_to_the_words_end() -> None:
    text = "text-based games please"
    assert said(text, span(text, "text")) == [("text-based", False)]


def test_a_condition_between_keeps_two_actions_apart() -> None:
    text = "be short and if asked be long"
    spans = (
        span(text, "be short"),
        span(text, "if asked", label="condition"),
        span(text, "be long"),
    )
    assert said(text, *spans) == [("be short", False), ("be long", False)]


def test_a_condition_runs_to_its_boundary() -> None:
    text = "Any sums you do for me, show the working"
    spans = (span(text, "Any sums", label="condition"), span(text, "show the working"))
    whole = condition(text, spans[0], TaggedTurn(spans, ()))
    assert text[whole.start : whole.stop] == "Any sums you do for me"


def test_contrast_needs_two_sides_and_their_verbs() -> None:
    text = "I dislike trains and prefer buses"
    trains, buses = span(text, "trains", 2.0), span(text, "buses", -2.0)
    assert contrast(text, trains, buses)
    assert not contrast(text, trains, span(text, "buses", 2.0))
    assert not contrast("trains: no. buses: yes", span("trains", "trains", 2.0), buses)


def test_only_is_heard() -> None:
    assert is_exclusive("I only buy tea", span("I only buy tea", "tea"))
    assert not is_exclusive("I buy tea", span("I buy tea", "tea"))
