"""What a user model costs: CPU time of choosing and learning, and bytes of its state."""

from dataclasses import dataclass
from datetime import UTC, datetime
from time import process_time

import numpy as np
import numpy.typing as npt

from prefmem.evaluate.metrics import Figure
from prefmem.interaction import Deck, Observation, Offer, Slate
from prefmem.protocols import UserModel
from prefmem.stores.journal import write_state
from prefmem.train.progress import Progress
from prefmem.types import Reason

CARDS = (50, 100, 500, 5000)
_CANDIDATES, _LIMIT, _WIDTH = 64, 3, 384
_FLOOR = 0.24
_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one user model at one number of cards.

    Attributes:
        cards: Cards of the user.
        select: Microseconds of a choice among 64 candidates, median over rounds.
        update: Microseconds of learning from a follow-up that may be about any card: priors of all
            cards and the next state.
        both: Their sum in a round.
        size: Bytes of the state as it is stored, after all rounds.
    """

    cards: int
    select: Figure
    update: Figure
    both: Figure
    size: int


def measure(
    model: UserModel, basis: str, *, seed: int, progress: Progress, rounds: int = 200
) -> tuple[Cost, ...]:
    """Time a model at several numbers of cards, on random cards and follow-ups.

    Args:
        model: The user model.
        basis: Space that the cards are said to be in, 384 wide.
        seed: Of cards, follow-ups and resampling.
        progress: Told the stage, what is done and how much there is.
        rounds: Turns in each measurement.
    """
    costs: list[Cost] = []
    for done, cards in enumerate(CARDS, start=1):
        costs.append(_measured(model, basis, cards, np.random.default_rng([seed, cards]), rounds))
        progress("cost", done, len(CARDS))
    return tuple(costs)


def _measured(
    model: UserModel, basis: str, cards: int, rng: np.random.Generator, rounds: int
) -> Cost:
    deck = _deck(cards, basis, rng)
    state = model.fresh("u")
    times = np.zeros((rounds, 2))
    for turn in range(rounds):
        state = model.tick(state, str(turn // 4))
        places = np.sort(rng.choice(cards, min(_CANDIDATES, cards), replace=False))
        relevance = rng.beta(1, 3, places.size).astype(np.float32)
        slate = Slate(deck, places, relevance)
        fit = (rng.normal(0.2, 0.12, cards) / 0.05).astype(np.float32)
        said, rejects = float(rng.choice([0.05, 0.9])), bool(rng.random() < 0.1)
        reward = float(rng.integers(-1, 2))

        start = process_time()
        choice = model.select(state, slate, floor=_FLOOR, limit=_LIMIT)
        times[turn, 0] = process_time() - start

        shown = np.zeros(places.size, dtype=np.bool_)
        shown[np.argsort(-choice.worth)[:_LIMIT]] = True
        relevant: Reason = "relevant"
        offer = Offer(
            str(turn), state.session_id, "0" * 16, deck.numbers[places], relevance, choice.prior,
            choice.chance, shown, (relevant,) * places.size, model.name, _AT,
        )  # fmt: skip
        start = process_time()
        prior = model.prior(state, deck, np.arange(cards))
        heard = Observation(
            offer.recall_id, offer.session_id, reward=reward, said=said, rejects=rejects,
            numbers=deck.numbers, fit=fit, prior=prior,
        )  # fmt: skip
        state = model.observe(state, offer, heard, deck)
        times[turn, 1] = process_time() - start
    columns = (times[:, 0], times[:, 1], times.sum(axis=1))
    select, update, both = (_median(1e6 * values, rng) for values in columns)
    return Cost(cards, select, update, both, len(write_state(state)))


def _deck(cards: int, basis: str, rng: np.random.Generator) -> Deck:
    matrix = rng.standard_normal((cards, _WIDTH)).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    confidence = rng.beta(5, 3, cards).astype(np.float32)
    return Deck(
        np.arange(1, cards + 1), matrix, confidence, np.zeros(cards, dtype=np.float32), basis
    )


def _median(values: npt.NDArray[np.float64], rng: np.random.Generator) -> Figure:
    drawn = np.median(values[rng.integers(0, len(values), (1000, len(values)))], axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Figure(float(np.median(values)), float(low), float(high), len(values))
