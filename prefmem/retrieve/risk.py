"""The floor that keeps a promise about unwarranted rules: conformal risk control."""

from prefmem.errors import ConfigError
from prefmem.protocols import Calibrated
from prefmem.types import Risk


def floor_for(risk: Risk, most: float) -> float:
    """Give the lowest floor at which the expected share of requests stays within `most`.

    The share is that of requests that get a rule that does not apply. With n cases of mean loss R
    at a floor, (n R + 1) / (n + 1) <= most is asked for (Angelopoulos et al., 2208.02814, for
    losses up to 1). It holds on average over requests like those that were counted.

    Args:
        risk: What was counted.
        most: Share of requests, in (0, 1).

    Raises:
        ConfigError: So few cases allow no such promise.
    """
    for step, loss in enumerate(risk.losses):
        if (risk.cases * loss + 1) / (risk.cases + 1) <= most:
            return step / (len(risk.losses) - 1)
    raise ConfigError(
        f"max_unwarranted={most!r} cannot be kept with what was counted on {risk.cases} requests; "
        "raise it, or set min_score"
    )


def injection_floor(min_score: float, max_unwarranted: float | None, source: object) -> float:
    """Give the relevance that a conditional rule needs: as set, or as the promise asks.

    Args:
        min_score: What counts without a promise, in [0, 1].
        max_unwarranted: The promise, in (0, 1); None for none.
        source: The embedder or reranker whose relevance is compared with it.

    Raises:
        ConfigError: A promise is asked for, and `source` cannot give it.
    """
    if max_unwarranted is None:
        return min_score
    risk = source.risk if isinstance(source, Calibrated) else None
    if risk is None:
        raise ConfigError(
            f"max_unwarranted={max_unwarranted!r}: {type(source).__name__} has no table of risks; "
            "set min_score instead"
        )
    return floor_for(risk, max_unwarranted)
