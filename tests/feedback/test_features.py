"""Each feature of style, seen in one edit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from prefmem.feedback.aligned import Edit
from prefmem.feedback.features import features
from prefmem.feedback.measure import Vote
from prefmem.feedback.passage import passage
from prefmem.feedback.wordlists import table as read


def votes(draft: str, final: str) -> dict[str, Vote]:
    edit = Edit(passage(draft), passage(final))
    return {vote.wish.name: vote for feature in features() for vote in feature.votes(edit)}


def table() -> list[tuple[str, str, str, str]]:
    """Give the rule that one change shows, the rule that its reverse shows, and the two texts."""
    text = Path(__file__).with_name("changes.txt").read_text(encoding="utf-8")
    rows = (line.replace("\\n", "\n").split(" | ") for line in text.splitlines())
    return [(there, back, draft, final) for there, back, draft, final in rows]


CHANGES = table()


@pytest.mark.parametrize(("there", "back", "before", "after"), CHANGES)
def test_a_change_is_seen_both_ways(there: str, back: str, before: str, after: str) -> None:
    for name, draft, final in ((there, before, after), (back, after, before)):
        if name:
            vote = votes(draft, final)[name]
            assert vote.moved
            assert vote.weight > 0
            assert vote.evidence in final
            assert all(draft[a:b] for a, b in vote.explains)
            assert votes(final, draft).get(name, Vote(vote.wish, -1.0)).weight < 0


def test_every_rule_can_stand_alone_and_has_one_name() -> None:
    rules = {
        f"{entry['name']}:{way}": entry[way]
        for entry in table_of("mark")
        for way in ("drop", "add")
        if way in entry
    }
    rules |= {
        f"{entry['name']}:{form}": given["rule"]
        for entry in table_of("choice")
        for form, given in entry["forms"].items()
    }
    for action in rules.values():
        assert action[0].isupper()
        assert action.endswith(".")
        assert not any(c.isdigit() for c in action.replace("24h", "").replace("12h", ""))
    assert len(rules) > 150


def table_of(kind: str) -> Sequence[Mapping[str, Any]]:
    return cast(Sequence[Mapping[str, Any]], read("features")[kind])


def test_a_choice_that_stays_as_it_was_is_no_move() -> None:
    text = "It is dry. I think it is. It works. it is late."
    vote = votes(text, text)["first letter:upper"]
    assert (vote.moved, vote.weight) == (False, 0.25)


def test_what_was_taken_out_speaks_against_putting_it_in() -> None:
    assert votes("It is dry!", "It is dry.")["exclamation:add"].weight == -1.0
    assert votes("It is dry.", "It is wet.")["exclamation:add"].weight == -0.4


def test_single_words_of_a_long_list_may_stay() -> None:
    draft = "It is just that we actually need more chairs, really, and basically a lamp."
    found = votes(draft, "It is just that we need more chairs, and a lamp.")["fillers:drop"]
    assert found.moved
    assert 0 < found.weight < 1
    assert votes(draft, draft.replace("actually ", ""))["fillers:drop"].weight == -0.5
    assert votes("We need it.", "We just need it.")["fillers:drop"].weight == -0.3


@pytest.mark.parametrize(
    ("after", "name"),
    [
        ("Come **on 4 May** then.", "bold:Put dates and times in bold."),
        ("Bring **40 ropes** then.", "bold:Put numbers and amounts in bold."),
        ("**Rope:** bring it.", "bold:Put headings and lead words in bold."),
        ("Bring **rope** then.", "bold:Put key words in bold."),
    ],
)
def test_what_is_bold(after: str, name: str) -> None:
    before = after.replace("**", "")
    assert votes(before, after)[name].moved
    assert votes(after, before)["bold:drop"].moved
    assert votes(after, after)["bold:drop"].weight == -1.0


def test_greeting_words_stand_against_each_other() -> None:
    assert votes("Hi Mia,\nit is dry.", "Hi Mia,\nit is wet.")["greeting word:hi"].weight == 0.25
    none = votes("Hi Mia,\nit is dry.", "It is dry.")["greeting word:none"]
    assert (none.wish.action, none.wish.family) == ("", "greeting word")


def test_quantities_are_compared_by_their_ratio() -> None:
    ten = "one two three four five six seven eight nine ten."
    short = votes(ten * 2, ten)
    assert short["length:short"].moved
    assert short["length:long"].weight == -1.0
    nearly = votes(ten + " " + ten, ten + " one two three four five six.")["length:short"]
    assert (nearly.moved, nearly.weight) == (False, 0.25)  # 16 of 20
    same = votes(ten + " " + ten, ten + " one two three four five six seven eight nine.")
    assert same["length:short"].weight == -0.4  # 19 of 20
    assert votes(ten, ten)["length:short"].weight == -1.0
    assert "sentences:short" not in votes("!", "It is dry.")
