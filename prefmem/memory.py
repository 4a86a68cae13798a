"""`PreferenceMemory`: the whole flow, from what a user says to the rules that an agent reads.

window ─ extract ─▶ preferences ─ reconcile ─▶ cards ─▶ store           learn(messages)
query  ─ search ─▶ candidates ─ rerank ─ select ─▶ rules ─▶ prompt      recall(query), render(...)

Over half of the lines are what the public verbs promise; the work is done in the parts.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from prefmem import defaults
from prefmem.aio import twin
from prefmem.cards.check import admitted, checked, edited
from prefmem.cards.fold import fold
from prefmem.cards.record import record, restore
from prefmem.config import Config
from prefmem.errors import ConfigError, InputError, NotFoundError
from prefmem.extract.ground import grounded
from prefmem.ids import user_turn_keys
from prefmem.messages import Message, clean, to_turns
from prefmem.models.compressor import Compressor
from prefmem.models.runnable import ChatModel
from prefmem.protocols import Embedder, Extractor, Reranker, Store, Transaction, Writer
from prefmem.render import render_block, rule_room, rule_size
from prefmem.retrieve.dense import nearest, ranked, scored, views
from prefmem.retrieve.rerank import Reranking
from prefmem.retrieve.risk import injection_floor
from prefmem.retrieve.select import Room, select
from prefmem.stores.codec import Export
from prefmem.stores.faiss import IndexCache, UserIndex
from prefmem.types import (
    MAX_ID_BYTES,
    Candidate,
    Card,
    Change,
    Erasure,
    Event,
    EventKind,
    LearnReport,
    Matrix,
    Polarity,
    Preference,
    Recall,
    Rule,
    Scope,
    ScopeKind,
    Source,
    Status,
    UserKey,
    UserState,
    Vector,
    Window,
)
from prefmem.usermodel.vectors import follow, new_state, read_out

_GLOBAL_CANDIDATES = 4  # global cards looked at, for each that may be injected
_INACTIVE: tuple[Status, ...] = ("candidate", "quarantined", "superseded", "expired")
_FOLLOWED = 8  # user turns of one call that the short-term vector takes in: older ones have faded


class PreferenceMemory:
    """Remembers how each user likes things done.

    Safe to share between threads. Every verb has an async twin with the prefix `a` that runs it on
    a worker thread.

    Args:
        path: SQLite file, made if missing; `":memory:"` for none. Not together with `store`.
        store: Another store.
        extractor: Finds preferences in dialogue; the embedded tagger unless given, `"qwen3"` for
            the published Qwen3-0.6B extractor. A chat model of LangChain, or the address of an
            OpenAI-compatible endpoint, is asked through a `ChatExtractor`.
        embedder: Embeds cards and queries; the embedded MiniLM unless given.
        reranker: Reads request and rule together; the packaged one unless given, `"none"` for none.
            A document compressor of LangChain is asked as it is.
        writer: Renders the block; JSON lines in a fenced block unless given.
        config: Settings.
        tenant: Stands before the user id in every key.
        clock: Gives the time, UTC.
        ids: Gives names for cards and recalls, and the secret behind the blocks' nonces: random, of
            letters and digits.

    Raises:
        ConfigError: Both or neither of `path` and `store` are given, the path is empty, a part is
            unknown, or `max_unwarranted` cannot be promised.
        StoreError: The file cannot be used.
        BasisMismatchError: The store was made with another embedder.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        store: Store | None = None,
        extractor: Extractor | ChatModel | str | None = None,
        embedder: Embedder | None = None,
        reranker: Reranker | Compressor | str | None = None,
        writer: Writer = render_block,
        config: Config | None = None,
        tenant: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        ids: Callable[[], str] = lambda: token_hex(8),
    ) -> None:
        """Open the store; models load with the first text."""
        if (path is None) == (store is None):
            raise ConfigError("pass either a path for the embedded store, or a store")
        if path is not None and (not str(path) or "\0" in str(path)):
            raise ConfigError(f"path={str(path)!r} names no file; pass a path, or ':memory:'")
        self.config = config or Config()
        self.embedder = embedder or defaults.embedder()
        self.extractor = defaults.extractor(self.config, extractor)
        self._reranking = self._made_reranking(defaults.reranker(self.config, reranker))
        self._writer, self._tenant, self._clock, self._ids = writer, tenant, clock, ids
        self._secret = ids().encode()
        self._cache = IndexCache(self.config.cache_bytes)
        self._store: Store = store or defaults.store(path or "")
        try:
            self._store.bind(self.embedder.basis, self.embedder.width)
        except BaseException:
            if store is None:
                self._store.close()
            raise

    # From dialogue to cards

    def learn(
        self, messages: Iterable[Message], *, user_id: str, session_id: str = ""
    ) -> LearnReport:
        """Learn from a stretch of dialogue; the same turn teaches once, however often it comes.

        Only user turns are learned from; the rest is context. All of it is stored, or nothing is.

        Args:
            messages: Dicts with role and content, (role, text) pairs, turns, or LangChain messages,
                oldest first. Windows may overlap.
            user_id: The user, as authenticated by the host.
            session_id: The conversation.

        Returns:
            The cards that were added or gained evidence, and how many turns were skipped.

        Raises:
            InputError: A message or an id cannot be used; nothing was stored.
        """
        user = self._user(user_id)
        _check_session(session_id)
        turns = to_turns(messages, max_chars=self.config.max_turn_chars)
        keys = user_turn_keys(turns, session_id)
        known = self._store.known(user, list(keys.values()))
        fresh = {turn_id: key for turn_id, key in keys.items() if key not in known}
        spoken = [turn for turn in turns if turn.id in fresh]
        skipped = sum(turn.role == "user" for turn in turns) - len(fresh)
        if not fresh:
            return LearnReport(skipped=skipped)

        preferences = grounded(
            self.extractor.extract(Window(user_id, session_id, turns), list(fresh)),
            {turn.id: turn for turn in spoken},
            min_confidence=self.config.min_confidence,
            max_chars=self.config.max_slot_chars,
        )
        vectors = self.embedder.embed([p.text for p in preferences])
        recent = spoken[-_FOLLOWED:]
        heard = self.embedder.embed([turn.text for turn in recent])

        changes: list[Change] = []
        taught: set[str] = set()
        with self._store.write(user) as transaction:
            for turn_id, key in fresh.items():
                if transaction.knows(key):  # another process was quicker
                    skipped += 1
                    continue
                taught.add(turn_id)
                drafts = [
                    (p, v)
                    for p, v in zip(preferences, vectors, strict=True)
                    if p.evidence[0].turn_id == turn_id
                ]
                changes += self._record(transaction, user, "learn", key, drafts, "said", session_id)
            if taught:
                news = heard[[turn.id in taught for turn in recent]]
                self._follow(transaction, user, news, session_id)
        last = {change.card.id: change.card for change in changes}
        new = {change.card.id for change in changes if change.op == "add"}
        return LearnReport(
            added=tuple(card for i, card in last.items() if i in new),
            updated=tuple(card for i, card in last.items() if i not in new),
            skipped=skipped,
            turns=sum(turn.role == "user" for turn in turns) - skipped,
        )

    # From a query to the prompt

    def recall(
        self,
        query: str,
        *,
        user_id: str,
        session_id: str = "",
        context: str = "",
        limit: int | None = None,
        min_score: float | None = None,
        max_tokens: int | None = None,
        why: bool = False,
    ) -> Recall:
        """Find the rules that apply to a query; often there is none, and none is given.

        Args:
            query: What the user asks for now.
            user_id: The user, as authenticated by the host.
            session_id: The conversation.
            context: What the user asked for before, which a follow-up ("shorter, please") needs.
            limit: Conditional rules at most; the config's unless given.
            min_score: Relevance that a conditional rule needs, in [0, 1]; the config's unless
                given.
            max_tokens: Size of the block that is to hold the rules; the config's unless given.
            why: Whether the newest cards that are not active are looked at, too, for
                `Recall.explain`; takes the time of embedding them.

        Returns:
            The receipt: every candidate with its scores, what was chosen, and the rules.

        Raises:
            InputError: An id cannot be used, or a number is out of range.
        """
        user = self._user(user_id)
        _check_session(session_id)
        if limit is not None and limit < 0:
            raise InputError(f"limit={limit!r} is below 0")
        if min_score is not None and not 0 <= min_score <= 1:
            raise InputError(f"min_score={min_score!r} is not in [0, 1]")
        index = self._cache.get(user, self._store.revision(user), self._store.shelf)
        floor, now = self._floor if min_score is None else min_score, self._clock()
        asked = views(clean(query), clean(context))
        candidates = self._candidates(user, index, asked) if index.shelf.ids else ()
        if self._reranking is not None and asked:
            candidates = self._reranking(asked[-1], candidates)
        if why:
            candidates = (*candidates, *self._inactive(user, asked))
        picked = select(candidates, self._room(limit, max_tokens), floor=floor, now=now)
        rules = tuple(_rule(candidates[i].card) for i in picked.chosen)
        return Recall(
            self._ids(), user_id, session_id, query, candidates, picked.chosen, rules,
            self.embedder.basis, now, picked.verdicts, floor,
        )  # fmt: skip

    @property
    def degraded(self) -> Counter[str]:
        """How often reranking failed, by the error's name; relevance was then by the cosine."""
        return Counter() if self._reranking is None else Counter(self._reranking.failures)

    def render(
        self,
        recalled: Recall | Iterable[str],
        *,
        user_id: str | None = None,
        max_tokens: int | None = None,
    ) -> str:
        """Give the exact block that the agent reads; empty when no rule applies.

        Args:
            recalled: A recall, or the ids of its cards: what may lie in a checkpoint, since ids say
                nothing and a rule that was forgotten meanwhile does not come back from them.
            user_id: The user, needed with ids: foreign ids find nothing.
            max_tokens: Size of the block; the config's unless given.

        Raises:
            InputError: Ids came without a user, or as one text.
        """
        if not isinstance(recalled, Recall):
            recalled = self._recall_of(recalled, user_id)
        budget = self.config.max_tokens if max_tokens is None else max_tokens
        return self._writer(recalled, max_tokens=budget, nonce=self._nonce(recalled.rules))

    # Cards by hand

    def add(
        self,
        condition: str,
        action: str,
        *,
        user_id: str,
        polarity: Polarity = "do",
        scope: ScopeKind | None = None,
    ) -> Card:
        """Store a rule as it is given, without any model's opinion.

        Args:
            condition: Completes "When ..."; empty for none.
            action: An instruction that can stand alone.
            user_id: The user, as authenticated by the host.
            polarity: `avoid` when the action keeps away from something.
            scope: `global` to inject it always; by default that is so when there is no condition.

        Returns:
            The new card, or the card that said the same already.

        Raises:
            InputError: The action is empty, a slot is too long, or a choice is unknown.
        """
        user = self._user(user_id)
        given = Scope(scope or "conditional")
        preference = Preference(condition, action, polarity, scope=given)
        preference = checked(preference, longest=self.config.max_slot_chars)
        if scope is None and not preference.condition:
            preference = replace(preference, scope=Scope("global"))
        drafts = [(preference, self.embedder.embed([preference.text])[0])]
        with self._store.write(user) as transaction:
            key = f"add:{self._ids()}"
            (change,) = self._record(transaction, user, "add", key, drafts, "added", "")
            self._follow(transaction, user)
        return change.card

    def edit(
        self,
        card_id: str,
        *,
        user_id: str,
        condition: str | None = None,
        action: str | None = None,
        polarity: Polarity | None = None,
        scope: ScopeKind | None = None,
        status: Literal["active", "quarantined"] | None = None,
    ) -> Card:
        """Change a card; its id stays, and `history` keeps what it said before.

        `status="active"` confirms a quarantined card: call it for the user, never for the model. A
        card that comes to claim authority is quarantined unless it is confirmed in the same call.

        Raises:
            NotFoundError: The user has no such card.
            InputError: The result is no rule, or says the same as another card.
        """
        user = self._user(user_id)
        given: dict[str, Any] = {"condition": condition, "action": action, "polarity": polarity}
        given = {name: value for name, value in given.items() if value is not None}
        while True:  # again when another call changed the card meanwhile
            old = self._found(user, card_id)
            if scope is not None:
                given["scope"] = replace(old.preference.scope, kind=scope)
            card = edited(
                old, given, status=status, longest=self.config.max_slot_chars, now=self._clock()
            )
            vector = self.embedder.embed([card.text])[0]
            with self._store.write(user) as transaction:
                if transaction.card(old.id) == old:
                    change = Change("edit", card)
                    event = Event(f"edit:{self._ids()}", "edit", (change,), card.recorded_at)
                    transaction.record(event, {card.id: vector})
                    self._follow(transaction, user)
                    return card

    def forget(self, card_id: str, *, user_id: str) -> None:
        """Remove a card for good: its text, vector, evidence, and its traces in the log.

        A turn that taught it is not learned again; saying it in a new turn is. The short-term
        vector, which may hold that turn, starts anew.

        Raises:
            NotFoundError: The user has no such card.
        """
        user = self._user(user_id)
        self._found(user, card_id)
        with self._store.write(user) as transaction:
            if not transaction.forget(card_id):
                raise NotFoundError(f"user {user_id!r} has no card {card_id!r}")
            transaction.record(Event(f"forget:{self._ids()}", "forget", (), self._clock()), {})
            state = transaction.state()
            if state is not None:
                transaction.save_state(replace(state, short=np.zeros_like(state.short)))
            self._follow(transaction, user)
        self._cache.drop(user)

    def forget_user(self, *, user_id: str) -> Erasure:
        """Remove everything held about a user, and report what was removed."""
        user = self._user(user_id)
        receipt = self._store.forget_user(user)
        self._cache.drop(user)
        return receipt

    # Looking

    def list(self, *, user_id: str, status: Status | None = None) -> tuple[Card, ...]:
        """List a user's cards, oldest first; only those of `status` if given."""
        return self._store.cards(self._user(user_id), status=status)

    def get(self, card_id: str, *, user_id: str) -> Card:
        """Give one card.

        Raises:
            NotFoundError: The user has no such card.
        """
        return self._found(self._user(user_id), card_id)

    def history(self, card_id: str, *, user_id: str) -> tuple[Event, ...]:
        """Give what happened to a card, oldest first, each event with the card as it left it.

        Raises:
            NotFoundError: The user has no such card.
        """
        user = self._user(user_id)
        self._found(user, card_id)
        return self._store.events(user, card_id=card_id)

    def get_user(self, user_id: str) -> UserState:
        """Give the user's vectors, with the basis that they live in; zeros for a new user."""
        found = self._store.state(self._user(user_id))
        return found or new_state(user_id, basis=self.embedder.basis, width=self.embedder.width)

    # Taking data along

    def export(self, *, user_id: str) -> dict[str, Any]:
        """Give everything held about a user as plain JSON data, versioned."""
        user = self._user(user_id)
        events = self._store.events(user)
        held = Export.of(
            user_id, cards=fold(events).values(), events=events,
            state=self._store.state(user), at=self._clock(),
        )  # fmt: skip
        return held.model_dump(mode="json")

    def load(self, data: Mapping[str, Any], *, user_id: str) -> LearnReport:
        """Take in an export, for this user or another one; loading it twice changes nothing.

        Vectors are made anew, so the export may come from a store with another embedder. A rule
        that the user has already gains the evidence; one that claims authority waits for
        confirmation again. What the user forgot since stays forgotten.

        Returns:
            The cards that were added or gained evidence.

        Raises:
            InputError: The data is no export; the message names the field. Nothing was stored.
        """
        user = self._user(user_id)
        held = Export.read(data)
        state = self._loadable_state(held, user_id)
        longest = self.config.max_slot_chars
        log = tuple(admitted(event, longest=longest) for event in held.log(user_id))
        cards = fold(log)
        vectors = dict(
            zip(cards, self.embedder.embed([c.text for c in cards.values()]), strict=True)
        )
        with self._store.write(user) as transaction:
            done = restore(
                transaction, log, vectors, user=user, sure=self.config.active_confidence,
                ids=self._ids, now=self._clock(),
            )  # fmt: skip
            if done is None:
                return LearnReport()
            if state is not None and transaction.state() is None:
                transaction.save_state(replace(state, long=read_out(transaction.shelf())))
            else:
                self._follow(transaction, user)
        added, merged = done
        return LearnReport(added=added, updated=tuple(change.card for change in merged))

    # Life cycle

    def close(self) -> None:
        """Release the store; closing twice is fine."""
        self._store.close()

    def __enter__(self) -> Self:
        """Use the memory as a context."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    # Steps of the verbs

    def _user(self, user_id: str) -> UserKey:
        return UserKey(user_id, self._tenant)

    def _found(self, user: UserKey, card_id: str) -> Card:
        card = self._store.card(user, clean(card_id))
        if card is None:
            raise NotFoundError(f"user {user.user_id!r} has no card {card_id!r}")
        return card

    def _loadable_state(self, held: Export, user_id: str) -> UserState | None:
        """Give the vectors of an export if they live in this memory's space."""
        if held.state is None or held.state.basis != self.embedder.basis:
            return None
        state, width = held.state.state(user_id), self.embedder.width
        for name, vector in (("long", state.long), ("short", state.short)):
            if vector.size != width:
                raise InputError(f"not a prefmem export: state.{name}: not {width} numbers")
        return state

    def _record(
        self,
        transaction: Transaction,
        user: UserKey,
        kind: EventKind,
        key: str,
        drafts: Sequence[tuple[Preference, Vector]],
        source: Source,
        session_id: str,
    ) -> tuple[Change, ...]:
        return record(
            transaction, drafts, user=user, kind=kind, key=key, source=source,
            session_id=session_id, sure=self.config.active_confidence, ids=self._ids,
            now=self._clock(),
        )  # fmt: skip

    def _follow(
        self,
        transaction: Transaction,
        user: UserKey,
        heard: Matrix | None = None,
        session_id: str | None = None,
    ) -> None:
        """Bring the user's vectors up to the cards and to the turns that were heard."""
        basis, width = self.embedder.basis, self.embedder.width
        state = transaction.state() or new_state(user.user_id, basis=basis, width=width)
        turns = np.zeros((0, width), dtype=np.float32) if heard is None else heard
        session = state.session_id if session_id is None else session_id
        transaction.save_state(
            follow(
                state, turns, long=read_out(transaction.shelf()), session_id=session,
                basis=basis, rate=self.config.session_rate,
            )
        )  # fmt: skip

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
        self, user: UserKey, index: UserIndex, asked: Sequence[str]
    ) -> tuple[Candidate, ...]:
        """Score the nearest cards and the global ones, best first."""
        most = self.config.candidates
        everywhere = max(most, _GLOBAL_CANDIDATES * self.config.max_global)
        vectors = self._embedded(asked)
        positions, cosines = nearest(index, vectors, k=most, everywhere=everywhere)
        relevance = self.embedder.relevance(cosines) if vectors.any() else np.zeros_like(cosines)
        ids = [index.shelf.ids[i] for i in positions]
        cards = {c.id: c for c in self._store.cards(user, ids=ids, status="active")}
        return scored(index.shelf, positions, cosines, relevance, cards)

    def _inactive(self, user: UserKey, asked: Sequence[str]) -> tuple[Candidate, ...]:
        """Score the newest cards that are not active, best first."""
        waiting = [c for s in _INACTIVE for c in self._store.cards(user, status=s)]
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
        return Room(limit, config.max_global, size, lambda card: rule_size(_rule(card)))

    def _recall_of(self, card_ids: Iterable[str], user_id: str | None) -> Recall:
        """Make a recall of the user's active cards with these ids, in the order given."""
        if user_id is None:
            raise InputError("render needs user_id with card ids: ids alone prove nothing")
        if isinstance(card_ids, str):
            raise InputError(f"render takes a recall or several ids; pass [{card_ids!r}]")
        wanted = tuple(dict.fromkeys(clean(i) for i in card_ids))
        found = {
            c.id: c for c in self._store.cards(self._user(user_id), ids=wanted, status="active")
        }
        rules = tuple(_rule(found[i]) for i in wanted if i in found)
        return Recall(
            self._ids(), user_id, "", "", (), (), rules, self.embedder.basis, self._clock()
        )

    def _nonce(self, rules: Sequence[Rule]) -> str:
        """Name a block so that no rule can know it, yet the same rules keep a prompt cache warm."""
        said = "\x1f".join(rule.text for rule in rules).encode()
        return blake2b(said, key=self._secret, digest_size=8).hexdigest()

    alearn = twin(learn)
    arecall = twin(recall)
    arender = twin(render)
    aadd = twin(add)
    aedit = twin(edit)
    aforget = twin(forget)
    aforget_user = twin(forget_user)
    alist = twin(list)
    aget = twin(get)
    ahistory = twin(history)
    aget_user = twin(get_user)
    aexport = twin(export)
    aload = twin(load)
    aclose = twin(close)


def _rule(card: Card) -> Rule:
    kind = card.preference.scope.kind
    return Rule(card.text, "card", (card.id,), card.recorded_at, kind)


def _check_session(session_id: str) -> None:
    """Refuse what cannot name a conversation."""
    fits = isinstance(session_id, str) and clean(session_id) == session_id  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may pass anything
    if not fits or len(session_id.encode()) > MAX_ID_BYTES:
        raise InputError(
            f"session_id={session_id!r:.80}: text of at most {MAX_ID_BYTES} bytes without NUL or "
            "lone surrogates is needed; pass a hash of a longer one"
        )
