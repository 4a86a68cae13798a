"""Which question is asked, when none is, and what becomes of a reply."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from math import log

import numpy as np
import pytest

from prefmem import ConfigError, Elicitation, InputError, PreferenceMemory
from prefmem.elicit.dimensions import DIMENSIONS, everyday
from prefmem.elicit.prior import Prior, believed
from prefmem.elicit.question import REFUSAL, Asked, Question, gains
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
from prefmem.types import Card, Preference, Scope, Status

NOW = datetime(2025, 1, 1, tzinfo=UTC)
EVERYTHING = np.ones(3, dtype=np.bool_)


def card(rule: Preference, status: Status = "active") -> Card:
    return Card("c", "ann", rule, status, "added", "", NOW, NOW)


def said(action: str, condition: str = "") -> Card:
    return card(
        Preference(condition, action, scope=Scope("conditional" if condition else "global"))
    )


def three(loadings: list[float], *, cost: float = 0.1, limit: int = 5) -> Elicitation:
    """Ask about length, layout and tone, which one trait moves."""
    names = tuple(d.name for d in DIMENSIONS[:3])
    prior = Prior(names, np.zeros(3), np.array(loadings)[:, None])
    return Elicitation(DIMENSIONS[:3], prior, cost, limit)


def asks(elicitation: Elicitation, asked: Asked | None = None) -> Question:
    question = elicitation.next_question(asked or Asked())
    assert question is not None
    return question


def test_gain_is_mutual_information() -> None:
    # a and b are the sign of the trait, c is a coin of its own.
    belief = believed(Prior(("a", "b", "c"), np.zeros(3), np.array([[1e9], [1e9], [0.0]])))
    assert gains(belief, EVERYTHING) == pytest.approx([log(2), log(2), 0], abs=1e-6)
    assert gains(belief.told({"a": 1}), EVERYTHING) == pytest.approx([0, 0, 0], abs=1e-5)
    assert gains(belief, np.array([True, False, True])) == pytest.approx([0, log(2), 0], abs=1e-6)


def test_gain_of_a_weak_link_is_worked_out() -> None:
    # Two traits' worth of points: x1 is the sign of z, and P(x2 = 1 | z) is 1 or 1/2 by its sign,
    # so P(x2 = 1) = 3/4 and I = H(3/4) - H(1/2) / 2.
    points = believed(Prior(("a", "b"), np.zeros(2), np.array([[1e9], [0.0]])))
    chances = points.chances.copy()
    chances[:, 1] = np.where(chances[:, 0] > 0.5, 1 - 1e-9, 0.5)
    belief = replace(points, chances=chances)
    entropy = -(0.75 * log(0.75) + 0.25 * log(0.25))
    expected = entropy - log(2) / 2
    assert gains(belief, np.array([True, True])) == pytest.approx([expected] * 2, abs=1e-6)


def test_the_question_that_tells_most_is_asked() -> None:
    question = asks(three([3.0, 9.0, 3.0]))
    assert question == Question(
        "layout",
        "Shall I write in paragraphs, or in bullet points?",
        ("paragraphs", "bullet points", "skip"),
        question.gain,
    )
    assert question.gain > 0.1


def test_a_question_must_beat_the_interruption() -> None:
    gain = asks(three([3.0, 9.0, 3.0])).gain
    assert three([3.0, 9.0, 3.0], cost=gain).next_question(Asked()) is None
    assert three([3.0, 9.0, 3.0], cost=gain * 0.99).next_question(Asked()) is not None
    assert three([0.0, 0.0, 0.0], cost=0.0).next_question(Asked()) is None


def test_worth_weighs_a_question() -> None:
    equal = three([9.0, 9.0, 9.0])
    cheap = replace(DIMENSIONS[0], worth=0.1)
    weighed = replace(equal, dimensions=(cheap, *DIMENSIONS[1:3]))
    assert asks(equal).dimension == "length"
    assert asks(weighed).dimension == "layout"


def test_nothing_is_asked_twice_nor_what_is_known() -> None:
    elicitation = three([3.0, 9.0, 3.0], cost=0.0)
    assert asks(elicitation, Asked(("layout",))).dimension == "length"
    assert asks(elicitation, Asked(answers={"layout": 1})).dimension == "length"
    assert elicitation.next_question(Asked(("length", "layout", "tone"))) is None


def test_the_next_question_depends_on_the_answer() -> None:
    # Length is 1 above a trait of 0, the low ones above -1, the high ones above +1: below 0 the
    # high ones are settled, above it the low ones.
    names = ("length", "low", "low too", "high", "high too")
    chosen = tuple(replace(DIMENSIONS[0], name=name) for name in names)
    bias = np.array([0.0, 1e9, 1e9, -1e9, -1e9])
    elicitation = Elicitation(chosen, Prior(names, bias, np.full((5, 1), 1e9)))
    after = {n: asks(elicitation, Asked(("length",), answers={"length": n})) for n in (0, 1)}
    assert after[0].dimension in ("low", "low too")
    assert after[1].dimension in ("high", "high too")


def test_the_limit_holds() -> None:
    elicitation = three([9.0, 9.0, 9.0], cost=0.0, limit=1)
    assert elicitation.next_question(Asked(("tone",))) is None
    assert three([9.0, 9.0, 9.0], limit=0).next_question(Asked()) is None


def test_an_answer_becomes_a_rule() -> None:
    elicitation = Elicitation()
    before = Asked()
    after, rule = elicitation.answered(before, "length", "short, please")
    assert rule == Preference("", "keep answers short", scope=Scope("global"))
    assert after == Asked(("length",), False, {"length": 0})
    assert before == Asked()
    after, rule = elicitation.answered(after, "comments", "many")
    assert rule == Preference("writing code", "comment every step")
    assert (after.count, after.answers) == (2, {"length": 0, "comments": 1})


def test_an_unclear_reply_stores_nothing_and_is_not_asked_again() -> None:
    elicitation = three([9.0, 9.0, 9.0])
    after, rule = elicitation.answered(Asked(), "length", "what do you mean?")
    assert (after, rule) == (Asked(("length",)), None)
    assert asks(elicitation, after).dimension == "layout"


def test_after_a_refusal_nothing_is_asked() -> None:
    elicitation = three([9.0, 9.0, 9.0])
    after, rule = elicitation.answered(Asked(), "length", "I don't care")
    assert (after, rule) == (Asked(("length",), refused=True), REFUSAL)
    assert elicitation.next_question(after) is None
    assert elicitation.next_question(elicitation.resume(after.state())) is None
    assert elicitation.next_question(elicitation.resume(None, [card(REFUSAL)])) is None
    gone = card(REFUSAL, "superseded")
    assert elicitation.next_question(elicitation.resume(None, [gone])) is not None


def test_the_state_is_small_and_holds_no_answer() -> None:
    asked, _ = Elicitation().answered(Asked(), "length", "my secret is 42, so short")
    state = asked.state()
    assert state == {"asked": ["length"], "refused": False}
    assert Elicitation().resume(json.loads(json.dumps(state))) == Asked(("length",))


def test_cards_answer_questions() -> None:
    cards = [
        said("be concise"),
        said("do not use emojis"),
        said("write formally", condition="writing to the bank"),
        said("comment every step", condition="writing code"),
        card(Preference("", "use metric units", scope=Scope("global")), "superseded"),
    ]
    asked = Elicitation().resume(None, cards)
    assert asked == Asked(answers={"length": 0, "emojis": 0, "comments": 1})


def test_the_newest_card_wins() -> None:
    cards = [said("keep answers short"), said("give detailed answers")]
    assert Elicitation().resume(None, cards).answers == {"length": 1}
    assert Elicitation().resume(None, cards[::-1]).answers == {"length": 0}


def test_every_rule_answers_its_own_question_alone() -> None:
    for dimension in DIMENSIONS:
        for choice, option in enumerate(dimension.options):
            asked = Elicitation().resume(None, [card(option.rule)])
            assert asked.answers == {dimension.name: choice}
    assert Elicitation().resume(None, [card(REFUSAL)]).answers == {}


@pytest.mark.parametrize(
    "saved", [{"asked": "length"}, {"asked": [1]}, {"refused": 1}, {"words": "x"}, [1], 3]
)
def test_what_is_no_state_is_refused(saved: object) -> None:
    with pytest.raises(InputError, match=r"not what Asked\.state"):
        Elicitation().resume(saved)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # hosts may pass anything


def test_names_of_another_version_are_left_out() -> None:
    asked = Elicitation().resume({"asked": ["gone", "tone", "tone"], "refused": False})
    assert asked.names == ("tone",)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="the prior is about"):
        Elicitation(DIMENSIONS[:3])
    with pytest.raises(ConfigError, match="cost=-1"):
        Elicitation(cost=-1)
    bad = (replace(DIMENSIONS[0], worth=-1), *DIMENSIONS[1:])
    with pytest.raises(ConfigError, match="worth"):
        Elicitation(bad)
    with pytest.raises(InputError, match="'taste' is no dimension"):
        Elicitation().answered(Asked(), "taste", "sweet")


def test_the_assumed_prior_has_the_rates_it_states() -> None:
    predicted = dict(zip(everyday().names, believed(everyday()).predicted, strict=True))
    assert predicted["length"] == pytest.approx(0.40, abs=0.02)
    assert predicted["units"] == pytest.approx(0.35, abs=0.02)
    assert predicted["steps"] == pytest.approx(0.60, abs=0.02)


def test_a_few_questions_are_asked_by_default() -> None:
    elicitation, asked, names = Elicitation(), Asked(), list[str]()
    while (question := elicitation.next_question(asked)) is not None:
        names.append(question.dimension)
        asked, _ = elicitation.answered(asked, question.dimension, "the first one")
    assert len(set(names)) == len(names)
    assert 2 <= len(names) <= 5


def test_the_flow_without_a_host() -> None:
    elicitation, saved = Elicitation(), None
    with PreferenceMemory(
        ":memory:", embedder=HashEmbedder(), extractor=PhraseExtractor(), reranker="none",
        relater=TableRelater(),
    ) as memory:  # fmt: skip
        for reply in ("warm", "skip", "short"):
            asked = elicitation.resume(saved, memory.list(user_id="ann"))
            question = elicitation.next_question(asked)
            if question is None:
                break
            asked, rule = elicitation.answered(asked, question.dimension, reply)
            if rule is not None:
                kind = rule.scope.kind
                memory.add(
                    rule.condition, rule.action, user_id="ann", polarity=rule.polarity, scope=kind
                )
            saved = asked.state()
        assert [card.text for card in memory.list(user_id="ann")] == [
            "Use a warm tone.",
            REFUSAL.text,
        ]
