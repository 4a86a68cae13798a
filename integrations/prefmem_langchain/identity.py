"""Whose memory a run may use. Without a user there is no memory; there is no default user."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, cast

from langchain_core.runnables.config import ensure_config
from langgraph.constants import CONFIG_KEY_CHECKPOINTER
from langgraph.runtime import Runtime, get_runtime

from prefmem import UserRequiredError

UserId: TypeAlias = str | Callable[[Runtime[Any]], str | None]
OnMissing: TypeAlias = Literal["skip", "raise"]


def resolve_user(
    runtime: Runtime[Any], explicit: UserId | None = None, on_missing: OnMissing = "skip"
) -> str | None:
    """Find the user of a run.

    The first of these that is set decides alone: `explicit`; `runtime.context.user_id`, of an
    object or a dict; `runtime.server_info.user.identity`; the config's `user_id`; its
    `langgraph_user_id`. All of them are taken as authenticated: where clients write the context of
    a run themselves, pass `explicit=lambda runtime: runtime.server_info.user.identity`.

    Args:
        runtime: The run.
        explicit: The user id, or what computes it; when it finds nobody, nobody else is asked.
        on_missing: What to do without a user.

    Returns:
        The user id; None when there is none and `on_missing` is `skip`.

    Raises:
        UserRequiredError: There is no user and `on_missing` is `raise`.
    """
    found = _found(runtime) if explicit is None else _asked(runtime, explicit)
    if isinstance(found, str) and found.strip():
        return found
    if on_missing == "raise":
        raise UserRequiredError(
            f"no user for this run (user_id is {_kind(found)}); pass context with user_id, a "
            'config with configurable["user_id"], or user_id= to the constructor'
        )
    return None


def this_run() -> Runtime[Any]:
    """Give the runtime of the run that this code belongs to; an empty one outside of a graph."""
    try:
        found: Runtime[Any] | None = get_runtime()
    except RuntimeError:  # no run at all
        found = None
    return Runtime() if found is None else found


def session() -> str:
    """Name the conversation: the config's thread id; empty without one."""
    thread = _configurable().get("thread_id")
    return "" if thread is None else str(thread)


def inside_tool() -> bool:
    """Whether this run belongs to a tool call: then its messages were not written by the user."""
    namespace = str(_configurable().get("checkpoint_ns") or "")
    *ancestors, _ = namespace.split("|")
    return any(segment.startswith("tools:") for segment in ancestors)


def askable() -> bool:
    """Whether the user is there to be asked by an interrupt, and a reply can come back."""
    can_resume = _configurable().get(CONFIG_KEY_CHECKPOINTER) is not None
    return can_resume and bool(session()) and not inside_tool()


def _asked(runtime: Runtime[Any], explicit: UserId) -> object:
    return explicit if isinstance(explicit, str) else explicit(runtime)


def _found(runtime: Runtime[Any]) -> object:
    user = getattr(runtime.server_info, "user", None)
    config = _configurable()
    places = (
        _user_id(runtime.context),
        getattr(user, "identity", None),
        config.get("user_id"),
        config.get("langgraph_user_id"),
    )
    return next((place for place in places if place is not None), None)


def _user_id(context: object) -> object:
    if isinstance(context, Mapping):
        return cast(Mapping[str, object], context).get("user_id")
    return getattr(context, "user_id", None)


def _configurable() -> Mapping[str, Any]:
    return ensure_config().get("configurable", {})


def _kind(found: object) -> str:
    return "missing" if found is None else f"an unusable {type(found).__name__}"
