"""Secrets and special categories of personal data in a rule, or in the words it rests on.

Secrets: keys, tokens, passwords, payment cards and bank accounts whose checksum is right. Special
categories are those of Article 9 of the GDPR, where the words say them of a person. Patterns find
what is plain to see, in English first.
"""

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Literal, TypeAlias
from unicodedata import normalize

from prefmem.messages import seen
from prefmem.types import Preference

Kind: TypeAlias = Literal[
    "key", "card", "account", "password", "number",
    "health", "religion", "politics", "sex life", "union", "biometrics", "ethnic origin",
]  # fmt: skip
PIIPolicy: TypeAlias = Literal["drop", "quarantine", "allow"]

_READ = 20_000  # characters of a text that are looked at

_KEYS = re.compile(
    r"""
      \b(?:sk|pk|rk)[-_](?:live|test|proj|ant|or)?[-_]?[A-Za-z0-9_-]{16,}
    | \b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|hf_|npm_|pypi-|dckr_pat_|shpat_|sq0\w{3}-
      |dop_v1_
        |figd_|lin_api_|nvapi-|gsk_|r8_|tskey-|atlasv1|ATATT|EAACEdEose|key-|whsec_
        |re_)[A-Za-z0-9_-]{10,}
    | \b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,} | \bAIza[\w-]{20,} | \bya29\.[\w-]{10,}
      | \bSG\.[\w-]{10,}
    | \beyJ[\w-]{8,}\.[\w-]{8,} | -----BEGIN[ ][A-Z ]{0,30}PRIVATE[ ]KEY | \bAGE-SECRET-KEY-\w+
    | \b(?:bearer|basic)\s+[A-Za-z0-9._~+/-]{16,}
      | \b[a-z][a-z0-9+]{2,20}://[^\s:/@]{1,80}:[^\s@/]{3,80}@
    | \b(?:bc1|0x)[A-Za-z0-9]{25,64}\b(?=.{0,40}\b(?:private|seed|key)) | \b\d{8,10}:AA[\w-]{30,}
    | \b(?:seed|recovery|mnemonic)\s(?:phrase|words?)\b\W{0,3}(?:is\W{0,3}
      |are\W{0,3})?(?:[a-z]{3,8}[\s,]+){5}
    """,
    re.X,
)
_NAMED = re.compile(  # "my key is 8f3k..."; the value is looked at
    r"\b(?:(?:api|access|secret|private|auth|client|signing|license|licence|encryption|ssh|aws"
    r"|app|service|"
    r"session|refresh|bot|bearer|webhook|wifi|wi-fi|vault)[ _-]?)?(?:keys?|tokens?|secrets?)\b"
    r"[^\w\n]{0,4}(?:(?:is|was|are|for|to|the|my|our|that's|value|=|in|on|use|prod\w*|staging"
    r"|server|here)"
    r"[^\w\n]{0,3}){0,4}[\"'`]?(?P<value>[A-Za-z0-9_+/=.!@#$%^&*-]{8,200})",
    re.I,
)
_PASSWORDS = re.compile(
    r"\b(?:passwords?|passwort|kennwort|passcode|passphrase|pass\sphrase|pwd|mot\sde\spasse"
    r"|contrase(?:ñ|n)a"
    r"|wachtwoord|senha|pin(?:\s?code|\snumber)?|door\scode|alarm\scode|gate\scode|safe\scode"
    r"|access\scode"
    r"|security\scode|unlock\scode|cvv2?|cvc|otp|login)\b"
    r"(?:\s(?=[^\s\"'`”,;]*\d)|[^\n]{0,40}?(?:\b(?:is|was|ist|est|es|are|to|with|as|use|enter|type"
    r"|remember)\b|[:=])\s{0,3}[\"'`“]?)(?P<value>[^\s\"'`”,;]{3,64})",
    re.I,
)
_DIGITS = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}\b")
_IBAN_CHARS = {
    "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20,
    "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IT": 27,
    "LT": 20, "LU": 20, "LV": 21, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24,
    "SE": 24, "SI": 19, "SK": 24, "TR": 26,
}  # fmt: skip
_NUMBER = re.compile(
    r"\b(?:ssn|social\ssecurity(?:\snumber)?|tax\s(?:id|number)|passport(?:\s(?:number|no\.?))?|"
    r"national\sinsurance(?:\snumber)?|driver'?s\slicen[cs]e(?:\s(?:number|no\.?))?|steuer-?id|"
    r"(?:bank\s)?account\s(?:number|no\.?)|sort\scode|routing\snumber|personal\sid)\b\D{0,25}"
    r"(?=[A-Z0-9 -]{0,6}\d)[A-Z0-9][A-Z0-9 -]{4,24}|\b\d{3}-\d{2}-\d{4}\b",
    re.I,
)
_WORDS = frozenset(  # what may stand behind "the password is" and is none
    {
        "1password", "a", "always", "an", "and", "anything", "argon2", "asterisks", "at",
        "bcrypt", "be", "best", "bitwarden", "case", "changed", "characters", "checked", "digits",
        "dots", "encrypted", "examples", "expired", "explained", "field", "fields", "for", "form",
        "generated", "handled", "hashed", "hidden", "if", "in", "it", "just", "kept", "least",
        "letters", "long", "manager", "managers", "masked", "md5", "my", "names", "needed",
        "never", "none", "not", "of", "on", "one", "only", "optional", "or", "out", "page",
        "placeholder", "placeholders", "plain", "policies", "policy", "practices", "prompt",
        "required", "required.", "reset", "right", "rotated", "rules", "safe", "scrypt", "secure",
        "security", "sensitive", "sent", "sha-256", "sha256", "short", "shown", "something",
        "stored", "strength", "strong", "text", "that", "the", "the password is", "them", "they",
        "this", "to", "too", "unique", "used", "validated", "very", "weak", "when", "with",
        "wrong", "your",
    }
)  # fmt: skip

# What makes a word a person's own: "I have ...", "my son", "as a ...", "because of my ...".
_SELF = (
    r"(?:\bi\b|\bi['’](?:m|ve|d)\b|\bmy\b|\bme\b|\bwe\b|\bwe['’](?:re|ve)\b|\bour\b|\bus\b"
    r"|\bas\san?\b"
    r"|\bbecause\sof\b|\bdue\sto\b|\bgiven\s(?:the|my|his|her|their)\b|\bafter\s(?:my|the|his"
    r"|her)\b"
    r"|\bthe\suser\b|\b(?:he|she)\s(?:has|is|was)\b|\b(?:son|daughter|wife|husband|partner|mother"
    r"|father|mum"
    r"|mom|dad|child|kid|brother|sister|grandma|grandpa|friend|boss|colleague)(?:['’]s|\sis"
    r"|\shas)\b)"
)
_DISEASES = (
    r"diabet\w+|asthma\w*|epilep\w+|cancer|tumou?r|leuk\w+|lymphoma|chemo\w*|hiv|aids|hepatitis"
    r"|herpes|copd"
    r"|depress(?:ion|ed|ive)|anxiety(?:\sdisorder)?|panic\sattacks?|bipolar|schizo\w+|ptsd|ocd"
    r"|adhd|autis\w+"
    r"|asperger\w*|dyslexi\w+|dyscalculi\w+|dyspraxi\w+|anorexi\w+|bulimi\w+|eating\sdisorder"
    r"|addict\w+|alcoholi\w+"
    r"|in\srecovery|(?:['’]m|am|been|stay(?:ing)?|get(?:ting)?)\ssober|rehab|insomnia|migraines?|arthritis|fibromyalgia|lupus|crohn\w*|colitis"
    r"|ibs\b|celiac|coeliac"
    r"|lactose[- ]intoleran\w+|allerg\w+|anaphyla\w+|epipen|eczema|psoriasis|endometriosis|pcos"
    r"|menopause|pregnan\w+"
    r"|miscarri\w+|ivf|infertil\w+|dialysis|kidney\s(?:disease|failure|stones?)|transplant"
    r"|pacemaker|(?:a|my|his|her|the)\sstroke|heart\s(?:attack"
    r"|disease|condition|failure)|hypertension|(?:high|low)\sblood\spressure|cholesterol|thyroid"
    r"|hashimoto\w*|gout|anemi\w+"
    r"|anaemi\w+|parkinson\w*|alzheimer\w*|dementia|multiple\ssclerosis|\bms\sdiagnos\w+"
    r"|cerebral\spalsy|down\ssyndrome"
    r"|wheelchair|paraly\w+|amput\w+|prosthe\w+|deaf|hard\sof\shearing|hearing\s(?:loss|aid)s?"
    r"|(?:['’]m|am|is|are|was|went|legally|partially|half)\sblind|blind\s(?:person|user|man|woman)|visually\simpaired"
    r"|low\svision|colou?r-?blind|tinnitus|vertigo|long\scovid|chronic\s(?:pain|fatigue|illness)"
    r"|disabilit\w+|disabled"
    r"|antidepress\w+|insulin|ssris?|lithium|medications?|prescri\w+|therap(?:y|ist)|psychiat\w+"
    r"|diagnos\w+|surgery|hospitali\w+"
    r"|obes\w+|overweight|bmi|blood\s(?:type|thinners?|sugar)|std|sti|burn-?out|mental\shealth"
    r"|illness|syndrome"
    r"|h(?:er|y)niat?\w*|slipped\sdis[ck]|bad\s(?:back|knees?|hip)|scoliosis|sciatica|reflux"
    r"|ulcer|gallstones?|hay\sfever"
)
_FAITHS = (
    r"christian\w*|catholic\w*|protestant\w*|lutheran\w*|baptist\w*|methodist\w*|evangelical\w*"
    r"|mormon\w*|orthodox(?:\schristian"
    r"|\sjew\w*)?|jehovah\w*|quaker\w*|muslim\w*|islam\w*|sunni|shia|sufi|jew|jews|jewish"
    r"|hindu\w*|buddhis\w+|sikh\w*|jain\w*"
    r"|baha\w+|taois\w+|pagan\w*|wicca\w*|atheis\w+|(?:an|['’]m|am)\sagnostic|religio\w+|(?:my|our|his"
    r"|her)\s(?:faith|god|church|mosque|synagogue|temple)|(?:to|at|in)\s(?:church|mosque"
    r"|synagogue|temple)\b|believe\sin\sgod|jesus|allah"
    r"|parish|bible\sstudy|quran|torah|pray\w*|ramadan|for\slent|sabbath|shabbat|kosher(?!\ssalt)|halal|eid"
    r"|yom\skippur|passover|baptis\w+"
    r"|convert\w*\sto\s\w+ism|rosary|communion|bar\smitzvah|bat\smitzvah|hijab|imam|rabbi|pastor"
    r"|priest"
)
_PARTIES = (
    r"democrat\w*|republican\w*|conservative\sparty|tor(?:y|ies)|labour\s(?:party|voter|member"
    r"|supporter)|liberal\sdemocrat\w*"
    r"|lib\sdems?|green\sparty|the\sgreens|socialis\w+|communis\w+|marxis\w+|anarchis\w+"
    r"|libertarian\w*|nationalis\w+|left[- ]wing"
    r"|right[- ]wing|far[- ]right|far[- ]left|leftist|trump|biden|maga|cdu|spd|afd|fdp|brexiteer"
    r"|remainer|(?:i|we)\s(?:always\s)?vote[sd]?|(?:i|we)(?:['’]m|['’]re)?\svoting|voter"
    r"|party\smember"
    r"|political\s(?:views?|opinions?|beliefs?|party|activis\w+|affiliation)|politically"
    r"|activist\w*|pro-life|pro-choice|campaign(?:ed|ing)?\sfor"
    r"|canvass\w*|conservative\svoter|progressive\svoter|protest(?:s|ed|ing)?\sagainst"
)
_SEX = (
    r"gay|lesbian|bisexual|homosexual|heterosexual|queer|lgbt\w*|asexual|pansexual"
    r"|straight\s(?:man|woman|guy)|sexual\s?\w*|sex\slife|polyamor\w*"
    r"|open\s(?:relationship|marriage)|transgender|transsexual|trans\s(?:man|woman|person|guy|girl)"
    r"|non-?binary|coming\sout|came\sout|closeted|libido|impoten\w+"
    r"|erectile\w*|fetish\w*|bdsm|kink\w*|affair|sleep(?:ing)?\swith|one-night\sstands?"
    r"|contracepti\w+|condoms?|my\s(?:boyfriend|girlfriend)\sand\si\shave\ssex"
)
_UNIONS = (
    r"(?:trade|labou?r)\sunions?|union\s(?:member\w*|rep\w*|steward|dues|card|meetings?|official"
    r"|organi[sz]er|delegate|branch)|unioni[sz]\w+|shop\ssteward"
    r"|works\scouncil|(?:member|part|rep|steward|delegate)\s(?:of|in|for|at)\s(?:a|the|my"
    r"|our)\s(?:\w+\s)?union|ig\smetall|ver\.?di|unison|teamsters"
    r"|ver\.di|gewerkschaft\w*|on\sstrike|picket\sline\w*|my\sunion|our\sunion|the\sunion"
)
_BODY = (
    r"fingerprints?|face\s?id|facial\srecognition|iris\sscans?|retina\w*\sscans?|voice\s?prints?"
    r"|palm\s(?:print|vein)\w*|biometric\w*|dna(?:\stest)?"
    r"|genetically|genetic\s(?:test|result|risk|condition|disease|disorder|data|marker)\w*|genome|brca\w*|gait\s(?:recognition|pattern)|23andme|hereditary"
)
_ORIGINS = (
    r"black\s(?:man|woman|person|american|british|family|girl|boy)|white\s(?:man|woman|person"
    r"|american|family)|(?:african|asian|mexican|chinese|native|arab|irish"
    r"|italian|korean|indian|japanese|cuban|polish|vietnamese|filipino)[- ]american"
    r"|person\sof\scolou?r|people\sof\scolou?r|bipoc|mixed[- ]race|biracial"
    r"|latin[oax]\w*|hispanic\w*|chicano\w*|roma\b|romani|sinti|kurd\w*|uyghur\w*|aborigin\w+"
    r"|indigenous\s(?:person|people|author|artist|woman|man|family|community)|first\snations|m[aā]ori|inuit|s[aá]mi|cherokee|navajo"
    r"|of\s\w+\s(?:descent|origin|heritage|ancestry)|ethnic(?:ity|ally)|ethnic\s(?:background|origin|minority|group)s?|my\s(?:race|skin\scolou?r|heritage"
    r"|ancestry)|dark[- ]skinned|afro-?\w*|arab\b|romany|yoruba"
    r"|igbo|tamil\sorigin|han\schinese|zulu|punjabi\sfamily|(?:i['’]?m|i\sam|we['’]?re"
    r"|we\sare)\s(?:ethnically\s)?(?:black|white|asian|arab|latino|brown)\b"
)
_PUBLIC = (  # of a topic, not of a person: "explain how diabetes works"
    r"\b(?:explain(?:ing)?|describe|summari[sz]e|articles?|papers?|stud(?:y|ies)|history|novel"
    r"|essays?|lectures?|statistics"
    r"|research|news|talk(?:ing)?\sabout|write\sabout|questions?\sabout|topics?|glossary|textbook"
    r"|course|class(?:es)?|exam)\b"
)
_WORDS_OF: dict[Kind, str] = {
    "health": _DISEASES, "religion": _FAITHS, "politics": _PARTIES, "sex life": _SEX,
    "union": _UNIONS, "biometrics": _BODY, "ethnic origin": _ORIGINS,
}  # fmt: skip
_SPECIAL: dict[Kind, re.Pattern[str]] = {
    kind: re.compile(rf"\b(?:{words})(?!\w)", re.I) for kind, words in _WORDS_OF.items()
}
_OWN = re.compile(_SELF, re.I)
_KEPT = 20_000  # texts, about 2 MB
_FOUND: dict[bytes, frozenset[Kind]] = {}  # by a hash of the text
_TOPIC = re.compile(_PUBLIC, re.I)


def secrets_in(text: str) -> frozenset[Kind]:
    """Name the kinds of secrets that a text holds.

    Every recall asks again about the same cards: what was found is kept, by a hash of the text.
    """
    key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    found = _FOUND.get(key)
    if found is None:
        if len(_FOUND) >= _KEPT:
            _FOUND.clear()
        found = _FOUND[key] = _secrets(text)
    return found


def _secrets(text: str) -> frozenset[Kind]:
    text = _read(text)
    found: set[Kind] = set()
    if _KEYS.search(text) or any(_is_random(m["value"]) for m in _NAMED.finditer(text)):
        found.add("key")
    if any(_is_password(m["value"]) for m in _PASSWORDS.finditer(text)):
        found.add("password")
    if any(_luhn(digits) for digits in _cards(text)):
        found.add("card")
    if any(_iban(m[0]) for m in _IBAN.finditer(text)):
        found.add("account")
    if _NUMBER.search(text):
        found.add("number")
    return frozenset(found)


def special_in(text: str) -> frozenset[Kind]:
    """Name the special categories that a text tells of a person."""
    text = _read(text)
    if not _OWN.search(text):
        return frozenset()
    found: set[Kind] = {kind for kind, pattern in _SPECIAL.items() if _told(pattern, text)}
    return frozenset(found)


def is_private(text: str) -> bool:
    """Whether a text holds a secret, or tells a special category of a person."""
    return bool(secrets_in(text) or special_in(text))


def secrets_of(rule: Preference) -> frozenset[Kind]:
    """Name the kinds of secrets in a rule and in its quotes."""
    return frozenset(kind for text in _texts(rule) for kind in secrets_in(text))


def private_of(rule: Preference) -> frozenset[Kind]:
    """Name the kinds of secrets and the special categories in a rule and in its quotes."""
    return frozenset(kind for t in _texts(rule) for kind in (*secrets_in(t), *special_in(t)))


def _texts(rule: Preference) -> list[str]:
    return [f"{rule.condition}; {rule.action}", *(e.quote for e in rule.evidence)]


def _read(text: str) -> str:
    text = text[:_READ]
    return text if text.isascii() else seen(normalize("NFKC", text))


def _told(pattern: re.Pattern[str], text: str) -> bool:
    """Whether a word of a category stands in a sentence that tells it of a person."""
    for match in pattern.finditer(text):
        start = max(text.rfind(mark, 0, match.start()) for mark in ".!?\n") + 1
        sentence = text[start : match.end() + 60]
        if _OWN.search(sentence) and not _TOPIC.search(text[start : match.start()]):
            return True
    return False


def _is_random(value: str) -> bool:
    """Whether a value looks made by a machine: long, of letters and digits."""
    digits = sum(c.isdigit() for c in value)
    letters = sum(c.isalpha() for c in value)
    return (
        len(value) >= 10
        and digits >= 2
        and letters >= 2
        and not re.fullmatch(r"[a-z]+[\d.]+", value)
    )


def _is_password(value: str) -> bool:
    """Whether what follows "the password is" is one, rather than the next word."""
    plain = value.strip(".!?()<>").lower()
    if not plain or plain in _WORDS:
        return False
    return not plain.isalpha() or len(plain) < 3 or plain != value.strip(".!?") or _odd(plain)


def _odd(word: str) -> bool:
    """Whether a lower-case word is none of English: few vowels, or long."""
    vowels = sum(c in "aeiouy" for c in word)
    return len(word) >= 12 or vowels * 5 < len(word)


def _cards(text: str) -> Iterator[str]:
    for match in _DIGITS.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if digits[0] in "23456" and len(set(digits)) > 1:
            yield digits


def _luhn(digits: str) -> bool:
    odd = sum(int(d) for d in digits[-1::-2])
    even = sum(sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return (odd + even) % 10 == 0


def _iban(text: str) -> bool:
    """Whether a text begins with a bank account whose length and checksum are right."""
    plain = re.sub(r"[ -]", "", text)
    plain = plain[: _IBAN_CHARS.get(plain[:2], len(plain))]
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(c, 36)) for c in moved)) % 97 == 1
