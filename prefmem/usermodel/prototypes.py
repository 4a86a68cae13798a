"""A start for new users from users like them, without any text: prototypes of at least 50 users.

Only for users who agreed: whoever calls `build` passes their vectors and nobody else's. A prototype
keeps three things: the mean of their vectors, their number, and the mean of what each of them has
learned, as a vector along which a card's usefulness generalises. No card, text or user id is in it,
and one user moves it by no more than a share of 1 / 50. Noise may be added on top; that is no
formal guarantee of differential privacy, since the groups themselves depend on the data.

What a prototype says of a new user's card fades with their own feedback: it weighs 3 / (3 + n)
after n events, half after 3, and nothing from 60 on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.errors import BasisMismatchError, InputError
from prefmem.types import Matrix, Vector

_Floats: TypeAlias = npt.NDArray[np.float64]
_Groups: TypeAlias = npt.NDArray[np.int64]

LEAST = 50  # users in a prototype
_HALF = 3  # events after which a prototype weighs one half
_GONE = 60  # events from which it weighs nothing
_STARTS = 4
_ROUNDS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Prototypes:
    """Groups of users, each with what its members have in common.

    Attributes:
        basis: Vector space that everything lives in.
        centroids: Mean of the members' unit vectors, (p, e).
        sizes: Number of members, each at least 50, (p,).
        weights: Mean of what the members learned, (p, e): its product with a card's unit vector
            is log-odds that the card is useful.

    Raises:
        InputError: The shapes do not fit, a figure is not finite, or a group is too small.
    """

    basis: str
    centroids: Matrix
    sizes: _Groups
    weights: Matrix

    def __post_init__(self) -> None:
        """Refuse what could tell of single users, or makes no sense."""
        shape = self.centroids.shape
        if len(shape) != 2 or self.weights.shape != shape or self.sizes.shape != shape[:1]:
            raise InputError(
                f"centroids {shape}, weights {self.weights.shape} and sizes {self.sizes.shape} do "
                "not belong together"
            )
        if not shape[0] or self.sizes.min() < LEAST:
            raise InputError(
                f"sizes={self.sizes.tolist()!r}: a prototype needs at least {LEAST} users"
            )
        if not (np.isfinite(self.centroids).all() and np.isfinite(self.weights).all()):
            raise InputError("the centroids and weights must be finite")

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Give everything as arrays for `numpy.savez`; no object among them."""
        return {
            "basis": np.array(self.basis),
            "centroids": self.centroids,
            "sizes": self.sizes,
            "weights": self.weights,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> "Prototypes":
        """Read what `arrays` gave, as from `numpy.load(file, allow_pickle=False)`.

        Raises:
            InputError: An array is missing or of another kind.
        """
        kinds = {"basis": "U", "centroids": "f", "sizes": "i", "weights": "f"}
        held = {name: np.asarray(arrays[name]) for name in kinds if name in arrays}
        for name, kind in kinds.items():
            if name not in held or held[name].dtype.kind != kind:
                raise InputError(f"no prototypes: the array {name!r} is missing or no {kind!r}")
        return cls(
            str(held["basis"]),
            held["centroids"].astype(np.float32),
            held["sizes"].astype(np.int64),
            held["weights"].astype(np.float32),
        )


def build(
    users: Matrix,
    learned: Matrix,
    *,
    basis: str,
    count: int,
    rng: np.random.Generator,
    clip: float = 5.0,
    noise: float = 0.0,
) -> Prototypes:
    """Group users and average what they learned.

    k-means with k-means++ starts (Arthur & Vassilvitskii, SODA 2007), the best of 4; groups of
    fewer than 50 join the nearest one, the smallest first.

    Args:
        users: The users' vectors, such as `vectors.read_out` gives, (n, e); any length above 0.
        learned: What each has learned, such as `vectors.generalised` gives, (n, e).
        basis: Vector space of both.
        count: Groups at most.
        rng: Draws the starts and the noise.
        clip: Length to which each row of `learned` is cut, above 0.
        noise: Standard deviation of Gaussian noise on each coordinate, in units of the most that
            one user moves it; 0 for none.

    Raises:
        InputError: There are fewer than 50 users, a vector is 0 or not finite, shapes differ, or a
            number is out of range.
    """
    _check(users, learned, count, clip, noise)
    points = _unit(users.astype(np.float64))
    cut = learned.astype(np.float64)
    lengths = np.linalg.norm(cut, axis=1, keepdims=True)
    cut *= np.minimum(1, clip / np.maximum(lengths, 1e-12))
    groups = _joined(points, _grouped(points, min(count, len(points) // LEAST), rng))
    sizes = np.bincount(groups)
    spread = (noise / sizes)[:, None]  # (p, 1)
    centroids = _means(points, groups) + spread * rng.normal(size=(len(sizes), points.shape[1]))
    weights = _means(cut, groups) + clip * spread * rng.normal(size=centroids.shape)
    return Prototypes(basis, centroids.astype(np.float32), sizes, weights.astype(np.float32))


def prior(
    prototypes: Prototypes,
    user_vector: Vector,
    card_vectors: Matrix,
    n_events: int,
    *,
    basis: str,
) -> Vector:
    """Say what users like this one suggest about cards.

    Args:
        prototypes: The groups; the nearest one speaks, all of them by their sizes for a user whose
            vector is 0.
        user_vector: The new user's vector, (e,), of any length.
        card_vectors: Unit vectors of the user's cards, (k, e).
        n_events: Feedback the user has given so far, at least 0.
        basis: Vector space of both.

    Returns:
        Log-odds to add to each card's own, (k,), float32; 0 from 60 events on.

    Raises:
        BasisMismatchError: The vectors live in another space than the prototypes.
        InputError: `n_events` is below 0.
    """
    e = prototypes.centroids.shape[1]
    if basis != prototypes.basis or user_vector.shape != (e,) or card_vectors.shape[1:] != (e,):
        raise BasisMismatchError(
            f"prototypes are in {prototypes.basis!r} of width {e}, the vectors in {basis!r} of "
            f"shapes {user_vector.shape} and {card_vectors.shape}"
        )
    if n_events < 0:
        raise InputError(f"n_events={n_events!r} is below 0")
    if n_events >= _GONE:
        return np.zeros(len(card_vectors), dtype=np.float32)
    share = _HALF / (_HALF + n_events)
    suggested: Vector = card_vectors @ _nearest(prototypes, user_vector)  # (k, e) @ (e,) -> (k,)
    return (share * suggested).astype(np.float32)


def _nearest(prototypes: Prototypes, user_vector: Vector) -> Vector:
    """Give the weights that speak for a user, (e,)."""
    length = float(np.linalg.norm(user_vector))
    if length == 0:
        return np.average(prototypes.weights, axis=0, weights=prototypes.sizes).astype(np.float32)
    gaps = _gaps((user_vector / length)[None].astype(np.float64), prototypes.centroids)
    chosen: Vector = prototypes.weights[int(gaps[0].argmin())]
    return chosen


def _grouped(points: _Floats, count: int, rng: np.random.Generator) -> _Groups:
    """Give each point its group, of the start with the smallest squared distances."""
    best, least = np.zeros(len(points), dtype=np.int64), np.inf
    for _ in range(_STARTS):
        centres = _spread(points, count, rng)
        groups = _gaps(points, centres).argmin(axis=1)
        for _ in range(_ROUNDS):
            groups = _numbered(groups)
            after = _gaps(points, _means(points, groups)).argmin(axis=1)
            if (after == groups).all():
                break
            groups = after
        groups = _numbered(groups)
        cost = float(((points - _means(points, groups)[groups]) ** 2).sum())
        if cost < least:
            best, least = groups, cost
    return best


def _spread(points: _Floats, count: int, rng: np.random.Generator) -> _Floats:
    """Draw centres that lie apart, each by its squared distance from those before it."""
    centres = points[rng.integers(len(points), size=1)]
    while len(centres) < count:
        gaps = _gaps(points, centres).min(axis=1)
        if gaps.sum() <= 0:  # fewer different points than groups
            break
        chosen = rng.choice(len(points), p=gaps / gaps.sum())
        centres = np.concatenate([centres, points[[chosen]]])
    return centres


def _joined(points: _Floats, groups: _Groups) -> _Groups:
    """Let groups that are too small join the nearest one."""
    while True:
        sizes = np.bincount(groups)
        smallest = int(sizes.argmin())
        if sizes[smallest] >= LEAST:
            return groups
        means = _means(points, groups)
        gaps = _gaps(means[[smallest]], means)[0]
        gaps[smallest] = np.inf
        groups = _numbered(np.where(groups == smallest, int(gaps.argmin()), groups))


def _numbered(groups: _Groups) -> _Groups:
    """Number the groups without gaps."""
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def _means(rows: _Floats, groups: _Groups) -> _Floats:
    """Average rows, (n, e), by group, (p, e)."""
    sizes = np.bincount(groups)
    sums = np.zeros((len(sizes), rows.shape[1]))
    np.add.at(sums, groups, rows)
    return sums / sizes[:, None]


def _gaps(points: _Floats, centres: npt.NDArray[np.floating]) -> _Floats:
    """Give squared distances, (n, p)."""
    centred = centres.astype(np.float64)
    both = points @ centred.T  # (n, e) @ (e, p)
    gaps: _Floats = (points**2).sum(axis=1)[:, None] - 2 * both + (centred**2).sum(axis=1)
    return np.maximum(gaps, 0)


def _unit(rows: _Floats) -> _Floats:
    lengths: _Floats = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / lengths


def _check(users: Matrix, learned: Matrix, count: int, clip: float, noise: float) -> None:
    if users.ndim != 2 or learned.shape != users.shape:
        raise InputError(f"users {users.shape} and learned {learned.shape} must be of one shape")
    if len(users) < LEAST:
        raise InputError(f"{len(users)} users: a prototype needs at least {LEAST}")
    if not (np.isfinite(users).all() and np.isfinite(learned).all()):
        raise InputError("a vector holds a number that is not finite")
    if not np.linalg.norm(users, axis=1).all():
        raise InputError("a user's vector is 0; leave out users who have no cards yet")
    if count < 1 or not clip > 0 or not noise >= 0:
        raise InputError(
            f"count={count!r} must be at least 1, clip={clip!r} above 0, noise={noise!r} not below"
        )
