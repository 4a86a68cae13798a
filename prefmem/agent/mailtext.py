"""The words that the writer of a mail wrote: without headers, quoted mail and signature blocks."""

import re
from contextlib import suppress
from datetime import datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from html.parser import HTMLParser

from prefmem.agent.found import Found, time_of
from prefmem.messages import plain

_HTML_CHARS = 200_000
_NAME_CHARS = 80
_CUT = re.compile(
    r"-{2,} ?(?:original message|forwarded (?:message|by)|ursprüngliche nachricht|"
    r"weitergeleitete nachricht|message d'origine|mensaje original|messaggio originale)\b|"
    r"begin forwarded message:|_{10,}\s*$|-- ?$",
    re.I,
)
_INTRODUCES = re.compile(
    r"(?:on|am|le|el|il|em|op)\b.{5,300}\b(?:wrote|schrieb|a écrit|escribió|ha scritto|escreveu|"
    r"schreef)\b.{0,100}:\s*$",
    re.I,
)
_INTRO_STARTS = re.compile(r"(?:on|am|le|el|il|em|op) ", re.I)
_FROM = re.compile(r"\*?(?:from|von|de|da|van)\*?:\*? \S", re.I)
_HEADER = re.compile(
    r"\*?(?:sent|to|date|subject|cc|gesendet|an|betreff|datum|envoyé|à|objet)\*?:", re.I
)
_DEVICE = re.compile(
    r"(?:sent (?:from|via|with) (?:my |mobile|outlook|proton|yahoo)|get outlook for|"
    r"von meinem .{2,40} gesendet|envoyé de mon )",
    re.I,
)
_ANSWERS = re.compile(r"(?:(?:re|fwd?|aw|wg|tr|sv) ?: *)+", re.I)
_LIST = re.compile(r"[ \t]*(?:[-*+•–#|]|\d{1,2}[.):])")
_WRAPPED = (45, 80)  # characters of a line that a mail program may have broken


def mail_of(raw: bytes) -> Found | None:
    """Read a mail as it is stored; None when it has no headers at all.

    What is broken in it is passed over: a part that cannot be decoded, a date that is none.
    """
    message = message_from_bytes(raw)
    if not message.keys():
        return None
    to = [name or address.partition("@")[0] for name, address in _addresses(message, "To")]
    return Found(
        text="" if _automatic(message) else own_words(_body(message)),
        kind="mail",
        to=(to[0] + (" and others" if len(to) > 1 else "")) if to else "",
        subject=_ANSWERS.sub("", _header(message, "Subject")),
        at=_at(message),
        authors=tuple(part for pair in _addresses(message, "From") for part in pair if part),
    )  # fmt: skip


def own_words(text: str) -> str:
    """Leave what the writer wrote: no quoted mail, no signature block, no broken lines.

    Replies between quoted lines stay.
    """
    kept: list[str] = []
    lines = text.replace("\r\n", "\n").split("\n")
    place = 0
    while place < len(lines):
        line = lines[place].rstrip()
        taken = _introduction(lines, place)
        if taken:
            after = next((li for li in lines[place + taken :][:4] if li.strip()), "")
            if not after.lstrip().startswith(">"):
                break
            place += taken
            continue
        if _CUT.match(line) or _is_header(lines, place):
            break
        if not line.lstrip().startswith(">") and not _DEVICE.match(line.strip()):
            kept.append(line)
        place += 1
    return "\n".join(_unwrapped(kept)).strip()


def _introduction(lines: list[str], place: int) -> int:
    """Count the lines that say "On Monday, Ann wrote:" from a place on; 0 for none."""
    if not _INTRO_STARTS.match(lines[place]):
        return 0
    for count in (1, 2, 3):
        joined = " ".join(line.strip() for line in lines[place : place + count])
        if len(joined) > 500:
            return 0
        if _INTRODUCES.match(joined):
            return count
    return 0


def _is_header(lines: list[str], place: int) -> bool:
    """Whether the headers of another mail begin here, as Outlook puts them over a quotation."""
    return (
        bool(_FROM.match(lines[place]))
        and sum(bool(_HEADER.match(line)) for line in lines[place + 1 : place + 6]) >= 2
    )


def _unwrapped(lines: list[str]) -> list[str]:
    """Join lines that a program broke: all are short, and this one is nearly full."""
    least, most = _WRAPPED
    if max(map(len, lines), default=0) > most:
        return lines
    joined: list[str] = []
    full = False
    for line in lines:
        if full and line.strip() and not _LIST.match(line):
            joined[-1] = f"{joined[-1]} {line.strip()}"
        else:
            joined.append(line)
        full = least <= len(line) and not line.endswith(":")
    return joined


def _body(message: Message) -> str:
    """Give the first plain text of a mail, or the text of its first HTML."""
    pages: list[str] = []
    for part in message.walk():
        if (
            part.is_multipart()
            or part.get_filename()
            or "attachment" in str(part.get("Content-Disposition", ""))
        ):
            continue
        if part.get_content_type() == "text/plain":
            return _decoded(part)
        if part.get_content_type() == "text/html":
            pages.append(_decoded(part))
    return _Page.text_of(pages[0][:_HTML_CHARS]) if pages else ""


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    for charset in (part.get_content_charset() or "utf-8", "utf-8"):
        try:
            return raw.decode(charset)
        except (LookupError, UnicodeError):
            continue
    return raw.decode("cp1252", errors="replace")


def _header(message: Message, name: str) -> str:
    said = str(message.get(name, ""))
    with suppress(HeaderParseError, LookupError, UnicodeError, ValueError):  # else as it stands
        said = str(make_header(decode_header(said)))
    return plain(said, limit=200)


def _addresses(message: Message, name: str) -> list[tuple[str, str]]:
    pairs = getaddresses([_header(message, name)])
    return [
        (plain(who, limit=_NAME_CHARS), plain(where, limit=_NAME_CHARS)) for who, where in pairs
    ]


def _at(message: Message) -> datetime | None:
    return time_of(str(message.get("Date", "")))


def _automatic(message: Message) -> bool:
    return str(message.get("Auto-Submitted", "no")).strip().lower() not in ("no", "")


class _Page(HTMLParser):
    """Reads the text of an HTML mail, without what it quotes."""

    _BREAKS = frozenset(["p", "div", "br", "tr", "h1", "h2", "h3", "ul", "ol"])
    _HIDDEN = frozenset(["script", "style", "head", "title", "blockquote"])

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._said: list[str] = []
        self._hidden: list[str] = []

    @classmethod
    def text_of(cls, page: str) -> str:
        reader = cls()
        reader.feed(page)
        reader.close()
        lines = (" ".join(line.split()) for line in "".join(reader._said).split("\n"))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in self._HIDDEN:
            self._hidden.append(tag)
        elif tag == "li":
            self._said.append("\n- ")
        elif tag in self._BREAKS:
            self._said.append("\n\n" if tag == "p" else "\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            while self._hidden.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._said.append(re.sub(r"\s+", " ", data))
