"""What users say to their memory in the chat: remember, forget, not now, only for mails, why, show.

A command is applied by the memory at once and is no preference. The grammar is deterministic; it
would rather miss a command than take words about something else for one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from prefmem.commands_grammar import Intent as Intent
from prefmem.commands_reading import Around, as_rule, read, read_aside
from prefmem.commands_reading import Command as Command
from prefmem.commands_turn import Sentence, opens_foreign_text, sentences

_ITEM = re.compile(r"(?:[-*•–]|\d{1,2}[.)])\s+")
_YOU = re.compile(r"\b(?:you|your|you've|you're|rules?|preferences?)\b", re.I)
_DONE: Mapping[Intent, str] = {
    "forget": "I've forgotten:",
    "pause": "I'm leaving this out this time:",
    "why": "I went by what I remember about how you like things done:",
    "show": "What I remember about how you like things done:",
    "undo": "I've brought this back:",
}
_SINGLE: frozenset[Intent] = frozenset({"forget", "edit", "narrow", "undo"})  # change one rule
_ALIKE = 0.45  # cosine from which a rule is about the target without sharing a word
_MARGIN = 0.25  # by which one rule must lead for a change that needs a single one
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+(?:'\w+)?")
_ENDING = re.compile(r"(?<=\w\w\w)(?:ings|ing|ies|ied|ed|es|s|ly|y|e)$")
_SMALL = frozenset(
    {
        "a", "about", "all", "always", "an", "and", "answer", "answers", "any", "are", "as", "at",
        "be", "by", "do", "don't", "earlier", "for", "from", "how", "i", "i'm", "in", "is", "it",
        "like", "me", "my", "never", "no", "not", "of", "on", "or", "prefer", "reply", "said",
        "that", "the", "this", "to", "told", "use", "using", "want", "what", "when", "where",
        "with", "write", "writing", "you", "your",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """A rule that a command may be about.

    Attributes:
        card_id: Its card.
        text: The rule.
        injected: Whether it was injected for the last answer.
        recorded: When it was written, in seconds; the newest is the largest.
        similarity: Cosine of the command's target and the rule; 0 without a target.
    """

    card_id: str
    text: str
    injected: bool
    recorded: float
    similarity: float = 0.0


@dataclass(frozen=True, slots=True)
class _Found:
    command: Command
    start: int
    stop: int


def parse(text: str) -> tuple[Command, ...]:
    """Find the commands of a user's turn, in their order.

    Quotations, code fences, quoted lines and text that is pasted after "Translate this:" hold none.
    "Remember that." takes the sentence before it as its content, and "Remember this:" the lines
    below it. A short turn without a plain command is read for what it says in passing: at most one.
    Time is linear in the length of the turn.
    """
    return tuple(found.command for found in _find(text))


def without_commands(text: str, commands: Iterable[Command]) -> str:
    """Blank out the commands that `parse` found in a turn; all offsets and line breaks stay."""
    wanted = list(commands)
    for found in _find(text):
        if found.command in wanted:
            wanted.remove(found.command)
            blank = re.sub(r"[^\n]", " ", text[found.start : found.stop])
            text = text[: found.start] + blank + text[found.stop :]
    return text


def resolve(command: Command, rules: Sequence[Known]) -> tuple[str, ...]:
    """Give the ids of the cards that a command is about, best first.

    With a target, those are the rules that share its words or are close to it. Without one, those
    that were injected for the last answer; where there was none, the newest.

    Args:
        command: What was said.
        rules: The user's rules; for `undo`, those that could be brought back.

    Returns:
        For `forget`, `edit`, `narrow` and `undo` one card, or several where the target does not
        decide between them and the user must be asked. Empty where nothing fits, where "that" could
        be several injected rules, and for `remember`.
    """
    newest = sorted(rules, key=lambda rule: (-rule.recorded, rule.card_id))
    injected = [rule for rule in newest if rule.injected]
    if command.intent == "remember":
        found: list[Known] = []
    elif command.everything:
        found = [*injected, *(rule for rule in newest if not rule.injected)]
    elif command.intent == "why":
        found = _about(command.target, injected) or injected
    elif command.target:
        found = _about(command.target, newest)
        if command.intent in _SINGLE:
            found = _leading(command.target, found)
    elif command.intent == "show":
        found = newest
    elif command.intent == "pause":
        found = injected or newest[:1]
    elif command.intent == "undo":
        found = (injected or newest)[:1]
    else:
        found = injected if len(injected) == 1 else [] if injected else newest[:1]
    return tuple(rule.card_id for rule in found)


def reply(command: Command, rules: Sequence[str]) -> str:
    """Say in plain words what was done, what was found, or what must be asked.

    Args:
        command: What was said.
        rules: The rules it was applied to, shows or could mean; several for `forget`, `edit`,
            `narrow` and `undo` are asked about, unless everything was meant.
    """
    said = [_as_sentence(rule) for rule in rules]
    listed = " ".join(said)
    if command.intent == "remember":
        return f"I'll remember: {_as_sentence(command.content) or listed}".rstrip(": ")
    if command.intent == "pause" and command.everything:
        return "I'm leaving your preferences out this time."
    if not said:
        return _nothing(command)
    if command.intent in _SINGLE and len(said) > 1 and not command.everything:
        choices = " ".join(f"{i}. {rule}" for i, rule in enumerate(said, 1))
        return f"Which one do you mean? {choices}"
    if command.intent == "forget" and command.everything:
        return "I've forgotten everything I knew about how you like things done."
    if command.intent == "edit":
        if not command.content:
            return f"What should it say instead? So far: {listed}"
        return f"I've changed it to: {_as_sentence(command.content)} It was: {listed}"
    if command.intent == "narrow":
        return f"I've limited this to {command.content.rstrip('.')}: {listed}"
    return f"{_DONE[command.intent]} {listed}"


def _nothing(command: Command) -> str:
    """Say that there is no rule to apply a command to."""
    if command.intent == "why":
        return "Nothing that I remember about you played a part in that."
    if (command.intent == "show" and not command.target) or command.everything:
        return "I don't remember anything about how you like things done yet."
    if command.target:
        return f"I don't remember anything about this: {command.target}"
    return "I'm not sure which preference you mean. What is it about?"


def _as_sentence(text: str) -> str:
    words = " ".join(text.split())
    return words and f"{words[:1].upper()}{words[1:]}" + ("" if words[-1] in ".!?。" else ".")


def _about(target: str, rules: Iterable[Known]) -> list[Known]:
    """Give the rules that have half of a target's words or are close to it, best first."""
    scored = [(_score(target, rule), rule) for rule in rules]
    return [rule for score, rule in sorted(scored, key=lambda pair: -pair[0]) if score > 0.0]


def _leading(target: str, ranked: Sequence[Known]) -> list[Known]:
    """Give the best rule, with those that come too near to it."""
    return [r for r in ranked if _score(target, r) > _score(target, ranked[0]) - _MARGIN]


def _score(target: str, rule: Known) -> float:
    """Add the share of the target's words that the rule has to their cosine; 0 for another rule."""
    wanted = _stems(target)
    share = len(wanted & _stems(rule.text)) / len(wanted) if wanted else 0.0
    if share < 0.5 and rule.similarity < _ALIKE:
        return 0.0
    return share + max(rule.similarity, 0.0)


def _stems(text: str) -> frozenset[str]:
    words = (w for w in _WORD.findall(text.lower().replace("’", "'")) if w not in _SMALL)
    return frozenset(_ENDING.sub("", word) for word in words)


def _find(text: str) -> list[_Found]:
    """Find the commands of a turn, with their places."""
    turn = list(sentences(text))
    cores = [sentence.core() for sentence in turn]
    asking = [s.asks or core.requests for s, core in zip(turn, cores, strict=True)]
    spoken, asked = sum(bool(core.own) for core in cores), sum(asking)
    you = _YOU.search(text) is not None
    found: list[_Found] = []
    resume, own = 0, len(turn)
    for i, sentence in enumerate(turn):
        if i < resume:
            continue
        resume = i + 1
        said_before = cores[i - 1].said() if i else ""
        around = Around(spoken == bool(cores[i].own), asked > asking[i], you, said_before)
        here = list(_commands(text, sentence, around))
        if not here and opens_foreign_text(sentence):
            own = i
            break
        if here and here[-1].command.intent == "remember" and not here[-1].command.content:
            if sentence.own.endswith(":"):
                items = _items(turn[resume:])
                resume += len(items)
                here[-1:] = _listed(text, here[-1], items)
            elif i and not asking[i - 1] and not (found and found[-1].stop > turn[i - 1].start):
                before = replace(here[-1].command, content=as_rule(cores[i - 1].said()))
                here[-1] = replace(here[-1], command=before)
        found += here
    if not found and (aside := read_aside(turn[:own])):
        stretch, command = aside
        quote = text[stretch.start : stretch.stop]
        found = [_Found(replace(command, sentence=quote), stretch.start, stretch.stop)]
    return found


def _items(below: Sequence[Sentence]) -> list[Sentence]:
    """Give the items under a heading, or the one sentence that follows it."""
    items: list[Sentence] = []
    for sentence in below:
        if not _ITEM.match(sentence.own):
            break
        items.append(sentence)
    return items or list(below[:1])


def _listed(text: str, heading: _Found, items: Iterable[Sentence]) -> Iterator[_Found]:
    """Make a command of each item; the first one takes the heading along."""
    for i, item in enumerate(items):
        start = item.start if i else heading.start
        content = as_rule(_ITEM.sub("", item.core().said(), count=1))
        command = Command("remember", content=content, sentence=text[start : item.stop])
        yield _Found(command, start, item.stop)


def _commands(text: str, sentence: Sentence, around: Around) -> Iterator[_Found]:
    """Give the command that a sentence is, or else those within it."""
    command = read(sentence, around, whole=True)
    stretches = [(sentence, command)] if command else _within(sentence, around)
    for stretch, command in stretches:
        quote = text[stretch.start : stretch.stop]
        yield _Found(replace(command, sentence=quote), stretch.start, stretch.stop)


def _within(sentence: Sentence, around: Around) -> Iterator[tuple[Sentence, Command]]:
    taken = 0
    for part in sentence.parts():
        head = sentence.part(0, sentence.places.index(part.start)).core()
        near = replace(around, before=head.said()) if head.own else around
        if part.start >= taken and (command := read(part, near, whole=False)):
            if command.intent == "remember" and part.stop < sentence.stop:
                continue  # what is to be remembered goes on to the end
            taken = part.stop
            yield part, command
