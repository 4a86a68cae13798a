"""The closed list of what a rule may change, and where a rule lies outside of it.

A rule may say how an answer is written (tone, length, format, language, units, naming, sources,
order of steps), what it is about (topics, tastes), and how the assistant goes about answering. It
says so with a verb of that list, or names a thing that the user likes or not. English; what is in
another language is left to the patterns of `prefmem.cards.authority`.
"""

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

Facet: TypeAlias = Literal[
    "tone", "length", "format", "language", "units", "naming", "sources", "order", "topics",
    "manner", "taste",
]  # fmt: skip

# The facet that a rule's first verb stands for.
_VERBS: Mapping[Facet, frozenset[str]] = {
    "tone": frozenset({"sound", "soften", "praise", "compliment", "apologise", "apologize"}),
    "length": frozenset(
        {"shorten", "cut", "limit", "trim", "expand", "condense", "halve", "double", "summarise",
         "summarize", "abbreviate", "restrict", "squash"}
    ),
    "format": frozenset(
        {"write", "use", "format", "wrap", "indent", "break", "number", "bullet", "mark",
         "highlight", "bold", "underline", "italicise", "italicize", "capitalise", "capitalize",
         "separate", "split", "align", "draw", "render", "show", "hide", "present", "structure",
         "lay", "return", "label", "comment", "footnote", "colour", "color", "illustrate", "design",
         "prefix", "suffix", "type", "space", "end", "sign", "close", "open", "start", "begin",
         "finish", "conclude", "log", "catch", "test", "target", "code", "refactor", "default"}
    ),
    "language": frozenset(
        {"speak", "talk", "translate", "answer", "reply", "respond", "spell", "transcribe",
         "correct", "word", "rephrase", "paraphrase", "pronounce", "conjugate", "transliterate"}
    ),
    "units": frozenset(
        {"round", "convert", "measure", "estimate", "scale", "transpose", "count", "calculate",
         "budget"}
    ),
    "naming": frozenset({"call", "name", "refer", "address", "term", "abbreviate", "title"}),
    "sources": frozenset({"cite", "quote", "reference", "base", "source", "attribute"}),
    "order": frozenset(
        {"put", "place", "sort", "order", "rank", "group", "lead", "list", "move", "arrange",
         "organise", "organize", "alphabetise", "alphabetize", "schedule", "plan", "outline",
         "prioritise", "prioritize"}
    ),
    "topics": frozenset(
        {"mention", "include", "exclude", "add", "leave", "omit", "skip", "avoid", "drop", "cover",
         "discuss", "focus", "suggest", "recommend", "propose", "offer", "describe", "explain",
         "define", "compare", "contrast", "give", "provide", "tell", "say", "state", "note",
         "point", "warn", "remind", "ignore", "concentrate", "emphasise", "emphasize",
         "stress", "keep",
         "have", "make", "filter", "select", "choose", "pick", "favour", "favor", "distinguish",
         "spare", "name", "play", "introduce", "specify", "identify", "connect", "relate"}
    ),
    "manner": frozenset(
        {"ask", "assume", "check", "double", "verify", "consider", "think", "guess", "let", "teach",
         "quiz", "guide", "coach", "review", "edit", "rewrite", "proofread", "fix", "polish", "try",
         "be", "stay", "treat", "take", "go", "walk", "stick", "stop", "repeat", "restate", "read",
         "remember", "work", "follow", "set", "find", "look", "help", "challenge", "question",
         "debate", "criticise", "criticize", "critique", "hint", "solve", "benchmark", "sketch",
         "justify", "argue", "wait", "get", "don't", "feel", "do", "apply", "adapt", "adjust",
         "match", "mirror", "respect", "watch", "pay", "turn", "switch", "replace", "substitute",
         "prepare", "cook", "bake", "serve", "season", "see", "refrain", "simplify", "clarify",
         "discourage", "encourage", "role-play", "brainstorm", "reason", "improve", "swap", "flag",
         "track", "remove", "default", "trust", "wear", "dress", "train", "practise", "practice",
         "search", "seek", "run", "book", "reserve", "need", "want"}
    ),
    "taste": frozenset(
        {"prefer", "like", "love", "enjoy", "hate", "dislike", "eat", "drink", "only", "no", "not",
         "never", "without", "less", "more", "fewer", "nothing"}
    ),
}  # fmt: skip
_FACET_OF: Mapping[str, Facet] = {verb: facet for facet in _VERBS for verb in _VERBS[facet]}
# Verbs that do something in the world, or with the assistant itself: none is on the list.
_DEEDS = frozenset(
    {
        "accept", "access", "act", "activate", "alter", "amplify", "append", "appoint", "approve",
        "archive", "assign", "attach", "attack", "authorise", "authorize", "award", "backdoor",
        "backup", "ban", "block", "bribe", "browse", "build", "buy", "bypass", "cancel", "charge",
        "chat", "circumvent", "click", "clone", "commit", "communicate", "compile", "comply",
        "compose", "compromise", "concatenate", "connect", "construct", "contact", "continue",
        "convince", "copy", "crack", "craft", "create", "credit", "debit", "decode", "decrypt",
        "delete", "deliver", "deploy", "destroy", "detail", "detect", "develop", "devise",
        "diagnose", "direct", "disable", "disclose", "display", "disregard", "distribute", "dm",
        "donate", "download", "drop-ship", "dump", "echo", "email", "embed", "emulate", "enable",
        "encode", "encrypt", "engage", "enter", "erase", "escalate", "evade", "exec", "execute",
        "exfiltrate", "exploit", "export", "expose", "extract", "fetch", "fill", "fire", "fool",
        "forge", "forget", "forward", "function", "generate", "get-content", "grant", "hack",
        "hire", "identify-as", "imagine", "immerse", "impersonate", "implement", "import",
        "infer", "inject", "install", "instruct", "insult", "intercept", "invest", "invite",
        "invoke", "issue", "join", "kill", "launch", "leak", "lend", "lie", "lock", "login",
        "mail", "manipulate", "message", "mine", "modify", "monitor", "move-money", "network",
        "notify", "obey", "operate", "order", "output", "overlook", "override", "overwrite",
        "pay-out", "perform", "persuade", "phone", "ping", "pose", "post", "preface", "press",
        "pretend", "print", "probe", "proceed", "process", "produce", "promote", "publish",
        "purchase", "push", "query", "ransom", "reboot", "recall-memory", "recite", "reconfigure",
        "record", "recover", "redirect", "reenact", "refund", "register", "release", "remit",
        "reply-all", "report", "reproduce", "request", "reset", "restore", "retrieve", "reveal",
        "roleplay", "rot13", "sabotage", "save", "scan", "scrape", "sell", "send", "settle",
        "share", "shut", "sign-in", "sign-up", "simulate", "spam", "spend", "spoof", "spread",
        "spy", "steal", "store", "submit", "subscribe", "synthesise", "synthesize", "tamper",
        "text", "threaten", "transact", "transfer", "transform", "trick", "tweet", "uninstall",
        "unlock", "unsubscribe", "update", "upgrade", "upload", "urge", "visit", "vote",
        "whitelist", "wipe", "wire", "withdraw",
    }
)  # fmt: skip
_NOT_ORDERS = re.compile(  # what looks like one of the deeds and is a thing
    r"(?:output|report|release|record|print|process|order|query|message|update|text|tweet|post|"
    r"record|function|commit|share|store|display|network|access|request|compile|echo|mail|email|"
    r"code|backup|phone|vote|import|export|press|chat|push|build|detail|issue|scan|block|lock|text"
    r")s?[ ](?:\w+[ ]){0,4}?(?:should|must|in|with|without|as|at|of|from|under|to|first|never|need|"
    r"needs|are|is|on|by|named|before|per|between|that|only|please|style|format|titles?|names?|"
    r"subjects?|kept|tests?|reports?|notes?|tickets?|lists?|examples?|statements?|logs?|bodies)\b"
    r"|(?:text|order|output|email|mail|message|post|record|print|report|update|compose|create"
    r"|build|"
    r"produce|generate|develop)(?:e?s)?[ ](?:tables?|code|examples?|texts?|tests?|lists?|charts?"
    r"|diagrams?|plans?|summar(?:y|ies)|functions?|commit|in)\b",
    re.I,
)
_OPENING = re.compile(
    r"(?:(?:please|pls|kindly|always|generally|usually|ideally|also|and|but|so|just|simply|still|"
    r"do|from\snow\son|in\sfuture|in\sgeneral|as\sa\srule|by\sdefault|if\spossible|never|don['’]?t"
    r"|do\snot|try\snot\sto|try\sto|make\ssure\s(?:to|you|that\syou)|be\ssure\sto|remember\sto|"
    r"feel\sfree\sto|you\s(?:can|may|should|must|need\sto|have\sto|don['’]t\s(?:have|need)\sto|"
    r"could)|i(?:['’]d|\swould)?\s(?:really\s)?(?:like|want|need|prefer)\s(?:you\s"
    r"|it\sif\syou\s)?to|"
    r"i\swant\syou\sto|can\syou|could\syou|would\syou|only|not|no\sneed\sto|to|let['’]?s)"
    r"(?![\w'’])[\s,:]*)*+",
    re.I,
)
_CLAUSE = re.compile(  # "when I paste code, ...", "for emails, ...", "in SQL, ..."
    r"(?:when(?:ever)?|if|for|in|on|at|with|as|while|during|after|before|once|unless|under|about|"
    r"every\stime|each\stime|where)\b[^,.;:!?]{1,120}[,:]\s+",
    re.I,
)
_SECOND_PERSON = re.compile(
    r"(?:you(?:['’]re|['’]ll|\sare|\swill|\shave|\snow|\sact|\spretend|\sgo)\b|your\s(?:name|new|"
    r"role|task|job|goal|purpose|mission|character|persona|only)\b|(?:hello|hi|hey|greetings"
    r"|dear)\b"
    r"[\s,]+\w|this\sis\b|there\s(?:is|are)\b|the\s(?:user|system|assistant|ai)\b|step\s\d|user\b)",
    re.I,
)
_QUESTION = re.compile(
    r"(?:what|who|whom|whose|where|why|which|how)\b(?!\s(?:i|we|much\s\w+\sto)\b)|(?:is|are|was"
    r"|were"
    r"|does|did|has|have|should|will|can)\s(?:it|there|the|this|that|you|we|i|people|humans|money"
    r"|a|an|true|someone)\b",
    re.I,
)
# Words for how something is told, or when: a longer rule that begins like a task has one of them.
_FORM = re.compile(
    r"""\b(?:
      short\w*|brief\w*|concise\w*|long\w*|terse\w*|succinct\w*|length|detail|compact|crisp|tight
    | formal\w*|informal\w*|casual\w*|polite\w*|friendly|warm\w*|direct\w*|blunt\w*|tone|style
      |voice|humou?r
    | simpl[ey]\w*|plain|clear\w*|easy|everyday|neutral\w*|professional\w*|jargon|slang|wording
      |phrasing
    | bullet\w*|list|lists|tables?|columns?|rows?|headings?|subheadings?|headlines?|titles?
      |markdown|bold
    | paragraphs?|sentences?|words?|lines?|pages?|characters?|letters?|sections?|chapters?|slides?
      |numbered
    | numbers?|figures?|digits?|decimals?|percent\w*|units?|metric|imperial|celsius|grams?|kilo\w*
      |litres?
    | minutes?|hours?|dates?|times?|days?|weeks?|prices?|euros?|dollars?|pounds?|francs?|budget
    | code|snippets?|comments?|type\shints|tests?|functions?|variables?|imports?|docstrings?
      |diffs?|commits?
    | examples?|analog(?:y|ies)|metaphors?|sources?|references?|citations?|links|footnotes?|quotes?
    | emojis?|hashtags?|exclamation|commas?|semicolons?|dashes|parentheses|abbreviations?
      |acronyms?|capitals?
    | uppercase|lowercase|camelcase|snake_case|spelling|grammar|punctuation|tense|passive
      |contractions?
    | english|german|french|spanish|italian|dutch|portuguese|polish|japanese|chinese|korean
      |russian|latin
    | british|american|steps?|summar(?:y|ies)|conclusion|introduction|intro|overview|recap|tl;?dr
      |outline
    | first|last|then|before|after|instead|rather|than|only|without|not?|never|always|whenever
      |usually
    | each|every|per|under|over|below|above|at\s(?:most|least|the\s(?:end|top|start|beginning))
      |up\sto
    | my|mine|our|i|me|us|answers?|repl(?:y|ies)|responses?|questions?|feedback|corrections?
      |options?|suggestions
    | version|versions|topics?|recipes?|ingredients?|meals?|dishes|restaurants?|hotels?|flights?
      |trains?|trips?
    | books?|films?|movies?|music|songs|games|products?|brands?|tools|colou?rs?|sizes?|names?
    )\b""",
    re.I | re.X,
)
_TASKLIKE = frozenset(
    {
        "write", "describe", "explain", "give", "list", "provide", "tell", "make",
        "translate", "say",
        "help", "identify", "outline", "draw", "design", "find", "discuss", "argue", "brainstorm",
        "prepare", "teach", "present", "convert", "take", "set", "get",
    }
)  # fmt: skip
_WORDS_OF_A_TASK = 8
_FIRST_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_WORD = re.compile(r"[^\W_]+(?:['’]\w+)?")


def facet_of(action: str) -> Facet | None:
    """Say what a rule would change; None for what is not on the list.

    Args:
        action: What it asks for, in English.
    """
    said = _CLAUSE.sub("", action.strip(), count=1) or action.strip()
    own = said[_OPENING.match(said).end() :]  # type: ignore[union-attr]  # matches nothing, too
    if not _WORD.search(own):
        return "taste" if _WORD.search(said) else None
    if (own == said and _QUESTION.match(own)) or _SECOND_PERSON.match(own):
        return None
    first = _FIRST_WORD.match(own)
    verb = first[0].lower().replace("’", "'") if first else ""
    if verb in _DEEDS:
        return "format" if _NOT_ORDERS.match(own) else None
    if verb in _TASKLIKE and len(own.split()) >= _WORDS_OF_A_TASK and not _FORM.search(own):
        return None
    return _FACET_OF.get(verb, "taste")  # a thing: "window seats", "I like tea"
