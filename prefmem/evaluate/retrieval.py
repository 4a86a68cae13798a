"""How well the default ranking finds a user's rules among many that are not theirs."""

from pathlib import Path

import numpy as np

from prefmem.evaluate import plugs
from prefmem.evaluate.metrics import Figure, mean
from prefmem.train.progress import Progress
from prefmem.train.users import load_users

USERS = Path(__file__).resolve().parent.parent / "train" / "data" / "users" / "test"


def measure(*, stores: int, seed: int, progress: Progress) -> dict[str, Figure]:
    """Rank stores of `stores` rules for every request of the test users that a rule applies to.

    A store holds one rule that applies, and rules of the other users; some of those may well apply,
    too, and count as not.

    Args:
        stores: Rules in a store.
        seed: Draws the stores, and the resampling.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Figures by name.
    """
    rng = np.random.default_rng(seed)
    users = load_users(USERS)
    texts = [[user.rules[name].text for name in user.conditional] for user in users]
    ranks: list[int] = []
    for number, user in enumerate(users):
        others = [text for n, some in enumerate(texts) if n != number for text in some]
        for request in user.requests:
            if not request.applies:
                continue
            gold = user.rules[str(rng.choice(request.applies))].text
            drawn: list[int] = rng.permutation(len(others))[: stores - 1].tolist()
            row = plugs.score([gold, *(others[n] for n in drawn)], [request.query])[0]
            ranks.append(1 + int((row[1:] >= row[0]).sum()))
        progress("users", number + 1, len(users))
    figures = {f"hit@{k}": mean([float(r <= k) for r in ranks], seed=seed) for k in (1, 3, 5)}
    return figures | {"MRR": mean([1 / r for r in ranks], seed=seed)}
