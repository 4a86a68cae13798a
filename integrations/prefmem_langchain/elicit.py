"""Asking a new user how they like answers, as a LangGraph node."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END, START, StateGraph  # pyright: ignore[reportMissingTypeStubs]
from langgraph.runtime import get_runtime
from langgraph.types import interrupt
from typing_extensions import TypedDict  # as MessagesState: two kinds do not mix

from prefmem import Elicitation
from prefmem_langchain.border import Border, OnError
from prefmem_langchain.identity import OnMissing, UserId, inside_tool, session

if TYPE_CHECKING:
    from prefmem import PreferenceMemory


def latest(old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any]:
    """Keep the newest write, so that parallel branches may all write."""
    return new or old or {}


class ElicitationState(TypedDict):
    """Part of a graph's state: `class State(MessagesState, ElicitationState)`.

    Attributes:
        elicitation: Names of what was asked, and whether the user declined; no word of the user,
            and no answer. A host may keep it elsewhere and pass it in with the messages of another
            thread.
    """

    elicitation: Annotated[dict[str, Any], latest]


class _Step(TypedDict, total=False):
    """What passes between choosing a question and asking it."""

    elicitation: dict[str, Any]
    pending: dict[str, Any]


class ElicitNode(Runnable[Any, dict[str, Any]]):
    """Asks one question by `interrupt` where it is worth it, and learns the answer as a card.

    Put it before the chat node. The interrupt's value is a dict: `kind` ("preference_question"),
    `dimension`, `question` and `options`, of which the last one declines; resume with the user's
    reply as text. The graph needs a checkpointer; without a thread id, and inside a tool call,
    nothing is asked. What the user's cards tell already is not asked. A user who declines is not
    asked again, in no thread: a card says so, and forgetting that card lets questions come again.

    Args:
        memory: The memory.
        elicitation: What may be asked, what people are like, and what an interruption costs.
        user_id: The user, or what computes it from the runtime; see `resolve_user`.
        on_missing_user: `skip` asks nothing, with one warning; `raise` fails the run.
        on_error: `log` asks or learns nothing after a failure; `raise` fails the run.
    """

    def __init__(
        self,
        memory: "PreferenceMemory",
        *,
        elicitation: Elicitation | None = None,
        user_id: UserId | None = None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
    ) -> None:
        """Tie the node to a memory."""
        self._memory = memory
        self._elicitation = elicitation or Elicitation()
        self._border = Border(
            "ElicitNode", user_id=user_id, on_missing_user=on_missing_user, on_error=on_error
        )
        # A node that resumes begins anew. Two steps keep the question that was asked, whatever the
        # memory has learned meanwhile.
        steps: Any = StateGraph(_Step)
        steps.add_node("choose", self._choose)
        steps.add_node("ask", self._ask)
        steps.add_edge(START, "choose")
        steps.add_conditional_edges("choose", _next, ["ask", END])
        self._steps = steps.compile()

    def invoke(
        self,
        input: Any,  # noqa: ANN401  # a graph's state has any shape
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in Runnable
    ) -> dict[str, Any]:
        """Ask if it is worth it; writes to the state only after a reply."""
        del kwargs
        if not _askable():
            return {}
        return _written(self._steps.invoke({"elicitation": _saved(input)}, config))

    async def ainvoke(
        self,
        input: Any,  # noqa: ANN401  # a graph's state has any shape
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in Runnable
    ) -> dict[str, Any]:
        """Do the same on worker threads."""
        del kwargs
        if not _askable():
            return {}
        return _written(await self._steps.ainvoke({"elicitation": _saved(input)}, config))

    def _choose(self, state: _Step) -> _Step:
        saved = state.get("elicitation")
        chosen = self._border.cross(
            "choosing a question", get_runtime(), lambda user: self._question(saved, user),
            otherwise=dict[str, Any](),
        )  # fmt: skip
        return {"pending": chosen}

    def _ask(self, state: _Step) -> _Step:
        saved, pending = state.get("elicitation") or {}, state.get("pending") or {}
        name = str(pending["dimension"])
        reply = interrupt(pending)  # outside the border, which would take it for a failure
        text = reply if isinstance(reply, str) else ""
        asked = self._border.cross(
            "learning an answer", get_runtime(), lambda user: self._learn(saved, name, text, user),
            otherwise={**saved, "asked": [*saved.get("asked", []), name]},
        )  # fmt: skip
        return {"elicitation": asked}

    def _question(self, saved: dict[str, Any] | None, user: str) -> dict[str, Any]:
        elicitation = self._elicitation
        before = elicitation.resume(saved)
        if before.refused or before.count >= elicitation.limit:
            return {}
        cards = self._memory.list(user_id=user, status="active")
        question = elicitation.next_question(elicitation.resume(saved, cards))
        if question is None:
            return {}
        return {
            "kind": "preference_question",
            "dimension": question.dimension,
            "question": question.text,
            "options": list(question.options),
        }

    def _learn(self, saved: dict[str, Any], name: str, reply: str, user: str) -> dict[str, Any]:
        asked, rule = self._elicitation.answered(self._elicitation.resume(saved), name, reply)
        if rule is not None:
            self._memory.add(
                rule.condition,
                rule.action,
                user_id=user,
                polarity=rule.polarity,
                scope=rule.scope.kind,
            )
        return asked.state()


def _askable() -> bool:
    """Whether the user is there to be asked, and a reply can come back."""
    return bool(session()) and not inside_tool()


def _saved(state: object) -> dict[str, Any]:
    """Read the key of a state: a mapping, or an object with the attribute."""
    if isinstance(state, Mapping):
        held = cast(Mapping[str, Any], state).get("elicitation")
    else:
        held = getattr(state, "elicitation", None)
    return held or {}


def _next(state: _Step) -> str:
    return "ask" if state.get("pending") else END


def _written(state: dict[str, Any]) -> dict[str, Any]:
    """Give the host's part of the state, if a question was asked."""
    return {"elicitation": state["elicitation"]} if state.get("pending") else {}
