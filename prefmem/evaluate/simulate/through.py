"""Simulated users who talk to the real memory: text in, text out, nothing stands in for a model.

The world is the simulator's: who holds what, what is asked, what is missed, what harms. Relevance,
extraction, reconciliation, judging and learning are the memory's own.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from prefmem import defaults
from prefmem.config import Config
from prefmem.evaluate.metrics import Figure, mean, ratio
from prefmem.evaluate.simulate.nature import Nature, Reaction
from prefmem.evaluate.simulate.pools import Pools
from prefmem.evaluate.simulate.setting import Setting
from prefmem.evaluate.simulate.users import User, draw
from prefmem.memory import PreferenceMemory
from prefmem.protocols import Extractor
from prefmem.train.progress import Progress
from prefmem.types import Evidence, Preference, Recall, Window

_TURNS = 10
_REPLY = "Here is a first version."
_WHEN = re.compile(r"When (?P<condition>[^,]+), (?P<action>.+)")
_LEAST = 0.5  # confidence of a card that is in force
COLUMNS = ("turns", "complaints", "first", "missed", "harmed", "injected")


@dataclass(frozen=True, slots=True, eq=False)
class Talked:
    """What became of a user.

    Attributes:
        counts: Sums over the turns of each session, (sessions, 6), columns as in `COLUMNS`.
        cards: Active cards at the end.
    """

    counts: npt.NDArray[np.float64]
    cards: int


class _Scripted:
    """Extracts what the script says from the turns that set the scene, by a model from others."""

    def __init__(self, model: Extractor) -> None:
        self._model = model
        self.script: dict[str, float] = {}

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        scripted = {t.id: t.text for t in window.turns if t.text in self.script}
        rest = [i for i in turn_ids if i not in scripted]
        found = tuple(
            _preference(scripted[i], self.script[scripted[i]], i) for i in turn_ids if i in scripted
        )
        return found + (self._model.extract(window, rest) if rest else ())


def talk(user: User, pools: Pools, setting: Setting, model: str) -> Talked:
    """Let a user talk to a memory.

    Args:
        user: The user.
        pools: The pools that the user was drawn from.
        setting: The world that the user was drawn for.
        model: The memory's user model: `ledger`, `vars` or `none`.
    """
    extractor = _Scripted(defaults.extractor(Config()))
    config = Config(limit=setting.limit, max_global=setting.limit)
    with PreferenceMemory(
        ":memory:", user_model=model, extractor=extractor, config=config
    ) as memory:
        life = _Life(user, pools, setting, memory, extractor)
        for session in range(setting.sessions):
            life.session(session)
        cards = memory.list(user_id=life.name, status="active")
        return Talked(life.counts, len(cards))


def compare(
    pools: Pools,
    setting: Setting,
    *,
    models: Sequence[str],
    seed: int,
    users: int,
    progress: Progress,
    each: Callable[[str, int, Talked], None] = lambda _model, _user, _talked: None,
) -> dict[str, Figure]:
    """Let the same users talk to memories with several user models.

    Args:
        pools: What is held and asked.
        setting: The world.
        models: User models; the first is compared with each of the others.
        seed: Of the population.
        users: Number of users.
        progress: Told the stage, what is done and how much there is.
        each: Told what became of each user.

    Returns:
        Complaint rates over turns, and the differences of the users' own rates to the first model,
        paired by user, each with its 95% interval over users.
    """
    rates: dict[str, list[tuple[float, float]]] = {model: [] for model in models}
    done = 0
    for index in range(users):
        user = draw(pools, setting, seed, index)
        for model in models:
            talked = talk(user, pools, setting, model)
            turns, complaints = talked.counts.sum(axis=0)[:2].tolist()
            rates[model].append((complaints, turns))
            each(model, index, talked)
            done += 1
            progress("users", done, users * len(models))
    figures: dict[str, Figure] = {}
    own = {m: [c / t for c, t in rates[m]] for m in models}
    for model in models:
        complaints, turns = zip(*rates[model], strict=True)
        figures[f"{model}: complaint rate"] = ratio(complaints, turns, seed=seed)
    for model in models[1:]:
        pairs = zip(own[models[0]], own[model], strict=True)
        figures[f"{models[0]} - {model}"] = mean([a - b for a, b in pairs], seed=seed)
    return figures


class _Life:
    def __init__(
        self,
        user: User,
        pools: Pools,
        setting: Setting,
        memory: PreferenceMemory,
        extractor: _Scripted,
    ) -> None:
        self.user, self.pools, self.setting = user, pools, setting
        self.memory, self.extractor = memory, extractor
        self.name = f"{user.seed}-{user.index}"
        self.nature = Nature(user, pools, setting)
        self.counts = np.zeros((setting.sessions, len(COLUMNS)))
        self.slots: dict[str, int] = {}  # of each card, by its id
        self.there: set[int] = set()

    def session(self, session: int) -> None:
        """Set the scene, then go through the tasks; a complaint repeats the task."""
        self._store(session)
        tasks, name = self.user.tasks[session], f"session {session}"
        restated = np.zeros(len(self.user.items), dtype=np.bool_)
        done, before = 0, ""
        said = Reaction(-1, 0, -1, cue=False)
        text = self._task(tasks[0])
        for turn in range(_TURNS):
            recall = self.memory.recall(text, user_id=self.name, session_id=name, strict=True)
            if before:
                self._learn(before, text, name, said)
            coins = self.nature.coins(session, turn)
            truth = self.nature.truth(tasks[done], session)
            slots = self._injected(recall)
            suffered = self.nature.suffer(truth, slots, restated, coins)
            said = self.nature.react(truth, suffered, coins)
            self.counts[session] += (
                1, suffered.complaint, suffered.complaint and turn == 0, suffered.missed.size > 0,
                suffered.harms.size > 0, len(recall.rules),
            )  # fmt: skip
            if said.preference >= 0:
                restated[said.preference] = True
            done += not suffered.complaint
            words = self.pools.texts[said.text]
            before = text
            if done == len(tasks):
                self._learn(before, words, name, said)
                return
            text = f"{words} {self._task(tasks[done])}"
        self._learn(before, text, name, said)

    def _task(self, task: int) -> str:
        return self.pools.texts[int(self.pools.queries[task])]

    def _store(self, session: int) -> None:
        """Let the memory learn the cards that are due, true ones and mistakes of an extractor."""
        born = self.user.born
        due = [i for i in np.flatnonzero(born < session + 1).tolist() if i not in self.there]
        self.there.update(due)
        for slot in due:
            text = self.pools.texts[int(self.user.texts[slot])]
            self.extractor.script[text] = max(_LEAST, float(self.user.confidence[slot]))
            report = self.memory.learn(
                [("user", text)], user_id=self.name, session_id=f"scene {slot}"
            )
            for card in (*report.added, *report.updated):
                self.slots.setdefault(card.id, slot)

    def _learn(self, before: str, text: str, session: str, said: Reaction) -> None:
        """Learn a turn; what is extracted from a restatement is about its preference."""
        turns = [("user", before), ("assistant", _REPLY), ("user", text)]
        report = self.memory.learn(turns, user_id=self.name, session_id=session)
        for card in report.added:
            if said.preference >= 0:
                self.slots[card.id] = int(self.user.own[said.preference])

    def _injected(self, recall: Recall) -> npt.NDArray[np.int64]:
        """Name the slots of the injected cards; what was extracted by mistake has none."""
        ids = (card_id for rule in recall.rules for card_id in rule.card_ids)
        return np.unique([self.slots[i] for i in ids if i in self.slots]).astype(np.int64)


def _preference(text: str, confidence: float, turn_id: str) -> Preference:
    parts = _WHEN.match(text)
    slots = parts.groupdict() if parts else {"condition": "", "action": text}
    rule = Preference(slots["condition"], slots["action"].rstrip("."), confidence=confidence)
    return replace(rule, evidence=(Evidence(turn_id, text),))
