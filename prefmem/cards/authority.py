"""Rules that would give an agent orders instead of telling it how to answer.

A preference says how to answer. One about tools, recipients, addresses, money, permissions,
secrets, other people's data or hiding things waits in quarantine until the user confirms it outside
the model. This is a second line behind the origin of a rule (verbatim words of the user), and
catches what is plain to see; it decides nothing about text that it does not match.
"""

import re

from prefmem.types import Preference

_PATTERNS = re.compile(
    r"""
    https?:// | \bwww\. | [\w.+-]+@[\w-]+\.\w                                     # links, addresses
    | \b(?:password|passcode|api[ _-]?key|credential|access[ ]token)s?\b
    | \b(?:secret[ ]key|ssh[ ]key|pin[ ]code)s?\b
    | \b(?:run|execute|call|invoke|use)\s+(?:the\s+)?\w*\s*(?:tool|function|shell|command)s?\b
    | \b(?:send|forward|post|upload|transfer|wire|pay|copy|bcc|cc)\b.{0,40}\b(?:to|into)\b.{0,60}
      \b(?:account|address|server|wallet|iban|everyone|inbox)\b
    | \b(?:transfer|wire|pay|buy|purchase)\b.{0,30}(?:[$€£]\s?\d|\d\s?(?:usd|eur|dollars|euros|btc))
    | \b(?:ignore|disregard|override|bypass)\b.{0,40}
      \b(?:instruction|rule|polic|safety|guideline|system|permission)
    | \b(?:admin|root|sudo|superuser)\b.{0,20}\b(?:access|right|permission|privilege)
    | \bwithout\s+(?:asking|telling|confirm\w*|approval|permission)\b
    | \b(?:do\s+not|don't|never)\s+(?:tell|inform|mention\s+(?:this|it)\s+to|warn)
      \s+(?:me|the\s+user|anyone|him|her|them)\b
    | \b(?:other|another|all)\s+users?(?:'s|')?\b
    """,
    re.I | re.X,
)


def claims_authority(preference: Preference) -> bool:
    """Whether a rule reads as an order about what to do rather than how to answer."""
    return _PATTERNS.search(f"{preference.condition}\n{preference.action}") is not None
