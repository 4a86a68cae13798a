from pathlib import Path

import pytest

from prefmem.train.tagger import DATA
from prefmem.train.windows import (
    Span,
    WindowFormatError,
    WrittenWindow,
    load_split,
    parse_marks,
    read_windows,
)

BLOCK = """\
== x1 | travel | taste
A: A chain hotel or a guesthouse?
U: The guesthouse. <e>I can't stand <av>chain hotels</av></e>,
  they all smell.
= choosing a hotel | avoid chain hotels
"""


def read(tmp_path: Path, text: str) -> list[WrittenWindow]:
    path = tmp_path / "w.txt"
    path.write_text(text, encoding="utf-8")
    return list(read_windows(path))


def test_marks_become_spans_of_the_plain_text() -> None:
    text, spans = parse_marks("no <e>I hate <av>x</av></e>.", where="here")
    assert text == "no I hate x."
    assert spans == (Span("e", 3, 11), Span("av", 10, 11))


def test_a_block_is_read_with_its_gold_rule(tmp_path: Path) -> None:
    (window,) = read(tmp_path, BLOCK)
    (gold,) = window.gold
    assert [t.role for t in window.turns] == ["assistant", "user"]
    assert window.turns[1].text.endswith("chain hotels,\nthey all smell.")
    assert (gold.condition, gold.action) == ("choosing a hotel", "avoid chain hotels")
    assert (gold.polarity, gold.turn, gold.evidence) == ("avoid", 1, "I can't stand chain hotels")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("taste", "tasty", "unknown kind 'tasty'"),
        ("</av>", "", "<av> is not closed"),
        ("<av>", "", "</av> without <av>"),
        ("<e>", "<e><e>", "<e> opened twice"),
        ("<av>chain hotels</av>", "<av></av>", "<av> marks nothing"),
        ("= choosing a hotel | avoid chain hotels\n", "", "1 action marks, 0 '=' lines"),
        ("= choosing a hotel | ", "= ", "a rule line reads"),
        ("A: A chain", "A: A <do>chain</do>", "marks in an assistant turn"),
        ("U: The", "? The", "a line starts with"),
        ("== x1 | travel | taste", "== x1", "a head reads"),
        ("<e>I can't stand <av>chain hotels</av></e>", "<av>chain hotels</av>", "outside <e>"),
        ("== x1", "lost\n== x1", "text before the first head"),
        ("| taste", "| neg_chat", "kind 'neg_chat' with 1 rules"),
    ],
)
def test_a_broken_block_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(WindowFormatError, match=r"w\.txt:") as error:
        read(tmp_path, BLOCK.replace(old, new))
    assert message in str(error.value)


def test_a_window_ends_with_the_user(tmp_path: Path) -> None:
    with pytest.raises(WindowFormatError, match="ends with a user turn"):
        read(tmp_path, "== x1 | a | neg_chat\nU: hello\nA: hi\n")


def test_ids_are_unique_in_a_split(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(BLOCK + BLOCK, encoding="utf-8")
    with pytest.raises(WindowFormatError, match="ids used twice"):
        load_split(tmp_path)


def test_our_splits_are_large_and_do_not_overlap() -> None:
    splits = {name: load_split(DATA / "windows" / name) for name in ("train", "dev", "test")}
    assert len(splits["train"]) >= 2000
    assert len(splits["dev"]) >= 200
    assert len(splits["test"]) >= 400
    texts = {
        name: {turn.text for w in windows for turn in w.turns if len(turn.text) > 40}
        for name, windows in splits.items()
    }
    assert not texts["train"] & texts["test"]
    assert not texts["dev"] & texts["test"]
    assert not texts["train"] & texts["dev"]
