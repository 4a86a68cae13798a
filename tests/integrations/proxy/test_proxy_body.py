"""Rules go into a request without touching the rest of its bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem_server.proxy_body import TwiceError, last_user, read_body, text_of, with_block
from prefmem_server.proxy_settings import Placement

BLOCK = 'Say "hi"\nand \\ 😀'


def placed(body: str, placement: Placement = "system", block: str = BLOCK) -> str:
    read = read_body(body.encode())
    assert read is not None
    return with_block(read, block, placement).decode()


def messages(body: str, placement: Placement = "system") -> Any:  # noqa: ANN401  # parsed JSON
    return json.loads(placed(body, placement))["messages"]


def test_a_system_message_is_made_where_there_is_none() -> None:
    body = '{"messages" : [ {"role":"user","content":"Hi"} ],"x":1.50}'
    new = json.dumps({"role": "system", "content": BLOCK})
    assert placed(body) == f'{{"messages" : [ {new}, {{"role":"user","content":"Hi"}} ],"x":1.50}}'


def test_the_last_of_the_opening_system_messages_gets_the_block() -> None:
    body = '{"messages":[{"role":"system","content":"A"},{"content":"B","role":"developer"},'
    body += '{"role":"user","content":"Hi"},{"role":"system","content":"C"}]}'
    assert [m["content"] for m in messages(body)] == ["A", f"B\n\n{BLOCK}", "Hi", "C"]


def test_parts_get_one_more() -> None:
    body = '{"messages":[{"role":"system","content":[ {"type":"text","text":"A"} ] }]}'
    part = json.dumps({"type": "text", "text": BLOCK})
    system = '{"messages":[{"role":"system","content":[ {"type":"text","text":"A"}, %s ] }]}'
    assert placed(body) == system % part
    empty = '{"messages":[{"role":"system","content":[ ]}]}'
    assert messages(empty)[0]["content"] == [{"type": "text", "text": BLOCK}]


@pytest.mark.parametrize("content", ["null", "7", "{}", None])
def test_a_system_message_that_cannot_hold_it_stays_alone(content: str | None) -> None:
    held = f', "content": {content}' if content else ""
    alone = f'{{"messages":[{{"role":"system"{held}}}]}}'
    assert messages(alone)[1] == {"role": "system", "content": BLOCK}
    before = f'{{"messages":[{{"role":"system"{held}}}, {{"role":"user","content":"Hi"}}]}}'
    assert [m["role"] for m in messages(before)] == ["system", "system", "user"]


def test_an_empty_system_message_gets_no_empty_lines() -> None:
    assert messages('{"messages":[{"role":"system","content":""}]}')[0]["content"] == BLOCK


def test_the_question_gets_the_block_before_its_words() -> None:
    body = '{"messages":[{"role":"user","content":"A"},{"role":"assistant","content":"B"},'
    body += '{"role":"user","content":%s},{"role":"tool","content":"D"}]}'
    assert messages(body % '"C"', "user")[2]["content"] == f"{BLOCK}\n\nC"
    assert messages(body % '""', "user")[2]["content"] == BLOCK
    part = {"type": "text", "text": BLOCK}
    image = {"type": "image_url", "image_url": {"url": "x"}}
    found = messages(body % f"[ {json.dumps(image)}]", "user")[2]["content"]
    assert found == [part, image]
    assert messages(body % "[]", "user")[2]["content"] == [part]
    alone = messages(body % "null", "user")
    assert [m["role"] for m in alone] == ["user", "assistant", "user", "user", "tool"]
    assert alone[2]["content"] == BLOCK
    nobody = '{"messages":[{"role":"assistant","content":"B"}]}'
    assert messages(nobody, "user")[0] == {"role": "system", "content": BLOCK}


def test_without_a_block_nothing_changes() -> None:
    body = '\t{"messages":[{"role":"user","content":"\\u00e9"}] , "a":[],"b":{}}\r\n '
    assert placed(body, block="") == body


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"null", b"[]", b"7", b'"x"', b"{", b"{}", b'{"messages":[]}', b'{"messages":1}',
        b'{"messages":[1]}', b'{"messages":[{}]', b'{"messages":[{}]}x', b'{"messages":[{}],}',
        b'{"messages":[{},]}', b'{,"messages":[{}]}', b'{"messages" [{}]}', b'{1:2}',
        b'{"messages":[{} {}]}', b"\xff", b'\xef\xbb\xbf{"messages":[{}]}', b'{"messages":"[{}]"}',
        b'{"messages":[{"a":' + b"[" * 100_000 + b"]}", b'{"a":' * 100_000,
        b'{"messages":[' + b"{}," * 20_000 + b"{}]}",
    ],
)  # fmt: skip
def test_what_is_no_chat_request_is_not_read(body: bytes) -> None:
    assert read_body(body) is None


def test_a_field_that_stands_twice_is_refused() -> None:
    for key in ("messages", "user", "metadata"):
        with pytest.raises(TwiceError):
            read_body(f'{{"messages":[{{}}],"{key}":1,"{key}":2}}'.encode())


def test_huge_numbers_and_odd_values_are_read() -> None:
    body = '{"messages":[{"role":"user","content":"a\nb"}],"n":%s,"x":NaN}' % ("9" * 100_000)
    assert placed(body, block="") == body
    new = json.dumps({"role": "system", "content": BLOCK})
    assert placed(body) == body.replace('[{"role"', f'[{new}, {{"role"')


def test_the_texts_of_messages() -> None:
    assert text_of({"content": "A"}) == "A"
    parts = ["A", {"type": "text", "text": "B"}, {"type": "image_url"}, {"text": "no"}, 3,
             {"type": "text", "text": 3}, {"type": "input_text", "text": "C"}]  # fmt: skip
    assert text_of({"content": parts}) == "A\nB\nC"
    for content in (None, 3, {"text": "no"}):
        assert text_of({"content": content}) == ""
    assert text_of({}) == ""
    assert last_user([{"role": "user"}, {"role": "user"}, {"role": "tool"}]) == 1
    assert last_user([{"role": ["user"]}, {}]) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
contents = st.one_of(
    st.none(), st.text(max_size=20),
    st.lists(
        st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=9)}), max_size=3
    ),
)  # fmt: skip
turns = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
        "content": contents,
    },
    optional={"extra": values, "name": st.text(max_size=5)},
)


@given(
    st.dictionaries(st.text(max_size=5).filter(lambda k: k != "messages"), values, max_size=3),
    st.lists(turns, min_size=1, max_size=5),
    st.sampled_from([None, 1]),
    st.booleans(),
    st.sampled_from(["system", "user"]),
    st.text(min_size=1, max_size=40),
)
def test_any_request_keeps_all_its_bytes_and_gains_the_block(
    fields: dict[str, Any],
    said: list[dict[str, Any]],
    indent: int | None,
    plain: bool,
    placement: Placement,
    block: str,
) -> None:
    text = json.dumps({**fields, "messages": said}, indent=indent, ensure_ascii=plain)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which no UTF-8 holds
        return
    body = read_body(text.encode())
    assert body is not None
    sent = with_block(body, block, placement).decode()
    before = next(
        (n for n, (a, b) in enumerate(zip(text, sent, strict=False)) if a != b), len(text)
    )
    more = len(sent) - len(text)
    assert any(
        sent[:at] + sent[at + more :] == text for at in range(max(0, before - more), before + 1)
    )
    parsed = json.loads(sent)
    left = [m for m in parsed.pop("messages") if m not in said]
    assert len(left) <= 1
    assert parsed == json.loads(json.dumps(fields))
    assert json.dumps(block)[1:-1] in sent
