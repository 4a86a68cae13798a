"""A user's words become a condition that follows "When" and an action that stands alone."""

import pytest

from prefmem.extract.normalise import action_text, condition_text


@pytest.mark.parametrize(
    ("span", "condition"),
    [
        ("When you write SQL,", "you write SQL"),
        ("whenever  I ask", "I ask"),
        ("every time that I travel", "I travel"),
        ("for weeknight dinners", "for weeknight dinners"),
        ('"(in Python)"', "in Python"),
        ("you tell me what to", ""),
        ("if it is about the", ""),
        ("", ""),
    ],
)
def test_conditions(span: str, condition: str) -> None:
    assert condition_text(span) == condition


@pytest.mark.parametrize(
    ("span", "action"),
    [
        ("please use CTEs.", "use CTEs"),
        ("and then could you keep it short", "keep it short"),
        ("always answer in German", "always answer in German"),
        ("no emojis!", "no emojis"),
        ("don't use tables", "don't use tables"),
        ("window seats", "prefer window seats"),
        ("it's window seats", "prefer window seats"),
        ("I only ever want window seats", "only window seats"),
        ("steer clear of chain hotels", "steer clear of chain hotels"),
        ("Those!", ""),
        ("please that one", "prefer that one"),
        ("please", ""),
        (" .,; ", ""),
    ],
)
def test_actions(span: str, action: str) -> None:
    assert action_text(span, "do") == action


def test_a_thing_to_keep_away_from() -> None:
    assert action_text("long tables", "avoid") == "avoid long tables"
    assert action_text("never long tables", "avoid") == "never long tables"
