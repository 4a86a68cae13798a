"""A rule for one audience never reaches another."""

import pytest

from prefmem import Preference, Scope
from prefmem.retrieve.audience import addressed, audience_fits


def fits(
    query: str, audience: str | None = None, language: str | None = None, context: str = ""
) -> bool:
    return audience_fits(Scope(audience=audience, language=language), query, context)


@pytest.mark.parametrize(
    ("condition", "audience", "language"),
    [
        ("in mails to my boss", "boss", None),
        ("writing to our line manager", "boss", None),
        ("talking to the kids", "child", None),
        ("presents for my sisters", "sister", None),
        ("emails to Mr Bauer", "Bauer", None),
        ("writing to Lindqvist", "Lindqvist", None),
        ("German mails to clients", "client", "de"),
        ("answering in French", None, "fr"),
        ("mails to my boss Priya", "boss Priya", None),
        ("mails to Priya, my boss", "boss Priya", None),
        ("messages to my boss, Mr Bassey", "boss Bassey", None),
        ("presents for my friend Anna", "friend Anna", None),
        ("writing to Professor Weber", "professor Weber", None),
        ("mails to Özlem", "Özlem", None),
        ("messages to Mika's teacher", "teacher", None),
        ("gifts for my kids' teachers", "teacher", None),
        ("messages to my mother-in-law", "in-law", None),
        ("mails to my boss and my sister", None, None),
        ("mails to my ex-wife", None, None),
        ("emails to Mom's coordinator", None, None),
        ("mails to my wife's manager", None, None),
        ("mails to our business partner", None, None),
        ("mails to HR", None, None),
        ("presents for Brazilian relatives", None, None),
        ("writing tests with Pytest", None, None),
        ("unit tests for OrderService", None, None),
        ("mails on Friday", None, None),
        ("Polish mails", None, "pl"),
        ("polish mails", None, None),
        ("mails in German or French", None, None),
        ("eating in French restaurants", None, None),
        ("writing Python", None, None),
        ("flights to Lisbon", None, None),
        ("explaining code", None, None),
        ("", None, None),
    ],
)
def test_a_condition_names_its_audience(
    condition: str, audience: str | None, language: str | None
) -> None:
    scope = addressed(Preference(condition, "be brief")).scope
    assert (scope.audience, scope.language) == (audience, language)


def test_what_an_extractor_said_stays_and_global_rules_have_no_audience() -> None:
    given = Preference("in mails to my boss", "x", scope=Scope(audience="board"))
    assert addressed(given) == given
    everywhere = Preference("in mails to my boss", "x", scope=Scope("global"))
    assert addressed(everywhere) == everywhere


@pytest.mark.parametrize(
    ("given", "audience"),
    [
        ("my boss", "boss"),
        ("our line manager Priya", "boss Priya"),
        ("Prof. Weber", "professor Weber"),
        ("the works council", "works council"),
        ("my boss's assistant", "boss's assistant"),
        ("board", "board"),
    ],
)
def test_what_an_extractor_said_is_brought_to_one_form(given: str, audience: str) -> None:
    once = addressed(Preference("", "x", scope=Scope(audience=given, language="German")))
    assert (once.scope.audience, once.scope.language) == (audience, "de")
    assert addressed(once) == once


@pytest.mark.parametrize(
    ("audience", "query", "fit"),
    [
        (None, "a mail to my sister", True),
        ("boss", "a mail to my boss", True),
        ("boss", "tell my manager that I am ill", True),
        ("boss", "a mail to my sister", False),
        ("boss", "write to the landlord", False),
        ("boss", "an email to Anna about the budget", False),
        ("boss", "a mail about the delay", True),
        ("boss", "tell my sister what my boss said", False),
        ("boss", "mail to my sister about the trouble with my boss", False),
        ("sister", "mail to my sister about the trouble with my boss", True),
        ("boss", "a mail to my sister and my boss", True),
        ("boss", "Email Anna that I am late", False),
        ("boss", "draft the monthly report on customer churn", True),
        ("boss", "I am 2 hrs late", True),
        ("boss", "a way to make friends", True),
        ("boss", "a mail to the dentist", False),
        ("boss", "an email to the IT desk", False),
        ("boss", "a reply to the attached mail", True),
        ("boss Priya", "write to Priya that I'm off", True),
        ("boss Priya", "a mail to my boss", True),
        ("boss Priya", "a mail to Fiona", False),
        ("my boss", "a mail to my manager", True),
        ("friend Anna", "a mail to my friend Tom", False),
        ("friend", "a mail to my friend Tom", True),
        ("professor Weber", "a mail to Professor Klein", False),
        ("client", "write to Mr Mkhize", True),
        ("client", "text my guy Femi that rehearsal is at four", False),
        ("mother", "a mail to my mother-in-law", False),
        ("wife", "a mail to my ex-wife", False),
        ("teacher", "tell Mika's teacher that he is ill", True),
        ("board", "a mail to my sister", False),
        ("boss", "", True),
        ("child", "a story for my son", True),
        ("son", "a story for the kids", True),
        ("son", "a story for my daughter", False),
        ("family", "dinner with grandma", True),
        ("Bauer", "an answer to Bauer", True),
        ("Bauer", "an answer to my doctor", False),
        ("Bauer", "a letter to Kim", False),
        ("works council", "minutes for the works council", True),
    ],
)
def test_who_a_query_is_for(audience: str | None, query: str, fit: bool) -> None:
    assert fits(query, audience) is fit


def test_a_language_that_a_query_names() -> None:
    assert fits("a mail in German", language="de")
    assert fits("a mail in German", language="de-CH")
    assert not fits("a mail in French", language="de")
    assert fits("a mail", language="de")


def test_a_language_that_is_no_language_of_a_text() -> None:
    assert fits("a table in a French restaurant", language="de")
    assert fits("polish this mail", language="de")
    assert not fits("Polish mails, please", language="de")


def test_the_request_before_counts_where_the_present_one_is_silent() -> None:
    before = "a mail in German to my sister"
    assert not fits("and shorter", "boss", context=before)
    assert fits("and shorter", "sister", context=before)
    assert fits("now one to my boss", "boss", context=before)
    assert fits("my boss should hear it too", "boss", context=before)
    assert not fits("and shorter", language="fr", context=before)
    assert fits("in French please", language="fr", context=before)


def test_of_a_huge_query_the_ends_are_read() -> None:
    assert fits("my boss " * 12_500, "boss")
    assert not fits("a mail to my sister " * 10_000, "boss")
    assert not fits("x " * 50_000 + "a mail to my sister", "boss")
    assert fits("x " * 10_000 + "a mail to my sister " + "x " * 10_000, "boss")
