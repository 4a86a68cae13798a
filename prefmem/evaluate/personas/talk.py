"""A scripted user, who says its wishes, then only asks, and at last complains, session by session.

What a user says depends on seed and persona, and in the third session on the answers; never on the
arm that answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prefmem.evaluate.draws import drawn
from prefmem.evaluate.obedience import Message, sound
from prefmem.evaluate.personas.arms import Arm, Told
from prefmem.evaluate.personas.pool import Persona, Wish

PHASES = {"reveal": 3, "retain": 3, "mixed": 3}  # sessions, and the requests of each
_SYSTEM = "You are a helpful assistant."
_READ = 3  # newest messages of a session that the model reads: an exchange, and the request


@dataclass(frozen=True, slots=True)
class Scored:
    """One answer, and how the user took it.

    Attributes:
        phase: `reveal`, `retain` or `mixed`.
        turn: Number of the request, from 0 over all sessions.
        owed: Kinds of the wishes that were said by then.
        broken: Those of them that the answer breaks.
        usable: Whether it says something, and not in circles.
        kinds: What the injected rules are about, as `Told.kinds`.
        complained: Whether the user's turn holds a complaint.
        words: Words of the user's turn.
        answer: The answer.
    """

    phase: str
    turn: int
    owed: tuple[str, ...]
    broken: tuple[str, ...]
    usable: bool
    kinds: tuple[str, ...]
    complained: bool
    words: int
    answer: str

    @property
    def satisfaction(self) -> float:
        """Share of the wishes that the answer keeps; 0 for an answer of no use."""
        return 1 - len(self.broken) / len(self.owed) if self.usable else 0.0


@dataclass(frozen=True, slots=True)
class _Turn:
    phase: str
    request: str
    said: Wish | None  # what is stated with the request
    statement: str


class Life:
    """One persona and one arm, request by request.

    Args:
        persona: Who asks.
        requests: What can be asked, at least as many as all phases take.
        arm: How the model knows the user.
        seed: Draws the order of wishes, their wording, and the requests.
        number: Of the persona: gives each a stream of draws of its own.
    """

    def __init__(
        self, persona: Persona, requests: Sequence[str], arm: Arm, *, seed: int, number: int
    ) -> None:
        """Draw the script."""
        self._persona, self._arm = persona, arm
        self._script = _script(persona, requests, np.random.default_rng([seed, number]))
        self._dialogue: list[Message] = []
        self._stated: list[Wish] = []
        self._told: tuple[str, ...] = ()
        self._words, self._complained = 0, False
        self.scored: list[Scored] = []

    def ask(self) -> list[Message]:
        """Give the conversation that is to be answered next; empty when all is said."""
        at = len(self.scored)
        if at == len(self._script):
            return []
        turn = self._script[at]
        if at and self._script[at - 1].phase != turn.phase:
            self._dialogue = []
        text = " ".join(
            part for part in (self._complaint(turn), turn.request, turn.statement) if part
        )
        self._words = len(text.split())
        self._dialogue.append({"role": "user", "content": text})
        if turn.said:
            self._stated.append(turn.said)
        told = self._arm.tell(turn.phase, self._dialogue)
        self._told = told.kinds
        return conversation(told, self._dialogue)

    def hear(self, answer: str) -> None:
        """Take the answer to what was asked."""
        turn = self._script[len(self.scored)]
        self._dialogue.append({"role": "assistant", "content": answer})
        self._arm.learn(turn.phase, self._dialogue)
        owed = tuple(self._stated)
        broken = tuple(wish.kind for wish in owed if not wish.kept(answer, turn.request))
        self.scored.append(
            Scored(
                turn.phase, len(self.scored), tuple(wish.kind for wish in owed), broken,
                sound([wish.rule for wish in owed], answer), self._told, self._complained,
                self._words, answer,
            )
        )  # fmt: skip

    def _complaint(self, turn: _Turn) -> str:
        """Say again, in the last session, what the answer before broke first."""
        before = self.scored[-1] if self.scored else None
        self._complained = bool(before and turn.phase == before.phase == "mixed" and before.broken)
        if before is None or not self._complained:
            return ""
        return next(w.complaint for w in self._persona.wishes if w.kind == before.broken[0])


def conversation(told: Told, dialogue: Sequence[Message]) -> list[Message]:
    """Give what the chat model reads for a dialogue that ends with the user's newest turn."""
    system = f"{_SYSTEM}\n\n{told.block}" if told.block else _SYSTEM
    asked = dialogue[-1]
    if told.after:
        asked = {**asked, "content": f"{asked['content']}\n\n{told.after}"}
    return [{"role": "system", "content": system}, *told.earlier, *dialogue[-_READ:-1], asked]


def _script(
    persona: Persona, requests: Sequence[str], rng: np.random.Generator
) -> tuple[_Turn, ...]:
    """Draw what is asked and stated: a wish with each request of the first session."""
    wishes = drawn(persona.wishes, rng)
    asked = drawn(requests, rng, most=sum(PHASES.values()))
    turns: list[_Turn] = []
    for phase, count in PHASES.items():
        for _ in range(count):
            wish = wishes[len(turns)] if phase == "reveal" else None
            statement = str(rng.choice(wish.statements)) if wish else ""
            turns.append(_Turn(phase, asked[len(turns)], wish, statement))
    return tuple(turns)
