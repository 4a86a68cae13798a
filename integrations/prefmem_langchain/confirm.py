"""Asking the user whether a rule that waits for confirmation is to hold."""

from typing import TYPE_CHECKING, Annotated

from typing_extensions import TypedDict  # as MessagesState: two kinds do not mix

from prefmem import Card
from prefmem_langchain.asking import AskNode, Held, latest
from prefmem_langchain.border import Border, OnError
from prefmem_langchain.identity import OnMissing, UserId

if TYPE_CHECKING:
    from prefmem import PreferenceMemory

_OPTIONS = ("yes", "no", "later")
_LATER = 3  # of the user's messages, before what was put off comes again
_NEVER = -1


class ConfirmationState(TypedDict):
    """Part of a graph's state: `class State(MessagesState, ConfirmationState)`.

    Attributes:
        confirmations: Cards that were asked about and still wait, by id: from which of the user's
            messages on they may be asked about again, -1 for never in this thread.
    """

    confirmations: Annotated[dict[str, int], latest]


class ConfirmNode(AskNode):
    """Asks by `interrupt` whether a rule that waits for confirmation is to hold.

    A rule that claims authority is quarantined, and with `Config(on_conflict="ask")` one that takes
    another's place is a candidate; neither is injected before the user confirms it. Put the node
    after the chat node: then the user has an answer, whatever becomes of the question.

    The interrupt's value is a dict: `kind` ("rule_confirmation"), `card_id`, `rule`, `question` and
    `options`. Resume with one of these: "yes" makes the card active, "no" forgets it, "later" asks
    again after three more messages. Anything else changes nothing. Each card is asked about once in
    a thread, unless the user says "later". The interrupt, and with it the rule's text, lies in the
    thread's checkpoint.

    Args:
        memory: The memory; None for the one on the store of the run.
        user_id: The user, or what computes it from the runtime; see `resolve_user`.
        on_missing_user: `skip` asks nothing, with one warning; `raise` fails the run.
        on_error: `log` asks or changes nothing after a failure; `raise` fails the run.
    """

    def __init__(
        self,
        memory: "PreferenceMemory | None" = None,
        *,
        user_id: UserId | None = None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
    ) -> None:
        """Tie the node to a memory."""
        border = Border(
            "ConfirmNode", memory, user_id=user_id, on_missing_user=on_missing_user,
            on_error=on_error,
        )  # fmt: skip
        super().__init__([ConfirmAsker()], border)


class ConfirmAsker:
    """Asks about the cards that wait, the oldest first."""

    key = "confirmations"

    def question(self, held: Held, turn: int, memory: "PreferenceMemory", user: str) -> Held:
        """Give the first that may be asked about now; see `Asker`."""
        for card in memory.list(user_id=user):
            if not _waits(card):
                continue
            due = held.get(card.id, 0)
            if due == _NEVER or due - _LATER <= turn < due:  # a history that was cut counts anew
                continue
            return {
                "kind": "rule_confirmation",
                "card_id": card.id,
                "rule": card.text,
                "question": "Is this rule to hold from now on?",
                "options": list(_OPTIONS),
            }
        return {}

    def learn(
        self,
        held: Held,
        question: Held,
        reply: object,
        turn: int,
        memory: "PreferenceMemory",
        user: str,
    ) -> Held:
        """Do what the user says about a card, if it says what was shown; see `Asker`."""
        card_id, said = str(question["card_id"]), _read(reply)
        waiting = {card.id: card for card in memory.list(user_id=user) if _waits(card)}
        still = {name: due for name, due in held.items() if name in waiting}
        card = waiting.get(card_id)
        if card is None or card.text != question["rule"]:
            return still
        if said == "yes":
            memory.edit(card_id, user_id=user, status="active")
        elif said == "no":
            memory.forget(card_id, user_id=user)
        else:
            still[card_id] = turn + _LATER if said == "later" else _NEVER
        return still

    def asked(self, held: Held, question: Held) -> Held:
        """Ask no more about a card in this thread; see `Asker`."""
        return {**held, str(question["card_id"]): _NEVER}


def _waits(card: Card) -> bool:
    """Whether a card waits for the user: not for being said again, as other candidates do."""
    replaces = any(link.relation in ("supersede", "widen") for link in card.links)
    return card.status == "quarantined" or (card.status == "candidate" and replaces)


def _read(reply: object) -> str:
    """Give the option that a reply names; nothing that is not one of them does anything."""
    if isinstance(reply, bool):
        return "yes" if reply else "no"
    said = reply.strip().strip(".!").casefold() if isinstance(reply, str) else ""
    return said if said in _OPTIONS else ""
