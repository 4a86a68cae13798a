"""Markers: what a text shows, what a rule asks for, and that both say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem.agent.anatomy import MAX_CHARS, parts
from prefmem.agent.markers import measured, named

MAIL = "Hi Tom,\n\nCould you send the report? I don't have it yet.\n\nCheers,\nMaria"


def shown(text: str, kind: str = "text") -> set[str]:
    return {marker.name for marker in measured(text, kind)}


def asked(rule: str) -> str | None:
    marker = named(rule)
    return None if marker is None else marker.name


# The parts of a text


def test_a_mail_has_a_greeting_a_body_a_sign_off_and_a_name() -> None:
    read = parts(MAIL)
    assert (read.greeting, read.farewell, read.name) == ("Hi", "Cheers", "Maria")
    assert read.sentences == ("Could you send the report?", "I don't have it yet.")
    assert (read.words, read.paragraphs, read.language) == (14, (2,), "english")


@pytest.mark.parametrize(
    ("text", "greeting", "farewell", "name"),
    [
        ("hey all, it's done.\n\nthx\nm", "hey", "thx", "m"),
        ("Dear Dr. Weber,\r\n\r\nIt is done.\r\n\r\nBest wishes,\r\nAnn Lee",
         "Dear", "Best wishes", "Ann Lee"),
        ("Good morning!\nIt is done.\nKind regards", "Good morning", "Kind regards", ""),
        ("It is done.\n\nCheers, Tom", "", "Cheers", "Tom"),
        ("It is done.\n\n- Jo", "", "", "Jo"),
        ("Sehr geehrte Frau Kern,\n\nes ist da.\n\nMit freundlichen Grüßen\nUwe",
         "Sehr geehrte", "Mit freundlichen Grüßen", "Uwe"),
        ("It is done.\n\nThanks,\nTom\nHead of Sales", "", "Thanks", "Tom"),
        ("It is done.\n\nCheers,\nTom\n\nP.S. Bring cake.", "", "Cheers", "Tom"),
    ],
)  # fmt: skip
def test_greetings_and_sign_offs_are_seen(
    text: str, greeting: str, farewell: str, name: str
) -> None:
    read = parts(text)
    assert (read.greeting, read.farewell, read.name) == (greeting, farewell, name)


@pytest.mark.parametrize(
    "text",
    [
        "Best pizza in town. I loved it.\nBest place to eat",
        "High water came.\nLove was in the air.",
        "Yours was blue, mine was red.",
    ],
)
def test_words_that_only_look_like_one_are_no_greeting_and_no_sign_off(text: str) -> None:
    read = parts(text)
    assert (read.greeting, read.farewell) == ("", "")


def test_a_list_item_and_a_shortened_word_end_no_sentence() -> None:
    assert parts("- e.g. tea at 10 a.m. today\n2. Room 3. It is free!").sentences == (
        "e.g. tea at 10 a.m. today", "Room 3.", "It is free!",
    )  # fmt: skip


# Measured


@pytest.mark.parametrize(
    ("text", "marker"),
    [
        ("One. Two. Three.", "at most 3 sentences"),
        ("Tea for two.", "at most 20 words"),
        ("word " * 60, "at least 60 words"),
        ("- tea\n- milk", "bullets"),
        ("1. tea\n2. milk", "numbered lists"),
        ("# Tea\nIt is hot.", "headings"),
        ("**Tea**\nIt is hot.", "headings"),
        ("I don't know.", "contractions"),
        ("I do not know.", "no contractions"),
        ("all of this is written low.", "lower case"),
        ("This is VERY important now.", "shouting"),
        ("Done!", "exclamation marks"),
        ("Done.", "no exclamation marks"),
        ("It is late; it is dark.", "semicolons"),
        ("It is late - it is dark.", "dashes"),
        ("Late—dark.", "dashes"),
        ("Late... dark.", "ellipses"),
        ("Late (and dark).", "brackets"),
        ("Done 🎉", "emojis"),
        ("Done :)", "emojis"),
        ("It is late. Shall we go?", "question at the end"),
        ("One. Two. Three.", "one paragraph"),
        ("One.\nTwo.\nThree.", "a line for each sentence"),
        ("It works. Honestly.", "word: honestly"),
        ("Quick one, is it on?", "opening words: quick one"),
        ("It is on. More soon.", "closing words: more soon"),
    ],
)
def test_a_marker_is_measured(text: str, marker: str) -> None:
    assert marker in shown(text)


def test_what_only_mails_tell_is_said_of_mails_alone() -> None:
    text = "It is all done. We can go there by train."
    assert {"no greeting", "no sign-off"} <= shown(text, "mail")
    assert not {"no greeting", "no sign-off"} & shown(text, "review")


def test_a_name_alone_greets() -> None:
    assert "greeting: the name alone" in shown("Tom,\n\nit is done.", "mail")
    assert "no greeting" not in shown("Tom,\n\nit is done.", "mail")


def test_markers_of_english_say_nothing_of_other_languages() -> None:
    polish = "Zażółć gęślą jaźń, proszę państwa. Już wysłałem wszystkie pliki, dziękuję."
    german = "Ich habe das nicht für dich und es ist auch noch da, mit der Karte von uns."
    for text in (polish, german):
        assert not {"contractions", "no contractions"} & shown(text, "mail")
    assert not {"no greeting", "no sign-off"} & shown(polish, "mail")
    assert not {"lower case", "shouting", "no shouting"} & shown("今日は雨が降っています。" * 5)


def test_a_colon_before_a_word_is_no_smiley() -> None:
    assert "no emojis" in shown("Plan:Done and note:P.")
    assert "emojis" in shown("It is done :D")


def test_an_empty_text_shows_nothing() -> None:
    assert measured("") == ()
    assert measured(" \n\t ", "mail") == ()


def test_a_long_text_is_looked_at_in_part() -> None:
    assert "exclamation marks" not in shown("a " * MAX_CHARS + "!")
    assert shown("word " * 400_000)  # 2 MB


@pytest.mark.parametrize(
    "piece", [" ", "\n", "(", "Hi ", "best ", "...", "- ", "a.", "“", "don't "]
)
def test_no_text_takes_long(piece: str) -> None:
    measured(piece * MAX_CHARS, "mail")  # a quadratic test would not come back in an hour


# Named


@pytest.mark.parametrize(
    ("rule", "marker"),
    [
        ("Write at most 60 words.", "at most 60 words"),
        ("Keep it under 60 words", "at most 59 words"),
        ("Limit the mail to about 40 words", "at most 40 words"),
        ("Answer in two sentences at most.", "at most 2 sentences"),
        ("Write at least 100 words.", "at least 100 words"),
        ("Start with 'Hi'", "greeting: hi"),
        ("Start the mail with Hi and the first name.", "greeting: hi"),
        ("Begin with the greeting “Dear”.", "greeting: dear"),
        ("Skip the greeting", "no greeting"),
        ("Sign off with Cheers", "sign-off: cheers"),
        ("Sign off with 'Cheers, Maria'", "sign-off: cheers"),
        ("Omit any sign-off.", "no sign-off"),
        ("Sign with M.", "name: m"),
        ("Use bullet points rather than paragraphs", "bullets"),
        ("Prefer prose over lists", "no bullets"),
        ("Write in paragraphs instead of bullet points", "no bullets"),
        ("Do not use exclamation marks", "no exclamation marks"),
        ("Avoid emojis.", "no emojis"),
        ("Write in all lower case.", "lower case"),
        ("Don’t use contractions", "no contractions"),
        ("Never end with a question", "no question at the end"),
        ("Close by asking a question", "question at the end"),
        ("Write in German", "answer in german"),
        ("Finish the text with \"More soon\".", "closing words: more soon"),
    ],
)  # fmt: skip
def test_a_rule_in_words_names_a_marker(rule: str, marker: str | None) -> None:
    assert asked(rule) == marker


@pytest.mark.parametrize(
    "rule",
    [
        "", "Be kind.", "Keep sentences under 12 words", "Use exclamation marks sparingly",
        "Address the reader by first name", "Use emojis only in chats", "x" * 5_000,
        "Use at most 2 emojis per 50 words",
    ],
)  # fmt: skip
def test_a_rule_that_asks_for_no_marker_plainly_names_none(rule: str) -> None:
    assert named(rule) is None


def test_a_named_marker_holds_where_the_rule_is_kept() -> None:
    brief, cheers = named("Write at most 5 words."), named('Close with "Cheers".')
    assert brief
    assert cheers
    assert (brief.holds("Tea for two"), brief.holds("Tea for two at 5 p.m. here")) == (True, False)
    assert (cheers.holds(MAIL), cheers.holds("Cheers to all of them!")) == (True, False)


_LINES = st.sampled_from(
    [
        "Hi Tom,", "Dear all", "hey,", "Tom,", "", "Could you send it?", "honestly, it is LATE!",
        "- tea", "2. milk", "# Plan", "I don't know...", "so; what (if any)", "Best wishes,",
        "cheers", "Maria", "- m", "P.S. 🎉", "Don't say “no” to it", "Anything I missed?", "x",
        "Es ist nicht so.", "At most 5 words", "No lists", "Sign with a question", "“", "'",
    ]
)  # fmt: skip


@given(st.lists(_LINES, max_size=8).map("\n".join), st.sampled_from(["mail", "note", "text"]))
def test_rules_and_markers_go_both_ways(text: str, kind: str) -> None:
    for marker in measured(text, kind):
        back = named(marker.rule)
        assert back is not None, marker.rule
        assert back.name == marker.name
        assert back.holds(text), marker.rule


@given(st.text(max_size=400), st.sampled_from(["mail", "note"]))
def test_any_text_and_any_rule_is_taken(text: str, kind: str) -> None:
    assert all(marker.holds(text) for marker in measured(text, kind))
    named(text)
