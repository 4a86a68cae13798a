"""Documents: read from all kinds of files, gathered without what must not be learned, split."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem.agent.alike import distinct
from prefmem.agent.documents import MAX_CHARS, gather, read, split, tidy
from prefmem.agent.files import read_documents, write_documents
from prefmem.agent.lesson import Document
from prefmem.agent.mailtext import mail_of, own_words
from prefmem.errors import InputError

MBOX = b"""\
From maria@x.org Mon Jan  1 10:00:00 2024
From: Maria Sommer <maria@x.org>
To: Tom Weber <tom@x.org>, ann@x.org
Subject: Re: AW: =?utf-8?q?Budget_f=C3=BCr_Mai?=
Date: Mon, 1 Jan 2024 10:00:00 +0100
Content-Type: text/plain; charset=utf-8

Hi Tom,

the budget is done.
>From then on it is yours.

Cheers,
Maria

On Sun, 31 Dec 2023 at 10:00, Tom Weber
<tom@x.org> wrote:
> where is the budget?

From tom@x.org Mon Jan  2 10:00:00 2024
From: tom@x.org
Date: nonsense

Well done!
"""


def lines(path: Path, *rows: object) -> Path:
    said = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(f"{line}\n" for line in said), encoding="utf-8")
    return path


def document(text: str, kind: str = "text", at: datetime | None = None) -> Document:
    return Document(sha256(text.encode()).hexdigest()[:16], text, kind, at=at)


def texts(path: Path, **how: str) -> list[str]:
    return [d.text for d in read(path, **how)]


# Reading


def test_rows_of_texts(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "a.jsonl",
        {"text": " A fine book. ", "kind": "Review", "at": "2024-02-01T10:00:00+01:00", "n": 1},
        {"body": "It is done.", "to": ["Tom", "Ann"], "title": "Plan", "timestamp": 1_700_000_000},
    )
    first, second = read(path)
    assert first == Document(
        sha256(b"A fine book.").hexdigest()[:16], "A fine book.", "review",
        at=datetime(2024, 2, 1, 9, tzinfo=UTC),
    )  # fmt: skip
    assert (second.kind, second.to, second.subject) == ("text", "Tom", "Plan")
    assert second.at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_of_chats_the_users_words_are_read(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "A soup, please."},
        {"role": "assistant", "content": "Chop two onions."},
        {"role": "user", "content": [{"type": "image"}]},
    ]
    path = lines(
        tmp_path / "a.jsonl", {"user_id": "ann", "messages": messages},
        {"role": "user", "content": "And a cake."}, {"role": "assistant", "content": "Fine."},
    )  # fmt: skip
    assert [(d.text, d.kind) for d in read(path)] == [
        ("A soup, please.", "chat"), ("And a cake.", "chat"),
    ]  # fmt: skip


def test_broken_rows_are_counted_and_the_others_read(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "a.jsonl", "{bad", {"n": 1}, 7, {"text": 7}, {"text": ""}, {"text": "?!"},
        {"text": "Tea."}, "", "[" * 100_000,
    )  # fmt: skip
    found = gather([path])
    assert [d.text for d in found.documents] == ["Tea."]
    assert found.left_out == {"empty": 2, "not readable": 5}


def test_a_list_in_a_json_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(["Tea.", {"text": "Milk."}]), encoding="utf-8")
    assert texts(path) == ["Tea.", "Milk."]


def test_a_mailbox(tmp_path: Path) -> None:
    path = tmp_path / "sent.mbox"
    path.write_bytes(MBOX)
    (mail,) = read(path, author="MARIA@x.org")
    assert (
        mail.text == "Hi Tom,\n\nthe budget is done.\nFrom then on it is yours.\n\nCheers,\nMaria"
    )
    assert (mail.kind, mail.to, mail.subject) == ("mail", "Tom Weber and others", "Budget für Mai")
    assert mail.at == datetime(2024, 1, 1, 9, tzinfo=UTC)
    (other,) = read(path, author="tom@x.org", kind="letter")
    assert (other.text, other.kind, other.at) == ("Well done!", "letter", None)


def test_whose_mails_they_are_has_to_be_said(tmp_path: Path) -> None:
    path = tmp_path / "all.mbox"
    path.write_bytes(MBOX)
    with pytest.raises(InputError, match="2 authors") as refused:
        read(path)
    assert "tom" not in str(refused.value).lower()
    assert gather([path], author=["Maria Sommer", "x"]).left_out == {"of others": 1}


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"no mail at all\n" * 9, b"\n\nFrom", b"From x\n", MBOX[:300], MBOX[:700],
        b"From x\n" * 9, MBOX.replace(b"utf-8", b"x-none"), MBOX.replace(b"=?utf-8?q?", b"=?x?q?="),
        MBOX.replace(b"text/plain", b"multipart/mixed; boundary=zz"),
        MBOX.replace(b"budget is", b"b\xff\xfed is"), MBOX.replace(b"\n", b"\r\n"),
        MBOX.replace(b"1 Jan 2024", b"99 Foo 99999"), MBOX.replace(b"From: ", b"From: <<,;\"@ "),
    ],
)  # fmt: skip
def test_a_broken_mailbox_is_read_as_far_as_it_goes(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "broken.mbox"
    path.write_bytes(raw)
    found = gather([path], author="maria@x.org")
    assert all(d.text and d.kind == "mail" for d in found.documents)


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    (tmp_path / "reviews").mkdir()
    (tmp_path / "reviews" / "b.md").write_text("# Fine\n\nI loved it.", encoding="utf-8")
    (tmp_path / "a.txt").write_bytes("Größe.".encode("utf-16"))
    (tmp_path / "c.txt").write_bytes("Größe zwei.".encode("cp1252"))
    (tmp_path / "1.").write_bytes(b"Message-ID: <1>\nFrom: a@x.org\nSubject: Tea\n\nDone.\n")
    (tmp_path / "d.pdf").write_bytes(b"%PDF-1.4 text")
    (tmp_path / "e.txt").write_bytes(b"PK\0\1\2\3")
    (tmp_path / "f.txt").write_bytes(b"")
    (tmp_path / ".hidden.txt").write_text("secret", encoding="utf-8")
    (tmp_path / "z").symlink_to(tmp_path / "a.txt")
    found = gather([tmp_path])
    assert [(d.text, d.kind) for d in found.documents] == [
        ("Done.", "mail"), ("Größe.", "text"), ("Größe zwei.", "text"),
        ("# Fine\n\nI loved it.", "review"),
    ]  # fmt: skip
    assert found.left_out == {"empty": 1, "not text": 1, "of another kind": 1}


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        read(tmp_path / "none")
    with pytest.raises(InputError, match="kind="):
        read(lines(tmp_path / "a.jsonl", "{}"), kind="../mail")


def test_a_document_of_two_megabytes_is_cut(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A line of words.\n" * 120_000, encoding="utf-8")
    (tmp_path / "b.txt").write_text("x" * 2_000_000, encoding="utf-8")
    lines(tmp_path / "c.jsonl", {"text": "Some words, no line. " * 100_000}, "x" * 5_000_000)
    found = gather([tmp_path])
    assert [len(d.text) <= MAX_CHARS for d in found.documents] == [True, True]
    assert found.documents[0].text.endswith("A line of words.")
    assert found.cut == 2
    assert found.left_out == {"not readable": 1, "not text": 1}


# The words of a mail's writer


@pytest.mark.parametrize(
    ("body", "own"),
    [
        ("Yes.\n\nOn 1 Jan, Tom wrote:\n> Tea?\n\nWith milk.", "Yes.\n\n\nWith milk."),
        ("Yes.\n\nOn 1 Jan, Tom wrote:\nTea?", "Yes."),
        ("Ja.\n\nAm 1.1. schrieb Tom:\n> Tee?", "Ja."),
        ("Yes.\n-----Original Message-----\nFrom: Tom", "Yes."),
        ("Yes.\n\nFrom: Tom\nSent: Monday\nTo: Ann\nSubject: Tea\n\nTea?", "Yes."),
        ("From: the bottom of my heart, thanks.", "From: the bottom of my heart, thanks."),
        ("Yes.\n-- \nMaria, Acme", "Yes."),
        ("Yes.\n\nSent from my iPhone", "Yes."),
        ("Yes.\n\nBegin forwarded message:\n\nTea", "Yes."),
        ("On the whole I like it:\nit works.", "On the whole I like it:\nit works."),
        (
            "This is a line that a program broke because it was too\nlong for it.\n\n- tea\n- milk",
            "This is a line that a program broke because it was too long for it.\n\n- tea\n- milk",
        ),
    ],
)
def test_quoted_words_are_not_the_writers(body: str, own: str) -> None:
    assert own_words(body) == own


def test_a_mail_in_html() -> None:
    raw = (
        b"From: a@x.org\nContent-Type: text/html; charset=utf-8\n\n<html><head><style>p{}</style>"
        b"</head><body><p>Hi&nbsp;Tom,</p><ul><li>tea<li>milk</ul><script>x()</script>"
        b"<blockquote>old <b>words</b></blockquote><p>Bye</p></body></html>"
    )
    found = mail_of(raw)
    assert found is not None
    assert found.text == "Hi Tom,\n\n- tea\n- milk\n\nBye"


def test_the_plain_text_of_a_mail_is_read_and_no_attachment() -> None:
    raw = (
        b"From: a@x.org\nContent-Type: multipart/mixed; boundary=zz\n\n--zz\n"
        b"Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nAttached\n"
        b"--zz\nContent-Type: text/html\n\n<p>Page</p>\n"
        b"--zz\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\nVGVhLg==\n--zz--\n"
    )
    found = mail_of(raw)
    assert found is not None
    assert found.text == "Tea."


def test_what_a_machine_sent_is_not_written_by_anybody() -> None:
    found = mail_of(b"From: a@x.org\nAuto-Submitted: auto-replied\n\nI am away.")
    assert found is not None
    assert found.text == ""


@given(st.binary(max_size=600))
def test_any_bytes_are_taken_for_a_mail(raw: bytes) -> None:
    mail_of(b"From: a@x.org\nContent-Type: text/html\n" + raw)
    mail_of(raw)


# Private data and near-duplicates


PRIVATE = "My password is hunter2!x, keep it."
HEALTH = "I have diabetes and eat no sugar."


def test_private_documents_wait_or_are_left_out_or_pass(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", *({"text": t} for t in ("Tea.", PRIVATE, HEALTH)))

    def of(pii: str) -> tuple[list[str], list[str], dict[str, int]]:
        found = gather([path], pii=pii)  # type: ignore[arg-type]
        kept, waiting = ([d.text for d in part] for part in (found.documents, found.quarantined))
        return kept, waiting, dict(found.left_out)

    assert of("quarantine") == (["Tea."], [PRIVATE, HEALTH], {})
    assert of("drop") == (["Tea."], [], {"private": 2})
    assert of("allow") == (["Tea.", HEALTH], [PRIVATE], {})


def test_what_was_there_before_is_held_to_the_policy_too(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", {"text": "Tea."}, {"text": "Milk."})
    found = gather([path], pii="drop", known=[document("Tea."), document(HEALTH)])
    assert [d.text for d in found.documents] == ["Tea.", "Milk."]
    assert found.left_out == {"near-duplicate": 1, "private": 1}


def test_near_duplicates_are_found() -> None:
    long = [f"word{n}" for n in range(100)]
    changed = [*long[:50], "other", *long[51:]]  # 91 of 101 runs of five are the same
    half = [*long[:50], *(f"else{n}" for n in range(50))]
    said = [
        " ".join(long),
        " ".join(changed),
        " ".join(half),
        "Tea!",
        "tea",
        "",
        " ".join(long).upper(),
    ]
    assert distinct(said) == (0, 2, 3, 5)


def test_many_texts_are_compared_in_linear_time() -> None:
    said = [f"note {n} " + " ".join(f"w{n * k % 99991}" for k in range(40)) for n in range(2_000)]
    assert len(distinct(said + said)) == 2_000


# Splitting


def day(number: int) -> datetime:
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number)


def test_the_latest_of_each_kind_are_held_out() -> None:
    given = [document(f"Mail {n}", "mail", day(9 - n)) for n in range(10)]
    given += [document(f"Note {n}", "note", day(100 + n)) for n in range(5)]
    train, held_out = split(given)
    assert [d.text for d in held_out] == ["Mail 1", "Mail 0", "Note 4"]
    assert [d.text for d in train[:2]] == ["Mail 9", "Mail 8"]
    assert len(train) == 12


def test_documents_without_a_time_come_first_in_their_order() -> None:
    given = [document("b", at=day(1)), document("x"), document("y"), document("a", at=day(0))]
    train, held_out = split(given, 0.25)
    assert [d.text for d in (*train, *held_out)] == ["x", "y", "a", "b"]


def test_few_documents_are_split_with_one_on_each_side() -> None:
    three = [document("one"), document("two", "mail"), document("three", "note")]
    assert [len(part) for part in split(three)] == [2, 1]
    assert [len(part) for part in split(three[:2], 0.9)] == [1, 1]
    assert [len(part) for part in split(three[:1])] == [1, 0]
    assert [len(part) for part in split([])] == [0, 0]
    assert [len(part) for part in split(three, 0)] == [3, 0]


def test_no_near_duplicate_is_on_both_sides() -> None:
    text = " ".join(f"word{n}" for n in range(60))
    train, held_out = split([document(text, at=day(0)), document(f"{text}!", at=day(1))])
    assert (len(train), len(held_out)) == (1, 0)


def test_a_share_out_of_range_is_refused() -> None:
    for share in (-0.1, 1.0):
        with pytest.raises(InputError, match="held_out"):
            split([], share)


# Files


def test_documents_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "new" / "documents.jsonl"
    given = (document("Tea 🎉\u2028x", "mail", day(1)), document("Milk."))
    assert write_documents(path, given) == 2
    assert read_documents(path) == given
    assert path.stat().st_mode & 0o077 == 0
    assert [p.name for p in path.parent.iterdir()] == ["documents.jsonl"]


def test_a_line_that_is_no_document_is_named_without_its_words(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", {"id": "1", "text": "Tea."}, {"id": "2", "txt": "Private"})
    with pytest.raises(InputError, match="line 2") as refused:
        read_documents(path)
    assert "Private" not in str(refused.value)
    with pytest.raises(InputError, match="prefmem agent ingest"):
        read_documents(tmp_path / "none")


@given(st.text(max_size=300))
def test_tidy_text_stays_as_it_is(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)
