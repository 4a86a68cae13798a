"""Rules that one model wrote, followed by another: do its texts become the author's?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prefmem.agent.lesson import Task
from prefmem.evaluate.agent.scores import wanted_of
from prefmem.evaluate.agent.winrate import Chat, Message
from prefmem.evaluate.metrics import Figure, mean
from prefmem.train.progress import Progress

# Writes the text of each task by the rules beside it.
Follower: TypeAlias = Callable[[Sequence[tuple[Task, tuple[str, ...]]]], list[str]]

ARMS = ("own agent", "no rules", "another agent")
_SYSTEM = "You are a helpful assistant."
_RECITED = 24  # letters of a rule that are no chance in an answer
_TOGETHER = 16


@dataclass(frozen=True, slots=True)
class Case:
    """A text to be written for an author.

    Attributes:
        author: Whose style is wanted.
        task: What to write.
        rules: By arm.
    """

    author: str
    task: Task
    rules: Mapping[str, tuple[str, ...]]


def chat_follower(chat: Chat) -> Follower:
    """Let a chat model write what `messages` asks."""

    def write(asked: Sequence[tuple[Task, tuple[str, ...]]]) -> list[str]:
        return chat([messages(task, rules) for task, rules in asked])

    return write


def messages(task: Task, rules: Sequence[str]) -> list[Message]:
    """Give what a chat model reads: the task as a request, and rules as a list behind it."""
    request = f"Write the {_asked(task)}\n{task.intent}"
    if rules:
        request += "\n\nFollow these rules:\n" + "\n".join(f"- {rule}" for rule in rules)
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": request}]


def write(
    follower: Follower, cases: Sequence[Case], *, arms: Sequence[str] = ARMS, progress: Progress
) -> dict[str, list[str]]:
    """Let a follower write every case in every arm; gives the texts by arm, (cases,)."""
    texts: dict[str, list[str]] = {arm: [] for arm in arms}
    for start in range(0, len(cases), _TOGETHER):
        part = cases[start : start + _TOGETHER]
        for number, arm in enumerate(arms):
            texts[arm] += follower([(case.task, case.rules[arm]) for case in part])
            done = start * len(arms) + (number + 1) * len(part)
            progress(f"writing, {arm}", done, len(cases) * len(arms))
    return texts


def figures(
    texts: Mapping[str, Sequence[str]], cases: Sequence[Case], *, seed: int
) -> dict[str, Figure]:
    """Give the share of the authors' markers in each arm, and what the first has more, paired.

    Args:
        texts: By arm, one for each case.
        cases: What they were written for.
        seed: Of the resampling of cases.
    """
    shares = {
        arm: [
            share(text, case.author, case.task, case.rules[arm])
            for text, case in zip(written, cases, strict=True)
        ]
        for arm, written in texts.items()
    }
    found = {arm: mean(each, seed=seed) for arm, each in shares.items()}
    own, *others = shares
    for arm in others:
        more = [a - b for a, b in zip(shares[own], shares[arm], strict=True)]
        found[f"{own} above {arm}"] = mean(more, seed=seed)
    return found


def share(text: str, author: str, task: Task, rules: Sequence[str] = ()) -> float:
    """Give the share of an author's planted markers that a text shows.

    A text that is empty, or repeats the request or a rule, shows none: a small model that falls
    silent is short, too, one that repeats bullet points has them, and both follow nobody.
    """
    if not _sound(text, task, rules):
        return 0.0
    wanted = wanted_of(author, task.kind)
    return sum(marker.holds(text) for marker in wanted) / len(wanted)


def _asked(task: Task) -> str:
    to = f" to {task.to}" if task.to else ""
    about = f' "{task.subject}"' if task.subject else ""
    return f"{task.kind}{to}{about} that says:"


def _sound(text: str, task: Task, rules: Sequence[str]) -> bool:
    said = text.casefold()
    known = [rule.rstrip(".") for rule in rules if len(rule) >= _RECITED]
    repeated = any(each.casefold() in said for each in (*known, _asked(task)))
    return bool(said.split()) and not repeated
