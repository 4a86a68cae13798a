"""Whether words of a text stand in what was made of it: six in a row are a quotation."""

import re
from collections.abc import Iterable

GRAM = 6  # words in a row
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
# Scripts without spaces between words: there each character counts as one.
_DENSE = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f\uac00-\ud7af]")


class Source:
    """The runs of words of texts that are not to be quoted.

    Case, punctuation, line breaks and the form of an apostrophe make no difference. In Chinese,
    Japanese, Korean and Thai each character counts as a word. Time and room grow with the length
    of the texts.

    Args:
        texts: What is not to be quoted.
        gram: Words in a row that are a quotation, from 1.
    """

    def __init__(self, *texts: str, gram: int = GRAM) -> None:
        """Index the texts."""
        self._gram = gram
        self._runs = {run for text in texts for run in _runs(words(text), gram)}

    def leaks_into(self, text: str) -> bool:
        """Whether a text quotes one of them."""
        return any(run in self._runs for run in _runs(words(text), self._gram))

    def clean(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Keep those of some texts that quote nothing, in order."""
        return tuple(text for text in texts if not self.leaks_into(text))


def words(text: str) -> list[str]:
    """Give the words of a text as they are compared."""
    found: list[str] = []
    for match in _WORD.finditer(text.casefold().replace("’", "'")):
        word = match[0]
        found += _split(word) if _DENSE.search(word) else [word]
    return found


def _split(word: str) -> list[str]:
    return [part for part in re.split(rf"({_DENSE.pattern})", word) if part]


def _runs(found: list[str], gram: int) -> Iterable[tuple[str, ...]]:
    return zip(*(found[start:] for start in range(gram)), strict=False)
