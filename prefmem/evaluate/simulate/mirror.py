"""A language model in a user's place, after UserMirrorer (arXiv 2508.18142): it decides, with why.

A scene shows who the user is, what the user did before, and a list of options. The model writes a
thought in three stages, stimulus, knowledge and evaluation, then one option's letter. The same
scene is shown with the options in several orders: how much the choices differ is the model's
uncertainty, which tells easy scenes from hard ones.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.errors import InputError
from prefmem.evaluate.draws import order
from prefmem.evaluate.obedience import Chat, Message

Style: TypeAlias = Literal["logical", "intuitive", "impulsive", "habitual"]
_Floats: TypeAlias = npt.NDArray[np.float64]

STYLES: tuple[Style, ...] = ("logical", "intuitive", "impulsive", "habitual")
LEAST, MOST = 2, 12  # options of a scene
_FACTORS = {"stimulus": (1, 3), "knowledge": (2, 4)}  # how many are asked for; read as they come
_SYSTEM = f"""\
You are the user who is described, and choose as this person would. Think in the first person, then
choose one option. Write these lines and nothing else:
Stimulus: what moves me now
Stimulus factors: {_FACTORS["stimulus"][0]} to {_FACTORS["stimulus"][1]} of them, apart by commas
Knowledge: what I see in the options
Knowledge factors: {_FACTORS["knowledge"][0]} to {_FACTORS["knowledge"][1]} of them, apart by commas
Evaluation: why I prefer one
Evaluation style: {", ".join(STYLES[:-1])} or {STYLES[-1]}
Choice: its letter"""
_SCENE = "# Who I am\n{profile}\n\n# What I did before\n{history}\n\n# Options\n{options}"
_FIELD = re.compile(
    r"^\W*(?P<name>stimulus factors|stimulus|knowledge factors|knowledge|evaluation style|"
    r"evaluation|choice|behaviou?r)\W*:\W*(?P<text>.*)$",
    re.I | re.M,
)
_MARKED = re.compile(r"[\[(*]([A-La-l])[\])*]")
_LETTER = re.compile(r"(?<![A-Za-z])([A-La-l])(?![A-Za-z])")


@dataclass(frozen=True, slots=True)
class Scene:
    """A situation in which a user takes one of several options.

    Attributes:
        profile: Who the user is.
        history: What the user did or said before; may be empty.
        options: 2 to 12 of them.
        taken: Place of the one that the user took.

    Raises:
        InputError: There are too few options or too many, or `taken` is none of them.
    """

    profile: str
    history: str
    options: tuple[str, ...]
    taken: int

    def __post_init__(self) -> None:
        """Check the options."""
        if not LEAST <= len(self.options) <= MOST:
            raise InputError(f"a scene has {LEAST} to {MOST} options, not {len(self.options)}")
        if not 0 <= self.taken < len(self.options):
            raise InputError(f"taken={self.taken!r} is none of {len(self.options)} options")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a model decided in a user's place; parts that it left out are empty.

    Attributes:
        choice: Place of the option, among those shown.
        stimulus: What moved the user.
        stimulus_factors: In short.
        knowledge: What the user saw in the options.
        knowledge_factors: In short.
        evaluation: Why one is preferred.
        style: How it was weighed; None where none of the four is named.
    """

    choice: int
    stimulus: str = ""
    stimulus_factors: tuple[str, ...] = ()
    knowledge: str = ""
    knowledge_factors: tuple[str, ...] = ()
    evaluation: str = ""
    style: Style | None = None


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Entropy of choices in nats: `total` of the mean, `data` the mean one, `model` the rest."""

    total: float
    data: float
    model: float


def asked(scene: Scene, order: Sequence[int]) -> list[Message]:
    """Give what the model reads, with the options in an order."""
    options = "\n".join(f"[{_letter(n)}] {scene.options[place]}" for n, place in enumerate(order))
    told = _SCENE.format(profile=scene.profile, history=scene.history or "-", options=options)
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": told}]


def read(answer: str, options: int) -> Decision | None:
    """Read a decision, however it is set; None where no option is chosen.

    Args:
        answer: What the model wrote.
        options: How many were shown.
    """
    parts: dict[str, str] = {}
    for match in _FIELD.finditer(answer):
        name = match["name"].lower().replace("behaviour", "choice").replace("behavior", "choice")
        if match["text"].strip() or name not in parts:
            parts[name] = match["text"].strip()
    choice = _choice(parts.get("choice", "") or _last_line(answer, parts), options)
    if choice is None:
        return None
    style = parts.get("evaluation style", "").lower()
    return Decision(
        choice, parts.get("stimulus", ""), _listed(parts.get("stimulus factors", "")),
        parts.get("knowledge", ""), _listed(parts.get("knowledge factors", "")),
        parts.get("evaluation", ""), next((one for one in STYLES if one in style), None),
    )  # fmt: skip


def decide(
    chat: Chat, scenes: Sequence[Scene], *, times: int, seed: int
) -> tuple[tuple[Decision | None, ...], ...]:
    """Let a model decide every scene several times, each time with the options in another order.

    Args:
        chat: Answers conversations.
        scenes: The scenes.
        times: Decisions of each, from 1.
        seed: Draws the orders.

    Returns:
        For each scene its decisions, with choices as places in `Scene.options`; None where none
        could be read.
    """
    orders = [_orders(len(scene.options), times, [seed, n]) for n, scene in enumerate(scenes)]
    answers = iter(
        chat(
            [
                asked(scene, order)
                for scene, mine in zip(scenes, orders, strict=True)
                for order in mine
            ]
        )
    )
    return tuple(
        tuple(_placed(read(next(answers), len(order)), order) for order in mine) for mine in orders
    )


def chances(decisions: Sequence[Decision | None], options: int) -> _Floats:
    """Give the probability of each option in each of n decisions, (n, options).

    A decision that could not be read says nothing: every option is as likely.
    """
    rows = np.full((len(decisions), options), 1 / options)
    for n, one in enumerate(decisions):
        if one is not None:
            rows[n] = np.eye(options)[one.choice]
    return rows


def uncertainty(probabilities: _Floats) -> Uncertainty:
    """Split the entropy of n distributions over k options, (n, k), rows summing to 1."""
    total = _entropy(probabilities.mean(axis=0))
    data = float(np.mean([_entropy(row) for row in probabilities]))
    return Uncertainty(total, data, total - data)


def split(found: Sequence[Uncertainty]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split scenes at the median of their total entropy: places of the easy and of the hard ones.

    Those at the median are easy, so that scenes without any doubt never count as hard.
    """
    if not found:
        return (), ()
    middle = float(np.median([one.total for one in found]))
    easy = tuple(n for n, one in enumerate(found) if one.total <= middle)
    return easy, tuple(n for n in range(len(found)) if n not in easy)


def hits(scene: Scene, decisions: Sequence[Decision | None]) -> float:
    """Give the share of decisions that take what the user took."""
    return sum(one is not None and one.choice == scene.taken for one in decisions) / len(decisions)


def _orders(options: int, times: int, seed: Sequence[int]) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(list(seed))
    return [tuple(order(options, rng)) for _ in range(times)]


def _placed(decision: Decision | None, order: Sequence[int]) -> Decision | None:
    """Turn the letter that was chosen into the option's own place."""
    return None if decision is None else replace(decision, choice=order[decision.choice])


def _choice(text: str, options: int) -> int | None:
    """Read a letter, one in brackets before a bare one, which may be a word of its own."""
    found = [*_MARKED.finditer(text), *_LETTER.finditer(text)]
    letters = [ord(match[1].upper()) - ord("A") for match in found]
    return next((place for place in letters if place < options), None)


def _last_line(answer: str, parts: Mapping[str, str]) -> str:
    """Give the last line of an answer that names no field at all, such as a bare letter."""
    lines = answer.split("\n")
    return "" if parts else next((line for line in reversed(lines) if line.strip()), "")


def _listed(text: str) -> tuple[str, ...]:
    items = (item.strip(" .[]") for item in text.split(","))
    return tuple(item for item in items if item)


def _entropy(row: _Floats) -> float:
    held = row[row > 0]
    return float(-(held * np.log(held)).sum()) + 0.0


def _letter(place: int) -> str:
    return chr(ord("A") + place)
