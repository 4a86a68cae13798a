from dataclasses import dataclass
from pathlib import Path

import pytest

from prefmem import Config
from prefmem.extract.local import LocalExtractor
from prefmem.models.tagger import NO_CONTEXT, Context, PreferenceTagger, TaggedSpan, TaggedTurn
from prefmem.types import Preference, Turn, Window

OPTIONS = "1. A hotel by the station\n2. A guesthouse in the hills"


@dataclass(frozen=True)
class Wanted:
    """Words that the tagger finds; without `avoid` they are a condition."""

    words: str
    avoid: float | None = None
    refers: float = -1.0
    topic: str = ""


class Scripted(PreferenceTagger):
    """A tagger whose spans are written down."""

    def __init__(
        self,
        *wanted: Wanted,
        score: float = 3.0,
        everywhere: float = -1.0,
        evidence: tuple[tuple[int, int], ...] = (),
    ) -> None:
        super().__init__(folder=Path("nowhere"))
        self.contexts: list[Context] = []
        self._wanted, self._score, self._everywhere = wanted, score, everywhere
        self._evidence = evidence

    @property
    def calibration(self) -> tuple[float, float]:
        return 1.0, 0.0

    def tag(self, text: str, context: Context = NO_CONTEXT) -> TaggedTurn:
        self.contexts.append(context)
        spans = [self._span(text.index(w.words), w) for w in self._wanted if w.words in text]
        return TaggedTurn(tuple(sorted(spans, key=lambda s: s.start)), self._evidence)

    def _span(self, start: int, wanted: Wanted) -> TaggedSpan:
        return TaggedSpan(
            "condition" if wanted.avoid is None else "action", start, start + len(wanted.words),
            self._score, wanted.avoid or -9.0, self._everywhere, wanted.refers, wanted.topic,
        )  # fmt: skip


def when(words: str) -> Wanted:
    return Wanted(words)


def do(words: str, topic: str = "") -> Wanted:
    return Wanted(words, -3.0, topic=topic)


def avoid(words: str) -> Wanted:
    return Wanted(words, 3.0)


def points(words: str) -> Wanted:
    return Wanted(words, 3.0, refers=2.0)


def extract(
    text: str,
    *wanted: Wanted,
    reply: str = "",
    floor: float = 0.5,
    score: float = 3.0,
    everywhere: float = -1.0,
) -> tuple[Preference, ...]:
    tagger = Scripted(*wanted, score=score, everywhere=everywhere)
    turns = (Turn("a", "assistant", reply), Turn("0", "user", text))
    return LocalExtractor(tagger, min_confidence=floor).extract(Window("ann", "s", turns), ["0"])


def test_condition_action_evidence_and_confidence() -> None:
    text = "Hello there. When you write SQL for me, use CTEs. Thanks!"
    (found,) = extract(text, when("When you write SQL"), do("use CTEs"))
    assert (found.condition, found.action, found.polarity) == (
        "you write SQL for me",
        "use CTEs",
        "do",
    )
    assert found.confidence == pytest.approx(0.9526, abs=1e-4)  # sigmoid(3)
    assert found.evidence[0].quote == "When you write SQL for me, use CTEs."


def test_the_evidence_is_what_the_gate_found_around_the_action() -> None:
    text = "Well then, use CTEs for me. Thanks!"
    tagger = Scripted(do("use CTEs"), evidence=((0, 4), (13, 26)))  # "Well", "e CTEs for me"
    window = Window("ann", "s", (Turn("0", "user", text),))
    (found,) = LocalExtractor(tagger).extract(window, ["0"])
    assert found.evidence[0].quote == "use CTEs for me"


def test_below_the_floor_nothing_is_said() -> None:
    assert extract("use CTEs", do("use CTEs"), score=-0.1) == ()


def test_a_rule_for_every_answer_is_global_unless_it_has_a_condition() -> None:
    (found,) = extract("no emojis ever", avoid("no emojis"), everywhere=2.0)
    assert (found.scope.kind, found.condition) == ("global", "")
    (found,) = extract("in mails, no emojis", when("in mails"), avoid("no emojis"), everywhere=2.0)
    assert (found.scope.kind, found.condition) == ("conditional", "in mails")


def test_a_condition_that_is_not_said_comes_from_the_tagger() -> None:
    wanted = do("use CTEs", topic="writing SQL")
    (found,) = extract("use CTEs", wanted)
    assert (found.condition, found.scope.kind) == ("writing SQL", "conditional")
    (found,) = extract("at work use CTEs", when("at work"), wanted)
    assert found.condition == "at work"
    (found,) = extract("use CTEs", wanted, everywhere=0.1)
    assert (found.condition, found.scope.kind) == ("", "global")


def test_a_condition_of_the_sentence_before_serves_only_if_it_is_free() -> None:
    wanted = (when("in SQL"), do("use CTEs"), avoid("no emojis"))
    first, second = sorted(extract("in SQL use CTEs. no emojis", *wanted), key=lambda p: p.action)
    assert (first.condition, second.condition) == ("", "in SQL")
    (alone,) = extract(
        "Something about my SQL. no emojis", when("about my SQL"), avoid("no emojis")
    )
    assert alone.condition == "about my SQL"


def test_two_sides_of_a_taste_are_one_rule() -> None:
    text = "I dislike trains and prefer buses."
    (found,) = extract(text, avoid("trains"), do("buses"))
    assert found.action == "avoid trains, prefer buses"
    assert found.polarity == "avoid"
    assert found.evidence[0].quote == text


def test_a_pick_says_what_it_points_at() -> None:
    text = "Hm. The second one, please. Thanks"
    (found,) = extract(text, points("The second one"), reply=OPTIONS, floor=0.3)
    assert found.action == "prefer a guesthouse in the hills over a hotel by the station"
    assert found.polarity == "do"  # whatever the tagger says of the words
    assert found.confidence < Config().active_confidence  # however sure the tagger is
    assert found.evidence[0].quote == "The second one, please."
    assert extract(text, points("The second one"), reply=OPTIONS) == ()


def test_a_doubtful_pick_is_not_made_surer() -> None:
    (found,) = extract("the first", points("the first"), reply=OPTIONS, floor=0.1, score=-1.0)
    assert found.confidence == pytest.approx(0.2689, abs=1e-4)  # sigmoid(-1)


def test_a_reason_says_more_than_the_pick() -> None:
    text = "The second one. I dislike chain hotels."
    (found,) = extract(text, points("The second one"), avoid("chain hotels"), reply=OPTIONS)
    assert (found.action, found.polarity) == ("avoid chain hotels", "avoid")
    assert found.confidence == pytest.approx(0.9526, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("that one", OPTIONS),
        ("the second one", "There is only a hotel."),
        ("the second one", "Good morning"),
    ],
)
def test_a_pick_of_nothing_clear_is_no_rule(text: str, reply: str) -> None:
    assert extract(text, points(text), reply=reply, floor=0.0) == ()


def test_words_that_point_where_nothing_was_offered_speak_for_themselves() -> None:
    seats = Wanted("window seats", -3.0, refers=2.0)
    (found,) = extract("the window seats again", seats)
    assert found.action == "prefer window seats"
    assert found.confidence == pytest.approx(0.9526, abs=1e-4)


def test_the_middle_of_a_very_long_turn_is_not_read() -> None:
    text = "use CTEs.\n\n" + "x " * 10_000 + "no emojis. " + "y " * 10_000
    assert [p.action for p in extract(text, do("use CTEs"), avoid("no emojis"))] == ["use CTEs"]


def test_the_context_is_what_was_said_before() -> None:
    tagger = Scripted()
    turns = (
        Turn("0", "user", "a"), Turn("1", "assistant", "b"), Turn("2", "tool", "c"),
        Turn("3", "assistant", " "), Turn("4", "user", "d"), Turn("5", "user", "e"),
        Turn("6", "system", "f"), Turn("7", "assistant", "g"), Turn("8", "user", "h"),
    )  # fmt: skip
    LocalExtractor(tagger).extract(Window("ann", "s", turns), ["0", "4", "5", "8"])
    assert tagger.contexts == [
        Context("", ""), Context("a", "b"), Context("a\nd", ""), Context("d\ne", "g"),
    ]  # fmt: skip


def test_turns_that_are_not_named_are_context_alone() -> None:
    tagger = Scripted(do("use CTEs"))
    turns = (Turn("0", "user", "use CTEs"), Turn("1", "user", "hello"))
    assert LocalExtractor(tagger).extract(Window("ann", "s", turns), ["1"]) == ()
    assert tagger.contexts == [Context("use CTEs", "")]


def test_an_action_too_long_to_sign_is_dropped() -> None:
    text = "use " + "long " * 60
    assert extract(text, do(text.strip())) == ()
