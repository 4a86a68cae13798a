"""The list of conditions, and how near a condition is to each of them."""

from collections.abc import Sequence

import numpy as np
import pytest

from prefmem.models.embed import MiniLMEmbedder
from prefmem.train.conditions import ConditionTargets, condition_list
from prefmem.train.windows import GENERAL, Gold, Span, WrittenTurn, WrittenWindow
from prefmem.types import Matrix

NAMES = {"writing mails": (1, 0), "writing emails": (0.96, 0.28), "writing SQL": (0.6, 0.8)}


class Plane(MiniLMEmbedder):
    """Gives each known condition a unit vector, (2,), and all others one of their own length."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        rows = [NAMES.get(text, (0, 1)) for text in texts]
        return np.array(rows, dtype=np.float32).reshape(-1, 2)


def windows(*conditions: str) -> list[WrittenWindow]:
    turns = (WrittenTurn("user", "be brief"),)
    golds = [Gold(c, "be brief", "do", 0, Span("do", 0, 8), "be brief") for c in conditions]
    return [WrittenWindow(str(n), "d", "standing", turns, (g,)) for n, g in enumerate(golds)]


def test_the_most_used_of_two_alike_stays() -> None:
    used = ["writing SQL", "writing emails", "writing mails", "writing mails", GENERAL]
    # The cosine of mails and emails is 0.96, of mails and SQL 0.6; 0.86 makes them one.
    assert condition_list(windows(*used), Plane()) == ("writing mails", "writing SQL")
    used += ["writing emails", "writing emails"]
    assert condition_list(windows(*used), Plane()) == ("writing emails", "writing SQL")
    assert condition_list([], Plane()) == ()


def test_equally_used_ones_stand_in_the_order_of_the_alphabet() -> None:
    assert condition_list(windows("writing mails", "writing SQL"), Plane()) == (
        "writing SQL",
        "writing mails",
    )


@pytest.mark.parametrize(
    "condition",
    [
        "planning trips",
        "helping with maths",
        "giving advice on money",
        "answering health questions",
        "writing Python/SQL code",
    ],
)
def test_conditions_in_general_use_are_listed(condition: str) -> None:
    assert condition_list(windows(condition), Plane()) == (condition,)


@pytest.mark.parametrize(
    "condition",
    [
        GENERAL,
        "replying to the user's boss",
        "writing to Tom",
        "the user asks",
        "cooking for two",
        "editing this text",
        "visiting their mother",
        "planning one very long summer trip",
    ],
)
def test_a_condition_of_one_person_or_thing_is_not_listed(condition: str) -> None:
    assert condition_list(windows(condition), Plane()) == ()


def test_targets_are_a_softmax_of_cosines() -> None:
    targets = ConditionTargets(("writing mails", "writing emails"), Plane())
    # Cosines 1 and 0.96, over 0.05: e^0 and e^-0.8 = 0.4493
    assert targets("writing mails") == pytest.approx([0.68997, 0.31003], abs=1e-4)
    assert targets("writing mails").dtype == np.float32
    # Of something else: cosines 0 and 0.28, e^-5.6 = 0.0037
    assert targets("cooking") == pytest.approx([0.00368, 0.99632], abs=1e-4)
