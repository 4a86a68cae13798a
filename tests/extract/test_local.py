from pathlib import Path

import pytest

from prefmem.extract.local import LocalExtractor
from prefmem.models.tagger import PreferenceTagger, TaggedSpan, TaggedTurn
from prefmem.types import Preference, Turn, Window


class Scripted(PreferenceTagger):
    """A tagger whose spans are written down: `[condition]`, `{action}` and `<avoided action>`."""

    def __init__(self) -> None:
        super().__init__(folder=Path("nowhere"))
        self.contexts: list[str] = []
        self.wanted: list[tuple[str, float | None]] = []
        self.score, self.everywhere = 3.0, -1.0

    @property
    def calibration(self) -> tuple[float, float]:
        return 1.0, 0.0

    def tag(self, text: str, context: str = "") -> TaggedTurn:
        self.contexts.append(context)
        spans: list[TaggedSpan] = []
        for words, avoid in self.wanted:
            if words in text:
                start = text.index(words)
                label = "condition" if avoid is None else "action"
                spans.append(
                    TaggedSpan(
                        "condition" if label == "condition" else "action",
                        start, start + len(words), self.score, avoid or -9.0, self.everywhere,
                    )
                )  # fmt: skip
        return TaggedTurn(tuple(sorted(spans, key=lambda s: s.start)), ())


def extract(
    text: str, *wanted: tuple[str, float | None], **kwargs: float
) -> tuple[Preference, ...]:
    tagger = Scripted()
    tagger.wanted = list(wanted)
    tagger.score = kwargs.get("score", 3.0)
    tagger.everywhere = kwargs.get("everywhere", -1.0)
    window = Window("ann", "s", (Turn("0", "user", text),))
    return LocalExtractor(tagger, min_confidence=kwargs.get("floor", 0.5)).extract(window, ["0"])


def test_condition_action_evidence_and_confidence() -> None:
    text = "Hello there. When you write SQL for me, use CTEs. Thanks!"
    (found,) = extract(text, ("When you write SQL", None), ("use CTEs", -3.0))
    assert (found.condition, found.action, found.polarity) == (
        "you write SQL for me",
        "use CTEs",
        "do",
    )
    assert found.confidence == pytest.approx(0.9526, abs=1e-4)  # sigmoid(3)
    assert found.evidence[0].quote == "When you write SQL for me, use CTEs."


def test_below_the_floor_nothing_is_said() -> None:
    assert extract("use CTEs", ("use CTEs", -3.0), score=-0.1) == ()


def test_a_rule_for_every_answer_is_global_unless_it_has_a_condition() -> None:
    (found,) = extract("no emojis ever", ("no emojis", 3.0), everywhere=2.0)
    assert found.scope.kind == "global"
    (found,) = extract(
        "in mails, no emojis", ("in mails", None), ("no emojis", 3.0), everywhere=2.0
    )
    assert found.scope.kind == "conditional"


def test_a_condition_of_the_sentence_before_serves_only_if_it_is_free() -> None:
    wanted: tuple[tuple[str, float | None], ...] = (
        ("in SQL", None),
        ("use CTEs", -3.0),
        ("no emojis", 3.0),
    )
    first, second = sorted(extract("in SQL use CTEs. no emojis", *wanted), key=lambda p: p.action)
    assert (first.condition, second.condition) == ("", "in SQL")
    (alone,) = extract(
        "Something about my SQL. no emojis", ("about my SQL", None), ("no emojis", 3.0)
    )
    assert alone.condition == "about my SQL"


def test_two_sides_of_a_taste_are_one_rule() -> None:
    text = "I dislike trains and prefer buses."
    (found,) = extract(text, ("trains", 3.0), ("buses", -3.0))
    assert found.action == "avoid trains, prefer buses"
    assert found.polarity == "avoid"
    assert found.evidence[0].quote == text


def test_the_middle_of_a_very_long_turn_is_not_read() -> None:
    text = "use CTEs. " + "x " * 10_000 + "no emojis. " + "y " * 10_000
    assert [p.action for p in extract(text, ("use CTEs", -3.0), ("no emojis", 3.0))] == ["use CTEs"]


def test_the_context_is_the_reply_before() -> None:
    tagger = Scripted()
    turns = (
        Turn("0", "user", "a"), Turn("1", "assistant", "b"), Turn("2", "tool", "c"),
        Turn("3", "assistant", " "), Turn("4", "user", "d"), Turn("5", "user", "e"),
    )  # fmt: skip
    LocalExtractor(tagger).extract(Window("ann", "s", turns), ["0", "4", "5"])
    assert tagger.contexts == ["", "b", ""]


def test_an_action_too_long_to_sign_is_dropped() -> None:
    text = "use " + "long " * 60
    assert extract(text, (text.strip(), -3.0)) == ()
