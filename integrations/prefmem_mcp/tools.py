"""The tools: what a model can do with its user's preferences."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, cast

from pydantic import Field

from prefmem import Card, InputError, NotFoundError, PreferenceMemory
from prefmem.errors import StoreUnavailableError
from prefmem.types import LIVE, Polarity, Status, UserKey
from prefmem_mcp.answers import (
    Applying,
    Because,
    Changed,
    Decision,
    Forgotten,
    Happening,
    Listed,
    Recalled,
    Stored,
)
from prefmem_mcp.asking import ask, mark_of, reply_in
from prefmem_mcp.border import Border
from prefmem_mcp.described import (
    ADD,
    ADDS,
    CHANGES,
    EDIT,
    FORGET,
    LIST,
    LOOKS,
    RECALL,
    WHY,
    Action,
    Before,
    Condition,
    Direction,
    Id,
    Query,
    Slot,
)
from prefmem_mcp.identity import READ, WRITE, Caller, Who
from prefmem_mcp.receipts import Receipts
from prefmem_mcp.sdk import Context, strict_tool

_PAGE = 50
_DECISIONS = 12
_HISTORY = 20


class PreferenceTools:
    """The tools over a memory, each for the user of the call.

    Args:
        memory: The memory.
        who: Gives the caller of the present call.
        ask: Whether the client may ask the user to confirm a rule that waits.

    Attributes:
        border: Takes the failures.
    """

    def __init__(self, memory: PreferenceMemory, who: Who, *, ask: bool = False) -> None:
        """Keep them."""
        self.border = Border()
        self._memory, self._who, self._asks = memory, who, ask
        self._receipts = Receipts()

    def all(self) -> list[Any]:
        """Give the tools as the SDK takes them."""
        table: Mapping[str, tuple[Callable[..., Any], str, str, Mapping[str, bool]]] = {
            "recall_preferences": (self.recall, "Recall preferences", RECALL, LOOKS),
            "add_preference": (self.add, "Add a preference", ADD, ADDS),
            "list_preferences": (self.list_, "List preferences", LIST, LOOKS),
            "edit_preference": (self.edit, "Change a preference", EDIT, CHANGES),
            "forget_preference": (self.forget, "Forget a preference", FORGET, CHANGES),
            "why_preference": (self.why, "Explain preferences", WHY, LOOKS),
        }
        return [
            strict_tool(
                run, name=name, title=title, description=told, hints=hints, border=self.border
            )
            for name, (run, title, told, hints) in table.items()
        ]

    async def recall(self, query: Query, context: Before = "") -> Recalled:
        """Find the rules that apply to a request."""
        user, memory = self._mine(READ)
        recall = await memory.arecall(query, user_id=user.user_id, context=context)
        if recall.failed:
            raise StoreUnavailableError("the memory found nothing out; try again later")
        self._receipts.keep(user, recall)
        return Recalled(
            recall_id=recall.id,
            rules=[
                Applying(
                    id="".join(rule.card_ids[:1]),
                    rule=rule.text,
                    scope=rule.kind,
                    since=rule.since.date().isoformat(),
                )
                for rule in recall.rules
            ],
            block=await memory.arender(recall),
        )

    async def add(
        self, action: Action, ctx: Context, condition: Condition = "", polarity: Direction = "do"
    ) -> Changed:
        """Store a rule."""
        user, memory = self._mine(WRITE)
        reply = reply_in(ctx)
        if reply is not None:
            return await self._replied(user, reply.card_id, reply.mark, yes=reply.yes)
        card = await memory.aadd(condition, action, user_id=user.user_id, polarity=polarity)
        return cast(Changed, await self._asked(ctx, user, card))

    async def list_(
        self,
        status: Annotated[
            Status | None,
            Field(description="Only those; unless given, those in use and those that wait."),
        ] = None,
        offset: Annotated[int, Field(ge=0, le=1_000_000, description="Where to begin.")] = 0,
    ) -> Listed:
        """List a page of the preferences."""
        user, memory = self._mine(READ)
        cards = await memory.alist(user_id=user.user_id, status=status)
        if status is None:
            cards = tuple(card for card in cards if card.status in LIVE)
        end = offset + _PAGE
        return Listed(
            preferences=[Stored.of(card) for card in cards[offset:end]],
            total=len(cards),
            next_offset=end if end < len(cards) else None,
        )

    async def edit(
        self,
        preference_id: Id,
        ctx: Context,
        action: Annotated[
            Annotated[Slot, Field(min_length=1)] | None,
            Field(description="What to do or to avoid from now on; omit it to leave it."),
        ] = None,
        condition: Annotated[
            Slot | None,
            Field(
                description='When it applies, completing "When ..."; empty for every answer; '
                "omit it to leave it."
            ),
        ] = None,
        polarity: Annotated[
            Polarity | None,
            Field(description="avoid if the action keeps away from something, else do."),
        ] = None,
    ) -> Changed:
        """Change what a rule says."""
        user, memory = self._mine(WRITE)
        reply = reply_in(ctx)
        if reply is not None:
            return await self._replied(user, reply.card_id, reply.mark, yes=reply.yes)
        if action is None and condition is None and polarity is None:
            raise InputError("nothing to change: give an action, a condition or a polarity")
        old = await self._found(user, preference_id)
        if old.status != "active":  # an edit would confirm a candidate
            raise InputError(
                f"this preference is {old.status}, and only active ones can be changed here; add "
                "what the user wants as a new one"
            )
        card = await memory.aedit(
            old.id, user_id=user.user_id, action=action, condition=condition, polarity=polarity
        )
        return cast(Changed, await self._asked(ctx, user, card))

    async def forget(self, preference_id: Id) -> Forgotten:
        """Remove a rule for good."""
        user, memory = self._mine(WRITE)
        card = await self._found(user, preference_id)
        try:
            await memory.aforget(card.id, user_id=user.user_id)
        except NotFoundError:
            raise _unknown() from None
        return Forgotten(message="Removed for good, with the words it came from.", id=card.id)

    async def why(
        self,
        preference_id: Annotated[
            Id | None, Field(description="Id of the preference in question; omit it for a recall.")
        ] = None,
        recall_id: Annotated[
            str | None,
            Field(max_length=256, description="recall_id of a recall; the last one unless given."),
        ] = None,
    ) -> Because:
        """Explain a preference, or a recall."""
        user, _ = self._mine(READ)
        name, decisions = await self._decisions(user, recall_id)
        if preference_id is None:
            if name is None:
                raise InputError(
                    "there is no such recall any more; call recall_preferences first, or give a "
                    "preference_id"
                )
            told = f"{sum(d.used for d in decisions)} of {len(decisions)} rules that came up used."
            return Because(message=told, recall_id=name, decisions=decisions[:_DECISIONS])
        mine = [d for d in decisions if d.id == preference_id]
        about = await self._about(user, preference_id)
        return about.model_copy(update={"recall_id": name if mine else None, "decisions": mine})

    def _mine(self, scope: str) -> tuple[UserKey, PreferenceMemory]:
        """Give the caller's user and memory, if the caller may do it."""
        caller: Caller = self._who()
        caller.require(scope)
        return caller.user, self._memory.in_tenant(caller.user.tenant)

    async def _found(self, user: UserKey, card_id: str) -> Card:
        try:
            memory = self._memory.in_tenant(user.tenant)
            return await memory.aget(card_id, user_id=user.user_id)
        except NotFoundError:
            raise _unknown() from None

    async def _asked(self, ctx: Context, user: UserKey, card: Card) -> Any:  # noqa: ANN401  # an answer, or the question
        """Let the user confirm a card that waits, where that is wanted; else tell how it is."""
        if card.status != "quarantined" or not self._asks:
            return Changed.of(card)
        try:
            said = await ask(ctx, card)
        except Exception as error:  # noqa: BLE001  # the client's failure: the card waits on
            self.border.survive("asking the user", error)
            return Changed.of(card)
        if not isinstance(said, bool):
            return said
        return await self._replied(user, card.id, mark_of(card), yes=said)

    async def _replied(self, user: UserKey, card_id: str, mark: str, *, yes: bool) -> Changed:
        """Confirm what the user confirmed, if it still says what they saw."""
        card = await self._found(user, card_id)
        if yes and card.status == "quarantined" and mark_of(card) == mark:
            memory = self._memory.in_tenant(user.tenant)
            card = await memory.aedit(card.id, user_id=user.user_id, status="active")
        return Changed.of(card)

    async def _decisions(
        self, user: UserKey, recall_id: str | None
    ) -> tuple[str | None, list[Decision]]:
        """Give what a recall decided, in the words that the rules have now."""
        kept = self._receipts.find(user, recall_id)
        if kept is None:
            return None, []
        name, rows = kept
        memory = self._memory.in_tenant(user.tenant)
        cards = {card.id: card for card in await memory.alist(user_id=user.user_id)}
        return name, [Decision.of(row, cards[row.card_id]) for row in rows if row.card_id in cards]

    async def _about(self, user: UserKey, card_id: str) -> Because:
        """Tell where a card comes from; the words of a quarantined one are kept from the model."""
        memory = self._memory.in_tenant(user.tenant)
        try:
            events = await memory.ahistory(card_id, user_id=user.user_id)
        except NotFoundError:
            raise _unknown() from None
        try:
            card: Card | None = await memory.aget(card_id, user_id=user.user_id)
        except NotFoundError:  # it was undone, which leaves its history
            card = None
        hidden = any(c.card.status == "quarantined" for e in events[-1:] for c in e.changes)
        hidden = card.status == "quarantined" if card is not None else hidden
        quotes = () if card is None or hidden else card.preference.evidence
        return Because(
            message=_origin(card),
            preference=None if card is None else Stored.of(card),
            evidence=[evidence.quote for evidence in quotes],
            history=Happening.all_of(events, hidden=hidden)[-_HISTORY:],
        )


def _unknown() -> InputError:
    return InputError("there is no preference with this id; list_preferences shows the ids")


def _origin(card: Card | None) -> str:
    if card is None:
        return "This preference was taken back; only its history is left."
    told = {
        "said": "The user said it in a conversation; see evidence.",
        "edited": "It was changed after it was stored; see history.",
        "inferred": "It follows from how the user edited drafts.",
        "distilled": "It was read off texts that the user wrote.",
        "imported": "It came with an import.",
        "added": "It was added on request, by the user or by an assistant.",
    }
    return told[card.source]
