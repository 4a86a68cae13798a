"""No card without the user's own words."""

from dataclasses import replace

import pytest

from prefmem import Evidence, Preference, Scope, Turn
from prefmem.extract.ground import grounded

TURNS = {
    "0": Turn("0", "user", "Please be brief. Use SI units."),
    "1": Turn("1", "assistant", "Please be brief."),
    "2": Turn("2", "system", "Please be brief."),
    "3": Turn("3", "tool", "Please be brief."),
}
QUOTED = Evidence("0", "be brief")
RULE = Preference("", "be brief", confidence=0.8, evidence=(QUOTED,))


def keep(*rules: Preference) -> tuple[Preference, ...]:
    return grounded(rules, TURNS, min_confidence=0.5, max_chars=20)


def test_a_quoted_rule_stays() -> None:
    assert keep(RULE) == (RULE,)
    assert keep() == ()


@pytest.mark.parametrize(
    "evidence",
    [
        (),
        (Evidence("0", "be terse"),),
        (Evidence("0", "Be brief"),),  # not verbatim
        (Evidence("0", "rief"),),  # no word of the user's
        (Evidence("0", ""),),
        (Evidence("0", "  "),),
        (Evidence("1", "be brief"),),
        (Evidence("2", "be brief"),),
        (Evidence("3", "be brief"),),
        (Evidence("9", "be brief"),),
    ],
)
def test_a_rule_that_no_user_turn_says_goes(evidence: tuple[Evidence, ...]) -> None:
    assert keep(replace(RULE, evidence=evidence)) == ()
    both = replace(RULE, evidence=(*evidence, QUOTED))
    assert keep(both) == (RULE,)  # the false quotes go, the true one stays


@pytest.mark.parametrize("confidence", [0.49, 1.01, -1.0, float("nan"), float("inf")])
def test_an_unsure_rule_goes(confidence: float) -> None:
    assert keep(replace(RULE, confidence=confidence)) == ()


@pytest.mark.parametrize("confidence", [0.5, 1.0])
def test_the_ends_of_the_range_stay(confidence: float) -> None:
    assert len(keep(replace(RULE, confidence=confidence))) == 1


def test_slots_are_cleaned_or_the_rule_goes() -> None:
    (found,) = keep(replace(RULE, condition=" writing\nSQL\u202e", action="be\u2028brief"))
    assert (found.condition, found.action) == ("writing SQL", "be brief")
    for slots in ({"action": ""}, {"action": "\u200b"}, {"action": "a" * 21}):
        assert keep(replace(RULE, **slots)) == ()  # type: ignore[arg-type]  # slots are texts
    assert keep(replace(RULE, condition="a" * 21)) == ()
    assert keep(replace(RULE, action="a" * 20 + " b")) == ()  # never cut


def test_the_scope_is_cleaned() -> None:
    scope = Scope("global", "co\0de", "my\nboss", "\u200b")
    (found,) = keep(replace(RULE, scope=scope))
    assert found.scope == Scope("global", "co�de", "my boss", None)
