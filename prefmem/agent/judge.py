"""Which rules of a big model can be learned from: they stand alone, and give nothing away."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Literal, TypeAlias

from prefmem.agent.leak import Source, words
from prefmem.agent.prompts import MAX_RULE_CHARS, MAX_RULES
from prefmem.cards.authority import claims_authority, is_takeover
from prefmem.defence.privacy import is_private
from prefmem.types import Preference

Fault: TypeAlias = Literal[
    "too long", "no instruction", "mentions a text", "quotes the document", "private",
    "claims authority", "tells what, not how", "over the limit",
]  # fmt: skip

_TEXT = r"(?:text|version|draft|original|writing|sample|excerpt|output|response|rewrite|passage)s?"
_MENTIONS = re.compile(
    rf"""
      \bthe[ ]original\b | \b(?:the|your|this|that|its|a|an|both)[ ](?:\w+[ ])?draft\b
    | \b(?:the|this|that|both|either)[ ](?:user|author|writer|sender)(?:['’]s)?[ ]{_TEXT}\b
    | \b(?:the|this|that|both|either|two)[ ](?:given|reference|sample|example|source|generated
        |provided|first|second|other|actual|real|true|target|zero-shot|baseline|ai|model)(?:['’]s)?
        [ ](?:{_TEXT}|e?-?mails?|messages?|letters?|reviews?|articles?|ones?)\b
    | \b(?:text|version|draft|sample|document)[ ][ab12]\b | \bground[ -]truth\b | \bzero-shot\b
    | \bbaseline\b | \b(?:compared|contrary|similar|identical|closer)[ ](?:to|with)[ ]the\b
    | \bunlike[ ]the\b | \bthan[ ](?:in[ ])?the[ ]{_TEXT}\b | \bthan[ ]before\b
    | \b(?:as|like)[ ](?:in|seen[ ]in)[ ]the[ ](?:{_TEXT}|e?-?mail|message|letter|document)\b
    | \bas[ ](?:above|shown|seen|given|provided)\b | \b(?:this|that)[ ]version\b
    | \b(?:the|my|your|this)[ ](?:intent|bullet[ ]points?[ ]above|notes[ ]above)\b
    """,
    re.I | re.X,
)
_NO_INSTRUCTION = re.compile(
    r"\W*(?:here (?:are|is)|these (?:are|rules)|note(?: that)?:|the (?:following|differences?)"
    r"|i (?:have|will|can|hope|noticed)|let me|sure\b|none\b|n/a\b"
    r"|the (?:user|author|writer|sender)\b(?! (?:name|first)))",
    re.I,
)
_TELLING = 4  # letters of a word that says something by itself
_MOST_TOLD = 2  # such words of the intent that a rule on manner may hold
# Words of the art of writing: that an intent holds one, too, makes no rule one on content.
_ART = (
    "about address addressee always answer article avoid begin brief briefly bullet casual "
    "close closing colleague comma concise dash date details direct emoji emojis ending every "
    "exclamation first formal friendly give greet greeting heading include informal instead "
    "keep language length letter line lines list lists mail mails message more name names never "
    "note numbers offer once opening paragraph paragraphs phrase plain point points polite "
    "question questions reader reason recipient refer rather request review sentence sentences "
    "short sign sign-off simple start state style subject text thank thanks than that them then "
    "these they this time title tone under use warm what when with without word words write "
    "writing your"
)
_MANNER = frozenset(_ART.split())


def judged(
    rules: Iterable[str], *, source: Source, intent: str, left_out: Counter[str] | None = None
) -> tuple[str, ...]:
    """Keep the rules that can be learned from, in order, at most 12.

    Args:
        rules: As a big model gave them, each once.
        source: The document, which no rule may quote.
        intent: What it was to say: a rule that says it again tells what to write, not how.
        left_out: Counts what was left out, by reason.
    """
    counts: Counter[str] = Counter() if left_out is None else left_out
    kept: list[str] = []
    said = frozenset(words(intent))
    for rule in rules:
        fault = _fault(rule, source, said)
        if not fault and len(kept) == MAX_RULES:
            fault = "over the limit"
        if fault:
            counts[f"rules: {fault}"] += 1
        else:
            kept.append(rule)
    return tuple(kept)


def _fault(rule: str, source: Source, said: frozenset[str]) -> Fault | None:
    if len(rule) > MAX_RULE_CHARS:
        return "too long"
    if rule.endswith(("?", ":")) or _NO_INSTRUCTION.match(rule):
        return "no instruction"
    if _MENTIONS.search(rule):
        return "mentions a text"
    if source.leaks_into(rule):
        return "quotes the document"
    if is_private(rule):
        return "private"
    if is_takeover(rule) or claims_authority(Preference("", rule)):
        return "claims authority"
    telling = {word for word in words(rule) if len(word) >= _TELLING} - _MANNER
    told = telling & said
    return "tells what, not how" if len(told) > max(_MOST_TOLD, len(telling) / 2) else None
