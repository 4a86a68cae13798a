"""A recall with a preference agent beside it: what it wrote joins the cards that were found."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic

from prefmem.asking import Asking
from prefmem.cards.compare import compared, nearby
from prefmem.cards.record import Draft
from prefmem.guard.course import survived
from prefmem.joining import MOST, Known, Places, joined, line_of, rule_in
from prefmem.messages import clean
from prefmem.render import rule_size
from prefmem.steps import LATE, Request, Steps
from prefmem.stores.faiss import UserIndex
from prefmem.types import Erasure, Recall, Rule, UserKey
from prefmem.usage import ALL_CARDS

_COMPARED = 3  # cards that a rule of the agent is compared with, the nearest
# The relater is made for what users say one after the other. By hand, on rules of style: with its
# floor alone it finds 10 of 14 contrary pairs, and takes 2 of 110 unrelated ones for contrary; with
# these it is 9 and none.
_ABOUT = 0.7  # cosine from which two rules are about one thing
_CERTAIN = 0.95  # chance from which a relation holds whatever the cosine


class Beside(Steps):
    """The steps of a recall that asks an agent, too."""

    def _with_agent(
        self,
        request: Request,
        find: Callable[[], Recall],
        timeout: float | None,
        *,
        strict: bool,
    ) -> Recall:
        """Ask the agent while the cards are searched; a late or failing one is left out."""
        asking, limit = self._asking, self._limit(request)
        if asking is None or not limit or not request.query.strip():
            return find()
        user, said = request.user, (request.query, request.context)
        if strict:
            return self._joined(request, find(), asking.ask(user, *said), asking)
        began, asked = monotonic(), asking.begin(user, *said)
        recall = find()
        if recall.failed:  # what the user said is not known
            return recall
        config = self.config
        most = config.agent_ms / 1000 if timeout is None else timeout * LATE
        rest = config.recall_soft_ms / 1000 if timeout is None else timeout * (1 - LATE)
        try:
            texts = asking.wait(asked, most - (monotonic() - began))
            if texts is not None:
                return self._parts.bounded(
                    lambda: self._joined(request, recall, texts, asking), seconds=rest
                )
        except Exception as error:  # noqa: BLE001  # the cards alone will do
            survived("agent", error)
        self._parts.count("recall without agent")
        return replace(recall, missing=tuple(sorted({*recall.missing, "agent"})))

    def _erased(self, users: Sequence[UserKey], erase: Callable[[], Erasure]) -> Erasure:
        """Erase users from the store, and what the agent has of them, whichever of both fails."""
        asking, adapters = self._asking, 0
        try:
            if asking is not None:
                adapters = asking.forget(users)
        finally:
            receipt = erase()
            for user in users:
                self._cache.drop(user)
                if asking is not None:
                    asking.drop(user)
            self._parts.tally("erased", {"users": len(users), "cards": receipt.cards})
        return replace(receipt, adapters=adapters)

    def _wrote(self, user: UserKey, query: str, session_id: str) -> tuple[str, ...]:
        """Give the agent's rules that were injected for a query of a session, as far as known."""
        if self._asking is None:
            return ()
        return self._asking.told.get(user, self._asking.name(session_id, clean(query))) or ()

    def _limit(self, request: Request) -> int:
        """Give the rules of an agent that a recall has room for at most."""
        limit = self.config.limit if request.limit is None else request.limit
        return min(limit, self.config.max_agent_rules)

    def _joined(
        self, request: Request, recall: Recall, texts: Sequence[str], asking: Asking
    ) -> Recall:
        """Let what the agent wrote join a recall, where what the user said allows it."""
        texts = tuple(dict.fromkeys(texts))[:MOST]
        if not texts:
            return recall
        user, index = request.user, self._index(request.user)
        revision = index.shelf.revision
        studied = self._studied(user, texts, index, request, asking)
        near = {card_id for _, ids in studied.values() for card_id in ids}
        cards = self._store.cards(user, ids=near, status="active") if near else ()
        living = {c.id: c for c in cards if c.as_of(request.now).status == "active"}
        state = self._usage.state(user, request.session_id)
        drafts = {text: draft for text, (draft, _) in studied.items()}
        written = joined(
            texts, drafts, Known(recall, living), self._places(request, recall),
            paused=ALL_CARDS in state.paused,
        )  # fmt: skip
        rules: list[Rule] = []
        for text, one in zip(texts, written, strict=True):
            if one.verdict.injected:
                rule = line_of(drafts[text], recall, self._ids())
                asking.lines.put(user, rule.mark, (revision, rule))
                rules.append(rule)
        asked = asking.name(request.session_id, request.query)
        asking.told.put(user, asked, tuple(rule.text for rule in rules))
        return replace(recall, rules=(*recall.rules, *rules), written=written)

    def _places(self, request: Request, recall: Recall) -> Places:
        """Give what the cards of a recall left of the prompt."""
        room = self._room(request.limit, request.max_tokens)
        taken = sum(rule.kind == "conditional" for rule in recall.rules)
        count = min(room.limit - taken, self.config.max_agent_rules)
        if math.isinf(room.size):
            return Places(count)
        return Places(count, room.size - sum(map(rule_size, recall.rules)), rule_size)

    def _studied(
        self,
        user: UserKey,
        texts: Sequence[str],
        index: UserIndex,
        request: Request,
        asking: Asking,
    ) -> dict[str, tuple[Draft, tuple[str, ...]]]:
        """Give those texts that are rules, with the cards near them and what they are to these.

        What was found out is held until the user's cards change.
        """
        config, revision = self.config, index.shelf.revision
        found: dict[str, tuple[Draft, tuple[str, ...]]] = {}
        fresh: dict[str, Draft] = {}
        for text in texts:
            held = asking.drafts.get(user, text)
            if held is not None and held[0] == revision:
                found[text] = held[1:]
                continue
            rule = rule_in(text, longest=config.max_slot_chars, pii=config.pii)
            if rule is not None:
                fresh[text] = Draft(self._ids(), rule, index.shelf.matrix[:0].sum(axis=0))
        rows = self.embedder.embed([draft.preference.text for draft in fresh.values()])
        for (text, draft), row in zip(fresh.items(), rows, strict=True):
            draft = replace(draft, vector=row)
            near = nearby(draft, (index.shelf,), request.now)[:_COMPARED]
            cards = {c.id: c for c in self._store.cards(user, ids=near)} if near else {}
            (draft,) = compared([draft], [near], cards, self.relater, floor=config.relation_floor)
            links = tuple(
                link
                for link in draft.links
                if link.probability >= _CERTAIN
                or (
                    link.probability >= config.relation_floor
                    and float(index.shelf.matrix[index.rows[link.card_id]] @ row) >= _ABOUT
                )
            )
            draft = replace(draft, links=links)
            asking.drafts.put(user, text, (revision, draft, near))
            found[text] = draft, near
        return found
