"""What a document says, as bullet points of its content words; made without a model."""

from collections.abc import Iterator

from prefmem.agent.anatomy import parts, words_of
from prefmem.agent.lesson import Document

COPIED = 6  # words in a row that an outline never takes over
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
    sentences = [words for s in read.sentences if (words := _content(s))]
    step = max(1, -(-len(sentences) // _BULLETS))
    said = words_of(document.text[: len(read.whole) + 1_000])
    copied = {tuple(said[n : n + COPIED]) for n in range(len(said) - COPIED + 1)}
    lines: list[str] = []
    taken: list[str] = []
    for words in sentences[::step]:
        line: list[str] = []
        for word in words[:_WORDS]:
            if (*taken[1 - COPIED :], word) not in copied:
                taken.append(word)
                line.append(word)
        if line:
            lines.append(f"- {' '.join(line)}")
    return "\n".join(lines)


def _content(sentence: str) -> list[str]:
    return list(dict.fromkeys(_telling(words_of(sentence))))


def _telling(words: list[str]) -> Iterator[str]:
    for word in words:
        plain = word.replace("’", "'").partition("'")[0]
        if any(c.isdigit() for c in plain) or (
            len(plain) >= _SHORTEST and plain not in _STOP_WORDS and "'" not in word
        ):
            yield word
