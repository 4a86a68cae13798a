"""Until when a rule holds, said on Wednesday, 11 March 2026, at three in the afternoon."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from time import perf_counter

import pytest

from prefmem import Evidence, Preference, PreferenceMemory
from prefmem.cards.validity import dated
from prefmem.types import Scope

NOW = datetime(2026, 3, 11, 15, tzinfo=UTC)
FRIDAY = datetime(2026, 3, 13, 9, tzinfo=UTC)
BRIEF = Preference("", "be brief")


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def quoted(action: str, quote: str) -> Preference:
    return Preference("", action, evidence=(Evidence("0", quote),))


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ("until Friday", "2026-03-14"),
        ("until this Friday", "2026-03-14"),
        ("until next Friday", "2026-03-21"),
        ("till Wednesday", "2026-03-19"),
        ("until 2026-05-01", "2026-05-02"),
        ("until 2020-02-29", "2020-03-01"),
        ("until 1 May 2026", "2026-05-02"),
        ("until 3 May 2026", "2026-05-04"),
        ("until 2 Jan 2027", "2027-01-03"),
        ("until January 2, 2027", "2027-01-03"),
        ("until 29 February", "2028-03-01"),
        ("until Monday, 16 March", "2026-03-17"),
        ("until Monday the 16th", "2026-03-17"),
        ("until Friday next week", "2026-03-21"),
        ("until Friday evening", "2026-03-14"),
        ("until this Friday at 5pm", "2026-03-14"),
        ("until Friday, 17:00", "2026-03-14"),
        ("until Friday night at 9 o'clock", "2026-03-14"),
        ("(until Friday)", "2026-03-14"),
        ("just until Friday", "2026-03-14"),
        ("from now on until Friday", "2026-03-14"),
        ("until this Wednesday", "2026-03-12"),
        ("until April 3", "2026-04-04"),
        ("until the 3rd of April", "2026-04-04"),
        ("until 10 March", "2027-03-11"),
        ("until 11 March", "2026-03-12"),
        ("until March 1, 2024", "2024-03-02"),
        ("until April", "2026-04-01"),
        ("until March", "2026-04-01"),
        ("until February", "2027-02-01"),
        ("through June", "2026-07-01"),
        ("until after June", "2026-07-01"),
        ("until the end of March", "2026-04-01"),
        ("until the end of February", "2027-03-01"),
        ("until the end of the week", "2026-03-16"),
        ("until end of next month", "2026-05-01"),
        ("until the end of 2027", "2028-01-01"),
        ("until next week", "2026-03-16"),
        ("through next week", "2026-03-23"),
        ("until tomorrow", "2026-03-13"),
        ("until the weekend", "2026-03-16"),
        ("until Christmas", "2026-12-27"),
        ("until New Year", "2027-01-01"),
        ("for the rest of the quarter", "2026-04-01"),
        ("this month", "2026-04-01"),
        ("this week", "2026-03-16"),
        ("this year", "2027-01-01"),
        ("just for today", "2026-03-12"),
        ("only this week", "2026-03-16"),
    ],
)
def test_a_day_that_is_named(words: str, end: str) -> None:
    rule = Preference(words, "answer in German")
    assert dated(rule, "", NOW) == (Preference("", "answer in German"), day(end))
    rule = Preference("writing mails", f"answer in German {words}")
    assert dated(rule, "", NOW) == (Preference("writing mails", "answer in German"), day(end))


@pytest.mark.parametrize(
    ("words", "span"),
    [
        ("for the next two weeks", 14),
        ("for the coming week", 7),
        ("over the next 10 days", 10),
        ("for another day", 1),
        ("for the next month", 31),
        ("for the next couple of days", 2),
    ],
)
def test_a_span_counts_from_the_turn(words: str, span: int) -> None:
    assert dated(Preference(words, "be brief"), "", NOW)[1] == NOW + timedelta(days=span)


def test_a_month_that_is_shorter_ends_on_its_last_day() -> None:
    rule = Preference("for the next month", "be brief")
    assert dated(rule, "", day("2026-01-31"))[1] == day("2026-02-28")


@pytest.mark.parametrize(
    "words",
    [
        "until the draft is done", "while I'm in Lisbon", "until 6 pm", "from today",
        "as of this month", "until 31 February", "until May 99", "until Sunny calls", "",
        "writing about the month of March", "in March", "summing up this week's news",
        "walking me through tomorrow's tasks", "walking me through tomorrow", "go through Monday",
        "talking me through March figures", "talking my boss through March", "for 3 day trips",
        "Monday through Friday", "asking what to cook tonight", "planning meals for the next week",
        "planning dinner tonight", "writing about today", "for the next month's budget",
        "until Friday's demo", "until Friday’s demo", "until March 12's call", "until Jan replies",
        "until Jan gets back", "until the weekend is over", "this week I travel", "until March 5pm",
        "until 1 May 12026", "for the next fıve days",
    ],
)  # fmt: skip
def test_what_names_no_end_stays_in_the_rule(words: str) -> None:
    rule = Preference(words, "answer in German")
    assert dated(rule, "", NOW) == (rule, None)


def test_the_words_around_stay() -> None:
    for condition, rest in (
        ("writing mails until Friday", "writing mails"),
        ("until Friday, when writing mails", "when writing mails"),
        ("writing mails, this month, to Anna", "writing mails, to Anna"),
        ("this month, writing mails", "writing mails"),
        ("for 3 days, when writing mails", "when writing mails"),
        ("writing mails tonight", "writing mails"),
        ("writing (until Friday) to Anna", "writing to Anna"),
    ):
        assert dated(Preference(condition, "x"), "", NOW)[0].condition == rest
    alone = Preference("", "until Friday")
    assert dated(alone, "", NOW) == (alone, day("2026-03-14"))


def test_the_quote_and_its_sentence_tell_too() -> None:
    said = "I leave next week. Until Friday I want short answers. Plan this month for me."
    rule = Preference("", "short answers", evidence=(Evidence("0", "I want short answers"),))
    assert dated(rule, said, NOW) == (rule, day("2026-03-14"))
    loose = Preference("", "be brief", evidence=(Evidence("0", "be brief this week"),))
    assert dated(loose, "", NOW) == (loose, day("2026-03-16"))
    beside = Preference("", "be brief", evidence=(Evidence("0", "be brief"),))
    assert dated(beside, "I am busy this week, be brief.", NOW) == (beside, None)


def test_days_are_those_of_utc() -> None:
    late = datetime(2026, 3, 11, 23, tzinfo=timezone(timedelta(hours=-5)))  # the 12th in UTC
    assert dated(Preference("today", "be brief"), "", late)[1] == day("2026-03-13")
    plain = NOW.replace(tzinfo=None)
    assert dated(Preference("today", "be brief"), "", plain)[1] == day("2026-03-12")


def test_this_friday_on_a_friday_is_today() -> None:
    assert dated(Preference("until this Friday", "x"), "", FRIDAY)[1] == day("2026-03-14")
    assert dated(Preference("until Friday", "x"), "", FRIDAY)[1] == day("2026-03-21")
    assert dated(Preference("until next Friday", "x"), "", FRIDAY)[1] == day("2026-03-21")


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ("until 1950-01-01", day("1970-01-01")),
        ("until 1 May 1066", day("1970-01-01")),
        ("until 8999-12-30", day("8999-12-31")),
        ("until 8999-12-31", None),
        ("until 9500-01-01", None),
        ("until 9999-12-31", None),
    ],
)
def test_an_end_can_be_stored(words: str, end: datetime | None) -> None:
    assert dated(Preference(words, "be brief"), "", NOW) == (BRIEF, end)


@pytest.mark.parametrize("hours", [-5, 0, 5])
@pytest.mark.parametrize(
    "words",
    [
        "today", "this week", "this month", "this year", "until tomorrow", "until Friday",
        "until next month", "until 29 February", "for the next two weeks", "for 3 days",
        "for the rest of the quarter", "until Christmas",
    ],
)  # fmt: skip
def test_the_ends_of_the_calendar_are_no_errors(words: str, hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    rule = Preference(words, "be brief")
    assert dated(rule, "", datetime.max.replace(tzinfo=zone))[1] is None
    assert dated(rule, "", datetime.min.replace(tzinfo=zone))[1] == day("1970-01-01")


@pytest.mark.parametrize(
    ("action", "quote", "end"),
    [
        ("never suggest meat", "I went vegan this year, so never suggest meat", None),
        ("never suggest meat", "Never suggest meat, I went vegan this year.", None),
        ("be brief", "today I decided: always be brief", None),
        ("start with tasks", "walk me through tomorrow's tasks first", None),
        ("show totals", "Talk me through March figures with totals.", None),
        ("pack light", "for 3 day trips, pack light", None),
        ("cook quickly", "Be quick when I am asking what to cook tonight", None),
        ("be brief", "Be brief until Friday's demo.", None),
        ("be brief", "I need it brief this week.", "2026-03-16"),
        ("be brief", "Be brief, just for today, please.", "2026-03-12"),
        ("be brief", "for two weeks, be brief", "2026-03-25T15:00"),
        ("be brief", "be brief this week, and never use emojis", "2026-03-16"),
    ],
)
def test_what_a_quote_tells(action: str, quote: str, end: str | None) -> None:
    rule = quoted(action, quote)
    assert dated(rule, quote, NOW) == (rule, None if end is None else day(end))


@pytest.mark.parametrize("joint", [", and", ", but", " but", ";"])
def test_a_limit_is_for_its_own_part_of_the_sentence(joint: str) -> None:
    said = f"Answer in German until Friday{joint} never use emojis."
    for quote in ("never use emojis", said):
        assert dated(quoted("never use emojis", quote), said, NOW)[1] is None
    for quote in ("Answer in German", said):
        assert dated(quoted("answer in German", quote), said, NOW)[1] == day("2026-03-14")
    assert dated(quoted("leave out smileys", said), said, NOW)[1] is None  # of neither part
    said = "Answer in German and never use emojis until Friday."
    assert dated(quoted("answer in German", "Answer in German"), said, NOW)[1] == day("2026-03-14")


@pytest.mark.parametrize("words", ["just ", "until Friday ", "this week ", "until", " ", "go the "])
def test_long_texts_take_no_time(words: str) -> None:
    text = words * 20_000 + " " * 20_000
    rule = Preference(text, text, evidence=(Evidence("0", text),))
    start = perf_counter()
    dated(rule, text, NOW)
    dated(quoted("be brief", "be brief"), f"{text}be brief {text}", NOW)
    assert perf_counter() - start < 0.5
    assert dated(quoted("x", "x " * 1_000 + "until Friday"), "", NOW)[1] is None


def test_a_rule_from_the_past_is_stored_as_expired(
    open_memory: Callable[..., PreferenceMemory],
) -> None:
    memory = open_memory(clock=lambda: NOW)
    (card,) = memory.learn([("user", "Until 1950-01-01, always be brief.")], user_id="a").added
    assert (card.text, card.valid_to) == ("Be brief.", day("1970-01-01"))
    assert memory.get(card.id, user_id="a").status == "expired"
    assert memory.export(user_id="a")["cards"]


def test_a_rule_whose_only_condition_is_a_time_holds_everywhere(
    open_memory: Callable[..., PreferenceMemory],
) -> None:
    memory = open_memory(clock=lambda: NOW)
    card = memory.add("until Friday", "answer in German", user_id="a")
    assert (card.preference.condition, card.preference.scope) == ("", Scope("global"))
    assert [rule.text for rule in memory.recall("a soup", user_id="a").rules] == [card.text]
    card = memory.add("writing mails until Friday", "be formal", user_id="a")
    assert card.preference.scope.kind == "conditional"
    card = memory.add("writing mails", "be kind until Friday", user_id="a", scope="global")
    assert card.preference.scope.kind == "global"
    (card,) = memory.learn([("user", "Until Friday, always use grams.")], user_id="a").added
    assert (card.text, card.preference.scope.kind) == ("Use grams.", "global")
