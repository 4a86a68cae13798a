"""What a document says, as bullet points of its content words; made without a model."""

import re
from collections.abc import Iterator

from prefmem.agent.anatomy import parts
from prefmem.agent.leak import GRAM, words
from prefmem.agent.lesson import Document

_WORD = re.compile(r"\w[\w'’.,-]*")
_BULLETS = 8
_WORDS = 7  # of a bullet
_FILLERS = (
    "about above after again against also although always anyone anything anyway around because "
    "been before being below best between both bring came cannot cheers come could dear does doing "
    "done down during each either else enough even ever every everyone everything few first from "
    "further getting give given gives going gone good greetings hello here herself himself however "
    "indeed instead into itself just keep kind know later least less like little long look made "
    "make many maybe might more most much must myself need never nothing once only other ours over "
    "perhaps please quite rather really regards same shall should since some someone something "
    "soon still such sure take than thank thanks that their them themselves then there therefore "
    "these they thing things think this those though through thus together took toward under until "
    "upon very want wanted wants warm well went were what when where whether which while whole "
    "whom whose will wish wishes with within without would your yours yourself "
    "aber alle auch dass dein deine diese dieser doch eine einen einer eines haben habe hatte ihre "
    "ihnen immer kann können mein meine mich nicht noch oder schon sehr sein sich sind über unser "
    "wenn werden wird wurde alors aussi avec cette comme dans elle être leur mais même nous parce "
    "pour sans sont tout tous très vous votre como cuando desde donde ella esta este esto están "
    "hasta muy más para pero porque sobre también todo unos usted anche come della delle dello "
    "essere hanno molto nella perché questo quello sono tutto ainda isso mais muito não pela pelo "
    "quando você deze door hebben heeft maar naar niet omdat onze voor wordt zijn"
)
_STOP_WORDS = frozenset(_FILLERS.split())
_SHORTEST = 4  # letters of a word that says something by itself; numbers may be shorter


def outline(document: Document) -> str:
    """Give what a document says, as bullet points of its content words, one for each sentence.

    Greeting, sign-off, punctuation, capitals and emoji do not show in it, nor do six words in a row
    of the document. Long documents are told by sentences taken evenly from all of it.

    Returns:
        At most 8 lines of at most 7 words; empty where nothing is left.
    """
    read = parts(document.text)
    sentences = [said for sentence in read.sentences if (said := _content(sentence))]
    step = max(1, -(-len(sentences) // _BULLETS))
    source = words(read.whole)
    copied = {tuple(source[n : n + GRAM]) for n in range(len(source) - GRAM + 1)}
    lines: list[str] = []
    taken: list[str] = []
    for said in sentences[::step]:
        line: list[str] = []
        for word in said[:_WORDS]:
            more = taken[1 - GRAM :] + words(word)
            if not any(tuple(more[n : n + GRAM]) in copied for n in range(len(more) - GRAM + 1)):
                taken += words(word)
                line.append(word)
        if line:
            lines.append(f"- {' '.join(line)}")
    return "\n".join(lines)


def _content(sentence: str) -> list[str]:
    return list(dict.fromkeys(_telling(_WORD.findall(sentence))))


def _telling(said: list[str]) -> Iterator[str]:
    """Give the words that carry a sentence, folded: long ones, numbers, and names inside it."""
    for place, word in enumerate(said):
        plain = word.rstrip(".,-'’").replace("’", "'").removesuffix("'s")
        folded = plain.casefold()
        if "'" in folded or folded in _STOP_WORDS:
            continue
        parts_of = words(folded)
        if len(parts_of) >= GRAM:  # a script without spaces
            yield "".join(parts_of[: GRAM - 1])
        elif (
            any(c.isdigit() for c in folded)
            or len(folded) >= _SHORTEST
            or (place and len(folded) > 1 and plain[0].isupper() and not plain.isupper())
        ):
            yield folded
