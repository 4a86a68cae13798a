"""Rules as documents, for chains that are built around a retriever."""

import asyncio
from typing import Any

from langchain_core.callbacks import CallbackManager, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config, patch_config, set_config_context
from pydantic import ConfigDict, Field, PrivateAttr

from prefmem import Candidate, PreferenceMemory
from prefmem_langchain.border import Border, OnError
from prefmem_langchain.identity import OnMissing, UserId, session
from prefmem_langchain.tracing import Trace, untold

_ROOM = 20_000  # tokens; a document needs no room in a block


class PreferenceRetriever(BaseRetriever):
    """Finds the rules that apply to a query, best first; often there is none.

    A document's content is the rule, its id the card's. The metadata holds `card_id`, `condition`,
    `action`, `polarity`, `scope`, `confidence`, `relevance`, `source` and `since` (ISO 8601). A
    rule of the memory's preference agent comes last, and has `scope` and `source` alone. Rules are
    what the user once said or wrote: put them into a prompt as data, as `memory.render` does.

    `k` may be given to `invoke`, too. It learns nothing by itself.

    Args:
        memory: The memory; None for the one on the store of the run.
        user_id: The user, or what computes it from the runtime; None for the user of the run, of
            its context or of the config's `user_id`. See `resolve_user`.
        k: Documents at most.
        min_score: Relevance that a conditional rule needs; the memory's config unless given.
        on_missing_user: `skip` finds nothing, with one warning; `raise` fails the run.
        on_error: `log` finds nothing after a failure; `raise` fails the run.
        trace: What its run holds in a tracer such as LangSmith, and in streamed events: `ids` of
            the documents and their figures, or `content`, the query and the rules, too.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    memory: PreferenceMemory | None = Field(default=None, exclude=True, repr=False)
    user_id: UserId | None = Field(default=None, exclude=True, repr=False)
    k: int = Field(default=4, ge=0, le=50)
    min_score: float | None = Field(default=None, ge=0, le=1)
    on_missing_user: OnMissing = "skip"
    on_error: OnError = "log"
    trace: Trace = "ids"
    _border: Border = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401  # as in pydantic
        """Build the border to the memory."""
        super().model_post_init(context)
        self._border = Border(
            "PreferenceRetriever", self.memory, user_id=self.user_id,
            on_missing_user=self.on_missing_user, on_error=self.on_error, trace=self.trace,
        )  # fmt: skip

    def invoke(
        self,
        input: str,
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in BaseRetriever
    ) -> list[Document]:
        """Find documents for the user of the run."""
        config = ensure_config(config)
        if self.trace == "ids":
            return self._untold(input, config, **kwargs)
        # The base hands no config on to the search, which needs it for the user.
        with set_config_context(config) as within:
            return within.run(super().invoke, input, config, **kwargs)

    async def ainvoke(
        self,
        input: str,
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in BaseRetriever
    ) -> list[Document]:
        """Do the same on a worker thread."""
        config = ensure_config(config)
        if self.trace == "ids":
            return await asyncio.to_thread(self._untold, input, config, **kwargs)
        with set_config_context(config) as within:
            call = super().ainvoke(input, config, **kwargs)
            return await asyncio.create_task(call, context=within)

    def _untold(
        self,
        query: str,
        config: RunnableConfig,
        **kwargs: Any,  # noqa: ANN401  # as in BaseRetriever
    ) -> list[Document]:
        """Find documents as the base does, in a run that holds no text."""
        manager = CallbackManager.configure(
            config.get("callbacks"), None, inheritable_tags=config.get("tags"),
            local_tags=self.tags, inheritable_metadata=config.get("metadata"),
            local_metadata=self.metadata,
        )  # fmt: skip
        told = manager.on_retriever_start(
            None, "", name=config.get("run_name") or self.get_name(),
            run_id=kwargs.pop("run_id", None),
        )  # fmt: skip
        try:
            with set_config_context(patch_config(config, callbacks=told.get_child())) as within:
                found = within.run(self._get_relevant_documents, query, run_manager=told, **kwargs)
        except Exception as error:
            told.on_retriever_error(untold(error))
            raise
        told.on_retriever_end([_bare(document) for document in found])
        return found

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        del run_manager
        most = self.k if k is None else k

        def find(memory: PreferenceMemory, user: str) -> list[Document]:
            recall = memory.recall(
                query, user_id=user, session_id=session(), limit=most,
                min_score=self.min_score, max_tokens=_ROOM, strict=self._border.strict,
            )  # fmt: skip
            self._border.recalled(recall)
            found = [recall.candidates[i] for i in recall.chosen]
            found.sort(key=lambda candidate: -candidate.total)
            written = [
                Document(rule.text, metadata={"scope": rule.kind, "source": rule.source})
                for rule in recall.rules
                if rule.source == "lora"
            ]
            return [*map(_document, found[:most]), *written][:most]

        return self._border.cross("recall", find, otherwise=list[Document]())


def _bare(document: Document) -> Document:
    """Give a document as a tracer may hold it: its id, and its figures."""
    told = ("card_id", "polarity", "scope", "confidence", "relevance", "source")
    kept = {name: value for name, value in document.metadata.items() if name in told}
    return Document("", id=document.id, metadata=kept)


def _document(candidate: Candidate) -> Document:
    card = candidate.card
    rule = card.preference
    return Document(
        card.text,
        id=card.id,
        metadata={
            "card_id": card.id,
            "condition": rule.condition,
            "action": rule.action,
            "polarity": rule.polarity,
            "scope": rule.scope.kind,
            "confidence": round(rule.confidence, 4),
            "relevance": round(candidate.relevance, 4),
            "source": card.source,
            "since": card.valid_from.isoformat(),
        },
    )
