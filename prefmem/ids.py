"""Names that depend on content alone: the same text gets the same name in every process."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from prefmem.types import Preference, Turn

_EDGES = " \t\n.,;:!?'\"`"


def fold_text(text: str) -> str:
    """Bring text to one form: NFKC, lower case, single spaces, no punctuation at the ends."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).casefold()).strip(_EDGES)


def rule_hash(preference: Preference) -> bytes:
    """Name what a rule says, 16 bytes: two rules with one hash are duplicates."""
    scope = preference.scope
    parts = (
        fold_text(preference.condition),
        fold_text(preference.action),
        preference.polarity,
        scope.task or "",
        fold_text(scope.audience or ""),
        scope.language or "",
    )
    return hashlib.sha256("\x1f".join(parts).encode()).digest()[:16]


def user_turn_keys(turns: Sequence[Turn], session_id: str) -> dict[str, str]:
    """Name the user turns that hold text by their content, by turn id.

    Never by a message id: hosts give the same message new ids, cut histories and run a turn twice;
    content does not change. A key reads `words:before`; `before` is empty for the first turn of a
    window. History may have been cut there, so a store takes `words:` and `words:x` for the same
    turn. Tool and system messages between two turns do not count.
    """
    keys: dict[str, str] = {}
    before = ""
    for turn in turns:
        if turn.role not in ("user", "assistant") or not turn.text.strip():
            continue
        said = f"{turn.role}\x1f{fold_text(turn.text)}"
        if turn.role == "user":
            words = hashlib.sha256(f"{session_id}\x1e{said}".encode()).hexdigest()[:32]
            after = hashlib.sha256(before.encode()).hexdigest()[:32] if before else ""
            keys[turn.id] = f"{words}:{after}"
        before = said
    return keys
