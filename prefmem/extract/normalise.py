"""From a user's words to the two slots of a rule.

The condition follows "When"; the action can stand alone.
"""

import re

from prefmem.types import Polarity

_EDGE = " \t\n.,;:!?-–—\"'()[]*_"
_LEADING = re.compile(
    r"^(?:(?:please|pls|plz|just|and|but|so|then|also|kindly|can you|could you|i'd like you to|"
    r"i want you to|i need you to|make sure (?:to|you)|be sure to|remember to|try to|you should|"
    r"you can|(?:i )?only (?:ever )?want(?: to)?|(?:i )?want(?: to)?|it's|it has to be|"
    r"it's got to be"
    r")\b[\s,]*)+",
    re.I,
)
_WHEN = re.compile(r"^(?:when(?:ever)?|(?:every ?|each |any ?)time(?: that)?)\s+", re.I)
_LOOSE_END = re.compile(
    r"(?:\s+(?:(?:it\s+)?(?:should|shall|must|has to|have to|wants? to) (?:be|have)|to be"
    r"|i only want|i want|i'd like|i'd rather|i like|i prefer|there's|it's|it is|is|are|should|must"
    r"|just|only|and|but|then))+$",
    re.I,
)
_DANGLING = re.compile(
    r"\b(?:to|for|of|with|about|what|which|that|the|a|an|my|your|and|or|is|are)$", re.I
)
_BARE = re.compile(r"\w{1,7}(?: (?:the|a|an|my|me|this|that|it))?", re.I)
_PREPOSITIONS = frozenset(
    {"for", "in", "on", "at", "with", "to", "when", "if", "from", "about", "of"}
)
_NEGATED = re.compile(
    r"^(?:no|not|never|don'?t|dont|do not|without|avoid|skip|stop|drop|leave|omit|cut|spare|enough|"
    r"refrain|quit|lose|ditch|exclude|less|fewer|nothing|steer clear|stay away|keep away|hands off|"
    r"go easy on|anything but)\b",
    re.I,
)
_PRONOUNS = frozenset({"it", "that", "them", "these", "this", "those", "one", "ones"})
_ADVERBS = re.compile(r"^(?:always|only|simply|ideally|generally|usually|first|instead)\s+", re.I)
# First words of an instruction. A thing ("window seats") starts with none of them.
_VERBS = frozenset(
    {
        "act", "add", "address", "adopt", "allow", "answer", "append", "apply", "ask", "assume",
        "attach", "base", "be", "begin", "bold", "book", "boil", "break", "bring", "bullet", "call",
        "capitalise", "capitalize", "change", "check", "choose", "cite", "clarify", "close", "code",
        "colour", "color", "comment", "compare", "confirm", "convert", "copy", "count", "cover",
        "cross", "default", "define", "describe", "draft", "draw", "drop", "eat", "emphasise",
        "end", "explain", "express", "factor", "favor", "favour", "fetch", "fill", "filter", "find",
        "finish", "flag", "follow", "format", "get", "give", "go", "group", "have", "highlight",
        "hold", "ignore", "include", "indent", "indicate", "insert", "introduce", "invite", "keep",
        "label", "lead", "let", "limit", "line", "link", "list", "log", "look", "lower", "mail",
        "maintain", "make", "mark", "match", "measure", "mention", "merge", "move", "name", "note",
        "number", "offer", "open", "order", "organise", "organize", "outline", "pair", "paste",
        "pick", "place", "plan", "play", "point", "prefer", "prefix", "present", "print",
        "prioritise", "prioritize", "propose", "provide", "pull", "push", "put", "quote", "rank",
        "rate", "read", "recommend", "reduce", "refer", "remind", "remove", "render", "repeat",
        "reply", "report", "respond", "return", "rewrite", "round", "run", "save", "say",
        "schedule", "search", "see", "seek", "select", "send", "separate", "serve", "set",
        "shorten", "show", "sign", "simplify", "sort", "speak", "specify", "spell", "split",
        "stand", "start", "state", "stay", "stick", "store", "structure", "substitute", "suggest",
        "summarise", "summarize", "switch", "tag", "take", "talk", "teach", "tell", "test", "think",
        "track", "translate", "treat", "trim", "try", "turn", "type", "underline", "use", "verify",
        "wait", "walk", "warn", "word", "work", "wrap", "write",
    }
)  # fmt: skip


def condition_text(span: str) -> str:
    """Give a condition as it follows "When": without the "when", without edges and loose ends.

    A prepositional phrase stays as it is ("for weeknight dinners"). A bare preposition is none, and
    neither is a phrase that breaks off ("you tell me what to").
    """
    text = _WHEN.sub("", _squeeze(span))
    text = _LOOSE_END.sub("", text).strip(_EDGE)
    bare = _BARE.fullmatch(text) and text.split(" ")[0].lower() in _PREPOSITIONS
    return "" if bare or _DANGLING.search(text) else text


def action_text(span: str, polarity: Polarity, *, only: bool = False) -> str:
    """Give an action as an instruction.

    An order stays in the user's words, with "do not" where it names what to keep away from; a bare
    thing becomes "prefer ...", "avoid ...", or "only ..." where the user said so. A pronoun alone
    is no action.
    """
    said = _squeeze(span)
    text = _LEADING.sub("", said)
    only = only or "only " in said[: len(said) - len(text)].lower()
    if text.lower() in _PRONOUNS:
        return ""
    if not text or _NEGATED.match(text):
        return _lowered(text)
    bare = _ADVERBS.sub("", text)
    if re.split(r"[\s,]", bare, maxsplit=1)[0].lower() in _VERBS:
        text, bare = _lowered(text), _lowered(bare)
        if polarity == "avoid":
            return f"do not {bare}"
        return f"only {bare}" if only else text
    if polarity == "avoid":
        return f"avoid {bare}"
    return f"only {bare}" if only else f"prefer {bare}"


def _lowered(text: str) -> str:
    """Lower the first letter of an order, unless its first word is written in capitals."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _squeeze(text: str) -> str:
    return " ".join(text.split()).strip(_EDGE)
