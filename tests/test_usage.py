"""Learning from interaction, through the memory: offers, follow-ups, thumbs, replay."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import pytest

from prefmem import Config, InputError, NotFoundError, PreferenceMemory, Recall
from prefmem.interaction import Followup, Judgement, Observation, Offer
from prefmem.stores import journal
from prefmem.stores.sqlite import SQLiteStore
from prefmem.types import UserKey

Open: TypeAlias = Callable[..., PreferenceMemory]
ANN = UserKey("ann")
ASK = "write SQL for the sales report"


@pytest.fixture
def store() -> SQLiteStore:
    return SQLiteStore(":memory:")


@pytest.fixture
def memory(open_memory: Open, store: SQLiteStore) -> PreferenceMemory:
    memory = open_memory(store=store, config=Config(min_score=0.1))
    memory.add("writing SQL", "write keywords in capitals", user_id="ann")
    memory.add("writing a report", "write short sentences", user_id="ann")
    memory.add("cooking", "use grams", user_id="ann")
    return memory


def ask(memory: PreferenceMemory, query: str = ASK, session_id: str = "s") -> Recall:
    return memory.recall(query, user_id="ann", session_id=session_id)


def follow(memory: PreferenceMemory, text: str, query: str = ASK, session_id: str = "s") -> None:
    turns = [("user", query), ("assistant", "Here it is."), ("user", text)]
    memory.learn(turns, user_id="ann", session_id=session_id)


def belief(memory: PreferenceMemory, action: str) -> float:
    found = {row.text: row.belief for row in ask(memory, session_id="look").explain()}
    return next(value for text, value in found.items() if action in text)


def observations(store: SQLiteStore) -> list[Observation]:
    log = (entry.payload for entry in store.interactions(ANN))
    return [payload for payload in log if isinstance(payload, Observation)]


def test_a_recall_is_logged_as_figures(memory: PreferenceMemory, store: SQLiteStore) -> None:
    recall = ask(memory)
    (entry,) = store.interactions(ANN)
    offer = entry.payload
    assert isinstance(offer, Offer)
    assert (offer.recall_id, offer.session_id, offer.model) == (recall.id, "s", "ledger/1")
    assert sorted(offer.numbers.tolist()) == [1, 2, 3]
    names = {number: name for name, number in store.numbers(ANN).items()}
    shown = [names[n] for n in offer.numbers[offer.shown].tolist()]
    assert sorted(shown) == sorted(i for rule in recall.rules for i in rule.card_ids)
    assert b"SQL" not in journal.write_entry(offer)


def test_nothing_is_logged_where_there_is_nothing_to_offer_or_no_wish(
    open_memory: Open, store: SQLiteStore
) -> None:
    memory = open_memory(store=store, config=Config(log_offers=False))
    ask(memory)
    memory.add("writing SQL", "use CTEs", user_id="ann")
    recall = ask(memory)
    follow(memory, "not again: use CTEs when writing SQL")
    assert store.interactions(ANN) == ()
    with pytest.raises(NotFoundError, match="log_offers"):
        memory.feedback(recall, 1, user_id="ann")


def test_rejecting_a_rule_lowers_its_belief_and_ends_its_use(memory: PreferenceMemory) -> None:
    before = belief(memory, "capitals")
    for number in range(3):
        ask(memory)
        follow(memory, f"drop the keywords in capitals when writing SQL {number}")
    assert belief(memory, "capitals") < before / 2
    rows = {row.text: row.verdict.reason for row in ask(memory).explain()}
    assert rows["When writing SQL, write keywords in capitals."] == "doubted"


def test_restating_a_rule_that_was_left_out_raises_it(memory: PreferenceMemory) -> None:
    before = belief(memory, "grams")
    ask(memory)
    follow(memory, "wrong, when cooking use grams")
    assert belief(memory, "grams") > before


def test_a_turn_counts_once(memory: PreferenceMemory, store: SQLiteStore) -> None:
    ask(memory)
    for _ in range(3):
        follow(memory, "not what I meant")
    assert len(observations(store)) == 1


def test_a_follow_up_finds_the_offer_of_its_own_session(
    memory: PreferenceMemory, store: SQLiteStore
) -> None:
    ask(memory, session_id="other")
    follow(memory, "thanks")
    assert observations(store) == []
    ask(memory)
    follow(memory, "thanks a lot")
    (said,) = observations(store)
    assert (said.label, said.reward, said.session_id) == ("satisfied", 1, "s")


def test_a_thumb_on_a_card_counts_once_per_key(
    memory: PreferenceMemory, store: SQLiteStore
) -> None:
    recall = ask(memory)
    card = next(c.card for c in recall.candidates if "capitals" in c.card.text)
    before = belief(memory, "capitals")
    given = {"user_id": "ann", "card_id": card.id, "key": "click-1"}
    assert memory.feedback(recall, -1, **given)
    assert not memory.feedback(recall.id, -1, **given)
    assert belief(memory, "capitals") < before
    assert len(observations(store)) == 1


@pytest.mark.parametrize("score", [1.5, -2, float("nan")])
def test_a_score_out_of_range_is_refused(memory: PreferenceMemory, score: float) -> None:
    recall = ask(memory)
    with pytest.raises(InputError, match=r"is not in \[-1, 1\]"):
        memory.feedback(recall, score, user_id="ann")


def test_feedback_on_what_is_not_ones_own_is_refused(memory: PreferenceMemory) -> None:
    recall = ask(memory)
    with pytest.raises(NotFoundError, match="has no recall"):
        memory.feedback(recall, 1, user_id="bob")
    with pytest.raises(NotFoundError, match="has no active card 'x'"):
        memory.feedback(recall, 1, user_id="ann", card_id="x")


def test_the_log_replays_to_the_state_bit_for_bit(
    memory: PreferenceMemory, store: SQLiteStore, open_memory: Open
) -> None:
    said = ("thanks", "drop the capitals when writing SQL", "wrong, when cooking use grams")
    for number, text in enumerate(said):
        ask(memory, session_id=f"s{number}")
        follow(memory, text, session_id=f"s{number}")
    memory.feedback(ask(memory, session_id="s2"), 1, user_id="ann")
    state = store.state(ANN)
    assert state is not None
    assert (state.sessions, state.turns) == (3, 3)
    data = memory.export(user_id="ann")
    other = SQLiteStore(":memory:")
    copy = open_memory(store=other)
    copy.load(data, user_id="ann")
    moved = other.state(ANN)
    assert moved is not None
    assert journal.same(moved, state)


def test_forgetting_a_card_leaves_the_state_as_if_it_had_never_been_offered(
    memory: PreferenceMemory, store: SQLiteStore
) -> None:
    card = next(c for c in memory.list(user_id="ann") if "capitals" in c.text)
    recall = ask(memory)
    memory.feedback(recall, -1, user_id="ann", card_id=card.id)
    follow(memory, "wrong, when cooking use grams")
    memory.forget(card.id, user_id="ann")
    state = store.state(ANN)
    assert state is not None
    assert 1 not in state.numbers
    for entry in store.interactions(ANN):
        assert 1 not in entry.payload.numbers


def test_what_another_model_would_have_shown(memory: PreferenceMemory) -> None:
    recall = ask(memory)
    ids = tuple(i for rule in recall.rules for i in rule.card_ids)
    (own,) = memory.replay(user_id="ann")
    assert own.recall_id == recall.id
    assert sorted(own.shown) == sorted(own.shows) == sorted(ids)
    (vars_,) = memory.replay(user_id="ann", user_model="vars")
    assert len(vars_.shows) == 3  # the published policy always injects


@pytest.mark.parametrize("model", ["vars", "none"])
def test_another_model_takes_over_the_log(
    memory: PreferenceMemory, store: SQLiteStore, open_memory: Open, model: str
) -> None:
    ask(memory)
    follow(memory, "drop the capitals when writing SQL")
    other = open_memory(store=store, user_model=model, config=Config(min_score=0.1))
    assert ask(other, session_id="t").candidates
    assert other.get_user("ann").model == f"{model}/1"
    follow(other, "thanks", session_id="t")
    state = store.state(ANN)
    assert state is not None
    assert state.model == f"{model}/1"


def test_users_learn_apart(memory: PreferenceMemory, store: SQLiteStore) -> None:
    memory.add("writing SQL", "write keywords in capitals", user_id="bob")
    memory.recall(ASK, user_id="bob", session_id="s")
    turns = [("user", ASK), ("assistant", "Here."), ("user", "thanks")]
    memory.learn(turns, user_id="bob", session_id="s")
    before = store.state(UserKey("bob"))
    for number in range(30):
        recall = ask(memory)
        memory.feedback(recall, -1, user_id="ann", key=str(number))
        follow(memory, f"drop the capitals when writing SQL {number}")
    after = store.state(UserKey("bob"))
    assert before is not None
    assert after is not None
    assert journal.same(before, after)
    assert replace(after, user_id="x") != after


def test_ten_thousand_rewards_of_a_hostile_user_leave_the_others_byte_equal(
    memory: PreferenceMemory, store: SQLiteStore
) -> None:
    memory.feedback(ask(memory), -1, user_id="ann", key="click")
    memory.add("writing SQL", "write keywords in capitals", user_id="bob")
    recall = memory.recall(ASK, user_id="bob", session_id="s")
    memory.feedback(recall, 1, user_id="bob", key="click")

    def others() -> list[bytes]:
        states = (store.state(UserKey(name)) for name in ("ann", "bob"))
        logs = (entry for name in ("ann", "bob") for entry in store.interactions(UserKey(name)))
        return [
            *(journal.write_state(s) for s in states if s),
            *(journal.write_entry(e.payload) for e in logs),
        ]

    before = others()
    assert len(before) == 6
    card = memory.add("writing SQL", "write keywords in capitals", user_id="zed")
    recall = memory.recall(ASK, user_id="zed", session_id="s")
    for n in range(10_000):
        score = (-1.0) ** n
        memory.feedback(recall, score, user_id="zed", key=f"click {n}", card_id=card.id)
    found = store.state(UserKey("zed"))
    assert found is not None
    assert found.steps >= 10_000
    assert abs(float(found.evidence[0])) <= 5
    assert others() == before


def test_a_judge_that_fails_costs_no_card(open_memory: Open) -> None:
    class Broken:
        def judge(self, followups: Sequence[Followup]) -> tuple[Judgement, ...]:
            raise RuntimeError("anybody's code")

    memory = open_memory(store=SQLiteStore(":memory:"), judge=Broken())
    memory.add("writing SQL", "write keywords in capitals", user_id="ann")
    ask(memory)
    follow(memory, "when cooking, always use grams")
    assert len(memory.list(user_id="ann")) == 2
    assert memory.degraded["judge"] == 1
