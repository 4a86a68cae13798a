"""English words for the people whom a text may be for, and for the languages it may be in."""

# A person's words, then whom they stand for besides: a rule for the children holds for the son.
ROLES: dict[str, tuple[str, ...]] = {
    "boss": ("boss", "manager", "supervisor", "line manager", "team lead"),
    "colleague": ("colleague", "coworker", "co-worker", "teammate", "workmate"),
    "team": ("team",),
    "client": ("client", "customer"),
    "supplier": ("supplier", "vendor"),
    "investor": ("investor", "shareholder"),
    "recruiter": ("recruiter",),
    "intern": ("intern", "trainee", "apprentice"),
    "student": ("student", "pupil"),
    "teacher": ("teacher", "tutor"),
    "professor": ("professor", "prof"),
    "landlord": ("landlord", "landlady", "landladie"),
    "tenant": ("tenant",),
    "doctor": ("doctor", "gp", "physician"),
    "lawyer": ("lawyer", "attorney", "solicitor"),
    "neighbour": ("neighbour", "neighbor"),
    "friend": ("friend", "buddy", "buddie"),
    "mother": ("mother", "mum", "mom", "mama", "mummy"),
    "father": ("father", "dad", "papa", "daddy"),
    "parent": ("parent",),
    "grandmother": ("grandmother", "grandma", "granny", "nana"),
    "grandfather": ("grandfather", "grandpa", "grandad", "granddad"),
    "grandparent": ("grandparent",),
    "grandchild": ("grandchild", "grandchildren", "grandson", "granddaughter"),
    "wife": ("wife",),
    "husband": ("husband",),
    "partner": ("partner", "spouse", "girlfriend", "boyfriend", "other half"),
    "son": ("son", "boy"),
    "daughter": ("daughter", "girl"),
    "child": ("child", "children", "kid"),
    "brother": ("brother", "bro"),
    "sister": ("sister",),
    "sibling": ("sibling",),
    "aunt": ("aunt", "auntie"),
    "uncle": ("uncle",),
    "cousin": ("cousin",),
    "niece": ("niece",),
    "nephew": ("nephew",),
    "in-law": (),
    "family": ("family",),
}
MEMBERS: dict[str, frozenset[str]] = {
    "boss": frozenset({"professor"}),
    "parent": frozenset({"mother", "father", "in-law"}),
    "grandparent": frozenset({"grandmother", "grandfather"}),
    "partner": frozenset({"wife", "husband"}),
    "child": frozenset({"son", "daughter"}),
    "sibling": frozenset({"brother", "sister"}),
    "team": frozenset({"colleague"}),
    "family": frozenset(
        {
            "mother", "father", "parent", "grandmother", "grandfather", "grandparent", "grandchild",
            "wife", "husband", "partner", "son", "daughter", "child", "brother", "sister",
            "sibling", "aunt", "uncle", "cousin", "niece", "nephew", "in-law",
        }
    ),
}  # fmt: skip
# Who is called by a name: one without a title, or one with Mr or Dr.
NAMELESS = frozenset(
    {
        "aunt", "boss", "doctor", "father", "grandfather", "grandmother", "grandparent",
        "landlord", "lawyer", "mother", "professor", "teacher", "uncle",
    }
)  # fmt: skip
FORMAL = frozenset(
    {
        "boss", "client", "colleague", "doctor", "intern", "investor", "landlord", "lawyer",
        "neighbour", "parent", "professor", "recruiter", "student", "supplier", "teacher", "team",
        "tenant",
    }
)  # fmt: skip
MINE = frozenset({"boss", "colleague", "team"})  # my sister's boss is none of mine
ROLE_OF = {word: role for role, words in ROLES.items() for word in words}
NO_ROLE = frozenset({"boys", "girls", "partners"})  # friends and firms as often as family

LANGUAGES = {
    "arabic": "ar", "chinese": "zh", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en",
    "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi",
    "hungarian": "hu", "italian": "it", "japanese": "ja", "korean": "ko", "norwegian": "no",
    "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru", "spanish": "es",
    "swedish": "sv", "turkish": "tr", "ukrainian": "uk",
}  # fmt: skip
NO_NAMES = frozenset(LANGUAGES) | {
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january",
    "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december", "christmas", "easter", "i'm", "i'll", "i've", "i'd", "i’m", "i’ll",
    "i’ve", "i’d", "the", "this", "that", "we", "he", "she", "it", "they", "you", "my", "our",
    "please",
}  # fmt: skip

# Patterns. Each repetition is bounded, so reading takes time in proportion to the text.
