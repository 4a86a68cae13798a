"""Memory as a middleware of `create_agent`: rules go into the request, never into the state."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeAlias

from langchain.agents.middleware.types import (
    AgentMiddleware,
    AgentState,
    ModelRequest,
    ModelResponse,
    PrivateStateAttr,
    ResponseT,
    hook_config,
)
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph import types
from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime
from langgraph.typing import ContextT

from prefmem import Elicitation, NotFoundError, broken_rules
from prefmem_langchain.asking import Asker, AskNode
from prefmem_langchain.border import Border, OnError, refuse
from prefmem_langchain.confirm import ConfirmAsker
from prefmem_langchain.convert import dialogue, last_human, messages_of, requests
from prefmem_langchain.elicit import ElicitAsker
from prefmem_langchain.identity import OnMissing, UserId, inside_tool, session
from prefmem_langchain.learning import CONTEXT, LEARN, Learn, apart, learn_from
from prefmem_langchain.placing import PLACEMENTS, Placement, appended
from prefmem_langchain.recalled import Recalled, question_of
from prefmem_langchain.recheck import asked_again, final_text, streamed
from prefmem_langchain.tools import preference_tools
from prefmem_langchain.tracing import Run, Trace

if TYPE_CHECKING:
    from prefmem import PreferenceMemory, Recall
    from prefmem.orders import Obeyed

Commands: TypeAlias = Literal["apply", "answer", "off"]


class MemoryState(AgentState[ResponseT]):
    """What the middleware keeps of a thread: no rule, and no word of the user.

    Attributes:
        prefmem_learned: Mark of the user's last message that was handed over to be learned.
        prefmem_asked: What the user was asked: names of questions, ids of cards.
    """

    prefmem_learned: NotRequired[Annotated[str, PrivateStateAttr]]
    prefmem_asked: NotRequired[Annotated[dict[str, Any], PrivateStateAttr]]


class PreferenceMiddleware(AgentMiddleware[MemoryState[ResponseT], ContextT, ResponseT]):
    """Gives the model the rules that apply, and learns from the turn when the agent is done.

    Put it last in the list of middleware: then its block stands last in the system prompt, and the
    cache mark of another middleware covers only what does not change.

    Args:
        memory: The memory; None for the one on the store that the graph was compiled with, so that
            LangGraph Server's own store serves.
        limit: Conditional rules at most; the memory's config unless given.
        max_tokens: Size of the injected block; the memory's config unless given.
        learn: `background` puts what is new in the memory's outbox, a durable one, and a worker
            learns it; `inline` learns it before the run ends; False learns nothing. Inside a tool
            call nothing is learned, since the words there are not the user's.
        placement: `system` appends the block to the system message; `user` puts it before the
            user's last message.
        commands: What happens when the user tells the memory something ("forget that", "why did you
            do that?"). `apply` does it at once and lets the model say so; `answer` also answers in
            the model's place where the turn asks for nothing else; `off` leaves it to `learn`.
        check: Whether an answer that breaks a rule which code can check (its length, bullets,
            language, emojis and the like) is asked for once more; of the two, the one that breaks
            fewer is kept. Costs a second call of the model where that happens. Where the tokens of
            a run are streamed nothing is checked, as what was shown cannot be taken back.
        tools: Whether the model gets `preference_tools`.
        elicit: Whether a new user is asked how they like answers, by an interrupt after the answer;
            with an `Elicitation`, what and how often. See `ElicitNode`.
        confirm: Whether the user is asked about rules that wait for confirmation, by an interrupt
            after the answer. See `ConfirmNode`.
        user_id: The user, or what computes it from the runtime; see `resolve_user`.
        on_missing_user: `skip` runs without memory, with one warning; `raise` fails the run.
        on_error: `log` lets the chat go on after a failure of the memory; `raise` fails the run.
        trace: What its runs hold in a tracer such as LangSmith: `ids` and counts, or `content`,
            the query and the rules, too. They are named `prefmem.recall`, `prefmem.command` and
            `prefmem.learn`, after `name`.
        name: Name in the graph; two instances in one agent need two names.

    Raises:
        ConfigError: A setting is none of its values.
    """

    state_schema = MemoryState  # type: ignore[assignment]  # generic over the response, as in langchain
    if hasattr(types, "TracePolicy"):  # not in the oldest langgraph that is allowed
        trace_policy = types.TracePolicy(process_inputs=types.omit_payload)

    def __init__(
        self,
        memory: "PreferenceMemory | None" = None,
        *,
        limit: int | None = None,
        max_tokens: int | None = None,
        learn: Learn | Literal[False] = "background",
        placement: Placement = "system",
        commands: Commands = "apply",
        check: bool = False,
        tools: bool = False,
        elicit: bool | Elicitation = False,
        confirm: bool = False,
        user_id: UserId | None = None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
        trace: Trace = "ids",
        name: str = "prefmem",
    ) -> None:
        """Tie the middleware to a memory."""
        super().__init__()
        refuse("learn", learn, (*LEARN, False))
        refuse("placement", placement, PLACEMENTS)
        refuse("commands", commands, ("apply", "answer", "off"))
        self._border = Border(
            name, memory, user_id=user_id, on_missing_user=on_missing_user, on_error=on_error,
            wakes=learn == "background", trace=trace,
        )  # fmt: skip
        self._limit, self._max_tokens = limit, max_tokens
        self._learns: Learn | Literal[False] = learn
        self._placement, self._checks = placement, check
        self._commands: Commands = commands
        self._name = name
        self._recalled, self._replies = Recalled(), Recalled()
        self.tools = preference_tools(memory, user_id=user_id) if tools else []
        self._ask = self._made_ask(elicit, confirm)

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
        self, state: MemoryState[ResponseT], runtime: Runtime[ContextT]
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
            lambda memory, user: self._told(messages, position, memory, user),
            otherwise=("", ""),
            runtime=runtime,
        )
        if not reply or rest or self._commands != "answer":
            return None
        return {"messages": [AIMessage(reply)], "jump_to": "end"}

    @hook_config(can_jump_to=["end"])
    async def abefore_agent(
        self, state: MemoryState[ResponseT], runtime: Runtime[ContextT]
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

    def after_agent(
        self, state: MemoryState[ResponseT], runtime: Runtime[ContextT]
    ) -> dict[str, Any] | None:
        """Learn from the conversation; then ask the user, where that is wanted."""
        learned = self._finish(state, runtime)
        if self._ask is None:
            return learned
        asked = self._ask.invoke(_asked(state), get_config())
        return _both(state, learned, asked)

    async def aafter_agent(
        self, state: MemoryState[ResponseT], runtime: Runtime[ContextT]
    ) -> dict[str, Any] | None:
        """Do the same on worker threads."""
        learned = await asyncio.to_thread(self._finish, state, runtime)
        if self._ask is None:
            return learned
        asked = await self._ask.ainvoke(_asked(state), get_config())
        return _both(state, learned, asked)

    def _with_rules(self, request: ModelRequest[ContextT]) -> ModelRequest[ContextT]:
        position = last_human(request.messages)
        if position is None:
            return request
        block = self._border.cross(
            "recall",
            lambda memory, user: self._block(request.messages, position, memory, user),
            otherwise="",
            runtime=request.runtime,
        )
        if not block:
            return request
        if self._placement == "user":
            messages = list(request.messages)
            messages.insert(position, HumanMessage(content=block))
            return request.override(messages=messages)
        return request.override(system_message=appended(request.system_message, block))

    def _told(
        self, messages: Sequence[BaseMessage], position: int, memory: "PreferenceMemory", user: str
    ) -> tuple[str, str]:
        """Carry out commands once, and keep what the memory says of them for the model.

        Gives that, and what else the turn asks for.
        """
        spoken = dialogue(messages[: position + 1], max_chars=memory.config.max_turn_chars)
        last, thread = spoken[-CONTEXT:], session()

        def obey(run: Run) -> "Obeyed":
            done = apart(lambda: memory.command(last, user_id=user, session_id=thread))
            run.obeyed(done)
            return done

        found = self._border.traced(f"{self._name}.command", obey)
        if found.reply:
            self._replies.put(question_of(messages, position, user), (found.note,))
        return found.reply, found.rest

    def _block(
        self, messages: Sequence[BaseMessage], position: int, memory: "PreferenceMemory", user: str
    ) -> str:
        """Render the rules for a question; recalled once, rendered from what is in force now."""
        ids = self._applying(messages, position, memory, user)
        block = memory.render(
            ids, user_id=user, max_tokens=self._max_tokens, strict=self._border.strict
        )
        said = self._replies.get(question_of(messages, position, user))
        return "\n".join([*([block] if block else []), *(said or ())])

    def _applying(
        self, messages: Sequence[BaseMessage], position: int, memory: "PreferenceMemory", user: str
    ) -> tuple[str, ...]:
        question = question_of(messages, position, user)
        ids = self._recalled.get(question)
        if ids is None:
            asked = requests(messages, position, max_chars=memory.config.max_turn_chars)

            def find(run: Run) -> "Recall":
                found = memory.recall(
                    asked, user_id=user, session_id=session(), limit=self._limit,
                    max_tokens=self._max_tokens, strict=self._border.strict,
                )  # fmt: skip
                run.recalled(found)
                return found

            recall = self._border.traced(f"{self._name}.recall", find)
            ids = self._border.recalled(recall)
            if not recall.failed:
                self._recalled.put(question, ids)
        return ids

    def _broken(
        self, request: ModelRequest[ContextT], response: ModelResponse[ResponseT]
    ) -> tuple[str, ...]:
        """Say what an answer breaks; nothing where that cannot be mended."""
        text, position = final_text(response), last_human(request.messages)
        if text is None or position is None or streamed():
            return ()

        def check(memory: "PreferenceMemory", user: str) -> tuple[str, ...]:
            ids = self._applying(request.messages, position, memory, user)
            asked = str(request.messages[position].text)
            return broken_rules(_rules(memory, ids, user), text, request=asked)

        return self._border.cross("check", check, otherwise=(), runtime=request.runtime)

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

    def _finish(
        self, state: MemoryState[ResponseT], runtime: Runtime[ContextT]
    ) -> dict[str, Any] | None:
        """Learn, and forget what was recalled: the next turn may have other rules."""
        before, how = state.get("prefmem_learned", ""), self._learns

        def learn(memory: "PreferenceMemory", user: str) -> str:
            try:
                if how is False or inside_tool():
                    return before
                messages, by, where = messages_of(state), self._name, how
                return self._border.traced(
                    f"{by}.learn",
                    lambda run: learn_from(
                        memory, messages, how=where, user=user, by=by, after=before, run=run
                    ),
                )
            finally:
                self._recalled.drop(user, session())
                self._replies.drop(user, session())

        mark = self._border.cross("learn", learn, otherwise=before, runtime=runtime)
        return None if mark == before else {"prefmem_learned": mark}

    def _made_ask(self, elicit: bool | Elicitation, confirm: bool) -> AskNode | None:
        """Build what asks the user; nothing where nothing is to be asked."""
        askers: list[Asker] = [ConfirmAsker()] if confirm else []
        if elicit is not False:
            askers.append(ElicitAsker(Elicitation() if elicit is True else elicit))
        return AskNode(askers, self._border) if askers else None


def _rules(memory: "PreferenceMemory", ids: Sequence[str], user: str) -> Iterator[str]:
    """Give the texts of the cards that are still in force."""
    for card_id in ids:
        with suppress(NotFoundError):
            card = memory.get(card_id, user_id=user)
            if card.status == "active":
                yield card.text


def _asked(state: MemoryState[Any]) -> dict[str, Any]:
    """Give the state as a node that asks reads it."""
    return {**state.get("prefmem_asked", {}), "messages": state["messages"]}


def _both(
    state: MemoryState[Any], learned: dict[str, Any] | None, asked: dict[str, Any]
) -> dict[str, Any] | None:
    """Join what is written to the state; None where that is nothing."""
    if not asked:
        return learned
    return {**(learned or {}), "prefmem_asked": {**state.get("prefmem_asked", {}), **asked}}
