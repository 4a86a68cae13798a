"""`prefmem export`: what is held about a user, and with `pairs` training data out of logs."""

import hmac
import json
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TypeAlias, cast

import numpy as np
import typer

from prefmem import defaults
from prefmem.bulk import logs as bulk
from prefmem.bulk.logs import Log
from prefmem.bulk.windows import FIELDS, entry
from prefmem.cli import cards
from prefmem.cli.options import DB, Db, Json, Tenant
from prefmem.cli.show import Tell, console, counted, emit, grid, progress, say
from prefmem.config import Config
from prefmem.errors import InputError
from prefmem.extract.ground import grounded
from prefmem.feedback.edits import EditPair, FeatureInducer, Observed
from prefmem.feedback.pairs import (
    FLOOR,
    Exchange,
    Form,
    Made,
    Message,
    Origin,
    Row,
    dpo_rows,
    edit_rows,
    exchanges,
    kto_rows,
    prompt_of,
)
from prefmem.interaction import Followup
from prefmem.messages import clean
from prefmem.models.endpoint import OpenAIChat
from prefmem.protocols import Embedder, Extractor, Judge
from prefmem.types import Evidence, Preference, Turn, Window

app = typer.Typer(invoke_without_command=True)

Named: TypeAlias = Callable[[str], str | None]  # from a user to what a row says of the user

_COLUMNS = (
    "id", "user_id", "session_id", "session", "messages", "role", "content",
    "prompt", "context", "draft", "final",
)  # fmt: skip
_SHARD = 10_000  # rows of a log that are read at a time
_BATCH = 64  # dialogues that are worked on at a time
_HEARD_CHARS = 2_000  # of a follow-up, as the memory hears it
_SHORTEST_KEY = 16
_TOLD = 5  # broken lines that are named


@dataclass(frozen=True, slots=True)
class Parts:
    """What reads the dialogues. A caller may put other ones than the packaged into the context.

    Attributes:
        judge: Judges the follow-ups.
        extractor: Finds the rules in those that say something about a reply.
        embedder: Tells how alike a follow-up and the request are.
    """

    judge: Judge
    extractor: Extractor
    embedder: Embedder


@dataclass(frozen=True, slots=True)
class _Plan:
    form: Form
    floor: float
    everything: bool
    chat: OpenAIChat | None
    named: Named


@dataclass(frozen=True, slots=True)
class _Talk:
    turns: tuple[Turn, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Edit:
    prompt: tuple[Message, ...]
    text: EditPair
    user: str
    origin: Origin


@app.callback()
def held(
    ctx: typer.Context,
    user: Annotated[
        str | None, typer.Option("--user", envvar="PREFMEM_USER", help="Whose preferences.")
    ] = None,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="A file, not stdout.")] = None,
    db: Db = DB,
    tenant: Tenant = "",
) -> None:
    """Write everything held about a user as JSON; with pairs, training data out of logs."""
    if ctx.invoked_subcommand is None:
        if user is None:
            raise typer.BadParameter("give a user, or set PREFMEM_USER", param_hint="--user")
        cards.export(ctx, user, out, db, tenant)
    elif out is not None:
        raise typer.BadParameter(f"give it after {ctx.invoked_subcommand}", param_hint="--out")


@app.command()
def pairs(
    ctx: typer.Context,
    form: Annotated[
        Form, typer.Option("--format", help="dpo: chosen and rejected; kto: replies with a label.")
    ],
    out: Annotated[Path, typer.Option(dir_okay=False, help="JSONL file; one there is replaced.")],
    logs: Annotated[
        list[Path] | None, typer.Argument(metavar="LOGS", help="Files as for learn or extract.")
    ] = None,
    edits: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="JSONL: prompt or context, draft, final."),
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="That a judgement of a reply needs.")
    ] = FLOOR,
    everything: Annotated[
        bool, typer.Option("--all", help="dpo: write pairs that no rule explains, too.")
    ] = False,
    chat: Annotated[
        str | None, typer.Option(metavar="URL", help="dpo: endpoint that writes missing answers.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of the endpoint's model.")] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="PREFMEM_API_KEY", help="Of the endpoint.")
    ] = None,
    user_key: Annotated[
        str | None,
        typer.Option(envvar="PREFMEM_USER_KEY", help="Name users by a hash with this secret."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write training data in TRL's format: replies that users turned down, accepted or edited.

    A log has a message a line, as for learn, or a window a line, as for extract. Each row names the
    rule and the user's words behind it. The file holds what people wrote, secrets included, and
    forget does not reach it: keep it as personal data. Users are not named, unless by --user-key.
    With --chat the endpoint gets the dialogues that lack an accepted reply.
    """
    if not logs and edits is None:
        raise typer.BadParameter("give logs, or --edits", param_hint="LOGS")
    if chat and form != "dpo":
        raise typer.BadParameter("needs --format dpo", param_hint="--chat")
    if user_key is not None and len(user_key) < _SHORTEST_KEY:
        raise typer.BadParameter(
            f"has {len(user_key)} characters and can be guessed; give {_SHORTEST_KEY} or more",
            param_hint="--user-key",
        )
    endpoint = OpenAIChat(chat, model=model, api_key=api_key) if chat else None
    plan = _Plan(form, min_confidence, everything, endpoint, partial(_named, user_key))
    parts = ctx.obj if isinstance(ctx.obj, Parts) else None
    with progress() as tell:
        talked = _scanned(logs or [], out, tell)
        edited = _scanned([edits] if edits else [], out, tell)
        kinds, counts = _written(talked, edited, out, plan, parts or _packaged(), tell)
    _report(kinds, counts, out, as_json=as_json)


# From logs to rows


def _written(
    logs: Sequence[Log], edits: Sequence[Log], out: Path, plan: _Plan, parts: Parts, tell: Tell
) -> tuple[Counter[str], Counter[str]]:
    """Write the rows; gives their number by kind, and what was read or left out."""
    bad: list[str] = []
    talks = sum(1 for _ in _talks(logs, plan.named, bad))
    texts = list(_edits(edits, plan.named, bad))
    if bad:
        more = f"; and {counted(len(bad) - _TOLD, 'more line')}" if len(bad) > _TOLD else ""
        raise InputError(f"{'; '.join(bad[:_TOLD])}{more}. Nothing was written")
    kinds: Counter[str] = Counter()
    left: Counter[str] = Counter()
    seen: set[bytes] = set()
    made = _made(_talks(logs, plan.named, bad), texts, plan, parts)
    with _replacing(out) as write:
        for done, one in enumerate(made, start=1):
            left.update(one.left)
            for row in one.rows:
                if (name := _digest(row)) in seen:
                    left["duplicate"] += 1
                    continue
                seen.add(name)
                kinds[str(row.get("chosen_by", row.get("label")))] += 1
                write(row)
            tell("judging", done, talks + len(texts))
    return kinds, Counter({"dialogues": talks, "edits": len(texts)}) + left


def _made(
    talks: Iterator[_Talk], edits: Sequence[_Edit], plan: _Plan, parts: Parts
) -> Iterator[Made]:
    """Give what each dialogue and then each edit makes, in order."""
    work = partial(_of_talk, plan=plan, parts=parts)
    with ThreadPoolExecutor(plan.chat.concurrency if plan.chat else 1) as pool:
        while batch := list(islice(talks, _BATCH)):
            yield from pool.map(work, batch)
    for edit, rule in zip(edits, _rules_of(edits), strict=True):
        draft, final = edit.text.draft, edit.text.final
        yield edit_rows(plan.form, edit.prompt, draft, final, rule, edit.origin)


def _of_talk(talk: _Talk, *, plan: _Plan, parts: Parts) -> Made:
    found = exchanges(talk.turns)
    if not found:
        return Made((), Counter())
    judgements = parts.judge.judge(_followups(found, parts.embedder))
    spoken: dict[str, Turn] = {}  # what may explain a row
    for exchange, judgement in zip(found, judgements, strict=True):
        if judgement.confidence >= plan.floor:
            if judgement.label == "dissatisfied":
                spoken |= {turn.id: turn for _, turn in exchange.followup}
            elif judgement.label == "satisfied" and plan.form == "kto":
                spoken |= {turn.id: turn for _, turn in exchange.request}
    rules: tuple[Preference, ...] = ()
    if spoken:
        config = Config()
        window = Window("", talk.origin.session, talk.turns)
        rules = grounded(
            parts.extractor.extract(window, list(spoken)), spoken,
            min_confidence=config.min_confidence, max_chars=config.max_slot_chars,
        )  # fmt: skip
    judge = type(parts.judge).__name__
    if plan.form == "kto":
        return kto_rows(found, judgements, rules, talk.origin, judge=judge, floor=plan.floor)
    return dpo_rows(
        found, judgements, rules, talk.origin, judge=judge, floor=plan.floor, rewrite=plan.chat,
        everything=plan.everything,
    )  # fmt: skip


def _followups(found: Sequence[Exchange], embedder: Embedder) -> list[Followup]:
    """Put follow-ups to a judge that knows no cards of the user."""
    heard = [exchange.said[:_HEARD_CHARS] for exchange in found]
    asked = [exchange.prompt[-1]["content"] for exchange in found]
    rows = embedder.embed([*heard, *asked])
    alike = (rows[: len(found)] * rows[len(found) :]).sum(axis=1)  # (n,)
    nothing = np.zeros(0, dtype=np.float32)
    return [
        Followup(
            query,
            exchange.reply,
            text,
            (),
            nothing.astype(np.bool_),
            nothing,
            nothing,
            float(cosine),
        )
        for exchange, text, query, cosine in zip(found, heard, asked, alike, strict=True)
    ]


def _rules_of(edits: Sequence[_Edit]) -> Iterator[Preference | None]:
    """Give for each edit the surest rule of its user's edits that it changes towards itself."""
    inducer = FeatureInducer()
    observed = [_observed(inducer, edit.text) for edit in edits]
    by_user: dict[str, list[Observed]] = {}
    for edit, one in zip(edits, observed, strict=True):
        by_user.setdefault(edit.user, []).extend([one] if one else [])
    known: dict[tuple[str, str], tuple[Preference, ...]] = {}
    for edit, one in zip(edits, observed, strict=True):
        key = (edit.user, edit.text.context)
        if key not in known:
            known[key] = _induced(inducer, by_user[edit.user], edit.text.context)
        # Said twice, an edit bears out the rules that it moves towards; limits in them may differ.
        alone = _induced(inducer, [one, one], edit.text.context) if one else ()
        moved = {_without_digits(rule.action) for rule in alone}
        yield next((r for r in known[key] if _without_digits(r.action) in moved), None)


def _observed(inducer: FeatureInducer, text: EditPair) -> Observed | None:
    try:
        return inducer.observe(text)
    except InputError:  # too long to learn from, and yet a pair
        return None


def _induced(
    inducer: FeatureInducer, observed: Sequence[Observed], context: str
) -> tuple[Preference, ...]:
    return tuple(
        Preference(
            rule.condition, rule.action, rule.polarity, rule.confidence,
            evidence=tuple(Evidence("", quote) for quote in rule.evidence),
        )
        for rule in inducer.combine(observed, context)
    )  # fmt: skip


def _without_digits(text: str) -> str:
    return "".join(c for c in text if not c.isdigit())


# Reading


def _scanned(given: Sequence[Path], out: Path, tell: Tell) -> tuple[Log, ...]:
    """Find logs, and refuse to write among them."""
    place = out.resolve()
    for path in given:
        if place == path.resolve() or (path.is_dir() and place.is_relative_to(path.resolve())):
            raise InputError(f"{out} lies in what is read; pass another file to --out")
    return bulk.scan(bulk.find(given), columns=(), shard_rows=_SHARD, tell=tell)


def _rows(log: Log) -> Iterator[tuple[int, Mapping[str, Any] | InputError]]:
    for shard in bulk.cut([log], shard_rows=_SHARD):
        yield from bulk.rows(shard, columns=_COLUMNS)


def _talks(logs: Iterable[Log], named: Named, bad: list[str]) -> Iterator[_Talk]:
    """Read dialogues; those of single messages come at the end of their log.

    Lines that cannot be read are added to `bad`.
    """
    for log in logs:
        sessions: dict[tuple[str, str], tuple[str, list[Turn]]] = {}
        for number, fields in _rows(log):
            try:
                user, session, row, turns = _window(fields, number, log.name)
            except InputError as error:
                bad.append(f"{log.path}, line {number}: {error}")
                continue
            if row:
                yield _Talk(turns, Origin(session, row, named(user)))
            else:
                place = f"{log.name}:{number}"
                sessions.setdefault((user, session), (place, []))[1].extend(turns)
        for (user, session), (place, said) in sessions.items():
            numbered = tuple(replace(turn, id=str(n)) for n, turn in enumerate(said))
            yield _Talk(numbered, Origin(session, place, named(user)))


def _window(
    fields: Mapping[str, Any] | InputError, number: int, log: str
) -> tuple[str, str, str, tuple[Turn, ...]]:
    """Read a line: user, session, name of the window (empty for a single message), turns."""
    if isinstance(fields, InputError):
        raise fields
    whole = "messages" in fields
    if not whole and "role" not in fields:
        raise InputError("neither a window with messages nor a message with role and content")
    user = fields.get("user_id")
    given = {
        **fields,
        "user_id": "-" if user is None else user,  # of no matter where users are not named
        "session_id": fields.get("session_id", fields.get("session")),
        "messages": fields["messages"] if whole else [fields],
    }
    found = entry(given, number, log=log, names=FIELDS)
    window = found.window
    name = "" if user is None else window.user_id
    return name, window.session_id, found.id if whole else "", window.turns


def _edits(logs: Iterable[Log], named: Named, bad: list[str]) -> Iterator[_Edit]:
    """Read edits; lines that cannot be read are added to `bad`."""
    for log in logs:
        for number, fields in _rows(log):
            try:
                yield _edit(fields, number, log.name, named)
            except InputError as error:
                bad.append(f"{log.path}, line {number}: {error}")


def _edit(fields: Mapping[str, Any] | InputError, number: int, log: str, named: Named) -> _Edit:
    if isinstance(fields, InputError):
        raise fields
    draft, final, context = (fields.get(name) for name in ("draft", "final", "context"))
    if not (isinstance(draft, str) and isinstance(final, str) and draft.strip() and final.strip()):
        raise InputError("draft or final is missing, empty, or no text")
    if not isinstance(context, str | None):
        raise InputError("context is no text")
    asked = fields.get("prompt") or context
    if isinstance(asked, str) and asked.strip():
        asked = [{"role": "user", "content": asked}]
    if not isinstance(asked, list):
        raise InputError("prompt and context are missing; give one of them")
    user, session, row, turns = _window({**fields, "messages": asked}, number, log)
    prompt = prompt_of(turns)
    if not prompt or prompt[-1]["role"] != "user":
        raise InputError("prompt does not end with a message of the user")
    text = EditPair(clean(context or ""), clean(draft), clean(final))
    return _Edit(prompt, text, user, Origin(session, row, named(user)))


# Writing


def _named(key: str | None, user: str) -> str | None:
    """Give the keyed hash of a user, 16 hexadecimal digits; None without a key."""
    if key is None or not user:
        return None if key is None else ""
    return hmac.digest(key.encode(), user.encode(), "sha256").hex()[:16]


def _digest(row: Row) -> bytes:
    """Name a row by what was judged: windows of one dialogue may overlap."""
    evidence = cast(Mapping[str, object], row["evidence"])
    told = [row.get(name) for name in ("user", "label", "completion", "rejected", "judge")]
    final = row["chosen"] if row.get("chosen_by") == "user" else None  # others rest on the log
    asked = cast(list[Message], row["prompt"])[-1]
    said = [evidence["session"], evidence["quote"], asked, told, final]
    return blake2b(json.dumps(said).encode(), digest_size=16).digest()


@contextmanager
def _replacing(out: Path) -> Generator[Callable[[Row], object]]:
    """Write rows to a file that takes its place when all are there."""
    half = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with half.open("w", encoding="utf-8", newline="\n") as file:
            yield lambda row: file.write(f"{json.dumps(row, ensure_ascii=False)}\n")
            file.flush()
            os.fsync(file.fileno())
        half.replace(out)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)


def _packaged() -> Parts:
    judge = defaults.judge()
    assert judge is not None  # none only where none is asked for
    return Parts(judge, defaults.extractor(Config()), defaults.embedder())


def _report(kinds: Counter[str], counts: Counter[str], out: Path, *, as_json: bool) -> None:
    read = {name: counts.pop(name, 0) for name in ("dialogues", "edits")}
    total = kinds.total()
    if as_json:
        emit({"rows": total, "written": kinds, "left_out": counts, **read, "out": str(out)})
        return
    if not any(read.values()):
        say(f"There is no dialogue and no edit to read; {out} is empty.")
        return
    table = grid("what", "rows", wide="what")
    for what, number in (*kinds.items(), *counts.most_common()):
        table.add_row(_KINDS.get(what, f"left out: {what}"), str(number))
    console().print(table)
    came = f"{counted(read['dialogues'], 'dialogue')} and {counted(read['edits'], 'edit')}"
    say(f"Wrote {counted(total, 'row')} out of {came} to {out}.")


_KINDS = {
    "log": "chosen: a later reply of the log",
    "model": "chosen: written by the model",
    "user": "chosen: the draft as edited",
    "True": "labelled good",
    "False": "labelled bad",
}
