"""What a sentence says to the memory: the forms of the grammar, and what they must not be about.

The same words are said of code, games and trips. What follows here keeps those apart: it would
rather miss a command than take words about something else for one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prefmem.commands_grammar import Intent, forms
from prefmem.commands_spoken import spoken
from prefmem.commands_turn import TASK, Sentence

# Where two intents share words, the first one has them: "remember that again" brings back.
_ORDER: tuple[Intent, ...] = (
    "undo", "pause", "narrow", "edit", "forget", "show", "why", "remember",
)  # fmt: skip
# Rules of other things than a memory.
_TECHNICAL = re.compile(
    r"\b(?:css|html|es-?lint|lint(?:er|ing)?|firewall|nginx|iptables|validation|routing|routes?"
    r"|redirects?|cron|stylesheets?|ya?ml|json|config|regexp?|sql|makefile|prettier|database|schema"
    r"|chess|tax|games?|house|school|security|users?|apps?|files?|browser|cookies?|build|server"
    r"|rate|size|upload|request|timeout|robots|alert(?:ing)?|proxy|access|law|legal|golden|chain"
    r"|product|quotient|visa|customers?|notification|privacy|account|system|windows|inbox"
    r"|grammar)\b",
    re.I,
)
_NO_KIND = re.compile(
    rf"(?:^|\s)(?:from|in|out|of|off|about|on|with|and|to)(?:\s|$)|{_TECHNICAL.pattern}", re.I
)
# What code holds, and what went wrong: the reasons are no preferences.
_PROGRAM = re.compile(
    r"\b(?:loops?|functions?|methods?|class(?:es)?|librar(?:y|ies)|frameworks?|hash|dict(?:ionary)?"
    r"|arrays?|recursi(?:on|ve)|variables?|regexp?|index(?:es)?|quer(?:y|ies)|join|mutex|locks?"
    r"|threads?|async|await|import|modules?|packages?|api|endpoints?|algorithms?|formulas?"
    r"|equations?|theorem|constants?|integers?|floats?|strings?|pointers?|cache|database|sql|docker"
    r"|lambda|(?:first|next|last) step|step \d+|decorators?|exceptions?|git|branch|commits?|wrong"
    r"|error|bug|yesterday|last (?:night|week|month|year))\b",
    re.I,
)
# What both remember, or a part that is played: "remember that time ...", "that you are a pirate".
_SHARED = re.compile(
    r"(?:time|day|night|one|movie|film|song|trip|guy|girl|summer|weekend|place|evening|party|moment"
    r"|what|how|who|why|where|when we|thing|next|last)\b|you(?:'re| are)\b|(?:I|we|you|he|she"
    r"|they) (?:went|told|asked|said|were|was(?! born)|had|did|talked|discussed|met|sent|gave"
    r"|showed|mentioned|agreed|used to|once|already)\b",
    re.I,
)
_PLAIN = re.compile(  # what can follow "remember" without "that"
    r"(?:I|I'm|I've|I'd|my|no|not|never|always|we|our|in|for|when writing|dates?|units"
    r"|everything)\b",
    re.I,
)
_STANDING = re.compile(
    r"\b(?:always|never|from now on|in (?:the )?future|(?:every|each|next) time|whenever"
    r"|going forward|generally|by default|no longer)\b",
    re.I,
)
_PERSONAL = re.compile(
    r"(?:I|I'm|I've|I'd|I'll|my|mine|we (?:always|never|use|prefer|like|write|call))\b", re.I
)
_POINTERS = frozenset({"it", "that", "this"})
_TOLD = re.compile(r"\b(?:said|told you|asked you|mentioned)\b", re.I)
_OURS = re.compile(r"(?:we|our)\b(?! \w+ed\b)", re.I)
_PASSING = re.compile(
    r"\b(?:today|tomorrow|tonight|this (?:week|month|morning|evening|time)|here|right now|currently"
    r"|at the moment|deadline|(?:on|by|before) (?:mon|tues|wednes|thurs|fri|satur|sun)day)",
    re.I,
)
_ERRAND = re.compile(
    r"(?:buy|call|pick|book|pay|water|feed|bring|send|email|text|attach|save|commit|push|breathe"
    r"|close|lock|turn|get|wash|clean|visit|check|do|smile)\b",
    re.I,
)
_A_THING = re.compile(  # "my umbrella", where "my umbrella is blue" would be something to know
    r"(?:my|our)\b(?!.*\b(?:is|are|was|has|have|likes?|prefers?|wants?|hates?|needs?|can|can't"
    r"|don't|doesn't|must|should|goes|works?|lives?|loves?|eats?|reads?|speaks?)\b|.*'s\b|.*:)",
    re.I,
)
_NO_PLACE = re.compile(
    r"\w+ (?:(?:you|me|us|him|her|them|it|once|today|(?:this|that)(?: one)?)$|(?:fun|case|time"
    r"|kicks|laughs|now|theory|passing|show|the (?:record|fun|sake|heck|moment|time being|night)"
    r"|a (?:second|moment|minute|sec|bit|minimum|while|few|couple)|one|two|three|four|five|six"
    r"|seven|eight|nine|ten|twelve|twenty|\d+)\b)",
    re.I,
)
_DOES = re.compile(
    rf"(?<!\bI )(?<!\bwe )(?<!\byou )(?<!\bthat )(?<!\bto )\b(?:{TASK}|is|are|was|were|has|can|will"
    r"|should|keep|include)\b",
    re.I,
)
_HERE = re.compile(r"(?:here|now|this|that|me|it|the|my|our|an?|her|his|your)$", re.I)
_FOR_GOOD = re.compile(r"[, ]+(?:any ?more|any longer|for good|permanently)$", re.I)
_A_PART = re.compile(  # of the answer, and no rule
    r"\b(?:paragraphs?|sentences?|sections?|steps?|slides?|columns?|rows?|verses?|chapters?|scenes?"
    r"|bullets? \d+|(?:first|second|third|last|next|previous|other|final|whole) \w+"
    r"|\d(?:st|nd|rd|th)|room|space)\b",
    re.I,
)
_NO_TARGET = re.compile(r"(?:|it|that|this|them|these|those|(?:this|that) one)$", re.I)
_CHANGES: frozenset[Intent] = frozenset({"forget", "edit", "pause", "narrow", "undo"})
_OLD_WORDS = frozenset({"target", "kind"})  # words for a known rule; others are new
_FEWEST_CHARS = 4
_MOST_WORDS = 14  # of where a rule holds

_SIGNALS = re.compile(
    r"(?:(?:to|please|always|from now on|in (?:the )?future|you (?:should|must|need to)"
    r"|(?:I(?:'d| would)? (?:want|like)) you to)(?![\w'])[ ,:]*)++",
    re.I,
)
_WISHES = (
    (re.compile(r"I (?:really |much |strongly |generally |usually )?prefer ", re.I), "prefer "),
    (re.compile(r"my preference (?:is|for)(?: to)? ", re.I), "prefer "),
    (
        re.compile(
            r"I (?:really |absolutely )?(?:hate|dislike|detest|can't stand|don't (?:like|want)) "
            r"(?!to\b|it\b|that\b|when\b|my\b|you\b|being\b)",
            re.I,
        ),
        "avoid ",
    ),
)
_AFTER_WHY = re.compile(
    r" (?:here|there|again|everywhere|all the time|all of a sudden|suddenly|always|so (?:often"
    r"|much)|this time|today|lately|with me|for (?:that|this|me)|instead of .*|in (?:this|that|your"
    r"|my) .*|when .*)$",
    re.I,
)
_CLAUSE = re.compile(r"(?:when|whenever|if|while)\b", re.I)
_QUOTES = frozenset("\"“”«»'`")
_PREP = re.compile(r"(?:for|to|when|whenever|if) ", re.I)


@dataclass(frozen=True, slots=True)
class Command:
    """What a user told the memory to do.

    Attributes:
        intent: What to do.
        target: Words that name the rule it is about; empty for "that" and "it".
        content: What to remember, the new rule of an edit, or where a narrowed rule holds.
        everything: Whether it is about all that is known.
        sentence: The sentence of the turn, or the part of it, that is the command, as it was said.
    """

    intent: Intent
    target: str = ""
    content: str = ""
    everything: bool = False
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Around:
    """The rest of a turn.

    Attributes:
        empty: Whether there is none.
        asks: Whether it asks for something.
        you: Whether the turn speaks of "you" or of rules.
        before: What is said right before, without politeness.
    """

    empty: bool
    asks: bool
    you: bool
    before: str


def read(sentence: Sentence, around: Around, *, whole: bool) -> Command | None:
    """Read a sentence or a part of one; None where it is no command."""
    core = sentence.core()
    if len(core.own) < _FEWEST_CHARS:
        return None
    short = core.without_adverb()
    for intent in _ORDER:
        if sentence.asks and intent in ("narrow", "remember"):
            continue
        for form in forms(intent):
            places = form.read(short.own) if form.firm or whole else None
            if places is None:
                continue
            last = len(short.own)  # new words keep their adverb: "I'm a nurse now"
            words = {
                name: core.said(start, stop if name in _OLD_WORDS or stop < last else None)
                for name, (start, stop) in places.items()
            }
            if intent == "remember":
                content = _to_remember(words, core.own, around, whole=whole)
                command = None if content is None else Command("remember", content=content)
            else:
                lasting = intent == "pause" and _FOR_GOOD.match(core.own, last)
                command = _about_rules(
                    "forget" if lasting else intent, words, around, firm=form.firm
                )
            if command:
                return command
    return None


def read_aside(turn: Sequence[Sentence]) -> tuple[Sentence, Command] | None:
    """Read what a turn without a plain command tells the memory in passing, and where it says so.

    An edit has no content, as "make that 31" is no rule: the user is asked for the new wording.
    """
    for aside in spoken(turn):
        words, before = aside.words, aside.before.rstrip(" ,;:-.!")
        target, content = words.get("target", ""), ""
        if _NO_TARGET.match(target) and aside.intent in _CHANGES:
            target = before or aside.stretch.core().said()
        if aside.intent == "remember":
            content = as_rule(words.get("content", "").strip(" :,-") or before)
        elif aside.intent == "narrow":
            content = _place({name: w for name, w in words.items() if name != "target"})
        elif aside.intent == "why":
            target = "" if _PROGRAM.search(target) else target
        known = words.get("target", "")
        other = aside.intent in _CHANGES and (_TECHNICAL.search(known) or _A_PART.search(known))
        if (content or aside.intent not in ("narrow", "remember")) and not other:
            return aside.stretch, Command(aside.intent, _unquoted(target), _unquoted(content))
    return None


def _about_rules(
    intent: Intent, words: Mapping[str, str], around: Around, *, firm: bool
) -> Command | None:
    """Make a command about known rules, unless the words are rather about something else."""
    target = words.get("target", words.get("kind", ""))
    if _NO_KIND.search(words.get("kind", "")) or (intent == "show" and "," in target):
        return None
    bare = not firm and not words  # "forget that"
    told = bare and intent in ("forget", "undo") and _TOLD.search(around.before)
    if told or target.lower() in _POINTERS:
        target = around.before  # "I said no subtitles. Forget that."
    if intent == "narrow":
        place = _place(words) if firm or around.empty or (around.you and not around.asks) else ""
        return Command("narrow", target, place) if place else None
    if intent == "why":
        return None if _PROGRAM.search(target) else Command("why", _bare(_AFTER_WHY, target))
    if not firm and intent == "pause" and not (around.empty or around.asks or around.you):
        return None  # "Not now. The oven is still on."
    if bare and not told and intent in ("forget", "undo") and around.asks:
        return None  # "Forget that. Write me a poem."
    return Command(intent, _unquoted(target), _unquoted(words.get("content", "")), "all" in words)


def _to_remember(words: Mapping[str, str], own: str, around: Around, *, whole: bool) -> str | None:
    """Give what is to be remembered; None where it is for the task at hand, or shared memories."""
    (kind, said), *_ = words.items() or [("", "")]
    text = said.replace("’", "'")
    lasting = bool(_STANDING.search(own))
    own_matter = lasting or bool(_PERSONAL.match(text or around.before))
    here_only = around.asks or not whole
    refused = {
        "": around.asks and not own_matter,
        "content": False,
        "fact": bool(_SHARED.match(text)) or (here_only and not own_matter),
        "plain": not _PLAIN.match(text) or bool(_SHARED.match(text) or _A_THING.match(text)),
        "personal": bool(_SHARED.match(text) or _PASSING.search(text))
        or not (own_matter or (_OURS.match(text) and not here_only)),
        "todo": not lasting and (here_only or bool(_PASSING.search(text) or _ERRAND.match(text))),
        "chore": not _STANDING.search(text),
    }
    return None if refused[kind] else as_rule(said)


def as_rule(text: str) -> str:
    """Word what is to be remembered as a rule: "to always use tabs" becomes "use tabs"."""
    signals = _SIGNALS.match(text)
    text = _unquoted(text[signals.end() :] if signals else text)
    for pattern, verb in _WISHES:
        if match := pattern.match(text.replace("’", "'")):
            return verb + text[match.end() :]
    return text


def _place(words: Mapping[str, str]) -> str:
    """Give where a rule is to hold; empty where it is no situation, as in "just for fun"."""
    if "except" in words:
        nowhere = _HERE.match(words["except"]) or _NO_PLACE.match(f"for {words['except']}")
        return "" if nowhere else f"everywhere except {words['except']}"
    where = words.get("content", "")
    clause = _CLAUSE.match(where) is not None
    if not where or _NO_PLACE.match(where) or "," in where or len(where.split()) > _MOST_WORDS:
        return ""
    if not clause and (_DOES.search(where) or len(where.split()) > _MOST_WORDS // 2):
        return ""
    return _PREP.sub("", where, count=1) if _PREP.match(where) else where


def _bare(pattern: re.Pattern[str], text: str) -> str:
    while match := pattern.search(text):
        text = text[: match.start()]
    return text


def _unquoted(text: str) -> str:
    inner = text[1:-1]
    whole = text[:1] in _QUOTES and text[-1:] in _QUOTES and not _QUOTES.intersection(inner)
    return inner if whole else text
