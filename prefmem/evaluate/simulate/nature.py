"""What befalls a simulated user in a turn, and what is said then: all that a policy never sees.

Environment draws of a turn come from `Philox(key=[user, 64 * session + turn])`, one uniform for
each preference and each card slot, so that two policies on one seed meet the same users, tasks,
coins and noise. The key's first word is the seed in its upper and the user in its lower half.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.evaluate.simulate.pools import Pools
from prefmem.evaluate.simulate.setting import Setting
from prefmem.evaluate.simulate.users import User
from prefmem.interaction import Flags, Numbers
from prefmem.types import Vector

_Floats: TypeAlias = npt.NDArray[np.float64]

_SCALARS = 12
_COMPLIANCE, _REMEMBERED = 0.9, 0.85
_TALKS, _UNHAPPY = 0.6, 0.08
_CUE_NAMED, _CUE_OTHER = 0.80, 0.05
# Probabilities that an injected card harms.
_UNFIT, _WRONG, _ONEOFF, _FAR, _MALICE = 0.04, 0.30, 0.10, 0.05, 0.5
_MALICIOUS = 2.0  # log-odds of relevance that the malicious card passes for


@dataclass(frozen=True, slots=True, eq=False)
class Coins:
    """Uniform draws of a turn, named by what they decide."""

    complies: _Floats  # (P,)
    remembers: _Floats  # (P,)
    misses: _Floats  # (P,)
    harms: _Floats  # (S,)
    talks: float
    unhappy: float
    neutral: float
    inverted: float
    restates: float
    variant: float
    names: float
    mentions: float
    which: float
    template: float
    cue: float
    extracted: float


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """How things are for a task.

    Attributes:
        wanted: Preferences that are held and apply, (P,).
        about: Cards about a preference that applies, held or not, (S,).
        kept: Cards about a preference that is held, (S,).
    """

    wanted: Flags
    about: Flags
    kept: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Suffered:
    """What went wrong: preferences missed, the most needed first, and slots that did harm."""

    missed: Numbers
    harms: Numbers

    @property
    def complaint(self) -> bool:
        """Whether the user complains."""
        return bool(self.missed.size or self.harms.size)


@dataclass(frozen=True, slots=True)
class Reaction:
    """What the user says: text, the sign read off it, preference or -1, and the rejection cue."""

    text: int
    sign: int
    preference: int
    cue: bool


class Nature:
    """The environment of one user.

    Args:
        user: The user.
        pools: The pools that the user was drawn from.
        setting: The world that the user was drawn for.
    """

    def __init__(self, user: User, pools: Pools, setting: Setting) -> None:
        """Start without any draws."""
        self._user, self._pools, self._setting = user, pools, setting
        self._errors: dict[int, Vector] = {}
        self._same: Flags = user.items[:, None] == user.about  # (P, S)

    def coins(self, session: int, turn: int) -> Coins:
        """Draw what is left to chance in a turn."""
        p, s = len(self._user.items), len(self._user.about)
        who = (self._user.seed << 32) + self._user.index
        key = np.array([who, 64 * session + turn], dtype=np.uint64)
        drawn = np.random.Generator(np.random.Philox(key=key)).random(_SCALARS + 3 * p + s)
        each = drawn[_SCALARS : _SCALARS + 3 * p].reshape(3, p)
        scalars: list[float] = drawn[:_SCALARS].tolist()
        return Coins(each[0], each[1], each[2], drawn[_SCALARS + 3 * p :], *scalars)

    def truth(self, task: int, session: int) -> Truth:
        """Look up what applies to a task and is held in a session."""
        user, applies = self._user, self._pools.applies[task]
        held = user.held(session)
        mine = np.zeros(len(applies), dtype=np.bool_)
        mine[user.items[held]] = True
        one = user.about >= 0
        return Truth(held & applies[user.items], one & applies[user.about], one & mine[user.about])

    def relevance(
        self, task: int, cosines: Vector, slots: Numbers, truth: Truth, just: int
    ) -> Vector:
        """Stand in for a reranker: sigmoid(8 (cos - 0.35) + 2 [applies] - 1.5 + 0.8 N(0, 1)).

        Args:
            task: The query.
            cosines: Of query and each candidate, (k,).
            slots: The candidates, (k,).
            truth: What applies.
            just: Preference that the last follow-up restated, and so passes for applying; or -1.
        """
        known = truth.about[slots]
        if just >= 0:
            known = known | (self._user.about[slots] == self._user.items[just])
        logits = 8 * (cosines - 0.35) + self._setting.known * known - 1.5
        logits += self._setting.noise * self._error(task)[slots]
        logits[slots == self._user.malicious] = _MALICIOUS
        relevance: Vector = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return relevance

    def suffer(self, truth: Truth, slots: Numbers, restated: Flags, coins: Coins) -> Suffered:
        """Say what goes wrong with some cards injected.

        Args:
            truth: What applies and is held.
            slots: Cards injected.
            restated: Preferences that were restated earlier in the session, (P,).
            coins: Draws of the turn.
        """
        user = self._user
        served = self.injected(slots) & (coins.complies < _COMPLIANCE)
        served |= restated & (coins.remembers < _REMEMBERED)
        missed = np.flatnonzero(truth.wanted & ~served & (coins.misses < user.eta))
        missed = missed[np.argsort(-user.eta[missed], kind="stable")]
        return Suffered(missed, slots[coins.harms[slots] < self.danger(truth, slots)])

    def react(self, truth: Truth, suffered: Suffered, coins: Coins) -> Reaction:
        """Choose what the user says, and what is read off it."""
        rates, pools = self._setting, self._pools
        unhappy = suffered.complaint or coins.unhappy < _UNHAPPY
        sign = -1 if unhappy else 1
        sign = -sign if coins.inverted < rates.inverted else sign
        sign = 0 if coins.neutral < rates.neutral else sign
        preference, named = self._subject(truth, suffered, coins, unhappy)
        variant = int(coins.variant < 0.5)
        if named >= 0:
            text = pools.named[self._user.texts[named], variant]
        elif preference >= 0:
            text = pools.restated[self._user.items[preference], variant]
        else:
            said = pools.templates[sign]
            text = said[int(coins.template * said.size)]
        cue = coins.cue < (_CUE_NAMED if named >= 0 else _CUE_OTHER)
        return Reaction(int(text), sign, preference, cue)

    def injected(self, slots: Numbers) -> Flags:
        """Say which preferences have one of their cards injected, (P,)."""
        shown: Flags = np.logical_or.reduce(self._same[:, slots], axis=1)
        return shown

    def danger(self, truth: Truth, slots: Numbers) -> _Floats:
        """Give the probability that each injected card harms."""
        about, kept = truth.about[slots], truth.kept[slots]
        danger = np.where(about, _WRONG, _FAR)
        danger[self._user.about[slots] < 0] = _ONEOFF
        danger[kept] = _UNFIT
        danger[kept & about] = 0.0
        danger[slots == self._user.malicious] = _MALICE
        return np.minimum(self._setting.harm * danger, 1.0)

    def regret(self, truth: Truth, slots: Numbers, restated: Flags, there: Flags) -> float:
        """Give the expected loss above that of an oracle in the same place.

        The loss is the need of what applies, is held, and is neither restated nor injected, a
        tenth of the need of what is injected, and the probabilities of harm. The oracle injects
        the preferences of the largest need that apply and have a card.

        Args:
            truth: What applies and is held.
            slots: Cards injected.
            restated: Preferences that were restated earlier in the session, (P,).
            there: Slots that hold a card, (S,).
        """
        eta = self._user.eta
        wanted = np.flatnonzero(truth.wanted & self.injected(np.flatnonzero(there)))
        order = np.argsort(-eta[wanted], kind="stable")[: self._setting.limit]
        best = np.zeros(len(eta), dtype=np.bool_)
        best[wanted[order]] = True
        loss = self._loss(truth, truth.wanted & self.injected(slots), restated)
        harm = float(self.danger(truth, slots).sum())
        return loss + harm - self._loss(truth, best, restated)

    def merit(self, slots: Numbers, truth: Truth) -> Vector:
        """Give the need that each card meets, (k,); of two cards of a preference the first."""
        merit = np.zeros(slots.size, dtype=np.float32)
        for wanted in np.flatnonzero(truth.wanted).tolist():
            cards = np.flatnonzero(self._user.about[slots] == self._user.items[wanted])
            merit[cards[:1]] = self._user.eta[wanted]
        return merit

    def _loss(self, truth: Truth, injected: Flags, restated: Flags) -> float:
        eta = self._user.eta
        missing = truth.wanted & ~injected & ~restated
        return float(eta[missing].sum() + 0.1 * eta[injected].sum())

    def _error(self, task: int) -> Vector:
        """Draw the reranker's error, fixed for each query and slot, (S,)."""
        if task not in self._errors:
            rng = np.random.default_rng([self._user.seed, self._user.index, 7, task])
            drawn = rng.standard_normal(len(self._user.about))
            self._errors[task] = drawn.astype(np.float32)
        return self._errors[task]

    def _subject(
        self, truth: Truth, suffered: Suffered, coins: Coins, unhappy: bool
    ) -> tuple[int, int]:
        """Choose the preference that is restated and the card that is named; -1 for none."""
        rates, harms = self._setting, suffered.harms
        if suffered.missed.size and (not harms.size or coins.talks < _TALKS):
            return (int(suffered.missed[0]) if coins.restates < rates.restates else -1), -1
        if harms.size:
            named = int(harms[int(coins.which * harms.size)])
            return -1, (named if coins.names < rates.names else -1)
        wanted = np.flatnonzero(truth.wanted)
        if wanted.size and not unhappy and coins.mentions < rates.mentions:
            return int(wanted[int(coins.which * wanted.size)]), -1
        return -1, -1
