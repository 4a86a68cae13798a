"""The user's own sentences of a turn, without what is quoted or pasted, for the command grammar."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST_CHARS = 400  # of a sentence that may be a command: so time is linear in the length of a turn
_MOST_PARTS = 6

TASK = (
    r"(?:use|write|draft|make|create|give|help|explain|summari[sz]e|translate|fix|implement|build"
    r"|add|generate|compose|rewrite|tell|find|plan|suggest|compare|calculate|convert|refactor|solve"
    r"|review|check|design|put|show|list|draw|answer|reply|describe|prepare|send|look|do|run"
    r"|continue|start)"
)
_REQUEST = re.compile(rf"{TASK}\b", re.I)
_GOES_ON = re.compile(
    rf"(?:{TASK}|please|now|just|then|can|could|would|I|I'd|I'll|I'm|you|let's|remember|forget|keep"
    r"|delete|also)\b",
    re.I,
)

_PASTED = re.compile(r"```.*?(?:```|\Z)|^[ \t]*>[^\n]*", re.S | re.M)
_QUOTED = re.compile(
    r'"[^"\n]{0,2000}+"|“[^“”\n]{0,2000}+”|«[^«»\n]{0,2000}+»|`[^`\n]{1,500}+`'
    r"|(?<!\w)'[^'\n]{1,300}+'(?!\w)|\bhttps?://\S+"
)
_END = re.compile(
    r"(?<!^\d)(?<!\b[DM]r)(?<!\bMs)(?<!\bMrs)(?<!\bSt)(?<!\be\.g)(?<!\bi\.e)(?<!\betc)\.(?=\s|$)"
    r"|[!?…](?=\s|$)|[。！？]|\n",
    re.M,
)
# What may stand around a command. `*+` gives nothing back, so many of them cost no more than few.
_OPENER = re.compile(
    r"(?:(?:please|pls|plz|kindly|and|but|so|then|also|actually|btw|by the way|hey(?: there)?|hi"
    r"|hello|ok(?:ay)?|alright|thanks(?: a lot)?|thank you(?: so much)?|thx|great|perfect|oh|ah"
    r"|from now on|in (?:the )?future|going forward|hmm|um|uh|oops|whoops|sorry|just so you know"
    r"|fyi|wait|maybe|next time|let's|go ahead and|feel free to|(?:can|could|would|will|won't"
    r"|can't) (?:you|u|we)|(?:would|do) you mind|you (?:can|could|may|should|must)(?: (?:now|also"
    r"|just|safely))?|you (?:need|have|ought|(?:do )?want) to|you(?:'d| had) better"
    r"|just(?= (?:remember|forget|delete|ignore|skip|make|keep|note|drop|show|tell|undo)\b)"
    r"|I(?:'d| would| do)? (?:really )?(?:like|want|need|prefer) you to|be so kind (?:as )?to"
    r"|is it possible to|can I ask you to|do me a favou?r and"
    r"|(?:I'd appreciate it|it(?:'d| would) be (?:nice|great|good)) if you(?: could| would)?"
    r")(?![\w'])[ ,.!:;-]*"
    r"|(?:no|nope|yes|yeah|yep|well|right|good|nice|cool|sure|fine|look|listen|again|first|second"
    r"|finally|lastly|instead|for the record|question"
    r"|one (?:more )?thing|quick question)[,.!:;-]+ ?)*+",
    re.I,
)
_TAIL = re.compile(
    r"(?:[, ]+(?:please|pls|plz|thanks|thank you|thx|ok|okay|(?:will|would|could|can) you|though"
    r"|if (?:you can|possible|you don't mind)|then)|[^\w\s:'*]| )$",
    re.I,
)
_ADVERB = re.compile(
    r"[, ]+(?:too|as well|altogether|completely|entirely|permanently|for good|right away"
    r"|immediately|at once|any ?more|any longer|from now on"
    r"|(?<!not )(?<!right )(?<!for )(?<!just )(?<!by )now)$",
    re.I,
)
_FILLER = re.compile(
    r" (?:please|pls|plz|kindly|really|actually|simply|honestly|maybe|perhaps|basically)(?=[ ,:])",
    re.I,
)
_MOST_TAIL = 60  # characters; nothing that stands at the end in one piece is longer
_POLITE = re.compile(
    r"(?:(?:hey|hi|ok|okay|so|and|also|please),? )?(?:can|could|would|will|won't|can't) (?:you|u"
    r"|we)\b|.*\bmind\b|.*\b(?:ok|okay|please|pls|alright|(?:will|would|could|can) you)\?$",
    re.I,
)
_JOINT = re.compile(
    r"，|[,:]\s+(?:(?:and|but|so|then)\s+)*|;\s+|\s+(?=without\s)|\s+[-–—]+\s+|\s+(?:and then|and"
    r"|but|so)\s+"
)
# Words of somebody else, or of another case: nothing behind them is said to the memory.
_REPORTS = re.compile(
    r"(?:if|when|whenever|unless|suppose|imagine|he|she|they|someone|people|how|does)\b"
    r"|.*\b(?:said|says|saying|told (?:me|him|her|us)|asked|asking|asks|wrote|titled|called|phrase"
    r"|sentence|command|example)s?\b",
    re.I,
)
_CITES = re.compile(
    r"(?:if|unless|suppose|imagine)\b|.*\b(?:said|says|saying|asks|wrote|titled|called|phrase|sentence"
    r"|command|example)s?\b",
    re.I,
)
# What may stand before a colon and a command.
_LEAD = re.compile(
    r"(?:for|one|quick|just|by|to|a|another|small|important|ps|last|next|new|oh|two|some|question)\b",
    re.I,
)
# A line that ends so is followed by somebody's text.
_BEFORE_PASTED = re.compile(
    r"(?:translate|proofread|summari[sz]e|rephrase|rewrite|paraphrase|correct|fix|shorten|improve"
    r"|polish|reply to|review|edit|check|analy[sz]e|classify|explain|here(?:'s| is| are))\b.*:$"
    r"|.*\b(?:mail|email|message|text|letter|draft|paragraph|transcript|poem|song|lyrics|quote"
    r"|passage|review|comment|log|output|code|script|dialogue|story|wrote)\b[^.]{0,40}:$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A stretch of a turn, whitespace collapsed.

    Attributes:
        turn: The text of the whole turn.
        own: The words, with straight apostrophes and the letter x for all that is quoted.
        places: Offset of each of these characters in the turn.
    """

    turn: str
    own: str
    places: tuple[int, ...]

    @property
    def start(self) -> int:
        """Offset of the first character."""
        return self.places[0]

    @property
    def stop(self) -> int:
        """Offset after the last character."""
        return self.places[-1] + 1

    @property
    def asks(self) -> bool:
        """Whether it is a question, but no polite "could you ...?"."""
        return self.own.endswith(("?", "？")) and not _POLITE.match(self.own)

    @property
    def requests(self) -> bool:
        """Whether it begins with a task: "write ..."."""
        return _REQUEST.match(self.own) is not None

    def part(self, start: int, stop: int) -> "Sentence":
        """Give the stretch between two places in it."""
        return Sentence(self.turn, self.own[start:stop], self.places[start:stop])

    def said(self, start: int = 0, stop: int | None = None) -> str:
        """Give the words between two places in it as they stand in the turn."""
        places = self.places[start:stop]
        return " ".join(self.turn[places[0] : places[-1] + 1].split()) if places else ""

    def core(self, *, opened: bool = True) -> "Sentence":
        """Leave out the politeness around it and in it, and the end mark.

        Args:
            opened: Whether to leave out what it opens with as well: "you can".
        """
        opener = _OPENER.match(self.own) if opened else None
        start, stop = opener.end() if opener else 0, len(self.own)
        while tail := _TAIL.search(self.own, max(start, stop - _MOST_TAIL), stop):
            stop = tail.start()
        kept = _kept(_FILLER, self.own, start, stop)
        return Sentence(
            self.turn, "".join(self.own[i] for i in kept), tuple(self.places[i] for i in kept)
        )

    def without_adverb(self) -> "Sentence":
        """Leave out what a command may end on without meaning anything else: "now", "for good"."""
        adverb = _ADVERB.search(self.own, max(0, len(self.own) - _MOST_TAIL))
        return self.part(0, adverb.start()) if adverb else self

    def parts(self, *, told: bool = False) -> Iterator["Sentence"]:
        """Give what may be a command within it: from a joint, or its start, to a later joint.

        Args:
            told: Whether a command may follow on what somebody does: "she left, so drop that".
        """
        reports = _CITES if told else _REPORTS
        joints = [(m.start(), m.end()) for m in _JOINT.finditer(self.own)][:_MOST_PARTS]
        for start, begins in [(0, 0), *joints]:
            if begins and reports.match(self.own[:start]):
                return
            if self.own[start] == ":" and begins and not _LEAD.match(self.own):
                continue
            ends = [
                stop
                for stop, next_one in reversed(joints)
                if stop > begins
                and self.own[stop] != ":"
                and (self.own[stop] in ",;，" or _GOES_ON.match(self.own, next_one))
            ]
            for stop in (len(self.own), *ends):
                if (begins, stop) != (0, len(self.own)):
                    yield self.part(begins, stop)


def sentences(text: str) -> Iterator[Sentence]:
    """Give the sentences that are the user's own words; lines end sentences, too.

    Fenced code and quoted lines are left out, and so are sentences of more than 400 characters,
    which are no commands.
    """
    masked = _PASTED.sub(_blank, text.replace("’", "'"))
    masked = _QUOTED.sub(lambda m: re.sub(r"\S", "x", m[0]), masked)
    start = 0
    for stop in (*(m.end() for m in _END.finditer(masked)), len(masked)):
        if stop - start <= MOST_CHARS and (sentence := _collapsed(text, masked, start, stop)):
            yield sentence
        start = stop


def opens_foreign_text(sentence: Sentence) -> bool:
    """Whether what follows is somebody's text: "Translate this:"."""
    return _BEFORE_PASTED.match(sentence.own) is not None


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _collapsed(text: str, masked: str, start: int, stop: int) -> Sentence | None:
    places = [
        i
        for i in range(start, stop)
        if not masked[i].isspace() or (i > start and not masked[i - 1].isspace())
    ]
    while places and masked[places[-1]].isspace():
        places.pop()
    if not places:
        return None
    own = "".join(" " if masked[i].isspace() else masked[i] for i in places)
    return Sentence(text, own, tuple(places))


def _kept(left_out: re.Pattern[str], text: str, start: int, stop: int) -> list[int]:
    """Give the places in a text that are not in a match."""
    places: list[int] = []
    for match in left_out.finditer(text, start, stop):
        places += range(start, match.start())
        start = match.end()
    return [*places, *range(start, stop)]
