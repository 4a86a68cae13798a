"""Commands that work on what was said: learn and recall."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias, cast

import typer

from prefmem.cli.options import (
    DB,
    Agents,
    Db,
    ExistingFile,
    Json,
    Tenant,
    User,
    missing,
    opened,
    shown,
)
from prefmem.cli.show import (
    card_data,
    console,
    counted,
    emit,
    learned_table,
    line,
    progress,
    recall_table,
    say,
    why,
)
from prefmem.config import Config
from prefmem.errors import InputError
from prefmem.memory import PreferenceMemory
from prefmem.messages import to_turns
from prefmem.types import Card, LearnReport, Recall

Message: TypeAlias = Mapping[str, object]
_STRETCH = 32  # messages that are learned together; an interrupted run goes on from there


def learn(
    ctx: typer.Context,
    file: ExistingFile,
    user: User,
    db: Db = DB,
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Learn from a file of messages, one JSON object a line.

    A line has "role" and "content", and "session" (or "session_id") where the file holds several
    conversations. The whole file is checked before anything is learned.
    """
    sessions = read_sessions(file)
    with opened(ctx, db, tenant) as memory:
        # a file may hold the talk of years: the limit is for what comes in hour by hour
        memory.config = memory.config.model_copy(update={"max_new_cards_per_hour": None})
        report = _learned(memory, sessions, user)
    if as_json:
        emit(
            {
                "added": [card_data(card) for card in report.added],
                "updated": [card_data(card) for card in report.updated],
                "closed": [card_data(card) for card in report.closed],
                "events": list(report.events),
                "turns": report.turns,
                "skipped": report.skipped,
                "sessions": len(sessions),
            }
        )
        return
    if report.added:
        console().print(learned_table(report.added))
    say(
        f"{counted(report.turns, 'user turn')} in {counted(len(sessions), 'session')} read: "
        f"{counted(len(report.added), 'rule')} added, {len(report.updated)} heard again"
        + (f", {len(report.closed)} closed" if report.closed else "")
        + (f"; {report.skipped} skipped: known before, or empty." if report.skipped else ".")
    )


def recall(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(help="What the user asks for now.")],
    user: User,
    everything: Annotated[
        bool, typer.Option("--why", help="Show every candidate, and rules that wait.")
    ] = False,
    block: Annotated[bool, typer.Option("--block", help="Show the agent's exact block.")] = False,
    db: Db = DB,
    tenant: Tenant = "",
    agents: Agents = None,
    as_json: Json = False,
) -> None:
    """Show which rules an agent would be given for a request."""
    if agents is not None and missing(db):
        say(f"There is no store at {shown(db)}: these are the agent's rules alone.")
        db = ":memory:"
    with opened(ctx, db, tenant, made=db == ":memory:", agents=agents) as memory:
        found, config = (
            memory.recall(query, user_id=user, why=everything, strict=True),
            memory.config,
        )
        text = memory.render(found)
    if as_json:
        emit(recall_data(found, text, config))
    elif block:
        typer.echo(text, nl=bool(text))
    elif found.rules or everything:
        console().print(recall_table(found, config, everything=everything))
        say(f"How was it? prefmem feedback {found.id} 1 --user {user}")
    if not found.rules and not as_json:
        say(nothing(found))


def read_sessions(file: Path) -> dict[str, list[Message]]:
    """Read and check a file of messages: messages in order, by session in order of appearance.

    Raises:
        InputError: A line is broken; the message names its number.
    """
    sessions: dict[str, list[Message]] = {}
    for number, raw in enumerate(file.read_bytes().split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            session, message = _message(raw.removeprefix(b"\xef\xbb\xbf"))
        except InputError as error:
            raise InputError(f"{file}, line {number}: {error}; nothing was learned") from error
        sessions.setdefault(session, []).append(message)
    return sessions


def _message(raw: bytes) -> tuple[str, Message]:
    try:
        data = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"no JSON ({error})") from error
    if not isinstance(data, dict):
        raise InputError(f"a JSON {type(data).__name__}, not an object with role and content")
    fields = cast(dict[str, Any], data)
    session = fields.get("session_id", fields.get("session", ""))
    if not isinstance(session, str):
        raise InputError(f"session is {session!r}, not a text")
    message: Message = {name: fields[name] for name in ("role", "content") if name in fields}
    try:
        to_turns([message], max_chars=Config().max_turn_chars)
    except InputError as error:
        raise InputError(str(error).removeprefix("message 0 ")) from error
    return session, message


def _learned(
    memory: PreferenceMemory, sessions: Mapping[str, Sequence[Message]], user: str
) -> LearnReport:
    """Learn stretch by stretch, and sum up."""
    added: dict[str, Card] = {}
    updated: dict[str, Card] = {}
    closed: dict[str, Card] = {}
    events: list[str] = []
    done = skipped = turns = 0
    total = sum(len(messages) for messages in sessions.values())
    with progress() as tell:
        for session, messages in sessions.items():
            for stretch in _stretches(messages):
                report = memory.learn(stretch, user_id=user, session_id=session)
                added |= {card.id: card for card in report.added}
                updated |= {card.id: card for card in report.updated}
                closed |= {card.id: card for card in report.closed}
                events += report.events
                skipped, turns = skipped + report.skipped, turns + report.turns
                done += len(stretch)
                tell("learning", done, total)
    last = updated | closed
    added |= {i: card for i, card in last.items() if i in added}
    again = tuple(card for i, card in updated.items() if i not in added and i not in closed)
    shut = tuple(card for i, card in closed.items() if i not in added)
    return LearnReport(tuple(added.values()), again, skipped, turns, shut, tuple(events))


def _stretches(messages: Sequence[Message]) -> Iterable[Sequence[Message]]:
    """Cut a conversation before replies of the assistant.

    A user turn is named by its words and the turn before it, so both must lie in one stretch.
    """
    start = 0
    for position, message in enumerate(messages):
        (turn,) = to_turns([message], max_chars=Config().max_turn_chars)
        reply = turn.role == "assistant" and turn.text.strip()
        if reply and position - start >= _STRETCH:
            yield messages[start:position]
            start = position
    yield messages[start:]


def recall_data(found: Recall, block: str, config: Config) -> dict[str, Any]:
    """Give a recall as JSON data, with every candidate and the block."""
    return {
        "id": found.id,
        "query": found.query,
        "rules": [
            {"text": rule.text, "source": rule.source, "card_ids": list(rule.card_ids)}
            for rule in found.rules
        ],
        "candidates": [
            {
                "card_id": row.card_id,
                "text": row.text,
                "scope": row.scope,
                "status": row.status,
                "dense": round(row.dense, 4),
                "dense_relevance": round(row.dense_relevance, 4),
                "relevance": round(row.relevance, 4),
                "belief": round(row.belief, 4),
                "worth": round(row.worth, 4),
                "reranked": row.reranked,
                "floor": row.floor,
                "chosen": row.verdict.injected,
                "reason": row.verdict.reason,
                "by": row.verdict.by or None,
                "why": why(row, config=config),
            }
            for row in found.explain()
        ],
        "written": [
            {
                "text": one.text,
                "chosen": one.verdict.injected,
                "reason": one.verdict.reason,
                "by": one.verdict.by or None,
            }
            for one in found.written
        ],
        "floor": found.floor,
        "block": block,
    }


def nothing(found: Recall) -> str:
    """Say that no rule applies, and how near the best came."""
    if not found.candidates:
        return f"No rule applies: {line(found.user_id)} has no active cards."
    best = max(candidate.relevance for candidate in found.candidates)
    return (
        f"No rule applies: of {counted(len(found.candidates), 'candidate')} the best has relevance "
        f"{best:.2f}, {found.floor:.2f} is needed."
    )
