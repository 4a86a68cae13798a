"""A smaller run of the measurement."""

import numpy as np
import pytest

from prefmem.evaluate.elicitation import measure, population


def silent(stage: str, done: int, total: int) -> None:
    del stage, done, total


def test_telling_questions_beat_random_ones() -> None:
    seen: list[tuple[str, int, int]] = []

    def tell(stage: str, done: int, total: int) -> None:
        seen.append((stage, done, total))

    figures = measure(users=120, profiles=600, questions=8, seed=3, progress=tell)
    assert figures["telling questions: 0"] == figures["random questions: 0"]
    assert figures["telling questions: 5"].value > 0.76
    assert figures["gain over random at 5"].low > 0.0
    assert figures["random questions to match 5"].value > 5
    assert figures["traits known"].value > figures["telling questions: 5"].value
    assert figures["telling questions: 5"].cases == 120
    assert (seen[0], seen[-1]) == (("fit", 0, 1), ("users", 120, 120))


def test_without_traits_there_is_nothing_to_tell() -> None:
    figures = measure(users=60, profiles=300, questions=5, strength=0.0, seed=0, progress=silent)
    assert figures["telling questions: 5"].value == pytest.approx(
        figures["random questions: 5"].value, abs=0.08
    )
    assert figures["random questions for 80%"].value == 6  # one more than were asked


def test_a_population_is_as_it_is_told() -> None:
    people = population(3.0, np.random.default_rng(0))
    plain, other = np.abs(people.loadings[0, 0]), np.abs(people.loadings[4, 0])
    assert plain == pytest.approx(6, abs=1.2)
    assert other == pytest.approx(3, abs=1.2)
    answers, chances = people.draw(2000, np.random.default_rng(1))
    assert answers.mean(axis=0) == pytest.approx(chances.mean(axis=0), abs=0.05)
