"""Settings refuse what they do not know and what is out of range."""

import pytest
from pydantic import ValidationError

from prefmem import Config, ConfigError


def test_an_unknown_key_gets_a_hint() -> None:
    with pytest.raises(ConfigError, match="unknown setting 'min_scor'; did you mean 'min_score'"):
        Config(min_scor=0.5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # the point
    with pytest.raises(ConfigError, match=r"^unknown setting 'zzz'$"):
        Config(zzz=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # the point


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("limit", -1),
        ("limit", 51),
        ("limit", 2.5),
        ("max_global", -1),
        ("min_score", -0.01),
        ("min_score", 1.01),
        ("min_score", float("nan")),
        ("candidates", 0),
        ("candidates", 1001),
        ("max_unwarranted", 0),
        ("max_unwarranted", 1),
        ("rerank_candidates", 0),
        ("rerank_budget", 0),
        ("rerank_budget", float("inf")),
        ("max_tokens", -1),
        ("min_confidence", 2),
        ("active_confidence", -0.1),
        ("active_confidence", 1.1),
        ("max_turn_chars", 0),
        ("max_slot_chars", 15),
        ("cache_bytes", -1),
        ("limit", None),
        ("limit", "many"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name: str, bad: object) -> None:
    with pytest.raises(ConfigError, match=f"^{name}="):
        Config(**{name: bad})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point


def test_the_ends_of_the_ranges_are_taken() -> None:
    low = Config(limit=0, max_global=0, min_score=0, candidates=1, max_tokens=0, cache_bytes=0)
    assert (low.limit, low.min_score, low.candidates) == (0, 0, 1)
    high = Config(limit=50, min_score=1, max_slot_chars=4000)
    assert (high.limit, high.min_score) == (50, 1)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().limit = 3  # pyright: ignore[reportAttributeAccessIssue]  # the point
