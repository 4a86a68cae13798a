"""Everyday ways in which people differ about answers, with a question and two rules for each.

The prior over them is our own assumption, not a measurement: set by hand from what seems to go
together, to be replaced by `fit` where a host has answers. Its traits are a terse expert, a formal
person, a beginner who wants to be walked through, a playful person, and somebody outside the United
States. Rates and loadings stand in `_ASSUMED`.
"""

from dataclasses import dataclass
from math import pi

import numpy as np

from prefmem.elicit.prior import Prior
from prefmem.types import Preference, Scope

EVERYWHERE = Scope("global")


@dataclass(frozen=True, slots=True)
class Option:
    """One of a dimension's two answers.

    Attributes:
        label: The answer as it is offered.
        rule: What the user then wants; becomes a card.
        signs: Words that speak for it wherever they stand, lower case; with a negation before them
            they speak for the other option.
        words: Words that speak for it in a reply to the question, beside the signs.
    """

    label: str
    rule: Preference
    signs: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dimension:
    """A way in which people differ.

    Attributes:
        name: Short name; all that is kept of a question.
        question: How it is asked.
        options: The two answers; the first is 0, the second 1.
        yes: Which of them a bare "yes" means; None where the question is no yes-or-no question.
        worth: Weight of what its answer tells, at least 0; below 1 where many users have no use
            for the question.
    """

    name: str
    question: str
    options: tuple[Option, Option]
    yes: int | None = None
    worth: float = 1.0


def _everywhere(action: str, *, avoid: bool = False) -> Preference:
    return Preference("", action, "avoid" if avoid else "do", scope=EVERYWHERE)


DIMENSIONS: tuple[Dimension, ...] = (
    Dimension(
        "length",
        "Do you like short answers, or detailed ones?",
        (
            Option(
                "short",
                _everywhere("keep answers short"),
                (
                    "short answers",
                    "answers short",
                    "short replies",
                    "replies short",
                    "brief",
                    "briefly",
                    "concise",
                    "concisely",
                    "terse",
                    "to the point",
                ),
                ("short", "shorter", "compact", "quick"),
            ),
            Option(
                "detailed",
                _everywhere("give detailed answers"),
                (
                    "detailed answers",
                    "detailed",
                    "thorough",
                    "thoroughly",
                    "in depth",
                    "in-depth",
                    "long answers",
                ),
                ("detail", "details", "long", "longer", "full"),
            ),
        ),
    ),
    Dimension(
        "layout",
        "Shall I write in paragraphs, or in bullet points?",
        (
            Option(
                "paragraphs",
                _everywhere("write in paragraphs, not in bullet points"),
                ("in paragraphs", "prose"),
                ("paragraph", "paragraphs", "running text", "full sentences"),
            ),
            Option(
                "bullet points",
                _everywhere("use bullet points"),
                ("bullet", "bullets", "bulleted", "bullet point", "bullet points"),
                ("list", "lists", "points"),
            ),
        ),
    ),
    Dimension(
        "tone",
        "Do you like a matter-of-fact tone, or a warm one?",
        (
            Option(
                "matter-of-fact",
                _everywhere("keep the tone matter-of-fact"),
                ("matter-of-fact", "matter of fact", "businesslike"),
                ("neutral", "sober", "dry", "factual"),
            ),
            Option(
                "warm",
                _everywhere("use a warm tone"),
                ("warm", "friendly", "encouraging"),
                ("kind", "chatty", "nice"),
            ),
        ),
    ),
    Dimension(
        "formality",
        "Shall I write casually, or formally?",
        (
            Option(
                "casually",
                _everywhere("write casually"),
                ("casual", "casually", "informal", "informally"),
                ("relaxed",),
            ),
            Option(
                "formally",
                _everywhere("write formally"),
                ("formal", "formally"),
            ),
        ),
    ),
    Dimension(
        "emojis",
        "May I use emojis?",
        (
            Option(
                "no",
                _everywhere("do not use emojis", avoid=True),
            ),
            Option(
                "yes",
                _everywhere("use emojis"),
                ("emoji", "emojis"),
                ("smileys",),
            ),
        ),
        yes=1,
    ),
    Dimension(
        "humour",
        "Is a joke now and then welcome?",
        (
            Option(
                "no",
                _everywhere("do not make jokes", avoid=True),
                (),
                ("serious",),
            ),
            Option(
                "yes",
                _everywhere("make a joke now and then"),
                ("joke", "jokes", "humour", "humor"),
                ("funny", "fun", "now and then"),
            ),
        ),
        yes=1,
    ),
    Dimension(
        "comments",
        "In code, do you like few comments, or many?",
        (
            Option(
                "few",
                Preference("writing code", "comment only what is surprising"),
                ("few comments", "comment sparingly"),
                ("few", "fewer", "sparse", "none", "only what is surprising"),
            ),
            Option(
                "many",
                Preference("writing code", "comment every step"),
                ("many comments", "comment every step"),
                ("many", "more", "lots", "plenty", "every step"),
            ),
        ),
        worth=0.5,
    ),
    Dimension(
        "steps",
        "Is the result enough, or shall I explain the steps as well?",
        (
            Option(
                "the result",
                _everywhere("give the result without explaining the steps"),
                ("only the result", "just the result"),
                ("result", "results", "enough", "outcome"),
            ),
            Option(
                "the steps",
                _everywhere("explain the steps"),
                ("explain the steps", "explaining the steps", "step by step", "step-by-step"),
                ("step", "steps", "explain", "explained", "explanation", "as well"),
            ),
        ),
    ),
    Dimension(
        "asking",
        "When a request is unclear, shall I make a sensible guess, or ask first?",
        (
            Option(
                "guess",
                _everywhere("make a sensible guess when a request is unclear"),
                ("guess",),
                ("assume", "go ahead", "try"),
            ),
            Option(
                "ask first",
                _everywhere("ask first when a request is unclear"),
                ("ask first",),
                ("ask", "check", "clarify"),
            ),
        ),
    ),
    Dimension(
        "units",
        "Do you use metric units, or imperial ones?",
        (
            Option(
                "metric",
                _everywhere("use metric units"),
                ("metric", "celsius"),
                ("si", "kilometres", "kilometers", "kilograms"),
            ),
            Option(
                "imperial",
                _everywhere("use imperial units"),
                ("imperial", "fahrenheit"),
                ("us customary", "us units", "miles", "pounds"),
            ),
        ),
        worth=0.5,
    ),
    Dimension(
        "spelling",
        "Do you write British English, or American English?",
        (
            Option(
                "British",
                _everywhere("use British spelling"),
                ("british english", "british spelling", "uk english", "uk spelling"),
                ("british", "uk"),
            ),
            Option(
                "American",
                _everywhere("use American spelling"),
                ("american english", "american spelling", "us english", "us spelling"),
                ("american", "us", "usa"),
            ),
        ),
        worth=0.5,
    ),
    Dimension(
        "examples",
        "When I explain something, shall the explanation come first, or an example?",
        (
            Option(
                "the explanation",
                _everywhere("explain first and give examples after that"),
                ("explain first",),
                ("explain", "explanation", "theory", "principle"),
            ),
            Option(
                "an example",
                _everywhere("start with an example"),
                ("start with an example", "example first", "examples first"),
                ("example", "examples"),
            ),
        ),
    ),
    Dimension(
        "sources",
        "Shall I name my sources?",
        (
            Option(
                "no",
                _everywhere("do not list sources", avoid=True),
            ),
            Option(
                "yes",
                _everywhere("name the sources"),
                ("sources", "references", "citations", "cite"),
                ("source", "links"),
            ),
        ),
        yes=1,
    ),
    Dimension(
        "numbers",
        "Do you like rounded numbers, or exact ones?",
        (
            Option(
                "rounded",
                _everywhere("round numbers"),
                ("round numbers", "rounded"),
                ("round", "approximate", "rough", "roughly"),
            ),
            Option(
                "exact",
                _everywhere("give exact numbers"),
                ("exact numbers", "exact figures", "precise numbers"),
                ("exact", "exactly", "precise", "precisely"),
            ),
        ),
    ),
)

# Share of people who give the second answer, and what each trait does to its log-odds:
# terse expert, formal, beginner, playful, outside the United States.
_ASSUMED: dict[str, tuple[float, tuple[float, float, float, float, float]]] = {
    "length": (0.40, (-2.5, 0.3, 1.5, 0.0, 0.0)),
    "layout": (0.50, (1.5, -0.5, 0.8, 0.0, 0.0)),
    "tone": (0.50, (-1.0, -1.2, 0.8, 1.8, 0.0)),
    "formality": (0.40, (0.0, 2.5, 0.0, -1.2, 0.0)),
    "emojis": (0.35, (-0.5, -1.2, 0.0, 2.5, 0.0)),
    "humour": (0.45, (-0.4, -1.0, 0.0, 2.5, 0.0)),
    "comments": (0.40, (-1.2, 0.0, 2.0, 0.0, 0.0)),
    "steps": (0.60, (-1.8, 0.0, 2.2, 0.0, 0.0)),
    "asking": (0.50, (-1.2, 0.4, 1.0, 0.0, 0.0)),
    "units": (0.35, (0.0, 0.0, 0.0, 0.0, -3.0)),
    "spelling": (0.60, (0.0, 0.0, 0.0, 0.0, -3.0)),
    "examples": (0.60, (0.3, -0.3, 1.5, 0.3, 0.0)),
    "sources": (0.45, (0.6, 1.5, -0.4, -0.3, 0.0)),
    "numbers": (0.50, (0.8, 1.2, -0.6, -0.3, 0.0)),
}


def everyday() -> Prior:
    """Give the assumed prior over `DIMENSIONS`.

    The bias meets the rate closely: E sigmoid(b + s z) is about sigmoid(b / sqrt(1 + pi s^2 / 8))
    (D. MacKay, Neural Computation 4, 1992).
    """
    names = tuple(dimension.name for dimension in DIMENSIONS)
    rates = np.array([_ASSUMED[name][0] for name in names])
    loadings = np.array([_ASSUMED[name][1] for name in names])
    spread = np.sqrt(1 + pi / 8 * (loadings**2).sum(axis=1))
    return Prior(names, np.log(rates / (1 - rates)) * spread, loadings)
