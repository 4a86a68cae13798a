"""The figures behind the inspector's plots, worked out by hand on small users."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from prefmem import PreferenceMemory
from prefmem_server.inspector.plots import plots_of, projected

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


class At:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = MONDAY

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> At:
    return At()


@pytest.fixture
def memory(open_memory: Callable[..., PreferenceMemory], clock: At) -> PreferenceMemory:
    return open_memory(clock=clock)


def test_a_line_is_projected_on_one_direction() -> None:
    rows = np.array([[0, 3, 0], [0, 1, 0], [0, -4, 0]], dtype=np.float32)
    places, share = projected(rows)
    assert places[:, 0] == pytest.approx([3, 1, -4])
    assert places[:, 1] == pytest.approx([0, 0, 0])
    assert share == pytest.approx(1)


def test_the_map_keeps_its_way_round() -> None:
    rows = np.random.default_rng(1).normal(size=(9, 5)).astype(np.float32)
    places, share = projected(rows)
    turned, _ = projected(rows[::-1].copy())
    assert turned[::-1] == pytest.approx(places, abs=1e-9)
    assert 0 < share < 1
    spread = ((rows - rows.mean(axis=0)) ** 2).sum()
    assert (places**2).sum() == pytest.approx(share * spread, rel=1e-5)


@pytest.mark.parametrize("count", [0, 1])
def test_few_rows_lie_in_the_middle(count: int) -> None:
    places, share = projected(np.ones((count, 4), dtype=np.float32))
    assert places.tolist() == [[0, 0]] * count
    assert share == 1


def test_a_stranger_has_empty_plots(memory: PreferenceMemory) -> None:
    plots = plots_of(memory, "nobody")
    assert plots.map.points == []
    assert (plots.evidence, plots.use, plots.learned, plots.unit) == ([], [], [], "day")


def test_rules_about_one_thing_make_a_group(memory: PreferenceMemory) -> None:
    memory.add("writing sql queries", "use capital keywords", user_id="ann")
    memory.add("cooking", "leave out nuts", user_id="ann")
    memory.add("writing sql queries", "use capital names", user_id="ann")
    plots = plots_of(memory, "ann")
    assert plots.map.groups == ["When writing sql queries"]
    assert [point.group for point in plots.map.points] == [0, None, 0]
    assert [point.text for point in plots.map.points][1] == "When cooking, leave out nuts."
    assert 0 < plots.map.share <= 1


def test_evidence_starts_at_nothing_and_moves_with_thumbs(
    memory: PreferenceMemory, clock: At
) -> None:
    sql = memory.add("writing sql", "use capital keywords", user_id="ann")
    memory.add("cooking", "leave out nuts", user_id="ann")
    clock.now += timedelta(days=1)
    recall = memory.recall("writing sql", user_id="ann")
    memory.feedback(recall, 1.0, user_id="ann", card_id=sql.id)
    (course,) = plots_of(memory, "ann").evidence
    assert course.card_id == sql.id
    told = [(step.at, step.value) for step in course.evidence]
    assert told == [(MONDAY, 0), (MONDAY + timedelta(days=1), 3)]  # Ledger.missed


def test_quotes_are_counted_as_they_come(memory: PreferenceMemory, clock: At) -> None:
    said = [("user", "When writing sql, always use capital keywords.")]
    (sql,) = memory.learn(said, user_id="ann", session_id="a").added
    recall = memory.recall("writing sql", user_id="ann")
    memory.feedback(recall, 1.0, user_id="ann", card_id=sql.id)
    clock.now += timedelta(days=2)
    again = [("user", "As I said: when writing SQL, always use capital keywords.")]
    memory.learn(again, user_id="ann", session_id="b")
    plots = plots_of(memory, "ann")
    assert [course.card_id for course in plots.evidence] == [sql.id]
    (course,) = plots.repeated
    assert [step.value for step in course.said] == [1, 2]
    learned = [(p.start, p.new, p.again, p.closed) for p in plots.learned]
    assert learned == [
        (date(2026, 3, 2), 1, 0, 0),
        (date(2026, 3, 3), 0, 0, 0),
        (date(2026, 3, 4), 0, 1, 0),
    ]


def test_complaints_and_rewards_are_counted_by_day(memory: PreferenceMemory, clock: At) -> None:
    memory.add("", "be brief", user_id="ann")
    recall = memory.recall("anything", user_id="ann")
    for score in (1.0, -1.0, -1.0, 0.5):
        memory.feedback(recall, score, user_id="ann")
    clock.now += timedelta(days=1)
    memory.recall("anything else", user_id="ann")
    first, second = plots_of(memory, "ann").use
    assert (first.recalls, first.with_rules, first.followups) == (1, 1, 4)
    assert (first.complaints, first.praise, first.reward) == (2, 2, -0.125)
    assert (second.recalls, second.followups, second.reward) == (1, 0, None)


@pytest.mark.parametrize(
    ("days", "unit", "starts"),
    [
        (45, "day", (date(2026, 3, 4), 46)),
        (46, "week", (date(2026, 3, 2), 7)),
        (521, "month", (date(2026, 3, 1), 18)),
    ],
)
def test_long_spans_are_counted_by_week_and_month(
    memory: PreferenceMemory, clock: At, days: int, unit: str, starts: tuple[date, int]
) -> None:
    clock.now += timedelta(days=2)  # a Wednesday
    memory.add("", "be brief", user_id="ann")
    clock.now += timedelta(days=days)
    memory.add("cooking", "leave out nuts", user_id="ann")
    plots = plots_of(memory, "ann")
    assert plots.unit == unit
    assert (plots.learned[0].start, len(plots.learned)) == starts
    assert [plots.learned[0].new, plots.learned[-1].new] == [1, 1]
