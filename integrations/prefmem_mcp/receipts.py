"""What the last recalls decided, without any text, so that the model can be asked why."""

from collections import OrderedDict
from dataclasses import replace

from prefmem import Recall
from prefmem.types import Explanation, UserKey

_USERS = 1000
_RECALLS = 8  # of a user


class Receipts:
    """Keeps the explanations of each user's newest recalls in this process.

    Rows are kept without the rules' words: these are read again when somebody asks, so nothing that
    was forgotten comes back.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._kept: OrderedDict[UserKey, OrderedDict[str, tuple[Explanation, ...]]] = OrderedDict()

    def keep(self, user: UserKey, recall: Recall) -> None:
        """Keep what a recall decided; the oldest make room."""
        mine = self._kept.setdefault(user, OrderedDict())
        mine[recall.id] = tuple(replace(row, text="") for row in recall.explain())
        self._kept.move_to_end(user)
        if len(mine) > _RECALLS:
            mine.popitem(last=False)
        if len(self._kept) > _USERS:
            self._kept.popitem(last=False)

    def find(
        self, user: UserKey, recall_id: str | None = None
    ) -> tuple[str, tuple[Explanation, ...]] | None:
        """Give a recall of the user by its id, or the newest; None where it is not kept."""
        mine = self._kept.get(user)
        if not mine:
            return None
        name = next(reversed(mine)) if recall_id is None else recall_id
        return (name, mine[name]) if name in mine else None
