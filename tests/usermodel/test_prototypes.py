"""Users like a new one give it a start, tell nothing about anybody, and fall silent."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from prefmem import BasisMismatchError, InputError
from prefmem.types import Matrix, Vector
from prefmem.usermodel.prototypes import Prototypes, build, prior
from prefmem.usermodel.vectors import refit

Floats = npt.NDArray[np.float64]
E, GROUPS = 12, 4


def two() -> Prototypes:
    """Make one group towards x that likes y, and one towards y that dislikes it."""
    return Prototypes(
        "b",
        np.array([[1, 0], [0, 1]], dtype=np.float32),
        np.array([100, 50]),
        np.array([[0, 2], [0, -1]], dtype=np.float32),
    )


def rows(*values: tuple[float, ...]) -> Matrix:
    return np.array(values, dtype=np.float32)


def crowd(*groups: tuple[int, tuple[float, float], tuple[float, float]]) -> tuple[Matrix, Matrix]:
    """Repeat a user's vector and what they learned."""
    users = [user for size, user, _ in groups for _ in range(size)]
    learned = [w for size, _, w in groups for _ in range(size)]
    return rows(*users), rows(*learned)


def test_the_nearest_group_speaks_and_fades() -> None:
    cards = rows((0, 1), (1, 0), (0.6, 0.8))
    x, y = rows((3, 0.1), (0.1, 3))
    # weights (0, 2): products 2, 0, 1.6; shares 3/3, 3/6, 3/60 at 0, 3 and 57 events
    assert prior(two(), x, cards, 0, basis="b") == pytest.approx([2, 0, 1.6])
    assert prior(two(), x, cards, 3, basis="b") == pytest.approx([1, 0, 0.8])
    assert prior(two(), x, cards, 57, basis="b") == pytest.approx([0.1, 0, 0.08])
    assert prior(two(), y, cards, 0, basis="b") == pytest.approx([-1, 0, -0.8])
    for many in (60, 61, 10_000):
        assert prior(two(), x, cards, many, basis="b").tolist() == [0, 0, 0]
    assert prior(two(), x, rows((0, 1))[:0], 0, basis="b").shape == (0,)


def test_a_user_without_cards_hears_everybody() -> None:
    nobody = np.zeros(2, dtype=np.float32)
    # (100 * 2 - 50) / 150 = 1
    assert prior(two(), nobody, rows((0, 1)), 0, basis="b") == pytest.approx([1])


def test_vectors_of_two_spaces_never_meet() -> None:
    x = rows((1, 0))
    with pytest.raises(BasisMismatchError, match=r"'b' of width 2.*'c'"):
        prior(two(), x[0], x, 0, basis="c")
    with pytest.raises(BasisMismatchError, match="width 2"):
        prior(two(), np.ones(3, dtype=np.float32), x, 0, basis="b")
    with pytest.raises(InputError, match="n_events=-1"):
        prior(two(), x[0], x, -1, basis="b")


def test_groups_are_found_and_averaged() -> None:
    users, learned = crowd((60, (2, 0), (1, 0)), (50, (0, 3), (0, 1)), (50, (0, 1), (0, -3)))
    made = build(users, learned, basis="b", count=2, rng=np.random.default_rng(0))
    order = np.argsort(made.sizes)
    assert made.sizes[order].tolist() == [60, 100]
    assert made.centroids[order] == pytest.approx(rows((1, 0), (0, 1)))
    assert made.weights[order] == pytest.approx(rows((1, 0), (0, -1)))


def test_a_group_of_fewer_than_fifty_joins_the_nearest() -> None:
    users, learned = crowd((60, (1, 0), (1, 0)), (49, (0.8, 0.6), (0, 0)), (60, (-1, 0), (-1, 0)))
    made = build(users, learned, basis="b", count=3, rng=np.random.default_rng(0))
    assert sorted(made.sizes.tolist()) == [60, 109]
    joined = made.weights[int(made.sizes.argmax())]
    assert joined == pytest.approx([60 / 109, 0])


def test_a_prototype_holds_three_arrays_and_a_basis() -> None:
    assert [field.name for field in fields(Prototypes)] == [
        "basis", "centroids", "sizes", "weights",
    ]  # fmt: skip


def test_one_user_moves_a_prototype_by_a_share_of_the_clip() -> None:
    users, learned = crowd((50, (1, 0), (0, 0)))
    loud = learned.copy()
    loud[7] = (1e6, 0)
    made = build(users, loud, basis="b", count=1, rng=np.random.default_rng(0), clip=2.0)
    assert made.weights[0] == pytest.approx([2 / 50, 0])


def test_noise_is_in_units_of_one_user() -> None:
    users, learned = crowd((100, (1, 0), (0, 0)))
    drawn = [
        build(users, learned, basis="b", count=1, rng=np.random.default_rng(n), clip=2, noise=5)
        for n in range(300)
    ]
    spread = np.array([made.weights[0] for made in drawn]).std()
    assert spread == pytest.approx(5 * 2 / 100, rel=0.15)
    apart = np.array([made.centroids[0] for made in drawn]).std(axis=0)
    assert apart == pytest.approx([5 / 100] * 2, rel=0.15)


def test_a_seed_fixes_the_groups() -> None:
    people = population(300, np.random.default_rng(0))
    one, two_ = (
        build(people.users, people.wants, basis="b", count=4, rng=np.random.default_rng(5), noise=1)
        for _ in range(2)
    )
    assert one.centroids.tobytes() == two_.centroids.tobytes()
    assert one.weights.tobytes() == two_.weights.tobytes()


def test_files_hold_no_object(tmp_path: Path) -> None:
    path = tmp_path / "prototypes.npz"
    np.savez(path, **two().arrays())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # numpy's own switch is a keyword, too
    with np.load(path, allow_pickle=False) as held:
        read = Prototypes.from_arrays(held)
    assert read.basis == "b"
    for name, array in two().arrays().items():
        assert read.arrays()[name].tobytes() == array.tobytes()
    with pytest.raises(InputError, match="'sizes' is missing"):
        Prototypes.from_arrays({k: v for k, v in two().arrays().items() if k != "sizes"})
    with pytest.raises(InputError, match="'sizes' is missing or no 'i'"):
        Prototypes.from_arrays({**two().arrays(), "sizes": np.array([100.0, 50.0])})


def test_what_would_tell_of_few_users_is_refused() -> None:
    made = two()
    with pytest.raises(InputError, match=r"sizes=\[100, 49\].*at least 50"):
        Prototypes("b", made.centroids, np.array([100, 49]), made.weights)
    with pytest.raises(InputError, match="do not belong together"):
        Prototypes("b", made.centroids, made.sizes, made.weights[:1])
    with pytest.raises(InputError, match="finite"):
        Prototypes("b", made.centroids, made.sizes, made.weights * np.float32(np.nan))
    users, learned = crowd((49, (1, 0), (0, 0)))
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="49 users"):
        build(users, learned, basis="b", count=1, rng=rng)
    users, learned = crowd((50, (1, 0), (0, 0)))
    with pytest.raises(InputError, match="of one shape"):
        build(users, learned[:3], basis="b", count=1, rng=rng)
    with pytest.raises(InputError, match="leave out users"):
        build(users * 0, learned, basis="b", count=1, rng=rng)
    with pytest.raises(InputError, match="not finite"):
        build(np.full_like(users, np.inf), learned, basis="b", count=1, rng=rng)
    with pytest.raises(InputError, match="count=0"):
        build(users, learned, basis="b", count=0, rng=rng)


@dataclass(frozen=True)
class People:
    """A synthetic population.

    Attributes:
        users: What is seen of them, (n, e).
        wants: What makes a card useful to them: the log-odds are its product with the card, (n, e).
    """

    users: Matrix
    wants: Matrix


def population(size: int, rng: np.random.Generator) -> People:
    """Draw users of 4 kinds: what they want is two parts of their kind and one part their own."""
    world = np.random.default_rng(99)  # the kinds are the same for every draw of users
    kinds, tastes = world.normal(size=(2, GROUPS, E))
    mine = rng.integers(0, GROUPS, size)
    users = kinds[mine] + 0.5 * rng.normal(size=(size, E))
    wants = 2 * tastes[mine] + rng.normal(size=(size, E))
    return People(users.astype(np.float32), wants.astype(np.float32))


def unit(size: int, rng: np.random.Generator) -> Matrix:
    drawn = rng.normal(size=(size, E))
    lengths: Floats = np.linalg.norm(drawn, axis=1, keepdims=True)
    return (drawn / lengths).astype(np.float32)


def feedback(wants: Vector, cards: Matrix, rng: np.random.Generator) -> Vector:
    """Draw evidence of 2 nats for or against each card, right as often as the log-odds say."""
    useful = rng.random(len(cards)) < 1 / (1 + np.exp(-(cards @ wants)))
    return np.where(useful, 2.0, -2.0).astype(np.float32)


def gained(events: int) -> Floats:
    """Measure for 200 new users how much the prototypes lower the Brier score of 40 unseen cards.

    Everybody's own weights are fitted to their feedback; those of a new user to what the prior
    leaves over. The prototypes come from 400 other users with 60 events each.
    """
    rng = np.random.default_rng(4)
    before, fresh = population(400, rng), population(200, rng)
    learned: list[Vector] = []
    for wants in before.wants:
        cards = unit(60, rng)
        learned.append(refit(feedback(wants, cards, rng), cards, ridge=5.0))
    made = build(before.users, np.stack(learned), basis="b", count=6, rng=rng)
    gains: list[float] = []
    for user, wants in zip(fresh.users, fresh.wants, strict=True):
        cards, unseen = unit(events, rng), unit(40, rng)
        said = feedback(wants, cards, rng)
        truth = (rng.random(40) < 1 / (1 + np.exp(-(unseen @ wants)))).astype(np.float64)
        alone = unseen @ refit(said, cards, ridge=5.0)
        left = said - prior(made, user, cards, events, basis="b")
        helped = unseen @ refit(left, cards, ridge=5.0)
        helped = helped + prior(made, user, unseen, events, basis="b")
        scores = [float(((1 / (1 + np.exp(-p)) - truth) ** 2).mean()) for p in (alone, helped)]
        gains.append(scores[0] - scores[1])
    return np.array(gains)


def interval(values: Floats) -> tuple[float, float]:
    """Give the 95% interval of a paired mean."""
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def test_prototypes_help_after_three_events() -> None:
    low, high = interval(gained(3))
    assert low > 0.005
    assert high < 0.25


def test_prototypes_are_silent_after_sixty() -> None:
    assert gained(60).tolist() == [0.0] * 200
    low, _ = interval(gained(30))
    assert low > -0.002  # and do no harm on the way
