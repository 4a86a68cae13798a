"""`PreferenceMemory`: the whole flow, from what a user says to the rules that an agent reads.

window ─ extract ─▶ preferences ─ reconcile ─▶ cards ─▶ store           learn(messages)
query  ─ search ─▶ candidates ─ rerank ─ weigh ─ select ─▶ rules ─▶ prompt     recall, render
follow-up ─ judge ─▶ observation ─ observe ─▶ user state                learn(messages), feedback

Over half of the lines are what the public verbs promise; the work is done in the parts. Cards by
hand, looking and upkeep, which ask no model what was meant, are the base class in `keeping`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

import numpy as np

from prefmem import defaults
from prefmem.aio import twin
from prefmem.asking import Asking
from prefmem.cards.check import admitted
from prefmem.cards.fold import fold
from prefmem.cards.record import Draft, Recorder, reported, restore
from prefmem.commands import Command, parse, without_commands
from prefmem.config import Config
from prefmem.defence.limits import check_room
from prefmem.defence.privacy import is_private
from prefmem.errors import (
    ConfigError,
    InputError,
    NotFoundError,
    StoreError,
)
from prefmem.extract.ground import grounded
from prefmem.feedback.kept import Inducer, edit_key, newly_borne_out
from prefmem.guard.calls import Call, Listener, verb
from prefmem.guard.course import Leg
from prefmem.guard.health import Health, PartHealth
from prefmem.guard.parts import Parts
from prefmem.guard.record import Learning, noted, outcome, told, verdicts
from prefmem.ids import rule_hash, user_turn_keys
from prefmem.interaction import (
    Entry,
    KeptEdit,
    Observation,
    Offer,
)
from prefmem.job import Backlog, GoneError, Job
from prefmem.keeping import Keeping
from prefmem.messages import Message, clean, to_turns
from prefmem.models.compressor import Compressor
from prefmem.models.runnable import ChatModel
from prefmem.orders import Desk, Obeyed, shown
from prefmem.protocols import (
    Embedder,
    Extractor,
    Judge,
    Relater,
    Reranker,
    RuleWriter,
    Store,
    UserModel,
    Writer,
)
from prefmem.question import question_of
from prefmem.queue.outbox import Outbox
from prefmem.queue.worker import Worker
from prefmem.render import render_block
from prefmem.retrieve.dense import views
from prefmem.retrieve.select import select
from prefmem.steps import Request, rule_of
from prefmem.stores.codec import Export
from prefmem.stores.faiss import IndexCache, UserIndex
from prefmem.stores.keys import UserKeys
from prefmem.stores.pencil import Pencil, refuse
from prefmem.types import (
    LIVE,
    MAX_ID_BYTES,
    Candidate,
    Card,
    Event,
    LearnReport,
    Preference,
    Recall,
    Turn,
    UserKey,
    Window,
)
from prefmem.usage import ALL_CARDS, Usage

_EDITS = 50  # of a user that are kept
_LONGEST = 600.0  # seconds that a recall may be given
_PATIENCE = 5.0  # seconds in which a store counts what waits


class PreferenceMemory(Keeping):
    """Remembers how each user likes things done.

    Safe to share between threads. Every verb has an async twin with the prefix `a` that runs it on
    a worker thread.

    Args:
        path: SQLite file, made if missing; `":memory:"` for none; `"postgresql://..."` for a
            PostgreSQL database; a list of them, or a mapping by name, for shards, each of which
            has some of the users. Not together with `store`.
        store: Another store.
        encryption: Keys that seal what the store at `path` holds about a user, one for each; the
            caller closes them.
        extractor: Finds preferences in dialogue; the embedded tagger unless given, `"qwen3"` for
            the published Qwen3-0.6B extractor. A chat model of LangChain, or the address of an
            OpenAI-compatible endpoint, is asked through a `ChatExtractor`.
        embedder: Embeds cards and queries; the embedded MiniLM unless given.
        reranker: Reads request and rule together; the packaged one unless given, `"none"` for none.
            A document compressor of LangChain is asked as it is.
        relater: Says what a new rule is to those that are there; the packaged one unless given,
            `"none"` for none: then only what is said again in the same words is the same rule.
        user_model: Learns what works for a user: `"ledger"` unless given, `"vars"` for the
            published dual vector, `"none"`, or another one.
        inducer: Finds rules in edits; the one without a model unless given. A chat model of
            LangChain is asked about the edits.
        judge: Judges what a follow-up shows; the packaged one unless given, `"none"` for none. A
            chat model of LangChain is asked with the packaged one behind it.
        agent: Writes rules for a request by what it learned from the user's own texts; they join
            the cards of a recall where what the user said leaves room for them. None unless given.
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
        path: defaults.Where | None = None,
        *,
        store: Store | None = None,
        encryption: UserKeys | None = None,
        extractor: Extractor | ChatModel | str | None = None,
        embedder: Embedder | None = None,
        reranker: Reranker | Compressor | str | None = None,
        relater: Relater | str | None = None,
        user_model: UserModel | str | None = None,
        judge: Judge | ChatModel | str | None = None,
        inducer: Inducer | ChatModel | None = None,
        agent: RuleWriter | None = None,
        writer: Writer = render_block,
        config: Config | None = None,
        tenant: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        ids: Callable[[], str] = lambda: token_hex(8),
    ) -> None:
        """Open the store; models load with the first text."""
        if (path is None) == (store is None):
            raise ConfigError("pass either a path for the embedded store, or a store")
        if store is not None and encryption is not None:
            raise ConfigError("encryption goes with a path; give the keys to the store")
        if path is not None and (not str(path) or "\0" in str(path)):
            raise ConfigError(f"path={str(path)!r} names no file; pass a path, or ':memory:'")
        self.config = config or Config()
        self.embedder = embedder or defaults.embedder()
        self.extractor = defaults.extractor(self.config, extractor)
        self._reranking = self._made_reranking(defaults.reranker(self.config, reranker))
        self.relater = defaults.relater(relater)
        self._writer, self._tenant, self._clock, self._ids = writer, tenant, clock, ids
        self._secret = ids().encode()
        self._cache = IndexCache(self.config.cache_bytes)
        self._parts = Parts(rest=self.config.breaker_rest)
        self._asking = None if agent is None else Asking(agent, self._parts, self._secret)
        self._inducer = defaults.inducer(inducer)
        model, ear = defaults.user_model(user_model), self._watched(defaults.judge(judge))
        path = "" if path is None else path
        self._store: Store = store or defaults.store(path, encryption=encryption)
        self._usage = Usage(self._store, model, ear, self.embedder, logs=self.config.log_offers)
        self._outbox = Outbox(self._store, self.config, clock=clock)
        self._worker = Worker(
            self._store.jobs, self._learn_job, threads=self.config.learn_threads,
            tries=self.config.learn_tries,
            room=lambda: self._parts.room("store", "embedder", "extractor"),
        )  # fmt: skip
        self._owner: Self | None = None  # whose store, models and worker these are
        try:
            self._store.bind(self.embedder.basis, self.embedder.width)
        except BaseException:
            if store is None:
                self._store.close()
            raise

    # From dialogue to cards

    @verb
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
            The cards that were added, gained evidence or were closed, the events' ids, and how many
            turns were skipped.

        Raises:
            InputError: A message or an id cannot be used; nothing was stored.
        """
        user = self._user(user_id)
        _check_session(session_id)
        turns = to_turns(messages, max_chars=self.config.max_turn_chars)
        return self._learned(user, turns, session_id)

    def _learned(
        self, user: UserKey, turns: Sequence[Turn], session_id: str, job: Job | None = None
    ) -> LearnReport:
        """Learn from turns, and say how much that was."""
        with noted(Learning(user, session_id, "dialogue", job), self._telling) as learning:
            report = learning.report = self._learn(user, turns, session_id, job)
        self._parts.tally("learned", told(report))
        return report

    def _learn(
        self, user: UserKey, turns: Sequence[Turn], session_id: str, job: Job | None = None
    ) -> LearnReport:
        """Learn from turns; with a job, together with its removal, or not at all if it is gone."""
        keys = user_turn_keys(turns, session_id)
        fresh = self._outbox.fresh(user, turns, session_id)
        spoken = [turn for turn in turns if turn.id in fresh]
        if not fresh:
            if job is not None:
                self._store.jobs.finish(job)
            return LearnReport(skipped=sum(turn.role == "user" for turn in turns))

        typed = [turn for turn in spoken if turn.origin == "typed"]
        orders = {turn.id: found for turn in typed if (found := parse(turn.text))}
        heeded = tuple(
            replace(turn, text=without_commands(turn.text, orders[turn.id]))
            if turn.id in orders
            else turn
            for turn in turns
        )
        with self._parts.watching("extractor"):
            rules = self.extractor.extract(Window(user.user_id, session_id, heeded), list(fresh))
        preferences = grounded(
            rules,
            {turn.id: turn for turn in spoken},
            min_confidence=self.config.min_confidence,
            max_chars=self.config.max_slot_chars,
        )
        preferences = _in_order(preferences, spoken)
        index = self._index(user)
        answering = {turn.id: fresh[turn.id] for turn in typed}
        heard = self._heard(user, turns, answering, session_id, index)

        def write(recorder: Recorder, drafts: Sequence[Draft]) -> tuple[tuple[Event, ...], int]:
            if job is not None and not recorder.transaction.finish(job):
                raise GoneError("the job was learned, or erased with its user, in the meantime")
            events: dict[str, Event] = {}
            for turn_id, key in fresh.items():
                if not recorder.transaction.knows(key):  # else another process was quicker
                    mine = [d for d in drafts if d.preference.evidence[0].turn_id == turn_id]
                    events[turn_id] = recorder.record("learn", key, mine)
            new = [(h, events[h.turn_id]) for h in heard if h.turn_id in events]
            self._observe(recorder, user, new, {d.id: d for d in drafts}, index)
            return tuple(events.values()), len(events)

        by_id = {turn.id: turn for turn in spoken}
        said = [(rule, by_id[rule.evidence[0].turn_id]) for rule in preferences]
        events, taught = self._write(user, said, "said", session_id, write)
        for number, turn in enumerate(turns):
            if turn.id in orders:
                self._obey(user, turns[: number + 1], keys[turn.id], orders[turn.id], session_id)
        return reported(
            events, turns=taught, skipped=sum(turn.role == "user" for turn in turns) - taught
        )

    @verb
    def learn_later(
        self, messages: Iterable[Message], *, user_id: str, session_id: str = ""
    ) -> bool:
        """Put what is new in a dialogue in the store, to be learned off the reply path.

        It is on disk when the call returns; a worker of this process, or `prefmem worker`, learns
        it in the order of putting in, tries again what fails, and learns a turn once. What the
        newest turn tells the memory itself ("remember that ...", "forget that") is done at once.
        Where more than `Config.max_jobs_per_user` windows of a user wait, the oldest make room;
        `degraded["jobs"]` counts them.

        Args:
            messages: The dialogue as for `learn`; best the whole of it, or from the last turn that
                was handed over.
            user_id: The user, as authenticated by the host.
            session_id: The conversation.

        Returns:
            Whether anything was new.

        Raises:
            InputError: A message or an id cannot be used; nothing was stored.
            StoreUnavailableError: The store fails, is left alone, or is later than
                `Config.hand_over_ms`; hand the dialogue over again, best with the next turn.
        """
        user = self._user(user_id)
        _check_session(session_id)
        turns = to_turns(messages, max_chars=self.config.max_turn_chars)

        def hand_over() -> bool:
            fresh = self._outbox.fresh(user, turns, session_id)
            if not fresh:
                return False
            last = next(n for n in reversed(range(len(turns))) if turns[n].id in fresh)
            if commands := _told_by_hand(turns[last]):
                heard = turns[: last + 1]
                self._obey(user, heard, fresh[turns[last].id], commands, session_id)
            self._outbox.put(user, turns, fresh, session_id)
            return True

        if not self._parts.ask("store", hand_over, seconds=self.config.hand_over_ms / 1000):
            return False
        self.wake()
        return True

    def warm(self) -> None:
        """Load what the first recall would wait for: about a second, and the models' memory.

        What cannot be loaded raises here as it would there.
        """
        parse("Hello there")
        with self._parts.watching("embedder"):
            self.embedder.embed(["Hello there"])
        if self._reranking is not None:
            with self._parts.watching("reranker"):
                self._reranking.warm("Hello there")

    def wake(self) -> None:
        """Let the worker of this process learn what waits in the store, its own jobs or others'.

        `learn_later` does it; call it at the start of a service to learn what was left by the last.
        """
        if not isinstance(self._store, Pencil):
            self._worker.wake()

    def flush(self, timeout: float | None = None) -> bool:
        """Learn what waits in the store now; for tests, scripts and serverless.

        Args:
            timeout: Seconds; without end if None. A job that failed and is put off is not waited
                for.

        Returns:
            Whether nothing waits any more.
        """
        if isinstance(self._store, Pencil):
            refuse("learn what waits")
        return self._worker.drain(timeout)

    def backlog(self) -> Backlog:
        """Count what waits in the store to be learned, of all users."""
        return self._parts.ask(
            "store", lambda: self._store.jobs.backlog(datetime.now(UTC)), seconds=_PATIENCE
        )

    def revive(self, *, user_id: str) -> int:
        """Try the dead jobs of a user again, those that failed too often; gives how many."""
        revived = self._store.jobs.revive(self._user(user_id))
        self.wake()
        return revived

    def in_tenant(self, tenant: str) -> Self:
        """Give this memory for another tenant: one store, the same models, worker and caches.

        Closing it closes nothing.
        """
        memory = copy(self)
        memory._tenant, memory._owner = tenant, self._owner or self
        return memory

    def supposing(self) -> Self:
        """Give this memory in pencil: what is changed in it is seen by it alone, and never kept.

        For asking what would be: a recall leaves no receipt, teaches nothing and counts in no
        figure, and after an `edit`, `add`, `forget`, `undo` or `learn` it is the recall that there
        would be. It is for one thread, and gone when it is dropped; it does not queue, erase a user
        or take feedback.
        """
        memory, parts = copy(self), Parts(rest=self.config.breaker_rest)
        store = memory._store = Pencil(self._store)
        memory._owner, memory._parts = self._owner or self, parts
        memory._cache = IndexCache(self.config.cache_bytes)
        memory._outbox = Outbox(store, self.config, clock=self._clock)
        memory._usage = Usage(store, self._usage.model, None, self.embedder, logs=False)
        memory._asking = self._asking and self._asking.afresh(parts)
        memory._reranking = self._reranking and self._reranking.afresh()
        return memory

    @verb
    def learn_from_edit(
        self,
        draft: str,
        final: str,
        context: str = "",
        *,
        user_id: str,
        session_id: str = "",
    ) -> LearnReport:
        """Learn from what a user changed in a draft before using it.

        A rule is learned once several edits bear it out, for the kind of text that they share;
        facts, names and numbers never enter one. The newest 50 edits of a user are kept as they
        are, until the user or a card that edits taught is forgotten.

        Args:
            draft: The text as it was shown.
            final: The text as the user left it.
            context: What kind of text it is and what for ("a mail to a customer").
            user_id: The user, as authenticated by the host.
            session_id: The conversation.

        Returns:
            The cards that this edit added; the same edit teaches once.

        Raises:
            InputError: A text is empty or too long, or an id cannot be used; nothing was stored.
            EndpointError: The inducer asks a chat model that gives no answer; nothing was stored.
        """
        user = self._user(user_id)
        _check_session(session_id)
        draft, final, context = clean(draft), clean(final), clean(context)
        if self.config.pii == "drop" and any(map(is_private, (draft, final, context))):
            self._usage.dropped["pii"] += 1
            return LearnReport(skipped=1)
        key = edit_key(context, draft, final)
        kept = KeptEdit(key, context, draft, final, self._clock())
        earlier = [edit for edit in self._store.edits(user) if edit.key != key]
        rules = newly_borne_out(earlier, kept, self._inducer)
        held = {rule_hash(c.preference) for c in self._store.cards(user) if c.status in LIVE}
        rules = [rule for rule in rules if rule_hash(rule) not in held]

        def write(recorder: Recorder, drafts: Sequence[Draft]) -> tuple[Event, ...]:
            known = recorder.transaction.knows(f"edit:{key}")  # it may be kept no more
            if known or not recorder.transaction.keep_edit(kept, most=_EDITS):
                return ()
            return (recorder.record("learn", f"edit:{key}", drafts),)

        with noted(Learning(user, session_id, "edit"), self._telling) as learning:
            said = [(rule, None) for rule in rules]
            events = self._write(user, said, "inferred", session_id, write)
            learning.report = reported(events, turns=len(events), skipped=1 - len(events))
        self._parts.tally("learned", told(learning.report))
        return learning.report

    @verb
    def command(self, messages: Iterable[Message], *, user_id: str, session_id: str = "") -> Obeyed:
        """Carry out what the user tells the memory in the last turn, at once and once.

        "Remember that ...", "forget that", "not now", "only for mails", "why did you do that?",
        "show my preferences", "change that to ...", "undo that". A host that calls this before it
        answers can use the reply; `learn` carries out what was not yet.

        Args:
            messages: The dialogue as for `learn`; the last user turn is read.
            user_id: The user, as authenticated by the host.
            session_id: The conversation.

        Returns:
            The commands with what the user may be told; without any where the turn is not for the
            memory. A turn that was carried out before has no reply.

        Raises:
            InputError: A message or an id cannot be used; nothing was done.
            StoreUnavailableError: The store fails, is left alone, or is later than
                `Config.hand_over_ms`.
        """
        user = self._user(user_id)
        _check_session(session_id)
        turns = to_turns(messages, max_chars=self.config.max_turn_chars)
        keys = user_turn_keys(turns, session_id)
        last = next((n for n in reversed(range(len(turns))) if turns[n].id in keys), None)
        if last is None:
            return Obeyed()
        turn = turns[last]
        commands = _told_by_hand(turn)
        if not commands:
            return Obeyed(rest=turn.text)
        heard, key = turns[: last + 1], keys[turn.id]
        return self._parts.ask(
            "store",
            lambda: self._obey(user, heard, key, commands, session_id),
            seconds=self.config.hand_over_ms / 1000,
        )

    @verb
    def feedback(
        self,
        recall: Recall | str,
        score: float,
        *,
        user_id: str,
        card_id: str | None = None,
        key: str | None = None,
    ) -> bool:
        """Learn from what a person says by a button: a thumb, stars, a score.

        Args:
            recall: The recall, or its id, behind the answer that is judged.
            score: From -1, useless, to 1, just right. A thumb is -1 or 1; a score s between 0 and 1
                is 2s - 1.
            user_id: The user, as authenticated by the host.
            card_id: One card of the recall that the score is about; else it is about the answer,
                which tells little about a card.
            key: The host's name of this feedback: the same key counts once.

        Returns:
            Whether it was new.

        Raises:
            InputError: The score is out of range.
            NotFoundError: The user has no such recall in the log, or no such card.
        """
        user = self._user(user_id)
        if not -1 <= score <= 1:
            raise InputError(f"score={score!r} is not in [-1, 1]; a score s of 0 to 1 is 2s - 1")
        recall_id = recall.id if isinstance(recall, Recall) else clean(recall)
        found = self._store.interactions(user, recall_id=recall_id)
        if not found or not isinstance(found[0].payload, Offer):
            raise NotFoundError(
                f"user {user_id!r} has no recall {recall_id!r} in the log; only recalls with a "
                "candidate are logged, and none with Config(log_offers=False)"
            )
        offer, index = found[0].payload, self._index(user)
        said = self._usage.told(user, offer, score, card_id, index)
        entry = Entry(f"feedback:{clean(key) if key else self._ids()}", said, self._clock())
        with self._store.write(user) as transaction:
            return self._usage.learn(transaction, user, [(entry, offer)], index) is not None

    # From a query to the prompt

    @verb
    def recall(
        self,
        query: str | Iterable[Message],
        *,
        user_id: str,
        session_id: str = "",
        context: str = "",
        limit: int | None = None,
        min_score: float | None = None,
        max_tokens: int | None = None,
        why: bool = False,
        timeout: float | None = None,
        strict: bool = False,
    ) -> Recall:
        """Find the rules that apply to a query; often there is none, and none is given.

        A store or a model that fails or is late fails no chat: the recall does without it, says so
        in `Recall.missing`, and `degraded` counts it. See `Config.recall_soft_ms`. An agent is
        waited for as long as `Config.agent_ms` says; its rules come last, and none of them says
        otherwise than an active card.

        Args:
            query: What the user asks for now, or the dialogue so far, as for `learn`: then its last
                user turn is the query, and the one that this refers back to the context.
            user_id: The user, as authenticated by the host.
            session_id: The conversation.
            context: What the user asked for before, which a follow-up ("shorter, please") needs.
            limit: Conditional rules at most; the config's unless given.
            min_score: Relevance that a conditional rule needs, in [0, 1]; the config's unless
                given.
            max_tokens: Size of the block that is to hold the rules; the config's unless given.
            why: Whether the newest cards that are not active are looked at, too, for
                `Recall.explain`; takes the time of embedding them.
            timeout: Seconds that it may take, in place of the config's limits; it counts as late
                after three quarters of them.
            strict: Waits as long as it takes, and raises what fails.

        Returns:
            The receipt: every candidate with its scores, what was chosen, and the rules.

        Raises:
            InputError: An id cannot be used, or a number is out of range.
            StoreError: The memory is closed; with `strict` also where the store fails.
        """
        user = self._user(user_id)
        _check_session(session_id)
        if limit is not None and limit < 0:
            raise InputError(f"limit={limit!r} is below 0")
        if min_score is not None and not 0 <= min_score <= 1:
            raise InputError(f"min_score={min_score!r} is not in [0, 1]")
        if timeout is not None and not 0 < timeout <= _LONGEST:
            raise InputError(f"timeout={timeout!r} is not in (0, {_LONGEST}] seconds")
        if not isinstance(query, str):
            turns = to_turns(query, max_chars=self.config.max_turn_chars)
            query, earlier = question_of(turns)
            context = context or earlier
        floor = self._floor if min_score is None else min_score
        request = Request(
            user, session_id, query, clean(query), clean(context), limit, floor, max_tokens, why,
            self._clock(),
        )  # fmt: skip

        def find() -> Recall:
            if strict:
                return self._recalled(request, Leg(self._parts.calls))
            return self._in_time(request, lambda leg: self._recalled(request, leg), timeout)

        recall = self._with_agent(request, find, timeout, strict=strict)
        self._parts.tally("recalled", {outcome(recall): 1})
        self._parts.tally("verdicts", verdicts(recall))
        return recall

    def _recalled(self, request: Request, leg: Leg[Recall]) -> Recall:
        """Search and rerank; where a part is late, another leg goes on with what is there."""
        index = leg.ask("store", lambda: self._index(request.user))
        leg.could_end(
            lambda last: self._chosen(
                request, index, self._candidates(request, index, None, last), last
            )
        )
        asked = views(request.query, request.context)
        rows = self._rows(asked, leg) if index.shelf.ids else None
        candidates = self._candidates(request, index, rows, leg)
        leg.could_end(lambda last: self._chosen(request, index, candidates, last))
        read = self._reranked(asked, candidates, leg)
        return self._chosen(request, index, read, leg)

    def _chosen(
        self,
        request: Request,
        index: UserIndex,
        candidates: Sequence[Candidate],
        leg: Leg[Recall],
    ) -> Recall:
        """Weigh and select, and log what is offered if this is what the caller gets."""
        state = leg.ask("store", lambda: self._usage.state(request.user, request.session_id))
        limit = self.config.limit if request.limit is None else request.limit
        weighed, choice, withheld = self._usage.weigh(
            state, index, candidates, floor=request.floor, limit=limit
        )
        if request.why:
            weighed = (*weighed, *self._inactive(request, leg))
        picked = select(
            weighed,
            self._room(limit, request.max_tokens),
            query=request.query,
            context=request.context,
            floor=request.floor if choice.floor else 0.0,
            now=request.now,
            withheld=withheld,
        )
        rules = tuple(rule_of(weighed[i].card) for i in picked.chosen)
        recall = Recall(
            self._ids(), request.user.user_id, request.session_id, request.said, weighed,
            picked.chosen, rules, self.embedder.basis, request.now, picked.verdicts, request.floor,
        )  # fmt: skip
        if leg.settle(recall) and len(choice.worth):
            leg.try_("store", lambda: self._usage.note(request.user, recall, choice, index))
        return recall

    @property
    def degraded(self) -> Counter[str]:
        """How often a part failed and the memory went on without it.

        `recall without reranker`, `embedder`, `store`, `agent` or `rules` for recalls that did
        without one; `agent busy` for questions that it did not come to;
        `recall late` and `recall timeout` where that was for the time; `render` for blocks that
        are empty as the store failed; by the error's name for reranking; `offer` for recalls
        that could not be logged, `judge` for follow-ups that could not be judged; in the background
        by the name of what made learning fail, `dead` for jobs that were given up, `jobs` for those
        that made room for others; `cards` for rules of a dialogue that came above a limit of
        `Config`, `pii` for those that `Config(pii="drop")` kept out.
        """
        failed = self._usage.dropped + self._worker.failures + self._parts.without
        if self._outbox.dropped:
            failed["jobs"] = self._outbox.dropped
        if self._reranking is not None:
            failed.update(self._reranking.failures)
        return failed

    @property
    def health(self) -> Health:
        """How the parts are, what was done without, and how long recalls took.

        Asks no store; `backlog` tells what waits there.
        """
        parts, calls = self._parts, self._parts.calls
        times = calls.times("part")
        return Health(
            {name: PartHealth.of(b, times.get(name)) for name, b in parts.breakers.items()},
            self.degraded, parts.recalls.times, parts.tallied("learned"), parts.pool.stuck,
            self._cache.size_bytes, parts.tallied("recalled"), parts.tallied("verdicts"),
            Counter(self._usage.heard), parts.tallied("erased"), calls.times("verb"),
            calls.failures("verb"),
        )  # fmt: skip

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Let a listener stand around every call of a verb, and of the parts that it asks.

        For tracing and figures: see `prefmem.guard.calls`. It hears the calls of all tenants, and
        what users say is among their arguments.

        Returns:
            What ends it.
        """
        return self._parts.calls.listen(listener)

    @verb
    def render(
        self,
        recalled: Recall | Iterable[str],
        *,
        user_id: str | None = None,
        max_tokens: int | None = None,
        strict: bool = False,
    ) -> str:
        """Give the exact block that the agent reads; empty when no rule applies.

        It is empty, too, where the store that is asked about ids fails or is late; `degraded`
        counts that.

        Args:
            recalled: A recall, or its `ids`: what may lie in a checkpoint, since ids say nothing
                and a rule that was forgotten meanwhile does not come back from them. An agent's
                rule comes back in this process alone, until the user's cards change.
            user_id: The user, needed with ids: foreign ids find nothing.
            max_tokens: Size of the block; the config's unless given.
            strict: Waits as long as it takes, and raises what fails.

        Raises:
            InputError: Ids came without a user, or as one text.
            StoreError: The memory is closed; with `strict` also where the store fails.
        """
        if not isinstance(recalled, Recall):
            recalled = self._recall_of(recalled, user_id, strict=strict)
        budget = self.config.max_tokens if max_tokens is None else max_tokens
        return self._writer(recalled, max_tokens=budget, nonce=self._nonce(recalled.rules))

    # Taking data along

    def export(self, *, user_id: str, actor: str = "user") -> dict[str, Any]:
        """Give everything held about a user as plain JSON data, versioned.

        The audit log tells that `actor` took it, beforehand.
        """
        user, now = self._user(user_id), self._clock()
        self._store.audit(user, "export", actor=actor, at=now)
        events = self._store.events(user)
        held = Export.of(
            user_id, cards=fold(events).values(), events=events,
            interactions=self._store.interactions(user), edits=self._store.edits(user),
            state=self._store.state(user), jobs=self._store.jobs.of(user),
            numbers=self._store.numbers(user), at=now,
        )  # fmt: skip
        return held.model_dump(mode="json")

    def load(self, data: Mapping[str, Any], *, user_id: str, actor: str = "user") -> LearnReport:
        """Take in an export, for this user or another one; loading it twice changes nothing.

        Vectors are made anew, so the export may come from a store with another embedder, and what
        the user model learned is worked out from the log of interaction, where the user has none
        of their own. A rule
        that the user has already gains the evidence; one that claims authority waits for
        confirmation again. What the user forgot since stays forgotten. The audit log tells that
        `actor` did it.

        Returns:
            The cards that were added or gained evidence.

        Raises:
            InputError: The data is no export; the message names the field. Nothing was stored.
        """
        user = self._user(user_id)
        held = Export.read(data)
        for job in held.jobs:  # refused now, before anything is stored
            _check_session(job.session_id)
            to_turns(job.spoken(), max_chars=self.config.max_turn_chars)
        longest = self.config.max_slot_chars
        pii = self.config.pii
        log = tuple(admitted(event, longest=longest, pii=pii) for event in held.log(user_id))
        texts = {change.card.id: change.card.text for event in log for change in event.changes}
        vectors = dict(zip(texts, self.embedder.embed(list(texts.values())), strict=True))
        with self._store.write(user) as transaction:
            recorder = self._recorder(transaction, user, "imported", "", self._clock())
            done = restore(log, vectors, recorder=recorder, ids=self._ids)
            count = len(done[0]) + len(done[1]) if done else 0
            transaction.audit("load", actor=actor, at=recorder.now, n=count)
            check_room(transaction, recorder.now, most=self.config.max_cards)
            for edit in held.edits if done else ():
                transaction.keep_edit(edit.edit(), most=_EDITS)
            if done and held.interactions and not transaction.interactions():
                for entry in held.interactions_of(transaction.numbers()):
                    transaction.note(entry)
                index = UserIndex.build(transaction.shelf())
                offered = transaction.interactions()
                transaction.save_state(self._usage.replayed(user, offered, index))
        for job in held.jobs:
            self.learn_later(job.spoken(), user_id=user_id, session_id=job.session_id)
        added, merged = done or ((), ())
        return LearnReport(added=added, updated=tuple(change.card for change in merged))

    # Life cycle

    def close(self, timeout: float = 10.0) -> None:
        """Stop learning and release the store; closing twice is fine.

        Args:
            timeout: Seconds in which what waits is still begun, where this process learns in the
                background. What is left stays in the store, for the next that opens it.
        """
        if self._owner is not None:
            return
        if self._worker.awake:
            with suppress(StoreError):  # closed already, or down: the jobs stay
                if timeout > 0:
                    self._worker.drain(timeout)
            self._worker.stop()
        self._store.close()
        self._parts.pool.close()

    def __enter__(self) -> Self:
        """Use the memory as a context."""
        return self

    async def __aenter__(self) -> Self:
        """Use the memory as a context of asynchronous code."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it on a worker thread."""
        await self.aclose()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    # Steps of the verbs that need other verbs

    def _learn_job(self, job: Job) -> None:
        """Learn a window that waited, and remove it; nothing if it is gone."""
        user, session_id = job.user, job.session_id
        call = Call("job", "verb", user.tenant, user.user_id, {"job": job})
        with self._parts.calls.under_way(call), suppress(GoneError):
            call.result = self.in_tenant(user.tenant)._learned(user, job.turns, session_id, job)

    def _obey(
        self,
        user: UserKey,
        turns: Sequence[Turn],
        key: str,
        commands: Sequence[Command],
        session_id: str,
    ) -> Obeyed:
        """Carry out the commands of the last of these turns, unless that was done."""
        turn, key = turns[-1], f"command:{key}"
        rest = without_commands(turn.text, commands).strip()
        if self._store.noted(user, key):
            return Obeyed(tuple(commands), rest=rest)
        before = next((t.text for t in reversed(turns[:-1]) if t.role == "user"), "")
        offer = self._usage.offered(user, before, session_id)
        replies: list[str] = []
        cards: dict[str, Card] = {}
        paused: list[int] = []

        def pause(ids: Sequence[str]) -> None:
            numbers = self._store.numbers(user)
            paused.extend([numbers[i] for i in ids] or [ALL_CARDS])

        for command in commands:
            desk = Desk(
                user.user_id, self, self.list(user_id=user.user_id),
                shown(offer, self._store.numbers(user)), self._newest(user),
                lambda told: self._remembered(user, turn, told, session_id), pause,
                self._wrote(user, before, session_id),
            )  # fmt: skip
            reply, about = desk.carry_out(command, self.embedder)
            replies.append(reply)
            cards |= {card.id: card for card in about}
        said = Observation(
            session_id=session_id, paused=np.unique(np.array(paused, dtype=np.int64)), heard=False
        )
        with self._store.write(user) as transaction:
            self._usage.learn(transaction, user, [(Entry(key, said, self._clock()), None)], None)
        return Obeyed(tuple(commands), " ".join(replies), tuple(cards.values()), rest)

    alearn = twin(learn)
    alearn_later = twin(learn_later)
    aflush = twin(flush)
    awarm = twin(warm)
    abacklog = twin(backlog)
    arevive = twin(revive)
    acommand = twin(command)
    alearn_from_edit = twin(learn_from_edit)
    afeedback = twin(feedback)
    arecall = twin(recall)
    arender = twin(render)
    aexport = twin(export)
    aload = twin(load)
    aclose = twin(close)


def _in_order(preferences: Iterable[Preference], turns: Sequence[Turn]) -> tuple[Preference, ...]:
    """Sort preferences as they were said: by their first quote's turn and place in it."""
    places = {turn.id: (number, turn.text) for number, turn in enumerate(turns)}

    def said(preference: Preference) -> tuple[int, int]:
        quoted = preference.evidence[0]
        number, text = places[quoted.turn_id]
        return number, text.find(quoted.quote)

    return tuple(sorted(preferences, key=said))


def _told_by_hand(turn: Turn) -> tuple[Command, ...]:
    """Find the commands of a turn; one that was filled in or pasted holds none."""
    return parse(turn.text) if turn.origin == "typed" else ()


def _check_session(session_id: str) -> None:
    """Refuse what cannot name a conversation."""
    fits = isinstance(session_id, str) and clean(session_id) == session_id  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may pass anything
    if not fits or len(session_id.encode()) > MAX_ID_BYTES:
        raise InputError(
            f"session_id={session_id!r:.80}: text of at most {MAX_ID_BYTES} bytes without NUL or "
            "lone surrogates is needed; pass a hash of a longer one"
        )
