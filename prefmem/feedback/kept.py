"""Rules out of the edits of a user that are kept, each proposed with the edit that bears it out."""

import hashlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from prefmem.feedback.edits import EditPair, Induced, kind_of
from prefmem.interaction import KeptEdit
from prefmem.types import Evidence, Preference, Scope


@runtime_checkable
class Inducer(Protocol):
    """Finds style rules in edits."""

    def learned(self, earlier: Sequence[EditPair], edit: EditPair) -> tuple[Induced, ...]:
        """Give the rules that hold with an edit and did not without it, for its context.

        So a rule that the user forgot comes back with edits that bear it out anew, not with any
        edit.

        Args:
            earlier: The edits before it, oldest first.
            edit: The new edit.

        Raises:
            InputError: A text is empty or too long.
        """
        ...


def edit_key(context: str, draft: str, final: str) -> str:
    """Name an edit by its content, 32 hexadecimal digits."""
    said = "\x1e".join((context, draft, final))
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def newly_borne_out(
    earlier: Sequence[KeptEdit], edit: KeptEdit, inducer: Inducer
) -> list[Preference]:
    """Give the preferences that an edit adds to what the earlier ones have taught.

    What was only ever seen in one kind of text is learned for that kind.

    Args:
        earlier: The edits before it, oldest first.
        edit: The new edit.
        inducer: Finds the rules.

    Raises:
        InputError: A text is empty or too long.
        EndpointError: The inducer asks a chat model that gives no answer.
    """
    found = inducer.learned([_pair(one) for one in earlier], _pair(edit))
    kind = kind_of([one.context for one in (*earlier, edit)], edit.context)
    return [_preference(rule, rule.condition or kind, edit.key) for rule in found]


def _preference(rule: Induced, condition: str, key: str) -> Preference:
    return Preference(
        condition,
        _within(rule.action) if condition else rule.action,
        rule.polarity,
        rule.confidence,
        Scope("conditional" if condition else "global"),
        tuple(Evidence(f"edit:{key[:12]}", quote) for quote in rule.evidence),
    )


def _pair(edit: KeptEdit) -> EditPair:
    return EditPair(edit.context, edit.draft, edit.final)


def _within(action: str) -> str:
    """Word an instruction for the middle of a sentence."""
    return action[:1].lower() + action[1:] if action[1:2].islower() else action
