"""Each adapter on files of the published shape, written for the test."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from prefmem.errors import InputError
from prefmem.evaluate.benchmarks import longmemeval, perma, personalens, prefeval, profiles


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


PAIR = {"preference": "I never sail.", "question": "How do I reach the island?", "explanation": "-"}
CHOICE = {
    **PAIR,
    "conversation": {
        "query": "Boat or plane?", "assistant_options": "1. Boat 2. Plane",
        "user_selection": "The plane.", "assistant_acknowledgment": "Noted.",
    },
}  # fmt: skip
PERSONA = {
    **PAIR,
    "persona": "a pilot",
    "conversation": {
        "0": {"user": "I fly a lot.", "assistant": "Nice."},
        "1": {"user": "Water makes me ill.", "assistant": "Oh."},
    },
}
MCQ = {**PAIR, "classification_task_options": ["Fly.", "Sail.", "Swim.", "Row."]}


def test_prefeval_reads_all_forms_and_their_options(tmp_path: Path) -> None:
    write(tmp_path / "explicit_preference" / "travel.json", [PAIR])
    write(tmp_path / "implicit_preference" / "choice-based" / "travel.json", [CHOICE])
    write(tmp_path / "implicit_preference" / "persona-driven" / "travel.json", [PERSONA])
    write(tmp_path / "mcq_options" / "travel.json", [MCQ])
    found = {user.name: user for user in prefeval.users(tmp_path, 0)}
    assert set(found) == {"explicit 1", "choice 1", "persona 1"}
    (explicit,) = found["explicit 1"].sessions
    assert [(t.text, t.gold) for t in explicit.turns] == [("I never sail.", frozenset({0}))]
    (choice,) = found["choice 1"].sessions
    assert [(t.role, t.gold) for t in choice.turns] == [
        ("user", frozenset()), ("assistant", frozenset()), ("user", frozenset({0}))
    ]  # fmt: skip
    assert len(found["persona 1"].sessions[0].turns) == 4
    (request,) = found["choice 1"].requests
    assert (request.text, request.gold) == ("How do I reach the island?", frozenset({0}))
    assert (request.options[request.right], len(request.options)) == ("Fly.", 4)


def test_prefeval_deals_twenty_preferences_to_a_user(tmp_path: Path) -> None:
    pairs = [{**PAIR, "preference": f"I never sail on day {n}."} for n in range(45)]
    path = write(tmp_path / "travel.json", pairs)
    dealt = prefeval.users(path, 1)
    assert [len(user.gold) for user in dealt] == [20, 20, 5]
    assert {text for user in dealt for text in user.gold} == {one["preference"] for one in pairs}
    assert dealt == prefeval.users(path, 1) != prefeval.users(path, 2)


def test_prefeval_with_options_alone_reads_them_as_pairs(tmp_path: Path) -> None:
    path = write(tmp_path / "mcq_options" / "travel.json", [MCQ])
    (user,) = prefeval.users(path, 0)
    assert user.requests[0].options == ("Fly.", "Sail.", "Swim.", "Row.")


def test_prefeval_names_the_line_of_what_does_not_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "travel.json", [PAIR, {"preference": "x"}])
    message = (
        r"travel\.json, line 7: the field 'question' is missing; expected the fields preference"
    )
    with pytest.raises(InputError, match=message):
        prefeval.users(path, 0)
    with pytest.raises(InputError, match="holds no JSON file"):
        prefeval.users(_empty(tmp_path), 0)


def test_personalens_stores_affinities_and_asks_tasks(tmp_path: Path) -> None:
    folder = tmp_path / "user7"
    affinities = {
        "Trains": {"Seat": "window", "Class": ["first", "second"]},
        "Food": {"Seat": "bar"},
    }
    write(folder / "profile.json", {"affinities": affinities, "demographics": {"age": 40}})
    task = {"User Intent": "Book a train.", "Relevant Affinity Types": ["Seat"]}
    write(folder / "tasks.json", {"Task 1": {**task, "Relevant Domains": ["Trains"]}})
    write(folder / "tasks_md.json", {"Task 9": task})
    (user,) = personalens.users(tmp_path, 0)
    assert user.name == "user7"
    assert [(one.condition, one.action) for one in user.held] == [
        ("helping with trains", "Seat: window"), ("helping with trains", "Class: first, second"),
        ("helping with food", "Seat: bar"),
    ]  # fmt: skip
    one, several = user.requests
    assert (one.text, one.gold, one.group) == ("Book a train.", frozenset({0}), "one domain")
    assert (several.gold, several.group) == (frozenset({0, 2}), "several domains")


def test_personalens_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no profile\.json"):
        personalens.users(tmp_path, 0)
    write(tmp_path / "profile.json", {"affinities": {}, "demographics": {}})
    with pytest.raises(InputError, match=r"no tasks\.json"):
        personalens.users(tmp_path, 0)


def question(**changed: object) -> dict[str, Any]:
    return {
        "question_id": "q1", "question_type": "single-session-preference", "question": "A film?",
        "answer": "The user likes short films.", "question_date": "2023/05/30 (Tue) 10:00",
        "haystack_dates": ["2023/05/21 (Sun) 02:21", "2023/05/20 (Sat) 23:59"],
        "haystack_session_ids": ["s2", "s1"], "answer_session_ids": ["s1"],
        "haystack_sessions": [
            [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}],
            [{"role": "user", "content": "Short films only.", "has_answer": True},
             {"role": "assistant", "content": "Fine.", "has_answer": True},
             {"role": "user", "content": "Bye."}],
        ],
        **changed,
    }  # fmt: skip


def test_longmemeval_orders_sessions_and_marks_the_evidence(tmp_path: Path) -> None:
    (user,) = longmemeval.users(write(tmp_path / "longmemeval_oracle.json", [question()]), 0)
    first, second = user.sessions
    assert first.at == datetime(2023, 5, 20, 23, 59, tzinfo=UTC)
    assert [bool(turn.gold) for turn in first.turns] == [True, False, False]
    assert not any(turn.gold for turn in second.turns)
    (request,) = user.requests
    assert (request.group, request.answer) == (
        "single-session-preference", "The user likes short films."
    )  # fmt: skip
    assert request.at == datetime(2023, 5, 30, 10, tzinfo=UTC)


def test_longmemeval_wants_nothing_where_there_is_no_answer(tmp_path: Path) -> None:
    path = write(tmp_path / "longmemeval_s.json", [question(question_id="q1_abs")])
    (user,) = longmemeval.users(tmp_path, 0)
    assert user == longmemeval.users(path, 0)[0]
    assert user.requests[0].gold == frozenset()
    assert user.requests[0].group == "abstention"
    assert not any(turn.gold for session in user.sessions for turn in session.turns)


def test_longmemeval_refuses_lists_that_do_not_go_together(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [question(haystack_dates=["2023/05/21 (Sun) 02:21"])])
    with pytest.raises(InputError, match="2 haystack_sessions, 2 haystack_session_ids and 1 hay"):
        longmemeval.users(path, 0)
    odd = [[{"role": "cat", "content": "Miaow."}], []]
    path = write(tmp_path / "a.json", [question(haystack_sessions=odd)])
    with pytest.raises(InputError, match=r"haystack_sessions\[0\]\[0\]: role 'cat' is none of"):
        longmemeval.users(path, 0)


def checkpoint(**changed: object) -> dict[str, Any]:
    dialogues = [[{"role": "user", "content": "Tea, please."}]]
    return {
        "user_id": "u1", "dialogues": dialogues, "question": "What to drink?",
        "options": {"A": "Coffee", "B": "Tea"}, "answer": "b", "preferences": ["likes tea"],
        **changed,
    }  # fmt: skip


def test_perma_reads_a_checkpoint(tmp_path: Path) -> None:
    (user,) = perma.users(write(tmp_path / "tasks" / "u1" / "a.json", [checkpoint()]), 0)
    (request,) = user.requests
    assert (request.options, request.right) == (("Coffee", "Tea"), 1)
    assert (request.gold, user.gold) == (None, ("likes tea",))
    (user,) = perma.users(write(tmp_path / "b.json", [checkpoint(options=["Coffee", "Tea"])]), 0)
    assert user.requests[0].right == 1


def test_perma_refuses_an_answer_that_is_no_option(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [checkpoint(answer="C")])
    with pytest.raises(InputError, match="the answer 'C' is none of the options A, B"):
        perma.users(path, 0)


def test_profiles_turn_preferences_round(tmp_path: Path) -> None:
    wants = ["When the agent is explaining, you prefer examples.", "You want your name left out."]
    row = {"i": 3, "persona": "a cook", "preferences": wants}
    (user,) = profiles.users(write(tmp_path / "user_profiles.json", [row]), 0)
    assert [session.turns[0].text for session in user.sessions] == [
        "When you are explaining, I prefer examples.", "I want my name left out."
    ]  # fmt: skip
    assert user.gold == tuple(wants)
    assert len(user.requests) == 4
    assert all(request.gold == frozenset({0, 1}) for request in user.requests)


def _empty(folder: Path) -> Path:
    empty = folder / "empty"
    empty.mkdir()
    return empty
