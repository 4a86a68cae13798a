"""What a study of agents found, in Markdown: figures, and what agents learned in plain words."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prefmem.agent.lesson import Task
from prefmem.agent.markers import named
from prefmem.evaluate.agent.authors import KINDS
from prefmem.evaluate.agent.permutation import Permutation
from prefmem.evaluate.agent.scores import key, planted_in, score
from prefmem.evaluate.metrics import Figure

FALL, GAP, CHANCE, SHARE = 0.3, 0.3, 0.05, 0.7  # what has to be reached
Rules = Mapping[str, Sequence[tuple[str, ...]]]  # by author, for each task


@dataclass(frozen=True, slots=True)
class Check:
    """One figure that has to be reached.

    Attributes:
        name: What is measured.
        found: What was measured.
        wanted: What it has to be, in words.
        passed: Whether it is.
    """

    name: str
    found: Figure
    wanted: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Study:
    """All that was measured.

    Attributes:
        settings: What was asked for.
        figures: By name.
        matrix: Every agent against every user.
        tasks: Held-out tasks, the same for all.
        rules: What each agent wrote for each task.
        curves: Points of step and held-out loss, by name.
        seconds: How long each stage took.
    """

    settings: Mapping[str, object]
    figures: Mapping[str, Figure]
    matrix: Permutation
    tasks: Sequence[Task]
    rules: Rules
    curves: Mapping[str, Sequence[tuple[float, float]]]
    seconds: Mapping[str, float]


def checks(study: Study) -> list[Check]:
    """Compare a study with what agents have to reach."""
    found, matrix = study.figures, study.matrix
    p = Figure(matrix.p, matrix.p, matrix.p, matrix.gap.cases)
    made = [
        _at_least("rule loss: fall", found, FALL),
        Check("diagonal less the rest", matrix.gap, f"at least {GAP}", matrix.gap.value >= GAP),
        Check("permutation p", p, f"below {CHANCE}", matrix.p < CHANCE),
        _at_least("agent: recovered", found, SHARE),
        _at_least("agent: precision", found, SHARE),
    ]
    made += [
        Check(name, figure, "interval above 0", figure.low > 0)
        for name, figure in found.items()
        if ": own agent above " in name
    ]
    return made


def markdown(study: Study) -> str:
    """Write the report."""
    lines = ["# The preference agent, measured", ""]
    lines += [f"- {name}: {value}" for name, value in study.settings.items()]
    lines += ["", "## What has to be reached", ""]
    lines += _table(
        ("figure", "found", "wanted", "reached"),
        [(c.name, str(c.found), c.wanted, "yes" if c.passed else "no") for c in checks(study)],
    )
    lines += ["", "## Every agent against every user", "", "![heat map](permutation.png)", ""]
    lines += _matrix(study.matrix)
    lines += ["", "## Figures", "", "Intervals are 95% bootstrap intervals over the cases.", ""]
    lines += _table(
        ("figure", "value and interval", "cases"),
        [(name, str(figure), str(figure.cases)) for name, figure in study.figures.items()],
    )
    lines += ["", "![loss](loss.png)", "", "## What each agent says", ""]
    lines += [
        "Each rule with the share of held-out intents of its kind that the agent writes it for;",
        "`planted` or `true` of the author's texts, or `wrong`.", "",
    ]  # fmt: skip
    for author in study.rules:
        lines += _author(author, study)
    lines += ["## Time", ""]
    lines += _table(("stage", "seconds"), [(name, f"{s:.0f}") for name, s in study.seconds.items()])
    return "\n".join(lines) + "\n"


def _at_least(name: str, found: Mapping[str, Figure], least: float) -> Check:
    figure = found[name]
    return Check(name, figure, f"at least {least}", figure.value >= least)


def _matrix(found: Permutation) -> Iterator[str]:
    yield from _table(
        ("rules by the agent of", *(f"markers of {name}" for name in found.names)),
        [
            (name, *(f"{score:.3f}" for score in row))
            for name, row in zip(found.names, found.matrix, strict=True)
        ],
    )
    yield ""
    yield (
        f"Diagonal less the rest: {found.gap}; p = {found.p:.4f} over assignments of agents to "
        f"users; {found.own} of {len(found.names)} agents score highest against their own user."
    )


def _author(author: str, study: Study) -> Iterator[str]:
    yield f"### {author}"
    yield ""
    for kind in KINDS:
        pairs = zip(study.tasks, study.rules[author], strict=True)
        written = [rules for task, rules in pairs if task.kind == kind]
        if not written:
            continue
        counts = Counter(rule for rules in written for rule in dict.fromkeys(rules))
        planted = planted_in(author, kind)
        yield f"**{kind}**, planted: {', '.join(sorted(planted))}"
        yield ""
        for rule, count in counts.most_common():
            yield f"- {count / len(written):.0%} {_verdict(rule, author, kind)}: {rule}"
        said = {key(marker) for rule in counts if (marker := named(rule))}
        if missed := sorted(planted - said):
            yield f"- never said: {', '.join(missed)}"
        yield ""


def _verdict(rule: str, author: str, kind: str) -> str:
    found = score([rule], author, kind)
    return "planted" if found.recovered else "true" if found.right else "wrong"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
