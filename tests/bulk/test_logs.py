"""Finding, cutting and reading logs."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from prefmem.bulk import logs
from prefmem.bulk.logs import Log, Shard
from prefmem.bulk.windows import ROW
from prefmem.errors import InputError

COLUMNS = ("user_id", "messages")


def ignore(stage: str, done: int, total: int) -> None:
    """Hear of progress."""


def scanned(*paths: Path, shard_rows: int = 2) -> tuple[Log, ...]:
    return logs.scan(paths, columns=COLUMNS, shard_rows=shard_rows, tell=ignore)


def row_numbers(shard: Shard) -> list[int]:
    return [number for number, _ in logs.rows(shard, columns=ROW)]


def parquet_file(path: Path, users: Sequence[object], **more: Any) -> Path:  # noqa: ANN401  # of write_table
    arrow = pytest.importorskip("pyarrow")
    messages = [[{"role": "user", "content": f"Hi {user}"}] for user in users]
    table = arrow.table({"user_id": users, "messages": messages, "other": [1] * len(users)})
    pytest.importorskip("pyarrow.parquet").write_table(table, path, **more)
    return path


def test_a_folder_gives_its_logs_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a/z.ndjson", "a/y.jsonl", "notes.txt", "a/data.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = logs.find([tmp_path / "b.jsonl", tmp_path])
    names = [path.relative_to(tmp_path.resolve()).as_posix() for path in found]
    assert names == ["b.jsonl", "a/y.jsonl", "a/z.ndjson"]


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("")
    for path, reason in (
        (tmp_path, "holds no file that ends in .jsonl"),
        (tmp_path / "x.csv", "ends in '.csv'"),
        (tmp_path / "none.jsonl", "there is no file"),
    ):
        with pytest.raises(InputError, match=reason):
            logs.find([path])


def test_shards_start_where_lines_start(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n22\n\n4444\r\n5")  # lines start at 0, 2, 5, 6, 12
    (log,) = scanned(path)
    assert (log.name, log.size, log.rows, log.starts) == ("a.jsonl", 13, 5, (0, 5, 12))
    assert log.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    cut = logs.cut([log], shard_rows=2)
    assert [(s.number, s.first, s.rows, s.start) for s in cut] == [
        (0, 1, 2, 0), (1, 3, 2, 5), (2, 5, 1, 12),
    ]  # fmt: skip
    assert [row_numbers(shard) for shard in cut] == [[1, 2], [4], [5]]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_every_line_is_in_one_shard_however_the_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(logs, "_CHUNK", size)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f"{json.dumps({'n': n})}\n" for n in range(1, 8)), encoding="utf-8")
    for shard_rows in (1, 2, 3, 7, 10):
        cut = logs.cut(scanned(path, shard_rows=shard_rows), shard_rows=shard_rows)
        read = [row for shard in cut for row in logs.rows(shard, columns=ROW)]
        assert read == [(n, {"n": n}) for n in range(1, 8)]
        assert len(cut) == -(-7 // shard_rows)


def test_an_empty_file_has_no_shards(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"")
    assert logs.cut(scanned(path), shard_rows=2) == ()


def test_names_are_relative_to_what_all_logs_share(tmp_path: Path) -> None:
    for name in ("one/x.jsonl", "two/x.jsonl"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("{}\n")
    found = scanned(*logs.find([tmp_path / "one" / "x.jsonl", tmp_path / "two"]))
    assert [log.name for log in found] == ["one/x.jsonl", "two/x.jsonl"]
    assert [shard.number for shard in logs.cut(found, shard_rows=2)] == [0, 1]


def test_a_broken_line_is_told_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_LONGEST_LINE", 30)
    lines = [
        b'\xef\xbb\xbf{"a": 1}', b'{"a": "secret', b'{"a": "\xff secret"}', b'["secret"]',
        b'{"a": "' + b"secret" * 20 + b'"}', b"[" * 25, b'{"a": 2}',
    ]  # fmt: skip
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    (shard,) = logs.cut(scanned(path, shard_rows=10), shard_rows=10)
    read = [(n, r if isinstance(r, dict) else str(r)) for n, r in logs.rows(shard, columns=ROW)]
    assert read == [
        (1, {"a": 1}), (2, "not JSON"), (3, "not UTF-8"), (4, "no JSON object"),
        (5, "the line has over 30 bytes"), (6, "not JSON"), (7, {"a": 2}),
    ]  # fmt: skip


def test_nesting_without_end_is_not_json(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"[" * 200_000)
    (shard,) = logs.cut(scanned(path), shard_rows=2)
    assert [(n, str(r)) for n, r in logs.rows(shard, columns=ROW)] == [(1, "not JSON")]


@pytest.mark.parametrize("group", [2, 3, 100])
def test_parquet_is_cut_by_rows_across_row_groups(tmp_path: Path, group: int) -> None:
    path = parquet_file(tmp_path / "a.parquet", list("abcdefg"), row_group_size=group)
    (log,) = scanned(path)
    assert (log.rows, log.starts) == (7, None)
    read = [list(logs.rows(s, columns=ROW)) for s in logs.cut([log], shard_rows=3)]
    assert [[(n, r["user_id"]) for n, r in rows if isinstance(r, dict)] for rows in read] == [
        [(1, "a"), (2, "b"), (3, "c")], [(4, "d"), (5, "e"), (6, "f")], [(7, "g")],
    ]  # fmt: skip
    assert read[0][0][1] == {"user_id": "a", "messages": [{"role": "user", "content": "Hi a"}]}


def test_parquet_without_a_column_is_refused(tmp_path: Path) -> None:
    path = parquet_file(tmp_path / "a.parquet", ["a"])
    with pytest.raises(
        InputError, match="has no column 'uid', only 'user_id', 'messages', 'other'"
    ):
        logs.scan([path], columns=["uid", "messages"], shard_rows=2, tell=ignore)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all", b"PAR1" * 9])
def test_what_is_no_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot read .* as Parquet"):
        scanned(path)


def test_parquet_whose_pages_are_damaged_is_refused_when_they_are_read(tmp_path: Path) -> None:
    users = [f"user {n}" for n in range(1000)]
    path = parquet_file(tmp_path / "a.parquet", users, compression="zstd")
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)
    path.write_bytes(content)
    (shard,) = logs.cut(scanned(path, shard_rows=1000), shard_rows=1000)
    with pytest.raises(InputError, match="cannot read"):
        list(logs.rows(shard, columns=ROW))


def test_a_log_that_went_away_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n")
    (shard,) = logs.cut(scanned(path), shard_rows=2)
    path.unlink()
    with pytest.raises(InputError, match=r"cannot read .*a\.jsonl: No such file"):
        list(logs.rows(shard, columns=ROW))
