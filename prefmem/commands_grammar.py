"""How users speak to their memory: a table of forms for each intent.

The notation is that of `prefmem.commands_notation`.

`target` holds the words that name a rule, and so does `kind`, where they stand before "rule";
`content` and the like hold what is new; `all` is there when everything is meant. A form matches a
whole sentence, or a whole part of one, in which whitespace is collapsed, apostrophes are straight
and what is quoted is blanked out. The module is long as nearly all of it is that table.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Literal, TypeAlias

from prefmem.commands_notation import Form as Form
from prefmem.commands_notation import as_pattern

Intent: TypeAlias = Literal["remember", "forget", "pause", "narrow", "why", "show", "edit", "undo"]

# Every phrase may use the ones above it.
PHRASES: Mapping[str, str] = {
    # What a rule is called.
    "rule": "(rule|preference|pref|memory)",
    "rules": "(rules|preferences|prefs|memories)",
    "about": "(about|on|regarding|concerning|around|when it comes to|to do with)",
    "it": "(that|this|it|these)",
    "kept": (
        "(know|remember|recall|keep|learn|learned|learnt|stored|store|saved|save|noted|recorded"
        "|collected|gathered|picked up|figured out|written down|noted down|put down|have|got)"
        " [stored|saved|noted|recorded|remembered|on file|written down|learned] [in [your] memory]"
    ),
    "you know": "(you|you've|you have) [currently|already|actually|still|think you|ever] {kept}",
    "what": "([absolutely] (everything|anything|all)|what|whatever|the (things|stuff)) [that]",
    "said": "(said|told you|mentioned|wrote|explained|taught you|asked [you] [for])",
    "earlier": "(earlier|before|once|just now|yesterday|last (week|time|month))",
    "that rule": (
        "((that|this|the last|the latest|your last|my last) [last|one|same|silly|old|new] {rule}"
        " [of mine|about me]"
        "|(that|the|this) ({rule}|one) [that] you [just] (used|applied|followed|mentioned|learned"
        "|saved|added|deleted|removed|forgot|changed) [just now|there|here]"
        "|(that|your) (note|entry)|(the|that) {rule} I [just|once|had] (deleted|removed|dropped"
        "|gave you) [(on|last) <1>|yesterday|earlier])"
    ),
    # "The rule for X" is left to the verbs that only a memory understands.
    "named": (
        "((the|my|your|that|this|any|all|every|those|these) [of] [my|the] [other|old]"
        " ({rule}|{rules}) [of mine|I have|you have|we have] ({about}|with) <target>"
        "|your (note|notes|entry) {about} <target>"
        "|[the|my|your|that|this|any] (preference|preferences|prefs|pref) [of mine]"
        " (for|against|of|in) <target>"
        "|my (rule|rules) (for|against|of|with|to) <target>"
        "|(the|my|that|this|your|those) !(from|in|out|of|off|about|on|for|to|with) <kind 4> ({rule}"
        "|{rules})|{what} {you know} (about|on|of|regarding|concerning) <target>"
        "|{what} (I|I've|I have) [just|ever|once] {said} [{earlier}] {about} <target>)"
    ),
    "the rule": "({that rule}|{named})",
    "the thing": (
        "((the|that|this|my|your) [old|whole] <kind 5> (thing|business|stuff)"
        "|(the|that) (thing|bit|part) {about} <target>)"
    ),
    "the no thing": (
        "(the|that|this|my|your) [old] ((kind=(no|never|always|no-*) <4>) thing|<kind 4> (ban|limit"
        "|cap)|(that|this) ban)"
    ),
    "rule for": "(the|that|this|your) (rule|rules) (for|against|with|of) <target>",
    "memory": (
        "([your|my|the] [long-term] (memory|memories|preferences|rules|profile|preference list"
        "|list of (rules|preferences)) [of me|about me|on me]|(your|the) notes [on me|about me])"
    ),
    "my rules": "[all] [of] my [usual|normal|own|saved|old] {rules}",
    # Forgetting.
    "forget": (
        "([just|completely|simply|now] (forget|forgetting|unlearn) [all] [about]"
        "|stop (remembering|keeping|storing|saving|using|applying|following)|no longer remember"
        "|(don't|do not|never) [you] [ever] (remember|memorise|memorize)"
        "|(I don't want you to|you don't (have|need) to|you needn't|[there's] no need to)"
        " (remember|keep|know|store) [about]|(not|not to) (remember|keep)"
        "|I'd rather you (forgot|(didn't|did not) (remember|keep|know)) [about])"
    ),
    "delete": (
        "([just|completely|simply] (delete|deleting|remove|removing|erase|erasing|drop|wipe|wiping"
        "|clear|scrap|discard|purge|get rid of|getting rid of|throw out|throw away|lose|take out"
        "|strike|ditch|trash|cancel|retire|scratch|take back|dismiss) [out]|(don't|do not) (keep"
        "|store|save)|I no longer (want|need))"
    ),
    "gone": (
        "((can|may|should|must|has to|needs to) go|no longer (holds|applies|counts|is true)"
        "|is (obsolete|outdated|wrong|history|not true|no longer (true|valid|needed|right))"
        "|isn't (true|right|valid|needed)|doesn't (hold|apply|count)) [anymore|any more|any longer]"
    ),
    "everything": (
        "({what} {you know} (about|on|of|for) me [so far]"
        "|[absolutely] (all|any|every|every single one) [of] [my|the|your|these|those]"
        " [saved|stored|current|old] {rules} [(about|of|on|for) me|{you know} [(about|of|on|for)"
        " me]]|(my|your) [saved|stored|current|old] {rules} [(about|of|on|for) me]"
        "|[all] [of] [your|the|my] [whole|entire] (memory|memories) [(of|about|on) me]"
        "|(everything|all|anything) [there is] about me"
        "|(everything|all) [that] (I|I've|I have) [ever] (told|taught|said to) you"
        " [about me|about myself|to remember|so far])"
    ),
    # Leaving rules aside for once.
    "once": (
        "([just|only] (this [one] time|this once|for this (one|once|time)) [only]|on this one"
        "|for once|just once)"
    ),
    "time": (
        "({once}|once|here|today|tonight|right now|now|with this one"
        "|in this (case|one|answer|chat|conversation|thread)"
        "|[just|only] for (this|now|today|once|the moment|the time being|a (moment|minute|while|bit"
        "|sec|second|change)|this <1>|tonight|tomorrow|(the|your) next <1>) [only]|this week|(until"
        "|till) <4>)"
    ),
    "leave": (
        "(ignore|ignoring|skip|disregard|suspend|pause|pausing|disable|set aside|put aside"
        "|leave out|leave aside|turn off|switch off|mute|hold off on|bypass|override"
        "|overlook|break|(don't|do not) (use|apply|follow|bother with|bother about|go by|stick to"
        "|consider|mind|worry about|pay attention to|care about|take into account|look at))"
    ),
    "drop": "(forget [about]|never mind|drop|lose|stop using|stop applying|stop following)",
    "my ways": (
        "(all=([all|any] [of] (my|the|your)|all|any) [usual|normal|regular|saved|stored|standing"
        "|own|personal|general|other|old]... (preferences|prefs|rules|memories) [(about|of|for) me]"
        "|(what|whatever|everything) you (know|remember) [about me]"
        "|your memory [of me]|[all] [of] my (usual|normal|regular|standing) [<1>]"
        " (style|habit|habits|way|ways|setting|settings|tastes|defaults|wishes|format|tone))"
    ),
    # Where a rule holds.
    "only": "(only|just|solely|exclusively)",
    "prep": "(for|in|when|whenever|if|with|on|at|during|while|inside|within)",
    "nowhere else": (
        "[please] [,|;|-]... [and|but] ((not|never) (everywhere|always|elsewhere|anywhere else|in"
        " general|generally|for everything|in everything|otherwise|all the time|for the rest|for"
        " others|(in|for) other <>|(at|in|for|on|when|with) <>)|nowhere else|nothing else)"
    ),
    "where": "(content={prep} <>) [{nowhere else}]",
    "where to": "(content=({prep}|to) <>) [{nowhere else}]",
    "applies": "(apply|applies|applied|hold|holds|counts|count|goes|matters|is meant|was meant)",
    # Changing a rule, and bringing one back.
    "change": (
        "(change|changing|update|updating|edit|modify|adjust|amend|revise|alter|rewrite|correct"
        "|fix|tweak|switch|set|replace|rephrase|reword|make)"
    ),
    "so": "(to say|to read|to be|to [:]|into|with|by|as|-|[,] so [that] [it] [says|reads|is])",
    "back": (
        "(restore|restoring|reinstate|recover|reactivate|re-activate|reenable|re-enable|resurrect"
        "|revive|unforget|un-forget|undelete|resume|(bring|call|put|get|take|add|give me) back"
        "|undo [the] (deletion|removal|loss|change|edit|update|deleting|removing) [of|to|in])"
    ),
    "use again": (
        "[start|go back to] (use|using|apply|applying|follow|following|remember|remembering)"
    ),
    # Asking for the reason.
    "you did": (
        "([so] [tell me|explain|explain to me|I wonder|I'd like to know|do you know]"
        " (why'd you|(why|how come|for what reason) [on earth] ((did|didn't|do|don't|are|aren't"
        "|were|would|have|had|must) you|you|you're|you've|you (are|were|have|did|do)))"
        "|what (made|makes) you|(is|was) there a reason [that|why] (you|you're|you've) [are|were])"
        " [always|still|just|even|now|suddenly|again|so often|only|actually|never|keep|keep on"
        "|constantly|all of a sudden|all the time|being|not|ever]..."
    ),
    "like that": "(like this|like that|[in] this way|[in] that way)",
    "manner": (
        "(formal*|informal*|brief*|short*|long|terse*|verbose*|wordy|chatty|polite*|casual*|blunt*"
        "|direct*|strict*|serious*|detail*|technical*|cheerful*|cold*|friendly|stiff*|dry|funny"
        "|concise*|curt*|repetitive|colloquial*|enthusiastic*|playful*|sarcastic*|harsh*|simpl*"
        "|distant|pedantic*|(in|with) (short|long|full|simple|plain) <1>)"
    ),
    "feature": (
        "(emoji|emojis|bullets|bullet points|lists|tables|headings|headers|capitals|hashtags"
        "|exclamation marks|footnotes|metric [units]|imperial [units]|inches|centimetres|celsius"
        "|fahrenheit|bold|jargon|jokes|summary|summaries|small talk|formal tone|tone|abbreviations"
        "|[in] (english|french|german|spanish|italian|dutch|chinese|japanese|portuguese|polish))"
    ),
    "did you use": (
        "(did|are|were|have) you [just|actually|now] (us*|appl*|follow*|consult*|consider*)"
    ),
    "there": "(here|there|just now|right now|now|(for|in) (that|this|your) [<>]|to <>|on <>)",
    # Asking for the rules.
    "show": (
        "(show [me|us]|list [me]|display|print [out]|tell me|give me|let me (see|look at|have)|see"
        "|view|read [me] [back]|recite|what are|what're|what's|what is|which are|dump|open"
        "|(can|may|could) I [please] (see|view|have|read|check|look at)|pull up|bring up"
        "|remind me (of|about)|recap|review|check|look up|go over"
        "|(I'd like|I want|I would like|I'd love) to (see|view|read|check|know|review))"
    ),
    "all of": "[again] [a [full|complete] list of|an overview of] [all|everything] [of]",
    "saved": "[current|saved|stored|personal|own|known|existing|standing|active|remembered]...",
    "on me": "(about|of|for|on|with|from) me",
    "so far": "[so far|by now|already|now|at the moment|today|right now]",
    "topic": "(for|in|{about}) !(me|myself) <target>",
    "of mine": "(target=(my|how I|the way I|where I|what I|who I|whether I|when I|if I) <>)",
    # Remembering.
    "keep": (
        "([do|always|also|try to|please|ever]... (remember|memorise|memorize)"
        "|(don't|do not|never) [you] [ever] forget|commit [this|it] to memory"
        "|make sure [that] (you|to) [always] (remember|don't forget|never forget))"
    ),
    "mind": "(keep|bear|have) [this|it] in mind",
    "note": (
        "((make|take|keep|leave|write) [yourself] [a] [mental|quick|little] note|(note|write|jot"
        "|put) [this|it] down|[a] [quick|little|small|short] note [to self|to yourself] for ([the"
        "|our] future|next time|later|the next <1>))"
    ),
    "later": (
        "[(for|in) (the future|future|next time|later|good|ever|(all|future) [our|my|future] <1>)"
        "|for me|forever|about me|from now on|permanently]..."
    ),
    "this": (
        "(this|the following|these|this one thing|one thing|something|this rule|this about me"
        "|these things|my preference|my preferences|this preference|a rule|my rule)"
    ),
    "save": (
        "((save|store|add|put|record|log|write|keep|file) [{it}|the following|one thing|an entry]"
        " [down] (as|to|in|into|under|on) [a|one of|my|your|the]... [new|standing|permanent]"
        " ({rule}|{rules}|profile|notes|list of {rules}) [{on me}|list]"
        "|(save|store|add|record|update) [this|the|a|another|one more|my|your] [new|following]"
        " (preference|preferences|memory|memories|profile|rule for me|rule about me|rule of mine"
        "|rule to {memory}))"
    ),
    "keep it": (
        "([do|always|please]... remember {it}|(don't|do not|never) forget {it}"
        "|(keep|bear) {it} in mind|(make|take) [a] [mental] note [of {it}]"
        "|(note|write|jot|put) {it} down|save that|(note|memorise|memorize) {it}|commit {it} to"
        " memory|(save|store|keep|add|put|record|take|include|write) {it} ((as|to|in|into|under"
        "|with) [a|my|your|the]... [new] ({rule}|{rules}|notes|profile)|for (next time|the future"
        "|later)))"
    ),
}  # fmt: skip

# The forms of an intent: those that name the memory or a rule, and so also count as a part of a
# sentence; and those that count as a whole sentence only.
_FORMS: Mapping[Intent, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "undo": (
        (
            "[how (do|can) I] {back} ({the rule}|{rule for}|{the thing}|{the no thing})",
            "[<>] {the rule} [,] {back} (it|that)",
            "undo (that|the|my) [<3>] (change|deletion|removal|edit) [(about|on) <target>]"
            " !(in|to|of|on) [I made <>]",
            "undo (that|the|my) <target 4> (change|deletion) from <2>",
            "undo what I (said|told you) {about} <target>",
            "(bring|put|get|take|give me|add|I want|switch|turn) ({the rule}|{the thing}) back"
            " [on|in|to life|the way it was]",
            "{use again} ({the rule}|{rule for}) again",
            "((don't|do not) forget|keep) {the rule} after all",
            "((don't|do not) (delete|remove|drop)|keep) {that rule}",
            "((can|may|could) I (have|get)|I'd like|I want) {the rule} back",
            "((can|may|could) I (have|get)|I'd like|I want) (all={my rules}) back",
            "(you shouldn't have forgotten|I didn't (want|mean) [for] [you] to (forget|delete))"
            " ({the rule}|that|this|it)",
            "(undo|revert|reverse|roll back|cancel) (that|this|it|(the|my|your) last|the) [change"
            "|edit|update|deletion|removal] (to|of|in|from) {memory}",
            "(undo|revert|reverse|cancel) (that|(the|my|your) last) ((memory|preference|rule)"
            " (change|edit|update|deletion|removal)|forget|forgetting)",
            "({back}|{use again}) (all={my rules}) [again]",
            "(bring|put|get|take|switch|turn) (all={my rules}) back [on|in]",
            "(recover|restore) what you [just] (forgot|deleted)",
        ),
        (
            "(undo|undoing|unforget|un-forget) (that|this|it) [, (sorry|I (made a mistake|was wrong"
            "|didn't mean (it|that)|changed my mind))]",
            "(don't|do not) forget (that|this|it) after all",
            "remember (that|this|it) again",
        ),
    ),
    "pause": (
        (
            "[{time} [,]] {leave} ({my ways}|{the rule}) [[,] {time}]",
            "[{time} [,]] (don't|do not) (take|let) ({my ways}|{the rule}) (into (account"
            "|consideration)|get in the way|count) [[,] {time}]",
            "{leave} my (usual|normal|regular|standard|typical) <target 3> [,] {time}",
            "{time} [,] {leave} my (usual|normal|regular|standard|typical) <target 3>",
            "[{time} [,]] {leave} {the thing} [,] {time}",
            "{time} [,] {leave} {the thing}",
            "{time} [,] {drop} ({my ways}|{the rule}|{rule for})",
            "{drop} ({my ways}|{the rule}|{rule for}) [,] {time}",
            "[{time} [,]] (leave|put|set|turn|switch|keep) ({my ways}|{the rule})"
            " (out [of (it|this [one])]|aside|on hold|off|to one side|away) [[,] {time}]",
            "[{time} [,]] ((make|take) an exception (to|from)|[there's] no need (for|to (use|follow"
            "|apply))|(you don't (have|need) to|you needn't) (use|follow|apply))"
            " ({my ways}|{the rule}) [[,] {time}]",
            "({my ways}|{the rule}) (doesn't|don't|does not|do not|needn't|shouldn't)"
            " (apply|count|matter) [,] {time}",
            "[{time} [,]] [(answer|reply|respond|write|do|go|try|continue|work) [me] [(this|that)"
            " [one]|it] [,]] without [using|applying|following] ({my ways}|{that rule}) [[,]"
            " {time}]",
            "not [right] (now|today|here|{once}) with (all=(any|all|none) of my {rules}|my [usual]"
            " {rules})",
            "not [right] (now|today|here|{once}) with [the|my|that|those|these|any|all the]"
            " !(everything|all|this|that|it|you|me) <target 4> [rule|thing]",
            "{time} [,] {drop} {the thing}",
            "{drop} {the thing} [,] {time}",
            "(leave|put) <target 4> (aside|out|on hold) (for (now|today|tonight|the moment|once"
            "|this <1>)|{once}|(until|till) <>)",
            "(pause|suspend) <target 6> (for (now|today|tonight|this <1>)|{once}|this week|(until"
            "|till) <>)",
            "{drop} (everything|all) about <target> {time}",
            "(pretend|act as if) [that] you (don't|didn't) know (all=me|my {rules}|anything about"
            " me) [<>]",
        ),
        (
            "not [right] (now|today|here|for now|{once})",
            "[{once} [,]] make an exception [[,] {time}]",
            "{once} [,] (ignore|skip|don't do) (that|this|it)",
            "(ignore|skip|don't do|leave out|don't apply) (that|this|it) [,] {once}",
            "(leave|put) (that|it) (out|aside) [,] {once}",
        ),
    ),
    "narrow": (
        (
            "(limit|restrict|narrow|confine|reserve|scope|keep|apply|use|follow|make) [down]"
            " {the rule} [down] ({where} only|[only|just] {where to})",
            "{only} (use|apply|follow|keep) ({the rule}|{the thing}) {where to}",
            "keep <target 4> {where} only",
            "only apply <target 4> {where to}",
            "let ({the rule}|{the thing}) {only} {applies} {where to}",
            "({the rule}|{the thing}) (is|are) ({only} {where}|{where} only)",
            "{the rule} (doesn't|does not|shouldn't|should not) (apply|hold|count)"
            " (to|for|in|when|if) <except>",
        ),
        (
            "[not (always|everywhere|in general|in everything|for everything|all the time)"
            " [,|;|but|-]...] {only} [ever] {where}",
            "(that|this|it|that's|this is|it's|(that|this) one|{the rule}) [is|was|should"
            " be|is meant|was meant|should|is supposed to be] [really] {only} [meant|intended|apply"
            "|supposed to be|be|{applies}] {where to}",
            "(that|this|it|{the rule}) [should|is supposed to] {applies} {only} {where to}",
            "I {only} (want|wanted|meant|mean|need|needed|like) [that|this|it|{the rule}] {where}",
            "I (want|wanted|meant|mean|need|needed) [that|this|it|{the rule}] ({only} {where}"
            "|{where} only)",
            "(limit|restrict|narrow|confine) [down] (that|this) [down] {where to}",
            "({only} (do|apply) (that|this)|(do|apply|use|keep) (that|this) {only}) {where to}",
            "(do|apply|use|keep|save) (that|this) {where} only",
            "(that's|that is|this is|it's) {where} (only|alone)",
            "(don't|do not) (do|apply) (that|this) everywhere [,|;|but|-]... {only} {where}",
            "(everywhere|always) (except|but not|apart) [from] [for|in|when] <except>",
        ),
    ),
    "edit": (
        (
            "{change} ({that rule}|(the|my) {rule}|{named}) [to]: <content>",
            "{change} {the rule} to (say|read|be) <content>",
            "{change} {the rule} {so} <content>",
            "make {the rule} <content> instead",
            "{the rule} (should|must|needs to|has to|ought to) [now|really|actually]"
            " (be|say|read|become) [instead] [:] <content>",
            "[I'd like to|I would like to|I want to|I need to] {change} {the rule}",
            "{the rule} is now [:] <content>",
            "turn {the rule} into <content>",
            "{change} {the rule} , (content=<> (instead of|in place of|rather than) <>)",
            "(use|write|put|make it) <content> in {that rule}",
            "{change} (that|this|it) in ({memory}|what you know)",
            "{change} your (note|entry) [:] [<content>]",
            "{change} the (note|entry): <content>",
            "{change} <target 5> (you have|you've got|you got|you know) (for|about|on) me [(to|:|,)"
            " <content>]",
        ),
        (),
    ),
    "forget": (
        (
            "({forget}|{delete}|reset) (all={everything}) [(from|in) {memory}]",
            "({forget}|{delete}) {the rule} [(from|out of|in|off) {memory}]",
            "{forget} {rule for} [(from|in) {memory}]",
            "({forget}|(don't|do not) (keep|store|save)) ((the|that|this) (thing|bit|part|fact|note"
            "|entry|info|information)|everything|anything|all|whatever|stuff|things) (about|with)"
            " <target>"
            " [(from|in) {memory}]",
            "{the rule} {gone}",
            "(drop|scrap|lose|ditch|scratch|delete|forget|lift|take away) {the no thing} [(from|out"
            " of|off) {memory}]",
            "({the thing}|{the no thing}) {gone}",
            "(take|cross) (that|it) off",
            "({forget}|drop|lose|ditch|scrap|(you needn't|you don't (have|need) to|no need to)"
            " (keep to|stick to|follow)) {the thing} [(from|in) {memory}]",
            "take ({the rule}|{the no thing}) (off|out|away|off the list)",
            "{the rule} [,|:|-]... (forget|delete|drop|remove|scrap) (it|that)",
            "(never|don't ever|do not ever) (use|apply|follow) {the rule} again",
            "({forget}|{delete}) [the fact] that (target=(I|I'm|I've|I'd|my|we|our) !(asked|said"
            "|told|mentioned|wrote|sent) <>)",
            "{forget} [that|when] I [once|ever|have|even]... (told you|said|mentioned) [anything]"
            " [about|that] <target>",
            "{forget} (target=my !(last|previous|earlier|first|other|question*|request*"
            "|message*|comment*|instruction*|prompt*|idea*|suggestion*|draft*|plan|text|code|mail*"
            "|email*|letter*|version|example*|mistake*|keys|password|point) <4>)",
            "{forget} (target=(where|how|who|what|when|whether) (I|I'm|my) !(just|asked|said|told"
            "|wrote|mentioned|did|meant|have) <>)",
            "({forget}|{delete}) (that|this|it|that one) (from|out of|off) {memory}",
            "(take|remove|delete|drop|erase|strike|wipe|clear) (that|this|it|<target>)"
            " (from|out of|off) {memory}",
        ),
        (
            "{forget} (all=me [completely]|everything)",
            "{forget} (that|this|that one|this one)",
            "{forget} (what|that) I [just] (said|told you) [just now|earlier|before]",
        ),
    ),
    "show": (
        (
            "{show} {all of} (my|mine) {saved} ({rules}|memory) [list] [{you know}|{on me}|I gave"
            " you|(I've|I have) (given|told|taught) you]... {so far}",
            "{show} {all of} [the|your|any] {saved} ({rules}|notes|memory) ([that] {you know}"
            " [{on me}]|{on me}|(I've|I have|I) (gave|given|told|taught) you) {so far}",
            "{show} {all of} my {saved} ({rule}|{rules}) {topic}",
            "{show} {all of} my <kind 3> (preference|preferences)",
            "{show} {all of} [the] [preference|preferences|rule|rules] [that] {you know} [for me]"
            " {topic}",
            "[{show}] (what|everything|all|anything|which things|whatever) [all|exactly|else|things"
            "|stuff|sort of things|kind of things]... [that] [do|did|have|can] {you know} {on me}"
            " [and (my ({rules}|tastes|habits)|how I like <>|my <1>|the <1>)] {so far}",
            "[{show}] (what|everything|all|anything|what've|which things) [that] [do|did|have]"
            " {you know} {on me} (about|re|regarding|on|for) <target>",
            "(do you have|have you got) (a|any) (note|notes|entry|rule|preference) (about|on|for)"
            " <target>",
            "(show|tell|list) [me] what you [have] (keep|kept|remember|know|stored|saved) (about|of"
            "|on) {of mine}",
            "what do (my|your) notes say {about} <target>",
            "{show} {all of} [my|the] {saved} {rules} {about} <target> [that] {you know} {so far}",
            "{show} [every|each|all the|the|any] (note|notes|entry|entries|things) [that] {you"
            " know} {on me} [and my <1>] {so far}",
            "{show} everything [that's|that is] (stored|saved|noted) (about|on|of) (me|{of mine})",
            "{show} (everything|all|what) [that] I [ever] (asked|told) you to (keep|remember|know"
            "|store)",
            "(what|which) [of] [my|other] [kind of] ({rule}|{rules}) [of mine] ((do|did|have) you"
            " {kept}|do you (follow|use|apply|go by|respect)) [saved|stored] [{on me}] {so far}",
            "(what|which) [of] [my|other] [kind of] ({rule}|{rules}) [of mine] (do|did|have) you"
            " {kept} [saved|stored] [for me|about me] {topic}",
            "what have I [ever] (told|taught|asked) you (to remember|about me|about myself) {so"
            " far}",
            "(do|did|have) you [still|actually|even|already] {kept} (anything|something|things"
            "|stuff|a (profile|memory)|any notes|[any [of]] [my] {rules} [of mine]|me|what I like"
            "|who I am) [saved|stored] [{on me}] {so far}",
            "(do|did|have) you [still|actually|even|already] {kept} [any of|any] [my] ({rule}"
            "|{rules}) [of mine] [saved|stored] {topic}",
            "(is there|do you have) (anything|something) [that] {you know} {on me} {so far}",
            "(show|tell|give|list) [me] (what|everything|all) [that] (you've|you have) (learned"
            "|learnt|saved|stored|remembered|noted) {so far}",
            "(what|how much) (do|did) you (know|remember|think you know) {on me} {so far}",
            "what (does|do) (your memory|your notes) (say|hold|know) {on me}",
            "(what|what's|what is|what do you have) [stored|saved|there] (in your (memory|notes)"
            "|(on|in) (my (profile|preferences|memory)|file)) [{on me}] {so far}",
        ),
        (
            "(show|list|display|print|see) [all] [saved|stored] (preferences|memories)",
            "[all] my [saved|stored] (preferences|rules)",
            "[{show}] (what|everything|all|anything) [all|exactly|else]... [that] [do|did|have]"
            " {you know} [{about}|of] {of mine} {so far}",
            "what have I [ever] (told|taught) you {so far} about {of mine}",
            "(do|did) you [still|actually|even|already] {kept} (target=how I (like|prefer|want"
            "|take) <>)",
            "what do you (think|believe) I (like|prefer|want)",
        ),
    ),
    "why": (
        (
            "(which|what) [one] [of|are] [the|my] [of my] ({rule}|{rules}) [of mine|about me]"
            " {did you use} [{there}]",
            "(which|what) [one] [of] [the|my] [of my] ({rule}|{rules}) (made|makes|led|leads|caused"
            "|told|tells) you <>",
            "(which|what) [one] [of] [the|my] ({rule}|{rules}) (is|are|was|were) ((that|this|it)"
            " [from|based on|about]|behind (that|this|it)|used|applied|in play|in use|at work"
            "|active) [{there}]",
            "(is|was|were|are) (that|this|it) (because of|based on|due to|from) ((something|what"
            "|anything) {you know} [about me]|[one|any|some] [of] my ({rules}|{rule}) [about <>]"
            "|something I (said|told you) [<>])",
            "{did you use} [any|one|some] [of] my {rules} [{there}]",
            "[remind me|tell me] [,] (which|what) [of] [the|my] ({rule}|{rules}|notes) [did] you"
            " [just] (us*|appl*|follow*) [{there}] [and (why|how come)]",
            "(is|was) (this|that|it) [coming] from my (settings|preferences|rules|notes|profile)",
            "(is|was) (this|that|it) (the|a) <2> you have (from|for|on|about) me",
        ),
        (
            "{you did} (do|did|doing|done) (that|this|it) [{like that}] [<3>]",
            "{you did} (writ*|wrot*|answer*|phras*|format*|word*|structur*|repl*|respon*|say*|said"
            "|put*|mak*|talk*|speak*|act*|behav*) [to me|me] [that|this|it|everything] {like that}"
            " [here|again]",
            "{you did} (use|using|used|insist* on [using]|stick* to|switch* to|(go|going|went)"
            " (for|with)|prefer*|opt* for) <target>",
            "{you did} (answer*|repl*|respond*|writ*|wrot*|speak*|talk*|switch*) [to me|me|back"
            "|this|that|everything|it] (in|to) <target>",
            "{you did} [so|this|always|suddenly|all|very|that]... (target={manner}) [<>]",
            "{you did} (answer*|repl*|respond*|writ*|wrot*|speak*|talk*|put it) [to me] [that|it]"
            " [so|that|very|too] (target={manner}) [<3>]",
            "{you did} (choos*|chose|pick*|decid* (on|for)) [to use|the] (target={feature})",
            "why (are|is|was|were) there [so many|so much|no|only|always|all these]"
            " (target={feature}) [<3>]",
            "why (is|was|are|were) (this|that|it|everything|(your|the|my) <1>) [all|always|suddenly"
            "|written]... (target={feature})",
            "why (is|was|are|were) (your|the|my) (answer*|repl*|mail|email|text|list|summary|note)"
            " [all|always|suddenly]... (so|too) (target={manner})",
            "what (did|do|are) you (base|basing) (that|this|it) on [<>]",
            "{you did} (target=((call|calling|called|give|giving|gave) me|write|writing|wrote|put"
            "|putting|leave out|leaving out|left out|skip*|avoid*|includ*|add|adding|added|start*"
            "|end|ending|ended|sign|signing|signed|address*|format*|convert*|list|listing|listed"
            "|shorten*|translat*|omit*|(make|making|made) (it|this|everything|the|your|my|all)"
            "|bring up|bringing up|mention*|(keep|keeping|kept) (it|this|everything|the|your|my))"
            " <>)",
            "(why|how come) (is|was|are|were) (your|the|this|that|these|all your) [last|whole]"
            " (answer|answers|reply|replies|response|responses) (always|all|so|in|without|full of"
            "|suddenly|written in|such a) <target>",
            "(why|how come) [are you|were you|did you get]... (so|this|that|all) (target={manner})"
            " [<>]",
            "why [all] [the|so many|these|no|so much|again|always] (target={feature}) [again"
            "|everywhere|here|this time]",
            "(what makes you (think|believe|assume|say)|why (do|did|would) you (think|believe"
            "|assume|say)|where did you (get|pick up|read|learn|hear) [the idea]|who (told you"
            "|said)|how (do|did) you know) [that] (target=I (like|want|prefer|love|need|hate"
            "|dislike|don't like|don't want|care about|enjoy) <>)",
            "(why|how come|what's the reason) [do|did|are|have|would] you (always|only|never|keep"
            "|constantly|every time) [ever|on] <target>",
            "{you did} (leave|leaving|left) <target 4> out",
            "{you did} (choos*|chose|pick*) (the|a|this|that) <target 3> (style|tone|format|units"
            "|spelling|language|order) [<>] [, was that me]",
            "(why|how come) <> [,] (did I (ask|tell) [you] [<>]|was that me|who says <>|is (this"
            "|that) [coming] from my <>)",
            "why (only|always|so many) <target 4>",
            "(did|have) I [ever] (ask|asked|tell|told) you (to|for) (do|that|this|it|so) [<>]",
            "who (told|asked) you to [use|be|answer in|write in|reply in|add|include] <target>",
        ),
    ),
    "remember": (
        (
            "({keep}|{note}|{save}) [{this}|{it}] {later} (:|-) [<content>]",
            "{mind} [{this}|{it}] {later} (:|-) [<fact>]",
            "[here's|here is|this is|let me (tell|give) you] (something|one thing|a thing|a rule|a"
            " preference) [for you] to (remember|keep in mind|note) (:|-) <content>",
            "{keep} {later} [,] that <fact>",
            "{keep} {later} [,] <plain>",
            "[do|always|also|try to]... (remember|memorise|memorize) {later} to <todo>",
            "(don't|do not|never) forget {later} to <chore>",
            "({mind}|[take] note) {later} [,|:] [that] <personal>",
            "{note} {later} [,] (that|of the fact that) <content>",
            "{note} {later} [,] <personal>",
            "{save} {later} [,] [that|to] <content>",
            "(save|store|record|keep|write down|log|register) [the fact] that !(for|from|until"
            "|too) <personal>",
            "make (a|that|this) (rule|preference|note) [out] of (this|that|it) : <content>",
        ),
        (
            "{keep it} {later}",
            "<fact> (,|;|-) [and|so|but] [please] [can you|could you] ({keep it}|please remember"
            "|make a note) {later}",
        ),
    ),
}  # fmt: skip

# Chinese has no spaces between words: these are patterns as they are.
_CHINESE: Mapping[Intent, str] = {
    "remember": r"(?:请|麻烦)?你?(?:帮我)?(?:记住|记一下|牢记)[,，:： ]*(?P<content_0>.+)",
    "forget": (
        r"(?:请|麻烦)?你?(?:忘掉|忘记|删除|删掉|清除)(?:(?:那条|这条|这个|那个)(?:规则|偏好)?"
        r"|(?P<all_0>(?:我的)?(?:所有|全部)(?:关于)?(?:我的)?(?:偏好|规则|记忆)|关于我的一切)"
        r"|(?:关于|我关于|我对)(?P<target_0>.+?)的(?:偏好|规则|记忆|喜好|习惯))"
    ),
    "pause": (
        r"(?:请|麻烦)?(?:这次|这一次|这回|现在)先?(?:不要|别|不用|请忽略|忽略)(?:用|使用|管|考虑|按)?"
        r"(?P<all_0>我的(?:偏好|习惯|规则|喜好))"
        r"|(?P<target_0>.+?)(?:那条|这条)(?:规则|偏好|限制)?先(?:停一停|停一下|不用|别用|撤了|暂停).*"
    ),
    "narrow": r"(?:这条规则|那条规则|这个规则|这个偏好)[只仅](?:适用于|用于|限于)(?P<content_0>.+)",
    "why": (
        r"(?:你为什么|为什么你?|你怎么)(?:要|会|总是|一直|老是|都)*"
        r"(?:(?:这样|这么)(?:做|回答|写|说|回复)?|(?:用|使用)(?P<target_0>.+?)(?:回答|回复|写)?)"
    ),
    "show": (
        r"(?:请|麻烦)?(?:帮我)?(?:(?:显示|列出|查看|看看|给我看|展示|告诉我)(?:一下)?)?(?:所有)?我的"
        r"(?:所有|全部)?(?:偏好|喜好|规则|记忆)(?:是什么|有哪些)?|你(?:都)?(?:知道|记得|了解)(?:关于)?"
        r"我(?:的)?(?:什么|哪些.{0,9})"
    ),
    "edit": r"(?:请|麻烦)?(?:把)?(?P<target_0>.+?)(?:那条|这条)(?:规则|偏好)?改成(?P<content_0>.+)",
    "undo": (
        r"(?:请|麻烦)?(?:帮我)?(?:恢复|找回)(?:(?:那条|这条)(?:规则|偏好)"
        r"|(?:关于)?(?P<target_0>.+?)的(?:偏好|规则))"
    ),
}  # fmt: skip


@cache
def forms(intent: Intent) -> tuple[Form, ...]:
    """Give the forms of an intent, compiled on first use."""
    firm, whole = _FORMS[intent]
    patterns = [(as_pattern(phrase, PHRASES), phrase in firm) for phrase in (*firm, *whole)]
    if intent in _CHINESE:
        patterns.append((f" (?:{_CHINESE[intent]})", False))
    return tuple(Form(re.compile(pattern, re.I), firm) for pattern, firm in patterns)
