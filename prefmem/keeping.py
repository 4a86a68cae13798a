"""The verbs that ask no model what the user meant: cards by hand, looking, upkeep."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from prefmem import defaults, upkeep
from prefmem.aio import twin
from prefmem.beside import Beside
from prefmem.cards.check import checked, edited, stored
from prefmem.cards.reconcile import activated
from prefmem.cards.record import Draft, Recorder
from prefmem.cards.undo import undone
from prefmem.errors import (
    InputError,
    NotFoundError,
)
from prefmem.guard.calls import verb
from prefmem.interaction import (
    Offer,
    PastRecall,
    Timeline,
    UserState,
)
from prefmem.messages import clean
from prefmem.protocols import (
    BatchEraser,
    UserModel,
)
from prefmem.retrieve.audience import addressed
from prefmem.stores.faiss import UserIndex
from prefmem.types import (
    Card,
    Change,
    Check,
    Erasure,
    Event,
    Polarity,
    Preference,
    Rebuilt,
    Scope,
    ScopeKind,
    Shelf,
    Status,
    Swept,
)
from prefmem.usage import Replayed, Usage, deck_of
from prefmem.usermodel.vectors import read_out


class Keeping(Beside):
    """What is done to cards by hand, what they are looked at with, and what keeps them sound."""

    # Cards by hand

    @verb
    def add(
        self,
        condition: str,
        action: str,
        *,
        user_id: str,
        polarity: Polarity = "do",
        scope: ScopeKind | None = None,
        source: Literal["added", "distilled"] = "added",
        actor: str = "user",
    ) -> Card:
        """Store a rule as it is given, without any model's opinion.

        Args:
            condition: Completes "When ..."; empty for none.
            action: An instruction that can stand alone.
            user_id: The user, as authenticated by the host.
            polarity: `avoid` when the action keeps away from something.
            scope: `global` to inject it always; by default that is so when there is no condition.
            source: `distilled` for a rule that a model read off the user's texts: it closes none
                that was said, and ends if nobody confirms it; see `sweep`.
            actor: Who does it, where it is not the user: a name for the audit log.

        Returns:
            The new card, or the one that said the same already; after words that only take a rule
            back, the card that they close.

        Raises:
            InputError: The action is empty, a slot is too long, a choice is unknown, the user has
                `Config.max_cards` live cards already, or it holds what `Config(pii="drop")` keeps
                out.
        """
        user = self._user(user_id)
        if source not in ("added", "distilled"):
            raise InputError(f"source={source!r}; known are 'added' and 'distilled'")
        given = Scope(scope or "conditional")
        preference = Preference(condition, action, polarity, scope=given)
        preference = checked(preference, longest=self.config.max_slot_chars)
        preference = stored(preference, pii=self.config.pii)
        if scope is None and not preference.condition:
            preference = replace(preference, scope=Scope("global"))

        def write(recorder: Recorder, drafts: Sequence[Draft]) -> Event:
            event = recorder.record("add", f"add:{self._ids()}", drafts)
            if actor != "user":
                ids = [change.card.id for change in event.changes[:1]]
                recorder.transaction.audit(
                    "add", actor=actor, at=recorder.now, card_id="".join(ids)
                )
            return event

        event = self._write(user, [(preference, None)], source, "", write)
        if not event.changes:
            raise InputError(
                f"user {user_id!r} has {self.config.max_cards:,} live cards, which is max_cards in "
                "the config; forget some, or raise it"
            )
        return event.changes[0].card

    @verb
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
        actor: str = "user",
    ) -> Card:
        """Change a card; its id stays, and `history` keeps what it said before.

        `status="active"` confirms a quarantined card or a candidate, which closes the cards whose
        place it takes, and brings a superseded or expired one back: call it for the user, never for
        the model. A card that comes to claim authority is quarantined unless it is confirmed in the
        same call. With another text it takes no place that the old one waited for, and an end in it
        ("until Friday") becomes the card's. The audit log tells that `actor` did it, not what.

        Raises:
            NotFoundError: The user has no such card.
            InputError: The result is no rule, or says the same as another card.
        """
        user = self._user(user_id)
        given: dict[str, Any] = {"condition": condition, "action": action, "polarity": polarity}
        given = {name: value for name, value in given.items() if value is not None}
        while True:  # again when another call changed the card meanwhile
            old = self._found(user, card_id)
            kind = scope or old.preference.scope.kind
            if condition is not None:  # which names its audience anew
                given["scope"] = Scope(kind, old.preference.scope.task)
            elif scope is not None:
                given["scope"] = replace(old.preference.scope, kind=kind)
            card = edited(
                old, given, status=status, longest=self.config.max_slot_chars, now=self._clock(),
                pii=self.config.pii,
            )  # fmt: skip
            card = replace(card, preference=addressed(card.preference))
            if status is None and replace(card, recorded_at=old.recorded_at) == old:
                return old
            vector = self.embedder.embed([card.text])[0]
            with self._store.write(user) as transaction:
                if transaction.card(old.id) == old:
                    changes = activated(Change("edit", card), transaction.card)
                    event = Event(f"edit:{self._ids()}", "edit", changes, card.recorded_at)
                    transaction.record(event, {card.id: vector})
                    transaction.audit(
                        "confirm" if status == "active" and not given else "edit",
                        actor=actor, at=card.recorded_at, card_id=card.id,
                    )  # fmt: skip
                    return changes[0].card

    @verb
    def forget(self, card_id: str, *, user_id: str, actor: str = "user") -> None:
        """Remove a card for good: text, vector, evidence, links, and its traces in the log.

        With a card that edits taught go all the edits that are kept.
        A turn that taught it is not learned again; saying it in a new turn is. A card whose place
        it took stays closed; to have that one back, use `undo` instead. What the user model learned
        is worked out anew without it. An agent that learned the like from the user's texts may go
        on writing it: say the contrary, or train it anew. The audit log tells that `actor` did it.

        Raises:
            NotFoundError: The user has no such card.
        """
        user = self._user(user_id)
        if self._store.card(user, clean(card_id)) is None:
            self._told(user, card_id)  # one that was undone is in the log all the same
        index = self._index(user) if self._store.state(user) else None  # what learned needs it
        with self._store.write(user) as transaction:
            if not transaction.forget(card_id):
                raise NotFoundError(f"user {user_id!r} has no card {card_id!r}")
            now = self._clock()
            transaction.record(Event(f"forget:{self._ids()}", "forget", (), now), {})
            transaction.audit("forget", actor=actor, at=now, card_id=card_id)
            if transaction.state() is not None:
                log = transaction.interactions()
                index = index or UserIndex.build(transaction.shelf())
                transaction.save_state(self._usage.replayed(user, log, index))
        self._cache.drop(user)
        self._parts.tally("erased", {"cards": 1})

    @verb
    def forget_user(self, *, user_id: str, actor: str = "user") -> Erasure:
        """Remove everything held about a user, and report what was removed.

        An agent removes its adapters and what they were made of; where that fails, the rest is
        removed all the same, and the call raises: call it again.

        The user goes on a list of erasures, as a keyed hash: a backup that is put back later, with
        `prefmem restore` or by hand, brings nobody on it back. The audit log keeps its lines, which
        name the user by that hash, and tells that `actor` did it.
        """
        user = self._user(user_id)
        now = self._clock()
        return self._erased([user], lambda: self._store.forget_user(user, actor=actor, at=now))

    @verb
    def forget_users(self, user_ids: Iterable[str], *, actor: str = "user") -> Erasure:
        """Remove everything held about many users, and clear the freed bytes once for all of them.

        Of an SQLite file that takes about 10 ms for each MB, while other writers wait. Without ids
        it clears what earlier erasures left (`Erasure.checkpointed`).

        Raises:
            UserRequiredError: An id cannot be a key; nobody was erased.
        """
        users, now = [self._user(user_id) for user_id in dict.fromkeys(user_ids)], self._clock()
        store = self._store
        if isinstance(store, BatchEraser):
            return self._erased(users, lambda: store.forget_users(users, actor=actor, at=now))
        return self._erased(
            users,
            lambda: upkeep.summed([store.forget_user(u, actor=actor, at=now) for u in users]),
        )

    @verb
    def undo(self, event_id: str, *, user_id: str, actor: str = "user") -> Event:
        """Take one event back: its cards are as they were before it, bit for bit.

        `history` and the reports of `learn` give the ids. A turn whose event is taken back is not
        learned again. What the user model learned stays. The audit log tells of an `actor` who is
        not the user.

        Returns:
            The event that takes it back; it can be taken back itself.

        Raises:
            NotFoundError: The user has no such event.
            InputError: It changed no card, what it changed was forgotten or changed since, or
                another card says the same by now; the message says which.
        """
        user = self._user(user_id)
        while True:  # again when another call changed the cards meanwhile
            seen, log = self._store.revision(user), self._store.events(user)
            event = undone(log, clean(event_id), unique=self._ids(), now=self._clock())
            texts = {change.card.id: change.card.text for change in event.changes}
            vectors = dict(zip(texts, self.embedder.embed(list(texts.values())), strict=True))
            with self._store.write(user) as transaction:
                if transaction.revision() == seen:
                    transaction.record(event, vectors)
                    if actor != "user":
                        ids = [change.card.id for change in event.changes[:1]]
                        transaction.audit(
                            "undo", actor=actor, at=event.at, card_id="".join(ids),
                            n=len(event.changes),
                        )  # fmt: skip
                    return event

    # Looking

    def list(self, *, user_id: str, status: Status | None = None) -> tuple[Card, ...]:
        """List a user's cards in the order of saying; only those of `status` if given."""
        kept = None if status == "expired" else status  # a store does not know the time
        now, found = self._clock(), self._store.cards(self._user(user_id), status=kept)
        cards = (card.as_of(now) for card in found)
        return tuple(card for card in cards if status in (None, card.status))

    def get(self, card_id: str, *, user_id: str) -> Card:
        """Give one card.

        Raises:
            NotFoundError: The user has no such card.
        """
        return self._found(self._user(user_id), card_id).as_of(self._clock())

    def history(self, card_id: str, *, user_id: str) -> tuple[Event, ...]:
        """Give what happened to a card, oldest first, each event with the card as it left it.

        The change's `reason` says which relation to which card it was; a card that was undone still
        has its history.

        Raises:
            NotFoundError: The user never had such a card, or forgot it.
        """
        return self._told(self._user(user_id), card_id)

    def timeline(self, *, user_id: str) -> Timeline:
        """Give what happened to a user's cards and in their use, for looking; nothing is written.

        Recalls are told by the cards that were considered; what was asked is not kept.
        """
        user = self._user(user_id)
        log = self._store.interactions(user)
        standings = tuple(self._usage.standings(user, log, self._index(user)))
        return Timeline(self._store.events(user), log, standings, self._store.numbers(user))

    def shelf(self, *, user_id: str) -> Shelf:
        """Give the vectors of a user's active cards, in the order of saying."""
        return self._index(self._user(user_id)).shelf

    def get_user(self, user_id: str) -> UserState:
        """Give what is known of a user beside the cards.

        Where the user model keeps no vector of its own, `long` is the read-out of the cards: what
        the user's preferences are about, weighted by how much they are believed.
        """
        user = self._user(user_id)
        state = self._usage.state(user)
        if len(state.long):
            return state
        index = self._index(user)
        deck = deck_of(index, np.arange(len(index.numbers)), self.embedder.basis)
        return replace(state, long=read_out(state, deck), basis=self.embedder.basis)

    def replay(
        self, *, user_id: str, user_model: UserModel | str | None = None
    ) -> tuple[Replayed, ...]:
        """Say what another user model would have shown, from the log of what was offered.

        It learns from the same follow-ups as it goes; that these answered what was really shown, it
        cannot know.

        Args:
            user_id: The user.
            user_model: The other one; the memory's own, if none is given, shows what it did.

        Returns:
            One entry for each logged recall, oldest first.
        """
        user = self._user(user_id)
        usage = self._usage
        if user_model is not None:
            model = defaults.user_model(user_model)
            usage = Usage(self._store, model, None, self.embedder, logs=False)
        return tuple(
            usage.replay(user, self._index(user), limit=self.config.limit, floor=self._floor)
        )

    def recalls(
        self, *, user_id: str, newest: int = 20, skip: int = 0, recall_id: str | None = None
    ) -> tuple[PastRecall, ...]:
        """Look at recalls of the past: what was considered, what was injected, and what came back.

        Recalls with a candidate are logged, by the numbers of their cards; what was asked is not
        kept.

        Args:
            user_id: The user.
            newest: How many, newest first.
            skip: How many of the newest are left out.
            recall_id: Only this one.

        Raises:
            InputError: A number is below 0.
            NotFoundError: The user has no such recall in the log.
        """
        if newest < 0 or skip < 0:
            raise InputError(f"newest={newest!r}, skip={skip!r}: numbers from 0 on are needed")
        user = self._user(user_id)
        log = self._store.interactions(user)
        ids = [e.payload.recall_id for e in reversed(log) if isinstance(e.payload, Offer)]
        only = frozenset(ids[skip : skip + newest] if recall_id is None else {recall_id} & {*ids})
        if recall_id is not None and not only:
            raise NotFoundError(f"user {user_id!r} has no recall {recall_id!r} in the log")
        past = self._usage.past(
            user, log, self._index(user), only=only, limit=self.config.limit, floor=self._floor
        )
        return tuple(reversed(tuple(past)))

    def users(self) -> tuple[str, ...]:
        """List the ids of the tenant's users who have anything in the store, in order."""
        return self._store.users(self._tenant)

    # Upkeep

    def sweep(self, *, user_id: str | None = None, actor: str = "user") -> Swept:
        """End what nobody confirmed in time, and remove what has been over for long enough.

        A card that a model made up, and one that waits to be sure or to be confirmed, ends
        `Config.unconfirmed_days` after it was last heard. A card that is over is removed
        `Config.retain_days` after its end, like `forget`, if that is set. Call it once a day, or
        run `prefmem sweep`.

        Args:
            user_id: The user; all of the tenant's, if not given.
            actor: Who does it, for the audit log.
        """
        users = self._store.users(self._tenant) if user_id is None else (user_id,)
        done = [
            upkeep.sweep(
                self._store, self._usage, self._user(name), config=self.config, now=self._clock(),
                ids=self._ids, actor=actor,
            )
            for name in users
        ]  # fmt: skip
        for name, one in zip(users, done, strict=True):
            if one.removed or one.ended:
                self._cache.drop(self._user(name))
        removed = sum(one.removed for one in done)
        self._parts.tally("erased", {"cards": removed})
        return Swept(len(done), sum(one.ended for one in done), removed)

    def rebuild(self, *, user_id: str, actor: str = "user") -> Rebuilt:
        """Make a user's cards, vectors and learned state again from the logs, where they are wrong.

        What is right is left as it is, to the byte. The logs themselves cannot be made again: where
        one is damaged, restore a backup.

        Raises:
            StoreError: The store cannot do it, or a log is damaged.
        """
        user = self._user(user_id)
        done = upkeep.rebuild(
            self._store, self._usage, self.embedder, user, now=self._clock(), actor=actor
        )
        self._cache.drop(user)
        return done

    def verify(self, *, users: int = 100) -> tuple[Check, ...]:
        """Look for damage: in the file, in the audit log, in the queue, and in some users.

        Of a user the cards must be those that the log gives, the learned state the one that the
        log of interaction gives, and the vectors those of the texts; a few texts are embedded.

        Args:
            users: How many users are looked at, of all tenants; 0 for all of them.

        Raises:
            StoreError: The store offers no such look.
        """
        return upkeep.verify(self._store, self._usage, self.embedder, most=users)

    areplay = twin(replay)
    arecalls = twin(recalls)
    ausers = twin(users)
    aadd = twin(add)
    aedit = twin(edit)
    aforget = twin(forget)
    aforget_user = twin(forget_user)
    aforget_users = twin(forget_users)
    aundo = twin(undo)
    alist = twin(list)
    aget = twin(get)
    ahistory = twin(history)
    atimeline = twin(timeline)
    ashelf = twin(shelf)
    aget_user = twin(get_user)
    asweep = twin(sweep)
    arebuild = twin(rebuild)
    averify = twin(verify)
