"""How users steer their memory in passing: "the van is sold, so drop the parking rule".

The words alone would do for the answer as well. A form counts where the turn also shows that the
memory is meant: something has changed for good, holds until a day, was told to the assistant once.
The notation is that of `prefmem.commands_notation`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from prefmem.commands_grammar import PHRASES, Intent
from prefmem.commands_languages import foreign_forms
from prefmem.commands_notation import Form, as_pattern
from prefmem.commands_turn import MOST_CHARS, Sentence

_DATE = (
    r"(?:now|here|today|tomorrow|then|(?:this|next) \w+|the (?:first|\d+\w*)|jan\w*|feb\w*|mar\w*"
    r"|apr\w*|may|june?|july?|aug\w*|sep\w*|oct\w*|nov\w*|dec\w*)"
)
# What a turn shows. A verb such as "took" counts with "I" before it, as others take things too.
_SIGNS: Mapping[str, str] = {
    # Something is otherwise than it was when the rule was made.
    "new": (
        rf"\b(?:(?<=\w )(?<!so )(?<!and )(?<!ok )now|from {_DATE}|any ?more|any longer|no longer"
        r"|since|these days|already|by now|as of|as from|going forward|(?:in|for) (?:the )?future"
        r"|hereafter|for good|in general|everywhere|finally|last (?:week|month|year|spring|summer"
        r"|autumn|fall|winter)|moved|sold|retired|quit|gave up|given up|bought|traded|started"
        r"|starting|ended|closed|is (?:over|gone|dead|final|back)|grown|arrived|changed|turned"
        r"|got (?:my|rid)|new|broke up|divorced|married|passed|I've been \w+ing)\b"
    ),
    # It was so, and is no more.
    "ended": r"\b(?:any ?more|any longer|no longer|no more|since|these days)\b",
    # It is said for all times to come.
    "lasting": (
        rf"\b(?:from {_DATE}|from \w+(?: \w+)? on|as of|going forward|(?:in|for) (?:the )?future"
        r"|hereafter|henceforth|even next time|whenever|always|(?:every|each|next) \w+|for later"
        r"|for good|later \w+)\b"
    ),
    # It is said for a while.
    "term": (
        r"\b(?:today|tonight|tomorrow|this (?:once|one|time|week|weekend|month|trip|chat|round"
        r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day)|(?:un)?till?|for (?:once|now|the moment"
        r"|the time being)|the month of|these days|in a hurry|(?:in|within) \w+ min(?:utes|s)?)\b"
    ),
    # And it is as before when that is over.
    "again": (
        r"\b(?:after (?:that|which)|afterwards|then|tomorrow|next (?:week|month|time)|on monday"
        r"|from monday)\b.{0,40}\b(?:again|back to|as (?:usual|always|before|ever))\b|"
        r"\bagain as (?:usual|always|before)\b"
    ),
    # It was told to the assistant, or is kept by it.
    "told": (
        r"\bI(?:'ve| have| had| did)?(?: (?:ever|once|just|already|not|never|don't|didn't))*"
        r" (?:told|tell|said|say|saying|ask(?:ed)?|gave|give|set|mention(?:ed)?|put|(?:made?|had"
        r"|have"
        r"|get|got) you)\b|\b(?:your (?:notes?|memory|head|files?|records?|list)|what(?:ever)?"
        r" you(?:'ve)?"
        r" (?:know|keep|kept|have|got|saved?|store|stored|remember)|you(?:'ve| have)? (?:got "
        r"|have )?"
        r"(?:saved|stored|noted|written|on file|put down|know)|preferences?|rules?|of mine|on file"
        r"|in there|told you)\b"
    ),
    # A rule was taken away once.
    "gone": (
        r"\b(?:I (?:just |once |had )?(?:removed|deleted|dropped|took|take|threw|scrapped|loosened"
        r"|binned|wiped|cancelled|lifted|switched|turned|cut|changed|made a mistake)"
        r"|I(?:'d| had)? (?:had|told|asked|made|let|got) you (?:to )?(?:drop|forget|remove"
        r"|delete|leave"
        r"|throw|scrap|lose|stop|bin|wipe|take|skip|ignore|strike|cut|get)|(?:by|was a|my) mistake"
        r"|should(?:n't| not) have|(?:have|had|was|been) (?:hasty|rash|wrong)|regret|changed my"
        r" mind"
        r"|miss (?:it|them|that)|second thoughts?|too early|too soon|after all|you had|had from"
        r" me)\b"
    ),
    # One case is set against others, or it is to stay so.
    "other": (
        r"\b(?:only|alone|solely|otherwise|elsewhere|the (?:rest|others?)|(?:any|every)(?:body|one"
        r"|where|thing) else|(?:nobody|nothing|nowhere|all) else"
        r"|(?:are|is|stays?|counts?|holds?) (?:just )?for|when it (?:isn't|is not)|from (?:now"
        r"|here)"
        r"|(?:in|for) (?:the )?future|hereafter|going forward|generally|even next time|in general"
        r"|(?:^|[,.;!?] (?:and |but |so )?)(?:for|to|with|on|at) .*[,.;!?] .*\bfor|don't need|no"
        r" need|not needed|so from now|always|whenever)\b"
    ),
}  # fmt: skip
_SIGN = {name: re.compile(pattern, re.I) for name, pattern in _SIGNS.items()}

_ALLOWS = re.compile(r"(?:(?:so|and|ok|yes)[ ,]+)*+you (?:can|may)\b", re.I)  # no politeness here

_PHRASES: Mapping[str, str] = {
    "I": "((I|I've|I'd|I have|I had) [once|ever|already|just]...)",
    "told": (
        "(told you|tell you|said|say|set|set up|ask|ask you|asked|asked you|ask for|ask you for"
        "|asked for|asked you for|mentioned|mention|gave you|give you|wanted|had you (do|keep))"
    ),
    "ever": (
        "[once|ever|before|already|(at|to) some point|some time|sometime|earlier|lately|here|there"
        "|somewhere|to you|for|that|this|it|so|or (something|what|not)|by chance|a while ago"
        "|(a|the) number [of <1>]|something|anything|about <2>]..."
    ),
    "lead": "[<>] [, <>] [,]",
    "a thing": "(something|a thing|one|what|anything|because|a rule|me who|me that|one thing)",
    "drop": (
        "(drop|scrap|bin|ditch|scratch|strike|chuck|wipe|erase|delete|cut|forget|forget about"
        "|forget all about|lose|toss|cross out|cross off|take out|take away|take off|lift|retire"
        "|get rid of|remove|kill|dump|axe|nix)"
    ),
    "memory": (
        "(from|out of|off|in|into|to|on|for) ([the|your|my] [long-term] (memory|head|records|record"
        "|notes|file|files|list|profile|books)|(what|whatever) {you know} [(of|about|on|for)"
        " (me|us)])"
    ),
    "until": (
        "([from now] (until|till|til) !(it|it's|they|you|golden|done) <5>|[just|only] for (now"
        "|today|tonight|tomorrow|once"
        "|the moment|the time being|(this|that|the next) <2>)|(just|only) (today|tonight|tomorrow)"
        "|[just|only] this (week|weekend|month|once|time|trip|round|one)|for the month of <1>|today"
        "|tonight|tomorrow)"
    ),
    "till": (
        "([from now] (until|till|til) <5>|(just|only) (for (now|today|tonight|tomorrow|once)|today"
        "|tonight|tomorrow|this <1>))"
    ),
    "thing": "(thing|business|stuff|rule|limit|ban|cap|one|bit|part|line|idea|preference|habit)",
    "the": "(the|that|this|my|those|these|his|her|our|your|their)",
    "may": "(may|can|could|might|needn't|need not|(don't|do not) (need|have) to)",
    "fine": (
        "(is|are) [perfectly|quite|totally|also|all|not|no longer]... (fine|ok|okay|enough|plenty"
        "|welcome|allowed|all right|alright|needed|a no)"
    ),
    "at": "(for|in|with|to|on|when|whenever|if|during|while)",
    "situation": "(for|in|with|on|to|when)",
    "holds": (
        "(is|are|was|were|stays|stay|should stay|counts|count|holds|hold|applies|apply|goes|go"
        "|[is|are] meant)"
    ),
    "bound": "(keep|leave|save|reserve|hold|limit|restrict)",
}  # fmt: skip

# Intent, sign that the turn must show, forms; the surest first. A whole sentence, or one stretch
# between joints, must have the form.
_FORMS: tuple[tuple[Intent, str, tuple[str, ...]], ...] = (
    (
        "why",
        "",
        (
            "{lead} (is|was) (that|this|it) [really|maybe|because of|from|based on|down to|in]..."
            " {a thing} [that] {I} {told} {ever} [<1>]",
            "{lead} (is|was) it me (that|who) <>",
            "{lead} (is|was) (that|this|it) (me|my (doing|idea|wish|request)|from me|from (my|your)"
            " (notes|settings|memory|records))",
            "{lead} (did|does|do) (that|this|it|those|these) come from (me|something I said"
            "|(my|your) (notes|settings|memory|records))",
            "<> [, <>] [,] (did|have) {I} {told} {ever} [<1>]",
            "(did|have) {I} ({told} (that|this|it|so|for that|for this)|told you) {ever}",
            "{lead} (do|did|have|are|were|you|you've) <> because [of] [{a thing}] [that] {I} {told}"
            " {ever} [<1>|, or <>]",
            "{lead} when did {I} {told} {ever}",
            "{lead} who (put you up to|told you|asked you|asked for) (it|that|this|to <>|so)",
            "{lead} how (did|do) you know (to <>|[that|about] (I|my) <>)",
            "{lead} [from] where (did|do|have) you [got|had]... (get|got|have|take|pick up|learn"
            "|hear) (that|this|it|the idea|the notion) [from] [that] [<>]",
            "{lead} from where have you (that|this|it|the idea|the notion) [that] [<>]",
            "why (is|are|do|does|did) <> (with me|in (each|every|all your) (answer*|repl*))",
            "{lead} why (is|are|do) [<>] always <> with (me|you)",
            "why [the|all the|all this] <target 4> (every time|all the time|everywhere|lately)",
        ),
    ),
    (
        "why",
        "told",
        (
            "{lead} where (did|does|do) (that|this|it|these|those|the <3>) (come|coming) from",
            "{lead} where's (that|this|it|the <3>) coming from",
            "{lead} how did you know",
        ),
    ),
    (
        "undo",
        "",
        (
            "(restore|reinstate) <target> from before <>",
            "let <target 6> (count|hold|apply) again",
        ),
    ),
    (
        "undo",
        "gone",
        (
            "(bring|put|turn|switch|get|take|give me|I want|I'd like|let me have) <target 9>"
            " back [on"
            "|in|to <2>|up]",
            "(bring|turn|switch|put) (back|back on) [<target>]",
            "[<3>] (restore|reinstate|revive|recover|reactivate|reverse) <target>",
            "[go] back to (how it was|<target> [as before])",
            "[I'd like|I want] <target> (to hold|to count|to apply|in place|back) again",
            "(keep|use|apply|follow|start*) <target> again",
            "<target 6> (can|may|should) come back",
        ),
    ),
    (
        "show",
        "",
        (
            "[<3>] what [all|else|number*|exactly|kind of <1>|sort of <1>]... (have|do|did) you"
            " [all"
            "|still|already|got|have|had|keep|kept|remember|note|note down|stored|saved|noted"
            "|written|put"
            "|learned|collected|down|on file]... (on|about|of|for|from) ((me|us|myself)"
            " [and <target>|, <>]|(target=(my|our|how I|how we|what I|where I|who I) <>)) [by now"
            "|so far]",
            "(have you [got]|do you have) (anything|something|a note|notes) [saved|stored|noted"
            "|written down|down]... (on file about|on file on|about) (target=(my|the|how I|what I)"
            " <>)",
            "(show|list|pull up|read|give|tell|dump) [me|us|back|out]... [all]... (the|what|which)"
            " [<1>] (stuff|things|rules|notes|preferences) [that] (you know|you have|you've [got"
            "|saved"
            "|stored|noted|on file]...|{I} (gave|given|told|taught) you) [(until|up to) now]"
            " [[about]"
            " <target>]",
            "[<>] (show|list|tell) [me] what [all] you've [got|saved|stored|noted|kept|written"
            "|down]... (on|about|of) (me|us|[how|what] (target=(I|my|our|the) <>)) [, <>]",
            "[<>] {show} (what's|what is) (in there|in your (memory|notes)|on file)",
            "remind me what (I|I've|I have) (told|asked) you [(about|on|to) <target>]",
        ),
    ),
    (
        "show",
        "told",
        (
            "{lead} what [all|else] (did|have|do) {I} (make|made|have|had|tell|told|ask|asked) you"
            " [to] (keep|remember|note|save|store|write down) [<target>]",
            "what else (is|do you have|have you [got]) [in] (there|stored|saved|noted) [about"
            " <target>]",
            "(have|did) {I} (told|tell|given|give) you (anything|something) (on|about|for)"
            " <target>",
            "[<>] (let me see|show me|I'd like to see|can I see|list|could I see) (them|it|those"
            "|it all|what's in there|the (whole|full) list) [out|all]",
        ),
    ),
    (
        "pause",
        "again",
        (
            "[you {may}] <target> {until}",
            "{until} [,] [you {may}] <target>",
            "<target> {until} [<>]",
        ),
    ),
    ("pause", "", ("give {the} <target 4> a (rest|break|miss) [{until}]",)),
    (
        "pause",
        "told",
        ("(leave|lay|put|set|park) {the} <target 4> (aside|on hold) {at} <>",),
    ),
    (
        "pause",
        "term",
        (
            "[{until} [,]] (leave|lay|put|set|park) {the} <target 5> (aside|alone|out|off|on"
            " hold|be"
            "|away) [(for|on) <>|{until}]",
            "[{until} [,]] (rest|suspend|pause|shelve|hold [off [on]]|take a break from) [{the}]"
            " <target 5> [{until}] [<3>]",
            "[{until} [,]] (drop|skip|never mind|forget [about]|ignore) {the} <target 5> {thing}"
            " [{until}] [<3>]",
            "(forget|never mind) {the} <target 5> {until} [<2>]",
            "[{at} <6>] (suspend|pause|shelve|lay aside|hold off) (it|that|them|{the} <target 4>)",
            "<target 5> (welcome|allowed|on hold) {until}",
            "<target 4> may <4> {till}",
            "<target 4> (is|are) (fine|ok|okay|suspended|on ice|not needed) (until|till|til) <5>",
            "[{until} [,]] let {the} <target 4> (rest|slide|go|be) [{until}]",
            "[{until} [,]] (go|do) without {the} <target 4> [{until}]",
            "no <target 3> {thing} {until}",
            "<> {till} [so] you {may} <target>",
            "(reckon|plan|count) without <target> {until}",
            "(just|only) for (today|tomorrow|tonight|once|this one) [,] (give|show|tell|let|use"
            "|write|throw) <target>",
            "<> [,] (just|only) for (today|tonight|tomorrow|once)",
            "[so] you {may} <target> {until}",
            "{until} [,] you {may} <target>",
            "({till}|for the next <3>|this <1>|today) [,] (just|skip|no more) <target>",
            "{the} <target 4> (can|may|should|could) (rest|wait|go|sleep|stay <1>) {until}",
        ),
    ),
    (
        "forget",
        "",
        (
            "you needn't (hold on to|keep|remember) <target>",
            "(take|cross|strike) <target 4> off me",
        ),
    ),
    (
        "forget",
        "ended",
        (
            "(no need|no more need|no reason|no more reason|not necessary) to <target>",
            "you (needn't|can stop|may stop) <target>",
            "(don't|do not) (bother|worry) (with|about) {the} <target 5>",
            "{the} <target 4> (doesn't|don't|does not|do not) (bother me|apply|count|hold)",
            "it's no secret <>",
        ),
    ),
    (
        "forget",
        "told",
        ("{drop} (that|this|it|that one|this one) [off]", "(take|cross) (that|this|it) off"),
    ),
    (
        "forget",
        "new",
        (
            "{drop} (that|this|it|them|that one|this one) [as <3>] [out|off] [{memory}]",
            "{drop} [{the}|all] <target 5> {memory}",
            "{drop} {the} <target 5> [for good]",
            "(take|cross|strike) (that|this|it|that one|{the} <target 4>) (off|out) [{memory}]",
            "[so] {drop} (everything|all) (on|about) <target>",
            "forget [that] (target=I (ever|once|had|was|used to) <>)",
            "[so] forget about <target 3>",
            "[so] <target 6> (can|may|could) (go|be (binned|dropped|deleted|forgotten|scrapped"
            "|removed|taken off))",
            "<target 5> (is|are) (fine|ok|okay|allowed|welcome) again",
            "[so|and] you (can|may) (talk|speak|mention|suggest|offer|recommend|propose) <target"
            " 4>",
            "[so|and] you (can|may) (use|give|show|include|add|put) <target 4> again",
            "[so|and] you (can|may) !(see|imagine|guess|tell|add|also) <target 5>",
            "{the} <target 4> [{thing}] is (history|over|done with|done|behind me|behind us)",
            "(throw|kick|chuck|leave|cut) {the} <target 4> {thing} (out|away)",
        ),
    ),
    (
        "edit",
        "",
        (
            "(change|update|correct|swap) <target 6> {memory}",
            "(put|enter|write) <2> (there|in) [(his|her|its|their) place] {memory}",
            "put <3> where <target 3> is {memory}",
        ),
    ),
    ("edit", "told", ("(change|swap|switch|update|correct|amend) (that|it|this|that one)",)),
    (
        "edit",
        "new",
        (
            "(change|swap|switch|update|set|correct|move|bump|raise|lower) <target 6> (to|for"
            "|into|in"
            "|over) <>",
            "(change|swap|switch|update|correct) (that|it|this|that one) [over|in|out]",
            "(put|enter|write) <2> (there|in) (instead of <target>|(his|her|its|their) place)",
            "(put|swap) (that|it|them) (in|there)",
            "(put|count|have) me down (as|for|on|with) <>",
            "<3> is right",
            "(bear|keep|have) it in mind (from <3>|now)",
            "change {the} <target 4> : <2>",
            "(it's|that's|we're|I'm|he's|she's|they're) [at|on|down to|up to] <3> [,] not <3>",
            "[it's] <3> instead of <target 3>",
            "[from <3>] (raise|lower|cut|bump|up|stretch|shorten|extend|double|halve) {the}"
            " <target 4> [(to|by)"
            " <>]",
            "(replace|exchange) <target 4> (with|by|for) <>",
        ),
    ),
    ("edit", "lasting", ("make (that|it) !(so|a) <6> [from <3>|going forward]",)),
    (
        "narrow",
        "",
        (
            "{bound} {the} <target 5> (for|to) <content 8> (only|alone)",
            "{bound} {the} <target 5> (for|to) (content=(when|whenever|anything) <>)",
            "{bound} {the} <target 5> (only|just|strictly) (for|to) <content>",
            "{bound} (that|it|this) (for|to) <content 6> (only|alone)",
            "(limit|restrict|confine) (it|that|this) to (content=them|those|these|him|her)",
            "let <target 5> (apply|hold|stand|count) (for|to|in|on|with) <content> [only|alone]",
            "have <target 5> (apply|hold|count) for <content>",
            "<target 5> {holds} (only|just|solely) (content={at} <>)",
            "<target 5> {holds} (content={at} <7>) (only|alone)",
            "<target 5> (only|just|solely) {holds} (content={at} <>)",
            "<target 5> {only} (content=(when|while|whenever) (I|I'm|we|we're) <>)",
            "(that's|that is) for <content> (only|alone)",
            "<target 4> I only (use|want|need|like|take|do) (content=(for|when|in|with) <>)",
            "[<1>] {at} <except 5> [,] {the} <target 5> (should not|shouldn't|does not|doesn't"
            "|needn't) (apply|hold|count|matter)",
            "<target 5> (should not|shouldn't|doesn't|needn't) (apply|hold|count) (for|to|in|on"
            "|with)"
            " <except 5>",
            "<target 5> should (hold|apply|count|be) (for|in|on|with) <content> but not <>",
            "do <target 5> (only|just) (content=(for|in|on|with) <>)",
            "(for|with) <except 4> [,] <2> {fine} [<>]",
            "only {at} <content 4> (it's|they're|that's) (a no|not <>|not)",
            "[from (here|now) on] <target 3> (go|goes) with <content 4> only",
        ),
    ),
    (
        "narrow",
        "other",
        (
            "[<2>] {situation} <except 5> [,] <2> {fine} [<>]",
            "[<4>] (is ok|is fine|ok|fine) for <except 4>",
            "[<1>] {situation} <except 5> [,] you [only|just]... ({may}|need to) <target>",
            "[<1>] {situation} <except 4> [,] [kindly] (leave|write|keep|use|do) <target> [,] (in"
            " future|from now on|going forward|even next time|from here on|always)",
            "[<1>] (for|with) <except 5> [,] only <2> [please]",
            "[<1>] (for|with|on) <except 5> [,] I (only|want|need|no need|don't need|do not need"
            "|would"
            " like|I'd like) <target>",
            "[<1>] {situation} <except 4> [,] it's (ok|fine|all right) to <target>",
            "!(this|it|here|that|these|he|she|I) <target 5> (is|are|stays|stay) for <content 7>",
            "<target 4> {only} (counts|holds|goes) (content=(for|in|with|at) <>)",
            "<target 4> should stay (for|with) <content 4>",
            "you only (need|have) to do <target 5> for <content>",
            "{bound} !(on) [{the}] <target 5> (for|to) !(now|next|later|today|tomorrow|good)"
            " <content 8>",
        ),
    ),
    (
        "remember",
        "",
        (
            "put (that|this|it) {memory}",
            "[also] for your (files|notes|records|memory) : <content>",
            "[<>] for future reference [:|,] <content>",
            "<content> [,] for future reference",
            "(keep|put|have) on file [that] <content>",
        ),
    ),
    (
        "remember",
        "lasting",
        (
            "(note|log|store|hold on to|write down|mark|jot down|keep [hold of]|file) (that|this|it"
            "|so) [down|away] [(for|from|till|when) <>]",
            "remember (that|it|this) (for|in|on|at|when) <>",
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spoken:
    """A form that a stretch of a turn has.

    Attributes:
        intent: What to do.
        stretch: The stretch.
        words: What is named in it, by the names of the form.
        before: What is said before it in the turn.
    """

    intent: Intent
    stretch: Sentence
    words: Mapping[str, str]
    before: str


def spoken(turn: Sequence[Sentence]) -> Iterator[Spoken]:
    """Find what a turn of at most 400 characters may tell the memory in passing, surest first."""
    said = " ".join(sentence.own for sentence in turn)
    if not turn or len(said) > MOST_CHARS:
        return
    shown = {sign for sign, pattern in _SIGN.items() if pattern.search(said)}
    stretches = [s for sentence in turn for s in (sentence, *sentence.parts(told=True))]
    cores = [(stretch, stretch.core().without_adverb()) for stretch in stretches]
    cores += [(s, s.core(opened=False).without_adverb()) for s in stretches if _ALLOWS.match(s.own)]
    for intent, sign, row in _rows():
        if sign and sign not in shown:
            continue
        for stretch, core in cores:
            for form in row:
                if (places := form.read(core.own)) is not None:
                    words = {name: core.said(*place) for name, place in places.items()}
                    before = " ".join(stretch.turn[turn[0].start : stretch.start].split())
                    yield Spoken(intent, stretch, words, before)


@cache
def _rows() -> tuple[tuple[Intent, str, tuple[Form, ...]], ...]:
    """Compile the forms, those of other languages first."""
    phrases = {**PHRASES, **_PHRASES}
    rows: list[tuple[Intent, str, tuple[Form, ...]]] = []
    for intent, form in foreign_forms():
        rows.append((intent, "", (form,)))
    for intent, sign, row in _FORMS:
        patterns = (re.compile(as_pattern(phrase, phrases), re.I) for phrase in row)
        rows.append((intent, sign, tuple(Form(pattern, firm=True) for pattern in patterns)))
    return tuple(rows)
