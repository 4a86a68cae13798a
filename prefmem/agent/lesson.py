"""What passes between the parts of the preference agent: documents, and lessons made of them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Document:
    """A text that a user wrote.

    Attributes:
        id: The first 16 hex digits of the SHA-256 of the text.
        text: The user's own words, without headers, quoted mail and other people's text.
        kind: What it is in one word, such as `mail`, `article`, `review`, `chat` or `text`.
        to: Whom it is written to, as the user would say; empty where nobody is told.
        subject: What stands over it; empty for nothing.
        at: When it was written, UTC; None where that is not known.
    """

    id: str
    text: str
    kind: str = "text"
    to: str = ""
    subject: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """What a text is to say, as an agent is asked for rules.

    Attributes:
        intent: What the text is to say: bullet points in the first person, or a request.
        kind: What is to be written, as `Document.kind`.
        to: Whom it is for, as `Document.to`.
        subject: What stands over it.
    """

    intent: str
    kind: str = "text"
    to: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What an agent learns from: a task, and the rules by which the user would do it.

    Attributes:
        task: The task.
        rules: Instructions that stand alone, in order, without a number or a dash.
        text: What the user wrote; what naive fine-tuning learns in place of the rules.
        document_id: Which document it was made of.
    """

    task: Task
    rules: tuple[str, ...]
    text: str = ""
    document_id: str = ""
