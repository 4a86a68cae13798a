"""The gate's opinion of what another extractor found."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from prefmem.extract.verify import VerifiedExtractor
from prefmem.models.tagger import NO_CONTEXT, Context, PreferenceTagger, TaggedTurn
from prefmem.testing import PhraseExtractor, check_extractor
from prefmem.types import Evidence, Preference, Turn, Window

SAID = "Please never use emojis in my mails."


class Gate(PreferenceTagger):
    """Gives written-down log-odds to words, and 3 to all others."""

    def __init__(self, **gates: float) -> None:
        super().__init__(folder=Path("nowhere"))
        self.asked: list[tuple[str, Context]] = []
        self._gates = gates

    @property
    def calibration(self) -> tuple[float, float]:
        return 2.0, -1.0

    def tag(self, text: str, context: Context = NO_CONTEXT) -> TaggedTurn:
        self.asked.append((text, context))
        words: list[tuple[int, int, float]] = []
        for word in text.split():
            start = text.index(word, words[-1][1] if words else 0)
            gate = self._gates.get(word.strip(".,").lower(), 3.0)
            words.append((start, start + len(word), gate))
        return TaggedTurn((), (), tuple(words))


class Gives:
    """Gives fixed preferences for every window."""

    def __init__(self, *found: Preference) -> None:
        self._found = found

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        del window, turn_ids
        return self._found


class GivesMany(Gives):
    """Gives them for many windows at once."""

    def extract_many(
        self, items: Sequence[tuple[Window, Sequence[str]]]
    ) -> list[tuple[Preference, ...]]:
        return [self.extract(window, turn_ids) for window, turn_ids in items]


def rule(quote: str, confidence: float = 0.9, turn: str = "0") -> Preference:
    return Preference("", "use no emojis", "avoid", confidence, evidence=(Evidence(turn, quote),))


def window(*texts: str) -> Window:
    """Make a window of the user's turns."""
    return Window("ann", "s", tuple(Turn(str(n), "user", text) for n, text in enumerate(texts)))


def confidence(gate: Gate, quote: str, *, given: float = 0.9, text: str = SAID) -> float:
    extractor = VerifiedExtractor(Gives(rule(quote, given)), tagger=gate, floor=0.3)
    (found,) = extractor.extract(window(text), ["0"])
    assert found == rule(quote, found.confidence)  # the rest stays as it is
    return found.confidence


def test_a_sure_quote_keeps_its_confidence() -> None:
    assert confidence(Gate(), SAID) == 0.9
    assert confidence(Gate(), SAID, given=0.2) == 0.2


def test_a_doubtful_quote_loses_confidence() -> None:
    gate = Gate(never=0.5, use=0.5, emojis=0.5)
    assert confidence(gate, "never use emojis") == 0.5  # sigmoid(2 * 0.5 - 1)
    assert confidence(gate, "never use emojis", given=0.4) == 0.4


def test_the_surest_half_of_the_words_speaks() -> None:
    gate = Gate(please=-9, never=1.0, use=-9, emojis=0.5)
    # Of four words the surest two: 2 * 0.75 - 1 = 0.5, sigmoid(0.5) = 0.6225
    assert confidence(gate, "Please never use emojis") == pytest.approx(0.6225, abs=1e-4)
    # Of three words, and of one, the surest: sigmoid(2 * 1 - 1) = 0.7311
    assert confidence(gate, "never use emojis") == pytest.approx(0.7311, abs=1e-4)
    assert confidence(gate, "never") == pytest.approx(0.7311, abs=1e-4)
    assert confidence(gate, "nev") == pytest.approx(0.7311, abs=1e-4)  # a part is its word


def test_doubt_stops_at_the_floor() -> None:
    gate = Gate(never=-9, use=-9, emojis=-9)
    assert confidence(gate, "never use emojis") == 0.3
    assert confidence(gate, "never use emojis", given=0.1) == 0.1
    extractor = VerifiedExtractor(Gives(rule("emojis")), tagger=gate, floor=0.0)
    (found,) = extractor.extract(window(SAID), ["0"])
    assert found.confidence == pytest.approx(0.0, abs=1e-8)


def test_a_quote_without_words_is_doubtful() -> None:
    assert confidence(Gate(), " ") == 0.3


@pytest.mark.parametrize(
    "text",
    [
        "Bitte schreibe meine Mails immer ohne Emojis.",
        "Por favor, nunca uses emojis.",
        "Bitte antworte mir in Zukunft immer so kurz wie möglich.",
        "No me des listas largas en las respuestas.",
        "Me responda sempre em português, a menos que eu peça.",
        "Rispondi in modo breve, a me non piacciono le liste.",
        "請不要使用表情符號。",
        "🙂!!",
    ],
)
def test_what_the_gate_cannot_read_passes(text: str) -> None:
    gate = Gate(**{word.strip(".,").lower(): -9.0 for word in text.split()})
    assert confidence(gate, text, text=text) == 0.9
    assert gate.asked == []


def test_a_rule_that_stands_on_no_turn_of_the_window_passes() -> None:
    lost = (rule(SAID, turn="7"), Preference("", "use no emojis", "avoid", 0.9))
    gate = Gate()
    assert VerifiedExtractor(Gives(*lost), tagger=gate).extract(window(SAID), ["0"]) == lost
    assert gate.asked == []


def test_a_turn_is_read_once_and_with_what_was_said_before() -> None:
    gate = Gate()
    turns = (
        Turn("0", "user", "Hi."), Turn("1", "tool", "x"), Turn("2", "assistant", "Hello."),
        Turn("3", "user", SAID),
    )  # fmt: skip
    found = Gives(rule("emojis", turn="3"), rule("mails", turn="3"))
    extractor = VerifiedExtractor(found, tagger=gate)
    assert len(extractor.extract(Window("ann", "s", turns), ["3"])) == 2
    assert gate.asked == [(SAID, Context("Hi.", "Hello."))]


def test_what_the_user_only_quotes_is_not_read() -> None:
    gate = Gate()
    text = 'She wrote "please never use emojis in any of my mails" and I will not.'
    VerifiedExtractor(Gives(rule(text)), tagger=gate).extract(window(text), ["0"])
    ((read, _),) = gate.asked
    assert "emojis" not in read
    assert len(read) == len(text)


@pytest.mark.parametrize("kind", [Gives, GivesMany])
def test_many_windows_are_checked_as_one(kind: type[Gives]) -> None:
    found = kind(rule("never use emojis"), rule("emojis", 0.2))
    extractor = VerifiedExtractor(found, tagger=Gate(never=0.5, use=0.5, emojis=0.5))
    windows = [window(SAID), window("never use emojis with me"), window("Nunca uses emojis.")]
    items = [(w, ["0"]) for w in windows]
    together = extractor.extract_many(items)
    assert together == [extractor.extract(w, turn_ids) for w, turn_ids in items]
    # Spanish passes
    assert [[p.confidence for p in rules] for rules in together] == [
        [0.5, 0.2], [0.5, 0.2], [0.9, 0.2],
    ]  # fmt: skip
    assert extractor.extract_many([]) == []


def test_it_keeps_the_contract_of_what_it_checks() -> None:
    check_extractor(VerifiedExtractor(PhraseExtractor(), tagger=Gate()), "Always use SI units.")
