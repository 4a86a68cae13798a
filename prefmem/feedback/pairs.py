"""Preference data for training: rows as TRL reads them, made of follow-ups and of edits.

As in WildFeedback (arXiv:2408.15549) a reply that drew a complaint is the rejected one. The chosen
one is a later reply to the same request that the user accepted; where there is none, a model may
write it, and the row says so. Every row names the rule that explains it, a rationale put together
from that rule and the user's words (arXiv:2407.14477), and where those words stand.

Rows hold what users and assistants wrote, word for word: names and secrets of a dialogue are in
them, and `forget` does not reach them. They are personal data.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from prefmem.feedback.differences import Difference, differences
from prefmem.interaction import Judgement
from prefmem.messages import plain
from prefmem.types import Preference, Role, Turn

Form: TypeAlias = Literal["dpo", "kto"]
Message: TypeAlias = dict[str, str]
Row: TypeAlias = dict[str, object]
Rewriter: TypeAlias = Callable[[Sequence[Mapping[str, str]]], str]
Placed: TypeAlias = tuple[tuple[int, Turn], ...]
Reason: TypeAlias = Literal[
    "no complaint", "neutral", "unsure", "rests on a tool", "no rule", "no accepted reply",
    "no answer of the model", "same text", "only content changed",
]  # fmt: skip

FLOOR = 0.7
_SHIFT = 0.5  # probability of another topic from which a request is over
_LONGEST = 21  # messages of a prompt: an odd number, so that a cut one begins with the user
_QUOTE = 400  # characters of a follow-up that are quoted where no rule says which
_TOLD = 200  # characters of a quote in a rationale
_WRITE = """\
Answer the user's last message. About answers the user has this wish, given as a JSON string:
{rule}
Keep to it where it concerns the message; it grants no permission. Give the answer alone, without a
word about the wish and without an apology."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row comes from.

    Attributes:
        session: The conversation; empty where the log does not say.
        row: Line of a file, or the name that the log gives to it.
        user: Keyed hash of the user, empty where the log does not say; None leaves it out.
    """

    session: str = ""
    row: str = ""
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, the reply to it, and what the user said next.

    Attributes:
        prompt: The dialogue up to the request: a system message if there is one, then messages
            whose roles take turns, the request last.
        request: The user turns before the reply, each with its place in the dialogue, from 0.
        reply: The reply.
        followup: The user turns after it, likewise.
        tool: Whether a tool was called for the reply, so that the prompt does not tell all.
    """

    prompt: tuple[Message, ...]
    request: Placed
    reply: str
    followup: Placed
    tool: bool = False

    @property
    def said(self) -> str:
        """Text of the follow-up."""
        return _text(self.followup)


@dataclass(frozen=True, slots=True)
class Made:
    """Rows, and how many more there might be, by the reason why they are left out."""

    rows: tuple[Row, ...]
    left: Counter[Reason]


@dataclass(frozen=True, slots=True)
class _Cause:
    turn: int | None
    quote: str
    rule: str
    rationale: str


@dataclass(slots=True)
class _Block:
    role: Role
    turns: list[tuple[int, Turn]]
    tool: bool


def exchanges(turns: Sequence[Turn]) -> tuple[Exchange, ...]:
    """Take a dialogue apart, oldest turn first; a reply that nothing follows is left out.

    Turns of one speaker in a row count as one message. Empty turns, what tools gave, system turns
    after the first user turn, and what was said over ten exchanges before a request are in no
    prompt.
    """
    blocks, messages = _blocks(turns), prompt_of(turns)
    first = len(messages) - len(blocks)  # 1 after a system message
    return tuple(
        Exchange(
            (*messages[:first], *messages[first + max(0, n - _LONGEST) : first + n]),
            tuple(blocks[n - 1].turns), _text(block.turns), tuple(blocks[n + 1].turns), block.tool,
        )
        for n, block in enumerate(blocks[:-1])
        if block.role == "assistant" and n > 0
    )  # fmt: skip


def prompt_of(turns: Sequence[Turn]) -> tuple[Message, ...]:
    """Give a whole dialogue as a prompt; see `exchanges`."""
    begun = next((n for n, turn in enumerate(turns) if turn.role == "user"), len(turns))
    system = [t.text for t in turns[:begun] if t.role == "system" and t.text.strip()]
    head: list[Message] = [{"role": "system", "content": "\n\n".join(system)}] if system else []
    said = ({"role": block.role, "content": _text(block.turns)} for block in _blocks(turns))
    return (*head, *said)


def dpo_rows(
    found: Sequence[Exchange],
    judgements: Sequence[Judgement],
    rules: Iterable[Preference],
    origin: Origin,
    *,
    judge: str,
    floor: float = FLOOR,
    rewrite: Rewriter | None = None,
    everything: bool = False,
) -> Made:
    """Pair each reply that drew a complaint with the reply that was accepted in the end.

    Accepted is the first reply after nothing but complaints that the user is content with, or after
    which the user calmly turns to something else.

    Args:
        found: All exchanges of a dialogue, (n,).
        judgements: Of each, what the follow-up shows, (n,).
        rules: What the complaining turns say.
        origin: Where the dialogue comes from.
        judge: Name of what judged.
        floor: Confidence that a judgement needs, in [0, 1].
        rewrite: Writes the chosen reply under the rule where none was accepted: a chat model, from
            messages to its answer.
        everything: Whether complaints that say no rule make pairs, too; their rule is empty.

    Returns:
        Rows with prompt, chosen, rejected and `chosen_by`: `log` or `model`. Their confidence is
        that of the less sure of the judgements.
    """
    known = tuple(rules)

    def pair(n: int) -> Row | Reason:
        exchange, judgement = found[n], judgements[n]
        if judgement.label != "dissatisfied":
            return "no complaint"
        if judgement.confidence < floor:
            return "unsure"
        cause = _cause(exchange, known, good=False)
        if not cause.rule and not everything:
            return "no rule"
        later, sure = _accepted(judgements, n, floor), judgement.confidence
        if exchange.tool or (later is not None and found[later].tool):
            return "rests on a tool"
        if later is not None:
            chosen, by = found[later].reply, "log"
            sure = min(sure, _acceptance(judgements[later]))
        elif rewrite is not None and cause.rule:
            chosen, by = rewrite(_wanted(exchange.prompt, cause.rule)).strip(), "model"
        else:
            return "no accepted reply"
        if not chosen:
            return "no answer of the model"
        return _pair(exchange.prompt, chosen, exchange.reply, by, cause, origin, judge, sure)

    return _gathered(pair(n) for n in range(len(found)))


def kto_rows(
    found: Sequence[Exchange],
    judgements: Sequence[Judgement],
    rules: Iterable[Preference],
    origin: Origin,
    *,
    judge: str,
    floor: float = FLOOR,
) -> Made:
    """Label each reply that the user was clearly content or not content with.

    Args:
        found: All exchanges of a dialogue, (n,).
        judgements: Of each, what the follow-up shows, (n,).
        rules: What complaints say, and requests before replies that were welcome; a row's rule is
            empty where they say none.
        origin: Where the dialogue comes from.
        judge: Name of what judged.
        floor: Confidence that a judgement needs, in [0, 1].

    Returns:
        Rows with prompt, completion and label.
    """
    known = tuple(rules)

    def labelled(n: int) -> Row | Reason:
        exchange, judgement = found[n], judgements[n]
        if judgement.label == "neutral":
            return "neutral"
        if judgement.confidence < floor:
            return "unsure"
        if exchange.tool:
            return "rests on a tool"
        good = judgement.label == "satisfied"
        cause = _cause(exchange, known, good=good)
        said = _labelled(exchange.prompt, exchange.reply, good=good)
        return _row(said, cause, origin, judge, judgement.confidence)

    return _gathered(labelled(n) for n in range(len(found)))


def edit_rows(
    form: Form,
    prompt: Sequence[Message],
    draft: str,
    final: str,
    rule: Preference | None,
    origin: Origin,
) -> Made:
    """Prefer what a user made of a draft to the draft.

    An edit that changed nothing but facts makes no row: they come from outside of the prompt.

    Args:
        form: `dpo` for one row, `kto` for one of each text.
        prompt: What was asked for.
        draft: The text that was shown.
        final: The text as the user left it.
        rule: Style rule that explains the edit, if one is known.
        origin: Where the edit comes from.

    Returns:
        Rows whose evidence is what changed: of the final, or of the draft where it was taken out.
    """
    if draft.strip() == final.strip():
        return _gathered(["same text"])
    style = [d for d in differences(draft, final) if d.kind == "style"]
    if not style:
        return _gathered(["only content changed"])
    cause = _change(style, final, rule)
    if form == "dpo":
        return _gathered([_pair(prompt, final, draft, "user", cause, origin, "user", 1.0)])
    both = [_labelled(prompt, draft, good=False), _labelled(prompt, final, good=True)]
    return _gathered(_row(said, cause, origin, "user", 1.0) for said in both)


# Reading a dialogue


def _blocks(turns: Sequence[Turn]) -> list[_Block]:
    """Put the turns of one speaker in a row together."""
    blocks: list[_Block] = []
    tool = False
    for n, turn in enumerate(turns):
        if turn.role == "tool" or (turn.role == "assistant" and not turn.text.strip()):
            tool = True  # what calls a tool may say nothing
            continue
        if turn.role == "system" or not turn.text.strip():
            continue
        tool &= turn.role == "assistant"
        if not blocks or blocks[-1].role != turn.role:
            blocks.append(_Block(turn.role, [], tool))
        blocks[-1].turns.append((n, turn))
        blocks[-1].tool |= tool
    return blocks


def _text(turns: Iterable[tuple[int, Turn]]) -> str:
    return "\n\n".join(turn.text for _, turn in turns)


def _accepted(judgements: Sequence[Judgement], first: int, floor: float) -> int | None:
    """Find the reply that ended the complaints; after anything else the request may be another."""
    for n in range(first + 1, len(judgements)):
        before, here = judgements[n - 1], judgements[n]
        unhappy = before.label == "dissatisfied" and before.confidence >= floor
        if not unhappy or before.topic_shift >= _SHIFT:
            return None
        if here.label != "dissatisfied":
            needed = floor if here.label == "satisfied" else max(floor, _SHIFT)
            return n if _acceptance(here) >= needed else None
    return None


def _acceptance(judgement: Judgement) -> float:
    """Give the probability of what shows that a reply was accepted."""
    return judgement.topic_shift if judgement.label == "neutral" else judgement.confidence


# Saying why


def _cause(exchange: Exchange, rules: Iterable[Preference], *, good: bool) -> _Cause:
    """Find the surest rule that a complaint says, or that a welcome reply was asked under.

    Where there is none, the follow-up is quoted from its beginning.
    """
    verdict = "was content with the answer" if good else "turned the answer down"
    turns = {t.id: (n, t.text) for n, t in (exchange.request if good else exchange.followup)}
    for rule in sorted(rules, key=lambda r: -r.confidence):
        for e in rule.evidence:
            place, text = turns.get(e.turn_id, (0, ""))
            if e.quote.strip() and e.quote in text:
                said = f'{"after saying" if good else "and said"} "{plain(e.quote, limit=_TOLD)}"'
                because = _sentence(f"The user {verdict} {said}", rule.text)
                return _Cause(place, e.quote, rule.text, because)
    place, turn = exchange.followup[0]
    quote = turn.text.strip()[:_QUOTE].rstrip()
    because = _sentence(f'The user {verdict} and said "{plain(quote, limit=_TOLD)}"', "")
    return _Cause(place, quote, "", because)


def _change(style: Sequence[Difference], final: str, rule: Preference | None) -> _Cause:
    """Pick the change that shares most with the evidence of a rule, or else the first."""
    text, quotes = (rule.text, [e.quote for e in rule.evidence]) if rule else ("", [])

    def shared(change: Difference) -> int:
        pairs = (sorted((change.after, quote), key=len) for quote in quotes)
        return max((len(short) for short, long in pairs if short in long), default=0)

    told = [d for d in style if d.after.strip() or d.before.strip()]
    if not told:  # lines were broken elsewhere
        quote = final.strip()[:_QUOTE].rstrip()
        return _Cause(None, quote, text, _sentence("The user changed the layout", text))
    change = max(told, key=shared)
    before, after = (plain(t, limit=_TOLD) for t in (change.before, change.after))
    if not before:
        because = f'The user put "{after}" into the draft'
    elif not after:
        because = f'The user took "{before}" out of the draft'
    else:
        because = f'The user changed "{before}" to "{after}"'
    return _Cause(None, change.after if after else change.before, text, _sentence(because, text))


def _sentence(because: str, rule: str) -> str:
    return f"{because}, which shows this wish: {rule}" if rule else f"{because}."


def _wanted(prompt: Sequence[Message], rule: str) -> list[Message]:
    """Word what a model is asked to write: the request, under the rule."""
    wish = _WRITE.format(rule=json.dumps(rule, ensure_ascii=False))
    if prompt[0]["role"] == "system":
        wish = f"{prompt[0]['content']}\n\n{wish}"
        prompt = prompt[1:]
    return [{"role": "system", "content": wish}, *prompt]


# Writing rows


def _pair(
    prompt: Sequence[Message], chosen: str, rejected: str, by: str, cause: _Cause, origin: Origin,
    judge: str, confidence: float,
) -> Row | Reason:  # fmt: skip
    if chosen.strip() == rejected.strip():
        return "same text"
    texts: Row = {
        "prompt": list(prompt),
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "chosen_by": by,
    }
    return _row(texts, cause, origin, judge, confidence)


def _labelled(prompt: Sequence[Message], reply: str, *, good: bool) -> Row:
    completion = [{"role": "assistant", "content": reply}]
    return {"prompt": list(prompt), "completion": completion, "label": good}


def _row(said: Row, cause: _Cause, origin: Origin, judge: str, confidence: float) -> Row:
    row = {
        **said,
        "rule": cause.rule,
        "rationale": cause.rationale,
        "evidence": {
            "session": origin.session, "row": origin.row, "turn": cause.turn, "quote": cause.quote,
        },
        "judge": judge,
        "confidence": round(float(confidence), 6),
    }  # fmt: skip
    return row if origin.user is None else {**row, "user": origin.user}


def _gathered(found: Iterable[Row | Reason]) -> Made:
    """Part rows from reasons."""
    rows: list[Row] = []
    left: Counter[Reason] = Counter()
    for one in found:
        if isinstance(one, dict):
            rows.append(one)
        else:
            left[one] += 1
    return Made(tuple(rows), left)
