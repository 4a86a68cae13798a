"""Follow-ups for tests."""

from collections.abc import Sequence

import numpy as np

from prefmem.interaction import Followup


def followup(
    text: str,
    *,
    query: str = "soup for friday",
    reply: str = "Chop two onions and a leek.",
    rules: Sequence[str] = ("When cooking, leave onions out.", "When writing mails, be brief."),
    shown: Sequence[bool] = (False, True),
    cosines: Sequence[float] = (0.5, 0.1),
    to_query: Sequence[float] = (0.4, 0.0),
    similarity: float = 0.2,
) -> Followup:
    return Followup(
        query, reply, text, tuple(rules), np.array(shown, dtype=np.bool_),
        np.array(cosines, dtype=np.float32), np.array(to_query, dtype=np.float32), similarity,
    )  # fmt: skip
