"""The values that travel through prefmem. All are frozen; none knows a model, a store or a host."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.errors import UserRequiredError

Role: TypeAlias = Literal["user", "assistant", "system", "tool"]
Origin: TypeAlias = Literal["typed", "prefill", "paste"]
Polarity: TypeAlias = Literal["do", "avoid"]
ScopeKind: TypeAlias = Literal["global", "conditional"]
Status: TypeAlias = Literal["active", "candidate", "quarantined", "superseded", "expired"]
Source: TypeAlias = Literal["said", "edited", "inferred", "distilled", "imported", "added"]
RuleSource: TypeAlias = Literal["card", "lora"]
Relation: TypeAlias = Literal["same", "supersede", "exception", "widen", "distinct"]
EventKind: TypeAlias = Literal["learn", "add", "edit", "forget", "load", "undo", "sweep"]
Action: TypeAlias = Literal[
    "add", "edit", "confirm", "undo", "forget", "forget_user", "export", "load", "rebuild", "sweep",
    "replay", "restore",
]  # fmt: skip
Op: TypeAlias = Literal["add", "merge", "edit", "supersede", "restore", "remove"]
Reason: TypeAlias = Literal[
    "global", "relevant",  # these two are injected
    "irrelevant", "doubted", "paused", "other audience", "overruled", "duplicate",
    "contradicted", "refused",  # these two of what an agent wrote
    "over limit", "over global limit", "over budget",
    "candidate", "quarantined", "superseded", "expired",
]  # fmt: skip
Vector: TypeAlias = npt.NDArray[np.float32]
Matrix: TypeAlias = npt.NDArray[np.float32]

MAX_ID_BYTES = 256
# No two of these say the same.
LIVE: frozenset[Status] = frozenset({"active", "candidate", "quarantined"})
# Words that open a condition by themselves: "For weeknight dinners, ..." needs no "When".
_OPENERS = frozenset(
    {
        "after", "as", "at", "before", "by", "during", "every", "for", "from", "if", "in", "inside",
        "on", "once", "outside", "since", "under", "unless", "until", "when", "whenever", "where",
        "while", "with", "within", "without",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class UserKey:
    """The checked name of a user: what every store method takes first.

    Attributes:
        user_id: The host's authenticated id: any text of 1 to 256 UTF-8 bytes without NUL.
        tenant: Stands before the user in every key; empty where there is one tenant.

    Raises:
        UserRequiredError: The id is missing, blank, too long, or holds NUL or a lone surrogate.
    """

    user_id: str
    tenant: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be a key."""
        if not isinstance(self.user_id, str) or not self.user_id.strip():  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may pass anything
            raise UserRequiredError(
                f"user_id={self.user_id!r}: a user id is needed, there is no default user; "
                "pass the id that your host has authenticated"
            )
        for name, text in (("user_id", self.user_id), ("tenant", self.tenant)):
            if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # as above
                raise UserRequiredError(f"{name} is a {type(text).__name__}; pass a text")
            if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
                raise UserRequiredError(f"{name}={text!r} holds NUL or a lone surrogate")
            if len(text.encode()) > MAX_ID_BYTES:
                raise UserRequiredError(
                    f"{name} has {len(text.encode())} bytes, at most {MAX_ID_BYTES} fit; "
                    "pass a hash of it instead"
                )


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a dialogue.

    Attributes:
        id: Name of the turn within its window; evidence points to it.
        role: Who spoke.
        text: What was said.
        at: When, in UTC; None where the host does not say.
        origin: How a user turn came to be: `typed`, filled in by a link (`prefill`), or pasted as a
            whole (`paste`). What is not typed gives the memory no order and judges no answer, and a
            rule in it waits in quarantine.
    """

    id: str
    role: Role
    text: str
    at: datetime | None = None
    origin: Origin = "typed"


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of one user's dialogue, oldest turn first."""

    user_id: str
    session_id: str
    turns: tuple[Turn, ...]

    @property
    def query(self) -> str:
        """Text of the last user turn; empty when the user has not spoken."""
        return next((t.text for t in reversed(self.turns) if t.role == "user"), "")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a preference was said: a verbatim quote from one user turn."""

    turn_id: str
    quote: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a preference holds.

    Attributes:
        kind: `global` for every answer, `conditional` where its condition or topic comes up.
        task: Kind of task it is bound to, if any.
        audience: Person or channel it is bound to, if any.
        language: BCP 47 tag it is bound to, if any.
    """

    kind: ScopeKind = "conditional"
    task: str | None = None
    audience: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Preference:
    """What an extractor says: under a condition, the user wants an action done or avoided.

    Attributes:
        condition: Completes "When ..."; empty when the user named none.
        action: An instruction that can stand alone, its negation included.
        polarity: `avoid` when the action keeps away from something.
        confidence: Probability that the user would sign this rule, in [0, 1].
        scope: Where it holds.
        evidence: The user's own words.
    """

    condition: str
    action: str
    polarity: Polarity = "do"
    confidence: float = 1.0
    scope: Scope = field(default_factory=Scope)
    evidence: tuple[Evidence, ...] = ()

    @property
    def text(self) -> str:
        """The rule as one sentence; this is what gets embedded."""
        if not self.condition:
            text = self.action
        elif self.condition.split()[0].lower() in _OPENERS:
            text = f"{self.condition}, {self.action}"
        else:
            text = f"When {self.condition}, {self.action}"
        return f"{text[:1].upper()}{text[1:].rstrip('.')}."


@dataclass(frozen=True, slots=True)
class Link:
    """What one rule is to another.

    Attributes:
        relation: `supersede` and `widen` take the other's place, an `exception` holds in a narrower
            situation or for a while.
        card_id: The other card; empty where there is none, as after words that only took back.
        probability: That the relation holds, in [0, 1].
    """

    relation: Relation
    card_id: str
    probability: float


@dataclass(frozen=True, slots=True)
class Card:
    """A stored preference.

    Attributes:
        id: Opaque name, unique within the user.
        user_id: Whose card it is.
        preference: The rule itself.
        status: `active` cards are recalled; a `candidate` is not sure yet and becomes active when
            it is said again; `quarantined` ones wait for the user's confirmation.
        source: How it came to be known.
        session_id: Conversation of its first evidence; empty when there was none.
        valid_from: Since when it holds, UTC.
        recorded_at: When it was last written, UTC.
        valid_to: Until when it holds or held; None for no end.
        superseded_by: Id of the card that took its place.
        links: Rules that this one is an `exception` to and wins over where both apply, or over what
            took their place; with `supersede` or `widen`, rules whose place it takes once it is
            confirmed.
    """

    id: str
    user_id: str
    preference: Preference
    status: Status
    source: Source
    session_id: str
    valid_from: datetime
    recorded_at: datetime
    valid_to: datetime | None = None
    superseded_by: str | None = None
    links: tuple[Link, ...] = ()

    @property
    def text(self) -> str:
        """The rule as one sentence; this is what gets embedded."""
        return self.preference.text

    def as_of(self, now: datetime) -> "Card":
        """Give the card as it stands at a time, UTC: a live one whose end has come is expired."""
        over = self.status in LIVE and self.valid_to is not None and self.valid_to <= now
        return replace(self, status="expired") if over else self


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A card that might apply to a query.

    Attributes:
        card: The card.
        embedding: Its unit vector, (e,).
        dense: Cosine of query and card, in [-1, 1].
        relevance: Calibrated probability that the rule applies to the query, in [0, 1].
        dense_relevance: That probability by the cosine alone, where a reranker had its say; None
            where it had not.
        belief: Probability that injecting it is right where it applies, by what has worked for
            this user, in [0, 1].
        worth: What it is ranked by and what the floor is held against; None for the relevance.
    """

    card: Card
    embedding: Vector
    dense: float
    relevance: float
    dense_relevance: float | None = None
    belief: float = 1.0
    worth: float | None = None

    @property
    def total(self) -> float:
        """What it is ranked by: relevance weighed with belief, on the scale of relevance."""
        return self.relevance if self.worth is None else self.worth


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a candidate is injected or not.

    Attributes:
        reason: `global` and `relevant` rules are injected. `irrelevant`: below the floor.
            `doubted`: relevant enough, but what the user said about it speaks against it.
            `paused`: the user wants this conversation to go without it. `other audience`: the
            request names somebody else, or another language. `overruled`: an
            exception to it applies. `duplicate`: an injected rule says the same. `over limit`,
            `over global limit`, `over budget`: better ones took the places, or the tokens. Of what
            a preference agent wrote: `contradicted` by what the user said; `refused`, as it is no
            rule about answers, or too private or too long for one. The others are a card's status.
        by: Id of the card that overrules it, says the same, or contradicts it; else empty.
    """

    reason: Reason
    by: str = ""

    @property
    def injected(self) -> bool:
        """Whether the rule is injected."""
        return self.reason in ("global", "relevant")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One candidate of a recall, with what decided about it.

    Attributes:
        card_id: The card.
        text: Its rule.
        scope: Whether it holds for every answer.
        status: The card's.
        dense: Cosine of query and card, in [-1, 1].
        dense_relevance: Probability that it applies by the cosine alone, in [0, 1].
        relevance: The probability that counts; another one only where it was reranked.
        belief: Probability that injecting it is right where it applies.
        worth: Both together, as it is held against the floor.
        reranked: Whether a reranker read query and rule together.
        floor: Relevance that was needed; 0 for a global rule.
        verdict: What was decided, and why.
    """

    card_id: str
    text: str
    scope: ScopeKind
    status: Status
    dense: float
    dense_relevance: float
    relevance: float
    belief: float
    worth: float
    reranked: bool
    floor: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Rule:
    """One line for the prompt.

    Attributes:
        text: The instruction.
        source: `card`, or `lora` for a preference agent's rule.
        card_ids: Cards that it rests on.
        since: When the newest of them was said, UTC; of an agent's rule a moment before all that
            the user said, which wins over it.
        kind: `global` when it holds for every answer, `conditional` when the query brought it up.
        mark: Name of an agent's rule, by which `render` finds it in this process; else empty.
    """

    text: str
    source: RuleSource
    card_ids: tuple[str, ...]
    since: datetime
    kind: ScopeKind = "conditional"
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A rule that a preference agent wrote for a request, with what decided about it.

    Attributes:
        text: The rule.
        verdict: What was decided, and why; `relevant` for one that is injected.
    """

    text: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Recall:
    """What one query brought up: the receipt of an injection.

    Attributes:
        id: Opaque name.
        user_id: Whose cards were asked.
        session_id: Conversation the query belongs to.
        query: The text that was asked for.
        candidates: Everything considered, best first.
        chosen: Positions in `candidates` of what is injected, in order.
        rules: The lines for the prompt: one for each chosen candidate, then the agent's.
        basis: Name of the embedder whose vectors were compared.
        at: When, UTC.
        verdicts: What was decided about each candidate, in their order.
        floor: Relevance that a conditional rule needed, in [0, 1].
        missing: What it was made without, as it failed or was late: `reranker`, `embedder`,
            `store`, `agent`; with `rules` among them nothing was found out, and there is no rule.
        written: What a preference agent wrote for the query, in its order.
    """

    id: str
    user_id: str
    session_id: str
    query: str
    candidates: tuple[Candidate, ...]
    chosen: tuple[int, ...]
    rules: tuple[Rule, ...]
    basis: str
    at: datetime
    verdicts: tuple[Verdict, ...] = ()
    floor: float = 0.0
    missing: tuple[str, ...] = ()
    written: tuple[Written, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """What `render` takes in place of the recall: ids of cards, marks of an agent's rules.

        They say nothing by themselves, so they may lie in a checkpoint.
        """
        return tuple(name for rule in self.rules for name in (*rule.card_ids, rule.mark) if name)

    @property
    def failed(self) -> bool:
        """Whether nothing was found out, as the store or a model failed or was late."""
        return "rules" in self.missing

    def explain(self) -> tuple[Explanation, ...]:
        """Say of every candidate why it is injected or not: the injected first, in order."""
        others = [i for i, verdict in enumerate(self.verdicts) if not verdict.injected]
        return tuple(self._explained(i) for i in (*self.chosen, *others))

    def _explained(self, position: int) -> Explanation:
        found = self.candidates[position]
        card, before = found.card, found.dense_relevance
        scope = card.preference.scope.kind
        return Explanation(
            card.id, card.text, scope, card.status, found.dense,
            found.relevance if before is None else before, found.relevance, found.belief,
            found.total, before is not None,
            0.0 if scope == "global" else self.floor, self.verdicts[position],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Risk:
    """How often something unwarranted is injected at a floor, counted on requests put aside.

    Attributes:
        cases: Requests that were counted.
        losses: Share of them where a rule that does not apply reaches the floor, for floors from 0
            to 1 in equal steps; it never rises.
    """

    cases: int
    losses: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LearnReport:
    """What one call of `learn` did.

    Attributes:
        added: New cards.
        updated: Cards that gained evidence.
        skipped: User turns that were learned before, or that hold no text.
        turns: User turns that were read now.
        closed: Cards that were superseded or withdrawn.
        events: Ids of the events that changed cards: what `undo` takes.
    """

    added: tuple[Card, ...] = ()
    updated: tuple[Card, ...] = ()
    skipped: int = 0
    turns: int = 0
    closed: tuple[Card, ...] = ()
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One card as an event left it.

    Attributes:
        op: What became of it; after `remove` it is no longer there.
        card: The card; after `remove` as it was.
        reason: Why: the relation that merged it, or the rule that took its place.
    """

    op: Op
    card: Card
    reason: Link | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a user's append-only log; the cards are a fold over these in `seq` order.

    Attributes:
        key: Idempotency key, unique within the user: the same key changes nothing a second time.
        kind: What happened.
        changes: The cards it wrote.
        at: When, UTC; never used for ordering.
        seq: Position in the log, from 1; 0 before it is recorded.
    """

    key: str
    kind: EventKind
    changes: tuple[Change, ...]
    at: datetime
    seq: int = 0

    @property
    def id(self) -> str:
        """A short name of the key, 12 hexadecimal digits: what `undo` takes."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:12]

    @property
    def undoes(self) -> str | None:
        """Id of the event that this one takes back, if it does."""
        told = self.kind == "undo" and self.key.startswith("undo:")
        return self.key.split(":")[1] if told else None


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """The cards of a user that have one status, as vectors: what an index is built from.

    Attributes:
        revision: Revision of the user that this is a picture of.
        ids: Card ids, (n,).
        always: Whether card i is global, (n,).
        confidence: Confidence of card i, (n,), in [0, 1].
        matrix: Unit vectors, (n, e).
        ends: When card i ends, (n,), in seconds since 1970, infinite for no end; None where no card
            has an end.
        numbers: Number of card i, (n,), ascending; None where nothing counts them.
    """

    revision: int
    ids: tuple[str, ...]
    always: npt.NDArray[np.bool_]
    confidence: Vector
    matrix: Matrix
    ends: npt.NDArray[np.float64] | None = None
    numbers: npt.NDArray[np.int64] | None = None

    def living(self, now: datetime) -> npt.NDArray[np.bool_]:
        """Say of each card whether its end is still ahead at a time, (n,)."""
        if self.ends is None:
            return np.ones(len(self.ids), dtype=np.bool_)
        return self.ends > now.timestamp()


@dataclass(frozen=True, slots=True)
class Erasure:
    """Receipt of an erasure.

    Attributes:
        cards: Cards removed.
        events: Log entries removed.
        checkpointed: Whether the freed bytes have left the files; False while another connection
            is reading, or where the file is too large to be rewritten in passing. Then a later
            erasure, `close`, or the store's `compact` clears them.
        interactions: Lines of the log of interaction among the log entries.
        edits: Kept edits removed.
        jobs: Windows removed that waited to be learned from.
        states: Users of whom something had been learned from use, which is removed.
        busy: Whether another connection was reading, so that its log still holds freed bytes.
        listed: Whether the erasure is in the list that outlives the loss of the store, so that a
            backup does not bring the user back; False where there is no such file, or it could not
            be written: then write the list elsewhere with `prefmem erasures export`.
        adapters: Adapters of a preference agent removed, with what they were made of.
    """

    cards: int
    events: int
    checkpointed: bool
    interactions: int = 0
    edits: int = 0
    jobs: int = 0
    states: int = 0
    busy: bool = False
    listed: bool = False
    adapters: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at for damage.

    Attributes:
        what: Its name.
        ok: Whether it is as it should be.
        detail: What was found, without any user's words.
    """

    what: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was made again from a user's logs.

    Attributes:
        cards: Ids of cards that were missing or wrong.
        removed: Ids of cards that no log tells of.
        vectors: Ids of cards whose vector was damaged, or of another text.
        state: Whether the learned state was wrong.
    """

    cards: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()
    state: bool = False

    def __bool__(self) -> bool:
        """Whether anything was wrong."""
        return bool(self.cards or self.removed or self.vectors or self.state)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did.

    Attributes:
        users: Users that were looked at.
        ended: Cards that ended, as nobody had confirmed them.
        removed: Cards that were removed, with their evidence, as they had been over for long.
    """

    users: int = 0
    ended: int = 0
    removed: int = 0
