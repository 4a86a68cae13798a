"""What a model answered, read as preferences: whatever the text, there is a result and no error."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

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
_CONDITION_CHARS = 128
_ACTION_CHARS = 256
# The format of an answer, for whatever can hold a model to it.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "preferences": {
            "type": "array",
            "maxItems": MAX_ITEMS,
            "items": {
                "type": "object",
                "properties": {
                    "condition": {"type": "string", "maxLength": _CONDITION_CHARS},
                    "action": {"type": "string", "minLength": 1, "maxLength": _ACTION_CHARS},
                    "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                },
                "required": ["condition", "action", "confidence"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["preferences"],
    "additionalProperties": False,
}
# Why a part of an answer does not count, or the whole of it:
Reason: TypeAlias = Literal[
    "empty",  # there is no answer, or nothing after the thoughts
    "not_json",  # neither an object nor an empty list is in it, or an object cannot be read
    "cut_off",  # brackets or strings are left open
    "too_deep",  # nested beyond what a list of preferences needs; items inside still count
    "too_long",  # the answer, a condition or an action is beyond its bound
    "too_many",  # items beyond the twentieth
    "duplicate",  # items that say the same again
    "no_action",  # items that ask for nothing
    "wrong_type",  # items with a number for text and the like; a list of other things
    "confidence",  # items whose confidence is no number in [0, 1]
    "unknown_key",  # items with more than the three fields; what is more is left out
]
# A string, closed or not, or a bracket; possessive, so that no way back is tried.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|[\[\]{}]', re.S)
_OPEN = re.compile(r"[\[{]")
_CLOSES = {"}": "{", "]": "["}
_NONE = re.compile(r"\[\s*\]")  # no preferences
_HEIGHT = 2  # an item is an object that holds at most flat lists and objects
_DEEPEST = 8  # brackets open at once


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
        StringConstraints(strip_whitespace=True, max_length=_CONDITION_CHARS),
        BeforeValidator(lambda given: "" if given is None else given),
    ] = ""
    action: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=_ACTION_CHARS),
    ]
    confidence: Annotated[
        float,
        Field(ge=0, le=1),
        BeforeValidator(lambda given: 0.5 if given is None else given),
    ] = 0.5


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an answer held.

    Attributes:
        items: Its valid items, in order.
        rejected: How much was left out for which reason; empty when nothing was. No text in it.
    """

    items: tuple[AnswerItem, ...]
    rejected: Mapping[Reason, int]


def parse(answer: str) -> Parsed:
    """Read a model's answer, in time linear in its length.

    Items are found wherever they stand: in `{"preferences": [...]}`, in a bare list, line by line,
    in a code fence, between prose, or in an answer that was cut off. What the model thinks aloud
    before it answers does not count. An item out of bounds is left out, and so is one that says the
    same again.

    Args:
        answer: The text; what follows the first 65,536 characters is not read.

    Returns:
        The first 20 items, and what was left out.
    """
    rejected: Counter[Reason] = Counter()
    if len(answer) > MAX_ANSWER_CHARS:
        rejected["too_long"] += 1
    text = _without_thoughts(answer[:MAX_ANSWER_CHARS])
    items: dict[tuple[str, str], AnswerItem] = {}
    for source in _objects(text, rejected):
        item = _item(source, rejected)
        if item is None:
            continue
        key = _folded(item.condition), _folded(item.action)
        if key in items:
            rejected["duplicate"] += 1
        elif len(items) == MAX_ITEMS:
            rejected["too_many"] += 1
        else:
            items[key] = item
    if not (items or rejected or _NONE.search(text)):
        rejected["not_json" if text.strip() else "empty"] += 1
    return Parsed(tuple(items.values()), dict(rejected))


def _without_thoughts(text: str) -> str:
    """Keep what follows the last closed think block, up to one that is left open."""
    return text.rpartition("</think>")[2].partition("<think>")[0]


def _objects(text: str, rejected: Counter[Reason]) -> list[str]:
    """Find the JSON objects of at most `_HEIGHT` levels, in the order in which they end.

    Outside of brackets a quotation mark is prose. A closing bracket that fits no open one is passed
    over.
    """
    found: list[str] = []
    open_: list[tuple[str, int, int]] = []  # bracket, where it stands, levels inside so far
    at = deepest = 0
    while token := (_TOKEN if open_ else _OPEN).search(text, at):
        at, mark = token.end(), token[0]
        if mark in "[{":
            open_.append((mark, token.start(), 0))
            deepest = max(deepest, len(open_))
        elif open_ and _CLOSES.get(mark) == open_[-1][0]:
            _, start, inside = open_.pop()
            height = inside + 1
            if mark == "}" and height <= _HEIGHT:
                found.append(text[start:at])
            if open_:
                above, begun, tallest = open_[-1]
                open_[-1] = (above, begun, max(tallest, height))
    if open_:
        rejected["cut_off"] += 1
    if deepest > _DEEPEST:
        rejected["too_deep"] += 1
    return found


def _item(source: str, rejected: Counter[Reason]) -> AnswerItem | None:
    try:
        data: dict[str, Any] = json.loads(source, strict=False)  # raw line breaks in strings pass
    except ValueError:
        rejected["not_json"] += 1
        return None
    if "preferences" in data:  # a list without objects, or no list
        if data["preferences"] != []:
            rejected["wrong_type"] += 1
        return None
    try:
        item = AnswerItem.model_validate(data)
    except ValidationError as error:
        rejected[_reason(error)] += 1
        return None
    if data.keys() - AnswerItem.model_fields.keys():
        rejected["unknown_key"] += 1
    return item


def _reason(error: ValidationError) -> Reason:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "string_too_long":
        return "too_long"
    if first["type"] in {"missing", "string_too_short"}:
        return "no_action"
    return "confidence" if first["loc"] == ("confidence",) else "wrong_type"


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")
