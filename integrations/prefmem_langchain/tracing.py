"""What a tracer of LangChain sees of a memory: named runs with counts and ids.

LangSmith and every other callback handler of a run get a run for each step that a node, the
retriever or the middleware takes. A run holds no rule and no word of the user, unless that is
switched on.
"""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import (
    ensure_config,
    get_callback_manager_for_config,
    patch_config,
    set_config_context,
)

if TYPE_CHECKING:
    from prefmem import LearnReport, Recall
    from prefmem.orders import Obeyed

Trace: TypeAlias = Literal["ids", "content"]
T = TypeVar("T")
TRACE = ("ids", "content")


class Run:
    """A step that is under way, for who traces it.

    Attributes:
        outputs: What the run is to say at its end.
    """

    def __init__(self, *, content: bool) -> None:
        """Say nothing yet."""
        self.outputs: dict[str, Any] = {}
        self._content = content

    def recalled(self, recall: "Recall") -> None:
        """Say what a recall found."""
        withheld = Counter(v.reason for v in recall.verdicts if not v.injected)
        self.outputs |= {
            "recall_id": recall.id,
            "card_ids": [card_id for rule in recall.rules for card_id in rule.card_ids],
            "rules": len(recall.rules),
            "candidates": len(recall.candidates),
            "withheld": dict(withheld),
        }
        if recall.missing:
            self.outputs["missing"] = list(recall.missing)
        if self._content:
            self.outputs["query"] = recall.query
            self.outputs["texts"] = [rule.text for rule in recall.rules]

    def learned(self, done: "LearnReport | bool") -> None:
        """Say what was learned, or whether anything was put aside to be learned."""
        if isinstance(done, bool):
            self.outputs["queued"] = done
            return
        self.outputs |= {
            "turns": done.turns,
            "skipped": done.skipped,
            "added": [card.id for card in done.added],
            "updated": [card.id for card in done.updated],
            "closed": [card.id for card in done.closed],
            "events": list(done.events),
        }
        if self._content:
            self.outputs["texts"] = [card.text for card in done.added]

    def obeyed(self, done: "Obeyed") -> None:
        """Say which commands were carried out."""
        self.outputs |= {
            "commands": [command.intent for command in done.commands],
            "card_ids": [card.id for card in done.cards],
        }
        if self._content:
            self.outputs["reply"] = done.reply


def traced(
    name: str,
    step: Callable[[Run], T],
    *,
    content: bool,
    config: RunnableConfig | None = None,
) -> T:
    """Take a step within a run of its own, if anybody traces the run around it.

    Runs within the step belong to it. What fails is told by its kind; the message may quote.

    Args:
        name: Name of the run.
        step: Is given the run, to say what came of it.
        content: Whether the run may hold what was asked and what was found.
        config: The config of the run around it; the one of the context unless given.
    """
    run = Run(content=content)
    config = ensure_config(config)
    manager = get_callback_manager_for_config(config)
    if not manager.handlers:
        return step(run)
    told = manager.on_chain_start(None, {}, name=name)
    try:
        with set_config_context(patch_config(config, callbacks=told.get_child())) as within:
            done = within.run(step, run)
    except BaseException as error:
        told.on_chain_error(untold(error))
        raise
    told.on_chain_end(run.outputs)
    return done


def untold(error: BaseException) -> Exception:
    """Give an error for a tracer: the kind of another one, without what it says."""
    kind: type[Exception] = type(type(error).__name__, (Exception,), {})
    return kind("the message is left out, as it may quote")
