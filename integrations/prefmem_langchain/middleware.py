"""Memory as a middleware of `create_agent`: rules go into the request, never into the state."""

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain.agents.middleware.types import (
    AgentMiddleware,
    AgentState,
    ModelRequest,
    ModelResponse,
    ResponseT,
    hook_config,
)
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph import types
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime
from langgraph.typing import ContextT

from prefmem import NotFoundError, broken_rules
from prefmem_langchain.border import Border, OnError, refuse
from prefmem_langchain.convert import dialogue, earlier, is_human, last_human, messages_of
from prefmem_langchain.identity import OnMissing, UserId, inside_tool, session
from prefmem_langchain.placing import PLACEMENTS, Placement, appended
from prefmem_langchain.recheck import asked_again, final_text, streamed

if TYPE_CHECKING:
    from prefmem import PreferenceMemory

Commands: TypeAlias = Literal["apply", "answer", "off"]
Question: TypeAlias = tuple[str, str, int, str]  # user, thread, its number, hash of its text
_QUESTIONS_HELD = 512
_NOTE = """<memory-note>
The user spoke to their memory, and it has done what they asked. It says: {reply}
Tell the user so in your own words, and answer what else they ask.
</memory-note>"""


class PreferenceMiddleware(AgentMiddleware[AgentState[ResponseT], ContextT, ResponseT]):
    """Gives the model the rules that apply, and learns from the turn when the agent is done.

    Put it last in the list of middleware: then its block stands last in the system prompt, and the
    cache mark of another middleware covers only what does not change.

    Args:
        memory: The memory.
        limit: Conditional rules at most; the memory's config unless given.
        max_tokens: Size of the injected block; the memory's config unless given.
        learn: Whether to learn from the conversation. Inside a tool call nothing is learned, since
            the words there are not the user's.
        placement: `system` appends the block to the system message; `user` puts it before the
            user's last message.
        commands: What happens when the user tells the memory something ("forget that", "why did you
            do that?"). `apply` does it at once and lets the model say so; `answer` also answers in
            the model's place where the turn asks for nothing else; `off` leaves it to `learn`.
        check: Whether an answer that breaks a rule which code can check (its length, bullets,
            language, emojis and the like) is asked for once more; of the two, the one that breaks
            fewer is kept. Costs a second call of the model where that happens. Where the tokens of
            a run are streamed nothing is checked, as what was shown cannot be taken back.
        user_id: The user, or what computes it from the runtime; see `resolve_user`.
        on_missing_user: `skip` runs without memory, with one warning; `raise` fails the run.
        on_error: `log` lets the chat go on after a failure of the memory; `raise` fails the run.
        name: Name in the graph; two instances in one agent need two names.

    Raises:
        ConfigError: A setting is none of its values.
    """

    if hasattr(types, "TracePolicy"):  # not in the oldest langgraph that is allowed
        trace_policy = types.TracePolicy(process_inputs=types.omit_payload)

    def __init__(
        self,
        memory: "PreferenceMemory",
        *,
        limit: int | None = None,
        max_tokens: int | None = None,
        learn: bool = True,
        placement: Placement = "system",
        commands: Commands = "apply",
        check: bool = False,
        user_id: UserId | None = None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
        name: str = "prefmem",
    ) -> None:
        """Tie the middleware to a memory."""
        super().__init__()
        refuse("placement", placement, PLACEMENTS)
        refuse("commands", commands, ("apply", "answer", "off"))
        self._border = Border(
            name, user_id=user_id, on_missing_user=on_missing_user, on_error=on_error
        )
        self._memory, self._limit, self._max_tokens = memory, limit, max_tokens
        self._learns, self._placement, self._checks = learn, placement, check
        self._commands: Commands = commands
        self._name = name
        self._recalled, self._replies = _Recalled(), _Recalled()

    @property
    def name(self) -> str:
        """Name in the graph."""
        return self._name

    @property
    def failures(self) -> int:
        """Failures of the memory that the chat survived."""
        return self._border.failures

    @hook_config(can_jump_to=["end"])
    def before_agent(
        self, state: AgentState[ResponseT], runtime: Runtime[ContextT]
    ) -> dict[str, Any] | None:
        """Carry out what the user tells the memory; with `answer`, answer it."""
        if self._commands == "off":
            return None
        messages = messages_of(state)
        position = last_human(messages)
        if position is None or inside_tool():
            return None
        reply, rest = self._border.cross(
            "command",
            runtime,
            lambda user: self._told(messages, position, user),
            otherwise=("", ""),
        )
        if not reply or rest or self._commands != "answer":
            return None
        return {"messages": [AIMessage(reply)], "jump_to": "end"}

    @hook_config(can_jump_to=["end"])
    async def abefore_agent(
        self, state: AgentState[ResponseT], runtime: Runtime[ContextT]
    ) -> dict[str, Any] | None:
        """Do the same on a worker thread."""
        return await asyncio.to_thread(self.before_agent, state, runtime)

    def wrap_model_call(
        self,
        request: ModelRequest[ContextT],
        handler: Callable[[ModelRequest[ContextT]], ModelResponse[ResponseT]],
    ) -> ModelResponse[ResponseT]:
        """Call the model with the rules that apply."""
        asked = self._with_rules(request)
        first = handler(asked)
        broken = self._broken(request, first) if self._checks else ()
        if not broken:
            return first
        try:
            second = handler(asked_again(asked, first, broken))
        except GraphBubbleUp:
            raise
        except Exception as error:  # noqa: BLE001  # there is an answer already
            self._border.survive("check", error)
            return first
        return self._better(request, first, second, len(broken))

    async def awrap_model_call(
        self,
        request: ModelRequest[ContextT],
        handler: Callable[[ModelRequest[ContextT]], Awaitable[ModelResponse[ResponseT]]],
    ) -> ModelResponse[ResponseT]:
        """Call the model with the rules that apply; the memory runs on a worker thread."""
        asked = await asyncio.to_thread(self._with_rules, request)
        first = await handler(asked)
        broken = await asyncio.to_thread(self._broken, request, first) if self._checks else ()
        if not broken:
            return first
        try:
            second = await handler(asked_again(asked, first, broken))
        except GraphBubbleUp:
            raise
        except Exception as error:  # noqa: BLE001  # there is an answer already
            self._border.survive("check", error)
            return first
        return await asyncio.to_thread(self._better, request, first, second, len(broken))

    def after_agent(self, state: AgentState[ResponseT], runtime: Runtime[ContextT]) -> None:
        """Learn from the conversation; the state stays as it is."""
        self._border.cross("learn", runtime, lambda user: self._finish(state, user), otherwise=None)

    async def aafter_agent(self, state: AgentState[ResponseT], runtime: Runtime[ContextT]) -> None:
        """Do the same on a worker thread."""
        await asyncio.to_thread(self.after_agent, state, runtime)

    def _with_rules(self, request: ModelRequest[ContextT]) -> ModelRequest[ContextT]:
        position = last_human(request.messages)
        if position is None:
            return request
        block = self._border.cross(
            "recall",
            request.runtime,
            lambda user: self._block(request.messages, position, user),
            otherwise="",
        )
        if not block:
            return request
        if self._placement == "user":
            messages = list(request.messages)
            messages.insert(position, HumanMessage(content=block))
            return request.override(messages=messages)
        return request.override(system_message=appended(request.system_message, block))

    def _told(self, messages: Sequence[BaseMessage], position: int, user: str) -> tuple[str, str]:
        """Carry out commands once, and keep what the memory says of them for the model.

        Gives that, and what else the turn asks for.
        """
        longest = self._memory.config.max_turn_chars
        spoken = dialogue(messages[: position + 1], max_chars=longest)
        found = self._memory.command(spoken, user_id=user, session_id=session())
        if found.reply:
            self._replies.put(_question(messages, position, user), (found.reply,))
        return found.reply, found.rest

    def _block(self, messages: Sequence[BaseMessage], position: int, user: str) -> str:
        """Render the rules for a question; recalled once, rendered from what is in force now."""
        ids = self._applying(messages, position, user)
        block = self._memory.render(ids, user_id=user, max_tokens=self._max_tokens)
        said = self._replies.get(_question(messages, position, user))
        notes = [_NOTE.format(reply=said[0])] if said else []
        return "\n".join([*([block] if block else []), *notes])

    def _applying(
        self, messages: Sequence[BaseMessage], position: int, user: str
    ) -> tuple[str, ...]:
        text = str(messages[position].text)
        question = _question(messages, position, user)
        ids = self._recalled.get(question)
        if ids is None:
            recall = self._memory.recall(
                text, user_id=user, session_id=session(), context=earlier(messages, position),
                limit=self._limit, max_tokens=self._max_tokens,
            )  # fmt: skip
            ids = tuple(card_id for rule in recall.rules for card_id in rule.card_ids)
            self._recalled.put(question, ids)
        return ids

    def _broken(
        self, request: ModelRequest[ContextT], response: ModelResponse[ResponseT]
    ) -> tuple[str, ...]:
        """Say what an answer breaks; nothing where that cannot be mended."""
        text, position = final_text(response), last_human(request.messages)
        if text is None or position is None or streamed():
            return ()

        def check(user: str) -> tuple[str, ...]:
            ids = self._applying(request.messages, position, user)
            asked = str(request.messages[position].text)
            return broken_rules(self._rules(ids, user), text, request=asked)

        return self._border.cross("check", request.runtime, check, otherwise=())

    def _better(
        self,
        request: ModelRequest[ContextT],
        first: ModelResponse[ResponseT],
        second: ModelResponse[ResponseT],
        broken: int,
    ) -> ModelResponse[ResponseT]:
        """Choose the second answer if it is one, and breaks fewer rules than the first."""
        if final_text(second) is None or len(self._broken(request, second)) >= broken:
            return first
        return second

    def _rules(self, ids: Sequence[str], user: str) -> Iterator[str]:
        """Give the texts of the cards that are still in force."""
        for card_id in ids:
            with suppress(NotFoundError):
                card = self._memory.get(card_id, user_id=user)
                if card.status == "active":
                    yield card.text

    def _finish(self, state: AgentState[ResponseT], user: str) -> None:
        """Learn, and forget what was recalled: the next turn may have other rules."""
        try:
            if self._learns and not inside_tool():
                longest = self._memory.config.max_turn_chars
                spoken = dialogue(messages_of(state), max_chars=longest)
                self._memory.learn(spoken, user_id=user, session_id=session())
        finally:
            self._recalled.drop(user)
            self._replies.drop(user)


def _question(messages: Sequence[BaseMessage], position: int, user: str) -> Question:
    """Name a question of a thread by its number and its words."""
    number = sum(is_human(m) for m in messages[: position + 1])
    said = str(messages[position].text).encode(errors="replace")
    return user, session(), number, hashlib.sha256(said).hexdigest()


class _Recalled:
    """What was found for questions under way, as texts; the oldest leave first."""

    def __init__(self) -> None:
        self._ids: OrderedDict[Question, tuple[str, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, question: Question) -> tuple[str, ...] | None:
        with self._lock:
            if question in self._ids:
                self._ids.move_to_end(question)
            return self._ids.get(question)

    def put(self, question: Question, ids: tuple[str, ...]) -> None:
        with self._lock:
            self._ids[question] = ids
            while len(self._ids) > _QUESTIONS_HELD:
                self._ids.popitem(last=False)

    def drop(self, user: str) -> None:
        with self._lock:
            for question in [q for q in self._ids if q[0] == user]:
                del self._ids[question]
