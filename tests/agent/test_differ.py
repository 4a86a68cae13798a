"""Rules of a user without a model, lessons made of them, and outlines of what a text says."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from prefmem.agent.differ import habits, lessons, rules_of
from prefmem.agent.leak import Source
from prefmem.agent.lesson import Document
from prefmem.agent.markers import named
from prefmem.agent.outline import outline
from prefmem.agent.prompts import MAX_RULE_CHARS, MAX_RULES

FACTS = (
    ("The budget report is due on Friday", "finance wants the figures for March"),
    ("The meeting moves to Tuesday", "room four is booked for the team"),
    ("The printer on floor two is broken", "a technician comes on Monday"),
    ("Anna starts in the Berlin office", "she needs a laptop and a badge"),
)
NAMES = ("Tom", "Ann", "Joe", "Li")


def mail(number: int) -> str:
    first, second = FACTS[number]
    return f"Hi {NAMES[number]},\n\n{first}; {second}... Can you check?\n\nCheers,\nMaria"


def note(number: int) -> str:
    first, second = FACTS[number]
    return f"- {first.lower()}\n- {second}"


def document(text: str, kind: str = "text", to: str = "") -> Document:
    return Document(sha256(text.encode()).hexdigest()[:16], text, kind, to)


MAILS = tuple(mail(n) for n in range(4))
NOTES = tuple(note(n) for n in range(4))


def test_rules_are_what_all_texts_keep_to() -> None:
    rules = rules_of(MAILS, kind="mail")
    assert {
        'Open with "Hi".', 'Close with "Cheers".', "Sign with Maria.", "Use semicolons.",
        "Use ellipses.", "End with a question.", "Write at most 20 words.",
        "Write at most 2 sentences.",
    } <= set(rules)  # fmt: skip
    assert len(rules) <= MAX_RULES
    assert not {"Use no emojis.", "Use no headings."} & set(rules)  # neither has any other mail


def test_of_bounds_and_of_phrases_the_tightest_is_told() -> None:
    texts = [f"Quick one about {thing}. Back soon." for thing in ("tea", "milk", "cake")]
    rules = rules_of(texts)
    assert [rule for rule in rules if "words" in rule] == ["Write at most 20 words."]
    assert 'Begin the text with "Quick one about".' in rules
    assert 'Finish the text with "Back soon".' in rules


def test_what_drafts_do_as_well_is_no_rule() -> None:
    drafts = [text.replace("Cheers", "Regards").replace("Maria", "Kim") for text in MAILS] * 5
    rules = rules_of(MAILS, drafts, kind="mail")
    assert set(rules) == {'Close with "Cheers".', "Sign with Maria."}


def test_what_drafts_do_is_what_a_user_does_without() -> None:
    texts = ["It is late. We go.", "It is dark. We stay.", "It is cold. We sit."]
    drafts = ["It is late! We go!", "How cold! Stay!", "Well done! It is on!"] * 5
    assert "Use no exclamation marks." in rules_of(texts, drafts)


def test_one_in_five_may_slip_and_one_in_two_may_not() -> None:
    with_mark, without = "Tea is served!", "Tea is served."
    assert "Use exclamation marks." in rules_of([with_mark] * 4 + [without])
    assert "Use exclamation marks." not in rules_of([with_mark] * 2 + [without] * 2)


def test_two_texts_and_empty_ones_tell_no_habit() -> None:
    assert rules_of(MAILS[:2], kind="mail") == ()
    assert rules_of([*MAILS[:2], "", " \n "], kind="mail") == ()
    assert rules_of([]) == ()
    assert rules_of(MAILS[:3], kind="mail")


def test_each_rule_names_its_marker_and_fits_where_rules_go() -> None:
    for marker in habits(MAILS, kind="mail"):
        back = named(marker.rule)
        assert back is not None
        assert back.name == marker.name
        assert len(marker.rule) <= MAX_RULE_CHARS


def test_no_rule_quotes_six_words_of_a_text() -> None:
    texts = [f"One two three four five six {n} seven. I am for ever only yours now" for n in "abc"]
    assert Source(*texts).clean(rules_of(texts)) == rules_of(texts)


def test_a_lesson_has_the_rules_of_its_kind_that_its_document_keeps_to() -> None:
    broken = MAILS[0].replace("Can you check?", "Do check.")
    texts = (*MAILS, mail(1).replace("Ann", "Bea"), mail(2).replace("Joe", "Max"), broken)
    documents = [document(text, "mail", "Tom") for text in texts]
    documents += [document(text, "note") for text in NOTES]
    made = lessons(documents)
    assert [lesson.document_id for lesson in made] == [d.id for d in documents]
    assert "End with a question." in made[0].rules
    assert "End with a question." not in made[6].rules
    assert "Use bullet points." in made[7].rules
    assert not any("Cheers" in rule for rule in made[7].rules)
    assert (made[0].task.kind, made[0].task.to, made[0].text) == ("mail", "Tom", MAILS[0])
    assert made[0].task.intent == "- budget report friday finance figures march\n- check"


def test_intents_may_be_given() -> None:
    documents = [document(text, "note") for text in NOTES]
    made = lessons(documents, intents={documents[1].id: "- the meeting"})
    assert made[1].task.intent == "- the meeting"
    assert made[0].task.intent == outline(documents[0])


def test_a_kind_of_few_documents_takes_what_all_have_in_common() -> None:
    documents = [document(text, "note") for text in NOTES] + [document("- tea\n- milk", "list")]
    assert "Use bullet points." in lessons(documents)[-1].rules


def test_three_documents_of_three_kinds_give_lessons() -> None:
    made = lessons([document(text, kind) for text, kind in zip(NOTES, "abc", strict=False)])
    assert len(made) == 3
    assert all("Use bullet points." in lesson.rules for lesson in made)


def test_nothing_comes_of_nothing() -> None:
    assert lessons([]) == ()
    assert lessons([document("")] * 3) == ()


# Outlines


def test_an_outline_has_the_content_without_the_style() -> None:
    assert outline(document("Hey Tom!!\n\nPLEASE send 3 reports to Ann's boss... 🎉\n\nxx\nM")) == (
        "- send 3 reports ann boss"
    )


def test_an_outline_quotes_nothing_even_of_words_that_all_tell() -> None:
    text = "Acme London office manager signed yearly contract 55 yesterday evening downtown."
    found = outline(document(text))
    assert found.startswith("- acme london office manager signed")
    assert not Source(text).leaks_into(found)


def test_an_outline_of_a_long_text_is_taken_from_all_of_it() -> None:
    text = " ".join(f"Chapter{n} follows." for n in range(80))
    assert outline(document(text)).count("\n") == 7
    assert "chapter70" in outline(document(text))


@given(st.text(max_size=600))
def test_no_outline_quotes_its_document(text: str) -> None:
    found = outline(document(text))
    assert not Source(text).leaks_into(found)
    assert len(found.splitlines()) <= 8


_FEW = st.sampled_from(["alpha", "beta", "gamma", "delta", "今日は雨です", "ein", "42", "I"])


@given(st.lists(_FEW, max_size=80))
def test_no_outline_of_few_words_quotes_its_document(words: list[str]) -> None:
    text = " ".join(words)
    assert not Source(text).leaks_into(outline(document(text)))
