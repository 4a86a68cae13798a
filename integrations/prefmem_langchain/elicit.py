"""Asking a new user how they like answers."""

from typing import TYPE_CHECKING, Annotated, Any

from typing_extensions import TypedDict  # as MessagesState: two kinds do not mix

from prefmem import Elicitation
from prefmem_langchain.asking import AskNode, Held, latest
from prefmem_langchain.border import Border, OnError
from prefmem_langchain.identity import OnMissing, UserId

if TYPE_CHECKING:
    from prefmem import PreferenceMemory


class ElicitationState(TypedDict):
    """Part of a graph's state: `class State(MessagesState, ElicitationState)`.

    Attributes:
        elicitation: Names of what was asked, and whether the user declined; no word of the user,
            and no answer. A host may keep it elsewhere and pass it in with the messages of another
            thread.
    """

    elicitation: Annotated[dict[str, Any], latest]


class ElicitNode(AskNode):
    """Asks one question by `interrupt` where it is worth it, and learns the answer as a card.

    Put it before the chat node. The interrupt's value is a dict: `kind` ("preference_question"),
    `dimension`, `question` and `options`, of which the last one declines; resume with the user's
    reply as text. The graph needs a checkpointer; without a thread id, and inside a tool call,
    nothing is asked. What the user's cards tell already is not asked. A user who declines is not
    asked again, in no thread: a card says so, and forgetting that card lets questions come again.

    Args:
        memory: The memory; None for the one on the store of the run.
        elicitation: What may be asked, what people are like, and what an interruption costs.
        user_id: The user, or what computes it from the runtime; see `resolve_user`.
        on_missing_user: `skip` asks nothing, with one warning; `raise` fails the run.
        on_error: `log` asks or learns nothing after a failure; `raise` fails the run.
    """

    def __init__(
        self,
        memory: "PreferenceMemory | None" = None,
        *,
        elicitation: Elicitation | None = None,
        user_id: UserId | None = None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
    ) -> None:
        """Tie the node to a memory."""
        border = Border(
            "ElicitNode", memory, user_id=user_id, on_missing_user=on_missing_user,
            on_error=on_error,
        )  # fmt: skip
        super().__init__([ElicitAsker(elicitation or Elicitation())], border)


class ElicitAsker:
    """Asks what the answer to tells most.

    Args:
        elicitation: What may be asked, and what an interruption costs.
    """

    key = "elicitation"

    def __init__(self, elicitation: Elicitation) -> None:
        """Keep the settings."""
        self._elicitation = elicitation

    def question(self, held: Held, turn: int, memory: "PreferenceMemory", user: str) -> Held:
        """Give the question that is worth most, if one is worth it; see `Asker`."""
        del turn
        elicitation = self._elicitation
        before = elicitation.resume(held)
        if before.refused or before.count >= elicitation.limit:
            return {}
        cards = memory.list(user_id=user, status="active")
        question = elicitation.next_question(elicitation.resume(held, cards))
        if question is None:
            return {}
        return {
            "kind": "preference_question",
            "dimension": question.dimension,
            "question": question.text,
            "options": list(question.options),
        }

    def learn(
        self,
        held: Held,
        question: Held,
        reply: object,
        turn: int,
        memory: "PreferenceMemory",
        user: str,
    ) -> Held:
        """Store what the reply says, if it is clear; see `Asker`."""
        del turn
        said, name = reply if isinstance(reply, str) else "", str(question["dimension"])
        asked, rule = self._elicitation.answered(self._elicitation.resume(held), name, said)
        if rule is not None:
            memory.add(
                rule.condition,
                rule.action,
                user_id=user,
                polarity=rule.polarity,
                scope=rule.scope.kind,
            )
        return asked.state()

    def asked(self, held: Held, question: Held) -> Held:
        """Ask that no more in this thread; see `Asker`."""
        return {**held, "asked": [*held.get("asked", []), str(question["dimension"])]}
