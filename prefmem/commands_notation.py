"""A notation for phrases, and the patterns made of it.

| notation | matches |
|---|---|
| `word`, `word*` | the word; the word with any ending |
| `(a|b)`, `[a|b]`, `[a|b]...` | one of them; one or none; any number of them |
| `!(a|b)` | nothing, where none of them follows |
| `<>`, `<3>`, `<target>`, `<target 3>` | free words; at most three; the same, kept under a name |
| `(all=a|b)` | one of them, kept under a name |
| `{name}` | the phrase of that name |
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TOKEN = re.compile(
    r"\{(?P<phrase>[^}]+)\}|<(?P<free>[a-z]*) ?(?P<most>\d?)>|\((?P<kept>[a-z]+)="
    r"|(?P<mark>!\(|\]\.\.\.|[()\[\]|])|(?P<stop>[,:;])|(?P<word>[^\s()\[\]|{}<>,:;!]+)"
)
_OPEN = {"(": ("(?:", ")"), "[": ("(?:", ")?"), "!(": ("(?!(?:", r")(?![\w']))")}


@dataclass(frozen=True, slots=True)
class Form:
    """One way to give a command.

    Attributes:
        pattern: Matches " " and a sentence as a whole.
        firm: Names the memory or a rule, so that it also counts as a part of a sentence.
    """

    pattern: re.Pattern[str]
    firm: bool

    def read(self, sentence: str) -> dict[str, tuple[int, int]] | None:
        """Give the places of the named words in a sentence; None where it has another form."""
        match = self.pattern.fullmatch(f" {sentence}")
        if match is None:
            return None
        # The pattern reads one space more in front.
        return {
            name.partition("_")[0]: (match.end(name) - len(words.lstrip()) - 1, match.end(name) - 1)
            for name, words in match.groupdict().items()
            if words
        }


def as_pattern(phrase: str, phrases: Mapping[str, str]) -> str:
    """Turn a phrase into a pattern in which each word carries the space before it.

    Args:
        phrase: In the notation above.
        phrases: What stands for the `{name}` in it; may hold names as well.
    """
    while "{" in phrase:
        phrase = re.sub(r"\{([^}]+)\}", lambda m: f"({phrases[m[1]]})", phrase)
    parts: list[str] = []
    closing: list[str] = []
    for i, token in enumerate(_TOKEN.finditer(phrase)):
        mark, free, kept, word = token["mark"], token["free"], token["kept"], token["word"]
        if mark in _OPEN:
            parts.append(_OPEN[mark][0])
            closing.append(_OPEN[mark][1])
        elif kept:
            parts.append(f"(?P<{kept}_{i}>")
            closing.append(")")
        elif mark == "]...":
            parts.append(f"{closing.pop()[:-1]}*")
        elif mark == "|":
            parts.append("|")
        elif mark:
            parts.append(closing.pop())
        elif free is not None:
            words = _words(free, token["most"])
            parts.append(f"(?P<{free}_{i}>{words})" if free else words)
        elif word:
            text = re.escape(word.removesuffix("*")).replace("'", "'?")  # many leave it out
            parts.append(f" {text}" + (r"\w*" if word.endswith("*") else ""))
        else:
            parts.append(token["stop"])
    return "".join(parts)


def _words(name: str, most: str) -> str:
    """Give the pattern for free words; only what is new may have commas."""
    if most:
        return rf" [^\s,;]+(?: [^\s,;]+){{0,{int(most) - 1}}}?"
    return r" [^,;:]+?" if name in ("", "target") else r" .+?"
