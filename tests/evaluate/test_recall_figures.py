"""Figures about the injection decision, by hand."""

import pytest

from prefmem import Preference, PreferenceMemory, Scope
from prefmem.evaluate.recall import Outcome, figures, outcomes_of
from prefmem.testing import HashEmbedder, PhraseExtractor
from prefmem.train.risk import counted, losses
from prefmem.train.users import Request, RequestKind, WrittenUser


def outcome(
    kind: RequestKind, injected: str, relevance: dict[str, float], applies: str, harms: str
) -> Outcome:
    request = Request(kind, "q", "", tuple(applies), tuple(harms))
    return Outcome(request, frozenset(injected), relevance)


OUTCOMES = (
    outcome("single", "ab", {"a": 0.9, "b": 0.6, "c": 0.5, "d": 0.4}, "ad", "b"),
    outcome("bait", "c", {"c": 0.7}, "", "c"),
    outcome("bait", "", {"c": 0.1}, "", "c"),
    outcome("none", "", {}, "", ""),
)


def test_figures_by_hand() -> None:
    found = figures(OUTCOMES, seed=0)
    values = {name: round(figure.value, 4) for name, figure in found.items()}
    assert values == {
        "warranted recall": 0.5,  # a of a and d
        "injected rules that apply": 0.3333,  # a of a, b and c
        "F1": 0.4,  # 2 * 1 / (3 + 2)
        "something unwarranted injected": 0.5,
        "something injected where nothing applies": 0.3333,
        "bait injected": 0.5,
        "harmful injections per request": 0.5,
        "recall@3": 0.5,
        # 0.9 is ahead of 0.6, 0.7 and 0.1; 0.4 of 0.1 alone
        "AUROC, applies against harms": 0.6667,
        # bins: .9 right, .6 .5 .7 .1 wrong, .4 right: (.1 + .6 + .5 + .6 + .7 + .1) / 6
        "expected calibration error": 0.4333,
    }
    assert all(figure.low <= figure.value <= figure.high for figure in found.values())


def test_losses_by_hand() -> None:
    import numpy as np

    shares = losses(np.array([0.0, 0.005, 0.5, 1.0]))
    assert len(shares) == 101
    assert (shares[0], shares[1], shares[50], shares[51], shares[100]) == (
        1.0, 0.5, 0.5, 0.25, 0.25,
    )  # fmt: skip


ANN = WrittenUser(
    "ann", "someone",
    {
        "a": Preference("writing SQL", "use CTEs"),
        "b": Preference("sending letters", "sign as A"),
        "c": Preference("", "be brief", scope=Scope("global")),
    },
    (
        Request("single", "writing SQL", "", ("a",), ("b",)),
        Request("follow-up", "now", "sending letters", ("b",), ()),
        Request("none", "zebra", "", (), ()),
    ),
)  # fmt: skip


def test_a_user_is_asked_through_a_memory() -> None:
    with PreferenceMemory(
        ":memory:", embedder=HashEmbedder(512), extractor=PhraseExtractor(), reranker="none"
    ) as memory:
        found = outcomes_of(memory, ANN)
    assert [set(o.injected) for o in found] == [{"a"}, {"b"}, set()]
    assert [set(o.relevance) for o in found] == [{"a", "b"}] * 3


def test_the_risk_counts_rules_that_do_not_apply() -> None:
    risk = counted([ANN], embedder=HashEmbedder(512), reranker=None)
    assert risk["cases"] == 3
    shares = risk["losses"]
    assert isinstance(shares, list)
    assert shares[0] == 1.0
    assert shares[30] == pytest.approx(0.0)  # words that are not shared hardly meet
