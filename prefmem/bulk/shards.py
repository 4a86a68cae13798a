"""The folder of a run: its manifest, its finished shards, and how both survive a kill.

manifest.json          what the result depends on; a run with another one is refused
rules/000000.jsonl     the windows of shard 0 that hold rules, in the order of the log
receipts/000000.json   what shard 0 counted, written last: without it the shard is not finished
errors.jsonl           every row that could not be read: file, row and reason
summary.json           the counts of the whole run, written when all shards are finished
"""

import hashlib
import json
import os
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prefmem.bulk import parquet
from prefmem.bulk.logs import Log, Shard
from prefmem.bulk.windows import FIELDS, Record
from prefmem.errors import InputError

Format: TypeAlias = Literal["jsonl", "parquet"]
Manifest: TypeAlias = Mapping[str, Any]


class Options(BaseModel):
    """What a run writes.

    Attributes:
        shard_rows: Rows of a log that make one shard.
        format: Of the rules.
        everything: Whether windows without rules are written too.
        fields: What the fields of a window are called in the logs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard_rows: int = Field(default=10_000, ge=1, le=1_000_000)
    format: Format = "jsonl"
    everything: bool = False
    fields: dict[str, str] = FIELDS


class Receipt(BaseModel):
    """What one shard counted.

    Attributes:
        shard: Its number.
        rows: Rows of the log, blank lines included.
        windows: Windows that were read.
        with_rules: Windows that hold a rule.
        rules: Rules.
        bad: Number and reason of each row that could not be read.
        sha256: Of the shard's rules as they lie in the folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard: int
    rows: int
    windows: int
    with_rules: int
    rules: int
    bad: tuple[tuple[int, str], ...]
    sha256: str


def manifest(logs: Iterable[Log], options: Options, identity: Mapping[str, str]) -> Manifest:
    """Put together what the bytes of a result depend on.

    Args:
        logs: What is read.
        options: What is written.
        identity: The extractor, and the versions of the code.
    """
    writer = {"pyarrow": parquet.version()} if options.format == "parquet" else {}
    return {
        "format": "prefmem.bulk",
        "version": 1,
        "made_by": {**identity, **writer},
        "options": options.model_dump(mode="json"),
        "inputs": {
            log.name: {
                "path": str(log.path), "size": log.size, "sha256": log.sha256, "rows": log.rows,
            }
            for log in logs
        },
    }  # fmt: skip


@contextmanager
def opened(out: Path, wanted: Manifest, shards: Iterable[Shard]) -> Generator[dict[int, Receipt]]:
    """Open the folder of a run for this process alone, and give the shards that are finished.

    A new folder gets the manifest. What a killed run left half-written is removed.

    Args:
        out: The folder; made if missing.
        wanted: The manifest of this run.
        shards: All shards of this run.

    Raises:
        InputError: The folder holds another run or something else, another process works in it, or
            it cannot be written.
    """
    _refuse_foreign(out)
    try:
        for folder in (out, out / "rules", out / "receipts"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {out}: {error.strerror}") from error
    with _locked(out):
        _agree(out, wanted)
        _tidy(out)
        yield {s.number: r for s in shards if (r := _finished(out, s.number, wanted)) is not None}
        _tidy(out)


def save(
    out: Path, shard: Shard, records: Sequence[Record], bad: Sequence[tuple[int, str]],
    options: Options, *, windows: int,
) -> Receipt:  # fmt: skip
    """Write a finished shard: its rules, and then its receipt.

    Raises:
        InputError: The folder cannot be written.
    """
    content = parquet.encoded(records) if options.format == "parquet" else _lines(records)
    receipt = Receipt(
        shard=shard.number,
        rows=shard.rows,
        windows=windows,
        with_rules=sum(bool(record["rules"]) for record in records),
        rules=sum(len(record["rules"]) for record in records),
        bad=tuple(bad),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    _write(_rules(out, shard.number, options.format), content)
    _write(_receipt(out, shard.number), receipt.model_dump_json().encode() + b"\n")
    return receipt


def report(out: Path, shards: Iterable[Shard], receipts: Mapping[int, Receipt]) -> None:
    """Write the errors of the shards that are finished, in the order of the logs.

    Raises:
        InputError: The folder cannot be written.
    """
    rows = (
        {"file": str(shard.path), "row": row, "reason": reason}
        for shard in shards
        if shard.number in receipts
        for row, reason in receipts[shard.number].bad
    )
    _write(out / "errors.jsonl", _lines(rows))


def close(out: Path, counts: Mapping[str, int]) -> None:
    """Write the counts of a run that is complete.

    Raises:
        InputError: The folder cannot be written.
    """
    _write(out / "summary.json", _json(counts))


def _rules(out: Path, number: int, ending: str) -> Path:
    return out / "rules" / f"{number:06}.{ending}"


def _receipt(out: Path, number: int) -> Path:
    return out / "receipts" / f"{number:06}.json"


def _finished(out: Path, number: int, wanted: Manifest) -> Receipt | None:
    """Read the receipt of a shard whose rules are there unharmed."""
    try:
        receipt = Receipt.model_validate_json(_receipt(out, number).read_bytes())
        content = _rules(out, number, wanted["options"]["format"]).read_bytes()
    except (OSError, ValidationError):
        return None
    whole = receipt.shard == number and receipt.sha256 == hashlib.sha256(content).hexdigest()
    return receipt if whole else None


def _refuse_foreign(out: Path) -> None:
    """Refuse a folder that holds files and no run, before anything is written to it."""
    if (out / "manifest.json").exists():
        return
    left = next((p for p in out.rglob("*") if p.is_file() and not _is_passing(p)), None)
    if left is not None:
        raise InputError(
            f"{out} is not empty and holds no run (there is {left.name!r}); pass another folder to "
            "--out"
        )


def _agree(out: Path, wanted: Manifest) -> None:
    """Write the manifest into a new folder, or refuse one that has another."""
    path = out / "manifest.json"
    try:
        held: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        _write(path, _json(wanted))
        return
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}; pass another folder to --out") from error
    differences = _differences(held, json.loads(_json(wanted)))
    if differences:
        raise InputError(
            f"{out} holds a run that differs from this one: {'; '.join(differences[:5])}; give the "
            "same logs and settings to go on with it, or another folder to --out"
        )


def _differences(held: object, wanted: object, name: str = "") -> list[str]:
    """Say in which places two manifests differ."""
    if held == wanted:
        return []
    if not isinstance(held, dict) or not isinstance(wanted, dict):
        return [f"{name or 'manifest'} was {held!r:.80} and is {wanted!r:.80}"]
    old, new = cast(dict[str, object], held), cast(dict[str, object], wanted)
    found: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        place = f"{name}.{key}" if name else key
        if key not in new:
            found.append(f"{place} is missing now")
        elif key not in old:
            found.append(f"{place} is new")
        else:
            found += _differences(old[key], new[key], place)
    return found


def _is_passing(path: Path) -> bool:
    """Whether a run that was killed before its manifest may have left this file."""
    return path.name == ".lock" or path.match(".*.tmp")


def _tidy(out: Path) -> None:
    """Remove what a killed run left half-written."""
    for path in out.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


@contextmanager
def _locked(out: Path) -> Generator[None]:
    """Hold the folder for this process; the system lets go of it with the process."""
    with (out / ".lock").open("wb") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise InputError(f"another process works in {out}; wait for it, or stop it") from error
        yield


def _write(path: Path, content: bytes) -> None:
    """Put a whole file in its place, on the disk and not only in its cache."""
    half = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with half.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
        if sys.platform != "win32":
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; what is finished stays, run the same "
            "command again to go on"
        ) from error


def _lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
    return "".join(f"{compact.encode(record)}\n" for record in records).encode()


def _json(data: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(data, indent=2, ensure_ascii=False)}\n".encode()
