"""What another memory says of a user, as the user would say it: "User prefers X" as "I prefer X".

Extractors read what users say of themselves. Only the sentence that is read is rewritten; the
card's evidence keeps the words of the file.
"""

import re

_LIKING = (
    "prefers|likes|dislikes|loves|hates|enjoys|wants|needs|avoids|favors|favours|appreciates|expects"
    "|insists|asks|requests|requires|refuses|tends|uses|writes|speaks|eats|drinks|follows|signs"
)
_OFTEN = r"(?:(?:always|never|usually|generally|often|also|really|strongly|only|typically)\s+)?"
_USER = re.compile(r"^(?:the\s+)?user(?P<own>['’]s)?\s+", re.I)
_NAMED = re.compile(rf"^(?:[A-Z][\w'’-]+\s+){{1,2}}(?={_OFTEN}(?:{_LIKING}|does(?:n['’]t| not))\b)")
_BARE = re.compile(rf"^(?={_OFTEN}(?:{_LIKING}|is|has|does(?:n['’]t| not))\b)", re.I)
_VERB = re.compile(rf"^(?P<often>{_OFTEN})(?P<verb>[a-z]+)(?P<rest>\b.*)$", re.I | re.S)
# A kind of answer that is wanted is wanted every time; a thing that is wanted is no preference.
_ASKED = re.compile(
    r"^(?:always\s+)?(?:wants?|needs?|requires?|request(?:s|ed)|ask(?:s|ed)\s+for|would\s+like)\s+"
    r"(?:that\s+|to\s+(?:have|get|see)\s+)?"
    r"(?=(?:all\s+|any\s+)?(?:[\w-]+\s+)?(?:answers?|bullet points|citations|code|comments|dates"
    r"|drafts|e?mails?|examples?|explanations?|headings|lists|messages|outputs?|plans|prices|recipes"
    r"|replies|reports?|responses?|sources|subject lines|suggestions|summar(?:y|ies)|tables|texts"
    r"|times|titles|translations|units)\b)",
    re.I,
)
_AGAIN = re.compile(
    rf"\b(?P<and>and|but|or)\s+(?P<often>{_OFTEN})(?P<verb>{_LIKING}|is|has|does)\b"
)
_IRREGULAR = {"is": "am", "has": "have", "does": "do", "was": "was", "doesn": "don"}
_PRONOUNS = {
    "their": "my", "his": "my", "her": "my", "theirs": "mine", "them": "me", "him": "me",
    "themselves": "myself", "themself": "myself", "himself": "myself", "herself": "myself",
}  # fmt: skip
_PRONOUN = re.compile(rf"\b(?:{'|'.join(_PRONOUNS)})\b", re.I)
_THEY = re.compile(r"\b(?:they|he|she)\s+(?P<verb>[a-z]+)\b", re.I)


def first_person(text: str) -> str:
    """Give a sentence about the user as the user's own; any other one as it is.

    Args:
        text: What another memory holds: "User prefers ...", "The user's ...", "Ann likes ...",
            "Prefers ...", or words that are no statement about the user.
    """
    text = " ".join(text.split())
    if own := _USER.match(text):
        rest = text[own.end() :]
        return _turned(f"My {rest}" if own["own"] else f"I {_said(rest)}")
    for subject in (_NAMED, _BARE):
        if found := subject.match(text):
            return _turned(f"I {_said(text[found.end() :])}")
    return text


def _said(rest: str) -> str:
    """Give what follows "I": its first verb without the third person's ending."""
    rest = _ASKED.sub("prefer ", rest)
    found = _VERB.match(rest)
    if found is None:
        return rest
    return f"{found['often'].lower()}{_plain(found['verb'].lower())}{found['rest']}"


def _plain(verb: str) -> str:
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("ies"):
        return f"{verb[:-3]}y"
    if verb.endswith(("shes", "ches", "sses", "xes", "zzes", "oes")):
        return verb[:-2]
    return verb[:-1] if verb.endswith("s") and not verb.endswith("ss") else verb


def _turned(sentence: str) -> str:
    """Turn the verbs and pronouns behind the first verb."""
    sentence = _AGAIN.sub(lambda m: f"{m['and']} {m['often']}{_plain(m['verb'])}", sentence)
    sentence = _THEY.sub(
        lambda m: f"I {'am' if m['verb'] == 'are' else _plain(m['verb'])}", sentence
    )
    return _PRONOUN.sub(lambda m: _PRONOUNS[m[0].lower()], sentence)
