"""Ties what a model says to what the user said: the quote, the polarity and the scope of a rule."""

import re
from collections.abc import Iterable

from prefmem.defence.origin import own_words
from prefmem.types import Evidence, Polarity, ScopeKind, Turn

# A sentence, or about 300 characters of a longer one.
_SENTENCE = re.compile(r"\S(?:[^\n.!?;。！？；]|[.!?;](?!\s)){0,299}\w*[.!?;。！？；]*")
_SPACELESS = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # Thai, kana, Han, Hangul
_WORD = re.compile(rf"[{_SPACELESS}]|[^\W_{_SPACELESS}]+")  # in these each character counts
_ENDING = re.compile(r"(?<=\w\w)(?:ingly|edly|ings|ing|ied|ies|ed|ly|ers|er|es|s)$")
_STOP = frozenset(
    {
        "a", "about", "all", "also", "always", "am", "an", "and", "answer", "answering", "answers",
        "any", "are", "as", "at", "avoid", "be", "been", "being", "but", "by", "can", "could", "d",
        "did", "do", "does", "doesn", "don", "dont", "each", "ensure", "every", "everything", "for",
        "from", "general", "generally", "get", "give", "has", "have", "having", "he", "her", "him",
        "his", "how", "i", "if", "in", "instead", "into", "is", "isn", "it", "its", "just", "keep",
        "let", "like", "ll", "m", "make", "me", "mine", "must", "my", "need", "never", "no", "nor",
        "not", "of", "off", "on", "only", "or", "our", "out", "over", "own", "please", "prefer",
        "preferred", "prefers", "provide", "rather", "re", "replies", "reply", "replying",
        "respond", "responding", "response", "responses", "s", "shall", "she", "should", "so",
        "some", "such", "t", "than", "that", "the", "their", "them", "then", "there", "these",
        "they", "this", "those", "to", "too", "up", "us", "use", "used", "user", "using", "ve",
        "very", "want", "wants", "was", "we", "were", "what", "when", "whenever", "where", "which",
        "while", "who", "will", "with", "within", "without", "would", "you", "your", "yourself",
    }
)  # fmt: skip
_AVOID = re.compile(
    r"\W*(?:\w[\w'’]*\W+){0,2}?"  # "the user should not", "always avoid", "write without"
    r"(?:avoid(?:s|ing)?|never|not|dont|[a-z]+n['’]t|without|skip(?:s|ping)?|stop|omit|exclude"
    r"|refrain|no(?!\s+(?:more|less|fewer|longer)\b))\b(?!\s+(?:forget|hesitate)\b)",
    re.I,
)
_GENERAL = frozenset(
    {
        "all", "always", "and", "answer", "answering", "answers", "any", "anything", "anytime",
        "context", "contexts", "conversation", "conversations", "default", "each", "every",
        "everything", "for", "general", "generally", "global", "globally", "in", "interaction",
        "interactions", "n/a", "none", "of", "overall", "question", "questions", "replies", "reply",
        "replying", "request", "requests", "responding", "response", "responses", "situation",
        "situations", "the", "time", "times", "to", "topic", "topics", "when", "whenever",
    }
)  # fmt: skip
_CLEAR_SHARE = 0.25

Sentence = tuple[Evidence, frozenset[str]]


def sentences(turns: Iterable[Turn]) -> tuple[Sentence, ...]:
    """Give each sentence of the user's own words as a quote, with its content words.

    What the user only quotes is left out; so are turns that are not the user's.
    """
    found: list[Sentence] = []
    for turn in turns:
        own = own_words(turn.text) if turn.role == "user" else ""
        for match in _SENTENCE.finditer(own):
            said = match[0].rstrip()
            quote = turn.text[match.start() : match.start() + len(said)]
            found.append((Evidence(turn.id, quote), _stems(said)))
    return tuple(found)


def support(condition: str, action: str, said: Iterable[Sentence]) -> Evidence | None:
    """Find the sentence that shares most content words with a rule.

    Stop words do not count, and endings hardly do ("bulleted", "bullets"). A shared condition alone
    supports nothing: asking for code is no wish about code.

    Args:
        condition: When the rule holds.
        action: What it asks for.
        said: What the user said; of equal sentences the last one is taken.

    Returns:
        The sentence, or None where none holds at least one and a quarter of the action's words.
    """
    wanted, given = _stems(action), _stems(condition)
    best: Evidence | None = None
    best_score = (max(1, _CLEAR_SHARE * len(wanted)), 0)  # words of the action, of the condition
    for evidence, words in said:
        score = (len(wanted & words), len(given & words))
        if score >= best_score:
            best, best_score = evidence, score
    return best


def polarity_of(action: str) -> Polarity:
    """Read from the first words of an action whether it keeps away from something."""
    return "avoid" if _AVOID.match(action) else "do"


def scope_of(condition: str) -> ScopeKind:
    """Tell conditions that restrict nothing ("", "always", "any topic") from those that do."""
    words = re.findall(r"[\w/]+", condition.lower())
    return "global" if _GENERAL.issuperset(words) else "conditional"


def _stems(text: str) -> frozenset[str]:
    words = (word for word in _WORD.findall(text.lower()) if word not in _STOP)
    return frozenset(_stem(word) for word in words)


def _stem(word: str) -> str:
    """Cut an English ending: "summaries" meets "summary", "formatting" meets "format"."""
    short = _ENDING.sub("", word)
    if len(short) > 3 and short[-1] == short[-2]:
        short = short[:-1]
    return short.rstrip("eyi") or word
