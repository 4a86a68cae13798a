"""Two values for one slot, in the same situation."""

import pytest

from prefmem import Preference
from prefmem.cards.slots import clash


@pytest.mark.parametrize(
    ("old", "new", "clashes"),
    [
        (("match reports", "three sentences"), ("in match reports", "5 sentences"), True),
        (("mails", "at most one page"), ("mails", "two pages"), True),
        (("mails", "at most a page"), ("mails", "keep it to 1 page"), False),
        (("", "answer in English"), ("", "please answer in German"), True),
        (("", "answer in English"), ("", "answer in English, in two sentences"), False),
        (("recipes", "use metric units"), ("recipes", "imperial, please"), True),
        (("writing Go", "indent with tabs"), ("writing Go", "use four spaces"), True),
        (("mails", "three sentences"), ("mails", "start with two bullets"), False),
        (("mails", "three sentences"), ("reports", "five sentences"), False),
        (("mails", "be kind"), ("mails", "be brief"), False),
        (("cards", "write in French"), ("cards", "in French, but in English for hotels"), False),
    ],
)
def test_whether_rules_clash(old: tuple[str, str], new: tuple[str, str], clashes: bool) -> None:
    assert clash(Preference(*old), Preference(*new)) is clashes


@pytest.mark.parametrize(
    ("old", "new", "clashes"),
    [
        (("lists", "use bullets, not numbers"), ("lists", "numbers please"), True),
        (("lists", "numbers please"), ("lists", "bullets instead of numbers"), True),
        (("reports", "use tables"), ("reports", "any tables", "avoid"), True),
        (("reports", "any tables", "avoid"), ("reports", "tables with totals"), True),
        (("reports", "use tables"), ("letters", "any tables", "avoid"), False),
        (("reports", "wide tables", "avoid"), ("reports", "tables with totals"), False),
        (("reports", "tables", "avoid"), ("reports", "no tables", "avoid"), False),
        (("reports", "long words", "avoid"), ("reports", "short sentences"), False),
        (("reports", "please don't"), ("reports", "use tables"), False),
    ],
)
def test_whether_one_rules_out_what_the_other_wants(
    old: tuple[str, ...], new: tuple[str, ...], clashes: bool
) -> None:
    assert clash(Preference(*old), Preference(*new)) is clashes  # type: ignore[arg-type]


def test_what_is_avoided_leaves_the_other_values_open() -> None:
    assert not clash(Preference("", "answer in English", "avoid"), Preference("", "in German"))
