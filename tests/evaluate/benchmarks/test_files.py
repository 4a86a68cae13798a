"""Files that do not fit are refused by file, line, field, and what was expected."""

from pathlib import Path

import pytest

from prefmem.errors import InputError
from prefmem.evaluate.benchmarks.files import entries, whole


def written(folder: Path, text: str, name: str = "a.json") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_list_is_read_entry_by_entry(tmp_path: Path) -> None:
    path = written(tmp_path, '[\n {"a": "x"},\n\n {"a": "y"}\n]\n')
    found = list(entries(path, "a"))
    assert [one.text("a") for one in found] == ["x", "y"]
    assert [one.where for one in found] == ["a.json, line 2", "a.json, line 4"]


def test_lines_and_objects_of_objects_are_read(tmp_path: Path) -> None:
    lines = written(tmp_path, '{"a": "x"}\n\n{"a": "y"}\n', "b.jsonl")
    assert [(one.text("a"), one.where) for one in entries(lines, "a")] == [
        ("x", "b.jsonl, line 1"), ("y", "b.jsonl, line 3")
    ]  # fmt: skip
    named = written(tmp_path, '{\n "Task 1": {"a": "x"},\n "Task 2": {"a": "y"}}')
    assert [(one.key, one.text("a")) for one in entries(named, "a")] == [
        ("Task 1", "x"), ("Task 2", "y")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"b": 1}]', r"line 1: the field 'a' is missing; expected the fields a, c; found b"),
        ('[\n{"a": 3}]', r"line 2: the field 'a' is a number, not text"),
        ('[{"a": " "}]', r"the field 'a' is text, not text|'a' is text"),
        ('[\n\n"x"]', r"line 3: expected an object with the fields a, c; found text"),
        ('[{"a": "x"}\n{"a": "y"}]', r"line 2: no JSON: a comma or \] is missing"),
        ('[{"a": "x"},\n{"a": }]', r"line 2: no JSON"),
        ('"x"', r"line 1: expected JSON objects with a, c"),
        ("", r"line 1: expected JSON objects"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        [one.text("a") for one in entries(written(tmp_path, text), "a", "c")]


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"a\.json' cannot be read"):
        list(entries(path, "a"))
    with pytest.raises(InputError, match="cannot be read"):
        whole(tmp_path / "none.json", "a")


def test_nested_fields_tell_their_path(tmp_path: Path) -> None:
    one = whole(
        written(tmp_path, '{"a": {"b": {"c": 1}}, "l": [["x"], 3], "t": []}'), "a", "l", "t"
    )
    with pytest.raises(InputError, match=r"line 1, a, b: the field 'd' is missing"):
        one.within("a", "b").within("b", "d").text("d")
    with pytest.raises(InputError, match="'l' is a list, not a list of lists"):
        one.lists("l")
    with pytest.raises(InputError, match="'t' is a list, not a list of texts"):
        one.texts("t")
    with pytest.raises(InputError, match="'l' is a list, not an object"):
        one.within("l")
    assert [inner.key for inner in one.each("a", "c")] == ["b"]
