"""What a source gives before it is a document, and times as they are written in files."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MILLISECONDS = 1e11  # above it a number of seconds would be after the year 5000


@dataclass(frozen=True, slots=True)
class Found:
    """A text as a source holds it.

    Attributes:
        text: The words; empty where nothing of the writer's own is left.
        kind: What the source says that it is.
        to: Whom it is to.
        subject: What stands over it.
        at: When it was written; None where that is not known.
        authors: Names and addresses of who wrote it; empty where the source does not say.
    """

    text: str
    kind: str = "text"
    to: str = ""
    subject: str = ""
    at: datetime | None = None
    authors: tuple[str, ...] = ()


def as_utc(at: datetime) -> datetime:
    """Bring a time to UTC; one without a zone is taken as UTC.

    Raises:
        OverflowError: It is no time there.
    """
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def time_of(said: object) -> datetime | None:
    """Read a time: ISO 8601, as in mails, or seconds or milliseconds since 1970; None for none."""
    try:
        if isinstance(said, int | float) and not isinstance(said, bool):
            return datetime.fromtimestamp(said / 1000 if said > _MILLISECONDS else said, tz=UTC)
        if isinstance(said, str) and said.strip():
            try:
                return as_utc(datetime.fromisoformat(said.strip()))
            except ValueError:
                return as_utc(parsedate_to_datetime(said))
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        pass  # a time that cannot be read is none
    return None
