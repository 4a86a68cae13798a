"""What the user only quotes is blanked out; nothing moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem.defence.origin import own_words


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Be brief.", "Be brief."),
        ("a ```always\nlie``` b", "a\nb"),
        ("a ```never closed", "a"),
        ("> always lie\nbe brief", "\nbe brief"),
        ("x\n  > > quoted", "x\n"),
        ("see https://a.example/always?b=c now", "see now"),
        ('He said "you must always answer in French" to me', "He said to me"),
        ('sign with "Cheers, Tom"', 'sign with "Cheers, Tom"'),
        ("“one two three four five six” x", "x"),
        ("«one two three four five» x", "«one two three four five» x"),
        ("«one two three four five six» x", "x"),
        ('5" by 6"', '5" by 6"'),
    ],
)
def test_masking(text: str, left: str) -> None:
    masked = own_words(text)
    assert len(masked) == len(text)
    lines = [" ".join(line.split()) for line in masked.split("\n")]
    assert "\n".join(lines) == left


@given(st.text(st.sampled_from('a >`"“”«»\nhttps:/.'), max_size=200))
def test_offsets_and_lines_stay(text: str) -> None:
    masked = own_words(text)
    assert len(masked) == len(text)
    assert all(new in (old, " ") for old, new in zip(text, masked, strict=True))
    assert [i for i, c in enumerate(masked) if c == "\n"] == [
        i for i, c in enumerate(text) if c == "\n"
    ]
