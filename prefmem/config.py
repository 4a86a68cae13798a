"""Every knob of the memory: default, unit, range. Unknown keys are refused."""

from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prefmem.errors import ConfigError


class Config(BaseModel):
    """Settings of a `PreferenceMemory`.

    Raises:
        ConfigError: A key is unknown, or a value is out of its range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    limit: int = Field(default=5, ge=0, le=50, description="Conditional rules injected at most.")
    max_global: int = Field(default=10, ge=0, le=50, description="Global rules injected at most.")
    min_score: float = Field(
        default=0.22,
        ge=0,
        le=1,
        description="Relevance below which a conditional rule is left out.",
    )
    max_unwarranted: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Share of requests that may get a rule that does not apply; sets min_score.",
    )
    candidates: int = Field(default=20, ge=1, le=1000, description="Cards looked at for a query.")
    rerank: bool = Field(default=True, description="Whether candidates are reranked.")
    rerank_candidates: int = Field(
        default=20, ge=1, le=1000, description="Candidates reranked at most, the nearest first."
    )
    rerank_budget: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Time for reranking in milliseconds; fewer are reranked when it runs out.",
    )
    recall_soft_ms: float = Field(
        default=1_000,
        gt=0,
        le=600_000,
        description="Time in milliseconds after which a recall goes on with what is there: without "
        "reranking, or with the global rules alone.",
    )
    recall_hard_ms: float = Field(
        default=2_000,
        gt=0,
        le=600_000,
        description="Time in milliseconds after which a recall gives no rule. A model that loads "
        "its weights has ten seconds more.",
    )
    hand_over_ms: float = Field(
        default=10_000,
        gt=0,
        le=600_000,
        description="Time in milliseconds in which a dialogue is handed over to be learned, or a "
        "command carried out; then the call fails.",
    )
    breaker_rest: float = Field(
        default=30.0,
        gt=0,
        le=3_600,
        description="Seconds that the store or a model which failed five times in a row is left "
        "alone.",
    )
    max_agent_rules: int = Field(
        default=5,
        ge=0,
        le=50,
        description="Rules of a preference agent injected at most, in the places of `limit` and "
        "the tokens of `max_tokens` that the cards leave.",
    )
    agent_ms: float = Field(
        default=2_000,
        gt=0,
        le=600_000,
        description="Time in milliseconds that a recall waits for the preference agent's rules; "
        "later ones are there for the next recall of the same request.",
    )
    max_tokens: int = Field(
        default=400, ge=0, le=20_000, description="Size of the injected block, in tokens."
    )
    min_confidence: float = Field(
        default=0.45, ge=0, le=1, description="Confidence below which nothing is stored."
    )
    active_confidence: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Confidence below which a rule is a candidate until it is said again.",
    )
    on_conflict: Literal["latest", "keep_both", "ask"] = Field(
        default="latest",
        description="What a rule does to the one whose place it takes: close it, live beside it, "
        "or wait as a candidate until it is confirmed.",
    )
    relation_floor: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Probability from which a rule counts as replaced by a new one.",
    )
    max_turn_chars: int = Field(
        default=100_000, ge=1, le=10_000_000, description="Length of a turn, in characters."
    )
    max_slot_chars: int = Field(
        default=240,
        ge=16,
        le=4_000,
        description="Length of a condition or an action, in characters.",
    )
    max_new_cards_per_hour: int | None = Field(
        default=20,
        ge=0,
        description="Cards that dialogue may add to a user's in an hour; none for any number. What "
        "is said again counts as no new card.",
    )
    max_cards: int = Field(
        default=2_000, ge=1, description="Live cards of a user: active, waiting and quarantined."
    )
    pii: Literal["drop", "quarantine", "allow"] = Field(
        default="quarantine",
        description="What happens to a rule that holds a secret or tells a special category of "
        "personal data (health, religion, politics, sex life, union, biometrics, ethnic origin): "
        "it is not stored, it waits for the user's confirmation, or it passes; a secret waits even "
        "then, and never gets into a prompt.",
    )
    unconfirmed_days: int = Field(
        default=180,
        ge=1,
        le=36_500,
        description="Days after which `sweep` ends a rule that nobody confirmed: one that a model "
        "inferred, or that waits to be sure or to be confirmed.",
    )
    retain_days: int | None = Field(
        default=None,
        ge=0,
        le=36_500,
        description="Days after its end that `sweep` removes a rule with its evidence; none for "
        "never.",
    )
    log_offers: bool = Field(
        default=True,
        description="Whether recalls are logged, as figures and card numbers: what follow-ups and "
        "feedback are learned from.",
    )
    learn_delay: float = Field(
        default=1.0,
        ge=0,
        le=60,
        description="Seconds that learning in the background waits for more turns; each turn that "
        "comes puts it off again, ten times at most.",
    )
    learn_threads: int = Field(
        default=1, ge=1, le=16, description="Users that a process learns from at once, at most."
    )
    learn_tries: int = Field(
        default=5, ge=1, le=100, description="Times that a job is tried before it counts as dead."
    )
    max_jobs: int = Field(default=10_000, ge=1, description="Jobs that wait in a store, at most.")
    max_jobs_per_user: int = Field(
        default=100, ge=1, description="Jobs of one user that wait, at most; the oldest make room."
    )
    cache_bytes: int = Field(
        default=256 * 2**20,
        ge=0,
        description="Memory for users' indexes, in bytes; oldest out first.",
    )

    if not TYPE_CHECKING:  # the checked signature is the one that pydantic makes of the fields

        def __init__(self, **settings: object) -> None:
            """Check the settings."""
            unknown = sorted(set(settings) - set(type(self).model_fields))
            if unknown:
                near = get_close_matches(unknown[0], type(self).model_fields, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ConfigError(f"unknown setting {unknown[0]!r}{hint}")
            try:
                super().__init__(**settings)
            except ValidationError as error:
                first = error.errors()[0]
                name = ".".join(str(part) for part in first["loc"])
                raise ConfigError(f"{name}={first['input']!r}: {first['msg']}") from None
