"""The seams: what each exchangeable part must offer. `prefmem.testing` checks implementations."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol, runtime_checkable

from prefmem.interaction import (
    Choice,
    Deck,
    Entry,
    Followup,
    Judgement,
    KeptEdit,
    Numbers,
    Observation,
    Offer,
    Slate,
    UserState,
)
from prefmem.job import Backlog, Job
from prefmem.types import (
    Action,
    Card,
    Erasure,
    Event,
    Matrix,
    Preference,
    Recall,
    Relation,
    Risk,
    Shelf,
    Status,
    UserKey,
    Vector,
    Window,
)


@runtime_checkable
class Extractor(Protocol):
    """Finds the standing preferences in a window."""

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        """Extract what the user said in the named turns; the other turns are context.

        Every preference carries at least one verbatim quote of a named user turn.
        """
        ...


@runtime_checkable
class BatchExtractor(Extractor, Protocol):
    """An extractor that reads many windows faster together than one by one, as bulk jobs do."""

    def extract_many(
        self, items: Sequence[tuple[Window, Sequence[str]]]
    ) -> list[tuple[Preference, ...]]:
        """Extract from n windows, each with its named turns, what `extract` gives for each."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Turns text into unit vectors, the same vector for a text whatever is embedded with it."""

    @property
    def basis(self) -> str:
        """Name of the vector space: model and version. Vectors of two bases never meet."""
        ...

    @property
    def width(self) -> int:
        """Width e of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Embed n texts: unit rows, (n, e), float32."""
        ...

    def relevance(self, cosines: Vector) -> Vector:
        """Map cosines of query and rule, (k,), to probabilities that it applies, in [0, 1]."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Reads a request and a rule together, which tells more than their vectors do."""

    def relevance(self, query: str, rules: Sequence[str], cosines: Vector) -> Vector:
        """Give the probability that each of k rules applies to the request, (k,), in [0, 1].

        Args:
            query: The request, an earlier one before it on a line of its own.
            rules: k rules, at least one.
            cosines: Cosine of each with the request, (k,), in [-1, 1].
        """
        ...


@runtime_checkable
class Calibrated(Protocol):
    """An embedder or reranker that knows what a floor on its relevance costs."""

    @property
    def risk(self) -> Risk | None:
        """What was counted; None where nothing was."""
        ...


class Relater(Protocol):
    """Says what a new rule is to rules that are there."""

    def relations(
        self, new: Preference, old: Sequence[Preference]
    ) -> tuple[Mapping[Relation, float], ...]:
        """Give for each of n old rules the probability of every relation, in [0, 1], summing to 1.

        The words of the new rule's evidence may be read: they tell a changed mind ("from now on").
        """
        ...


class UserModel(Protocol):
    """Learns which cards work for a user. Pure: a state goes in, the next one comes out."""

    @property
    def name(self) -> str:
        """Name and version, as `ledger/1`; a state of another name is made again from the log."""
        ...

    def fresh(self, user_id: str) -> UserState:
        """Give the state of a user without history."""
        ...

    def prior(self, state: UserState, deck: Deck, places: Numbers) -> Vector:
        """Give the log-odds of cards before evidence of their own.

        Args:
            state: The user's state.
            deck: All active cards.
            places: Rows of the deck, (j,).

        Returns:
            Log-odds, (j,), float32.
        """
        ...

    def select(self, state: UserState, slate: Slate, *, floor: float, limit: int) -> Choice:
        """Weigh the cards that come into question.

        Args:
            state: The user's state; left as it is.
            slate: The cards and their relevance.
            floor: Worth that a rule the user is sure to hold needs, in [0, 1].
            limit: Cards that are injected at most.
        """
        ...

    def observe(self, state: UserState, offer: Offer, said: Observation, deck: Deck) -> UserState:
        """Learn from a follow-up; the state itself where there is nothing to learn.

        Args:
            state: The user's state; left as it is.
            offer: What was considered and injected before the follow-up.
            said: What the follow-up says.
            deck: The active cards, for models that need vectors; cards that are gone are left out.
        """
        ...

    def tick(self, state: UserState, session_id: str) -> UserState:
        """Begin a session; the state itself where it is under way."""
        ...


@runtime_checkable
class Judge(Protocol):
    """Says what a follow-up shows about the answer and the rules before it."""

    def judge(self, followups: Sequence[Followup]) -> tuple[Judgement, ...]:
        """Judge n follow-ups, each by itself."""
        ...


class Writer(Protocol):
    """Renders the rules of a recall as the block that the agent reads."""

    def __call__(self, recall: Recall, *, max_tokens: int, nonce: str) -> str:
        """Render within `max_tokens`; an empty string when there is nothing to say."""
        ...


class RuleWriter(Protocol):
    """A preference agent: writes rules for a request, by what it learned from a user's texts.

    Threads may share it; it answers for the user that it is asked about, never for another.
    """

    def version(self, user: UserKey) -> str:
        """Name what would answer for a user now, as an adapter and its hash; empty for nothing.

        Quick: no model is asked. An answer is kept under this name.
        """
        ...

    def rules(self, query: str, *, user: UserKey, context: str = "") -> tuple[str, ...]:
        """Write short rules that stand alone, the most important first; none for a stranger.

        Args:
            query: What the user asks for now.
            user: Whose rules.
            context: What the user asked for before.
        """
        ...

    def forget_user(self, user: UserKey) -> int:
        """Remove a user's adapters and all that they were made of; gives how many adapters."""
        ...


class Transaction(Protocol):
    """One all-or-nothing change of one user's data. Nothing slow belongs inside."""

    def knows(self, key: str) -> bool:
        """Whether an event with this idempotency key was recorded before."""
        ...

    def card(self, card_id: str) -> Card | None:
        """Read a card."""
        ...

    def twin(self, preference: Preference) -> Card | None:
        """Find the live card that says the same, letter case and spacing aside."""
        ...

    def revision(self) -> int:
        """Number that changes whenever the user's cards do; 0 before the first."""
        ...

    def record(self, event: Event, vectors: Mapping[str, Vector]) -> None:
        """Append the event and write its cards.

        Args:
            event: What happened.
            vectors: Unit vectors by card id, for every change whose op may bring a new text: `add`,
                `edit`, `restore`.
        """
        ...

    def state(self) -> UserState | None:
        """Read the user's state; None before the first."""
        ...

    def save_state(self, state: UserState) -> None:
        """Replace the user's state."""
        ...

    def note(self, entry: Entry) -> bool:
        """Append to the log of interaction; False where it holds the key already."""
        ...

    def interactions(self) -> tuple[Entry, ...]:
        """Read the log of interaction in order."""
        ...

    def keep_edit(self, edit: KeptEdit, *, most: int) -> bool:
        """Keep an edit, and of all the newest `most`; False where its key is known."""
        ...

    def numbers(self) -> Mapping[str, int]:
        """Give the number of every card, by card id."""
        ...

    def shelf(self) -> Shelf:
        """Read the active cards' vectors as they are now."""
        ...

    def finish(self, job: Job) -> bool:
        """Remove a job, together with what this transaction writes; False where it is gone."""
        ...

    def forget(self, card_id: str) -> bool:
        """Remove a card from the cards, every event, link and log entry; False when there is none.

        Its evidence leaves the state, and so do the dead jobs that hold one of its quotes.
        """
        ...

    def audit(
        self, action: Action, *, actor: str, at: datetime, card_id: str = "", n: int = 1
    ) -> None:
        """Append a line to the audit log; a store that keeps none does nothing.

        Args:
            action: What is done.
            actor: By whom.
            at: When, UTC.
            card_id: The card, where it is about one; it is kept as a keyed hash.
            n: About how many cards.
        """
        ...


class Jobs(Protocol):
    """The jobs that wait in a store. Times are given by the caller, UTC.

    A job belongs to its user: an erasure of the user removes it. Of one user one job runs at a
    time, in the order of putting in. A clock that was set back leaves no job waiting for longer
    than it was put off: a time farther ahead than `LONGEST` counts as past.
    """

    def put(self, job: Job, *, most: int, most_of_user: int) -> int:
        """Put a job in; the user's rows come to be where there are none.

        It takes the place of a waiting job of the same user and session, never begun, whose keys
        are all among its own; the time of that one's putting in and its place in the order stay,
        and it is put off `PATIENCE` times as long as at first at most.
        A job with the keys and session of one that is there, waiting, running or dead, is not put
        in again.

        Args:
            job: The job; its id is made here.
            most: Rows that the store holds at most.
            most_of_user: Rows of one user at most.

        Returns:
            How many others were dropped to make room: dead ones first, then waiting ones that
            nobody has begun, then those that are put off, each by age; never one that runs. The
            user's own where the user has too many.
        """
        ...

    def lease(
        self, owner: str, *, now: datetime, until: datetime, most: int, hurry: bool = False
    ) -> tuple[Job, ...]:
        """Take due jobs: the first of each user that has none running, the oldest due first.

        A lease that has run out counts as none. `tries` counts up. With `hurry` a job that was
        never begun is due at once.
        """
        ...

    def extend(self, owner: str, *, until: datetime) -> None:
        """Hold the owner's leases for longer."""
        ...

    def release(self, owner: str) -> None:
        """Give back the owner's leases, as if the jobs had not been begun."""
        ...

    def retry(self, job: Job, owner: str, *, due: datetime, error: str) -> None:
        """Put a leased job back for later; nothing where the owner lost the lease."""
        ...

    def bury(self, job: Job, owner: str, *, at: datetime, error: str) -> None:
        """Try a leased job no more, but keep it; nothing where the owner lost the lease."""
        ...

    def finish(self, job: Job) -> bool:
        """Remove a job; False where it is gone. `Transaction.finish` does it with the learning."""
        ...

    def revive(self, user: UserKey) -> int:
        """Try the dead jobs of a user again, as if new; gives how many."""
        ...

    def purge(self, before: datetime) -> int:
        """Remove the jobs that died before a time; gives how many."""
        ...

    def of(self, user: UserKey) -> tuple[Job, ...]:
        """Read a user's jobs in order, the dead ones among them."""
        ...

    def backlog(self, now: datetime) -> Backlog:
        """Count what waits, of all users."""
        ...


class Store(Protocol):
    """Keeps cards, events, states and jobs. Every method takes the user first."""

    @property
    def jobs(self) -> Jobs:
        """The jobs that wait."""
        ...

    def bind(self, basis: str, width: int) -> None:
        """Tie the store to one vector space, or check that it is tied to this one.

        Raises:
            BasisMismatchError: The store holds vectors of another basis or width.
        """
        ...

    def revision(self, user: UserKey) -> int:
        """Number that changes whenever the user's cards do; 0 for an unknown user."""
        ...

    def shelf(self, user: UserKey, *, status: Status = "active") -> Shelf:
        """Read the vectors of the cards that have a status, ordered by number."""
        ...

    def card(self, user: UserKey, card_id: str) -> Card | None:
        """Read one card."""
        ...

    def cards(
        self, user: UserKey, *, ids: Iterable[str] | None = None, status: Status | None = None
    ) -> tuple[Card, ...]:
        """Read cards, oldest first; only those in `ids`, only those of `status`."""
        ...

    def known(self, user: UserKey, keys: Sequence[str]) -> frozenset[str]:
        """Say which of these idempotency keys were recorded before.

        A key `words:` counts as recorded with every `words:x`, and `words:x` with `words:`.
        """
        ...

    def events(self, user: UserKey, *, card_id: str | None = None) -> tuple[Event, ...]:
        """Read the log in order; with `card_id` only the changes of that card."""
        ...

    def state(self, user: UserKey) -> UserState | None:
        """Read the user's state; None before the first."""
        ...

    def numbers(self, user: UserKey) -> Mapping[str, int]:
        """Give the number of every card, by card id: counted from 1, never given twice."""
        ...

    def note(self, user: UserKey, entry: Entry) -> bool:
        """Append to the log of interaction what nothing waits for; False where it was dropped.

        Never raises and never waits long: a busy or read-only store drops it.
        """
        ...

    def edits(self, user: UserKey) -> tuple[KeptEdit, ...]:
        """Read the edits that are kept, oldest first."""
        ...

    def noted(self, user: UserKey, key: str) -> bool:
        """Whether the log of interaction holds this key."""
        ...

    def interactions(
        self, user: UserKey, *, asked: str | None = None, recall_id: str | None = None
    ) -> tuple[Entry, ...]:
        """Read the log of interaction in order; only the newest offer of a query or of a recall."""
        ...

    def write(self, user: UserKey) -> AbstractContextManager[Transaction]:
        """Open a transaction; an exception inside undoes all of it."""
        ...

    def forget_user(
        self, user: UserKey, *, actor: str = "user", at: datetime | None = None
    ) -> Erasure:
        """Remove everything held about a user, and the freed bytes with it.

        Args:
            user: The user.
            actor: By whose wish, for the audit log.
            at: When, UTC; now, if not given.
        """
        ...

    def audit(self, user: UserKey, action: Action, *, actor: str, at: datetime, n: int = 1) -> None:
        """Append a line to the audit log by itself; a store that keeps none does nothing."""
        ...

    def users(self, tenant: str = "") -> tuple[str, ...]:
        """List the tenant's user ids."""
        ...

    def close(self) -> None:
        """Release the store; what was acknowledged is on disk."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A store that knows how many cards a user ever had without reading them."""

    def numbered(self, user: UserKey) -> int:
        """Give the last number of a card; 0 before the first. No more cards are there."""
        ...


@runtime_checkable
class BatchEraser(Protocol):
    """A store that erases many users faster together than one by one."""

    def forget_users(
        self, users: Sequence[UserKey], *, actor: str = "user", at: datetime | None = None
    ) -> Erasure:
        """Remove everything held about n users, and the freed bytes with it.

        Without users it clears the bytes that earlier erasures left.
        """
        ...
