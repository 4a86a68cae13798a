"""What was offered to a user, what came back, and what the user model makes of it.

recall     ─ weigh ─▶ choice ─ select ─▶ offer ─▶ log                     weigh, note
follow-up  ─ judge ─▶ observation ─ observe ─▶ state ─▶ store            judge, learn
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b

import numpy as np

from prefmem.errors import NotFoundError
from prefmem.feedback.sentences import sentences
from prefmem.ids import fold_text
from prefmem.interaction import (
    Answered,
    Choice,
    Considered,
    Deck,
    Entry,
    Followup,
    Judgement,
    Label,
    Numbers,
    Observation,
    Offer,
    PastRecall,
    Slate,
    Standing,
    UserState,
)
from prefmem.messages import clean
from prefmem.protocols import Embedder, Judge, Store, Transaction, UserModel
from prefmem.stores.faiss import UserIndex
from prefmem.types import Candidate, Reason, Recall, Turn, UserKey, Vector
from prefmem.usermodel.none import NoModel

ALL_CARDS = 0  # the number that stands for every card of a user
_LABELS = {"satisfied": 1.0, "dissatisfied": -1.0, "neutral": 0.0}
_HEARD_CHARS = 2_000  # of a follow-up; what is longer is a pasted text, not a word on the answer
_NEAREST = 8  # cards outside the offer that a follow-up may be about
_HEARD_MOST = 0.999  # no follow-up is as clear as a button
_SURE = 0.5  # probability from which a follow-up rejects
_ODDS = 12.0  # bound of a log-odds
_ROWS = 512  # compared with all cards at once
_MOVED = 1e-3  # evidence that counts as a change
_SAME_FROM, _SAME_TO = 0.55, 0.85  # cosines between which a newer card makes an older one doubtful


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A follow-up that was judged, before it is written down.

    Attributes:
        turn_id: The turn.
        key: Idempotency key of the observation.
        offer: What had been considered for the answer.
        judgement: What the turn shows.
        numbers: Cards that were judged, (j,).
        shown: Which of them had been injected, (j,).
        similarity: Cosine of the turn with the query.
    """

    turn_id: str
    key: str
    offer: Offer
    judgement: Judgement
    numbers: Numbers
    shown: tuple[bool, ...]
    similarity: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was shown for a recall, and what another user model would have shown.

    Attributes:
        recall_id: The recall.
        at: When, UTC.
        shown: Ids of the cards that were injected and are there still.
        shows: Ids of the cards that the other one would have injected, best first.
    """

    recall_id: str
    at: datetime
    shown: tuple[str, ...]
    shows: tuple[str, ...]


class Usage:
    """Weighs candidates by what has worked for a user, and learns from what comes back.

    Args:
        store: Where the log of interaction and the states lie.
        model: The user model.
        judge: Judges follow-ups; None where nothing is to be learned from them.
        embedder: Embeds follow-ups, in the space of the cards.
        logs: Whether offers are logged; without them nothing is learned from follow-ups.

    Attributes:
        dropped: Offers that could not be logged, and follow-ups that could not be judged, by kind.
        heard: Follow-ups and scores that were learned from, by what they show.
    """

    def __init__(
        self, store: Store, model: UserModel, judge: Judge | None, embedder: Embedder, *, logs: bool
    ) -> None:
        """Put the parts together."""
        self.model, self.judge = model, judge
        self.dropped: Counter[str] = Counter()
        self.heard: Counter[str] = Counter()
        self._store, self._embedder, self._logs = store, embedder, logs

    # From candidates to an offer

    def state(self, user: UserKey, session_id: str | None = None) -> UserState:
        """Give the user's state, as it stands in a session; one of another model is made again."""
        found = self._store.state(user)
        if found is not None and found.model != self.model.name:
            found = self.replayed(user, self._store.interactions(user), None)
        state = found or self.model.fresh(user.user_id)
        return state if session_id is None else self._in_session(state, session_id)

    def weigh(
        self,
        state: UserState,
        index: UserIndex,
        candidates: Sequence[Candidate],
        *,
        floor: float,
        limit: int,
    ) -> tuple[tuple[Candidate, ...], Choice, Mapping[str, Reason]]:
        """Weigh candidates with what the user model believes.

        Args:
            state: The user's state, as it stands in the session.
            index: The user's cards.
            candidates: With their relevance; active ones.
            floor: Relevance that a rule needs of which nothing is known but that the user said it.
            limit: Conditional rules at most.

        Returns:
            The candidates with belief and worth, best first; the choice, in the order in which the
            candidates came back; why cards are withheld whatever is asked, by card id.
        """
        places = np.array([index.rows[c.card.id] for c in candidates], dtype=np.int64)
        relevance = np.array([c.relevance for c in candidates], dtype=np.float32)
        # a doubt ends in a prior, which this model does not weigh with: only the log tells it
        spared = isinstance(self.model, NoModel) and not self._logs
        slate = Slate(self._deck(index, _NOWHERE if spared else places), places, relevance)
        choice = self.model.select(state, slate, floor=floor, limit=limit)
        scale = floor / choice.floor if choice.floor > 0 else 1.0  # back to the scale of relevance
        worth = choice.worth * scale
        weighed = [
            Candidate(
                c.card, c.embedding, c.dense, c.relevance, c.dense_relevance, float(b), float(w)
            )
            for c, b, w in zip(candidates, choice.belief, worth, strict=True)
        ]
        order = sorted(
            range(len(weighed)),
            key=lambda i: (-weighed[i].total, -weighed[i].dense, weighed[i].card.id),
        )
        withheld: dict[str, Reason] = {}
        paused = set(state.paused.tolist())
        for candidate, place, belief in zip(weighed, places, choice.belief * scale, strict=True):
            everywhere = candidate.card.preference.scope.kind == "global"
            if paused & {ALL_CARDS, int(slate.deck.numbers[place])}:
                withheld[candidate.card.id] = "paused"
            elif everywhere and choice.floor > 0 and belief < floor:
                withheld[candidate.card.id] = "doubted"
        return tuple(weighed[i] for i in order), _ordered(choice, order), withheld

    def note(self, user: UserKey, recall: Recall, choice: Choice, index: UserIndex) -> None:
        """Log what a recall offered; a store that is busy drops it."""
        if not self._logs:
            return
        count = len(choice.worth)
        injected = set(recall.chosen)
        offer = Offer(
            recall.id,
            recall.session_id,
            asked(clean(recall.query), recall.session_id, user),
            np.array([index.numbers[index.rows[c.card.id]] for c in recall.candidates[:count]]),
            np.array([c.relevance for c in recall.candidates[:count]], dtype=np.float32),
            choice.prior,
            choice.chance,
            np.array([i in injected for i in range(count)], dtype=np.bool_),
            tuple(v.reason for v in recall.verdicts[:count]),
            self.model.name,
            recall.at,
        )
        if not self._store.note(user, Entry("", offer, recall.at)):
            self.dropped["offer"] += 1

    def offered(self, user: UserKey, query: str, session_id: str) -> Offer | None:
        """Give the newest offer for a query of a session; None where none was logged."""
        if not query:
            return None
        found = self._store.interactions(user, asked=asked(query, session_id, user))
        payload = found[-1].payload if found else None
        return payload if isinstance(payload, Offer) else None

    # From a follow-up to a state

    def hear(
        self,
        user: UserKey,
        turns: Sequence[Turn],
        keys: Mapping[str, str],
        session_id: str,
        index: UserIndex,
    ) -> tuple[Heard, ...]:
        """Judge the user turns that follow an answer for which something was offered.

        Args:
            user: Who speaks.
            turns: The dialogue, oldest first.
            keys: Idempotency keys of the turns to hear, by turn id.
            session_id: The conversation.
            index: The user's cards.
        """
        if self.judge is None or not self._logs:
            return ()
        found: list[tuple[str, Offer, Followup, Numbers]] = []  # by turn
        for turn, query, reply in _followups(turns):
            if turn.id not in keys:
                continue
            offer = self.offered(user, query, session_id)
            if offer is None:
                continue
            followup, numbers = self._about(user, turn.text, query, reply, offer, index)
            if len(numbers):
                found.append((turn.id, offer, followup, numbers))
        judgements = self.judge.judge([followup for _, _, followup, _ in found]) if found else ()
        return tuple(
            Heard(
                turn_id, f"heard:{keys[turn_id]}", offer, judgement, numbers,
                tuple(followup.shown.tolist()), followup.similarity,
            )
            for (turn_id, offer, followup, numbers), judgement in zip(
                found, judgements, strict=True
            )
        )  # fmt: skip

    def learn(
        self,
        transaction: Transaction,
        user: UserKey,
        entries: Sequence[tuple[Entry, Offer | None]],
        index: UserIndex | None,
    ) -> UserState | None:
        """Write observations down and bring the state up to them, inside a transaction.

        Args:
            transaction: The user's open transaction.
            user: Whose state it is.
            entries: Observations, each with the offer that it is about.
            index: The user's cards, for models that need vectors.

        Returns:
            The state that was saved; None where every observation was known.
        """
        state = transaction.state()
        if state is not None and state.model != self.model.name:
            state = self.replayed(user, transaction.interactions(), index)
        state = state or self.model.fresh(user.user_id)
        news = [(entry, offer) for entry, offer in entries if transaction.note(entry)]
        for entry, offer in news:
            state = self._next(state, entry, offer, index)
            if isinstance(said := entry.payload, Observation) and (said.heard or said.recall_id):
                self.heard[said.label] += 1
        if not news:
            return None
        transaction.save_state(state)
        return state

    def observed(
        self, heard: Heard, taught: Deck, state: UserState, index: UserIndex
    ) -> Observation:
        """Make an observation of what was heard.

        Args:
            heard: The judged follow-up.
            taught: The cards that the turn taught; they count where it is a complaint.
            state: The user's state.
            index: The user's cards as they were before the turn.
        """
        judgement, shown = heard.judgement, np.array(heard.shown, dtype=np.bool_)
        against = np.where(shown, judgement.rejects, 0)
        rejects = bool(len(against)) and float(against.max()) >= _SURE
        chances = against if rejects else judgement.restates
        places = np.array([index.row_of(number) for number in heard.numbers], dtype=np.int64)
        born = np.arange(len(taught.numbers) if judgement.label == "dissatisfied" else 0)
        return Observation(
            heard.offer.recall_id,
            heard.offer.session_id,
            judgement.label,
            _LABELS[judgement.label] * judgement.confidence,
            min(float(chances.max()), _HEARD_MOST) if len(chances) else 0.0,
            rejects,
            heard.numbers,
            _log_odds(chances),
            self.model.prior(state, self._deck(index, places), places),
            taught.numbers[born],
            self.model.prior(state, taught, born),
            heard.similarity,
        )

    def told(
        self, user: UserKey, offer: Offer, score: float, card_id: str | None, index: UserIndex
    ) -> Observation:
        """Make an observation of a person's score.

        Raises:
            NotFoundError: The user has no such active card.
        """
        label: Label = "satisfied" if score > 0 else "dissatisfied" if score < 0 else "neutral"
        about = Observation(offer.recall_id, offer.session_id, label, float(score), heard=False)
        if card_id is None:
            return about
        if card_id not in index.rows:
            raise NotFoundError(f"user {user.user_id!r} has no active card {card_id!r}")
        place = np.array([index.rows[card_id]], dtype=np.int64)
        return replace(
            about,
            said=abs(float(score)),
            rejects=score < 0,
            numbers=index.numbers[place],
            fit=np.zeros(1, dtype=np.float32),
            prior=self.model.prior(self.state(user), self._deck(index, place), place),
        )

    def replay(
        self, user: UserKey, index: UserIndex, *, limit: int, floor: float
    ) -> Iterator[Replayed]:
        """Say for each logged recall what was shown, and what this user model would have shown."""
        names = {number: card_id for card_id, number in self._store.numbers(user).items()}
        log = self._store.interactions(user)
        for offer, places, choice in self._again(user, log, index, limit=limit, floor=floor):
            there = places[places >= 0]
            best = np.argsort(-choice.worth, kind="stable")[:limit]
            shows = [int(index.numbers[there[i]]) for i in best if choice.worth[i] >= choice.floor]
            shown = offer.numbers[offer.shown].tolist()
            yield Replayed(
                offer.recall_id,
                offer.at,
                tuple(names[n] for n in shown if n in names),
                tuple(names[n] for n in shows if n in names),
            )

    def past(
        self,
        user: UserKey,
        log: Sequence[Entry],
        index: UserIndex,
        *,
        only: Container[str],
        limit: int,
        floor: float,
    ) -> Iterator[PastRecall]:
        """Give logged recalls with what was considered and what came back, oldest first.

        Args:
            user: Whose log it is.
            log: All of it, in order.
            index: The user's cards.
            only: Ids of the recalls to give.
            limit: Conditional rules at most.
            floor: Relevance that a rule needs.
        """
        names = {number: card_id for card_id, number in self._store.numbers(user).items()}
        answers: dict[str, list[Answered]] = {}
        for entry in log:
            said = entry.payload
            if isinstance(said, Observation) and said.recall_id in only:
                found = Answered(said.label, said.reward, said.heard, entry.at)
                answers.setdefault(said.recall_id, []).append(found)
        again = self._again(user, log, index, only=only, limit=limit, floor=floor)
        for offer, places, choice in again:
            scale = floor / choice.floor if choice.floor > 0 else 1.0  # to the scale of relevance
            belief: list[float] = choice.belief.tolist()
            worth: list[float] = choice.worth.tolist()
            weighed = iter(zip(belief, worth, strict=True))
            figures = [next(weighed) if place >= 0 else None for place in places]
            rows = zip(
                offer.numbers.tolist(), offer.relevance.tolist(), figures, offer.chance.tolist(),
                offer.shown.tolist(), offer.reasons, strict=True,
            )  # fmt: skip
            yield PastRecall(
                offer.recall_id, offer.session_id, offer.at, offer.model, floor,
                tuple(
                    Considered(
                        names[number], relevance, both and both[0], both and both[1] * scale,
                        chance, shown, reason,
                    )
                    for number, relevance, both, chance, shown, reason in rows
                    if number in names
                ),
                tuple(answers.get(offer.recall_id, ())),
            )  # fmt: skip

    def replayed(self, user: UserKey, log: Iterable[Entry], index: UserIndex | None) -> UserState:
        """Fold the log of interaction into a state.

        Args:
            user: Whose log it is.
            log: In order.
            index: The user's cards, for models that need vectors.
        """
        state = self.model.fresh(user.user_id)
        for _, moved in self._course(user, log, index):
            state = moved
        return state

    def standings(
        self, user: UserKey, log: Iterable[Entry], index: UserIndex | None
    ) -> Iterator[Standing]:
        """Say how the evidence of the user's cards grew, from the log of interaction in order."""
        known: dict[int, float] = {}
        for entry, state in self._course(user, log, index):
            for number, evidence in zip(
                state.numbers.tolist(), state.evidence.tolist(), strict=True
            ):
                if abs(evidence - known.get(number, 0.0)) >= _MOVED:
                    known[number] = evidence
                    yield Standing(number, evidence, entry.at)

    # Steps

    def _deck(self, index: UserIndex, places: Numbers) -> Deck:
        return deck_of(index, places, self._embedder.basis)

    def _again(
        self,
        user: UserKey,
        log: Iterable[Entry],
        index: UserIndex,
        *,
        limit: int,
        floor: float,
        only: Container[str] | None = None,
    ) -> Iterator[tuple[Offer, Numbers, Choice]]:
        """Weigh logged offers anew, as the state stood: the rows of their cards, -1 for none."""
        state, offers = self.model.fresh(user.user_id), dict[str, Offer]()
        for entry in log:
            if not isinstance(entry.payload, Offer):
                about = offers.get(entry.payload.recall_id)
                state = self._next(state, entry, about, index)
                continue
            offer = offers[entry.payload.recall_id] = entry.payload
            if only is not None and offer.recall_id not in only:
                continue
            rows = np.array([index.row_of(n) for n in offer.numbers], dtype=np.int64)
            places = rows[rows >= 0]
            slate = Slate(self._deck(index, places), places, offer.relevance[rows >= 0])
            within = self._in_session(state, offer.session_id)
            yield offer, rows, self.model.select(within, slate, floor=floor, limit=limit)

    def _course(
        self, user: UserKey, log: Iterable[Entry], index: UserIndex | None
    ) -> Iterator[tuple[Entry, UserState]]:
        """Fold the log of interaction, and give the state after each observation."""
        state = self.model.fresh(user.user_id)
        offers: dict[str, Offer] = {}
        for entry in log:
            if isinstance(entry.payload, Offer):
                offers[entry.payload.recall_id] = entry.payload
            else:
                state = self._next(state, entry, offers.get(entry.payload.recall_id), index)
                yield entry, state

    def _next(
        self, state: UserState, entry: Entry, offer: Offer | None, index: UserIndex | None
    ) -> UserState:
        said = entry.payload
        assert isinstance(said, Observation)  # offers change no state
        state = self._in_session(state, said.session_id)
        if len(said.paused):
            paused = np.union1d(state.paused, said.paused)
            state = replace(state, paused=paused, steps=state.steps + 1)
        deck = _NO_DECK if index is None else self._deck(index, _NOWHERE)
        return self.model.observe(state, offer or _nothing(said, entry.at), said, deck)

    def _in_session(self, state: UserState, session_id: str) -> UserState:
        if session_id == state.session_id and state.sessions:
            return state
        return replace(self.model.tick(state, session_id), paused=_NOWHERE)

    def _about(
        self, user: UserKey, text: str, query: str, reply: str, offer: Offer, index: UserIndex
    ) -> tuple[Followup, Numbers]:
        """Find the cards that a follow-up may be about: what was offered, and what lies near it."""
        heard = text[:_HEARD_CHARS]
        rows = self._embedder.embed([heard, query, *sentences(heard)])
        cosines = (index.shelf.matrix @ rows[2:].T).max(axis=1)  # (m, e) @ (e, s) -> (m,)
        offered = [p for p in (index.row_of(n) for n in offer.numbers) if p >= 0]
        near = np.argsort(-cosines, kind="stable")[: _NEAREST + len(offered)].tolist()
        places = list(dict.fromkeys([*offered, *near]))[: len(offered) + _NEAREST]
        shown = set(offer.numbers[offer.shown].tolist())
        ids = [index.shelf.ids[p] for p in places]
        texts = {card.id: card.text for card in self._store.cards(user, ids=ids)}
        places = [p for p in places if index.shelf.ids[p] in texts]
        numbers = index.numbers[places]
        return (
            Followup(
                query,
                reply,
                heard,
                tuple(texts[index.shelf.ids[p]] for p in places),
                np.array([int(n) in shown for n in numbers], dtype=np.bool_),
                cosines[places].astype(np.float32),
                (index.shelf.matrix[places] @ rows[1]).astype(np.float32),
                float(rows[0] @ rows[1]),
            ),
            numbers,
        )


def asked(query: str, session_id: str, user: UserKey) -> str:
    """Name a query within a user's session, 16 hexadecimal digits that do not say it."""
    key = f"{user.tenant}\x1f{user.user_id}".encode()
    said = f"{session_id}\x1f{fold_text(query[:_HEARD_CHARS])}".encode()
    return blake2b(said, key=blake2b(key, digest_size=32).digest(), digest_size=8).hexdigest()


def deck_of(index: UserIndex, places: Numbers, basis: str) -> Deck:
    """Give the user's cards as a user model sees them; doubt is worked out for some rows only.

    The doubt about a card grows from 0 to 1 as the cosine of the nearest newer card grows from 0.55
    to 0.85 (`sup` of the ledger).

    Args:
        index: The user's cards.
        places: Rows that the doubt is needed for, (k,).
        basis: Vector space of the cards.
    """
    shelf, doubts = index.shelf, index.doubts
    known = places[places >= 0]
    unknown = known[np.isnan(doubts[known])]
    for start in range(0, len(unknown), _ROWS):
        some = unknown[start : start + _ROWS]
        first = int(some.min())  # rows are in the order of numbers: the newer ones come behind
        near = shelf.matrix[some] @ shelf.matrix[first:].T  # (k, e) @ (e, m) -> (k, m)
        near[np.arange(first, len(doubts)) <= some[:, None]] = 0.0
        doubts[some] = np.clip((near.max(axis=1) - _SAME_FROM) / (_SAME_TO - _SAME_FROM), 0, 1)
    doubt = np.zeros_like(doubts)
    doubt[known] = doubts[known]
    return Deck(index.numbers, shelf.matrix, shelf.confidence, doubt, basis)


def _followups(turns: Sequence[Turn]) -> Iterable[tuple[Turn, str, str]]:
    """Give every user turn that follows another one, with that one's text and the reply between."""
    query, reply = "", ""
    for turn in turns:
        if turn.role == "assistant":
            reply = turn.text
        elif turn.role == "user" and turn.text.strip():
            if query:
                yield turn, query, reply
            query, reply = turn.text, ""


def _log_odds(chances: Vector) -> Vector:
    bounded = np.clip(chances.astype(np.float64), 1e-9, 1 - 1e-9)
    odds: Vector = np.clip(np.log(bounded / (1 - bounded)), -_ODDS, _ODDS).astype(np.float32)
    return odds


def _ordered(choice: Choice, order: Sequence[int]) -> Choice:
    rows = {n: getattr(choice, n)[list(order)] for n in ("worth", "belief", "prior", "chance")}
    return replace(choice, **rows)


def _nothing(said: Observation, at: datetime) -> Offer:
    """Give the offer of a recall of which nothing is known."""
    none = np.zeros(0, dtype=np.float32)
    return Offer(
        said.recall_id, said.session_id, "", _NOWHERE, none, none, none,
        np.zeros(0, dtype=np.bool_), (), "", at,
    )  # fmt: skip


_NOWHERE: Numbers = np.zeros(0, dtype=np.int64)
_NO_DECK = Deck(
    _NOWHERE,
    np.zeros((0, 0), dtype=np.float32),
    np.zeros(0, dtype=np.float32),
    np.zeros(0, dtype=np.float32),
)
