"""The central values check and describe themselves."""

import pytest

from prefmem import Preference, Turn, UserRequiredError, Window
from prefmem.types import UserKey


@pytest.mark.parametrize("user_id", [None, "", "   ", "\t\n", 7, b"ann", ["ann"]])
def test_a_user_is_required(user_id: object) -> None:
    with pytest.raises(UserRequiredError, match="there is no default user"):
        UserKey(user_id)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # callers may pass anything


@pytest.mark.parametrize("user_id", ["a\0b", "\ud800", "ann\udfff"])
def test_nul_and_lone_surrogates_are_no_ids(user_id: str) -> None:
    with pytest.raises(UserRequiredError, match="NUL or a lone surrogate"):
        UserKey(user_id)
    with pytest.raises(UserRequiredError, match="tenant"):
        UserKey("ann", tenant=user_id)


def test_ids_have_256_bytes_at_most() -> None:
    assert UserKey("a" * 256).user_id == "a" * 256
    assert UserKey("é" * 128, tenant="t" * 256).tenant == "t" * 256
    for user_id in ("a" * 257, "a" * 300, "é" * 129):
        with pytest.raises(UserRequiredError, match="at most 256 fit"):
            UserKey(user_id)
    with pytest.raises(UserRequiredError, match="tenant has 257 bytes"):
        UserKey("ann", tenant="t" * 257)


@pytest.mark.parametrize(
    ("condition", "action", "text"),
    [
        ("", "use SI units", "Use SI units."),
        ("", "use SI units.", "Use SI units."),
        ("writing SQL", "use CTEs", "When writing SQL, use CTEs."),
        ("for weeknight dinners", "keep it quick", "For weeknight dinners, keep it quick."),
        ("In Python", "type everything.", "In Python, type everything."),
        ("I ask for a recipe", "give grams...", "When I ask for a recipe, give grams."),
    ],
)
def test_a_preference_reads_as_one_sentence(condition: str, action: str, text: str) -> None:
    assert Preference(condition, action).text == text


def test_the_query_is_the_last_user_turn() -> None:
    turns = (Turn("0", "user", "one"), Turn("1", "user", "two"), Turn("2", "assistant", "three"))
    assert Window("ann", "s", turns).query == "two"
    assert Window("ann", "s", turns[2:]).query == ""
    assert Window("ann", "s", ()).query == ""
