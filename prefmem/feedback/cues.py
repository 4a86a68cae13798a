"""Words of a user turn that praise an answer, complain, refuse a rule, or say something again.

A cue counts as a whole word or phrase, outside of quotes and code. A negation shortly before it
turns it round ("not good", "not bad"); a word that judges things of every kind ("nice", "good")
counts only where the answer is what it judges ("this is nice", not "a nice restaurant"). English,
and Chinese. Every pattern looks a bounded way ahead, so the time is linear in the turn.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, cast

from prefmem.feedback.wordlists import table

_MOST_CHARS = 4_000  # of a turn
_REACH = 32  # characters before a cue in which a negation counts


@dataclass(frozen=True, slots=True)
class Cues:
    """How strongly a turn shows something, each in [0, 1]; 0 where it says nothing of the kind.

    Attributes:
        positive: Thanks and praise.
        negative: Complaint, correction, annoyance.
        rejection: Something should not have been applied to this answer.
        repetition: It was said before.
    """

    positive: float
    negative: float
    rejection: float
    repetition: float


_Table: TypeAlias = tuple[tuple[float, re.Pattern[str]], ...]


_JUDGED = (
    r"(?:that|this|it|they|those|these|which|all|both|everything|answer|reply|version|draft|one|"
    r"first|second|last|rest|part)(?:'s|'re| is| are| was| were| looks?| sounds?| reads?| seems?|"
    r" feels?| turned out| came out)(?: (?:all|so|very|really|pretty|quite|much|just|already|now|"
    r"absolutely|actually|perfectly|a lot|far|way)){0,2} "
)
_PRAISE = re.compile(
    rf"(?:{_JUDGED}|(?:^|[.!?,;:\n-]|(?<!\w)(?:oh|ah|ok|okay|yes|yeah|wow|hey|very|really|so|pretty))"
    r"\s{0,3})(?:good|nice|great|fine|fantastic|lovely|beautiful|cool|neat|clear|clean|clever|sweet|"
    r"right|correct|fun|handy|super|sharp|solid|tidy|delightful|better|best)"
    r"(?=\s{0,3}(?:$|[.!?,;:)\n\u263a-\U0001faff-]|work|job|stuff|one|going|find|catch|call|choice|"
    r"answer|thinking|idea\b|now|like this|this time|enough|to (?:know|hear|see|me)|so far|and|"
    r"thanks|thank|but|too|as|already|already|again|then|with me|for me|that way))",
    re.I | re.M,
)
_NEGATED = re.compile(
    r"(?:\b(?:not|never|no|nothing|hardly|barely|less|far from|anything but|without|nor|neither|"
    r"wish|would be|would've been|could be|could have been|if)|n't)"
    r"(?:\s+(?:\w+\s+)?(?:really|very|so|that|all|quite|exactly|too|particularly|been|be|a|an|the|"
    r"any|much|was|were|is|are|it))?\s*$",
    re.I,
)
_BUT_NOT = re.compile(
    r"\b(?:not only|not just|why not|no doubt|couldn't|can't)\s*(?:\w+\s*)?$", re.I
)
_MILD = re.compile(
    r"(?<!\w)(?:not (?:too |so |half )?bad|no (?:problem|worries|rush|mistakes?|complaints?)|"
    r"no issues?|nothing (?:wrong|bad|missing)|can't go wrong|couldn't be better|no offence)(?!\w)",
    re.I,
)
_REFUSES = re.compile(
    r"(?:^|[.!?\n]\s{0,3})(?:no|nope|nah|non|nein)(?!\w)(?!\s{0,2}[,.]?\s{0,2}(?:thanks|thank|"
    r"problem|worries|rush|need|hurry|that's all|that is all|that's fine|it's fine|this is|"
    r"that's (?:perfect|great)|matter|idea|doubt|way\b|more than|offence|other|one\b))",
    re.I,
)
_ASKED = re.compile(r"[?？]\W{0,4}$")
_NOT_SAID = re.compile(
    r"```.*?(?:```|\Z)|^[ \t]*>.*$|\"[^\"\n]{1,500}\"|“[^”\n]{1,500}”|`[^`\n]{1,300}`"
    r"|(?<!\w)'[^'\n]{1,200}'(?!\w)",
    re.S | re.M,
)
_GLAD = re.compile("[👍❤🙏😊🎉😍🥰👏💯🙌😄😁🤩💪✅☺]")
_CROSS = re.compile("[👎😡🙄😒😤🤦😠😞😕🤬]")


def cues(text: str, *, reply: str = "") -> Cues:
    """Find the cues of a turn.

    Args:
        text: The turn; of a long one its first 4,000 characters.
        reply: What it answers; a "no" to a question that the reply ends with is no complaint.
    """
    said = _NOT_SAID.sub(" ", text[:_MOST_CHARS].replace("’", "'"))
    mild = _MILD.search(said) is not None
    plain = _MILD.sub(" ", said)
    good, bad = _weigh(plain, _words("positive")), _weigh(plain, _words("negative"))
    praise = [0.7 * (not _negated(plain, m)) for m in _PRAISE.finditer(plain)]
    scolded = [0.7 * _negated(plain, m) for m in _PRAISE.finditer(plain)]
    glad = 0.8 * bool(_GLAD.search(plain)) + 0.4 * mild * (not _REFUSES.search(said))
    cross = 0.8 * bool(_CROSS.search(plain))
    no = 0.6 * (_REFUSES.search(plain) is not None and not _ASKED.search(reply[-200:]))
    return Cues(
        _either(*good[0], *praise, glad, *_zh(said, "positive"), *(0.3 * w for w in bad[1])),
        _either(*bad[0], *scolded, cross, no, *_zh(said, "negative"), *good[1]),
        _either(*_weigh(said, _words("rejection"), turns=False)[0], *_zh(said, "rejection")),
        _either(*_weigh(said, _words("repetition"), turns=False)[0], *_zh(said, "repetition")),
    )


def _weigh(
    text: str, table: Sequence[tuple[float, re.Pattern[str]]], *, turns: bool = True
) -> tuple[list[float], list[float]]:
    """Give the weights of what is found, and of what is found after a negation."""
    plain: list[float] = []
    turned: list[float] = []
    for weight, pattern in table:
        for match in pattern.finditer(text):
            (turned if turns and _negated(text, match) else plain).append(weight)
    return plain, turned


def _zh(text: str, kind: str) -> list[float]:
    return _weigh(text, _words(kind, chinese=True), turns=False)[0]


@cache
def _words(kind: str, *, chinese: bool = False) -> _Table:
    """Give the weights and patterns of what shows something, from `cues.toml`."""
    found = cast(Sequence[Mapping[str, Any]], table("cues")[kind])
    return tuple(
        (float(part["weight"]), _pattern(part["phrases"], whole_words=not chinese))
        for part in found
        if part.get("chinese", False) == chinese
    )


def _pattern(phrases: Sequence[str], *, whole_words: bool) -> re.Pattern[str]:
    if not whole_words:
        return re.compile("|".join(phrases))
    joined = "|".join(phrase.replace(" ", r"[\s,]{1,3}") for phrase in phrases)
    return re.compile(rf"(?<![\w'])(?:{joined})(?![\w'])", re.I)


def _negated(text: str, match: re.Match[str]) -> bool:
    """Say whether a negation stands shortly before a match, in the same clause."""
    before = re.split(r"[.!?;:,\n]", text[max(0, match.start() - _REACH) : match.start()])[-1]
    return _NEGATED.search(before) is not None and _BUT_NOT.search(before) is None


def _either(*weights: float) -> float:
    """Join the strengths of cues as chances that do not depend on each other."""
    nothing = 1.0
    for weight in weights:
        nothing *= 1 - weight
    return round(1 - nothing, 6)
