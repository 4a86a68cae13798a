"""`prefmem demo`: three people's conversations, played through a LangGraph graph with a memory."""

import json
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import Progress

from prefmem import InputError, MissingExtraError, PreferenceMemory
from prefmem_langchain.demo_dialogues import PEOPLE, Dialogue, load_dialogue

if TYPE_CHECKING:
    from prefmem_langchain.demo_play import Chat, Played

SMOLLM = "smollm2"


def demo(
    who: Annotated[
        Literal["code", "mail", "home", "all"], typer.Option(help="Whose dialogue.")
    ] = "all",
    chat: Annotated[
        str | None,
        typer.Option(
            metavar="URL|smollm2",
            help="An OpenAI-compatible address, or the small SmolLM2 on this CPU (minutes).",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model at the address.")] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="PREFMEM_API_KEY", help="Key for the address.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Play three people's chats through a LangGraph graph and show what is learned and used."""
    if find_spec("langgraph") is None:
        raise MissingExtraError('the demo runs a graph: pip install "prefmem[langgraph]"')
    dialogues = [load_dialogue(name) for name in (PEOPLE if who == "all" else (who,))]
    speaker = _chat(chat, model, api_key)
    started = time.perf_counter()
    with TemporaryDirectory() as folder, PreferenceMemory(Path(folder) / "demo.db") as memory:
        run(dialogues, memory, speaker, as_json=as_json, started=started)


def run(
    dialogues: Sequence[Dialogue],
    memory: PreferenceMemory,
    chat: "Chat | None" = None,
    *,
    as_json: bool = False,
    started: float | None = None,
) -> None:
    """Play dialogues on a memory, and show what came of each on stdout as soon as it is played.

    Args:
        dialogues: What to play.
        memory: An empty memory.
        chat: The chat model; the replies of the script unless given.
        as_json: JSON instead of text.
        started: `time.perf_counter()` of the start; now unless given.
    """
    from prefmem_langchain import demo_show
    from prefmem_langchain.demo_play import play

    started = time.perf_counter() if started is None else started
    screen = None if as_json else Console(markup=False, emoji=False, highlight=False)
    if screen is not None:
        screen.print(_opening(scripted=chat is None))
        screen.file.flush()
    played: list[Played] = []
    for dialogue in dialogues:
        with _progress(dialogue.turns + len(dialogue.questions)) as step:
            played.append(play(dialogue, memory, chat, progress=step))
        if screen is not None:
            demo_show.show(played[-1], memory.config, screen)
            screen.file.flush()
    seconds = time.perf_counter() - started
    if screen is not None:
        screen.print(_closing(played, seconds))
        return
    people = [demo_show.data(each, memory.config) for each in played]
    replies = "script" if chat is None else "model"
    typer.echo(json.dumps({"people": people, "replies": replies, "seconds": seconds}, indent=2))


def _chat(place: str | None, model: str | None, api_key: str | None) -> "Chat | None":
    if place is None and model is not None:
        raise InputError("--model names a model at an address: give --chat URL too")
    if place is None:
        return None
    from prefmem.models.chat import OpenAIChat, SmolLMChat

    if place == SMOLLM:
        return SmolLMChat(Path(typer.get_app_dir("prefmem")))
    return OpenAIChat(place, model=model, api_key=api_key)


@contextmanager
def _progress(total: int) -> Generator[Callable[[], None]]:
    """Show a bar on stderr, where that is a terminal; gives what moves it by one."""
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("playing", total=total)
        yield lambda: bar.advance(task)


def _opening(*, scripted: bool) -> str:
    replies = (
        "The assistant's replies come from the script: no chat model runs (see --chat)."
        if scripted
        else "The assistant's replies come from the chat model; the user's turns from the script."
    )
    return (
        "Each user turn runs through a LangGraph graph: recall -> chat -> learn. "
        f"Learning and recall run for real.\n{replies}\n"
    )


def _closing(played: "Sequence[Played]", seconds: float) -> str:
    turns = sum(each.dialogue.turns for each in played)
    rules = sum(len(each.cards) for each in played)
    return (
        f"{turns} user turns, {rules} rules, {seconds:.0f} s. Next:\n"
        "  your chats   prefmem learn chats.jsonl --user ann; prefmem recall QUERY --user ann\n"
        "  your graph   from prefmem_langchain import RecallNode, LearnNode\n"
        "  your agent   from prefmem_langchain import PreferenceMiddleware"
    )
