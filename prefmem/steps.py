"""The steps that the verbs of a memory are made of: compare and write, find and weigh.

`memory.py` is the flow; what one of its lines stands for is here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import TypeVar

import numpy as np

from prefmem.asking import Asking
from prefmem.cards.authority import is_takeover
from prefmem.cards.check import checked
from prefmem.cards.compare import Unrelated, compared, nearby
from prefmem.cards.reconcile import inherited
from prefmem.cards.record import Draft, Recorder
from prefmem.cards.validity import dated
from prefmem.commands import Command
from prefmem.config import Config
from prefmem.defence.limits import Allowance, allowance
from prefmem.defence.origin import is_doubtful
from prefmem.defence.privacy import private_of, secrets_in
from prefmem.errors import (
    InputError,
    NotFoundError,
)
from prefmem.guard.breaker import LeftAloneError
from prefmem.guard.course import Leg, misused, survived
from prefmem.guard.parts import Parts, WatchedJudge
from prefmem.interaction import Deck, Entry, Offer
from prefmem.messages import clean
from prefmem.protocols import (
    Embedder,
    Extractor,
    Judge,
    Relater,
    Reranker,
    Store,
    Transaction,
    Writer,
)
from prefmem.render import render_block, rule_room, rule_size
from prefmem.retrieve.audience import addressed
from prefmem.retrieve.dense import nearest, ranked, scored, views
from prefmem.retrieve.rerank import Reranking
from prefmem.retrieve.risk import injection_floor
from prefmem.retrieve.select import Room
from prefmem.stores.faiss import IndexCache, UserIndex
from prefmem.stores.pencil import Pencil
from prefmem.types import (
    Candidate,
    Card,
    Event,
    Evidence,
    Matrix,
    Preference,
    Recall,
    Rule,
    Source,
    Turn,
    UserKey,
    Window,
)
from prefmem.usage import Heard, Usage

_GLOBAL_CANDIDATES = 4  # global cards looked at, for each that may be injected
LATE = 0.75  # share of a time limit after which what is there has to do
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """What a recall is asked, checked.

    Attributes:
        user: Whose cards.
        session_id: The conversation.
        said: The query as it came.
        query: The query.
        context: What was asked for before.
        limit: Conditional rules at most; None for the config's.
        floor: Relevance that a conditional rule needs.
        max_tokens: Size of the block; None for the config's.
        why: Whether cards that are not active are looked at, too.
        now: When, UTC.
    """

    user: UserKey
    session_id: str
    said: str
    query: str
    context: str
    limit: int | None
    floor: float
    max_tokens: int | None
    why: bool
    now: datetime


class Steps:
    """What the verbs share: the parts of a memory, and the steps between them."""

    config: Config
    embedder: Embedder
    extractor: Extractor
    relater: Relater
    _reranking: Reranking | None
    _floor: float
    _writer: Writer
    _tenant: str
    _clock: Callable[[], datetime]
    _ids: Callable[[], str]
    _secret: bytes
    _cache: IndexCache
    _parts: Parts
    _store: Store
    _usage: Usage
    _asking: Asking | None

    @property
    def _telling(self) -> bytes | None:
        """Key of the hashes in the log of what is learned; None in pencil, which tells nothing."""
        return None if isinstance(self._store, Pencil) else self._secret

    def _user(self, user_id: str) -> UserKey:
        return UserKey(user_id, self._tenant)

    def _found(self, user: UserKey, card_id: str) -> Card:
        card = self._store.card(user, clean(card_id))
        if card is None:
            raise NotFoundError(f"user {user.user_id!r} has no card {card_id!r}")
        return card

    def _told(self, user: UserKey, card_id: str) -> tuple[Event, ...]:
        """Give the history of a card that is there, or was until it was undone."""
        told = self._store.events(user, card_id=clean(card_id))
        if not told:
            self._found(user, card_id)
        return told

    def _write(
        self,
        user: UserKey,
        said: Sequence[tuple[Preference, Turn | None]],
        source: Source,
        session_id: str,
        then: Callable[[Recorder, Sequence[Draft]], T],
    ) -> T:
        """Compare what was said with the cards, then write; models run outside the transaction."""
        now = self._clock()
        drafts = self._drafts(self._storable(said), now)
        while True:  # again when another call changed the cards meanwhile
            seen, known = self._compared(user, drafts, now) if drafts else (0, drafts)
            left = Allowance()
            if drafts:
                left = allowance(self._store, user, source=source, now=now, config=self.config)
            with self._store.write(user) as transaction:
                if drafts and transaction.revision() != seen:
                    continue
                recorder = self._recorder(transaction, user, source, session_id, now)
                recorder.allowance = left
                done = then(recorder, known)
            if left.refused:
                self._usage.dropped["cards"] += left.refused
            return done

    def _storable(
        self, said: Sequence[tuple[Preference, Turn | None]]
    ) -> Sequence[tuple[Preference, Turn | None]]:
        """Leave out, and count, what holds private data where none may be stored."""
        if self.config.pii != "drop":
            return said
        kept = [(rule, turn) for rule, turn in said if not private_of(rule)]
        if len(kept) < len(said):
            self._usage.dropped["pii"] += len(said) - len(kept)
        return kept

    def _drafts(
        self, said: Sequence[tuple[Preference, Turn | None]], now: datetime
    ) -> Sequence[Draft]:
        """Find until when, and for whom, each rule holds, and embed it."""
        found = [
            dated(rule, turn.text if turn else "", (turn.at if turn else None) or now)
            for rule, turn in said
        ]
        rules: list[Preference] = []
        for (whole, _), (rule, _) in zip(said, found, strict=True):
            if whole.condition and not rule.condition:  # it was nothing but a time
                rule = replace(rule, scope=replace(rule.scope, kind="global"))
            rules.append(addressed(rule))
        with self._parts.watching("embedder") if rules else nullcontext():
            vectors = self.embedder.embed([rule.text for rule in rules])
        return [
            Draft(self._ids(), rule, vector, end, doubtful=_is_doubtful(rule, turn))
            for rule, vector, (_, end), (_, turn) in zip(rules, vectors, found, said, strict=True)
        ]

    def _compared(
        self, user: UserKey, drafts: Sequence[Draft], now: datetime
    ) -> tuple[int, Sequence[Draft]]:
        """Judge what drafts are to the live cards near them; gives the revision that they had."""
        if isinstance(self.relater, Unrelated):
            return self._store.revision(user), drafts
        waiting = self._store.shelf(user, status="candidate")
        active = self._cache.get(user, waiting.revision, self._store.shelf).shelf
        near = [nearby(draft, (active, waiting), now) for draft in drafts]
        ids = {card_id for some in near for card_id in some}
        cards = {card.id: card for card in self._store.cards(user, ids=ids)} if ids else {}
        floor = self.config.relation_floor
        return waiting.revision, compared(drafts, near, cards, self.relater, floor=floor)

    def _recorder(
        self,
        transaction: Transaction,
        user: UserKey,
        source: Source,
        session_id: str,
        now: datetime,
    ) -> Recorder:
        return Recorder(
            transaction, user, source, session_id, self.config.active_confidence,
            self.config.on_conflict, now, self.config.pii,
        )  # fmt: skip

    def _newest(self, user: UserKey) -> Event | None:
        """Give the newest event that changed or forgot cards, is no undoing, and was not undone."""
        log = self._store.events(user)
        undone_ids = {event.undoes for event in log}
        told = (e for e in reversed(log) if e.kind == "forget" or (e.changes and e.kind != "sweep"))
        return next((e for e in told if not e.undoes and e.id not in undone_ids), None)

    def _remembered(
        self, user: UserKey, turn: Turn, command: Command, session_id: str
    ) -> tuple[Card, ...]:
        """Store what the user wants remembered: what the extractor makes of it, or the words."""
        window = Window(user.user_id, session_id, (Turn(turn.id, "user", command.content),))
        found = self.extractor.extract(window, [turn.id])
        words = (Evidence(turn.id, command.sentence),)
        rules = [replace(rule, confidence=1.0, evidence=words) for rule in found]
        if not rules:
            whole = Preference("", command.content[: self.config.max_slot_chars], evidence=words)
            rules = [checked(whole, longest=self.config.max_slot_chars)]

        def write(recorder: Recorder, drafts: Sequence[Draft]) -> Event:
            return recorder.record("add", f"add:{self._ids()}", drafts)

        event = self._write(user, [(rule, turn) for rule in rules], "said", session_id, write)
        return tuple(change.card for change in event.changes)

    def _index(self, user: UserKey) -> UserIndex:
        return self._cache.get(user, self._store.revision(user), self._store.shelf)

    def _heard(
        self,
        user: UserKey,
        turns: Sequence[Turn],
        keys: Mapping[str, str],
        session_id: str,
        index: UserIndex,
    ) -> tuple[Heard, ...]:
        """Judge what follows an answer; a judge that fails leaves the cards to be learned."""
        try:
            return self._usage.hear(user, turns, keys, session_id, index)
        except Exception:  # noqa: BLE001  # anybody's code, and the cards are learned without it
            self._usage.dropped["judge"] += 1
            return ()

    def _observe(
        self,
        recorder: Recorder,
        user: UserKey,
        heard: Sequence[tuple[Heard, Event]],
        drafts: Mapping[str, Draft],
        index: UserIndex,
    ) -> None:
        """Write down what follow-ups show, each with the event of the cards that it taught."""
        if not heard:
            return
        transaction = recorder.transaction
        numbers = transaction.numbers()
        state = transaction.state() or self._usage.model.fresh(user.user_id)
        entries: list[tuple[Entry, Offer | None]] = []
        for found, event in heard:
            cards = [c.card for c in event.changes if c.op == "add" and c.card.id in drafts]
            taught = Deck(
                np.array([numbers[card.id] for card in cards], dtype=np.int64),
                np.array([drafts[card.id].vector for card in cards], dtype=np.float32),
                np.array([card.preference.confidence for card in cards], dtype=np.float32),
                np.zeros(len(cards), dtype=np.float32),
                self.embedder.basis,
            )
            said = self._usage.observed(found, taught, state, index)
            entries.append((Entry(found.key, said, recorder.now), found.offer))
        self._usage.learn(transaction, user, entries, index)

    def _made_reranking(self, reranker: Reranker | None) -> Reranking | None:
        """Put the reranker to work, and set the floor on the relevance that it or cosines give."""
        config = self.config
        source = self.embedder if reranker is None else reranker
        self._floor = injection_floor(config.min_score, config.max_unwarranted, source)
        if reranker is None:
            return None
        most, budget = config.rerank_candidates, config.rerank_budget
        return Reranking(reranker, most=most, budget_ms=budget)

    def _embedded(self, asked: Sequence[str]) -> Matrix:
        """Embed the views of a query; one zero row where there is nothing to look for."""
        if asked:
            return self.embedder.embed(asked)
        return np.zeros((1, self.embedder.width), dtype=np.float32)

    def _rows(self, asked: Sequence[str], leg: Leg[Recall]) -> Matrix | None:
        """Embed the views of a query; None where that cannot be done."""
        if not asked:
            return self._embedded(asked)
        return leg.try_("embedder", lambda: self._embedded(asked))

    def _candidates(
        self, request: Request, index: UserIndex, rows: Matrix | None, leg: Leg[Recall]
    ) -> tuple[Candidate, ...]:
        """Score the nearest cards and the global ones that hold by now, best first.

        Without rows of the query, the global ones alone, the newest that are looked at.
        """
        if not index.shelf.ids:
            return ()
        most, living = self.config.candidates, index.shelf.living(request.now)
        everywhere = max(most, _GLOBAL_CANDIDATES * self.config.max_global)
        if rows is None:
            positions: Sequence[int] = np.flatnonzero(index.shelf.always & living).tolist()
            positions = positions[-everywhere:]
            cosines = np.zeros(len(positions), dtype=np.float32)
        else:
            positions, cosines = nearest(index, rows, k=most, everywhere=everywhere, living=living)
        asked = rows is not None and rows.any()
        relevance = self.embedder.relevance(cosines) if asked else np.zeros_like(cosines)
        ids = [index.shelf.ids[i] for i in positions]
        user = request.user
        found = leg.ask(
            "store",
            lambda: inherited(
                self._store.cards(user, ids=ids, status="active"),
                lambda ids: self._store.cards(user, ids=ids),
            ),
        )
        cards = {card.id: card for card in found if not secrets_in(card.text)}
        return scored(index.shelf, positions, cosines, relevance, cards)

    def _reranked(
        self, asked: Sequence[str], candidates: Sequence[Candidate], leg: Leg[Recall]
    ) -> Sequence[Candidate]:
        """Let the reranker read the request; nothing where it fails, or there is no time."""
        reranking = self._reranking
        if reranking is None or not asked or not reranking.reads(candidates):
            return candidates
        if leg.late:
            leg.missing.add("reranker")
            return candidates
        return leg.try_("reranker", lambda: reranking.read(asked[-1], candidates)) or candidates

    def _inactive(self, request: Request, leg: Leg[Recall]) -> tuple[Candidate, ...]:
        """Score the newest cards that are not active, best first."""
        asked = views(request.query, request.context)
        found = leg.ask("store", lambda: self._store.cards(request.user))
        every = (card.as_of(request.now) for card in found)
        waiting = [card for card in every if card.status != "active"]
        waiting.sort(key=lambda card: card.recorded_at)
        cards = waiting[-self.config.candidates :]
        texts = [card.text for card in cards]
        both = leg.try_("embedder", lambda: (self.embedder.embed(texts), self._embedded(asked)))
        if both is None:
            return ()
        rows, queries = both
        cosines = (rows @ queries.T).max(axis=1)  # (n, e) @ (e, v) -> (n,)
        relevance = self.embedder.relevance(cosines)
        scores = zip(cards, rows, cosines.tolist(), relevance.tolist(), strict=True)
        return ranked(Candidate(*score) for score in scores)

    def _in_time(
        self, request: Request, work: Callable[[Leg[Recall]], Recall], timeout: float | None
    ) -> Recall:
        """Do a recall within its limits; without any rule where there is no result by then."""
        hard = self.config.recall_hard_ms / 1000 if timeout is None else timeout
        soft = self.config.recall_soft_ms / 1000 if timeout is None else timeout * LATE
        loads = timeout is None
        course = self._parts.recall(work, soft=min(soft, hard), hard=hard, loading=loads)
        recall, missing = course.result, course.missing
        if recall is not None:
            return replace(recall, missing=missing) if missing else recall
        return Recall(
            self._ids(), request.user.user_id, request.session_id, request.said, (), (), (),
            self.embedder.basis, request.now, floor=request.floor, missing=missing,
        )  # fmt: skip

    def _room(self, limit: int | None, max_tokens: int | None) -> Room:
        """Give what a prompt has room for; how long its rules get, another writer knows."""
        config = self.config
        limit = config.limit if limit is None else limit
        if self._writer is not render_block:
            return Room(limit, config.max_global)
        budget = config.max_tokens if max_tokens is None else max_tokens
        size = rule_room(budget, nonce=self._nonce(()))
        return Room(limit, config.max_global, size, lambda card: rule_size(rule_of(card)))

    def _recall_of(
        self, card_ids: Iterable[str], user_id: str | None, *, strict: bool = False
    ) -> Recall:
        """Make a recall of the user's active cards with these ids, in the order given."""
        if user_id is None:
            raise InputError("render needs user_id with card ids: ids alone prove nothing")
        if isinstance(card_ids, str):
            raise InputError(f"render takes a recall or several ids; pass [{card_ids!r}]")
        wanted = tuple(dict.fromkeys(clean(i) for i in card_ids))
        now = self._clock()
        user = self._user(user_id)
        lines = self._asking.held(user, wanted) if self._asking else {}
        cards, revision = self._read(user, wanted, strict=strict) if wanted else ((), 0)
        found = {
            c.id: rule_of(c)
            for c in cards
            if c.as_of(now).status == "active" and not secrets_in(c.text)
        } | {mark: rule for mark, (seen, rule) in lines.items() if seen == revision}
        rules = tuple(found[i] for i in wanted if i in found)
        return Recall(self._ids(), user_id, "", "", (), (), rules, self.embedder.basis, now)

    def _read(
        self, user: UserKey, ids: Sequence[str], *, strict: bool
    ) -> tuple[tuple[Card, ...], int | None]:
        """Read active cards for a block, and which revision it was; none where the store fails."""

        def read() -> tuple[tuple[Card, ...], int | None]:
            revision = self._store.revision(user) if self._asking else None
            return self._store.cards(user, ids=ids, status="active"), revision

        if strict:
            return read()
        try:
            return self._parts.ask("store", read, seconds=self.config.recall_hard_ms / 1000)
        except Exception as error:
            if misused(error):
                raise
            self._parts.count("render")
            if not isinstance(error, LeftAloneError):
                survived("store", error)
            return (), None

    def _watched(self, judge: Judge | None) -> Judge | None:
        return None if judge is None else WatchedJudge(judge, self._parts)

    def _nonce(self, rules: Sequence[Rule]) -> str:
        """Name a block so that no rule can know it, yet the same rules keep a prompt cache warm."""
        said = "\x1f".join(rule.text for rule in rules).encode()
        return blake2b(said, key=self._secret, digest_size=8).hexdigest()


def _is_doubtful(rule: Preference, turn: Turn | None) -> bool:
    """Whether a rule may be somebody else's wish: what it rests on may not be typed by the user."""
    if turn is None:
        return False
    return is_takeover(turn.text) or any(is_doubtful(turn, e.quote) for e in rule.evidence)


def rule_of(card: Card) -> Rule:
    """Give a card as a line for the prompt."""
    kind = card.preference.scope.kind
    return Rule(card.text, "card", (card.id,), card.recorded_at, kind)
