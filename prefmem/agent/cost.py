"""What distillation costs: before it begins, and what is still to come while it runs."""

from collections.abc import Sequence
from functools import reduce
from operator import add

from prefmem.agent.calls import Calls, Spent, tokens
from prefmem.agent.intents import TEMPERATURES, asked, shown
from prefmem.agent.lesson import Document
from prefmem.agent.questions import Strategy, rules_asked, write_asked

_INTENT = "x" * 440  # as long as usual ones are
_INTENT_OUT, _RULES_OUT, _THOUGHTS_OUT = 220, 220, 350  # tokens of usual answers

Prices = tuple[float, float]  # of a million tokens read, and written


def estimate(
    documents: Sequence[Document],
    *,
    strategy: Strategy = "r3",
    temperatures: Sequence[float | None] = TEMPERATURES,
) -> Spent:
    """Estimate what distillation asks for, when nothing is cached and every answer can be used."""
    return reduce(add, (_of(d, strategy, len(temperatures)) for d in documents), Spent())


def spent_text(spent: Spent, prices: Prices | None) -> str:
    """Say what calls take in few words: their price, or their tokens where there is none."""
    if prices is not None:
        return f"{spent.price(*prices):,.2f}"
    return f"{spent.tokens_in + spent.tokens_out:,} tokens"


class Meter:
    """Says what was spent, and about how much is to come: as the first documents took.

    Args:
        documents: All of them.
        calls: The big model.
        strategy: As it is distilled.
        variants: Intents of a document.
        prices: None tells tokens.
    """

    def __init__(
        self, documents: Sequence[Document], calls: Calls, *, strategy: Strategy, variants: int,
        prices: Prices | None,
    ) -> None:  # fmt: skip
        """Estimate all documents; nothing is done yet."""
        self._calls, self._prices = calls, prices
        self._each = [_of(document, strategy, variants) for document in documents]
        self._left, self._done = reduce(add, self._each, Spent()), Spent()

    def done(self, number: int) -> None:
        """Count a document as done."""
        one = self._each[number]
        self._done += one
        self._left += one.times(-1)

    def __str__(self) -> str:
        """Say it."""
        taken, guessed = self._calls.fresh + self._calls.kept, self._done
        left = self._left
        if guessed.calls:
            left = Spent(
                left.calls,
                round(left.tokens_in * taken.tokens_in / guessed.tokens_in),
                round(left.tokens_out * taken.tokens_out / guessed.tokens_out),
            )
        spent, coming = (spent_text(s, self._prices) for s in (self._calls.fresh, left))
        return f"{spent} spent, about {coming} to come"


def _of(document: Document, strategy: Strategy, variants: int) -> Spent:
    """Estimate a document: for each variant the intent, the model's own text, and the rules."""
    if not document.text.strip():
        return Spent()
    spent = Spent(1, _read(asked(document)), _INTENT_OUT)
    draft = ""
    if strategy == "r3":
        draft = "x" * max(len(shown(document)), 240)
        spent += Spent(1, _read(write_asked(document, _INTENT)), tokens(draft))
    thoughts = 0 if strategy == "r1" else _THOUGHTS_OUT
    asked_last = rules_asked(document, _INTENT, draft, strategy)
    return (spent + Spent(1, _read(asked_last), _RULES_OUT + thoughts)).times(variants)


def _read(messages: Sequence[dict[str, str]]) -> int:
    return sum(tokens(message["content"]) for message in messages)
