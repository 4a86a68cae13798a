"""Users who insist over sessions: what is served at once, what is sent back, and what it costs."""

from collections.abc import Sequence

from prefmem.evaluate.obedience import Message
from prefmem.evaluate.personas.arms import Nothing, Oracle
from prefmem.evaluate.personas.pool import Persona, Wish
from prefmem.evaluate.simulate.collab import (
    TURNS,
    Answered,
    Collaborator,
    checked,
    collaborate,
    effort,
    judged,
    saved,
)
from prefmem.train.progress import silent

WISH = Wish("layout", "use bullet points", (), "Always use bullet points, please.")
USER = Persona("lister", (WISH,))
TASKS = ("What is tea?", "What is rye?", "What is soap?", "What is chalk?")


def obedient(conversations: Sequence[Sequence[Message]]) -> list[str]:
    """Use a bullet where the prompt speaks of one."""
    told = [" ".join(one["content"] for one in asked) for asked in conversations]
    return ["- It is good." if "ullet" in text else "It is good." for text in told]


def test_an_answer_that_breaks_a_wish_is_sent_back_and_the_next_task_waits() -> None:
    user = Collaborator(USER, TASKS[:2], Nothing())
    assert user.ask()[-1]["content"] == "What is tea?"
    user.hear("It is good.", [WISH])
    assert user.ask()[-1]["content"] == "Always use bullet points, please."
    user.hear("- It is good.", [])
    (done,) = user.sessions
    assert (done.turns, done.words, done.enforced, done.done) == (2, 8, 1, True)
    assert user.request == "What is rye?"


def test_a_session_ends_when_patience_does() -> None:
    user = Collaborator(USER, TASKS[:1], Nothing())
    for _ in range(TURNS):
        user.ask()
        user.hear("It is good.", [WISH])
    (done,) = user.sessions
    assert (done.turns, done.enforced, done.done) == (TURNS, TURNS - 1, False)
    assert user.request == ""


def test_prefmem_gets_a_complaint_once_and_a_forgetful_agent_in_each_session() -> None:
    found = collaborate(
        obedient, [USER], TASKS, sessions=4, seed=0, enforce=checked, progress=silent
    )
    complaints = {
        arm: [task.enforced for task in users[0].sessions] for arm, users in found.items()
    }
    assert complaints["oracle"] == [0, 0, 0, 0]
    assert complaints["no memory"] == [1, 1, 1, 1]
    assert complaints["prefmem"] == complaints["prefmem, default block"] == [1, 0, 0, 0]
    cost = effort(found["prefmem"], seed=0)
    assert cost["turns a session"].value == 1.25
    assert cost["complaints, sessions 1 to 3"].value == 1 / 3
    assert cost["complaints, the last 3"].value == 0.0
    assert cost["sessions that end content"].value == 1.0
    # three complaints of five words less over four sessions
    assert saved(found["prefmem"], found["no memory"], seed=0).value == 3.75


def test_a_judge_decides_where_code_cannot() -> None:
    def judge(conversations: Sequence[Sequence[Message]]) -> list[str]:
        texts = [one[-1]["content"] for one in conversations]
        return ["yes" if "<reply>warm" in text else "I am not sure" for text in texts]

    answers = [Answered(WISH, "q", "warm words"), Answered(WISH, "q", "cold")]
    assert judged(judge)(answers) == [True, False]
    assert checked([Answered(WISH, "q", "- a"), Answered(WISH, "q", "a")]) == [True, False]


def test_the_oracle_knows_the_wish() -> None:
    assert Oracle(USER).tell("", []).after == "Use bullet points."
