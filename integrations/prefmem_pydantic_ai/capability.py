"""Memory as a capability of a pydantic-ai agent: rules go into requests, never into a history."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import (
    InstructionPart,
    ModelMessage,
    ModelRequest,
    TextContent,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.run import AgentRunResult

from prefmem import MissingExtraError
from prefmem_hosts import Companion, Dialogue, OnError, OnMissing, user_of

if TYPE_CHECKING:
    from prefmem import PreferenceMemory

UserId: TypeAlias = str | Callable[[RunContext[Any]], str | None]
Turn: TypeAlias = tuple[Literal["user", "assistant"], str]


class PreferenceCapability(AbstractCapability[Any]):
    """Gives the model the rules that apply, and learns from the run when it is done.

    The rules are a dynamic instruction of the request alone: no message, and no history that you
    keep, holds them. Learning is handed to the memory's worker. Give the capability to the agent
    that talks with the user; to one that another agent calls, with `learn=False`: the words there
    are not the user's.

    Args:
        memory: The memory.
        user_id: The user, or what finds it in the run's context; `deps.user_id`, of an object or a
            mapping, unless given. Taken as authenticated.
        learn: Whether to learn.
        limit: Conditional rules at most; the memory's config unless given.
        max_tokens: Size of the block; the memory's config unless given.
        on_missing_user: `skip` runs without memory, with one warning; `raise` fails the run.
        on_error: `log` lets the run go on after a failure of the memory; `raise` fails it.

    Raises:
        ConfigError: A setting is none of its values.
        MissingExtraError: pydantic-ai is too old to keep rules out of histories.
    """

    def __init__(
        self,
        memory: "PreferenceMemory",
        *,
        user_id: UserId | None = None,
        learn: bool = True,
        limit: int | None = None,
        max_tokens: int | None = None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
    ) -> None:
        """Tie the capability to a memory."""
        if not hasattr(AbstractCapability, "prepare_model_request"):  # it would never recall
            raise MissingExtraError(
                "PreferenceCapability needs pydantic-ai-slim>=2.64: pip install -U "
                '"prefmem[pydantic-ai]"'
            )
        self._user_id = user_id
        self._companion = Companion(
            memory, "PreferenceCapability", learn=learn, limit=limit, max_tokens=max_tokens,
            on_missing_user=on_missing_user, on_error=on_error,
        )  # fmt: skip

    @property
    def failures(self) -> int:
        """Failures of the memory that runs survived."""
        return self._companion.failures

    @classmethod
    def get_serialization_name(cls) -> str | None:
        """Stay out of agents that are described in files: a memory cannot be."""
        return None

    async def prepare_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Add the rules for the user's last prompt to the instructions of this request."""
        block = await self._companion.arules(
            lambda: Dialogue(self._who(ctx), turns(ctx.messages), ctx.conversation_id or "")
        )
        if not block:
            return request_context
        asked = request_context.model_request_parameters
        parts = [*(asked.instruction_parts or ()), InstructionPart(block, dynamic=True)]
        return replace(
            request_context, model_request_parameters=replace(asked, instruction_parts=parts)
        )

    async def after_run(
        self, ctx: RunContext[Any], *, result: AgentRunResult[Any]
    ) -> AgentRunResult[Any]:
        """Hand over what was said in this conversation; the result stays as it is."""
        conversation = ctx.conversation_id or ""
        await self._companion.alearn(
            lambda: Dialogue(
                self._who(ctx),
                turns(result.all_messages(), conversation=conversation),
                conversation,
            )
        )
        return result

    def _who(self, ctx: RunContext[Any]) -> object:
        if self._user_id is None:
            return user_of(ctx.deps)
        return self._user_id if isinstance(self._user_id, str) else self._user_id(ctx)


def turns(messages: Sequence[ModelMessage], *, conversation: str | None = None) -> list[Turn]:
    """Read what the user and the model said.

    Args:
        messages: A history.
        conversation: Where given, a prompt of another conversation is left out: a history that was
            saved without its ids would be learned again with every run.
    """
    found: list[Turn] = []
    for message in messages:
        if not isinstance(message, ModelRequest):
            found.append(("assistant", message.text or ""))
        elif conversation is None or message.conversation_id == conversation:
            prompts = (p for p in message.parts if isinstance(p, UserPromptPart))
            found.extend(("user", _text(prompt)) for prompt in prompts)
    return found


def _text(prompt: UserPromptPart) -> str:
    """Give the words of a prompt; files and images are not what the user says."""
    if isinstance(prompt.content, str):
        return prompt.content
    texts = (part.content if isinstance(part, TextContent) else part for part in prompt.content)
    return "\n".join(text for text in texts if isinstance(text, str))
