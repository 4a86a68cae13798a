"""Whole runs in this process: what is written, what is refused, and what goes on after a stop."""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from prefmem import PreferenceMemory
from prefmem.bulk.logs import Shard
from prefmem.bulk.run import Engine, Job, Summary, extract_logs, extract_shard
from prefmem.bulk.shards import Options, Receipt
from prefmem.errors import InputError
from prefmem.extract.windows import reader
from prefmem.protocols import Extractor
from prefmem.testing import HashEmbedder, PhraseExtractor
from prefmem.types import Preference, Window


def serial(job: Job, todo: Sequence[Shard], tell: Callable[[int], None]) -> Generator[Receipt]:
    """Run shards here, one after another."""
    read, done = job.make(), 0
    for shard in todo:
        receipt = extract_shard(job, shard, read)
        done += receipt.rows
        tell(done)
        yield receipt


def stopping(after: int) -> Engine:
    """Break off after so many shards."""

    def engine(job: Job, todo: Sequence[Shard], tell: Callable[[int], None]) -> Generator[Receipt]:
        yield from serial(job, todo[:after], tell)
        raise KeyboardInterrupt

    return engine


class Runs:
    """Runs over one folder of logs."""

    def __init__(self, folder: Path) -> None:
        self.logs = folder / "logs"
        self.out = folder / "rules"
        self.logs.mkdir()
        self.told: list[tuple[str, int, int]] = []

    def log(self, *rows: object, name: str = "a.jsonl") -> None:
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        (self.logs / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def __call__(
        self,
        out: Path | None = None,
        *,
        engine: Engine = serial,
        max_bad: int | None = None,
        identity: Mapping[str, str] | None = None,
        make: Callable[[], Extractor] = PhraseExtractor,
        **options: object,
    ) -> Summary:
        return extract_logs(
            [self.logs], out or self.out, partial(reader, make),
            identity=identity or {"extractor": "phrases"}, engine=engine, max_bad=max_bad,
            options=Options.model_validate({"shard_rows": 2, **options}),
            tell=self.tell,
        )  # fmt: skip

    def tell(self, stage: str, done: int, total: int) -> None:
        self.told.append((stage, done, total))

    def records(self) -> list[Any]:
        files = sorted((self.out / "rules").iterdir())
        return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]

    def errors(self) -> list[tuple[str, int, str]]:
        lines = (self.out / "errors.jsonl").read_text("utf-8").splitlines()
        found = [json.loads(line) for line in lines]
        return [(Path(e["file"]).name, e["row"], e["reason"]) for e in found]


def tree(folder: Path) -> dict[str, bytes]:
    """Give every file of a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def window(text: str, **more: object) -> dict[str, object]:
    return {"user_id": "ann", "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


FIVE = (
    window("Never apologise.", id="w1", session_id="s1"), window("Hello."), window("Always rhyme."),
    window("What time is it?"), window("When cooking, always use grams. Never use cups."),
)  # fmt: skip


# What is written


def test_a_run_writes_a_shard_of_rules_for_each_shard_of_windows(runs: Runs) -> None:
    runs.log(*FIVE)
    assert runs() == Summary(windows=5, with_rules=3, rules=4, bad=0, shards=3, resumed=0, fresh=5)
    assert sorted(tree(runs.out)) == [
        ".lock", "errors.jsonl", "manifest.json", "receipts/000000.json", "receipts/000001.json",
        "receipts/000002.json", "rules/000000.jsonl", "rules/000001.jsonl", "rules/000002.jsonl",
        "summary.json",
    ]  # fmt: skip
    assert [(r["id"], [rule["action"] for rule in r["rules"]]) for r in runs.records()] == [
        ("w1", ["never apologise"]), ("a.jsonl:3", ["rhyme"]),
        ("a.jsonl:5", ["use grams", "never use cups"]),
    ]  # fmt: skip
    assert json.loads((runs.out / "summary.json").read_bytes()) == {
        "windows": 5, "with_rules": 3, "rules": 4, "bad": 0, "shards": 3,
    }  # fmt: skip
    assert runs.errors() == []


def test_every_window_is_written_on_demand(runs: Runs) -> None:
    runs.log(*FIVE)
    runs(everything=True)
    assert [len(r["rules"]) for r in runs.records()] == [1, 0, 1, 0, 2]


def test_the_rules_are_those_that_learn_stores(runs: Runs) -> None:
    runs.log(*FIVE)
    runs()
    bulk = {
        (rule["condition"], rule["action"], rule["polarity"], rule["scope"]["kind"])
        for found in runs.records()
        for rule in found["rules"]
    }
    with PreferenceMemory(
        ":memory:", extractor=PhraseExtractor(), embedder=HashEmbedder()
    ) as memory:
        for row in FIVE:
            messages: Any = row["messages"]
            memory.learn(messages, user_id="ann")
        cards = [card.preference for card in memory.list(user_id="ann")]
    assert bulk == {(p.condition, p.action, p.polarity, p.scope.kind) for p in cards}


def test_progress_tells_rows(runs: Runs) -> None:
    runs.log(*FIVE)
    runs()
    extracting = [told for told in runs.told if told[0] == "extracting"]
    assert extracting == [("extracting", done, 5) for done in (0, 2, 4, 5)]


def test_an_empty_log_is_a_complete_run(runs: Runs) -> None:
    runs.log()
    assert runs().shards == 0
    assert json.loads((runs.out / "summary.json").read_bytes())["windows"] == 0


class Batches(PhraseExtractor):
    """Notes how many windows it is given together, and refuses one."""

    sizes: list[int]

    def __init__(self) -> None:
        super().__init__()
        self.sizes = []

    def extract_many(
        self, items: Sequence[tuple[Window, Sequence[str]]]
    ) -> list[tuple[Preference, ...]]:
        self.sizes.append(len(items))
        if any("too long" in w.query for w, _ in items):
            raise InputError("secret")
        return [self.extract(w, turn_ids) for w, turn_ids in items]


def test_an_extractor_of_batches_gets_them(runs: Runs) -> None:
    runs.log(*(window("Never apologise.") for _ in range(70)))
    batches = Batches()
    summary = runs(make=lambda: batches, shard_rows=100)
    assert (batches.sizes, summary.rules) == ([64, 6], 70)


def test_a_window_that_the_extractor_refuses_spoils_no_other(runs: Runs) -> None:
    runs.log(*FIVE[:2], window("This is too long."), *FIVE[2:])
    summary = runs(make=Batches, shard_rows=10)
    assert (summary.windows, summary.rules, summary.bad) == (5, 4, 1)
    ((_, row, reason),) = runs.errors()
    assert (row, "secret" in reason) == (3, False)


# Parquet


def test_parquet_in_and_out_hold_the_same(runs: Runs) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    runs.log(*FIVE)
    runs()
    (runs.logs / "a.jsonl").unlink()
    rows = [{"id": None, "session_id": None, **row} for row in FIVE]
    parquet.write_table(arrow.Table.from_pylist(rows), runs.logs / "a.parquet", row_group_size=2)
    out = runs.out.with_name("tables")
    runs(out, format="parquet")
    assert sorted(p.name for p in (out / "rules").iterdir()) == [
        "000000.parquet", "000001.parquet", "000002.parquet",
    ]  # fmt: skip
    table = parquet.read_table(out / "rules")
    read = [{**r, "id": r["id"].replace("parquet", "jsonl")} for r in table.to_pylist()]
    assert read == runs.records()


def test_a_parquet_shard_without_rules_has_the_same_columns(runs: Runs) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    runs.log(window("Hello."), window("Hi."), window("Never apologise."))
    runs(format="parquet")
    schemas = [parquet.read_schema(p) for p in sorted((runs.out / "rules").iterdir())]
    assert schemas[0].equals(schemas[1])


# Bad rows


def test_bad_rows_are_named_by_file_and_row_and_the_run_goes_on(runs: Runs) -> None:
    runs.log(FIVE[0], "{secret", "", {"messages": []}, FIVE[4], name="b.jsonl")
    runs.log({"user_id": "ann", "messages": [{"role": "secret", "content": ""}]})
    summary = runs()
    assert (summary.windows, summary.rules, summary.bad) == (2, 3, 3)
    assert [(file, row) for file, row, _ in runs.errors()] == [
        ("a.jsonl", 1), ("b.jsonl", 2), ("b.jsonl", 4),
    ]  # fmt: skip
    assert not any(b"secret" in content for content in tree(runs.out).values())


def test_too_many_bad_rows_stop_the_run_and_more_patience_ends_it(runs: Runs) -> None:
    runs.log(*["{"] * 3, *FIVE)
    with pytest.raises(InputError, match=r"2 rows cannot be read, at most 1 may; .*errors\.jsonl"):
        runs(max_bad=1)
    assert [row for _, row, _ in runs.errors()] == [1, 2]
    assert not (runs.out / "summary.json").exists()
    with pytest.raises(InputError, match="3 rows cannot be read"):
        runs(max_bad=2)
    summary = runs(max_bad=3)
    assert (summary.windows, summary.bad, summary.resumed) == (5, 3, 2)


# Going on


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_run_that_broke_off_goes_on_and_ends_the_same(runs: Runs, after: int) -> None:
    runs.log(*FIVE, "{")
    whole = runs.out.with_name("whole")
    runs(whole)
    with pytest.raises(KeyboardInterrupt):
        runs(engine=stopping(after))
    assert (runs().resumed, tree(runs.out)) == (after, tree(whole))


def test_a_finished_run_does_nothing_again(runs: Runs) -> None:
    runs.log(*FIVE)
    runs()
    before = tree(runs.out)
    summary = runs()
    assert (summary.resumed, summary.fresh, tree(runs.out)) == (3, 0, before)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("receipts/000001.json", None),
        ("receipts/000001.json", b'{"shard": 1'),
        ("receipts/000001.json", b"receipt of another shard"),
        ("rules/000001.jsonl", None),
        ("rules/000001.jsonl", b"half"),
    ],
)
def test_a_shard_that_is_not_whole_is_made_anew(
    runs: Runs, name: str, content: bytes | None
) -> None:
    runs.log(*FIVE)
    runs()
    before = tree(runs.out)
    (runs.out / name).unlink()
    if content is not None:
        other = before["receipts/000000.json"] if b"another" in content else content
        (runs.out / name).write_bytes(other)
    (runs.out / "rules" / ".000001.jsonl.99.tmp").write_bytes(b"half")
    (runs.out / ".manifest.json.99.tmp").write_bytes(b"half")
    assert (runs().resumed, tree(runs.out)) == (2, before)


def test_what_was_killed_before_its_manifest_begins_anew(runs: Runs) -> None:
    runs.log(*FIVE)
    (runs.out / "rules").mkdir(parents=True)
    (runs.out / ".lock").write_bytes(b"")
    (runs.out / ".manifest.json.99.tmp").write_bytes(b"half")
    assert runs().fresh == 5


# Refusals


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"shard_rows": 3}, "options.shard_rows was 2 and is 3"),
        ({"everything": True}, "options.everything was False and is True"),
        ({"format": "parquet"}, "options.format was 'jsonl' and is 'parquet'"),
        ({"identity": {"extractor": "other"}}, "made_by.extractor was 'phrases' and is 'other'"),
        ({"identity": {"extractor": "phrases", "weights": "1"}}, "made_by.weights is new"),
    ],
)
def test_other_settings_are_refused_and_named(
    runs: Runs, changed: dict[str, Any], difference: str
) -> None:
    if changed.get("format") == "parquet":
        pytest.importorskip("pyarrow")
    runs.log(*FIVE)
    runs()
    before = tree(runs.out)
    with pytest.raises(InputError, match=difference):
        runs(**changed)
    assert tree(runs.out) == before


def test_other_logs_are_refused_and_named(runs: Runs) -> None:
    runs.log(*FIVE)
    runs()
    runs.log(*FIVE, FIVE[0])
    with pytest.raises(InputError, match=r"inputs\.a\.jsonl\.rows was 5 and is 6"):
        runs()
    runs.log(*FIVE)
    runs.log(*FIVE, name="b.jsonl")
    with pytest.raises(InputError, match=r"inputs\.b\.jsonl is new"):
        runs()
    (runs.logs / "b.jsonl").unlink()
    assert runs().resumed == 3


def test_a_folder_of_something_else_is_refused(runs: Runs) -> None:
    runs.log(*FIVE)
    runs.out.mkdir()
    (runs.out / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"not empty and holds no run \(there is 'thesis.txt'\)"):
        runs()
    assert [p.name for p in runs.out.iterdir()] == ["thesis.txt"]
    (runs.out / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"cannot read .*manifest\.json"):
        runs()
    assert (runs.out / "thesis.txt").read_text() == "mine"


def test_rules_do_not_go_among_the_logs(runs: Runs) -> None:
    runs.log(*FIVE)
    with pytest.raises(InputError, match="whose logs are read"):
        runs(runs.logs / "rules")
    assert [p.name for p in runs.logs.iterdir()] == ["a.jsonl"]


def test_a_folder_that_cannot_be_made_is_named(runs: Runs) -> None:
    runs.log(*FIVE)
    runs.out.write_text("a file")
    with pytest.raises(InputError, match="cannot make the folder"):
        runs()


def test_two_runs_do_not_share_a_folder(runs: Runs) -> None:
    runs.log(*FIVE)

    def nested(job: Job, todo: Sequence[Shard], tell: Callable[[int], None]) -> Generator[Receipt]:
        with pytest.raises(InputError, match="another process works in"):
            runs()
        yield from serial(job, todo, tell)

    assert runs(engine=nested).windows == 5
