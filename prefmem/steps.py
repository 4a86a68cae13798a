"""The steps that the verbs of a memory are made of: compare and write, find and weigh.

`memory.py` is the flow; what one of its lines stands for is here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from typing import TypeVar

import numpy as np

from prefmem.cards.check import checked
from prefmem.cards.compare import compared, nearby
from prefmem.cards.reconcile import inherited
from prefmem.cards.record import Draft, Recorder
from prefmem.cards.validity import dated
from prefmem.commands import Command
from prefmem.config import Config
from prefmem.errors import (
    InputError,
    NotFoundError,
)
from prefmem.interaction import Deck, Entry, Offer
from prefmem.messages import clean
from prefmem.protocols import (
    Embedder,
    Extractor,
    Relater,
    Reranker,
    Store,
    Transaction,
    Writer,
)
from prefmem.render import render_block, rule_room, rule_size
from prefmem.retrieve.audience import addressed
from prefmem.retrieve.dense import nearest, ranked, scored
from prefmem.retrieve.rerank import Reranking
from prefmem.retrieve.risk import injection_floor
from prefmem.retrieve.select import Room
from prefmem.stores.faiss import IndexCache, UserIndex
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
T = TypeVar("T")


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
    _store: Store
    _usage: Usage

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
        drafts = self._drafts(said, now)
        while True:  # again when another call changed the cards meanwhile
            seen, known = self._compared(user, drafts, now) if drafts else (0, drafts)
            with self._store.write(user) as transaction:
                if not drafts or transaction.revision() == seen:
                    return then(self._recorder(transaction, user, source, session_id, now), known)

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
        vectors = self.embedder.embed([rule.text for rule in rules])
        return [
            Draft(self._ids(), rule, vector, end)
            for rule, vector, (_, end) in zip(rules, vectors, found, strict=True)
        ]

    def _compared(
        self, user: UserKey, drafts: Sequence[Draft], now: datetime
    ) -> tuple[int, Sequence[Draft]]:
        """Judge what drafts are to the live cards near them; gives the revision that they had."""
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
            self.config.on_conflict, now,
        )  # fmt: skip

    def _newest(self, user: UserKey) -> Event | None:
        """Give the newest event that changed or forgot cards, is no undoing, and was not undone."""
        log = self._store.events(user)
        undone_ids = {event.undoes for event in log}
        told = (e for e in reversed(log) if e.changes or e.kind == "forget")
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

    def _candidates(
        self, user: UserKey, index: UserIndex, asked: Sequence[str], now: datetime
    ) -> tuple[Candidate, ...]:
        """Score the nearest cards and the global ones that hold by now, best first."""
        most = self.config.candidates
        everywhere = max(most, _GLOBAL_CANDIDATES * self.config.max_global)
        vectors = self._embedded(asked)
        positions, cosines = nearest(
            index, vectors, k=most, everywhere=everywhere, living=index.shelf.living(now)
        )
        relevance = self.embedder.relevance(cosines) if vectors.any() else np.zeros_like(cosines)
        ids = [index.shelf.ids[i] for i in positions]
        found = inherited(
            self._store.cards(user, ids=ids, status="active"),
            lambda ids: self._store.cards(user, ids=ids),
        )
        cards = {card.id: card for card in found}
        return scored(index.shelf, positions, cosines, relevance, cards)

    def _inactive(self, user: UserKey, asked: Sequence[str]) -> tuple[Candidate, ...]:
        """Score the newest cards that are not active, best first."""
        now = self._clock()
        every = (card.as_of(now) for card in self._store.cards(user))
        waiting = [card for card in every if card.status != "active"]
        waiting.sort(key=lambda card: card.recorded_at)
        cards = waiting[-self.config.candidates :]
        rows = self.embedder.embed([card.text for card in cards])
        cosines = (rows @ self._embedded(asked).T).max(axis=1)  # (n, e) @ (e, v) -> (n,)
        relevance = self.embedder.relevance(cosines)
        scores = zip(cards, rows, cosines.tolist(), relevance.tolist(), strict=True)
        return ranked(Candidate(*score) for score in scores)

    def _room(self, limit: int | None, max_tokens: int | None) -> Room:
        """Give what a prompt has room for; how long its rules get, another writer knows."""
        config = self.config
        limit = config.limit if limit is None else limit
        if self._writer is not render_block:
            return Room(limit, config.max_global)
        budget = config.max_tokens if max_tokens is None else max_tokens
        size = rule_room(budget, nonce=self._nonce(()))
        return Room(limit, config.max_global, size, lambda card: rule_size(rule_of(card)))

    def _recall_of(self, card_ids: Iterable[str], user_id: str | None) -> Recall:
        """Make a recall of the user's active cards with these ids, in the order given."""
        if user_id is None:
            raise InputError("render needs user_id with card ids: ids alone prove nothing")
        if isinstance(card_ids, str):
            raise InputError(f"render takes a recall or several ids; pass [{card_ids!r}]")
        wanted = tuple(dict.fromkeys(clean(i) for i in card_ids))
        now = self._clock()
        cards = self._store.cards(self._user(user_id), ids=wanted, status="active")
        found = {c.id: c for c in cards if c.as_of(now).status == "active"}
        rules = tuple(rule_of(found[i]) for i in wanted if i in found)
        return Recall(self._ids(), user_id, "", "", (), (), rules, self.embedder.basis, now)

    def _nonce(self, rules: Sequence[Rule]) -> str:
        """Name a block so that no rule can know it, yet the same rules keep a prompt cache warm."""
        said = "\x1f".join(rule.text for rule in rules).encode()
        return blake2b(said, key=self._secret, digest_size=8).hexdigest()


def rule_of(card: Card) -> Rule:
    """Give a card as a line for the prompt."""
    kind = card.preference.scope.kind
    return Rule(card.text, "card", (card.id,), card.recorded_at, kind)
