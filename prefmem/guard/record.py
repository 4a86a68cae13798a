"""A line of log for each learning: counts and times, no word of anybody and no id."""

import json
import logging
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from time import monotonic
from typing import Literal, TypeAlias

from prefmem.job import GoneError, Job
from prefmem.types import LearnReport, Recall, UserKey

Outcome: TypeAlias = Literal["injected", "abstained", "empty", "failed"]
_log = logging.getLogger("prefmem.learn")


def told(report: LearnReport) -> Mapping[str, int]:
    """Give the numbers of a report: turns, and cards by what became of them."""
    touched = (*report.added, *report.updated)
    return {
        "turns": report.turns,
        "skipped": report.skipped,
        "added": len(report.added),
        "updated": len(report.updated),
        "closed": len(report.closed),
        "quarantined": sum(card.status == "quarantined" for card in touched),
    }


def outcome(recall: Recall) -> Outcome:
    """Say in a word how a recall ended; `empty` where there was no card to consider."""
    if recall.failed:
        return "failed"
    if recall.rules:
        return "injected"
    return "abstained" if recall.candidates else "empty"


def verdicts(recall: Recall) -> Counter[str]:
    """Count what was decided about the candidates of a recall, and what an agent wrote."""
    written = (one.verdict for one in recall.written)
    return Counter(verdict.reason for verdict in (*recall.verdicts, *written))


@dataclass(slots=True)
class Learning:
    """A learning that is under way.

    Attributes:
        user: Whose words.
        session_id: The conversation.
        source: `dialogue`, or `edit`.
        job: The window, where it is learned in the background.
        report: What was learned; None until then.
    """

    user: UserKey
    session_id: str
    source: Literal["dialogue", "edit"]
    job: Job | None = None
    report: LearnReport | None = None


@contextmanager
def noted(learning: Learning, secret: bytes | None) -> Generator[Learning]:
    """Log what is learned within as one line of JSON, also where it fails.

    The host lets `prefmem.learn` speak at `INFO`. User and session stand there as hashes that hold
    for one process.

    Args:
        learning: Gets its report within.
        secret: Key of the hashes; None where nothing is to be told.
    """
    if secret is None or not _log.isEnabledFor(logging.INFO):
        yield learning
        return
    began, error = monotonic(), ""
    try:
        yield learning
    except BaseException as failure:
        error = type(failure).__name__
        raise
    finally:
        _write(learning, secret, monotonic() - began, error)


def _write(learning: Learning, secret: bytes, seconds: float, error: str) -> None:
    user, job = learning.user, learning.job
    now = datetime.now(UTC)
    gone = error == GoneError.__name__  # erased, or learned by another worker
    line: dict[str, object] = {
        "event": "learn",
        "at": now.isoformat(timespec="milliseconds"),
        "source": learning.source,
        "outcome": "gone" if gone else "failed" if error else "learned",
        "user": _named(secret, user.tenant, user.user_id),
        "session": _named(secret, user.tenant, user.user_id, learning.session_id),
        **told(learning.report or LearnReport()),
        "ms": round(seconds * 1000, 1),
        "later": job is not None,
    }
    if job is not None:
        waited = (now - job.queued_at).total_seconds() - seconds
        line |= {"tries": job.tries, "waited_ms": round(max(0.0, waited) * 1000)}
    if error and not gone:
        line["error"] = error
    _log.info("%s", json.dumps(line))


def _named(secret: bytes, *names: str) -> str:
    """Name a user or a conversation by a keyed hash."""
    return blake2b("\x1f".join(names).encode(), key=secret[:64], digest_size=8).hexdigest()
