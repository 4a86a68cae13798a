"""A request as a task for an agent, and which lines of its answer are rules."""

import re

from prefmem.agent.leak import Source, words
from prefmem.agent.lesson import Task
from prefmem.agent.prompts import read, rules_asked
from prefmem.cards.authority import is_takeover
from prefmem.defence.privacy import is_private

# What is to be written, by the first word in a request that says so.
_KINDS = re.compile(
    r"""\b(?:
      (?P<mail>e-?mails?|mails?|letters?|reply|replies|invitations?)
    | (?P<review>reviews?)
    | (?P<article>articles?|blog[ ]?posts?|essays?|columns?|newsletters?|reports?)
    | (?P<note>notes?|memos?|minutes|summary|summaries|to-?do[ ]lists?)
    | (?P<chat>chat|texts?[ ]messages?|messages?|sms|slack|tweets?|dms?)
    )\b""",
    re.I | re.X,
)


def task_of(query: str, context: str = "") -> Task:
    """Take a request, and what was asked before it, as a task; its kind is what it says itself."""
    found = _KINDS.search(query) or _KINDS.search(context)
    kind = (found.lastgroup if found else None) or "text"
    intent = "\n".join(text.strip() for text in (query, context) if text.strip())
    return Task(intent, kind)


def kept(answer: str, task: Task, *, whole: bool = True) -> tuple[str, ...]:
    """Read those rules of an answer that are short, stand alone and may get into a prompt.

    A rule goes out that quotes the task or the agent's own instruction, six words of it in a row or
    a whole line; that tries to take over who reads it; or that tells a secret or a special category
    of a person.

    Args:
        answer: What the agent wrote.
        task: What it was asked about.
        whole: Whether it came to an end; the last line goes out otherwise.
    """
    asked = [message["content"] for message in rules_asked(task)]
    source = Source(*asked)
    lines = {tuple(words(line)) for text in asked for line in text.splitlines()}
    return tuple(
        rule
        for rule in read(answer if whole else answer.rpartition("\n")[0])
        if (said := words(rule))
        and tuple(said) not in lines
        and not source.leaks_into(rule)
        and not is_takeover(rule)
        and not is_private(rule)
    )
