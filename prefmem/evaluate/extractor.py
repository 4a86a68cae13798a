"""The evaluation table of a trained extractor: how its answers compare with the wanted ones."""

from collections.abc import Sequence
from pathlib import Path

from prefmem.errors import InputError
from prefmem.evaluate.metrics import Figure, f1, mean, ratio
from prefmem.extract.parse import AnswerItem, parse
from prefmem.models.causal import CausalLM
from prefmem.train.chatdata import ChatExample
from prefmem.train.chatformat import read_answer
from prefmem.train.progress import Progress

_TOGETHER = 64  # questions between two reports of progress


def measure(
    folder: Path, examples: Sequence[ChatExample], *, seed: int, progress: Progress
) -> dict[str, Figure]:
    """Ask a saved extractor, with nothing that holds it to the format, and compare its answers.

    Args:
        folder: The model and its tokenizer.
        examples: Questions with their wanted rules.
        seed: Of the resampling.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Figures by name, as `compare` gives them.

    Raises:
        WeightsError: The folder holds no causal chat model.
        InputError: A question is longer than what the model can read.
    """
    model = CausalLM(folder)
    answers: list[str] = []
    for start in range(0, len(examples), _TOGETHER):
        asked = [example.messages for example in examples[start : start + _TOGETHER]]
        answers += model.complete_many(asked)
        progress("answers", len(answers), len(examples))
    return compare(examples, answers, seed=seed)


def compare(
    examples: Sequence[ChatExample], answers: Sequence[str], *, seed: int
) -> dict[str, Figure]:
    """Compare n answers with the wanted rules; the interval comes from resampling questions.

    A rule is right when condition and action are those of a wanted rule of that question, letter
    case and white space aside. A question counts as found when at least one rule came.
    """
    wanted = [_keys(example.rules) for example in examples]
    found = [_keys(parse(answer).items) for answer in answers]
    right = [float(len(a & b)) for a, b in zip(wanted, found, strict=True)]
    golds, gave = [float(len(keys)) for keys in wanted], [float(len(keys)) for keys in found]
    some, due = [float(n > 0) for n in gave], [float(n > 0) for n in golds]
    hit = [a * b for a, b in zip(some, due, strict=True)]
    return {
        "JSON validity": mean([float(_valid(answer)) for answer in answers], seed=seed),
        "rules: recall": ratio(right, golds, seed=seed),
        "rules: precision": ratio(right, gave, seed=seed),
        "rules: F1": f1(right, gave, golds, seed=seed),
        "questions with a rule: recall": ratio(hit, due, seed=seed),
        "questions with a rule: precision": ratio(hit, some, seed=seed),
        "questions with a rule: F1": f1(hit, some, due, seed=seed),
    }


def _keys(rules: Sequence[AnswerItem]) -> set[tuple[str, str]]:
    return {(_folded(rule.condition), _folded(rule.action)) for rule in rules}


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _valid(answer: str) -> bool:
    """Whether the whole answer is a PreferenceList, without the tolerance of `parse`."""
    try:
        read_answer(answer)
    except InputError:
        return False
    return True
