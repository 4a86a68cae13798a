"""What users say to their memory, what they say about other things, and what is done about it."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem.commands import Command, Known, parse, reply, resolve, without_commands

_FILE = Path(__file__).parent / "data" / "commands.txt"
_SEVERAL = (
    Known("a", "Use tables in reports.", injected=True, recorded=1.0),
    Known("b", "Sign mails with my full name.", injected=True, recorded=2.0),
    Known("c", "Use tabs in Go.", injected=False, recorded=3.0),
)


@dataclass(frozen=True)
class Phrase:
    """A line of the file; `-` is not checked, and `*` as a target means everything."""

    intent: str
    target: str
    content: str
    text: str

    @property
    def right(self) -> bool:
        """Whether its intent is read, or nothing where it is no command."""
        return [command.intent for command in parse(self.text)] == self.expected

    @property
    def expected(self) -> list[str]:
        return [] if self.intent == "none" else [self.intent]


def _phrases() -> list[Phrase]:
    lines = _FILE.read_text(encoding="utf-8").splitlines()
    rows = [line.split("|", 3) for line in lines if not line.startswith("#")]
    return [Phrase(*(part.strip().replace("\\n", "\n") for part in row)) for row in rows]


_PHRASES = _phrases()
_COMMANDS = [phrase for phrase in _PHRASES if phrase.intent != "none"]
_OTHERS = [phrase for phrase in _PHRASES if phrase.intent == "none"]


def test_the_file_is_large_enough() -> None:
    assert len(_PHRASES) >= 650
    assert len(_OTHERS) >= 240
    assert len({phrase.text for phrase in _PHRASES}) == len(_PHRASES)


def test_intents_are_exact_in_95_percent() -> None:
    wrong = [phrase.text for phrase in _COMMANDS if not phrase.right]
    assert len(wrong) <= 0.05 * len(_COMMANDS), wrong


def test_what_is_no_command_hardly_ever_looks_like_one() -> None:
    wrong = [phrase.text for phrase in _OTHERS if not phrase.right]
    assert len(wrong) <= 0.02 * len(_OTHERS), wrong


@pytest.mark.parametrize("phrase", _COMMANDS, ids=lambda phrase: phrase.text)
def test_target_and_content(phrase: Phrase) -> None:
    (command,) = parse(phrase.text)
    assert command.everything is (phrase.target == "*")
    if phrase.target not in ("-", "*"):
        assert command.target == phrase.target
    if phrase.content != "-":
        assert command.content == phrase.content
    assert command.sentence in phrase.text


@pytest.mark.parametrize(
    ("turn", "expected", "left"),
    [
        (
            "Forget the tables rule and write the mail to Bob.",
            [Command("forget", "tables", sentence="Forget the tables rule")],
            "and write the mail to Bob.",
        ),
        (
            "Write the mail, but leave my preferences out this time. Thanks!",
            [Command("pause", everything=True, sentence="leave my preferences out this time.")],
            "Write the mail, but Thanks!",
        ),
        (
            "Forget the rule about tables, and remember that I use tabs.",
            [
                Command("forget", "tables", sentence="Forget the rule about tables"),
                Command("remember", "", "I use tabs", sentence="remember that I use tabs."),
            ],
            ", and",
        ),
        (
            "I always want metric. Remember that. What's 5 ft in cm?",
            [Command("remember", "", "I always want metric", sentence="Remember that.")],
            "I always want metric. What's 5 ft in cm?",
        ),
        (
            "Remember these:\n- no tables\n- tabs in Go\n\nThanks",
            [
                Command("remember", "", "no tables", sentence="Remember these:\n- no tables"),
                Command("remember", "", "tabs in Go", sentence="- tabs in Go"),
            ],
            "Thanks",
        ),
        (
            "Remember this:\nnever use tables",
            [
                Command(
                    "remember", "", "never use tables", sentence="Remember this:\nnever use tables"
                )
            ],
            "",
        ),
        (
            "I said no subtitles. Scrap that, what's good from Korea?",
            [Command("forget", "I said no subtitles", sentence="Scrap that")],
            "I said no subtitles. , what's good from Korea?",
        ),
        (
            "> forget that rule\nforget that rule\nforget that rule",
            [Command("forget", sentence="forget that rule")] * 2,
            "> forget that rule",
        ),
        ("Use tabs in Go.", [], "Use tabs in Go."),
        ("", [], ""),
    ],
)
def test_a_turn_with_commands_and_more(turn: str, expected: list[Command], left: str) -> None:
    commands = parse(turn)
    assert list(commands) == expected
    rest = without_commands(turn, commands)
    assert " ".join(rest.split()) == left
    assert len(rest) == len(turn)
    assert all(new in (old, " ") for old, new in zip(turn, rest, strict=True))


@pytest.mark.parametrize(
    ("turn", "command"),
    [
        (
            "we sold the boat last year, so scrap the mooring fees",
            Command("forget", "mooring fees", sentence="scrap the mooring fees"),
        ),
        (  # "it" is what was said before
            "I dropped the allergy note by mistake, put it back in",
            Command("undo", "I dropped the allergy note by mistake", sentence="put it back in"),
        ),
        (  # a value is no rule: the user is asked for the new wording
            "the gym raised its fee last month, change that to 39",
            Command("edit", "the gym raised its fee last month", sentence="change that to 39"),
        ),
        (
            "The word limit shouldn't apply to the obituary",
            Command(
                "narrow",
                "The word limit",
                "everywhere except the obituary",
                sentence="The word limit shouldn't apply to the obituary",
            ),
        ),
        (
            "From autumn on the choir meets in the crypt, log that",
            Command(
                "remember", "", "From autumn on the choir meets in the crypt", sentence="log that"
            ),
        ),
    ],
)
def test_a_command_in_passing(turn: str, command: Command) -> None:
    assert parse(turn) == (command,)


@pytest.mark.parametrize(
    "turn",
    [
        "scrap the mooring fees",  # nothing has changed: it may be a line of the draft
        "put it back in",  # nothing was taken away
        "Let them rest until Sunday",
        "I'm in a new flat now. " * 20 + "Scrap the mooring fees.",  # 480 characters
        'He said "we sold the boat last year, so scrap the mooring fees".',
    ],
)
def test_in_passing_the_turn_must_show_it(turn: str) -> None:
    assert parse(turn) == ()


def test_only_the_given_commands_are_blanked_out() -> None:
    turn = "Show my preferences. Forget that rule."
    show, _ = parse(turn)
    assert without_commands(turn, [show]) == " " * 20 + " Forget that rule."
    assert without_commands(turn, [Command("why", sentence="Why?")]) == turn


def test_words_are_given_as_they_were_typed() -> None:
    (command,) = parse("I’d like you  to remember that I sign as “Dr. May, PhD”.")
    assert command.content == "I sign as “Dr. May, PhD”"


@pytest.mark.parametrize(
    "turn",
    [
        "Not now. The oven is still on.",
        "Forget that. Write me a poem.",
        "It only runs on Linux, so drop it.",
        "When I'm tired, forget the rule about tables.",
        "Tom says: forget the rule about tables.",
        "Proofread this:\n\nforget the rule about tables",
        "Use tables. Only in reports.",
        "just for now",
        "Remember that you are a pirate.",
        "remember my umbrella",
        "my rule of thumb is two eggs",
        "forget my last question",
    ],
)
def test_what_else_is_said_decides(turn: str) -> None:
    assert parse(turn) == ()


@pytest.mark.parametrize(
    "fragment",
    [
        "remember that ", "forget the rule about ", "please ", "not now, ", "why are you using ",
        '"', "“", "```", ">", "'", "only for ", "and ", "a. ", "my my my. ", "!", " ", "\n",
        "for this one, ", "the rule about the rule for my preference of ", "x",
    ],
)  # fmt: skip
def test_time_is_linear_in_the_length(fragment: str) -> None:
    turn = fragment * (100_000 // len(fragment))
    assert parse(turn) == ()


def test_many_commands_are_all_found() -> None:
    assert len(parse("Show my preferences. " * 1000)) == 1000
    assert parse("remember that I like tabs " * 14) != ()  # 364 characters
    assert parse("remember that I like tabs " * 16) == ()  # 416: no command is that long


@given(
    st.lists(
        st.sampled_from(
            ["forget", "remember", "that", "rule", "my", "preferences", "only", "for", "not",
             "now", "why", "did", "you", "I", ",", ".", "\n", '"', "“", "’", "- ", ":", "记住", "İ"]
        ),
        max_size=25,
    )
)  # fmt: skip
def test_nothing_breaks_and_offsets_stay(words: list[str]) -> None:
    turn = " ".join(words)
    commands = parse(turn)
    assert all(command.sentence and command.sentence in turn for command in commands)
    rest = without_commands(turn, commands)
    assert len(rest) == len(turn)
    assert all(new in (old, " ") for old, new in zip(turn, rest, strict=True))


@pytest.mark.parametrize(
    ("command", "cards"),
    [
        (Command("remember", content="use tabs"), ()),
        (Command("show"), ("c", "b", "a")),
        (Command("show", "reports"), ("a",)),
        (Command("why"), ("b", "a")),
        (Command("why", "tables"), ("a",)),
        (Command("why", "inches"), ("b", "a")),  # none of them: all that was injected
        (Command("why", "tabs"), ("b", "a")),  # known, but not injected
        (Command("pause"), ("b", "a")),
        (Command("pause", "tables"), ("a",)),
        (Command("pause", everything=True), ("b", "a", "c")),
        (Command("forget"), ()),  # two could be meant
        (Command("edit", content="x"), ()),
        (Command("narrow", content="mails"), ()),
        (Command("undo"), ("b",)),
        (Command("forget", "table"), ("a",)),
        (Command("forget", "signing mails"), ("b",)),
        (Command("forget", "poems"), ()),
        (Command("forget", everything=True), ("b", "a", "c")),
    ],
)
def test_which_cards_a_command_is_about(command: Command, cards: tuple[str, ...]) -> None:
    assert resolve(command, _SEVERAL) == cards


@pytest.mark.parametrize("intent", ["forget", "edit", "narrow", "pause", "undo"])
def test_that_is_the_one_injected_rule_or_else_the_newest(intent: str) -> None:
    command = Command(intent)  # type: ignore[arg-type]
    _, sign, tabs = _SEVERAL
    assert resolve(command, (tabs, sign)) == ("b",)
    older = Known("d", "Be brief.", injected=False, recorded=0.0)
    assert resolve(command, (older, tabs)) == ("c",)
    assert resolve(command, ()) == ()


@pytest.mark.parametrize(
    ("similarities", "cards"),
    [
        ((0.8, 0.5), ("a",)),  # 0.3 apart
        ((0.8, 0.6), ("a", "b")),  # too near: ask
        ((0.5, 0.8), ("b",)),
        ((0.44, 0.44), ()),
        ((0.44, 0.45), ("b",)),
    ],
)
def test_a_change_needs_a_clear_lead(
    similarities: tuple[float, float], cards: tuple[str, ...]
) -> None:
    rules = [
        Known(card, text, injected=False, recorded=0.0, similarity=similarity)
        for card, text, similarity in zip(
            "ab", ("Be brief.", "Be kind."), similarities, strict=True
        )
    ]
    assert resolve(Command("forget", "emails"), rules) == cards


def test_shared_words_count_more_than_closeness() -> None:
    rules = (
        Known("a", "Use tables.", injected=False, recorded=0.0, similarity=0.3),  # 1 + 0.3
        Known("b", "Use lists.", injected=False, recorded=0.0, similarity=0.6),  # 0 + 0.6
    )
    assert resolve(Command("forget", "the tables"), rules) == ("a",)
    assert resolve(Command("show", "the tables"), rules) == ("a", "b")


@pytest.mark.parametrize(
    ("command", "rules", "text"),
    [
        (Command("remember", content="use tabs"), (), "I'll remember: Use tabs."),
        (Command("remember"), ("Use tabs.",), "I'll remember: Use tabs."),
        (Command("remember"), (), "I'll remember"),
        (Command("forget"), ("use tabs",), "I've forgotten: Use tabs."),
        (Command("forget", "x"), ("A.", "B."), "Which one do you mean? 1. A. 2. B."),
        (Command("forget", "tables"), (), "I don't remember anything about this: tables"),
        (Command("forget"), (), "I'm not sure which preference you mean. What is it about?"),
        (
            Command("forget", everything=True),
            ("A.", "B."),
            "I've forgotten everything I knew about how you like things done.",
        ),
        (
            Command("forget", everything=True),
            (),
            "I don't remember anything about how you like things done yet.",
        ),
        (Command("pause"), ("A.", "B."), "I'm leaving this out this time: A. B."),
        (
            Command("pause", everything=True),
            (),
            "I'm leaving your preferences out this time.",
        ),
        (Command("narrow", content="mails"), ("A.",), "I've limited this to mails: A."),
        (Command("narrow", content="mails"), ("A", "B"), "Which one do you mean? 1. A. 2. B."),
        (Command("edit", content="use b"), ("A.",), "I've changed it to: Use b. It was: A."),
        (Command("edit"), ("A.",), "What should it say instead? So far: A."),
        (
            Command("why"),
            ("A.", "B."),
            "I went by what I remember about how you like things done: A. B.",
        ),
        (Command("why"), (), "Nothing that I remember about you played a part in that."),
        (Command("show"), ("A\n b",), "What I remember about how you like things done: A b."),
        (
            Command("show"),
            (),
            "I don't remember anything about how you like things done yet.",
        ),
        (Command("show", "tea"), (), "I don't remember anything about this: tea"),
        (Command("undo"), ("A.",), "I've brought this back: A."),
        (Command("undo", everything=True), ("A.", "B."), "I've brought this back: A. B."),
    ],
)
def test_replies(command: Command, rules: tuple[str, ...], text: str) -> None:
    assert reply(command, rules) == text
