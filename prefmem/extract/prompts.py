"""The published extractor's prompts, word for word as it was trained on them.

A string here is never edited: another wording gets another name.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from prefmem.types import Turn

PromptName: TypeAlias = Literal["training", "card"]

SYSTEM: dict[PromptName, str] = {
    "training": (
        "Extract user preferences from the query into JSON format based on the PreferenceList "
        'schema. If no preferences are found, return {"preferences": []}.'
    ),
    "card": (
        "You are a preference extractor. Given the dialogue window, extract preferences into JSON "
        "format."
    ),
}
MAX_TURN_CHARS = 4_000
MAX_WINDOW_CHARS = 12_000


def messages(prompt: PromptName, turns: Sequence[Turn]) -> list[dict[str, str]]:
    """Ask for the preferences in a window, as chat messages.

    Of a turn beyond 4,000 characters the middle is left out; of a window beyond 12,000 the oldest
    turns.

    Args:
        prompt: `training` shows the last turn alone, as in the model's training data; `card` shows
            the window as lines of `User:` and `Assistant:`, as on the model card.
        turns: User and assistant turns, oldest first, at least one; the last one is the user's.
    """
    asked = _clip(turns[-1].text) if prompt == "training" else _lines(turns)
    return [{"role": "system", "content": SYSTEM[prompt]}, {"role": "user", "content": asked}]


def _lines(turns: Sequence[Turn]) -> str:
    lines: list[str] = []
    room = MAX_WINDOW_CHARS
    for turn in reversed(turns):
        line = f"{'User' if turn.role == 'user' else 'Assistant'}: {_clip(turn.text)}"
        room -= len(line)
        if lines and room < 0:
            break
        lines.append(line)
    return "\n".join(reversed(lines))


def _clip(text: str) -> str:
    half = MAX_TURN_CHARS // 2
    return text if len(text) <= MAX_TURN_CHARS else f"{text[:half]}\n...\n{text[-half:]}"
