"""What goes in over HTTP. Unknown fields are refused, except in messages, which hosts fill freely.

What comes out is in `answers.py`.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

Polarity: TypeAlias = Literal["do", "avoid"]
ScopeKind: TypeAlias = Literal["global", "conditional"]
UserModelName: TypeAlias = Literal["ledger", "vars", "none"]
Status: TypeAlias = Literal["active", "candidate", "quarantined", "superseded", "expired"]

Text: TypeAlias = Annotated[str, Field(max_length=100_000)]
Slot: TypeAlias = Annotated[str, Field(max_length=4_000)]
Session: TypeAlias = Annotated[
    str, Field(max_length=256, description="The conversation; at most 256 bytes of UTF-8.")
]
Tokens: TypeAlias = Annotated[int, Field(ge=0, le=20_000, description="Size of the block.")]
CardId: TypeAlias = Annotated[str, Field(min_length=1, max_length=64)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MessageIn(BaseModel):
    """A message in the form of OpenAI's chat API; only role and content are read."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    role: str = Field(description="`user`, `assistant`, `system`, `developer` or `tool`.")
    content: str | list[dict[str, Any] | str] | None = None


_DIALOGUE: list[JsonValue] = [
    {"role": "user", "content": "When you write SQL, always put the keywords in capitals."},
    {"role": "assistant", "content": "Will do."},
]


class LearnRequest(_Request):
    """A stretch of dialogue, oldest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"messages": _DIALOGUE, "session_id": "monday"}]}
    )

    messages: list[MessageIn]
    session_id: Session = ""
    mode: Literal["background", "inline"] = Field(
        default="background",
        description="`background` answers 202 when it is on disk; `inline` learns and reports.",
    )


class CommandRequest(_Request):
    """A dialogue whose last user turn may be for the memory."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"messages": [{"role": "user", "content": "show my preferences"}]}]
        }
    )

    messages: list[MessageIn]
    session_id: Session = ""


class EditedRequest(_Request):
    """A draft and what the user made of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "draft": "Hello Tom! The meeting moved to Friday!",
                    "final": "Hi Tom, the meeting moved to Friday.",
                    "context": "a mail to a colleague",
                }
            ]
        }
    )

    draft: Text
    final: Text
    context: Text = ""
    session_id: Session = ""


class RecallRequest(_Request):
    """What the user asks for now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"query": "a query for monthly sales", "session_id": "monday"}]
        }
    )

    query: Text = Field(default="", description="The request; or `messages` in its place.")
    messages: list[MessageIn] | None = Field(
        default=None, description="The dialogue so far: its last user turn is the query."
    )
    session_id: Session = ""
    context: Text = Field(default="", description="What the user asked for before.")
    limit: int | None = Field(default=None, ge=0, le=50, description="Conditional rules at most.")
    min_score: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False, description="Relevance that a rule needs."
    )
    max_tokens: Tokens | None = None
    why: bool = Field(default=False, description="Whether `explained` is filled.")

    @model_validator(mode="after")
    def _one_question(self) -> "RecallRequest":
        if (self.messages is None) == (not self.query):
            raise ValueError("pass either a query or messages")
        return self


class RenderRequest(_Request):
    """Cards of an earlier recall; one that was forgotten meanwhile is left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"card_ids": ["9f2c41d07be3a815"]}]})

    card_ids: list[CardId] = Field(max_length=1_000)
    max_tokens: Tokens | None = None


class FeedbackRequest(_Request):
    """A thumb, stars, a score: what a person says by a button."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"recall_id": "2b1d7c09a4e6f583", "score": -1, "key": "click-17"}]
        }
    )

    recall_id: str = Field(min_length=1, max_length=128)
    score: float = Field(
        ge=-1, le=1, allow_inf_nan=False, description="-1 is useless, 1 is just right."
    )
    card_id: CardId | None = Field(default=None, description="The rule that it is about.")
    key: str | None = Field(
        default=None, min_length=1, max_length=128, description="The same key counts once."
    )


class CardIn(_Request):
    """A rule to be stored as it is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"condition": "writing SQL", "action": "use CTEs"}]}
    )

    condition: Slot = Field(default="", description='Completes "When ..."; empty for none.')
    action: Slot = Field(min_length=1, description="An instruction that can stand alone.")
    polarity: Polarity = "do"
    scope: ScopeKind | None = None


class CardPatch(_Request):
    """What is to change; what is left out or null stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"action": "use views"}]})

    condition: Slot | None = None
    action: Slot | None = None
    polarity: Polarity | None = None
    scope: ScopeKind | None = None
    status: Literal["active", "quarantined"] | None = Field(
        default=None, description="`active` confirms it: for the user to say, not for a model."
    )

    @model_validator(mode="after")
    def _something(self) -> "CardPatch":
        if all(value is None for value in self.model_dump().values()):
            raise ValueError("nothing to change; name condition, action, polarity, scope or status")
        return self


class FlushRequest(_Request):
    """How long to learn what waits."""

    timeout: float = Field(default=10.0, ge=0, le=60, allow_inf_nan=False)


class ExportData(BaseModel):
    """Everything held about one user, in a format with a version; the memory checks the rest."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    format: Literal["prefmem.export"] = "prefmem.export"
    version: int = Field(default=1, ge=0, le=1_000)
    user_id: str
    exported_at: str
    cards: list[dict[str, Any]]
