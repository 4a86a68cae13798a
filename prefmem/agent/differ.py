"""Rules of a user without a model: what their texts keep to, and neutral texts do not."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prefmem.agent.anatomy import Text, parts
from prefmem.agent.lesson import Document, Lesson, Task
from prefmem.agent.markers import Marker, measures
from prefmem.agent.outline import outline
from prefmem.agent.prompts import MAX_RULES

FEWEST = 3  # texts of one kind by which a habit can be told
STEADY = 0.8  # share of the texts that keep to a rule
APART = 0.3  # how much more often the user's texts keep to it than neutral ones
_MANY = STEADY / 2  # share of the texts that offer a marker before it is counted
_PRIOR = 2.0  # texts that the usual share counts as, beside neutral drafts
_PER_FAMILY = 3  # words of their own that a user is told to use


def rules_of(
    texts: Sequence[str], drafts: Sequence[str] = (), *, kind: str = "text"
) -> tuple[str, ...]:
    """Give the rules that texts keep to steadily, and neutral texts do not.

    Args:
        texts: What the user wrote, of one kind; below three that hold words there are no rules.
        drafts: What a model wrote for the same purpose without knowing the user. Without them, how
            often a neutral text has a marker is taken from a table.
        kind: As `Document.kind`.

    Returns:
        At most 12, each on one marker; `prefmem.agent.markers.named` gives it back.
    """
    return tuple(marker.rule for marker in habits(texts, drafts, kind=kind))


def habits(
    texts: Sequence[str], drafts: Sequence[str] = (), *, kind: str = "text"
) -> tuple[Marker, ...]:
    """Give the markers behind `rules_of`, in the same order."""
    read = [text for text in map(parts, texts) if text.words]
    if len(read) < FEWEST:
        return ()
    neutral = [text for text in map(parts, drafts) if text.words]
    known = _candidates(read)
    counts = _counts(read, known, kind)
    beside = _counts(neutral, known, kind)
    apart: dict[str, float] = {}
    for name, marker in known.items():
        shown, told = counts[name]
        of_drafts, drafts_told = beside[name]
        neutrally = (of_drafts + _PRIOR * marker.usual) / (drafts_told + _PRIOR)
        if shown >= FEWEST and shown >= STEADY * told and shown / told - neutrally >= APART:
            apart[name] = shown / told - neutrally
    chosen = _tightest([known[name] for name in apart], counts)
    best = sorted(chosen, key=lambda marker: -apart[marker.name])[:MAX_RULES]
    return tuple(marker for marker in chosen if marker in best)


def lessons(
    documents: Iterable[Document],
    *,
    drafts: Mapping[str, Sequence[str]] | None = None,
    intents: Mapping[str, str] | None = None,
) -> tuple[Lesson, ...]:
    """Make a lesson of each document: the rules of its kind that it keeps to itself.

    Args:
        documents: Of one user. A kind of which there are fewer than three takes the rules that the
            documents of all kinds keep to.
        drafts: Neutral texts by kind, as for `rules_of`.
        intents: What a document was to say, by its id; `outline` gives it for the others.

    Returns:
        In the order of the documents, without those that keep to no rule.
    """
    kept = [document for document in documents if document.text.strip()]
    by_kind: dict[str, list[str]] = defaultdict(list)
    for document in kept:
        by_kind[document.kind].append(document.text)
    by_drafts = drafts or {}
    known = {
        kind: habits(texts, by_drafts.get(kind, ()), kind=kind)
        for kind, texts in by_kind.items()
        if len(texts) >= FEWEST
    }
    if len(known) < len(by_kind):
        of_all = habits(
            [document.text for document in kept], [text for d in by_drafts.values() for text in d]
        )
        known |= {kind: of_all for kind in by_kind if kind not in known}
    made = (_lesson(document, known[document.kind], intents or {}) for document in kept)
    return tuple(lesson for lesson in made if lesson.rules and lesson.task.intent)


def _lesson(document: Document, known: Sequence[Marker], intents: Mapping[str, str]) -> Lesson:
    read = parts(document.text)
    intent = intents.get(document.id) or outline(document)
    return Lesson(
        Task(intent, document.kind, document.to, document.subject),
        tuple(marker.rule for marker in known if marker.shows(read)),
        document.text,
        document.id,
    )


def _candidates(texts: Sequence[Text]) -> dict[str, Marker]:
    """Give the markers that many texts could show, as the first of them words it."""
    known: dict[str, Marker] = {}
    offered: Counter[str] = Counter()
    for text in texts:
        for marker in measures(text):
            offered[known.setdefault(marker.name, marker).name] += 1
    least = _MANY * len(texts)
    return {name: marker for name, marker in known.items() if offered[name] >= least}


def _counts(
    texts: Sequence[Text], known: Mapping[str, Marker], kind: str
) -> dict[str, tuple[int, int]]:
    """Count, by marker, the texts that show it, and those that tell anything about it."""
    shown: Counter[str] = Counter()
    told: Counter[str] = Counter()
    for text in texts:
        telling = [name for name, marker in known.items() if marker.tells(text, kind)]
        told.update(telling)
        shown.update(name for name in telling if known[name].shows(text))
    return {name: (shown[name], told[name]) for name in known}


def _tightest(found: Sequence[Marker], counts: Mapping[str, tuple[int, int]]) -> list[Marker]:
    """Leave one of markers that follow from each other: the one that says most."""
    kept: dict[str, list[Marker]] = defaultdict(list)
    for marker in found:
        kept[marker.family].append(marker)
    chosen = [marker for family, group in kept.items() for marker in _said(family, group, counts)]
    return [marker for marker in found if marker in chosen]


def _said(
    family: str, group: Sequence[Marker], counts: Mapping[str, tuple[int, int]]
) -> Iterator[Marker]:
    if family == "word":
        yield from sorted(group, key=lambda m: (-counts[m.name][0], m.name))[:_PER_FAMILY]
    elif family.startswith("at most"):
        yield group[0]  # bounds are given in rising order
    elif family.startswith("at least"):
        yield group[-1]
    elif family in ("opening words", "closing words"):
        yield max(group, key=lambda m: (len(m.name.split()), counts[m.name][0], m.name))
    else:
        yield max(group, key=lambda m: counts[m.name][0])
