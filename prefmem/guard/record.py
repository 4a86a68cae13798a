"""A line of log for each learning: counts and times, no word of anybody and no id."""

import json
import logging
from collections.abc import Mapping
from hashlib import blake2b

from prefmem.types import LearnReport, UserKey

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


def note_learning(
    report: LearnReport, user: UserKey, secret: bytes, seconds: float, *, later: bool
) -> None:
    """Log a learning as one line of JSON, where the host lets `prefmem.learn` speak at `INFO`.

    Args:
        report: What was learned.
        user: Whose words; the line has a hash of it that holds for one process.
        secret: Key of the hash.
        seconds: How long it took.
        later: Whether it was learned in the background.
    """
    if not _log.isEnabledFor(logging.INFO):
        return
    named = f"{user.tenant}\x1f{user.user_id}".encode()
    line = {
        "event": "learn",
        "user": blake2b(named, key=secret[:64], digest_size=8).hexdigest(),
        **told(report),
        "ms": round(seconds * 1000, 1),
        "later": later,
    }
    _log.info("%s", json.dumps(line))
