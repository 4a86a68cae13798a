"""Figures of the persona experiment, and the published ones beside them."""

from collections.abc import Callable, Mapping, Sequence

from prefmem.evaluate.metrics import Figure, mean, ratio
from prefmem.evaluate.personas.pool import KINDS
from prefmem.evaluate.personas.study import Lived
from prefmem.evaluate.personas.talk import PHASES, Scored
from prefmem.evaluate.publish import Measured
from prefmem.evaluate.table import Cell, Lines, Part

NEAR = 3  # injected rules that Recall@k looks at: as many as VARS injects
_OURS, _BARE = "prefmem", "no memory"
_SEED = 0  # of the resampling
_BROKEN = {"length": "too long", "layout": "wrong layout", "language": "wrong language"}
# VARS (arXiv 2603.20939), appendix C, second session: with its memory, and without.
_PUBLISHED: Mapping[str, tuple[str, str]] = {
    "satisfaction": ("0.950", "0.725"),
    "too long": ("0.167", "0.417"),
    "missing bullets": ("0.000", "0.500"),
    "Recall@k, length": ("0.67", "-"),
    "Recall@k, layout": ("0.83", "-"),
    "Recall@k, language": ("1.00", "-"),
    "satisfaction, ten sessions": ("0.975", "0.8625"),
}
Lives = Mapping[str, Sequence[Lived]]
_Count = Callable[[Scored], float]


def measured(lives: Lives) -> Measured:
    """Sum up lives by arm; intervals come from resampling them, a life being persona and seed."""
    phases = tuple(_phase(lives, phase) for phase in PHASES)
    return Measured((*phases, _recall(lives), _gain(lives), _beside(lives)), (_curve(lives),))


def _phase(lives: Lives, phase: str) -> Part:
    rows: dict[str, dict[str, Cell]] = {}
    for arm, found in lives.items():
        rows.setdefault("satisfaction", {})[arm] = _share(found, _satisfaction, phase)
        for kind, name in _BROKEN.items():
            rows.setdefault(name, {})[arm] = _broken(found, kind, phase)
        rows.setdefault("of no use", {})[arm] = _share(found, lambda s: not s.usable, phase)
        if phase == "mixed":
            rows.setdefault("with a complaint", {})[arm] = _share(
                found, lambda s: s.complained, phase
            )
    return Part(rows, f"Session {list(PHASES).index(phase) + 1}, {phase}: share of answers")


def _recall(lives: Lives) -> Part:
    rows: dict[str, dict[str, Cell]] = {
        kind: {p: _recalled(lives[_OURS], kind, p) for p in ("retain", "mixed")} for kind in KINDS
    }
    rows["injected rules that state no wish"] = {
        phase: ratio(
            [_sum(one, lambda s: s.kinds.count(""), phase) for one in lives[_OURS]],
            [_sum(one, lambda s: len(s.kinds), phase) for one in lives[_OURS]], seed=_SEED,
        )
        for phase in ("retain", "mixed")
    }  # fmt: skip
    return Part(rows, f"prefmem: Recall@{NEAR} of the rule for each wish")


def _gain(lives: Lives) -> Part:
    """Give what each arm adds to no memory, paired by persona and seed."""
    rows: dict[str, dict[str, Cell]] = {}
    for phase in ("retain", "mixed"):
        bare = [_own(one, phase) for one in lives[_BARE]]
        for arm, found in lives.items():
            if arm != _BARE:
                pairs = zip(found, bare, strict=True)
                gain = [_own(one, phase) - without for one, without in pairs]
                rows.setdefault(phase, {})[arm] = mean(gain, seed=_SEED)
    return Part(rows, f"Satisfaction above {_BARE}, paired")


def _beside(lives: Lives) -> Part:
    """Put the second session beside the published one."""
    bulleted = {
        arm: [one for one in found if one.persona.form("layout") == "bullets"]
        for arm, found in lives.items()
    }
    rows: dict[str, dict[str, Cell]] = {}
    for name, (with_it, without) in _PUBLISHED.items():
        ours, bare = (_here(name, arm, lives, bulleted) for arm in (_OURS, _BARE))
        rows[name] = {
            _OURS: ours, "VARS, published": with_it,
            f"{_BARE}, here": bare, f"{_BARE}, published": without,
        }  # fmt: skip
    return Part(rows, "Second session beside VARS, appendix C", drawn=False)


def _here(name: str, arm: str, lives: Lives, bulleted: Lives) -> Cell:
    """Give our figure for a published one; a dash where there is none."""
    if name == "satisfaction":
        return _share(lives[arm], _satisfaction, "retain")
    if name == "too long":
        return _broken(lives[arm], "length", "retain")
    if name == "missing bullets":
        return _broken(bulleted[arm], "layout", "retain")
    figure, _, kind = name.partition(", ")
    if figure == "Recall@k" and arm == _OURS:
        return _recalled(lives[arm], kind, "retain")
    return "-"


def _curve(lives: Lives) -> Lines:
    series = {
        arm: [
            (turn + 1.0, sum(one.answers[turn].satisfaction for one in found) / len(found))
            for turn in range(sum(PHASES.values()))
        ]
        for arm, found in lives.items()
    }
    first, second = PHASES["reveal"], PHASES["reveal"] + PHASES["retain"]
    marks = (first + 0.5, second + 0.5)
    return Lines("Satisfaction; a line where a session begins", "request", "satisfaction", series,
                 marks=marks)  # fmt: skip


def _satisfaction(answer: Scored) -> float:
    return answer.satisfaction


def _broken(lives: Sequence[Lived], kind: str, phase: str) -> Figure:
    return ratio(
        [_sum(one, lambda s: kind in s.broken, phase) for one in lives],
        [_sum(one, lambda s: kind in s.owed, phase) for one in lives], seed=_SEED,
    )  # fmt: skip


def _recalled(lives: Sequence[Lived], kind: str, phase: str) -> Figure:
    return _share(lives, lambda s: kind in s.kinds[:NEAR], phase)


def _share(lives: Sequence[Lived], count: _Count, phase: str) -> Figure:
    return ratio(
        [_sum(one, count, phase) for one in lives],
        [_sum(one, lambda s: 1.0, phase) for one in lives], seed=_SEED,
    )  # fmt: skip


def _own(life: Lived, phase: str) -> float:
    return _sum(life, _satisfaction, phase) / PHASES[phase]


def _sum(life: Lived, count: _Count, phase: str) -> float:
    return float(sum(count(one) for one in life.answers if one.phase == phase))
