from dataclasses import replace

import numpy as np
import pytest

from prefmem.errors import ConfigError
from prefmem.evaluate.simulate.hashing import GramEmbedder
from prefmem.evaluate.simulate.lines import read
from prefmem.evaluate.simulate.nature import Nature
from prefmem.evaluate.simulate.policies import POLICIES, check, make
from prefmem.evaluate.simulate.pools import Pools, load
from prefmem.evaluate.simulate.replay import replay
from prefmem.evaluate.simulate.setting import Setting
from prefmem.evaluate.simulate.users import User, draw
from prefmem.evaluate.simulate.world import COUNTS, Life, live
from prefmem.stores.journal import same, write_state

WORLD = Setting(sessions=12, drift=8)
USERS = 3


@pytest.fixture(scope="module")
def pools() -> Pools:
    return load(read(), GramEmbedder())


@pytest.fixture(scope="module")
def people(pools: Pools) -> tuple[User, ...]:
    return tuple(draw(pools, WORLD, 1, index) for index in range(USERS))


@pytest.fixture(scope="module")
def lives(pools: Pools, people: tuple[User, ...]) -> dict[str, tuple[Life, ...]]:
    found: dict[str, tuple[Life, ...]] = {}
    for name in POLICIES:
        policy = make(name, pools)
        found[name] = tuple(live(user, pools, WORLD, policy) for user in people)
    return found


def total(lives: tuple[Life, ...], name: str) -> float:
    return float(sum(life.counts[:, COUNTS.index(name)].sum() for life in lives))


@pytest.mark.parametrize("name", ["vars", "ledger"])
def test_the_same_seed_gives_the_same_life(
    name: str, pools: Pools, lives: dict[str, tuple[Life, ...]]
) -> None:
    again = live(draw(pools, WORLD, 1, 2), pools, WORLD, make(name, pools))
    first = lives[name][2]
    assert (again.counts == first.counts).all()
    assert write_state(again.state) == write_state(first.state)


def test_another_seed_gives_another_life(pools: Pools) -> None:
    other = draw(pools, WORLD, 2, 0)
    assert other.tasks != draw(pools, WORLD, 1, 0).tasks


def test_policies_meet_the_same_tasks_and_coins(
    pools: Pools, people: tuple[User, ...], lives: dict[str, tuple[Life, ...]]
) -> None:
    firsts = {
        name: [[event.offer.asked for event in life.log if event.turn == 0] for life in lives[name]]
        for name in POLICIES
    }
    assert all(asked == firsts["oracle"] for asked in firsts.values())
    one, other = (Nature(people[0], pools, WORLD).coins(3, 1) for _ in range(2))
    assert (one.misses == other.misses).all()
    assert (one.harms == other.harms).all()
    assert one.cue == other.cue
    assert Nature(people[1], pools, WORLD).coins(3, 1).cue != one.cue
    assert Nature(people[0], pools, WORLD).coins(3, 2).cue != one.cue


def test_where_policies_do_not_differ_neither_do_lives(
    pools: Pools, people: tuple[User, ...], lives: dict[str, tuple[Life, ...]]
) -> None:
    nothing = replace(WORLD, limit=0)
    for name in ("cosine", "ledger", "oracle"):
        life = live(people[0], pools, nothing, make(name, pools))
        same_counts = life.counts[:, : COUNTS.index("regret")]
        without = lives["no-memory"][0].counts[:, : COUNTS.index("regret")].copy()
        without[:, COUNTS.index("possible")] = 0  # of min(J, applicable)
        assert (same_counts == without).all()


def test_the_oracle_regrets_least_and_no_memory_harms_nobody(
    lives: dict[str, tuple[Life, ...]],
) -> None:
    regrets = {name: total(found, "regret") for name, found in lives.items()}
    assert min(regrets, key=lambda name: regrets[name]) == "oracle"
    assert total(lives["no-memory"], "harmed") == 0
    assert total(lives["no-memory"], "injected") == 0
    assert total(lives["oracle"], "bad") == 0


def test_a_session_ends_after_its_tasks_or_ten_turns(
    people: tuple[User, ...], lives: dict[str, tuple[Life, ...]]
) -> None:
    turns, complaints = COUNTS.index("turns"), COUNTS.index("complaints")
    for user, life in zip(people, lives["cosine"], strict=True):
        for session, counts in enumerate(life.counts):
            done = counts[turns] - counts[complaints]
            assert counts[turns] == 10 or done == len(user.tasks[session])
            assert done <= len(user.tasks[session])


@pytest.mark.parametrize("name", ["vars", "ledger", "ledger-no-z", "threshold"])
def test_the_log_gives_the_state_bit_for_bit(
    name: str, pools: Pools, lives: dict[str, tuple[Life, ...]]
) -> None:
    model = make(name, pools).model
    for life in lives[name]:
        again = replay(model, life.state.user_id, life.log, deck=life.deck)
        assert same(again, life.state)
        assert write_state(again) == write_state(life.state)


@pytest.mark.parametrize("name", ["vars", "ledger"])
def test_replicas_merge_and_an_event_counts_once(
    name: str, pools: Pools, lives: dict[str, tuple[Life, ...]]
) -> None:
    life = lives[name][1]
    order: list[int] = np.random.default_rng(0).permutation(len(life.log)).tolist()
    half = len(order) // 2
    one = [life.log[i] for i in order[: half + 10]]
    other = [life.log[i] for i in order[half - 10 :]]
    model = make(name, pools).model
    merged = replay(model, life.state.user_id, one, other, other, deck=life.deck)
    assert same(merged, life.state)


def test_evidence_stays_in_bounds(lives: dict[str, tuple[Life, ...]]) -> None:
    for life in lives["ledger"]:
        assert np.abs(life.state.evidence).max() <= 5
        assert np.isfinite(life.state.evidence).all()


def test_the_policy_sees_what_it_is_to_see(
    people: tuple[User, ...], lives: dict[str, tuple[Life, ...]]
) -> None:
    user, life = people[0], lives["ledger"][0]
    for event in life.log[:50]:
        offer, said = event.offer, event.said
        assert len(offer.numbers) == min(64, len(said.numbers))
        assert offer.shown.sum() <= 3
        fits = said.fit * 0.05
        among = fits[np.isin(said.numbers, offer.numbers[offer.shown])] if said.rejects else fits
        best = float(among.max()) if among.size else -1.0
        assert said.said == pytest.approx(1 / (1 + np.exp(-(best - 0.56) / 0.04)), rel=1e-4)
        assert said.reward in (-1, 0, 1)
        assert set(said.taught.tolist()).isdisjoint(said.numbers.tolist())
        assert set((said.taught - 1).tolist()) <= set(user.own.tolist())


def test_without_signal_noise_or_text_the_sign_tells_complaints(
    pools: Pools, people: tuple[User, ...]
) -> None:
    clear = replace(WORLD, neutral=0, inverted=0, restates=0, names=0, mentions=0)
    life = live(people[0], pools, clear, make("cosine", pools))
    rewards = np.array([event.said.reward for event in life.log])
    again = [b.offer.asked == a.offer.asked for a, b in zip(life.log, life.log[1:], strict=False)]
    repeated = np.array(
        [r and b.turn > 0 for r, b in zip(again, life.log[1:], strict=True)]
    )  # complaints, but for two equal tasks in a row and for those in the tenth turn
    assert (rewards[:-1][repeated] == -1).mean() > 0.9
    content = life.counts[:, COUNTS.index("turns")] - life.counts[:, COUNTS.index("complaints")]
    assert (rewards == 1).sum() <= content.sum()
    assert (rewards == 1).sum() >= 0.8 * content.sum()  # 0.08 are unhappy with the result


def test_a_malicious_card_is_always_a_candidate(pools: Pools) -> None:
    setting = replace(WORLD, malicious=True, sessions=3)
    user = draw(pools, setting, 1, 0)
    life = live(user, pools, setting, make("reranker", pools))
    for event in life.log:
        place = np.flatnonzero(event.offer.numbers == user.malicious + 1)
        assert event.offer.relevance[place] == pytest.approx(1 / (1 + np.exp(-2)))


def test_unknown_policies_are_refused() -> None:
    assert check(["vars", "ledger", "vars"]) == ("vars", "ledger")
    assert check([]) == POLICIES
    with pytest.raises(ConfigError, match="'lodger'"):
        check(["lodger"])


@pytest.mark.parametrize(
    "changes", [{"neutral": 1.2}, {"precision": 0.0}, {"sessions": 0}, {"harm": -1.0}]
)
def test_impossible_worlds_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        Setting(**changes)  # type: ignore[arg-type]
