"""Names depend on content alone."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from prefmem import Evidence, Preference, Scope, Turn
from prefmem.ids import fold_text, rule_hash, user_turn_keys


def keys(*said: tuple[str, str], session: str = "s") -> list[str]:
    turns = [Turn(str(n), role, text) for n, (role, text) in enumerate(said)]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # roles as text
    return [*user_turn_keys(turns, session).values()]


def test_folding_forgets_case_width_spacing_and_edges() -> None:
    assert fold_text("  Use\n\tSI  Units!! ") == "use si units"
    assert fold_text("ＳＩ") == "si"  # full width letters
    assert fold_text("Straße") == "strasse"
    assert fold_text("'...'") == ""


def test_rules_that_say_the_same_share_a_hash() -> None:
    rule = Preference("writing SQL", "use CTEs")
    same = [
        Preference("Writing  SQL", "Use CTEs."),
        replace(rule, confidence=0.1),
        replace(rule, evidence=(Evidence("0", "use CTEs"),)),
        replace(rule, scope=Scope("global")),
    ]
    others = [
        replace(rule, polarity="avoid"),
        replace(rule, condition=""),
        replace(rule, action="use views"),
        replace(rule, scope=Scope(task="code")),
        replace(rule, scope=Scope(audience="my boss")),
        replace(rule, scope=Scope(language="de")),
        Preference("writing", "SQL use CTEs"),  # the slots do not run together
    ]
    assert {rule_hash(p) for p in same} == {rule_hash(rule)}
    assert len({rule_hash(p) for p in [rule, *others]}) == 8
    assert len(rule_hash(rule)) == 16


def test_turn_keys_follow_content_and_the_turn_before() -> None:
    window = (("assistant", "Hi"), ("user", "Be brief."), ("assistant", "OK"), ("user", "Thanks"))
    first, second = keys(*window)
    assert keys(*window) == [first, second]
    assert keys(("assistant", "HI "), ("user", "be  brief")) == [first]
    assert keys(("assistant", "Bye"), ("user", "Be brief.")) != [first]
    assert keys(*window, session="t")[0] != first
    assert keys(("user", "x"), ("tool", "y"), ("system", "z"), ("user", "v")) == keys(
        ("user", "x"), ("user", "v")
    )


def test_the_first_turn_of_a_window_names_its_words_alone() -> None:
    (with_before,) = keys(("assistant", "Hi"), ("user", "Be brief."))
    (alone,) = keys(("user", "Be brief."))
    words, _, before = with_before.partition(":")
    assert alone == f"{words}:"
    assert len(words) == len(before) == 32
    assert keys(("assistant", ""), ("user", "Be brief.")) == [alone]


def test_turns_without_text_have_no_key() -> None:
    assert keys(("user", ""), ("user", " \n"), ("assistant", "x")) == []


@given(st.text(max_size=50), st.text(max_size=50))
def test_the_kind_of_white_space_does_not_count(a: str, b: str) -> None:
    assert fold_text(f"{a}\n{b}") == fold_text(f"{a} \t {b}")
