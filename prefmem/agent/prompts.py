"""What a preference agent is asked, and the form of its answer: the same in training and in use."""

import re
from collections.abc import Sequence

from prefmem.agent.lesson import Task

MAX_RULES = 12
MAX_RULE_CHARS = 200
_MAX_INTENT_CHARS = 2_000
_SYSTEM = "List the rules by which this user would write the text."
_WRITE = "Write the text as this user would."
_MARK = re.compile(r"^[ \t]*(?:[-*+•–]|\d{1,2}[.):])[ \t]+")
_SPACE = re.compile(r"\s+")
Messages = list[dict[str, str]]


def rules_asked(task: Task) -> Messages:
    """Give the messages that ask for the rules of a task."""
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _told(task)}]


def text_asked(task: Task) -> Messages:
    """Give the messages that ask for the text itself: naive fine-tuning (arXiv 2410.03731)."""
    return [{"role": "system", "content": _WRITE}, {"role": "user", "content": _told(task)}]


def written(rules: Sequence[str]) -> str:
    """Give rules as an agent writes them: one a line, each with a dash."""
    return "\n".join(f"- {_SPACE.sub(' ', rule).strip()}" for rule in rules)


def read(answer: str) -> tuple[str, ...]:
    """Read the rules of an agent's answer, in order, each once.

    A line without a mark before the first rule is no rule, nor is an empty one, a question, or one
    that is longer than 200 characters; at most 12 are read.
    """
    found: dict[str, str] = {}
    for line in answer.splitlines():
        mark = _MARK.match(line)
        rule = _SPACE.sub(" ", line[mark.end() :] if mark else "").strip()
        if rule and len(rule) <= MAX_RULE_CHARS and not rule.endswith((":", "?")):
            found.setdefault(rule.casefold(), rule)
        if len(found) == MAX_RULES:
            break
    return tuple(found.values())


def _told(task: Task) -> str:
    """Show a task as bullet points: a request in prose would be answered in prose."""
    head = task.kind.capitalize() + (f" to {task.to}" if task.to else "")
    subject = f"\nSubject: {task.subject}" if task.subject else ""
    said = filter(None, map(str.strip, task.intent[:_MAX_INTENT_CHARS].splitlines()))
    points = "\n".join(line if _MARK.match(line) else f"- {line}" for line in said)
    return f"{head}{subject}\n{points}"
