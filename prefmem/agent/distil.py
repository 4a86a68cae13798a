"""Rules distilled from a user's documents by a big model: intents, differences, lessons."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, get_args

from prefmem.agent.bigmodel import Ask, BigModel, big_model
from prefmem.agent.calls import Calls, Spent
from prefmem.agent.cost import Meter, Prices
from prefmem.agent.intents import TEMPERATURES, intents, task_of
from prefmem.agent.judge import judged
from prefmem.agent.leak import Source
from prefmem.agent.lesson import Document, Lesson
from prefmem.agent.parse import items, text_of
from prefmem.agent.questions import Strategy, rules_asked, write_asked
from prefmem.errors import ConfigError, EndpointError
from prefmem.models.endpoint import OpenAIChat
from prefmem.models.runnable import ChatModel, RunnableChat
from prefmem.train.progress import Progress, silent

_PATIENCE = 3  # documents in a row that fail before the model is given up
_TRIES = 2  # answers without a usable rule


@dataclass(frozen=True, slots=True)
class Distilled:
    """What distillation gave.

    Attributes:
        lessons: In the order of the documents, up to three for each.
        left_out: How much was left out, by reason.
        failed: Documents that the model gave no answer to; the same call tries them again.
        fresh: What the model was asked now.
        kept: What was answered from the cache, at what it had cost.
    """

    lessons: tuple[Lesson, ...]
    left_out: Mapping[str, int]
    failed: int
    fresh: Spent
    kept: Spent


def distil(
    documents: Sequence[Document],
    model: BigModel | ChatModel | RunnableChat | OpenAIChat | Ask,
    *,
    cache: Path | None = None,
    strategy: Strategy = "r3",
    temperatures: Sequence[float | None] = TEMPERATURES,
    prices: Prices | None = None,
    progress: Progress = silent,
) -> Distilled:
    """Make lessons of documents: what each was to say, and the rules by which it says it.

    A run that was ended in any way goes on where it was: what the cache holds is not asked again.

    Args:
        documents: Of one user.
        model: A big model; see `big_model`.
        cache: File that keeps every answer; None for none. It holds what the user wrote.
        strategy: `r1` asks for the rules, `r2` after thinking aloud, and `r3` lets the model write
            the text by itself first and compare.
        temperatures: Of the variants of an intent, each of which becomes a lesson. With None the
            model's own; the other questions are asked at 0, or with None only at the model's own.
        prices: Of a million tokens read and written, for the progress.
        progress: Is told what was spent and about what is to come, and the documents done.

    Raises:
        ConfigError: The strategy is unknown, or there are no temperatures.
        EndpointError: The model failed for three documents in a row, or for all.
        StoreError: The cache cannot be used.
    """
    if strategy not in get_args(Strategy) or not temperatures:
        raise ConfigError(
            f"strategy={strategy!r}, temperatures={temperatures!r}; known strategies are "
            f"{', '.join(get_args(Strategy))}, and at least one temperature is needed"
        )
    with Calls(big_model(model), cache) as calls:
        run = _Run(calls, strategy, tuple(temperatures))
        meter = Meter(
            documents, calls, strategy=strategy, variants=len(temperatures), prices=prices
        )
        found = _all(run, documents, calls, cache, meter, progress)
        left_out: Counter[str] = Counter()
        for one in found.values():
            left_out.update(one[1])
        lessons = tuple(lesson for n in sorted(found) for lesson in found[n][0])
        failed = len(documents) - len(found)
        return Distilled(lessons, dict(sorted(left_out.items())), failed, calls.fresh, calls.kept)


def _all(
    run: "_Run",
    documents: Sequence[Document],
    calls: Calls,
    cache: Path | None,
    meter: Meter,
    progress: Progress,
) -> dict[int, "_Made"]:
    """Run over all documents, several at a time; gives what came of those that did not fail."""
    found: dict[int, _Made] = {}
    failed = row = 0
    progress(f"distilling: {meter}", 0, len(documents))
    with ThreadPoolExecutor(calls.concurrency) as pool:
        futures: dict[Future[_Made], int] = {
            pool.submit(run.document, document): n for n, document in enumerate(documents)
        }
        try:
            for future in as_completed(futures):
                try:
                    found[futures[future]] = future.result()
                    row = 0
                except EndpointError as error:
                    failed, row = failed + 1, row + 1
                    if row >= _PATIENCE or failed == len(documents):
                        raise _ended(error, len(found), len(documents), cache) from error
                meter.done(futures[future])
                progress(f"distilling: {meter}", len(found) + failed, len(documents))
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what is in flight is paid: it is waited for
            raise
    return found


_Made: TypeAlias = tuple[tuple[Lesson, ...], Counter[str]]


class _Run:
    """Makes the lessons of one document at a time."""

    def __init__(
        self, calls: Calls, strategy: Strategy, temperatures: tuple[float | None, ...]
    ) -> None:
        self.strategy: Strategy = strategy
        self.temperatures = temperatures
        self._calls = calls
        self._steady = None if set(temperatures) == {None} else 0.0

    def document(self, document: Document) -> _Made:
        left_out: Counter[str] = Counter()
        if not document.text.strip():
            return (), Counter({"empty documents": 1})
        found = intents(document, self._calls, temperatures=self.temperatures, left_out=left_out)
        source = Source(document.text)
        lessons: list[Lesson] = []
        for intent in found:
            rules = self._rules(document, source, intent, left_out)
            if rules:
                task = task_of(document, intent)
                lessons.append(Lesson(task, rules, document.text, document.id))
            else:
                left_out["lessons without a rule"] += 1
        if not lessons:
            left_out["documents without a lesson"] += 1
        return tuple(lessons), left_out

    def _rules(
        self, document: Document, source: Source, intent: str, left_out: Counter[str]
    ) -> tuple[str, ...]:
        draft = ""
        if self.strategy == "r3":
            draft = text_of(self._calls(write_asked(document, intent), self._steady))
        question = rules_asked(document, intent, draft, self.strategy)
        for sample in range(_TRIES):
            answer = self._calls(question, self._steady, sample=sample)
            rules = judged(items(answer, "rules"), source=source, intent=intent, left_out=left_out)
            if rules:
                return rules
        return ()


def _ended(error: EndpointError, done: int, total: int, cache: Path | None) -> EndpointError:
    keeps = (
        f"the answers so far are kept in {cache}: run the same again to go on from there"
        if cache
        else "give a cache to keep the answers so far"
    )
    return EndpointError(f"{error}; {done} of {total} documents are done, and {keeps}")
