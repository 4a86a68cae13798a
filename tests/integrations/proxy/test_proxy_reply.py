"""What the assistant said, read from whole and broken answers."""

import gzip
import json
from typing import Any

import pytest

from prefmem_server.proxy_reply import Reply, Tee, read_reply


def event(delta: Any, index: int = 0, reason: str | None = None) -> str:  # noqa: ANN401  # as upstreams send it
    choice = {"index": index, "delta": delta, "finish_reason": reason}
    return f"data: {json.dumps({'choices': [choice]})}"


HELLO = event({"role": "assistant", "content": "Hel"}), event({"content": "lo 😀"})


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_stream_with_any_line_ends(end: str) -> None:
    text = f"{end}{end}".join([": hi", *HELLO, "event: x", "id: 1", "data: [DONE]", ""])
    assert read_reply(text.encode()) == Reply("Hello 😀")


def test_a_stream_without_its_end() -> None:
    assert read_reply("\n\n".join(HELLO).encode()) == Reply("Hello 😀")


def test_a_stream_cut_anywhere_gives_its_beginning() -> None:
    data = ("\n\n".join(HELLO) + "\n\ndata: [DONE]\n\n").encode()
    for cut in range(len(data)):
        assert "Hello 😀".startswith(read_reply(data[:cut]).text)


def test_data_over_several_lines_and_without_a_space() -> None:
    text = 'data:{"choices":\ndata: [{"delta": {"content": "Hi"}}]}\n\n'
    assert read_reply(text.encode()) == Reply("Hi")


def test_broken_events_are_left_out() -> None:
    broken = ["data: {", "data: [1]", "data: null", 'data: {"choices": 1}', "data: " + "[" * 9999,
              'data: {"choices": [1, {"index": "a"}]}', event("x"),
              event({"content": 7})]  # fmt: skip
    text = "\n\n".join([HELLO[0], *broken, HELLO[1], ""])
    assert read_reply(text.encode()) == Reply("Hello 😀")


def test_the_first_choice_counts() -> None:
    text = "\n\n".join([HELLO[0], event({"content": "No"}, 1), HELLO[1]])
    assert read_reply(text.encode()) == Reply("Hello 😀")
    whole = {"choices": [{"index": 1, "message": {"content": "No"}}]}
    whole["choices"].append({"index": 0, "message": {"content": "Yes"}})
    assert read_reply(json.dumps(whole).encode()) == Reply("Yes")


def test_calls_of_tools_are_seen() -> None:
    calls = event({"tool_calls": [{"index": 0}]})
    assert read_reply(calls.encode()) == Reply("", calls=True)
    assert read_reply(event({}, reason="tool_calls").encode()) == Reply("", calls=True)
    whole = {"choices": [{"message": {"content": None, "function_call": {"name": "f"}}}]}
    assert read_reply(json.dumps(whole).encode()) == Reply("", calls=True)


def test_content_in_parts() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}, {"type": "image"}, 1]
    whole = {"choices": [{"message": {"content": parts}}]}
    assert read_reply(json.dumps(whole).encode()) == Reply("Hello")


def test_a_compressed_answer_that_is_cut_gives_its_beginning() -> None:
    text = "\n\n".join(event({"content": f"{n} "}) for n in range(3000))
    data = gzip.compress(text.encode())
    found = read_reply(data[: len(data) // 2], encoding="gzip").text
    assert found.startswith("0 1 2 3 ")
    assert "2999" not in found


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b" " * 64 * 2**20)
    assert read_reply(bomb, encoding="gzip") == Reply()


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"{", b"[]", b"data", b"data:", b"\0" * 99])
@pytest.mark.parametrize("encoding", ["", "gzip", "deflate", "br", "gzip, br", "x"])
def test_junk_says_nothing(data: bytes, encoding: str) -> None:
    assert read_reply(data, encoding=encoding) == Reply()


def test_a_tee_keeps_a_bounded_copy() -> None:
    tee = Tee()
    for _ in range(10):
        tee.add(b"x" * 2**20)
    assert tee.held() == b"x" * (4 * 2**20)
