from dataclasses import replace

import numpy as np
import pytest

from prefmem.evaluate.simulate.hashing import GramEmbedder
from prefmem.evaluate.simulate.lines import read
from prefmem.evaluate.simulate.pools import Pools, load
from prefmem.evaluate.simulate.setting import Setting
from prefmem.evaluate.simulate.shelf import Shelf
from prefmem.evaluate.simulate.users import User, draw

WORLD = Setting()


@pytest.fixture(scope="module")
def pools() -> Pools:
    return load(read(), GramEmbedder())


@pytest.fixture(scope="module")
def people(pools: Pools) -> tuple[User, ...]:
    return tuple(draw(pools, WORLD, 4, index) for index in range(30))


def test_what_is_held_can_be_held_together(pools: Pools, people: tuple[User, ...]) -> None:
    for user in people:
        held = user.items[user.held(0)]
        assert 20 <= len(held) <= 60
        assert (pools.topic[held] == 0).sum() == min(round(0.4 * len(held)), 28)
        assert len(set(pools.topic[held]) - {0}) <= 5
        for session in (0, 40):
            now = user.items[user.held(session)]
            groups = pools.group[now][pools.group[now] >= 0]
            assert len(set(groups.tolist())) == len(groups)
            assert len(set(now.tolist())) == len(now)
        cosines = pools.cosines[np.ix_(held, held)]
        assert cosines[~np.eye(len(held), dtype=np.bool_)].max() <= 0.8
        assert user.eta.min() >= 0.05
        assert user.eta.max() <= 1


def test_the_drift_takes_a_third_and_brings_less(people: tuple[User, ...]) -> None:
    before = np.array([user.held(35).sum() for user in people])
    gone = np.array([(user.held(35) & ~user.held(36)).sum() for user in people])
    came = np.array([(user.held(36) & ~user.held(35)).sum() for user in people])
    assert gone.sum() / before.sum() == pytest.approx(0.3, abs=0.04)
    assert came.sum() / gone.sum() == pytest.approx(0.75, abs=0.12)
    assert all((user.held(0) == user.held(35)).all() for user in people)


def test_cards_come_as_specified(pools: Pools, people: tuple[User, ...]) -> None:
    p = len(pools.topic)
    for user in people:
        held = user.items[user.held(0)]
        mine = np.isin(user.about, held)
        stored = np.isfinite(user.born)
        assert (stored & ~mine).sum() == round(0.975 * len(held) * (1 / 0.377 - 1))
        assert (np.diff(user.born[stored]) >= 0).all()
        assert (user.born[stored] < 31).all()
        assert (user.about[user.own] == user.items).all()
        assert (user.texts[user.about < 0] >= 2 * p).all()
        assert np.linalg.norm(user.vectors, axis=1) == pytest.approx(1, abs=1e-4)
    true = [np.isin(u.about, u.items[u.held(0)]) & np.isfinite(u.born) for u in people]
    whole = sum(int(u.held(0).sum()) for u in people)
    twice = sum(int((u.texts[t] >= p).sum()) for u, t in zip(people, true, strict=True))
    once = sum(int(t.sum()) for t in true) - twice
    assert once / whole == pytest.approx(0.975, abs=0.02)
    assert twice / once == pytest.approx(0.10, abs=0.03)


def test_tasks_come_as_specified(pools: Pools, people: tuple[User, ...]) -> None:
    tasks = [(user, task) for user in people for session in user.tasks for task in session]
    sizes = {len(session) for user in people for session in user.tasks}
    assert sizes == {2, 3, 4}
    style = np.array([pools.query_topic[task] == 0 for _, task in tasks])
    assert style.mean() == pytest.approx(0.45, abs=0.02)


def test_a_setting_changes_nothing_but_what_it_names(pools: Pools) -> None:
    plain = draw(pools, WORLD, 4, 0)
    more = draw(pools, replace(WORLD, extra=20, malicious=True), 4, 0)
    assert len(more.about) == len(plain.about) + 21
    assert (more.items == plain.items).all()
    assert more.tasks == plain.tasks
    assert plain.malicious == -1
    assert more.confidence[more.malicious] == pytest.approx(0.99)
    assert draw(pools, replace(WORLD, drift=None), 4, 0).held(59).sum() == plain.held(0).sum()
    half = draw(pools, replace(WORLD, precision=0.5), 4, 0)
    assert (half.eta == plain.eta).all()


def test_the_shelf_doubts_what_a_newer_card_is_near_to(
    pools: Pools, people: tuple[User, ...]
) -> None:
    user = people[0]
    shelf = Shelf(user, pools.basis)
    for session in range(31):
        shelf.begin(session)
    unborn = np.flatnonzero(~shelf.there)
    shelf.add(unborn[:1])
    deck = shelf.deck()
    slots = deck.numbers - 1
    order = [*slots[slots != unborn[0]].tolist(), int(unborn[0])]
    doubts = {
        slot: max((float(user.vectors[slot] @ user.vectors[o]) for o in order[i + 1 :]), default=-1)
        for i, slot in enumerate(order)
    }
    expected = [min(max((doubts[int(s)] - 0.55) / 0.3, 0), 1) for s in slots]
    assert deck.doubt == pytest.approx(expected, abs=1e-5)
    assert deck.doubt[slots == unborn[0]] == 0
