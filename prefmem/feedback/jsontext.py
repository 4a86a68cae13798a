"""JSON objects somewhere in the answer of a chat model."""

import json
from typing import Any, cast

_ANSWER_CHARS = 65_536
_ATTEMPTS = 200  # places at which an object may begin


def json_objects(answer: str) -> list[dict[str, Any]]:
    """Give the outermost JSON objects of an answer, in order; what was thought aloud is left out.

    Of a longer answer the first 65,536 characters are read.
    """
    text = answer[:_ANSWER_CHARS].rpartition("</think>")[2]
    found: list[dict[str, Any]] = []
    at, decoder = text.find("{"), json.JSONDecoder(strict=False)
    for _ in range(_ATTEMPTS):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            found.append(cast(dict[str, Any], value))
        at = text.find("{", end)
    return found
