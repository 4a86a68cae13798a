from collections.abc import Callable

import pytest

from prefmem import ConfigError, PreferenceMemory, UserRequiredError
from prefmem_hosts import Companion, Dialogue, user_of

TABS = ("user", "Always use tabs.")


def said(user: object = "ann", *turns: tuple[str, str]) -> Callable[[], Dialogue]:
    return lambda: Dialogue(user, turns or (("user", "Some code?"),), "monday")  # type: ignore[arg-type]  # roles as texts


async def test_rules_come_back_after_what_was_learned(memory: PreferenceMemory) -> None:
    companion = Companion(memory, "host")
    assert await companion.arules(said()) == ""
    await companion.alearn(said("ann", TABS, ("assistant", "Fine.")))
    assert memory.flush(30)
    assert '"Use tabs."' in await companion.arules(said())
    assert await companion.arules(said("bob")) == ""


def test_one_question_is_recalled_once_and_what_was_forgotten_is_gone(
    memory: PreferenceMemory,
) -> None:
    card = memory.add("", "use tabs", user_id="ann")
    companion = Companion(memory, "host")
    assert "Use tabs." in companion.rules(said())
    assert companion.rules(said()) == companion.rules(said())
    assert len(memory.export(user_id="ann")["interactions"]) == 1
    memory.forget(card.id, user_id="ann")
    assert companion.rules(said()) == ""


@pytest.mark.parametrize("learn", [True, False])
def test_the_next_turn_is_recalled_anew(memory: PreferenceMemory, learn: bool) -> None:
    companion = Companion(memory, "host", learn=learn)
    assert companion.rules(said()) == ""
    memory.add("", "use tabs", user_id="ann")
    assert companion.rules(said()) == ""
    companion.learn(said("ann", ("user", "Some code?"), ("assistant", "Fine.")))
    assert "Use tabs." in companion.rules(said())
    assert memory.flush(30)
    assert len(memory.export(user_id="ann")["events"]) == (2 if learn else 1)


def test_questions_under_way_are_bounded(memory: PreferenceMemory) -> None:
    companion = Companion(memory, "host")
    memory.add("", "use tabs", user_id="ann")
    assert all(companion.rules(said("ann", ("user", f"Question {n}?"))) for n in range(600))


def test_without_a_question_there_are_no_rules(memory: PreferenceMemory) -> None:
    memory.add("", "use tabs", user_id="ann")
    companion = Companion(memory, "host")
    assert companion.rules(said("ann", ("user", " "), ("assistant", "Hi."))) == ""


def test_a_pasted_file_keeps_nothing_else_from_being_learned(memory: PreferenceMemory) -> None:
    companion = Companion(memory, "host")
    file = "x" * (memory.config.max_turn_chars + 1)
    turns = (TABS, ("assistant", "Fine."), ("user", file))
    companion.learn(said("ann", *turns))
    assert memory.flush(30)
    assert [card.text for card in memory.list(user_id="ann")] == ["Use tabs."]
    assert "Use tabs." in companion.rules(said("ann", *turns))
    assert companion.failures == 0


@pytest.mark.parametrize("user", [None, "", "  ", 3, b"ann"])
def test_nobody_is_said_once(
    memory: PreferenceMemory, caplog: pytest.LogCaptureFixture, user: object
) -> None:
    companion = Companion(memory, "host")
    assert companion.rules(said(user)) == ""
    companion.learn(said(user))
    (warning,) = caplog.messages
    assert warning.startswith("host: a run has no user id")
    strict = Companion(memory, "host", on_missing_user="raise")
    with pytest.raises(UserRequiredError, match="host: no user for this run"):
        strict.rules(said(user))


def test_what_reading_a_run_raises_is_survived_or_raised(
    memory: PreferenceMemory, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Dialogue:
        raise KeyError("secret text")

    companion = Companion(memory, "host")
    assert companion.rules(broken) == ""
    companion.learn(broken)
    assert companion.failures == 2
    assert "KeyError in broken" in caplog.text
    assert "secret" not in caplog.text
    with pytest.raises(KeyError):
        Companion(memory, "host", on_error="raise").rules(broken)


@pytest.mark.parametrize("setting", ["on_missing_user", "on_error"])
def test_an_unknown_setting_is_refused(memory: PreferenceMemory, setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting}='x'"):
        Companion(memory, "host", **{setting: "x"})  # type: ignore[arg-type]  # on purpose


def test_the_user_of_a_context() -> None:
    assert user_of({"user_id": "ann"}) == "ann"
    assert user_of(Dialogue("bob", ())) == "bob"
    assert user_of(None) is None
