"""Fills sentence frames with the phrases of one topic and remembers what was marked.

The phrase stock lies in `data/generator/`; its README explains the sections and the slots.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias

from prefmem.train.windows import GENERAL

_STOCK = Path(__file__).parent / "data" / "generator"
_SLOT = re.compile(
    r"\{([+~-]?)(\w+)\}|\[([^|\[\]]*)\|([^|\[\]]*)\]|<ref(\w)>"  # slot, agreement, reference
)
_THINGS = {"X": "plural mass one ger", "O": "plural mass one", "N": "plural mass", "P": "plural"}
_MARKS = {"+": "do", "-": "av"}
_AS_USER = {"I have": "the user has", "I own": "the user owns", "I need": "the user needs",
            "I work": "the user works", "I've": "the user has", "I": "the user",
            "my": "the user's", "me": "the user"}  # fmt: skip
_AS_YOU = {"I've": "you've", "I": "you", "my": "your", "me": "you"}
_AS_THEY = {"I've": "they've", "I": "they", "my": "their", "me": "them"}
_PREPOSITION = r"\b(of|with|in|on|at|for|by|near|from|to|under|without)\b"

Sections: TypeAlias = dict[str, tuple[str, ...]]
Thing: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Topic:
    """One subject: the condition of its rules, the verb for a liked thing, and its phrases."""

    name: str
    condition: str
    verb: str
    stock: Sections


@cache
def read_sections(name: str) -> Sections:
    """Read a file of the stock that consists of `[name]` sections."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in (_STOCK / name).read_text(encoding="utf-8").splitlines():
        if re.fullmatch(r"\[\w+\]", line):
            lines = found.setdefault(line[1:-1], [])
        elif line and not line.startswith("# "):
            lines.append(line.replace("\\n", "\n"))
    return {key: tuple(values) for key, values in found.items()}


@cache
def read_topics() -> dict[str, Topic]:
    """Read all topics of the stock, by name."""
    topics: dict[str, Topic] = {}
    for path in sorted(_STOCK.glob("topics_*.txt")):
        for block in path.read_text(encoding="utf-8").split("## ")[1:]:
            head, _, body = block.partition("\n")
            name, condition, verb = head.split(" | ")
            parts = re.split(r"^\[(\w+)\]\n", body, flags=re.MULTILINE)[1:]
            pairs = zip(parts[::2], parts[1::2], strict=True)
            stock = {key: tuple(filter(None, text.splitlines())) for key, text in pairs}
            topics[name] = Topic(name, condition, verb, stock)
    return topics


@cache
def read_lines(name: str) -> tuple[str, ...]:
    """Read a file of the stock that has one phrase a line."""
    lines = (_STOCK / name).read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def replace_words(text: str, words: dict[str, str]) -> str:
    """Replace whole words; of two that start alike the first named wins."""
    pattern = "|".join(rf"\b{re.escape(w)}(?!['\w])" for w in words)
    return re.sub(pattern, lambda m: words[m.group()], text)


def _inflect(phrase: str, form: Literal["ing", "s"]) -> str:
    verb, space, rest = phrase.partition(" ")
    if form == "s":
        if verb in ("be", "have"):
            verb = {"be": "is", "have": "has"}[verb]
        elif re.search(r"[^aeiou]y$", verb):
            verb = verb[:-1] + "ies"
        else:
            verb += "es" if re.search(r"(s|sh|ch|x|o)$", verb) else "s"
    elif verb != "be" and verb.endswith("e") and not verb.endswith("ee"):
        verb = verb[:-1] + "ing"
    else:
        doubled = re.fullmatch(r"(qu|[^aeiou])*[aeiou][^aeiouwxy]", verb) is not None
        verb += verb[-1] * doubled + "ing"
    return verb + space + rest


@dataclass(slots=True)
class Scene:
    """Fills frames for one topic and remembers what was marked.

    Attributes:
        rng: The only source of chance.
        topic: Where things and instructions come from.
        around: Where questions, replies and situations come from; often the same topic.
        audience: Conditions name a person or a channel.
        actions: The normalised action of each mark so far, in order.
        conditions: The normalised conditions so far, in order.
        things: The things so far with their shape, so that frames can point back.
        used: Phrases that should not come twice.
        offered: What the assistant last proposed to do.
    """

    rng: Random
    topic: Topic
    around: Topic
    audience: bool = False
    actions: list[str] = field(default_factory=list[str])
    conditions: list[str] = field(default_factory=list[str])
    things: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    used: set[str] = field(default_factory=set[str])
    offered: str = ""

    def fill(self, text: str) -> str:
        """Replace all slots, left to right; stock phrases may hold slots themselves."""
        return re.sub(r"</ref\w>", "</ref>", _SLOT.sub(self._slot, text))

    def _slot(self, match: re.Match[str]) -> str:
        sign, name, plural, single, pointer = match.groups()
        if pointer:
            self.actions.append(
                self.offered if pointer == "I" else self._liked(*self.things[int(pointer) - 1])
            )
            return "<ref>"
        if name is None:
            return self.fill(plural if self.things and self.things[-1][1] == "plural" else single)
        if name == "n":
            return self._number(match)
        if name.isdigit() and name != "3":
            return self._thing(sign, *self.things[int(name) - 1])
        if name == "3" and len(self.things) > 2:
            return self._thing(sign, *self.things[2])
        if name in _THINGS or name == "S":
            return self._thing(sign, *self._draw_thing(name))
        if name == "C":
            return f"<c>{self._condition()}</c>"
        if len(name) == 1:
            return self._instruction(sign, name)
        return self._word(name)

    def _number(self, match: re.Match[str]) -> str:
        before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
        if before.isdigit():
            return str(self.rng.randint(11, 98))
        return str(self.rng.randint(2, 9 if after.isdigit() else 14))

    def pick(self, options: tuple[str, ...]) -> str:
        """Draw a phrase that this scene has not used yet, where one is left."""
        chosen = self.rng.choice([o for o in options if o not in self.used] or options)
        self.used.add(chosen)
        return chosen

    def _word(self, name: str) -> str:
        slots = read_sections("slots.txt")
        if name in ("ask", "filler"):
            things, topic = self.things, self.topic
            self.things, self.topic = [], self.around  # its things are nobody's to point back at
            about = name == "ask" and self.rng.random() < 0.4
            options = self.around.stock["ask"] if name == "ask" else slots["filler"]
            raw = self.pick(slots["askabout"] if about else options)
            text = self.fill(raw)
            self.things, self.topic = things, topic
            if self.rng.random() < (0.2 if "{" in raw else 0.65):
                lead = slots["lead" if name == "ask" else "aside"]
                text = self.fill(self.pick(lead)) + " " + lower_first(text)
            return text
        if name == "reply":
            style = self.topic.condition == GENERAL and self.rng.random() < 0.3
            return self.fill(self.pick((self.topic if style else self.around).stock["reply"]))
        if name in ("bad", "good"):
            word = self.rng.choice(("because", "since", "as", "because"))
            return self.fill(f"{word} [they|it] {{{name}verb}}")
        if name in ("Bad", "Rule"):
            return self.fill("[They|It] {badverb}" if name == "Bad" else "{rule2}")
        if name == "rule":
            return self.rng.choice(("because ", "since ", "as ")) + self.fill("{rule2}")
        return self.fill(self.pick(slots["rule" if name == "rule2" else name]))

    def _draw_thing(self, name: str) -> tuple[str, str]:
        if name == "S":
            short = [t.split(" ", 1)[1] for t in self.topic.stock["one"]]
            fit = (*short, *self.topic.stock["mass"])
            bare = [t for t in fit if len(t.split()) < 4 and not re.search(_PREPOSITION, t)]
            thing = (self.fill(self.rng.choice(bare or list(fit))), "bare")
        else:
            shapes = _THINGS[name].split()
            before = self.things[-1][1] if self.things else ""
            weights = [{"plural": 5, "mass": 3}.get(s, 2) for s in shapes]
            shape = before if before in shapes else self.rng.choices(shapes, weights)[0]
            thing = (self.fill(self.pick(self.topic.stock[shape])), shape)
        self.things.append(thing)
        return thing

    def _liked(self, text: str, shape: str) -> str:
        return f"favour {text}" if shape == "ger" else f"{self.topic.verb} {text}"

    def _thing(self, sign: str, text: str, shape: str) -> str:
        if sign not in _MARKS:
            return text
        self.actions.append(f"avoid {text}" if sign == "-" else self._liked(text, shape))
        return f"<{_MARKS[sign]}>{text}</{_MARKS[sign]}>"

    def _condition(self) -> str:
        options = read_lines("audience.txt")
        if not self.audience:
            own = self.topic.condition != GENERAL or self.rng.random() < 0.4
            options = (self.topic if own else self.around).stock["when"]
        said, _, normal = self.fill(self.pick(options)).partition(" => ")
        self.conditions.append(normal)
        return said

    def _instruction(self, sign: str, form: str) -> str:
        rng, stock = self.rng, self.topic.stock
        if form == "E":
            phrase = self.fill(self.pick(stock["do"]))
            self.offered = replace_words(phrase, _AS_USER)
            return replace_words(phrase, _AS_YOU)
        wanted = sign == "+" or (sign != "-" and rng.random() < 0.55)
        part = "do" if wanted else "skip" if rng.random() < 0.3 else "no"
        if form in "DKV":
            part = "no"
        elif form in "J3" and part == "skip":
            part = "do"
        phrase = self.fill(self.pick(stock[part]))
        action = f"don't {phrase}" if part == "no" else phrase
        said = phrase
        if form in "ID" and part == "no":
            stops = [f"never {phrase}", f"stop {_inflect(phrase, 'ing')}"] if form == "I" else []
            avoids = [f"avoid {_inflect(phrase, 'ing')}"] if form == "I" else []
            said = rng.choice([action, action, action, action, *stops, *avoids])
        elif form == "B" and part == "no":
            said = rng.choice((f"not {phrase}", f"stop {_inflect(phrase, 'ing')}"))
        elif form == "V":
            said = _inflect(phrase, "ing")
        elif form == "J" or (form == "K" and sign == "~"):
            said = replace_words(phrase, {"me": "people"})
        elif form == "3":
            said = _inflect(replace_words(phrase, _AS_THEY), "s")
        if sign == "~" or form in "J3":
            return said
        self.actions.append(replace_words(action, _AS_USER))
        mark = "do" if part == "do" else "av"
        return f"<{mark}>{said}</{mark}>"


def lower_first(text: str) -> str:
    """Make the first letter small where the word is not "I" or a name."""
    first = text.split(" ", 1)[0]
    slots = read_sections("slots.txt")
    names = {n.split()[0] for key in ("day", "city", "name") for n in slots[key]}
    keep = first != "A" and (not first[1:].islower() or first.startswith("I'") or first in names)
    return text if keep else text[:1].lower() + text[1:]
