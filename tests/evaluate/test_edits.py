"""A smaller run of the measurement, and its parts."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from prefmem.evaluate.edits import (
    STYLES,
    Document,
    best_profile,
    course,
    documents,
    learner,
    measure,
    written,
)
from prefmem.evaluate.rewriting import CHANGES, understood
from prefmem.evaluate.run import app
from prefmem.feedback.edits import cost


def test_documents_are_of_all_kinds_and_follow_the_seed() -> None:
    work = documents(3, each=13)
    assert work == documents(3, each=13)
    assert work != documents(4, each=13)
    assert {kind: sum(d.kind == kind for d in work) for kind in STYLES} == dict.fromkeys(STYLES, 13)
    assert not [d for d in work if "{" in d.neutral or d.neutral == d.wanted]
    assert any(d.context == "a mail to the caretaker about the lift" for d in work)


@given(st.integers(0, 40))
@settings(max_examples=20, deadline=None)
def test_a_text_in_its_style_stays(seed: int) -> None:
    for document in documents(seed, each=2):
        for name in STYLES[document.kind]:
            assert CHANGES[name](document.wanted) == document.wanted


def test_learning_saves_edits_against_one_profile_for_all() -> None:
    seen: list[tuple[str, int, int]] = []

    def tell(stage: str, done: int, total: int) -> None:
        seen.append((stage, done, total))

    figures = measure(seeds=(1,), each=16, progress=tell)
    assert figures["saved against no learning"].low > 0.4
    assert figures["saved against rolling profile of 64 edits"].value > 0.4
    assert figures["rules with a fact of the texts"].value == 0.0
    assert figures["planted styles recovered"].value > 0.7
    assert figures["tokens: all rules known"].value < figures["tokens: similar contexts"].value
    assert figures["tokens: best single profile"].cases == 64
    assert (seen[0], seen[-1]) == (("courses", 0, 7), ("courses", 7, 7))


def test_a_course_starts_with_nothing_and_gathers_facts() -> None:
    work = documents(1, each=3)
    made = course(work, "ours", seed=1)
    assert made == course(work, "ours", seed=1)
    assert made.costs[0] == cost(work[0].neutral, work[0].wanted).tokens
    assert (made.rules[0], made.facts[0]) == ((), frozenset())
    assert made.facts[1] < made.facts[-1]
    assert course(work, "none", seed=1).rules == ((),) * 12


def test_the_best_profile_has_what_saves_edits_over_all() -> None:
    mail = Document("mails", "", "It is not on; two.", "It isn't on; two.")  # one token less
    note = Document("notes", "", "It is not on; two.", "It is not on; 2.")
    assert best_profile([mail, mail, note]) == ("contract",)
    assert best_profile([mail, note, note]) == ("digits",)


def test_the_writer_slips_alike_on_the_same_document() -> None:
    rules = ["Use contractions.", "Be kind.", 'Greet with "hey".']
    drafts = [written("Hello Ada, it is on.", rules, seed=0, number=n) for n in range(300)]
    assert drafts == [written("Hello Ada, it is on.", rules, seed=0, number=n) for n in range(300)]
    kept = {text: drafts.count(text) for text in set(drafts)}
    # of 300, 0.9 x 0.9 keep both: 243, within four deviations of 6.8
    assert abs(kept["Hey Ada, it's on."] - 243) < 28
    assert set(kept) <= {
        "Hey Ada, it's on.", "Hello Ada, it's on.", "Hey Ada, it is on.", "Hello Ada, it is on.",
    }  # fmt: skip


def test_the_learner_gives_rules_as_text() -> None:
    items = [
        {"context": "a mail", "draft": f"{what}!", "final": f"{what}."}
        for what in ("It is dry", "We meet there")
    ]
    assert learner(items, "a mail") == ["Use no exclamation marks."]


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("Use contractions.", "Do not wait. I am in.", "Don't wait. I'm in."),
        ("Use no contractions; write the full forms.", "Don't wait.", "Do not wait."),
        ('Greet with "hi".', "Hello Ada,", "Hi Ada,"),
        ('Sign off with "cheers".', "On.\n\nBest,\nA", "On.\n\nCheers,\nA"),
        ("Leave out polite opening phrases and small talk.", "I hope so. It is on.", "It is on."),
        ("Do not offer further help at the end.", "On.\n\nFeel free to call.", "On."),
        ("Leave out hedges such as maybe.", "It is perhaps on.", "It is on."),
        ("Leave out intensifiers such as very.", "It is very big.", "It is big."),
        ("Write numbers as digits, not in words.", "Two at one.", "2 at one."),
        ("Spell out numbers as words.", "2 on May 3 at 4:00. 5 on 6 May.",
         "Two on May 3 at 4:00. Five on 6 May."),
        ("Write times in 24h format.", "At 12:05 am, 1:30 pm.", "At 0:05, 13:30."),
        ("Write times in 12h format.", "At 0:05, 13:30.", "At 12:05 am, 1:30 pm."),
        ("Write dates with the day before the month name.", "On May 3.", "On 3 May."),
        ("Write dates with the month name before the day.", "On 3 May.", "On May 3."),
        ("Use bullet points.", "One. Two.", "- One.\n- Two."),
        ("Use bullet points.", "One.\nTwo.", "One.\nTwo."),
        ("End list items without a full stop.", "- One.\nTwo.", "- One\nTwo."),
        ("Use exclamation marks.", "One. Two.", "One. Two!"),
        ('Use an ampersand (&) instead of "and".', "You and me.", "You & me."),
    ],
)  # fmt: skip
def test_what_the_writer_does_on_a_rule(rule: str, before: str, after: str) -> None:
    found = understood(rule)
    assert found is not None
    assert found.change(before) == after
    assert found.change(after) == after


def test_other_rules_are_not_understood() -> None:
    assert understood("Be kind.") is None


def test_the_table_is_printed_and_written(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["edits", "--seeds", "1", "2", "--each", "4", "--out", str(tmp_path), "--no-plots"]
    )
    assert done.exit_code == 0, done.output
    content = json.loads((tmp_path / "edits.json").read_text(encoding="utf-8"))
    assert (content["seed"], content["settings"]["each"]) == ([1, 2], 4)
    edited = content["parts"][0]
    assert edited["title"] == "Edited"
    cases = {cell["cases"] for row in edited["rows"].values() for cell in row.values() if cell}
    assert cases == {32}
