"""Asking the user to confirm a rule that waits, through the client (MCP's elicitation).

Only where the server was told so: a client may answer in the user's place.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, Field

from prefmem import Card
from prefmem_mcp.sdk import MODERN, Context

if TYPE_CHECKING or MODERN:
    import mcp_types as types
else:  # pragma: no cover  # runs in conformance.py --tests
    from mcp import types

_ASKED = "confirm"  # name of the question, where its answer comes with a new call
_BY_CALL = "2026-07-28"  # from this protocol on it does; before, the server sends a request


class Confirmation(BaseModel):
    """What the user fills in."""

    confirm: bool = Field(title="Use this rule from now on", default=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the user said, in the call that follows a question.

    Attributes:
        card_id: What they were asked about.
        mark: Of the rule's words, as the user saw them.
        yes: Whether they confirmed it.
    """

    card_id: str
    mark: str
    yes: bool


def reply_in(context: Context) -> Reply | None:
    """Find the user's reply in a call; None where it is a first call."""
    state = getattr(context, "request_state", None)
    if not isinstance(state, str):
        return None
    card_id, _, mark = state.partition(" ")
    answers = cast(dict[str, Any], getattr(context, "input_responses", None) or {})
    answer = answers.get(_ASKED)
    content = cast(dict[str, Any], getattr(answer, "content", None) or {})
    yes = getattr(answer, "action", "") == "accept" and content.get("confirm") is True
    return Reply(card_id, mark, yes)


async def ask(context: Context, card: Card) -> "bool | types.InputRequiredResult":
    """Ask the user about a rule.

    Returns:
        Whether they confirmed it; False, too, where the client cannot ask. Under the newest
        protocol what the tool has to give: the client calls again with the reply.
    """
    wanted = types.ClientCapabilities(elicitation=types.ElicitationCapability())
    if not context.session.check_client_capability(wanted):
        return False
    message = (
        "The assistant wants to store this rule, which reads as an order about what to do:\n\n"
        f"{card.text}\n\nConfirm it only if these are your own words and wishes."
    )
    if (getattr(context, "protocol_version", None) or "") >= _BY_CALL:
        form = types.ElicitRequestFormParams(
            message=message, requested_schema=Confirmation.model_json_schema()
        )
        return types.InputRequiredResult(
            input_requests={_ASKED: types.ElicitRequest(params=form)},
            request_state=f"{card.id} {mark_of(card)}",
        )
    answer = await context.elicit(message, Confirmation)
    return answer.action == "accept" and answer.data.confirm


def mark_of(card: Card) -> str:
    """Give a mark of a rule's words: what the user confirms is what they saw."""
    return sha256(card.text.encode()).hexdigest()[:16]
