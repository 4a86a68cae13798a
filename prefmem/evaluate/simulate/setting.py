"""What a simulated world is like: all rates in one value."""

from dataclasses import dataclass, fields

from prefmem.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Setting:
    """The world, at its defaults as specified.

    Attributes:
        sessions: Sessions of a user.
        limit: Cards that are injected at most.
        neutral: Probability that a turn shows no sign.
        inverted: Probability that a sign is the wrong one.
        restates: Probability that a complaint about a miss restates the preference.
        names: Probability that a complaint about a harm names the card.
        mentions: Probability that a content user mentions a preference that applies.
        precision: Share of the stored cards that are true, about.
        extra: Additional noise cards, stored before the first session.
        known: Log-odds by which the reranker knows that a card applies.
        noise: Standard deviation of its error, in log-odds.
        drift: Session at which preferences change; None for never.
        harm: Factor of all probabilities of harm.
        malicious: Whether every user has a card that passes for relevant everywhere.

    Raises:
        ConfigError: A number is out of range.
    """

    sessions: int = 60
    limit: int = 3
    neutral: float = 0.40
    inverted: float = 0.25
    restates: float = 0.65
    names: float = 0.50
    mentions: float = 0.05
    precision: float = 0.377
    extra: int = 0
    known: float = 2.0
    noise: float = 0.8
    drift: int | None = 36
    harm: float = 1.0
    malicious: bool = False

    def __post_init__(self) -> None:
        """Refuse what no world can be like."""
        shares = ("neutral", "inverted", "restates", "names", "mentions", "precision")
        for field in fields(self):
            value = getattr(self, field.name)
            bound = 1 if field.name in shares else float("inf")
            least = 0.01 if field.name == "precision" else 1 if field.name == "sessions" else 0
            if value is not None and not least <= value <= bound:
                raise ConfigError(f"Setting.{field.name}={value!r}; give {least} to {bound}")
