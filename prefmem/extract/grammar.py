"""The English that phrases end and turn on: clause ends, verbs of liking, openings of orders."""

import re

_I = r"(?:i|i'm|im|i'd|i've|we|we're|it|it's|that|they|he|she|you|my|this|there)"
_AFTER_AND = rf"""(?:\w+ly\s+)?(?:{_I}|prefer|avoid|love|like|enjoy|hate|dislike|favou?r|tend|try
    |find|always|never|don't|do\ not|no|not|only|would|can't|cannot|steer|follow|want|need
    |look)\b"""
_ITEM = r"(?:[\w'-]+\s+){0,2}[\w'-]+"

# Where a clause ends. A comma inside a list ("fruits, vegetables, and grains") does not end it.
BOUNDARY = re.compile(
    rf"""
    [.;:!?\n()—–] | \s-\s
    | ,(?!\s*(?:(?:including|especially|such\ as|like|or)\b
        | {_ITEM}(?:,\s*{_ITEM})?\s*,?\s*(?:and|or)\s+(?!{_AFTER_AND})))
    | \s(?:because|since|but|so|although|though|while|whereas|unless|otherwise|which|when|whenever
        |if|until|thanks|please|cheers|over|rather\ than|instead\ of|due\ to|whenever\ possible)\b
    | \sas\s+{_I}\b
    | \s(?:and|or)\s+{_AFTER_AND}
    """,
    re.I | re.X,
)
# Words after which a phrase cannot end.
OPEN_END = re.compile(
    r"""(?:\b(?:a|an|the|any|some|my|your|our|their|his|her|of|to|for|with|without|in|on|at|from|by
    |about|and|or|other|that|who|are|is|not|be|being|have|having|use|eat|offer|include|watch|read)
    |\w{2,}ing)$""",
    re.I | re.X,
)
# What may stand between two parts of one list or phrase.
LIST_GAP = re.compile(
    r"^(?:\s*,\s*(?:and|or)?|\s+(?:and|or|&)|\s*/)?\s*$|^\s+(?:[\w'-]+\s+){0,2}$", re.I
)
OWN_ORDER = re.compile(
    r"""^(?:no|not|never|don'?t|do\ not|always|only|skip|avoid|stop|keep|use|put|give|write|make
    |drop|leave)\b""",
    re.I | re.X,
)
# What stands before the object of somebody's liking, or before an order.
OBJECT_LEAD = re.compile(
    r"""\b(?:i|i'm|im|i've|i'd|we|me|it's|only|prefer\w*|avoid\w*|love|like|enjoy|hate|dislike|want
    |need|aversion|allergic|intolerant|fan|stand|opposed|refuse|interest|(?:un)?comfortable)\b""",
    re.I | re.X,
)
# "hotels that do not ..." before a span that starts inside the relative clause.
RELATIVE = re.compile(r"((?:[\w'-]+\s+)?[\w'-]+\s+(?:that|which|who)\s+(?:[\w'-]+\s+){0,4})$", re.I)
AGAINST = re.compile(
    r"""\b(?:not\ (?:an?\ )?(?:\w+\ )?(?:fan|into|keen|comfortable|fond|interested)|no\ interest
    |aversion|opposed|against|allerg\w+|intoleran\w+|sensitive\ to|phobia|scared|afraid
    |can'?t\ (?:stand|eat|have|do|bear|handle)|cannot
    |(?:do\ not|don'?t|never)\ (?:(?:really|particularly)\ )?(?:like|enjoy|want|eat|use|watch|buy
        |drink|care)
    |hate|dislik\w+|avoid\w*|refus\w+|steer\ clear|stay\ away|uncomfortable|distast\w+|put\ off\ by
    |(?:rather|prefer(?:red)?)\ not(?:\ to)?)\b""",
    re.I | re.X,
)
FOR = re.compile(
    r"""\b(?:prefer\w*|love|enjoy|(?:i|we|i'd|really|also|just|still)\ like|fond\ of|keen\ on
    |drawn\ to|favou?r|only|always|stick\ to|fan\ of|rather)\b""",
    re.I | re.X,
)
# What stands before the thing that another is preferred to.
INSTEAD = re.compile(
    r"\s*,?\s+(?:rather\ than|instead\ of|as\ opposed\ to|over|and\ not|not)\s+(?=[\w'-])",
    re.I | re.X,
)
# Words between such a verb and its object that do not belong to the object.
LINK = re.compile(
    r"""(?:\s*(?:to|of|for|about|in|on|by|with|at|the\ idea\ of|any\ kind\ of|really|very|much
    |more\ of)\b)*\s*""",
    re.I | re.X,
)
HABIT = re.compile(r"\b(?:follow|keep to|stick to|eat|wear|drink)\s+(?:[\w-]+\s+){0,3}$", re.I)
NOT_TO = re.compile(r"not(?: to)?\s+", re.I)
REASON = re.compile(r"\b(?:due to|because of|thanks to)\s+(?:[\w'-]+\s+){0,4}$", re.I)
EXCLUSIVE = re.compile(r"\bonly\s+(?:[\w'-]+\s+){0,3}$", re.I)
SENTENCE_END = re.compile(r"[.!?\n]+\s*")
