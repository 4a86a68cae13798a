"""Which of the assistant's options a user points at, and what the choice shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem.extract.choice import Pick, action, options, pick

HOTEL, GUESTHOUSE, CAMP = (
    "A chain hotel at the airport",
    "A guesthouse in town",
    "A camp by the lake",
)
THREE = f"Here are some ideas:\n1. {HOTEL}\n2. {GUESTHOUSE}\n3. {CAMP}"


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (THREE, (HOTEL, GUESTHOUSE, CAMP)),
        ("1) tea\n2) coffee\n\nWhich one?", ("tea", "coffee")),
        ("A) tea B) coffee C) milk", ("tea", "coffee", "milk")),
        ("Either (a) tea (b) coffee.", ("tea", "coffee")),
        (
            "Some drinks:\n- green tea\n- black\n  coffee\n* milk",
            ("green tea", "black coffee", "milk"),
        ),
        ("You could try hiking, sailing, or reading.", ("hiking", "sailing", "reading")),
        ("There are three: hiking; sailing; or reading.", ("hiking", "sailing", "reading")),
        ("Tea or coffee?", ("Tea", "coffee")),
        ("There is a quiet cafe. I also suggest a loud bar.", ("a quiet cafe", "a loud bar")),
        ("How about a walk? We have tea, coffee, and milk.", ("tea", "coffee", "milk")),
    ],
)
def test_options(reply: str, wanted: tuple[str, ...]) -> None:
    assert options(reply) == wanted


@pytest.mark.parametrize("reply", ["", " \n ", "Hello", "Hello there.", "Which one?"])
def test_a_reply_without_options(reply: str) -> None:
    assert len(options(reply)) < 2
    assert pick("the first one", reply) is None


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("the first one", 0),
        ("The 2nd, please!", 1),
        ("option 3 then", 2),
        ("Option (b), thanks", 1),
        ("let's take number two", 1),
        ("let's take #2", 1),
        ("#3", 2),
        ("1", 0),
        ("b) please", 1),
        ("a sounds good", 0),
        ("plan B", 1),
        ("A quiet place like the camp", 2),
        ("no one wants a hotel, the camp", 2),
        ("I plan a short trip, the camp then", 2),
        ("like last year in a guesthouse", 1),
        ("the latter", 2),
        ("I'd go for the last", 2),
        ("the former of them", 0),
        ("not the first, the second", 1),
        ("the second rather than the first", 1),
        ("the guesthouse sounds lovely", 1),
        ("camping by a lake is what I like", 2),
    ],
)
def test_a_pick(said: str, place: int) -> None:
    every = (HOTEL, GUESTHOUSE, CAMP)
    rest = tuple(option for n, option in enumerate(every) if n != place)
    assert pick(said, THREE) == Pick(every[place], rest)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "sounds good",
        "not the first one",
        "anything but the second",
        "the fifth one",
        "option 7",
        "the guesthouse or the camp?",
        "12 of them",
    ],
)
def test_what_points_at_nothing_clear(said: str) -> None:
    assert pick(said, THREE) is None


def test_a_choice_between_two_names_both() -> None:
    assert action(Pick(GUESTHOUSE, (HOTEL,))) == (
        "prefer a guesthouse in town over a chain hotel at the airport"
    )


def test_what_the_rejected_share_is_avoided() -> None:
    picked = Pick("An hour alone", ("A guided tour of ruins", "The guided tour at night"))
    assert action(picked) == "prefer an hour alone; avoid guided tour"
    # Half of four is enough for "tour"; "old" stands only once, and "bus" in the chosen one too.
    four = ("Old bus tour", "City bus tour", "Wine tasting", "Long bus nap")
    assert action(Pick("Bus to the beach", four)) == "prefer bus to the beach; avoid tour"


def test_what_the_rejected_share_stands_in_their_order() -> None:
    rejected = ("loud crowded expensive downtown bars", "loud crowded expensive downtown clubs")
    assert (
        action(Pick("a park", rejected)) == "prefer a park; avoid loud crowded expensive downtown"
    )


def test_rejected_options_that_share_nothing_are_named_three_at_most() -> None:
    picked = Pick("tea", ("coffee", "milk", "juice", "water"))
    assert action(picked) == "prefer tea over coffee or milk or juice"


def test_an_option_is_cut_before_its_explanation_and_at_a_word() -> None:
    assert action(Pick("tea - it is hot", ("milk (cold)",))) == "prefer tea over milk"
    assert action(Pick("NASA talks: space", ("word " * 40,))) == (
        "prefer NASA talks over " + "word " * 17 + "word"  # 18 words of 5 characters are 90
    )


@given(st.text(max_size=300), st.text(max_size=300))
def test_odd_texts_do_no_harm(said: str, reply: str) -> None:
    picked = pick(said, reply)
    if picked is not None:
        assert picked.chosen in options(reply)
        assert len(picked.rejected) == len(options(reply)) - 1
        assert action(picked).startswith("prefer ")


@given(
    st.text("12ab ).:,;-\n?orthefirstno#", max_size=60),
    st.lists(st.text("ab ).:,;-\n?or", max_size=20), max_size=9),
)
def test_odd_options_do_no_harm(said: str, items: list[str]) -> None:
    for reply in ("\n".join(f"{n}. {item}" for n, item in enumerate(items)), ", ".join(items)):
        picked = pick(said, reply)
        if picked is not None:
            assert all(
                option.strip() == option != "" for option in (picked.chosen, *picked.rejected)
            )
            assert len(action(picked)) < 500


@pytest.mark.parametrize("part", ["1. ", "- ", "or ", "i ", "then ", "(", " ", "\n", "a, ", "1 "])
def test_long_texts_of_marks_alone_end(part: str) -> None:
    reply = part * (4_000 // len(part))
    picked = pick("the first one " + reply, reply)
    assert picked is None or picked.chosen in options(reply)
