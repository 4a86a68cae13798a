"""Extracts the rules of logs into a folder, shard by shard, on whatever engine is given."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeAlias

from prefmem.bulk import logs, shards
from prefmem.bulk.logs import Shard
from prefmem.bulk.shards import Options, Receipt
from prefmem.bulk.windows import REQUIRED, ROW, Entry, Record, entry, record
from prefmem.errors import InputError
from prefmem.types import Preference, Window

_BATCH = 64  # windows that an extractor is given at a time

Read: TypeAlias = Callable[
    [Sequence[tuple[Window, Sequence[str]]]], Sequence[tuple[Preference, ...]]
]


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs to know; it can be pickled.

    Attributes:
        out: Folder of the run, absolute.
        options: What is written.
        make: Makes what reads windows, each with its named turns; called once in each worker.
    """

    out: Path
    options: Options
    make: Callable[[], Read]


class Engine(Protocol):
    """Runs shards somewhere."""

    def __call__(
        self, job: Job, todo: Sequence[Shard], tell: Callable[[int], None]
    ) -> Generator[Receipt]:
        """Give the receipt of each shard as it is finished, in any order; stop when closed.

        `tell` is told how many rows are read by now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did.

    Attributes:
        windows: Windows that were read, those of earlier calls included.
        with_rules: Windows that hold a rule.
        rules: Rules.
        bad: Rows that could not be read.
        shards: Shards.
        resumed: Shards that were finished before this call.
        fresh: Windows that were read by this call.
    """

    windows: int
    with_rules: int
    rules: int
    bad: int
    shards: int
    resumed: int
    fresh: int


def extract_logs(
    given: Sequence[Path],
    out: Path,
    make: Callable[[], Read],
    *,
    identity: Mapping[str, str],
    engine: Engine,
    options: Options,
    max_bad: int | None = None,
    tell: Callable[[str, int, int], None],
) -> Summary:
    """Extract from every window of logs; a run that was killed goes on where it stopped.

    The folder comes out the same, byte by byte, however often the run was killed, on every engine
    and with any number of workers.

    Args:
        given: Logs, and folders of logs.
        out: Folder for the rules; outside the given ones.
        make: Makes what reads windows; can be pickled.
        identity: What the rules depend on beside the logs: the extractor, the versions.
        engine: Where it runs.
        options: What is written.
        max_bad: Stop when more rows than this cannot be read.
        tell: Told the stage, how much of it is done, and of how much.

    Raises:
        InputError: A log cannot be read, the folder holds another run or cannot be written, or too
            many rows are bad. What is finished stays.
    """
    out = out.resolve()
    inside = [str(p) for p in given if p.is_dir() and out.is_relative_to(p.resolve())]
    if inside:
        raise InputError(f"{out} lies in {inside[0]}, whose logs are read; pass another --out")
    size = options.shard_rows
    found = logs.scan(
        logs.find(given), columns=[options.fields[f] for f in REQUIRED], shard_rows=size, tell=tell
    )
    cut = logs.cut(found, shard_rows=size)
    with shards.opened(out, shards.manifest(found, options, identity), cut) as finished:
        receipts = dict(finished)
        todo = [shard for shard in cut if shard.number not in finished]
        total = sum(shard.rows for shard in todo)
        tell("extracting", 0, total)
        run = engine(Job(out, options, make), todo, lambda done: tell("extracting", done, total))
        with closing(run):
            _check_bad(receipts, max_bad, out, cut)
            for receipt in run:
                receipts[receipt.shard] = receipt
                _check_bad(receipts, max_bad, out, cut)
        shards.report(out, cut, receipts)
        counts = {
            "windows": sum(r.windows for r in receipts.values()),
            "with_rules": sum(r.with_rules for r in receipts.values()),
            "rules": sum(r.rules for r in receipts.values()),
            "bad": sum(len(r.bad) for r in receipts.values()),
            "shards": len(cut),
        }
        shards.close(out, counts)
    fresh = counts["windows"] - sum(r.windows for r in finished.values())
    return Summary(**counts, resumed=len(finished), fresh=fresh)


def extract_shard(
    job: Job, shard: Shard, read: Read, tell: Callable[[int], None] = lambda rows: None
) -> Receipt:
    """Extract from the windows of one shard, and write what was found.

    Args:
        job: The run.
        shard: The shard.
        read: What `job.make` gave.
        tell: Told how many more rows are read.

    Raises:
        InputError: The log cannot be read any more, or the folder cannot be written.
    """
    bad: list[tuple[int, str]] = []
    records: list[Record] = []
    windows, last = 0, shard.first - 1
    entries = _entries(job, shard, bad)
    while batch := list(islice(entries, _BATCH)):
        for found, preferences in _read(read, batch, bad):
            windows += 1
            if preferences or job.options.everything:
                records.append(record(found, preferences))
        tell(batch[-1].row - last)
        last = batch[-1].row
    tell(shard.first + shard.rows - 1 - last)
    return shards.save(job.out, shard, records, sorted(bad), job.options, windows=windows)


def _entries(job: Job, shard: Shard, bad: list[tuple[int, str]]) -> Iterator[Entry]:
    names = job.options.fields
    for row, fields in logs.rows(shard, columns=[names[field] for field in ROW]):
        try:
            if isinstance(fields, InputError):
                raise fields
            yield entry(fields, row, log=shard.name, names=names)
        except InputError as error:
            bad.append((row, str(error)))


def _read(
    read: Read, batch: Sequence[Entry], bad: list[tuple[int, str]]
) -> list[tuple[Entry, tuple[Preference, ...]]]:
    """Read a batch; one window that the extractor refuses does not spoil the others."""
    try:
        return list(zip(batch, read([(e.window, e.turn_ids) for e in batch]), strict=True))
    except InputError:
        if len(batch) > 1:
            return [pair for one in batch for pair in _read(read, [one], bad)]
        bad.append((batch[0].row, "the extractor refuses the window, as when it is too long"))
        return []


def _check_bad(
    receipts: Mapping[int, Receipt], most: int | None, out: Path, cut: Sequence[Shard]
) -> None:
    bad = sum(len(receipt.bad) for receipt in receipts.values())
    if most is not None and bad > most:
        shards.report(out, cut, receipts)
        raise InputError(
            f"{bad:,} rows cannot be read, at most {most:,} may; {out / 'errors.jsonl'} names them"
        )
