"""Memory for the OpenAI Agents SDK: instructions that recall, and hooks of a run that learn."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from agents import Agent, AgentHookContext, RunContextWrapper, RunHooks

from prefmem_hosts import Companion, Dialogue, OnError, OnMissing, user_of

if TYPE_CHECKING:
    from prefmem import PreferenceMemory

Context: TypeAlias = RunContextWrapper[Any]
UserId: TypeAlias = str | Callable[[Context], str | None]
Instructions: TypeAlias = Callable[[Context, Agent[Any]], Awaitable[str]]
Turn: TypeAlias = tuple[Literal["user", "assistant"], str]

_TEXT = ("input_text", "output_text", "text")


class PreferenceHooks(RunHooks[Any]):
    """Gives agents instructions with the rules that apply, and learns when a run is done.

    The rules stand in the instructions of a request alone; no session and no result holds them.
    Learning is handed to the memory's worker. The SDK calls a run's hooks for that run and its
    handoffs, not for an agent that runs as a tool: the words there are not the user's.

    Args:
        memory: The memory.
        user_id: The user, or what finds it in the run's context; `context.user_id`, of an object or
            a mapping, unless given. Taken as authenticated.
        session_id: What names the conversation in the run's context; `context.session_id`, where
            there is one, unless given.
        learn: Whether to learn.
        limit: Conditional rules at most; the memory's config unless given.
        max_tokens: Size of the block; the memory's config unless given.
        on_missing_user: `skip` runs without memory, with one warning; `raise` fails the run.
        on_error: `log` lets the run go on after a failure of the memory; `raise` fails it.

    Raises:
        ConfigError: A setting is none of its values.
    """

    def __init__(
        self,
        memory: "PreferenceMemory",
        *,
        user_id: UserId | None = None,
        session_id: Callable[[Context], str] | None = None,
        learn: bool = True,
        limit: int | None = None,
        max_tokens: int | None = None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
    ) -> None:
        """Tie the hooks to a memory."""
        self._user_id, self._session_id = user_id, session_id
        self._companion = Companion(
            memory, "PreferenceHooks", learn=learn, limit=limit, max_tokens=max_tokens,
            on_missing_user=on_missing_user, on_error=on_error,
        )  # fmt: skip

    @property
    def failures(self) -> int:
        """Failures of the memory that runs survived."""
        return self._companion.failures

    def instructions(self, base: str | Instructions = "") -> Instructions:
        """Give what an agent takes for its `instructions`: your own, then the rules that apply.

        Args:
            base: Your instructions: a text, or an async function of context and agent.
        """

        async def written(context: Context, agent: Agent[Any]) -> str:
            own = base if isinstance(base, str) else await base(context, agent)
            block = await self._companion.arules(lambda: self._dialogue(context))
            return "\n\n".join(text for text in (own, block) if text)

        return written

    async def on_agent_end(
        self, context: AgentHookContext[Any], agent: Agent[Any], output: object
    ) -> None:
        """Hand over the dialogue, with what a session remembers of it."""
        del agent
        answer = output if isinstance(output, str) else ""
        await self._companion.alearn(lambda: self._dialogue(context, ("assistant", answer)))

    def _dialogue(self, context: Context, *answer: Turn) -> Dialogue:
        said = [*turns(context.turn_input), *answer]
        return Dialogue(self._who(context), said, self._session(context))

    def _who(self, context: Context) -> object:
        if self._user_id is None:
            return user_of(context.context)
        return self._user_id if isinstance(self._user_id, str) else self._user_id(context)

    def _session(self, context: Context) -> str:
        if self._session_id is not None:
            return self._session_id(context)
        held: object = context.context
        named = (
            cast(Mapping[str, object], held).get("session_id")
            if isinstance(held, Mapping)
            else getattr(held, "session_id", None)
        )
        return named if isinstance(named, str) else ""


def turns(items: Sequence[object]) -> list[Turn]:
    """Read what the user and the assistant said from the items of a run's input."""
    found: list[Turn] = []
    for item in items:
        if isinstance(item, Mapping):
            message = cast(Mapping[str, object], item)
            role, text = message.get("role"), _text(message.get("content", ""))
            if role == "user":
                found.append(("user", text))
            elif role == "assistant":
                found.append(("assistant", text))
    return found


def _text(content: object) -> str:
    """Give the words of a message; files and images are not what the user says."""
    if isinstance(content, str):
        return content
    parts = cast(Sequence[Mapping[str, object]], content)
    return "\n".join(str(part.get("text") or "") for part in parts if part.get("type") in _TEXT)
