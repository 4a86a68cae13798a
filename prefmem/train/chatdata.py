"""What an extractor is trained on: questions with the rules to answer, made of written windows."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prefmem.extract.answers import questions
from prefmem.extract.parse import AnswerItem
from prefmem.extract.prompts import PromptName
from prefmem.train.windows import GENERAL, Gold, WrittenWindow, load_split
from prefmem.types import Turn, Window

_WINDOWS = Path(__file__).resolve().parent / "data" / "windows"
_IMPLIED = frozenset({"identity", "choice"})  # kinds where the user does not say the rule itself
_IMPLIED_CONFIDENCE = 0.8


@dataclass(frozen=True, slots=True)
class ChatExample:
    """One question to an extractor, and the rules that it shall answer.

    Attributes:
        system: The instruction.
        user: The turn or window to read, not blank.
        rules: Up to 20, none where the user states no preference.
    """

    system: str
    user: str
    rules: tuple[AnswerItem, ...]

    @property
    def messages(self) -> list[dict[str, str]]:
        """What the model is asked, each with `role` and `content`."""
        return [
            {"role": "system", "content": self.system},
            {"role": "user", "content": self.user},
        ]

    @property
    def answer(self) -> str:
        """The rules as the PreferenceList JSON."""
        items = [rule.model_dump() for rule in self.rules]
        return json.dumps({"preferences": items}, ensure_ascii=False)


def chat_examples(
    windows: Iterable[WrittenWindow], prompt: PromptName = "training"
) -> Iterator[ChatExample]:
    """Make one example for each user turn of written windows, in order.

    The condition of a rule for every answer is `general`. The confidence is 0.8 in windows of the
    kinds `identity` and `choice`, whose rules are only implied, and 1 in the others.

    Args:
        windows: Windows with their gold rules.
        prompt: `training` asks for the rules of one turn, without those that only the assistant's
            words explain; `instructed` asks for all rules of one turn, `card` for all of the window
            up to it.
    """
    for window in windows:
        turns = tuple(Turn(str(n), t.role, t.text) for n, t in enumerate(window.turns))
        for n, turn in enumerate(turns):
            for question in questions(Window("", "", turns), [turn.id], prompt):
                system, user = (message["content"] for message in question.messages)
                golds = [g for g in window.gold if _asked(g, n, prompt)]
                rules = tuple(_rule(gold, window.kind) for gold in golds)
                yield ChatExample(system, user, rules)


def own_examples(
    split: Literal["train", "dev"], prompt: PromptName = "training"
) -> tuple[ChatExample, ...]:
    """Make the examples of one split of our own windows."""
    return tuple(chat_examples(load_split(_WINDOWS / split), prompt))


def _asked(gold: Gold, turn: int, prompt: PromptName) -> bool:
    if prompt == "card":
        return gold.turn <= turn
    return gold.turn == turn and (prompt == "instructed" or gold.span.mark != "ref")


def _rule(gold: Gold, kind: str) -> AnswerItem:
    return AnswerItem(
        condition="general" if gold.condition == GENERAL else gold.condition,
        action=gold.action,
        confidence=_IMPLIED_CONFIDENCE if kind in _IMPLIED else 1.0,
    )


def fingerprint(examples: Iterable[ChatExample]) -> str:
    """Hash examples, order included."""
    digest = hashlib.sha256()
    for example in examples:
        text = json.dumps([example.system, example.user, example.answer])
        digest.update(f"{text}\n".encode())
    return digest.hexdigest()
