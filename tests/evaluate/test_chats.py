"""Chat models that are asked the same thing only once."""

from collections.abc import Sequence
from pathlib import Path

from prefmem.evaluate.chats import Kept, named
from prefmem.evaluate.obedience import Message


class Counting:
    """Repeats the last message, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, conversations: Sequence[Sequence[Message]]) -> list[str]:
        self.asked += [one[-1]["content"] for one in conversations]
        return [one[-1]["content"].upper() for one in conversations]


def asked(*texts: str) -> list[list[Message]]:
    return [[{"role": "user", "content": text}] for text in texts]


def test_an_answer_is_kept_over_runs(tmp_path: Path) -> None:
    chat, path = Counting(), tmp_path / "deep" / "answers.jsonl"
    assert Kept(chat, path, key="a")(asked("x", "yy", "x")) == ["X", "YY", "X"]
    assert Kept(chat, path, key="a")(asked("yy", "z")) == ["YY", "Z"]
    assert chat.asked == ["x", "yy", "z"]


def test_another_model_is_asked_anew(tmp_path: Path) -> None:
    chat, path = Counting(), tmp_path / "answers.jsonl"
    Kept(chat, path, key="a")(asked("x"))
    Kept(chat, path, key="b")(asked("x"))
    assert chat.asked == ["x", "x"]


def test_a_torn_line_is_asked_again(tmp_path: Path) -> None:
    chat, path = Counting(), tmp_path / "answers.jsonl"
    Kept(chat, path, key="a")(asked("x"))
    Kept(chat, path, key="a")(asked("y"))
    path.write_bytes(path.read_bytes()[:-5])
    assert Kept(chat, path, key="a")(asked("x", "y")) == ["X", "Y"]
    assert Kept(chat, path, key="a")(asked("x", "y")) == ["X", "Y"]
    assert chat.asked == ["x", "y", "y"]


def test_an_address_is_not_named() -> None:
    assert named("https://me:secret@host/v1", None) == "a model at an address"
    assert named("https://host/v1", "llama") == "llama"
    assert named("smollm2", None) == "SmolLM2-135M-Instruct"
