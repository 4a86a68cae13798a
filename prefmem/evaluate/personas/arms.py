"""What a chat model is told of the past: nothing, a memory's rules, everything, or the truth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Protocol, TypeAlias

from prefmem.evaluate.obedience import Message
from prefmem.evaluate.personas.pool import Persona
from prefmem.memory import PreferenceMemory
from prefmem.types import Rule

_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_HISTORY = 4000  # characters of earlier sessions that a small model is given, the newest


@dataclass(frozen=True, slots=True)
class Told:
    """What stands before a session.

    Attributes:
        block: For the system prompt; empty for nothing.
        after: What follows the request, in plain sentences; empty for nothing.
        earlier: Messages of earlier sessions.
        kinds: Of a memory's injected rules in order, the kind of wish each states; empty where it
            states none.
    """

    block: str = ""
    after: str = ""
    earlier: tuple[Message, ...] = ()
    kinds: tuple[str, ...] = ()


class Arm(Protocol):
    """One way to carry a user from session to session."""

    def tell(self, session: str, dialogue: Sequence[Message]) -> Told:
        """Give what the model is told, for a dialogue that ends with the user's newest turn."""
        ...

    def learn(self, session: str, dialogue: Sequence[Message]) -> None:
        """Take note of a dialogue that ends with an answer."""
        ...


class Nothing:
    """Every session begins anew."""

    def tell(self, session: str, dialogue: Sequence[Message]) -> Told:
        """Tell nothing."""
        return Told()

    def learn(self, session: str, dialogue: Sequence[Message]) -> None:
        """Forget it."""


class Memory:
    """prefmem with every default: it learns each turn, and recalls for each request.

    Args:
        persona: Whose wishes the rules are held against.
        memory: Keeps all users of a run.
        user: Who this one is in it.
        fenced: Whether the model gets the block that prefmem renders, in the system prompt, as the
            integrations place it; else the same rules as plain sentences after the request.
    """

    def __init__(
        self, persona: Persona, memory: PreferenceMemory, user: str, *, fenced: bool = False
    ) -> None:
        """Start with what the memory knows of the user: nothing."""
        self._persona, self._memory, self._user = persona, memory, user
        self._fenced = fenced

    def tell(self, session: str, dialogue: Sequence[Message]) -> Told:
        """Tell the rules that a recall injects."""
        recall = self._memory.recall(dialogue, user_id=self._user, session_id=session, strict=True)
        kinds = tuple(self._kind(rule) for rule in recall.rules)
        if self._fenced:
            return Told(self._memory.render(recall), kinds=kinds)
        return Told(after=" ".join(rule.text for rule in recall.rules), kinds=kinds)

    def learn(self, session: str, dialogue: Sequence[Message]) -> None:
        """Learn the newest turn; those before it count once."""
        self._memory.learn(dialogue, user_id=self._user, session_id=session)

    def _kind(self, rule: Rule) -> str:
        card = self._memory.get(rule.card_ids[0], user_id=self._user)
        quotes = [one.quote for one in card.preference.evidence]
        said = (w.kind for w in self._persona.wishes if any(w.says(quote) for quote in quotes))
        return next(said, "")


class History:
    """Everything that was said before, word by word, as far as a small model can read it."""

    def __init__(self) -> None:
        """Start empty."""
        self._sessions: dict[str, list[Message]] = {}

    def tell(self, session: str, dialogue: Sequence[Message]) -> Told:
        """Tell the newest messages of earlier sessions, from a user's turn on."""
        kept: list[Message] = []
        size = 0
        past = [m for name, found in self._sessions.items() if name != session for m in found]
        for message in reversed(past):
            size += len(message["content"])
            if size > _HISTORY:
                break
            kept.append(message)
        if kept and kept[-1]["role"] == "assistant":
            kept.pop()
        return Told(earlier=tuple(reversed(kept)))

    def learn(self, session: str, dialogue: Sequence[Message]) -> None:
        """Keep it."""
        self._sessions[session] = list(dialogue)


class Oracle:
    """The persona's wishes as they are, where a memory's rules stand."""

    def __init__(self, persona: Persona) -> None:
        """Write the wishes as sentences."""
        rules = (wish.rule for wish in persona.wishes)
        self._rules = " ".join(f"{rule[:1].upper()}{rule[1:]}." for rule in rules)

    def tell(self, session: str, dialogue: Sequence[Message]) -> Told:
        """Tell all wishes."""
        return Told(after=self._rules)

    def learn(self, session: str, dialogue: Sequence[Message]) -> None:
        """Know it all already."""


Make: TypeAlias = Callable[[Persona, PreferenceMemory, str], Arm]

ARMS: Mapping[str, Make] = {
    "no memory": lambda persona, memory, user: Nothing(),
    "prefmem": Memory,
    "prefmem, default block": partial(Memory, fenced=True),
    "oracle": lambda persona, memory, user: Oracle(persona),
}
HISTORY: Mapping[str, Make] = {"full history": lambda persona, memory, user: History()}


def opened() -> PreferenceMemory:
    """Open a memory whose names and times are fixed, so that a run can be repeated."""
    ids, ticks = count(1), count()
    return PreferenceMemory(
        ":memory:", ids=lambda: f"{next(ids):016x}",
        clock=lambda: _SINCE + timedelta(seconds=next(ticks)),
    )  # fmt: skip
