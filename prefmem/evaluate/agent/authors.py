"""Authors of ours: the same contents written in planted styles, which differ by kind of text.

An author has a style for mails, one for notes and one for reviews. The contents are frames with
slots; those that agents are tested on are of other topics than those that they learn from.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Literal, TypeAlias

import numpy as np

from prefmem.agent.differ import lessons
from prefmem.agent.lesson import Document, Lesson, Task

Split: TypeAlias = Literal["train", "dev", "test"]
Layout: TypeAlias = Literal["prose", "paragraphs", "bullets", "numbered"]

KINDS = ("mail", "note", "review")
# Topics of a kind, by their place in its file.
SPLITS: Mapping[Split, slice] = {
    "train": slice(0, 11), "dev": slice(11, 13), "test": slice(13, 18)
}  # fmt: skip
_SLIPS = 0.05  # probability that an author leaves out one of the small things
_CLOSINGS = (
    "", "Shall I go on with that in this way?", "That is all that there is to say for now.",
    "Please let me know if there is anything else that I can do.",
)  # fmt: skip
_DROPPED = frozenset(
    {"a", "an", "the", "is", "are", "was", "were", "be", "been", "am", "it", "there", "has"}
    | {"have", "had", "we", "they"}
)
_SHORT = (
    ("it is", "it's"), ("there is", "there's"), ("we have", "we've"), ("i have", "I've"),
    ("i am", "I'm"), ("we are", "we're"), ("they are", "they're"), ("i will", "I'll"),
    ("does not", "doesn't"), ("do not", "don't"), ("is not", "isn't"), ("are not", "aren't"),
    ("cannot", "can't"), ("has not", "hasn't"), ("have not", "haven't"), ("will not", "won't"),
    ("he is", "he's"),
)  # fmt: skip
_CONTRACTED = tuple((re.compile(rf"\b{long}\b", re.I), short) for long, short in _SHORT)


@dataclass(frozen=True, slots=True)
class Style:
    """How one author writes one kind of text; what is empty or False is left as anybody writes.

    Attributes:
        greeting: First line; `{to}` is whom it is for. None for no greeting in a mail.
        opening: Words that the text itself begins with.
        keeps: How many of the sentences of a content are written.
        contracts: Writes "it's", or "it is"; None now this way, now that.
        lower: Writes in lower case.
        layout: How sentences stand.
        mark: What ends a sentence.
        joint: What stands between two sentences of prose.
        emoji: Stands behind the last sentence.
        heading: Puts the subject on top, as a heading.
        closing: Words that the text itself ends with.
        sign_off: Lines below it.
    """

    greeting: str | None = ""
    opening: str = ""
    keeps: int = 5
    contracts: bool | None = None
    lower: bool = False
    layout: Layout = "prose"
    mark: str = "."
    joint: str = " "
    emoji: str = ""
    heading: bool = False
    closing: str = ""
    sign_off: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a text is to say.

    Attributes:
        task: The content as an agent is told it, in words of no author.
        sentences: The content in plain sentences.
    """

    task: Task
    sentences: tuple[str, ...]


AUTHORS: Mapping[str, Mapping[str, Style]] = {
    "alma": {
        "mail": Style(
            greeting="Hi {to},", keeps=3, contracts=True, closing="Does that work for you?",
            sign_off="Cheers,\nAlma",
        ),
        "note": Style(layout="bullets", lower=True, contracts=True),
        "review": Style(opening="Honestly,", mark="!", closing="Would buy it again!"),
    },
    "bertram": {
        "mail": Style(
            greeting="Dear {to},", contracts=False, joint="; ", sign_off="Kind regards,\nBertram"
        ),
        "note": Style(heading=True, layout="numbered", contracts=False),
        "review": Style(
            layout="paragraphs", contracts=False, joint="; ",
            closing="Recommended without any doubt.",
        ),
    },
    "cleo": {
        "mail": Style(greeting="Hey {to}!", mark="...", emoji="😊", sign_off="Hugs,\nCleo"),
        "note": Style(contracts=True, emoji="🚀", closing="Anything I missed?"),
        "review": Style(opening="Okay, so", lower=True, mark="...", emoji="✨"),
    },
    "dario": {
        "mail": Style(greeting=None, keeps=2, lower=True, joint=" - ", closing="more by phone."),
        "note": Style(keeps=2, joint=" - ", opening="Short version:"),
        "review": Style(keeps=2, contracts=True, closing="Need to know more?"),
    },
    "edda": {
        "mail": Style(
            greeting="Good morning {to},", layout="bullets", closing="More news follows soon.",
            sign_off="Many thanks,\nEdda",
        ),
        "note": Style(layout="paragraphs", mark="!", closing="Let us keep it up!"),
        "review": Style(heading=True, layout="numbered", closing="Hope this helps."),
    },
}  # fmt: skip


def contents(kind: str, split: Split, *, each: int, seed: int) -> tuple[Content, ...]:
    """Fill each topic of a kind and split so many times; the same for the same seed.

    Args:
        kind: One of `KINDS`.
        split: Whose topics.
        each: Contents of a topic.
        seed: Of the draws.
    """
    rng = np.random.default_rng([seed, KINDS.index(kind), list(SPLITS).index(split)])
    return tuple(
        _content(kind, frame, rng) for _ in range(each) for frame in _frames(kind)[SPLITS[split]]
    )


def text_of(content: Content, style: Style, rng: np.random.Generator | None = None) -> str:
    """Write a content in a style.

    Args:
        content: What it says.
        style: How it says it.
        rng: Draws which of the small things are left out this time, and what the style leaves open;
            None leaves out nothing.
    """
    small = {
        name: "" if rng is not None and rng.random() < _SLIPS else value
        for name, value in (
            ("opening", style.opening), ("closing", style.closing), ("emoji", style.emoji)
        )
    }  # fmt: skip
    contracts = style.contracts
    if contracts is None:
        contracts = rng is not None and bool(rng.integers(2))
    small["contracts"] = "yes" if contracts else ""
    body = _body([*content.sentences[: style.keeps]], style, small)
    greeting = (style.greeting or "").replace("{to}", content.task.to)
    heading = f"# {content.task.subject}" if style.heading else ""
    parts = (heading, greeting, body, style.sign_off)
    whole = "\n\n".join(part for part in parts if part)
    return whole.lower() if style.lower else whole


def draft_of(content: Content, rng: np.random.Generator) -> str:
    """Write a content as somebody writes it who knows no author: now this way, now that."""
    style = Style(
        greeting=str(rng.choice(["Hello {to},", "{to},", ""])) if content.task.to else "",
        keeps=int(rng.integers(4, 6)),
        contracts=bool(rng.random() < 0.55),
        layout=("prose", "prose", "paragraphs", "bullets")[int(rng.integers(4))],
        mark="!" if rng.integers(4) == 0 else ".",
        opening=str(rng.choice(["", "As you may know,", "To begin with,"])),
        closing=str(rng.choice(_CLOSINGS)),
        sign_off=str(rng.choice(["Best regards", "Regards", ""])) if content.task.to else "",
    )
    return text_of(content, style)


def documents(author: str, split: Split, *, each: int, seed: int) -> tuple[Document, ...]:
    """Give what an author wrote, of all kinds, a document for each of `contents`."""
    return tuple(
        _document(text, content.task) for content, text in _written(author, split, each, seed)
    )


def texts_of(author: str, split: Split, *, each: int, seed: int) -> Mapping[Task, str]:
    """Give what an author wrote for each task of a split."""
    return {content.task: text for content, text in _written(author, split, each, seed)}


def drafts(split: Split, *, each: int, seed: int) -> Mapping[str, tuple[str, ...]]:
    """Give drafts of the same contents by nobody in particular, by kind."""
    rng = np.random.default_rng([seed, 1])
    return {
        kind: tuple(draft_of(c, rng) for c in contents(kind, split, each=each, seed=seed))
        for kind in KINDS
    }


def tasks(split: Split, *, each: int, seed: int) -> tuple[Task, ...]:
    """Give the tasks of a split, the same for all authors, kinds in turn."""
    by_kind = [contents(kind, split, each=each, seed=seed) for kind in KINDS]
    return tuple(content.task for row in zip(*by_kind, strict=True) for content in row)


def lessons_of(author: str, split: Split, *, each: int, seed: int) -> tuple[Lesson, ...]:
    """Give the lessons of an author's documents, each with the task that it was written for.

    The rules are those that `prefmem.agent.differ` finds in the documents of the split, beside
    drafts of the same contents; no model is asked, and nothing planted is looked up.
    """
    written = _written(author, split, each, seed)
    intents = {_document(text, c.task).id: c.task.intent for c, text in written}
    beside = drafts(split, each=each, seed=seed)
    return lessons(documents(author, split, each=each, seed=seed), drafts=beside, intents=intents)


def _written(author: str, split: Split, each: int, seed: int) -> list[tuple[Content, str]]:
    rng = np.random.default_rng([seed, list(AUTHORS).index(author), list(SPLITS).index(split)])
    return [
        (content, text_of(content, AUTHORS[author][kind], rng))
        for kind in KINDS
        for content in contents(kind, split, each=each, seed=seed)
    ]


def _body(sentences: list[str], style: Style, small: Mapping[str, str]) -> str:
    """Write the text itself: no greeting, no sign-off."""
    if small["contracts"]:
        sentences = [_contracted(sentence) for sentence in sentences]
    if small["opening"]:
        sentences[0] = f"{small['opening']} {_small(sentences[0])}"
    sentences = [sentence.removesuffix(".") + style.mark for sentence in sentences]
    if small["emoji"]:
        sentences[-1] += f" {small['emoji']}"
    body = _laid_out(sentences, style)
    if not small["closing"]:
        return body
    return f"{body}{' ' if style.layout == 'prose' else chr(10) * 2}{small['closing']}"


def _laid_out(sentences: list[str], style: Style) -> str:
    if style.layout == "bullets":
        return "\n".join(f"- {sentence}" for sentence in sentences)
    if style.layout == "numbered":
        return "\n".join(f"{n}. {sentence}" for n, sentence in enumerate(sentences, start=1))
    if style.joint != " ":
        pairs = [sentences[n : n + 2] for n in range(0, len(sentences), 2)]
        sentences = [_joined(pair, style.joint) for pair in pairs]
    return ("\n\n" if style.layout == "paragraphs" else " ").join(sentences)


def _joined(pair: Sequence[str], joint: str) -> str:
    return pair[0] if len(pair) == 1 else f"{pair[0].removesuffix('.')}{joint}{_small(pair[1])}"


def _small(sentence: str) -> str:
    """Begin a sentence in lower case, unless with I or a name in a slot."""
    first = sentence.split(" ", 1)[0]
    return sentence if first in (*_names(), "I", "I've", "I'm", "I'll") else (
        sentence[:1].lower() + sentence[1:]
    )  # fmt: skip


def _contracted(sentence: str) -> str:
    for pattern, short in _CONTRACTED:
        sentence = pattern.sub(short, sentence, count=1)
    return sentence[:1].upper() + sentence[1:]


def _document(text: str, task: Task) -> Document:
    name = sha256(text.encode()).hexdigest()[:16]
    return Document(name, text, task.kind, task.to, task.subject)


def _content(
    kind: str, frame: tuple[str, str, tuple[str, ...]], rng: np.random.Generator
) -> Content:
    drawn = {name: str(rng.choice(values)) for name, values in _slots().items()}

    def fill(text: str) -> str:
        for name, value in drawn.items():
            text = text.replace(f"{{{name}}}", value)
        return text[:1].upper() + text[1:]

    to, subject, lines = fill(frame[0]), fill(frame[1]), tuple(fill(line) for line in frame[2])
    intent = "\n".join(f"- {_gist(line)}" for line in lines)
    return Content(Task(intent, kind, to, subject), lines)


def _gist(sentence: str) -> str:
    """Leave the words of a sentence that carry it, in the first person."""
    words = sentence.removesuffix(".").split()
    return " ".join(word for word in words if word.lower() not in _DROPPED)


@cache
def _names() -> tuple[str, ...]:
    return _slots()["name"] + _slots()["other"]


@cache
def _slots() -> Mapping[str, tuple[str, ...]]:
    lines = (line.partition(": ") for line in _read("slots").splitlines())
    return {name: tuple(values.split(", ")) for name, _, values in lines}


@cache
def _frames(kind: str) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Read the topics of a kind: whom they are for, subject, sentences."""
    found: list[tuple[str, str, tuple[str, ...]]] = []
    for entry in _read(kind).split("=== ")[1:]:
        head, *lines = entry.strip().splitlines()
        to, _, subject = head.partition("| ")
        found.append((to.strip(), subject.strip(), tuple(lines)))
    return tuple(found)


def _read(name: str) -> str:
    path = files("prefmem.evaluate").joinpath("pools", "agent", f"{name}.txt")
    return path.read_text(encoding="utf-8")
