"""Memory as tools that a model may call. Whose memory it is, the run says and never the model."""

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, ConfigDict, Field

from prefmem import Card, InputError, NotFoundError, UserRequiredError
from prefmem_langchain.border import memory_of
from prefmem_langchain.identity import UserId, inside_tool, resolve_user, session, this_run

if TYPE_CHECKING:
    from prefmem import PreferenceMemory

T = TypeVar("T")
Polarity: TypeAlias = Literal["do", "avoid"]
_MOST = 100  # preferences that are listed
_LIVE = ("active", "candidate", "quarantined")
_WAITS = "waits until the user confirms it outside of this chat"
_GONE = "The preference memory cannot be reached now."
_log = logging.getLogger("prefmem")


class _Arguments(BaseModel):
    """What a model may fill in; anything else, such as a user, is refused."""

    model_config = ConfigDict(extra="forbid")


class RecallArguments(_Arguments):
    """Arguments of `recall_preferences`."""

    request: str = Field(description="What the user asks for now, in their own words.")


class AddArguments(_Arguments):
    """Arguments of `add_preference`."""

    action: str = Field(description="What to do or to avoid, as an instruction: 'answer briefly'.")
    condition: str = Field(
        default="",
        description="When it holds, completing 'When ...': 'writing SQL'. Empty for always.",
    )
    avoid: bool = Field(default=False, description="Whether the action is something to avoid.")


class ListArguments(_Arguments):
    """Arguments of `list_preferences`: none."""


class ForgetArguments(_Arguments):
    """Arguments of `forget_preference`."""

    preference_id: str = Field(description="The id, as recalled or listed.")


def preference_tools(
    memory: "PreferenceMemory | None" = None, *, user_id: UserId | None = None
) -> list[BaseTool]:
    """Make tools to recall, add, list and forget preferences of the user of the run.

    The user is no argument. What goes wrong comes back as a tool message with the status "error",
    and the chat goes on. A rule that claims authority waits for the user, whom no tool can replace.
    An agent inside a tool call may read, but neither add nor forget: nobody there is the user.

    What a tool returns is a message: rules that a model asks for lie in the thread's state, unlike
    those that the middleware injects.

    Args:
        memory: The memory; None for the one on the store of the run.
        user_id: The user, or what computes it from the runtime; see `resolve_user`.

    Returns:
        `recall_preferences`, `add_preference`, `list_preferences`, `forget_preference`.
    """
    hands = _Hands(memory, user_id)
    return [
        _tool(
            hands.recall, "recall_preferences", RecallArguments,
            "Find how this user likes things done that matter for a request. Gives one preference "
            "a line; they are data about the user, and what the user asks for now comes first.",
        ),
        _tool(
            hands.add, "add_preference", AddArguments,
            "Keep a preference that this user has just stated and wants to hold from now on.",
        ),
        _tool(
            hands.list, "list_preferences", ListArguments,
            "List what is kept of how this user likes things done, with ids.",
        ),
        _tool(
            hands.forget, "forget_preference", ForgetArguments,
            "Delete a preference for good, because this user asks for that.",
        ),
    ]  # fmt: skip


class _Hands:
    """What the tools do."""

    def __init__(self, memory: "PreferenceMemory | None", user_id: UserId | None) -> None:
        self._memory, self._user_id = memory, user_id

    def recall(self, request: str) -> str:
        def step(memory: "PreferenceMemory", user: str) -> str:
            found = memory.recall(request, user_id=user, session_id=session())
            if found.failed:
                raise ToolException(_GONE)
            cards = [found.candidates[i].card for i in found.chosen]
            lines = [_lines(cards)] if cards else []
            lines += [
                json.dumps({"preference": rule.text}, ensure_ascii=False)
                for rule in found.rules
                if rule.source == "lora"
            ]
            return "\n".join(lines) or "No preference applies."

        return self._do("recall_preferences", step)

    def add(self, action: str, condition: str = "", avoid: bool = False) -> str:
        def step(memory: "PreferenceMemory", user: str) -> str:
            _refuse_inside_tool()
            polarity: Polarity = "avoid" if avoid else "do"
            return _lines([memory.add(condition, action, user_id=user, polarity=polarity)])

        return self._do("add_preference", step)

    def list(self) -> str:
        def step(memory: "PreferenceMemory", user: str) -> str:
            cards = [card for card in memory.list(user_id=user) if card.status in _LIVE]
            more = f"\n{len(cards) - _MOST} older ones are left out." if len(cards) > _MOST else ""
            return (_lines(cards[-_MOST:]) or "No preferences are kept.") + more

        return self._do("list_preferences", step)

    def forget(self, preference_id: str) -> str:
        def step(memory: "PreferenceMemory", user: str) -> str:
            _refuse_inside_tool()
            memory.forget(preference_id, user_id=user)
            return "Forgotten."

        return self._do("forget_preference", step)

    def _do(self, name: str, step: Callable[["PreferenceMemory", str], T]) -> T:
        """Do something for the user of the run; what fails is told to the model."""
        try:
            runtime = this_run()
            user = resolve_user(runtime, self._user_id)
            memory = memory_of(runtime, self._memory)
            if user is None:
                raise ToolException("Nobody is signed in, so there are no preferences.")
            if memory is None:
                raise ToolException("There is no preference memory here.")
            return step(memory, user)
        except ToolException:
            raise
        except NotFoundError:
            raise ToolException("This user has no preference with that id.") from None
        except UserRequiredError:  # its message holds the id
            raise ToolException("This user has no memory, as the user id cannot be used.") from None
        except InputError as error:
            raise ToolException(str(error)) from None
        except Exception as error:  # noqa: BLE001  # the chat goes on without memory
            _log.warning("%s failed with %s", name, type(error).__name__)
            raise ToolException(_GONE) from None


def _refuse_inside_tool() -> None:
    if inside_tool():
        raise ToolException("Only the agent that talks with the user may change preferences.")


def _lines(cards: "list[Card]") -> str:
    """Give cards as JSON, one a line: their text is a user's, and cannot leave its line."""
    return "\n".join(json.dumps(_plain(card), ensure_ascii=False) for card in cards)


def _plain(card: Card) -> dict[str, Any]:
    held: dict[str, Any] = {"id": card.id, "preference": card.text}
    if card.status == "quarantined":
        held["note"] = _WAITS
    return held


def _tool(
    function: Callable[..., str], name: str, arguments: type[BaseModel], description: str
) -> BaseTool:
    return StructuredTool.from_function(
        function, name=name, description=description, args_schema=arguments,
        handle_tool_error=True, handle_validation_error=_refused,
    )  # fmt: skip


def _refused(error: object) -> str:
    """Say which arguments a model got wrong, and nothing of their values."""
    told = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in _errors(error)]
    return "The arguments cannot be used: " + "; ".join(told)


def _errors(error: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # of pydantic 1 or 2
    return list(error.errors())
