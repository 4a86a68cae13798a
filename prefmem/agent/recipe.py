"""How an adapter is trained, and what it is trained to write."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from prefmem.agent.documents import split
from prefmem.agent.lesson import Document, Lesson
from prefmem.agent.prompts import rules_asked, text_asked, written
from prefmem.errors import ConfigError

Target: TypeAlias = Literal["rules", "text"]
RANKS = (8, 16, 32, 64)
_LEAST_STEPS, _PASSES = 60, 3


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an adapter is trained: LoRA on all linear layers, its alpha the rank, AdamW.

    The rate rises over the warm-up and falls as a cosine. On a GPU the arithmetic is bfloat16, on
    the CPU float32.

    Attributes:
        rank: 8, 16, 32 or 64.
        layers: How many blocks of the base have an adapter, from the last; all with None.
        rate: Peak learning rate, above 0; a base as small as SmolLM2 learns faster at 2e-3.
        steps: How many; with None three passes over the lessons, and at least 60 steps.
        batch: Lessons in a step, at least 1.
        at_once: Lessons that a device takes at once, at least 1; smaller ones add up to a step.
        warmup: Share of the steps in which the rate rises, in [0, 1).
        dropout: Share of an adapter's inputs left out in training, in [0, 1).
        longest: Tokens of question and answer; a lesson with more is left out.
        check_every: Steps between measurements of the held-out loss, each with a checkpoint.
        patience: Measurements without a new best after which training ends; 0 for never.
        packing: Whether lessons stand behind each other without padding; with None on a GPU, where
            the base can.
        checkpointing: Whether activations are computed again on the way back, to save memory.
        four_bit: Whether the base is kept in 4 bits (QLoRA), with bitsandbytes, on a GPU.
    """

    rank: int = 16
    layers: int | None = None
    rate: float = 1e-3
    steps: int | None = None
    batch: int = 8
    at_once: int = 8
    warmup: float = 0.1
    dropout: float = 0.05
    longest: int = 1024
    check_every: int = 10
    patience: int = 3
    packing: bool | None = None
    checkpointing: bool = False
    four_bit: bool = False

    def __post_init__(self) -> None:
        """Refuse what is out of range.

        Raises:
            ConfigError: Something is.
        """
        wrong = [
            f"{name}={getattr(self, name)!r}"
            for name, fits in (
                ("rank", self.rank in RANKS),
                ("layers", self.layers is None or self.layers >= 1),
                ("rate", self.rate > 0),
                ("steps", self.steps is None or self.steps >= 1),
                ("batch", self.batch >= 1),
                ("at_once", self.at_once >= 1),
                ("warmup", 0 <= self.warmup < 1),
                ("dropout", 0 <= self.dropout < 1),
                ("longest", self.longest >= 1),
                ("check_every", self.check_every >= 1),
                ("patience", self.patience >= 0),
            )
            if not fits
        ]
        if wrong:
            raise ConfigError(
                f"{', '.join(wrong)} cannot be; ranks are {RANKS}, shares below 1, counts above 0"
            )

    def steps_for(self, lessons: int) -> int:
        """Give the number of steps for so many lessons."""
        if self.steps is not None:
            return self.steps
        return max(_LEAST_STEPS, -(-_PASSES * lessons // self.batch))


@dataclass(frozen=True, slots=True)
class Exercise:
    """What a model is asked, and what it shall answer."""

    messages: Sequence[Mapping[str, str]]
    answer: str


def exercises(lessons: Iterable[Lesson], target: Target) -> tuple[Exercise, ...]:
    """Make what a model is trained on, in order; a lesson without rules, or text, is left out."""
    if target == "text":
        return tuple(
            Exercise(text_asked(lesson.task), lesson.text.strip())
            for lesson in lessons
            if lesson.text.strip()
        )
    return tuple(
        Exercise(rules_asked(lesson.task), written(lesson.rules))
        for lesson in lessons
        if lesson.rules
    )


def parted(
    lessons: Sequence[Lesson], documents: Iterable[Document], *, held_out: float
) -> tuple[tuple[Lesson, ...], tuple[Lesson, ...]]:
    """Hold lessons out by the documents that they were made of: the latest of each kind.

    Args:
        lessons: Of one user; those of one document stay together. One of an unknown document is
            trained on.
        documents: What they were made of.
        held_out: Share of the documents, from 0 to below 1.

    Returns:
        What is trained on, and what is held out.

    Raises:
        InputError: The share is out of its range.
    """
    known = {lesson.document_id for lesson in lessons}
    last = {d.id for d in split((d for d in documents if d.id in known), held_out)[1]}
    return (
        tuple(lesson for lesson in lessons if lesson.document_id not in last),
        tuple(lesson for lesson in lessons if lesson.document_id in last),
    )
