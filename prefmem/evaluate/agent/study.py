"""The study: agents are trained, asked, compared with their users and others, and followed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from prefmem.agent.base import source_of
from prefmem.agent.generate import LocalAgent
from prefmem.agent.lesson import Lesson, Task
from prefmem.agent.recipe import Recipe, Target
from prefmem.agent.registry import Registry
from prefmem.agent.train import train
from prefmem.evaluate.agent import losses, scores, serving, transfer
from prefmem.evaluate.agent.authors import (
    KINDS,
    Split,
    contents,
    lessons_of,
    tasks,
    texts_of,
)
from prefmem.evaluate.agent.losses import Losses
from prefmem.evaluate.agent.obedient import Obedient
from prefmem.evaluate.agent.permutation import Permutation, permutation
from prefmem.evaluate.agent.plan import Plan
from prefmem.evaluate.agent.report import Study
from prefmem.evaluate.agent.winrate import Chat, Pair, win_rate
from prefmem.evaluate.metrics import Figure, mean
from prefmem.evaluate.stages import Stages
from prefmem.train.progress import Progress
from prefmem.types import UserKey

_ANSWER = 128  # tokens of rules
_TOGETHER = 16  # requests between two reports of progress
_VERDICT = 4  # tokens of a judge's answer
_OBEDIENT = "obedient"

Rules = dict[str, list[tuple[str, ...]]]  # by author, for each task


@dataclass(frozen=True, slots=True)
class Models:
    """Who follows rules, and who judges.

    Attributes:
        followers: Chat models by name.
        judge: Compares two texts; None for no win rate.
        judge_name: What it is called.
    """

    followers: Mapping[str, Chat]
    judge: Chat | None = None
    judge_name: str = ""


class Studies:
    """Runs a plan in a folder; what was done there with the same plan is not done again.

    Args:
        plan: What is done.
        out: The folder: agents, results of stages.
        cache: Folder for the unpacked weights of `smollm2`.
        progress: Told the stage, what is done and how much there is.
    """

    def __init__(
        self, plan: Plan, out: Path, *, cache: Path | None = None, progress: Progress
    ) -> None:
        """Open the folder."""
        self._plan, self._out, self._cache, self._tell = plan, out, cache, progress
        self._stages = Stages(out / "stages")
        self._registry = Registry(out / "agents")
        self._tasks = tasks("test", each=plan.intents, seed=plan.seed)

    def run(self, models: Models) -> Study:
        """Do all stages.

        Raises:
            MissingExtraError: A package that this needs is not installed.
            WeightsError: The base cannot be had.
        """
        plan, figures = self._plan, dict[str, Figure]()
        trained = {name: self._train(name, plan.recipe, "rules") for name in plan.authors}
        naive = {
            name: self._train(name, plan.recipe, "text") for name in plan.authors[: plan.naive]
        }
        for label, found in (("rule", trained), ("naive", naive)):
            if found:
                each = [_losses(kept) for kept in found.values()]
                figures |= losses.figures(each, name=f"{label} loss", seed=plan.seed)
        rules = {name: self._rules(name, kept) for name, kept in trained.items()}
        figures |= self._recovered(rules)
        for name, chat in models.followers.items():
            figures |= self._followed(name, transfer.chat_follower(chat), rules)
        figures |= self._followed(_OBEDIENT, self._obedient, rules)
        figures |= self._judged(models, rules)
        for rank in plan.ranks:
            figures |= self._swept(rank)
        if plan.adapters:
            figures |= self._served()
        curves = {name: kept["curve"] for name, kept in trained.items()}
        curves |= {f"naive {name}": kept["curve"] for name, kept in naive.items()}
        return Study(
            {**asdict(plan), "followers": [*models.followers], "judge": models.judge_name},
            figures, self._matrix(rules), self._tasks, rules, curves, self._stages.seconds,
        )  # fmt: skip

    # Training

    def _train(
        self, author: str, recipe: Recipe, target: Target, *, user: str = ""
    ) -> Mapping[str, Any]:
        """Train an adapter and measure its loss on the intents of the test."""
        plan, key = self._plan, UserKey(user or author)
        learned, kept_apart, held_out = (
            lessons_of(author, split, each=each, seed=plan.seed)
            for split, each in _lessons_of_splits(plan)
        )

        def work() -> Mapping[str, Any]:
            version = train(
                self._source, learned, kept_apart, registry=self._registry, user=key,
                recipe=recipe, seed=plan.seed, target=target,
                progress=self._named(f"{target} of {key.user_id}"),
            )  # fmt: skip
            found = losses.measure(
                self._source, version.folder, held_out, target,
                progress=self._named(f"loss, {key.user_id}"),
            )  # fmt: skip
            curve = version.manifest["metrics"]["curve"]["held_out"]
            return {
                "version": version.number, "hash": version.hash, "losses": asdict(found),
                "curve": curve, "lessons": len(learned),
            }  # fmt: skip

        settings = {
            "base": plan.base, "author": author, "recipe": asdict(recipe), "target": target,
            "lessons": _hash(learned, kept_apart, held_out), "seed": plan.seed,
        }  # fmt: skip
        stage = f"{'agent' if target == 'rules' else 'naive'}-{key.user_id}"
        return self._stages.run(
            stage, settings, work,
            whole=lambda kept: int(kept["version"]) in self._registry.numbers(key),
        )  # fmt: skip

    # Rules

    def _rules(
        self, author: str, trained: Mapping[str, Any], *, user: str = ""
    ) -> list[tuple[str, ...]]:
        """Let an author's agent write rules for all held-out tasks."""
        key = UserKey(user or author)

        def work() -> Mapping[str, Any]:
            asked = [(key, task) for task in self._tasks]
            return {"rules": self._asked(self._agent, asked, f"rules of {key.user_id}")}

        settings = {"agent": trained["hash"], "tasks": self._told(self._tasks)}
        found = self._stages.run(f"rules-{key.user_id}", settings, work)
        return [tuple(rules) for rules in found["rules"]]

    def _few_shot(self, author: str) -> list[tuple[str, ...]]:
        """Let the base alone write rules, shown a lesson of each kind."""
        plan = self._plan
        asked = self._tasks[: plan.shown]
        learned = lessons_of(author, "train", each=plan.texts, seed=plan.seed)
        shots = [next(x for x in learned if x.task.kind == kind) for kind in KINDS]

        def work() -> Mapping[str, Any]:
            agent = LocalAgent(
                Registry(self._out / "nobody"), base=self._source, few_shot=lambda user: shots,
                max_new_tokens=_ANSWER, batch_size=_TOGETHER,
            )  # fmt: skip
            pairs = [(UserKey(author), task) for task in asked]
            return {"rules": self._asked(agent, pairs, f"few-shot, {author}")}

        settings = {
            "base": plan.base, "tasks": self._told(asked), "shots": [asdict(s) for s in shots]
        }  # fmt: skip
        found = self._stages.run(f"few-shot-{author}", settings, work)
        return [tuple(rules) for rules in found["rules"]]

    def _asked(
        self, agent: LocalAgent, asked: Sequence[tuple[UserKey, Task]], name: str
    ) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = []
        self._tell(name, 0, len(asked))
        for start in range(0, len(asked), _TOGETHER):
            found += agent.rules_many(asked[start : start + _TOGETHER])
            self._tell(name, len(found), len(asked))
        return found

    def _recovered(self, rules: Rules) -> dict[str, Figure]:
        """Score the agents' rules, and those of few-shot prompting on the same tasks."""
        plan = self._plan
        scored = {name: self._scored(name, written) for name, written in rules.items()}
        figures = {
            f"agent: {name}": figure
            for name, figure in scores.recovery(_joined(scored), seed=plan.seed).items()
        }
        if not plan.shown:
            return figures
        shown = {name: self._scored(name, self._few_shot(name)) for name in rules}
        figures |= {
            f"few-shot: {name}": figure
            for name, figure in scores.recovery(_joined(shown), seed=plan.seed).items()
        }
        more = [
            ours.f1 - theirs.f1
            for name in rules
            for ours, theirs in zip(scored[name], shown[name], strict=False)
        ]
        return figures | {"agent above few-shot: marker score": mean(more, seed=plan.seed)}

    def _scored(self, author: str, written: Sequence[tuple[str, ...]]) -> list[scores.Score]:
        return [
            scores.score(rules, author, task.kind)
            for rules, task in zip(written, self._tasks, strict=False)
        ]

    def _matrix(self, rules: Rules) -> Permutation:
        cells = [
            [[score.f1 for score in self._scored(user, rules[agent])] for user in rules]
            for agent in rules
        ]
        return permutation(tuple(rules), cells, seed=self._plan.seed)

    def _swept(self, rank: int) -> dict[str, Figure]:
        """Train the first author's agent with another rank."""
        author, seed = self._plan.authors[0], self._plan.seed
        recipe, user = replace(self._plan.recipe, rank=rank), f"{author}-r{rank}"
        kept = self._train(author, recipe, "rules", user=user)
        written = self._rules(author, kept, user=user)
        found = losses.figures([_losses(kept)], name=f"rank {rank}, {author}: loss", seed=seed)
        recovered = scores.recovery(self._scored(author, written), seed=seed)
        return found | {f"rank {rank}, {author}: {n}": f for n, f in recovered.items()}

    def _served(self) -> dict[str, Figure]:
        """Serve many adapters on the base."""
        plan = self._plan

        def work() -> Mapping[str, Any]:
            found = serving.measure(
                self._source,
                adapters=plan.adapters,
                seed=plan.seed,
                progress=self._named("serving"),
            )
            return {label: asdict(figure) for label, figure in found.items()}

        settings = {"base": plan.base, "adapters": plan.adapters, "seed": plan.seed}
        kept = self._stages.run("serving", settings, work)
        return {f"serving: {label}": Figure(**figure) for label, figure in kept.items()}

    # Texts

    def _cases(self, rules: Rules) -> list[transfer.Case]:
        """Make the texts to write: authors in turn, the other agent is that of the next."""
        names = list(rules)
        each = -(-self._plan.prompts // len(names))
        return [
            transfer.Case(
                name, task,
                {
                    "own agent": rules[name][n], "no rules": (),
                    "another agent": rules[names[(at + 1) % len(names)]][n],
                },
            )
            for n, task in enumerate(self._tasks[:each])
            for at, name in enumerate(names)
        ]  # fmt: skip

    def _texts(
        self, name: str, follower: transfer.Follower, cases: Sequence[transfer.Case]
    ) -> Mapping[str, list[str]]:
        """Let a follower write the cases in all arms."""

        def work() -> Mapping[str, Any]:
            return transfer.write(follower, cases, progress=self._named(name))

        settings = {
            "follower": name, "answer": self._plan.answer, "cases": [asdict(c) for c in cases],
            "asked": [list(transfer.messages(c.task, c.rules["own agent"])) for c in cases[:1]],
        }  # fmt: skip
        safe = "".join(c if c.isalnum() or c in "-." else "-" for c in name)
        kept = self._stages.run(f"follow-{safe}", settings, work)
        return {arm: kept[arm] for arm in transfer.ARMS}

    def _followed(self, name: str, follower: transfer.Follower, rules: Rules) -> dict[str, Figure]:
        cases = self._cases(rules)
        texts = self._texts(name, follower, cases)
        found = transfer.figures(texts, cases, seed=self._plan.seed)
        return {f"{name}: {label}": figure for label, figure in found.items()}

    def _judged(self, models: Models, rules: Rules) -> dict[str, Figure]:
        """Let a judge compare texts of the first follower: with the agent's rules, without any."""
        plan, judge = self._plan, models.judge
        if judge is None:
            return {}
        name, chat = next(iter(models.followers.items()))
        cases = self._cases(rules)
        texts = self._texts(name, transfer.chat_follower(chat), cases)
        truths = {
            author: texts_of(author, "test", each=plan.intents, seed=plan.seed) for author in rules
        }
        both = zip(cases, texts["own agent"], texts["no rules"], strict=True)
        pairs = [Pair(ours, theirs, truths[case.author][case.task]) for case, ours, theirs in both][
            : plan.judged
        ]

        def work() -> Mapping[str, Any]:
            tell = self._named("judge")
            found = win_rate(judge, pairs, seed=plan.seed, progress=tell)
            return {label: asdict(figure) for label, figure in found.items()}

        settings = {"judge": models.judge_name, "pairs": [asdict(pair) for pair in pairs]}
        kept = self._stages.run("judge", settings, work)
        return {f"judge: {label}": Figure(**figure) for label, figure in kept.items()}

    # Parts

    @cached_property
    def _source(self) -> str | Path:
        return source_of(self._plan.base, cache=self._cache)

    @cached_property
    def _agent(self) -> LocalAgent:
        return LocalAgent(
            self._registry, base=self._source, max_new_tokens=_ANSWER, batch_size=_TOGETHER
        )

    @cached_property
    def _obedient(self) -> Obedient:
        plan = self._plan
        return Obedient(
            content
            for kind in KINDS
            for content in contents(kind, "test", each=plan.intents, seed=plan.seed)
        )

    def _named(self, name: str) -> Progress:
        return lambda stage, done, total: self._tell(f"{name}: {stage}", done, total)

    @staticmethod
    def _told(asked: Sequence[Task]) -> list[dict[str, Any]]:
        return [asdict(task) for task in asked]


def _lessons_of_splits(plan: Plan) -> tuple[tuple[Split, int], ...]:
    """Say how many texts of each topic there are in each split."""
    return ("train", plan.texts), ("dev", max(plan.texts, 2)), ("test", plan.intents)


def _hash(*splits: Sequence[Lesson]) -> str:
    told = json.dumps([[asdict(lesson) for lesson in split] for split in splits])
    return sha256(told.encode()).hexdigest()[:16]


def _joined(scored: Mapping[str, Sequence[scores.Score]]) -> list[scores.Score]:
    return [score for found in scored.values() for score in found]


def _losses(kept: Mapping[str, Any]) -> Losses:
    return Losses(*(tuple(kept["losses"][part]) for part in ("before", "after", "tokens")))
