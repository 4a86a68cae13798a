"""Rules and intents read from what a big model answers, however it is laid out."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal, TypeAlias, cast

from prefmem.messages import plain

MAX_ANSWER_CHARS = 65_536
MAX_ITEMS = 60  # of one answer that are read
MAX_ITEM_CHARS = 600  # a longer one is prose, not an item

Block: TypeAlias = Literal["rules", "intent"]

_NAMES: dict[Block, str] = {
    "rules": r"(?:rules|preference[ _-]?rules|final[ _-]?rules|instructions|guidelines)",
    "intent": r"(?:intents?|intent[ _-]?bullets|bullet[ _-]?points|content|summary)",
}
_THOUGHT = r"(?:think(?:ing)?|thoughts?|scratch[ _-]?pad|reasoning|analysis|reflection|differences)"
_SPACE = re.compile(r"[^\S\n ]")
_THOUGHT_TAG = re.compile(rf"<(?P<end>/?)\s{{0,3}}{_THOUGHT}\s{{0,3}}>", re.I)
_TAGS = {
    block: re.compile(rf"<(?P<end>/?)\s{{0,3}}{name}\s{{0,3}}>", re.I)
    for block, name in _NAMES.items()
}
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[ \t]*\w*[ \t]*$", re.M)
_ITEM_TAG = re.compile(r"<(?:rule|item|li|point|bullet)(?: [^<>\n]{0,40})?>", re.I)
_ITEM_END = re.compile(r"</(?:rule|item|li|point|bullet)>", re.I)
_STRING = re.compile(r'"((?:[^"\\]++|\\.)*+)"(?P<key>\s*:)?', re.S)
_LIKE_JSON = re.compile(r"^[ \t]*[\[{]", re.M)
_LISTED = re.compile(r"[\[{]\s*[\"\[{]")
_CHECKBOX = re.compile(r"^[ \t]*[-*+][ \t]+\[[ xX]?\][ \t]+", re.M)
_IN_LINE = re.compile(r"(?<=[.!?\"'”’])[ \t]+(?=\d{1,2}[.)][ \t]+\S)")
_RULER = re.compile(r"^[ \t]*\|?[ \t]*:?-{3,}")
_MARK = re.compile(
    r"^[ \t]*(?:>[ \t]*)?(?:[-*+•‣◦▪●–—·]|\(?\d{1,2}[.):]|\(?[a-zA-Z][.)]|rule[ \t]*\d{1,2}[.:)]?"
    r"|#{1,6}[ \t]*\d{1,2}[.):]?|[☐☑✓✔])(?:[ \t]+|(?<=[•‣◦▪●])|(?=\*\*))",
    re.I,
)
_OTHER = re.compile(  # a heading, a line that parts, code
    r"^[ \t]*(?:#{1,6}[ \t]|={3,}|-{3,}|\*{3,}|_{3,}|\|?[ \t:]*-{3,}|[\[{]\s*['\"\[{])"
)
_WRAPPED = re.compile(r"^(?P<mark>\*\*|__|\*|_|`)(?P<inside>.+?)(?P=mark)(?P<end>[.!]?)$")
_LABEL = re.compile(r"^(?:\*\*|__)(?P<label>[^*_\n]{1,40}?):?(?:\*\*|__)[ \t]*:?[ \t]*(?=\S)")
_TAG = re.compile(r"</?[a-zA-Z][\w -]{0,30}/?>")
_ENDS = re.compile(r"[.!?…。！？)\"'”’]$")
_ROW = re.compile(r"^[ \t]*\|(?P<cells>.+)\|[ \t]*$")
_KEYS = ("rule", "text", "instruction", "action", "point", "intent", "bullet", "value")


def items(answer: str, block: Block) -> tuple[str, ...]:
    """Read the items of an answer: one line of plain text each, in order, each once.

    They are looked for between the tags of the block (the last one that holds any; one that is not
    closed goes to the end), then in JSON, then as a list. What the model thinks aloud does not
    count, nor do headings, an introduction, tables' heads and code fences. An item may go on over
    several lines. Of an answer that breaks off in the middle of a block the last item is left out
    where it ends without a full stop.

    Args:
        answer: The text; what follows the first 65,536 characters is not read.
        block: What the tags are called.

    Returns:
        At most 60 items of at most 600 characters; none where there is nothing to read.
    """
    text = answer[:MAX_ANSWER_CHARS].replace("\r\n", "\n").replace("\r", "\n")
    text = _SPACE.sub(" ", text)
    text = _CHECKBOX.sub("- ", _ITEM_END.sub("\n", _ITEM_TAG.sub("\n- ", text)))
    inside, whole = _inside(_without_thoughts(text), block)
    found = list(_of_json(inside)) or list(_of_list(inside, tagged=whole is not None))
    if whole is False and found and not _ENDS.search(found[-1]):
        found.pop()
    kept: dict[str, str] = {}
    for item in found:
        line = plain(_bare(item[: 2 * MAX_ITEM_CHARS]), limit=MAX_ITEM_CHARS + 1)
        if any(c.isalnum() for c in line) and len(line) <= MAX_ITEM_CHARS:
            kept.setdefault(line.casefold().rstrip(". "), line)
        if len(kept) == MAX_ITEMS:
            break
    return tuple(kept.values())


def text_of(answer: str) -> str:
    """Give what an answer says, without what the model thinks aloud."""
    return _without_thoughts(answer[:MAX_ANSWER_CHARS]).strip()


def _without_thoughts(text: str) -> str:
    """Leave out thoughts: closed ones, one whose beginning was not shown, one left open.

    A model that forgot to close its thoughts, or to begin them, may have put its answer inside:
    where nothing else is left, the text stays.
    """
    kept, at, thinks = "", 0, False
    for tag in _THOUGHT_TAG.finditer(text):
        if not tag["end"] and not thinks:
            kept, thinks = f"{kept}\n{text[at : tag.start()]}", True
        elif tag["end"]:
            kept, at, thinks = kept if thinks else "", tag.end(), False
    kept = kept if thinks else f"{kept}\n{text[at:]}"
    lost = _has_block(text) and not _has_block(kept) if thinks else not kept.strip()
    return text if lost else kept


def _has_block(text: str) -> bool:
    return any(tag.search(text) for tag in _TAGS.values())


def _inside(text: str, block: Block) -> tuple[str, bool | None]:
    """Give what is inside the block, and whether it is closed; all and None without a block."""
    found, begun, last = "", -1, 0
    for tag in _TAGS[block].finditer(text):
        if not tag["end"]:
            begun = tag.end()
            continue
        body = text[max(begun, 0) : tag.start()] if begun >= 0 or not last else ""
        found, begun, last = body if body.strip() else found, -1, tag.end()
    if found:
        return found, True
    rest = text[begun:] if begun >= 0 else ""
    return (rest, False) if rest.strip() else (text, None)


def _of_json(text: str) -> Iterator[str]:
    """Read a list of texts or of objects, or an object that holds one."""
    source = _FENCE.sub("", text).strip()
    start = _LIKE_JSON.search(source)
    if start is None:
        return
    source = source[start.start() :].lstrip()
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(source)
    except (ValueError, RecursionError):  # cut off in the middle: the texts that are whole
        value = list(_whole_texts(source)) if _LISTED.match(source) else []
    yield from _texts(value)


def _whole_texts(source: str) -> Iterator[object]:
    for match in _STRING.finditer(source):
        with suppress(ValueError):
            value = json.loads(f'"{match[1]}"', strict=False)
            if not match["key"]:
                yield value


def _texts(value: object) -> Iterator[str]:
    """Find the texts of a list, or of the first list in an object."""
    if isinstance(value, dict):
        mapped = cast(dict[str, object], value)
        lists = [cast(list[object], v) for v in mapped.values() if isinstance(v, list)]
        yield from _texts(lists[0] if lists else list(mapped.values()))
    elif isinstance(value, list):
        for item in cast(list[object], value):
            if isinstance(item, str):
                yield _MARK.sub("", item)
            elif isinstance(item, dict):
                fields = cast(dict[str, object], item)
                named = (fields[key] for key in _KEYS if isinstance(fields.get(key), str))
                yield from (str(text) for text in [next(named, None)] if text is not None)


def _of_list(text: str, *, tagged: bool) -> Iterator[str]:
    """Read marked lines with what goes on below them; without any mark, and in tags, every line."""
    plain_lines = _FENCE.sub("", text).split("\n")
    below = [*plain_lines[1:], ""]
    lines = [
        "" if _ROW.match(line) and _RULER.match(after) else _cells(line)
        for one, after in zip(plain_lines, below, strict=True)
        for line in _IN_LINE.split(one)
    ]
    marked = any(_MARK.match(line) for line in lines)
    item = ""
    for line in lines:
        mark = _MARK.match(line)
        if mark or not line.strip() or _OTHER.match(line) or not (marked or tagged):
            yield from [item] if item else []
            item = line[mark.end() :].strip() if mark else ""
        elif not marked:
            yield line.strip()
        elif item and not _is_head(line):
            item = f"{item[: MAX_ITEM_CHARS + 1]} {line.strip()}"
    yield from [item] if item else []


def _cells(line: str) -> str:
    """Make a list item of a table's row: its longest cell."""
    row = _ROW.match(line)
    if row is None or not row["cells"].strip(" -:|"):
        return "" if row else line
    return f"- {max(row['cells'].split('|'), key=len).strip()}"


def _is_head(line: str) -> bool:
    """Whether a line introduces or closes a list rather than going on with an item."""
    return line[:1] not in " \t" or line.rstrip().endswith(":")


def _bare(item: str) -> str:
    """Take off what only decorates: marks of emphasis, a bold label, tags, quotation marks."""
    item = _TAG.sub(" ", _LABEL.sub("", item.strip())).strip()
    while (match := _WRAPPED.match(item)) is not None:
        item = match["inside"].strip() + match["end"]
    for opening, closing in (('"', '"'), ("“", "”"), ("'", "'")):
        if len(item) > 1 and item[0] == opening and item[-1] == closing:
            inner = item[1:-1]
            item = item if opening in inner or closing in inner else inner.strip()
    return item.replace("**", "").replace("__", "")
