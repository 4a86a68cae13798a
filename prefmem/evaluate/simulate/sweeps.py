"""Other worlds in which a user model is measured with every change."""

from dataclasses import dataclass, replace

from prefmem.errors import ConfigError
from prefmem.evaluate.simulate.runs import Plan
from prefmem.evaluate.simulate.setting import Setting

_WORLD = Setting()


@dataclass(frozen=True, slots=True)
class Sweep:
    """A world that differs from the default.

    Attributes:
        setting: The world; the number of sessions is the plan's, or its own where that is smaller.
        embedder: Name of another space; empty for the plan's.
        users: Users at most.
    """

    setting: Setting
    embedder: str = ""
    users: int = 1 << 30

    def of(self, plan: Plan) -> Plan:
        """Give the plan in this world."""
        setting = replace(self.setting, sessions=min(plan.setting.sessions, self.setting.sessions))
        return replace(
            plan,
            setting=setting,
            embedder=self.embedder or plan.embedder,
            users=min(plan.users, self.users),
        )


SWEEPS = {
    "sign-clear": Sweep(replace(_WORLD, inverted=0.10, neutral=0.20)),
    "sign-poor": Sweep(replace(_WORLD, inverted=0.45, neutral=0.60)),
    "restates-0.3": Sweep(replace(_WORLD, restates=0.3)),
    "restates-0": Sweep(replace(_WORLD, restates=0.0)),
    "no-text": Sweep(replace(_WORLD, restates=0.0, names=0.0, mentions=0.0)),
    "precision-0.25": Sweep(replace(_WORLD, precision=0.25)),
    "precision-0.8": Sweep(replace(_WORLD, precision=0.8)),
    "limit-1": Sweep(replace(_WORLD, limit=1)),
    "limit-5": Sweep(replace(_WORLD, limit=5)),
    "limit-8": Sweep(replace(_WORLD, limit=8)),
    "cards-500": Sweep(replace(_WORLD, extra=500)),
    "cards-5000": Sweep(replace(_WORLD, extra=5000, sessions=30), users=10),
    "weak-reranker": Sweep(replace(_WORLD, known=0.5, noise=1.2)),
    "no-drift": Sweep(replace(_WORLD, drift=None)),
    "harm-0.3": Sweep(replace(_WORLD, harm=0.3)),
    "harm-2": Sweep(replace(_WORLD, harm=2.0)),
    "malicious": Sweep(replace(_WORLD, malicious=True)),
    "hash": Sweep(_WORLD, embedder="hash"),
}


def chosen(names: list[str]) -> dict[str, Sweep]:
    """Look up sweeps; `all` stands for every one.

    Raises:
        ConfigError: There is none of a name.
    """
    unknown = [name for name in names if name not in SWEEPS and name != "all"]
    if unknown:
        raise ConfigError(f"sweeps {unknown!r} are unknown; known are all, {', '.join(SWEEPS)}")
    wanted = list(SWEEPS) if "all" in names else names
    return {name: SWEEPS[name] for name in wanted}
