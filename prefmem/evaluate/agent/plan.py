"""How large a study of agents is."""

from dataclasses import dataclass, replace

from prefmem.agent.base import SMOLLM2
from prefmem.agent.recipe import Recipe
from prefmem.evaluate.agent.authors import AUTHORS

RECIPE = Recipe(layers=15, rate=2e-3, steps=24, check_every=8, patience=0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained and asked; the defaults take half an hour on two idle cores.

    Attributes:
        base: What adapters are trained on: `smollm2`, a folder, or a name on the hub.
        authors: Whose agents.
        texts: Texts of each author and topic to learn from; there are 33 topics.
        recipe: How agents are trained, and naive fine-tuning.
        naive: For how many of the authors naive fine-tuning is shown beside.
        intents: Held-out intents of each of 15 topics.
        shown: For how many held-out intents of an author few-shot prompting is asked.
        prompts: How many texts a chat model is asked for, over all authors, in each of three arms.
        answer: Tokens of a chat model's text at most.
        judged: How many pairs of texts a judge compares.
        ranks: Ranks of the sweep; none without one.
        adapters: How many adapters are served at once on one base; 0 leaves it out.
        seed: Of every draw.
    """

    base: str = SMOLLM2
    authors: tuple[str, ...] = tuple(AUTHORS)
    texts: int = 3
    recipe: Recipe = RECIPE
    naive: int = 2
    intents: int = 2
    shown: int = 15
    prompts: int = 100
    answer: int = 64
    judged: int = 30
    ranks: tuple[int, ...] = ()
    adapters: int = 50
    seed: int = 0


def quick(plan: Plan) -> Plan:
    """Give a plan that takes a few minutes, and shows that all parts work, not how well."""
    recipe = replace(plan.recipe, steps=12, check_every=6)
    return replace(
        plan, authors=plan.authors[:3], recipe=recipe, intents=1, shown=3, prompts=6, answer=32,
        judged=2, adapters=4,
    )  # fmt: skip
