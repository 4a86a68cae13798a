"""Synthetic dialogue windows: frames, topics and a surface pass, put together at random.

A window is first built as marked text, as a person would write it, and then read by the same
parser as the written windows. `scenes.py` fills the frames; this module chooses kinds, adds what
stands around a rule, and varies the surface.
"""

import re
from collections.abc import Iterator
from random import Random
from typing import TypeAlias

from prefmem.train.scenes import (
    Scene,
    lower_first,
    read_lines,
    read_sections,
    read_topics,
    replace_words,
)
from prefmem.train.windows import Gold, WrittenTurn, WrittenWindow, parse_marks
from prefmem.types import Polarity, Role

_POSITIVE_SHARE = 0.45
_POSITIVE = {
    "standing": 20, "taste": 27, "conditional": 12, "audience": 6, "feedback": 7, "choice": 5,
    "change": 6, "several": 8, "identity": 5, "buried": 9,
}  # fmt: skip
_NEGATIVE = {
    "neg_chat": 26, "neg_oneoff": 14, "neg_question": 9, "neg_third": 7, "neg_quoted": 6,
    "neg_hypothetical": 4, "neg_past": 4, "neg_negated": 4, "neg_fiction": 5, "neg_taskspec": 7,
    "neg_pasted": 6, "neg_assistant": 5, "neg_withdrawn": 4,
}  # fmt: skip
_CONTRACTIONS = {"I'm": "I am", "can't": "cannot", "don't": "do not", "it's": "it is",
                 "I've": "I have", "I'd": "I would", "doesn't": "does not"}  # fmt: skip

_STYLE = {"lower": 0.16, "bare": 0.2, "long": 0.06}

RawTurn: TypeAlias = tuple[Role, str]


def _frame(scene: Scene, kind: str) -> list[RawTurn]:
    """Fill one frame of the kind; the evidence is marked where the frame holds a rule."""
    frames = {**read_sections("positive.txt"), **read_sections("negative.txt")}
    text = scene.fill(scene.pick(frames[kind]))
    text = re.sub(r"\b(no more|no|never|stop|didn't) <av>", r"<av>\1 ", text)
    turns: list[RawTurn] = [
        ("assistant", t[3:]) if t.startswith("A: ") else ("user", t.removeprefix("U: "))
        for t in text.split(" || ")
    ]
    return [*turns[:-1], ("user", _wrap(turns[-1][1]) if scene.actions else turns[-1][1])]


def _wrap(text: str) -> str:
    if "<e>" in text:
        return text
    bare = text.rstrip(".!?")
    return f"<e>{bare}</e>{text[len(bare) :]}"


def _identity(scene: Scene) -> list[RawTurn]:
    lines = [line.split(" | ") for line in read_lines("identity.txt")]
    text, topic, rules = scene.rng.choice(lines)
    scene.topic = scene.around = read_topics()[topic]
    parts = rules.split(" > ")
    scene.conditions, scene.actions = parts[::2], parts[1::2]
    before = scene.fill("{aboutme}") + " " if scene.rng.random() < 0.5 else ""
    after = ", " + scene.fill("{sofar}") if scene.rng.random() < 0.3 else ""
    return [("user", f"{before}<e>{text}</e>{after}")]


def _turns(scene: Scene, kind: str) -> list[RawTurn]:
    """One window of the kind as marked turns, with its surroundings."""
    rng = scene.rng
    inner = rng.choice(("standing", "taste", "conditional")) if kind == "buried" else kind
    inner = "conditional" if kind == "audience" else inner
    turns = _identity(scene) if kind == "identity" else _frame(scene, inner)
    parts = [_close(turns[-1][1], rng)]
    answers = int(len(turns) > 1)  # what is said about the assistant's turn comes first
    if rng.random() < (0.5 if kind in _POSITIVE else 0.35) and kind != "neg_chat":
        parts.insert(rng.choice((answers, len(parts))), scene.fill("{ask}"))
    fillers = rng.randint(3, 6) if kind == "buried" else rng.choice((0, 0, 0, 0, 1, 1, 2))
    for _ in range(fillers):
        parts.insert(rng.randint(answers, len(parts)), scene.fill("{filler}"))
    if rng.random() < 0.13:
        opening, stop = scene.fill("{greeting}"), rng.choice((", ", " - ", ", ", ", ", "! "))
        parts[0] = opening + stop + (parts[0] if stop == "! " else lower_first(parts[0]))
    if rng.random() < 0.1:
        parts.append(scene.fill("{closing}"))
    if rng.random() < 0.05:
        parts[-1] += " " + scene.fill("{emoji}")
    split = "\n" if any("\n" in p for p in parts) else rng.choice((" ",) * 8 + ("\n", "\n\n"))
    turns[-1] = ("user", split.join(parts))
    opened = turns[0][0] == "assistant"
    if rng.random() < (0.7 if opened else 0.3) or (kind == "feedback" and not opened):
        reply: list[RawTurn] = [] if opened else [("assistant", scene.fill("{reply}"))]
        first: RawTurn = ("user", scene.fill("{ask}"))
        turns[:0] = [first, *reply]
    if len(turns) < 4 and rng.random() < 0.16:
        answer = scene.fill(rng.choice(("{noted}", "{reply}", "{noted} {reply}")))
        more: list[RawTurn] = [("assistant", answer), ("user", scene.fill("{ask}"))]
        turns += more
    return turns


def _close(text: str, rng: Random) -> str:
    ended = re.sub(r"</?\w+>", "", text)[-1:] in '.!?:`"'
    return text if ended or "\n" in text else text + rng.choice((".", ".", ".", ".", "!"))


def _surface(text: str, rng: Random, *, lower: bool, bare: bool, long: bool) -> str:
    """Vary case, punctuation, contractions and spelling of marked text; the marks stay."""
    text = re.sub(r"\b([Aa]) ((?:<\w+>)*)(?!one|eu|u[sn])(?=[aeiou])", r"\1n \2", text)
    text = re.sub(
        r"(\A|[.!?]\s+)((?:<\w+>|[\"(])*)([a-z])",
        lambda m: m[1] + m[2] + m[3].upper(),
        text,
    )
    if long:
        text = replace_words(text, _CONTRACTIONS)
    if lower:
        text = text.lower()
    if bare:
        text = text.replace("'", "") if rng.random() < 0.4 else text
        text = re.sub(r"[.!]((?:</\w+>)*)\Z", r"\1", text)
    return _mistype(text, rng) if rng.random() < 0.07 else text


def _mistype(text: str, rng: Random) -> str:
    """Swap or drop one letter of a longer word outside the tags and the marked actions."""
    pieces = re.split(r"(<(do|av|ref|c)>.*?</\2>|<[^>]+>)", text)
    spots = [
        (i, m.start() + 2)
        for i, piece in enumerate(pieces)
        if piece and i % 3 == 0
        for m in re.finditer(r"(?=[a-z]{5})", piece)
    ]
    if not spots:
        return text
    i, at = rng.choice(spots)
    piece = pieces[i]
    swapped = piece[at + 1] + piece[at] if rng.random() < 0.5 else piece[at + 1]
    pieces[i] = piece[:at] + swapped + piece[at + 2 :]
    return "".join(p or "" for k, p in enumerate(pieces) if k % 3 < 2)


def _window(identifier: str, kind: str, scene: Scene) -> WrittenWindow:
    raw = _turns(scene, kind)
    style = {name: scene.rng.random() < p for name, p in _STYLE.items()}
    turns: list[WrittenTurn] = []
    for role, text in raw:
        said = _surface(text, scene.rng, **style) if role == "user" else text[:1].upper() + text[1:]
        turns.append(WrittenTurn(role, *parse_marks(said, where=identifier)))
    golds: list[Gold] = []
    rules = iter(enumerate(scene.actions))
    for i, turn in enumerate(turns):
        evidence = [s for s in turn.spans if s.mark == "e"]
        for span in (s for s in turn.spans if s.mark in ("do", "av", "ref")):
            at, action = next(rules)
            around = next(e for e in evidence if e.start <= span.start and span.stop <= e.stop)
            conditions = scene.conditions or [scene.topic.condition]
            condition = conditions[min(at, len(conditions) - 1)]
            polarity: Polarity = "avoid" if span.mark == "av" else "do"
            quote = turn.text[around.start : around.stop]
            golds.append(Gold(condition, action, polarity, i, span, quote))
    return WrittenWindow(identifier, scene.topic.name, kind, tuple(turns), tuple(golds))


def generate(count: int, *, seed: int) -> Iterator[WrittenWindow]:
    """Make `count` windows, the same ones for the same seed.

    Args:
        count: How many windows to make.
        seed: Seed of the only random generator used.

    Yields:
        Windows that follow the rules of `data/windows/README.md`; about 45% hold preferences.
    """
    rng = Random(seed)
    topics = read_topics()
    general, mail = topics["general"], topics["workmail"]
    for number in range(count):
        table = _POSITIVE if rng.random() < _POSITIVE_SHARE else _NEGATIVE
        kind = rng.choices(list(table), list(table.values()))[0]
        share = 0.35 if kind in ("standing", "feedback") else 0.12
        around = rng.choice(list(topics.values()))
        topic = general if rng.random() < share else around
        if kind == "audience":
            topic = rng.choice((general, general, mail))
        scene = Scene(rng, topic, around, audience=kind == "audience")
        yield _window(f"g{seed}-{number}", kind, scene)
