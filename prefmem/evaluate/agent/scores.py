"""How well rules in words fit what an author really does: planted markers, and measured ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from prefmem.agent.anatomy import Text, parts
from prefmem.agent.markers import Marker, measured, named
from prefmem.evaluate.agent.authors import AUTHORS, Style, documents, drafts
from prefmem.evaluate.metrics import Figure, mean, ratio

STEADY = 0.8  # share of an author's texts, of those that tell, that show a marker
APART = 0.25  # how much more often than drafts by nobody in particular
_SURE = 0.95
# What rules of several wordings or numbers say alike: they count where they fit the author's texts.
_ALIKE = {
    "at most words": "length", "at most sentences": "length",
    "opening words": "opening", "word": "opening", "closing words": "closing",
}  # fmt: skip
_LONG = 3  # sentences above which an author is not short
_TEXTS = (4, 7_919)  # texts of a topic, and the seed, by which authors are known


@dataclass(frozen=True, slots=True)
class Score:
    """How rules for one task fit one author.

    Attributes:
        planted: Markers that are planted in the author's texts of the kind.
        recovered: How many of them the rules ask for.
        rules: How many rules there are.
        right: How many ask for a planted marker, or for another that the texts show steadily and
            neutral drafts do not.
    """

    planted: int
    recovered: int
    rules: int
    right: int

    @property
    def f1(self) -> float:
        """Harmonic mean of the shares that are recovered and right."""
        recall = self.recovered / max(self.planted, 1)
        precision = self.right / max(self.rules, 1)
        return 2 * recall * precision / (recall + precision) if recall and precision else 0.0


def score(rules: Iterable[str], author: str, kind: str) -> Score:
    """Score rules for a text of a kind against an author's planted markers."""
    planted, found, right, count = planted_in(author, kind), set[str](), 0, 0
    for rule in rules:
        count += 1
        marker = named(rule)
        if marker is None:
            continue
        fitting = fits(marker, author, kind)
        name = key(marker)
        told = name in planted and (fitting or name == marker.name)
        right += told or fitting
        if told:
            found.add(name)
    return Score(len(planted), len(found), count, right)


def key(marker: Marker) -> str:
    """Give what tells a marker from others here: its name, or what wordings of it have alike."""
    return _ALIKE.get(marker.family, marker.name)


@cache
def planted_in(author: str, kind: str) -> frozenset[str]:
    """Give the keys of the markers that are planted in an author's texts of a kind."""
    return frozenset(_planted(AUTHORS[author][kind], kind))


@cache
def wanted_of(author: str, kind: str) -> tuple[Marker, ...]:
    """Give a checkable marker for each key that is planted, in the order of the keys.

    Of several that say it alike it is the tightest that nearly all texts keep to.

    Raises:
        LookupError: The author's texts do not show one of them steadily.
    """
    shown: dict[str, list[Marker]] = {}
    for text in _texts(author, kind):
        for marker in measured(text, kind):
            if fits(marker, author, kind):
                shown.setdefault(key(marker), []).append(marker)
    missing = planted_in(author, kind) - {*shown}
    if missing:
        raise LookupError(f"the texts of {author!r} of kind {kind!r} do not show {sorted(missing)}")
    return tuple(
        max(
            shown[name],
            key=lambda m: (_share(m, _texts(author, kind), kind) >= _SURE, -m.usual, -len(m.name)),
        )
        for name in sorted(planted_in(author, kind))
    )


def fits(marker: Marker, author: str, kind: str) -> bool:
    """Whether an author's texts of a kind show a marker steadily, and drafts by nobody do not."""
    return _fits(marker.name, marker.rule, author, kind)


def recovery(scores: Sequence[Score], *, seed: int) -> Mapping[str, Figure]:
    """Give how much is recovered, how many rules are right, the marker score, rules of a task."""
    recovered, right = (
        [float(getattr(s, name)) for s in scores] for name in ("recovered", "right")
    )
    planted, rules = ([float(getattr(s, name)) for s in scores] for name in ("planted", "rules"))
    return {
        "recovered": ratio(recovered, planted, seed=seed),
        "precision": ratio(right, rules, seed=seed),
        "marker score": mean([s.f1 for s in scores], seed=seed),
        "rules": mean(rules, seed=seed),
    }


def _planted(style: Style, kind: str) -> Iterable[str]:
    """Name what a style plants."""
    plain = {
        "lower case": style.lower,
        "length": style.keeps <= _LONG,
        "bullets": style.layout == "bullets",
        "numbered lists": style.layout == "numbered",
        "a line for each sentence": style.layout == "paragraphs",
        "exclamation marks": style.mark == "!",
        "ellipses": style.mark == "...",
        "semicolons": ";" in style.joint,
        "dashes": "-" in style.joint,
        "emojis": style.emoji,
        "headings": style.heading,
        "contractions": style.contracts,
        "no contractions": style.contracts is False,
        "opening": style.opening,
        "closing": style.closing,
        "question at the end": style.closing.endswith("?"),
    }
    yield from (name for name, there in plain.items() if there)
    if kind != "mail":
        return
    greeting = (style.greeting or "").partition(" {to}")[0].casefold()
    farewell, _, name = style.sign_off.casefold().partition(",\n")
    yield f"greeting: {greeting}" if greeting else "no greeting"
    yield from (f"sign-off: {farewell}", f"name: {name}") if farewell else ("no sign-off",)


@cache
def _fits(name: str, rule: str, author: str, kind: str) -> bool:
    marker = named(rule)
    if marker is None or marker.name != name:
        return False
    share = _share(marker, _texts(author, kind), kind)
    return share >= STEADY and share - _share(marker, _drafts()[kind], kind) >= APART


def _share(marker: Marker, texts: Sequence[str], kind: str) -> float:
    """Give how many of the texts that tell anything about a marker show it; 0 where none does."""
    told = [text for text in map(_parts, texts) if marker.tells(text, kind)]
    return sum(map(marker.shows, told)) / max(len(told), 1)


@cache
def _parts(text: str) -> Text:
    return parts(text)


@cache
def _texts(author: str, kind: str) -> tuple[str, ...]:
    """Give held-out texts of an author: of the tested topics, and none of the tested texts."""
    each, seed = _TEXTS
    return tuple(d.text for d in documents(author, "test", each=each, seed=seed) if d.kind == kind)


@cache
def _drafts() -> Mapping[str, tuple[str, ...]]:
    each, seed = _TEXTS
    return drafts("test", each=each, seed=seed)
