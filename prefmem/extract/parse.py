"""What a model answered, read as preferences: whatever the text, there is a result and no error."""

import json
import re
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

MAX_ANSWER_CHARS = 65_536
MAX_ITEMS = 20
# A string, closed or not, or a bracket; possessive, so that no way back is tried.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|[\[\]{}]', re.S)
_OPEN = re.compile(r"[\[{]")
_CLOSES = {"}": "{", "]": "["}
_HEIGHT = 2  # an item is an object that holds at most flat lists and objects


class AnswerItem(BaseModel):
    """One preference as a model words it.

    Anything beside the three fields is left aside: models like to add a reason.

    Attributes:
        condition: At most 128 characters; empty when missing or null.
        action: 1 to 256 characters.
        confidence: In [0, 1]; 0.5 when missing or null, as the model then says nothing about it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    condition: Annotated[
        str,
        StringConstraints(strip_whitespace=True, max_length=128),
        BeforeValidator(lambda given: "" if given is None else given),
    ] = ""
    action: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]
    confidence: Annotated[
        float,
        Field(ge=0, le=1),
        BeforeValidator(lambda given: 0.5 if given is None else given),
    ] = 0.5


def parse(answer: str) -> tuple[AnswerItem, ...]:
    """Read a model's answer, in time linear in its length.

    Items are found wherever they stand: in `{"preferences": [...]}`, in a bare list, line by line,
    in a code fence, between prose, or in an answer that was cut off. What the model thinks aloud
    before it answers does not count. An item out of bounds is left out, and so is one that says the
    same again.

    Args:
        answer: The text; what follows the first 65,536 characters is not read.

    Returns:
        The first 20 items, in order; nothing when there is no valid one.
    """
    text = _without_thoughts(answer[:MAX_ANSWER_CHARS])
    items: dict[tuple[str, str], AnswerItem] = {}
    for source in _objects(text):
        item = _item(source)
        if item is not None:
            items.setdefault((_folded(item.condition), _folded(item.action)), item)
        if len(items) == MAX_ITEMS:
            break
    return tuple(items.values())


def _without_thoughts(text: str) -> str:
    """Keep what follows the last closed think block, up to one that is left open."""
    return text.rpartition("</think>")[2].partition("<think>")[0]


def _objects(text: str) -> list[str]:
    """Find the JSON objects of at most `_HEIGHT` levels, in the order in which they end.

    Outside of brackets a quotation mark is prose. A closing bracket that fits no open one is passed
    over.
    """
    found: list[str] = []
    open_: list[tuple[str, int, int]] = []  # bracket, where it stands, levels inside so far
    at = 0
    while token := (_TOKEN if open_ else _OPEN).search(text, at):
        at, mark = token.end(), token[0]
        if mark in "[{":
            open_.append((mark, token.start(), 0))
        elif open_ and _CLOSES.get(mark) == open_[-1][0]:
            _, start, inside = open_.pop()
            height = inside + 1
            if mark == "}" and height <= _HEIGHT:
                found.append(text[start:at])
            if open_:
                above, begun, tallest = open_[-1]
                open_[-1] = (above, begun, max(tallest, height))
    return found


def _item(source: str) -> AnswerItem | None:
    try:
        data: Any = json.loads(source, strict=False)  # raw line breaks inside strings pass
        return AnswerItem.model_validate(data)
    except (ValueError, ValidationError):
        return None


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")
