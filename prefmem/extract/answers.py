"""What a model is asked about a window, and what of its answers the user's words bear out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from prefmem.extract.normalise import condition_text
from prefmem.extract.parse import AnswerItem, parse
from prefmem.extract.prompts import PromptName, messages
from prefmem.extract.support import Sentence, polarity_of, scope_of, sentences, support
from prefmem.types import Preference, Scope, Window


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt about a window.

    Attributes:
        messages: What the model is asked, each with `role` and `content`.
        said: The user's own sentences in it.
    """

    messages: list[dict[str, str]]
    said: tuple[Sentence, ...]


class Tally:
    """Counts of what was rejected, by reason; threads may share it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def add(self, counts: Mapping[str, int]) -> None:
        """Add counts by reason."""
        with self._lock:
            self._counts.update(counts)

    def counts(self) -> Counter[str]:
        """Give a copy of the counts so far."""
        with self._lock:
            return self._counts.copy()


def questions(
    window: Window, turn_ids: Sequence[str], prompt: PromptName = "training"
) -> tuple[Question, ...]:
    """Give one question for each named user turn that holds text, oldest first.

    Args:
        window: The dialogue.
        turn_ids: Turns to be read.
        prompt: `training` shows a turn alone, any other the window up to it.
    """
    turns = [t for t in window.turns if t.role in ("user", "assistant") and t.text.strip()]
    found: list[Question] = []
    for n, turn in enumerate(turns):
        if turn.role == "user" and turn.id in turn_ids:
            shown = [turn] if prompt == "training" else turns[: n + 1]
            found.append(Question(messages(prompt, shown), sentences(shown)))
    return tuple(found)


def read_answers(
    answers: Iterable[str], asked: Iterable[Question], turn_ids: Sequence[str], rejected: Tally
) -> tuple[Preference, ...]:
    """Read the answers to the questions about one window as preferences.

    A rule counts only where a sentence of the user supports it; that sentence is the evidence. A
    rule belongs to the turn that supports it best, and is left out when that is not a named one.

    Args:
        answers: What the model said, one text for each question.
        asked: The questions.
        turn_ids: Turns that are read.
        rejected: Takes the counts of what is left out: the reasons of `parse`, to which a
            confidence of 0 belongs here, `unsupported` (no sentence of the user bears the rule out)
            and `other_turn` (a sentence of a turn that is not named does).
    """
    found: dict[tuple[str, str, str], Preference] = {}
    for answer, question in zip(answers, asked, strict=True):
        parsed = parse(answer)
        counts = Counter[str](parsed.rejected)
        for item in parsed.items:
            preference = _preference(item, question.said)
            if preference is None:
                counts["unsupported"] += 1
            elif not preference.confidence:
                counts["confidence"] += 1
            elif (turn_id := preference.evidence[0].turn_id) not in turn_ids:
                counts["other_turn"] += 1
            else:  # with `card` a turn is read again with every later one
                key = (turn_id, preference.condition, preference.action)
                found.setdefault(key, preference)
        rejected.add(counts)
    return tuple(found.values())


def _preference(item: AnswerItem, said: Sequence[Sentence]) -> Preference | None:
    """Make a preference of an item that the user's words support."""
    kind = scope_of(item.condition)
    condition = "" if kind == "global" else condition_text(item.condition)
    evidence = support(condition, item.action, said)
    if evidence is None:
        return None
    return Preference(
        condition, item.action, polarity_of(item.action), item.confidence, Scope(kind), (evidence,)
    )
