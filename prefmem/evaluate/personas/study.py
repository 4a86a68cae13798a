"""Lets all personas live with all arms, side by side, so that answers are written together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prefmem.evaluate.obedience import Chat
from prefmem.evaluate.personas.arms import Make, opened
from prefmem.evaluate.personas.pool import Persona
from prefmem.evaluate.personas.talk import PHASES, Life, Scored
from prefmem.train.progress import Progress


@dataclass(frozen=True, slots=True)
class Lived:
    """What became of one persona under one seed and arm."""

    persona: Persona
    seed: int
    answers: tuple[Scored, ...]


def live(
    chat: Chat, personas: Sequence[Persona], requests: Sequence[str], *, arms: Mapping[str, Make],
    seeds: Sequence[int], progress: Progress,
) -> Mapping[str, tuple[Lived, ...]]:  # fmt: skip
    """Let every persona live with every arm under every seed.

    Args:
        chat: Answers conversations.
        personas: Who asks.
        requests: What can be asked.
        arms: How the model knows the users, by name.
        seeds: Each draws scripts of its own; the arms share them.
        progress: Told how many answers there are.

    Returns:
        By arm, a life for each persona and seed, in the same order.
    """
    with opened() as memory:
        lives = {
            (arm, seed, number): Life(
                persona, requests, make(persona, memory, f"{arm} {seed} {number}"), seed=seed,
                number=number,
            )
            for arm, make in arms.items()
            for seed in seeds
            for number, persona in enumerate(personas)
        }  # fmt: skip
        steps, done = sum(PHASES.values()), 0
        for step in range(steps):
            progress(f"request {step + 1} of {steps}", done, steps * len(lives))
            asked = [life.ask() for life in lives.values()]
            for life, answer in zip(lives.values(), chat(asked), strict=True):
                life.hear(answer)
            done += len(lives)
    progress("done", done, steps * len(lives))
    return {
        arm: tuple(
            Lived(personas[number], seed, tuple(life.scored))
            for (name, seed, number), life in lives.items()
            if name == arm
        )
        for arm in arms
    }
