"""Parquet in and out; pyarrow loads when a Parquet file is met."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

from prefmem.errors import InputError, MissingExtraError

_BATCH = 1024  # rows that are decoded at a time


def version() -> str:
    """Name the release that writes: another one may write other bytes.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    return str(_arrow().__version__)


def count(path: Path) -> int:
    """Count the rows of a file.

    Raises:
        InputError: It is no Parquet file.
        MissingExtraError: pyarrow is not installed.
    """
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def check(path: Path, columns: Iterable[str]) -> None:
    """Refuse a file that misses one of the columns.

    Raises:
        InputError: A column is missing, or it is no Parquet file.
    """
    with _opened(path) as file:
        held: list[str] = file.schema_arrow.names
    missing = sorted(set(columns) - set(held))
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(map(repr, missing))}, only "
            f"{', '.join(map(repr, held))}; name its columns with --field"
        )


def rows(
    path: Path, first: int, number: int, columns: Iterable[str]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Read `number` rows, the first one counted from 1, with those of the columns that are there.

    Raises:
        InputError: The file is damaged.
    """
    with _opened(path) as file:
        held = [name for name in columns if name in file.schema_arrow.names]
        before, wanted = 0, range(first - 1, first - 1 + number)
        groups: list[int] = []
        skipped = 0
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if before + size <= wanted.start:
                skipped += size
            elif before < wanted.stop:
                groups.append(group)
            before += size
        at = skipped
        for batch in file.iter_batches(_BATCH, row_groups=groups, columns=held):
            low, high = max(wanted.start - at, 0), min(wanted.stop - at, batch.num_rows)
            if low < high:
                for place, row in enumerate(batch.slice(low, high - low).to_pylist()):
                    yield at + low + place + 1, row
            at += batch.num_rows


def encoded(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Write records of windows and their rules as one Parquet file, the same bytes every time."""
    arrow = _arrow()
    text = arrow.string()
    scope = arrow.struct([(name, text) for name in ("kind", "task", "audience", "language")])
    evidence = arrow.list_(arrow.struct([("turn", arrow.int64()), ("quote", text)]))
    rule = arrow.struct(
        [
            ("condition", text), ("action", text), ("polarity", text),
            ("confidence", arrow.float64()), ("scope", scope), ("evidence", evidence),
        ]
    )  # fmt: skip
    schema = arrow.schema(
        [("id", text), ("user_id", text), ("session_id", text), ("rules", arrow.list_(rule))]
    )
    buffer = BytesIO()
    table = arrow.Table.from_pylist(list(records), schema=schema)
    import_module("pyarrow.parquet").write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    arrow = _arrow()
    try:
        with import_module("pyarrow.parquet").ParquetFile(path) as file:
            yield file
    except arrow.ArrowException as error:
        raise InputError(
            f"cannot read {path} as Parquet: it is damaged, or another kind"
        ) from error


def _arrow() -> Any:  # noqa: ANN401  # pyarrow ships no types
    if find_spec("pyarrow") is None:
        raise MissingExtraError('Parquet needs pyarrow: pip install "prefmem[parquet]"')
    return import_module("pyarrow")
