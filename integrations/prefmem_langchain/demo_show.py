"""How the demo looks: on a screen of 80 columns or more, with colour or without, and as JSON."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from prefmem import Candidate, Card, Config
from prefmem_langchain.demo_play import Answer, Played

_LEFT_OUT = 2  # candidates shown that were not injected
_REPLY_CHARS = 600


def show(played: Played, config: Config, screen: Console) -> None:
    """Show one person: what was learned, the later questions, and one block as it was received."""
    dialogue = played.dialogue
    sessions = len(dialogue.sessions)
    screen.rule(
        Text(f"{dialogue.who}: {dialogue.turns} user turns in {sessions} sessions", style="bold"),
        align="left",
    )
    screen.print()
    screen.print(_learned(played.cards))
    if dialogue.expected:
        noted = len(dialogue.expected)
        heard = noted - len(played.missed)
        screen.print(f"\nHeard {heard} of the {noted} preferences that a reader noted.")
    for session, words in played.missed:
        screen.print(Padding(Text(f'not heard ({session}): "{_line(words)}"', style="dim"), (0, 2)))
    screen.print(Text("\nLater, in new conversations", style="bold"))
    for answer in played.answers:
        screen.print()
        screen.print(_asked(answer, config))
    example = max(played.answers, key=lambda a: len(a.recall.chosen), default=None)
    if example is not None and example.block:
        screen.print(Text("\nThe exact block that the agent received", style="bold"))
        screen.print(f'with "{_line(example.question)}"\n')
        screen.print(_block(example.block))
    screen.print()


def data(played: Played, config: Config) -> dict[str, Any]:
    """Give the same as JSON data."""
    return {
        "who": played.dialogue.who,
        "turns": played.dialogue.turns,
        "sessions": len(played.dialogue.sessions),
        "learned": [_card_data(card) for card in played.cards],
        "expected": len(played.dialogue.expected),
        "missed": [{"session": s, "words": words} for s, words in played.missed],
        "questions": [_answer_data(answer, config) for answer in played.answers],
    }


def why(candidate: Candidate, *, chosen: bool, config: Config) -> str:
    """Say why a candidate is injected or left out."""
    if candidate.card.preference.scope.kind == "global":
        return "global" if chosen else f"over {config.max_global} global"
    if candidate.total < config.min_score:
        return f"{candidate.total:.2f} < {config.min_score:.2f}"
    if chosen:
        return f"{candidate.total:.2f} >= {config.min_score:.2f}"
    return f"{candidate.total:.2f}, over {config.limit} rules"


def _learned(cards: Sequence[Card]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, expand=True)
    table.add_column(f"{len(cards)} rules learned, and the words they come from", ratio=1)
    for name in ("kind", "conf", "session"):
        table.add_column(name, no_wrap=True)
    for card in cards:
        p = card.preference
        quotes = (Text(f'"{_line(evidence.quote)}"', style="dim") for evidence in p.evidence)
        cell = Group(_line(card.text), *(Padding(quote, (0, 0, 0, 2)) for quote in quotes))
        kind = p.polarity if card.status == "active" else f"{p.polarity} ({card.status})"
        table.add_row(cell, kind, f"{p.confidence:.2f}", _line(card.session_id))
    return table


def _asked(answer: Answer, config: Config) -> Group:
    recall = answer.recall
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, min_width=12)
    table.add_column()
    for position in recall.chosen:
        candidate = recall.candidates[position]
        table.add_row("+", why(candidate, chosen=True, config=config), _line(candidate.card.text))
    if not recall.chosen:
        table.add_row("", "no rule", "nothing is injected")
    others = _others(answer)
    for candidate in others[:_LEFT_OUT]:
        reason = why(candidate, chosen=False, config=config)
        table.add_row("-", reason, Text(_line(candidate.card.text), style="dim"))
    if len(others) > _LEFT_OUT:
        table.add_row("-", "", Text(f"and {len(others) - _LEFT_OUT} more", style="dim"))
    parts: list[RenderableType] = [
        Text(f'"{_line(answer.question)}"'),
        Padding(table, (0, 0, 0, 2)),
    ]
    if answer.reply:
        reply = Text(f"reply: {_line(answer.reply)[:_REPLY_CHARS]}")
        parts.append(Padding(reply, (0, 0, 0, 2)))
    return Group(*parts)


def _block(block: str) -> Table:
    """Show a block with a bar before each of its lines; a folded line goes on without one."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for line in block.split("\n"):
        table.add_row("|", line)
    return table


def _others(answer: Answer) -> list[Candidate]:
    recall = answer.recall
    return [c for i, c in enumerate(recall.candidates) if i not in recall.chosen]


def _card_data(card: Card) -> dict[str, Any]:
    p = card.preference
    return {
        "text": card.text,
        "condition": p.condition,
        "action": p.action,
        "polarity": p.polarity,
        "scope": p.scope.kind,
        "confidence": round(p.confidence, 4),
        "status": card.status,
        "quotes": [evidence.quote for evidence in p.evidence],
        "session": card.session_id,
    }


def _answer_data(answer: Answer, config: Config) -> dict[str, Any]:
    def told(candidate: Candidate, *, chosen: bool) -> dict[str, Any]:
        return {
            "text": candidate.card.text,
            "relevance": round(candidate.relevance, 4),
            "worth": round(candidate.total, 4),
            "why": why(candidate, chosen=chosen, config=config),
        }

    recall = answer.recall
    return {
        "question": answer.question,
        "injected": [told(recall.candidates[i], chosen=True) for i in recall.chosen],
        "left_out": [told(candidate, chosen=False) for candidate in _others(answer)],
        "block": answer.block,
        "reply": answer.reply,
    }


def _line(text: str) -> str:
    """Bring text to one line without control characters: a model or a user wrote it."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())
