"""The log of a simulated user, and the state made again from it."""

from collections.abc import Iterable
from dataclasses import dataclass

from prefmem.interaction import Deck, Observation, Offer, UserState
from prefmem.protocols import UserModel


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One turn of a log.

    Attributes:
        session: Session, from 0.
        turn: Turn in the session, from 0.
        id: Name of the event: the same name at the same place changes nothing a second time.
        offer: What was considered and injected.
        said: What came back.
    """

    session: int
    turn: int
    id: str
    offer: Offer
    said: Observation

    @property
    def place(self) -> tuple[int, int, str]:
        """What the log is sorted by, and what makes an event the same as another."""
        return self.session, self.turn, self.id


def replay(model: UserModel, user_id: str, *logs: Iterable[Event], deck: Deck) -> UserState:
    """Make a user's state from the logs of replicas: their union, sorted, from the beginning.

    Args:
        model: The user model; every offer has to carry its name, or be one that it can learn from.
        user_id: Whose state it is.
        logs: Events in any order, with any repetition.
        deck: All cards that the events name, for models that need vectors.
    """
    events = {event.place: event for log in logs for event in log}
    state = model.fresh(user_id)
    for place in sorted(events):
        event = events[place]
        state = model.tick(state, event.said.session_id)
        state = model.observe(state, event.offer, event.said, deck)
    return state
