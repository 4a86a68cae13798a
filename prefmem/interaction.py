"""The values of learning from interaction: what was offered, what came back, what is made of it.

Cards are told apart by their number here: the store counts a user's cards from 1, never gives a
number twice, and so a log of numbers and figures holds no text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.types import Event, Matrix, Reason, Vector

Numbers: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Label: TypeAlias = Literal["satisfied", "dissatisfied", "neutral"]

_NONE: Numbers = np.zeros(0, dtype=np.int64)
_EMPTY: Vector = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Deck:
    """A user's active cards, as a user model sees them.

    Attributes:
        numbers: Card numbers, ascending, (m,): older cards have smaller ones.
        matrix: Unit vectors, (m, e).
        confidence: Confidence of each card, in [0, 1], (m,).
        doubt: How nearly a newer card is about the same, in [0, 1], (m,).
        basis: Vector space of `matrix`.
    """

    numbers: Numbers
    matrix: Matrix
    confidence: Vector
    doubt: Vector
    basis: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Slate:
    """The cards that come into question for a query.

    Attributes:
        deck: All active cards of the user.
        places: Rows of `deck` that come into question, (k,).
        relevance: Calibrated probability of each that it applies, in [0, 1], (k,).
    """

    deck: Deck
    places: Numbers
    relevance: Vector


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What a user model makes of a slate.

    Attributes:
        worth: What to rank by, (k,); at least 0.
        belief: Probability of each card that injecting it is right where it applies, (k,).
        prior: Log-odds of that before any evidence, (k,).
        chance: Probability with which the policy puts each card among those injected, (k,).
        floor: Worth that a card needs to be injected; 0 for a policy that never abstains.
    """

    worth: Vector
    belief: Vector
    prior: Vector
    chance: Vector
    floor: float


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """What one recall considered and what it injected: the receipt that feedback is charged to.

    Attributes:
        recall_id: The recall.
        session_id: Its conversation.
        asked: Keyed hash of the query, 16 hexadecimal digits; a follow-up finds its offer by it.
        numbers: Cards considered, (k,).
        relevance: Calibrated probability of each that it applied, in [0, 1], (k,).
        prior: Log-odds of each before evidence, (k,).
        chance: Probability with which the policy injects each, in [0, 1], (k,).
        shown: Which were injected, (k,).
        reasons: Why each was injected or not, (k,).
        model: Name of the user model that chose.
        at: When, UTC.
    """

    recall_id: str
    session_id: str
    asked: str
    numbers: Numbers
    relevance: Vector
    prior: Vector
    chance: Vector
    shown: Flags
    reasons: tuple[Reason, ...]
    model: str
    at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What a follow-up, or a person's explicit word, says about an offer.

    Attributes:
        recall_id: The offer it is about; empty where there is none.
        session_id: Conversation that it was said in.
        label: What the follow-up shows about the answer.
        reward: The same as a number, in [-1, 1]; 0 where nothing is shown.
        said: Probability that the follow-up says a card again, or names one, in [0, 1].
        rejects: Whether it says that a rule should not have been applied.
        numbers: Cards that it may be about, (j,).
        fit: How well each fits what was said: log-likelihood up to a constant, (j,).
        prior: Log-odds of each before evidence, (j,).
        taught: Numbers of the cards that were learned from a complaint, (t,).
        taught_prior: Log-odds of these before evidence, (t,).
        similarity: Cosine of follow-up and query, in [-1, 1].
        paused: Numbers of cards that the session is to go without; 0 stands for all of them.
        heard: Whether a follow-up was read; False for a button or a command, after which the
            follow-up is still to come.
    """

    recall_id: str = ""
    session_id: str = ""
    label: Label = "neutral"
    reward: float = 0.0
    said: float = 0.0
    rejects: bool = False
    numbers: Numbers = field(default_factory=_NONE.copy)
    fit: Vector = field(default_factory=_EMPTY.copy)
    prior: Vector = field(default_factory=_EMPTY.copy)
    taught: Numbers = field(default_factory=_NONE.copy)
    taught_prior: Vector = field(default_factory=_EMPTY.copy)
    similarity: float = 0.0
    paused: Numbers = field(default_factory=_NONE.copy)
    heard: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Followup:
    """A user turn, with what it follows.

    Attributes:
        query: What the user asked for before.
        reply: The assistant's answer; empty where it is not known.
        text: What the user says now.
        rules: Cards that the turn may be about, (j,).
        shown: Which of them were injected for the answer, (j,).
        cosines: Best cosine of a sentence of `text` with each, in [-1, 1], (j,).
        to_query: Cosine of `query` with each, in [-1, 1], (j,).
        similarity: Cosine of `text` and `query`, in [-1, 1].
    """

    query: str
    reply: str
    text: str
    rules: tuple[str, ...]
    shown: Flags
    cosines: Vector
    to_query: Vector
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a follow-up shows.

    Attributes:
        label: About the answer.
        confidence: Probability of the label, in [0, 1].
        restates: Probability that the turn says each rule again, in [0, 1], (j,).
        rejects: Probability that it says of each rule that it should not have been applied, (j,).
        topic_shift: Probability that it begins another topic, in [0, 1].
    """

    label: Label
    confidence: float
    restates: Vector
    rejects: Vector
    topic_shift: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class UserState:
    """What is known of a user beside the cards. A value: a user model gives the next one.

    Attributes:
        user_id: Whose state it is.
        model: User model that made it, with its version; empty before the first.
        basis: Space that `long` and `short` live in; empty where there are none.
        numbers: Cards with evidence, ascending, (m,).
        evidence: Log-odds that a card is right, relative to its prior, in [-5, 5], float32, (m,).
        amount: How much evidence came in, at least 0, of half precision, (m,).
        prior: Log-odds before evidence as last seen, of half precision, (m,).
        turns: Follow-ups seen.
        restated: How much of them restated a card.
        long: Long-term vector of the published policy, (d,); empty in other models.
        short: Its short-term vector, which starts at zero with every session, (d,).
        baseline: Its running mean reward.
        session_id: The session that is under way.
        paused: Cards that are not injected in this session, ascending; 0 stands for all of them.
        sessions: Sessions seen.
        steps: Number of updates so far.
    """

    user_id: str
    model: str = ""
    basis: str = ""
    numbers: Numbers = field(default_factory=_NONE.copy)
    evidence: Vector = field(default_factory=_EMPTY.copy)
    amount: Vector = field(default_factory=_EMPTY.copy)
    prior: Vector = field(default_factory=_EMPTY.copy)
    turns: int = 0
    restated: float = 0.0
    long: Vector = field(default_factory=_EMPTY.copy)
    short: Vector = field(default_factory=_EMPTY.copy)
    baseline: float = 0.0
    session_id: str = ""
    paused: Numbers = field(default_factory=_NONE.copy)
    sessions: int = 0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class KeptEdit:
    """A draft and what the user made of it, kept so that later edits can bear a rule out.

    Attributes:
        key: Idempotency key.
        context: What kind of text it is, in free words.
        draft: The text that was shown.
        final: The text as the user left it.
        at: When, UTC.
    """

    key: str
    context: str
    draft: str
    final: str
    at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One line of the log of interaction; a user's state is a fold over these in `seq` order.

    Attributes:
        key: Idempotency key: the same key changes nothing a second time.
        payload: What was offered, or what came back.
        at: When, UTC; never used for ordering.
        seq: Position in the user's log, from 1, counted together with events; 0 before that.
    """

    key: str
    payload: Offer | Observation
    at: datetime
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What had been learned about a card at a time.

    Attributes:
        number: The card.
        evidence: Log-odds that it is right, relative to its prior, in [-5, 5].
        at: When the evidence came to be that, UTC.
    """

    number: int
    evidence: float
    at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """What happened to a user's cards, and in their use: for looking, everything oldest first.

    Attributes:
        events: What changed cards, with the cards as they were left.
        interactions: What recalls offered, and what came back.
        standings: How the evidence of the cards grew; none where the user model keeps none.
        numbers: Number of each card, by card id: what the interactions call it.
    """

    events: tuple[Event, ...]
    interactions: tuple[Entry, ...]
    standings: tuple[Standing, ...]
    numbers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Considered:
    """One card as a recall of the past considered it.

    Attributes:
        card_id: The card.
        relevance: Calibrated probability that it applied, in [0, 1], as logged.
        belief: Probability that injecting it was right where it applied, in [0, 1], worked out anew
            from what had come back by then; None where the card is not active any more.
        worth: Both together, on the scale of relevance; None as above.
        chance: Probability with which the policy injected it, in [0, 1], as logged.
        injected: Whether it was injected.
        reason: Why, or why not.
    """

    card_id: str
    relevance: float
    belief: float | None
    worth: float | None
    chance: float
    injected: bool
    reason: Reason


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back on a recall.

    Attributes:
        label: What it shows about the answer.
        reward: The same as a number, in [-1, 1].
        heard: Whether it was read off a follow-up; False for a button or a command.
        at: When, UTC.
    """

    label: Label
    reward: float
    heard: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class PastRecall:
    """A recall that was logged. What was asked is not kept.

    Attributes:
        recall_id: The recall.
        session_id: Its conversation.
        at: When, UTC.
        model: Name of the user model that chose.
        floor: Relevance that a conditional rule needs without a word on it in the call, in [0, 1].
        candidates: The cards that were considered and not forgotten since, best first.
        answers: What came back on it, oldest first.
    """

    recall_id: str
    session_id: str
    at: datetime
    model: str
    floor: float
    candidates: tuple[Considered, ...]
    answers: tuple[Answered, ...]
