"""The root of the command line: the border for errors, and commands that load when asked for."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeAlias, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from prefmem.cli.show import say
from prefmem.errors import MissingExtraError, PrefmemError

PLUGINS = "prefmem.commands"  # entry points: a plain function, or a typer app
# Extras of the commands that come with this package.
_EXTRAS = {"demo": "langgraph", "inspect": "server", "mcp": "mcp", "serve": "server"}
_ANY_ARGUMENTS = {"ignore_unknown_options": True, "allow_extra_args": True}

Command: TypeAlias = TyperCommand | TyperGroup


class Commands(TyperGroup):
    """The commands of prefmem, `evaluate`, and whatever joined the entry-point group."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401  # click's context; typer carries its own click or not
        """List the commands: ours, then those that joined, by name."""
        ours = super().list_commands(ctx)
        return [*ours, *(name for name in sorted(_joined()) if name not in ours)]

    def get_command(self, ctx: Any, cmd_name: str) -> Command | None:  # noqa: ANN401  # as above
        """Give a command, loading it if it joined; one that cannot load says so when called."""
        found = super().get_command(ctx, cmd_name)
        load = _joined().get(cmd_name)
        if found is not None or load is None:
            return cast(Command | None, found)
        try:
            return _command(cmd_name, load())
        except Exception as error:  # noqa: BLE001  # the CLI's border: a broken plug-in stops no other command
            return _refusal(cmd_name, error)

    def invoke(self, ctx: Any) -> object:  # noqa: ANN401  # as above
        """Run a command; what prefmem refuses becomes a message and exit code 1."""
        try:
            return super().invoke(ctx)
        except PrefmemError as error:
            say(f"Error: {error}")
            raise typer.Exit(1) from None


def _joined() -> dict[str, Callable[[], object]]:
    """Name what can be loaded: our own measurements, and the plug-ins."""
    loaders: dict[str, Callable[[], object]] = {
        point.name: point.load for point in _plugins().values()
    }
    loaders["evaluate"] = lambda: import_module("prefmem.evaluate.run").app
    return loaders


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=PLUGINS)}


def _command(name: str, loaded: object) -> Command:
    if isinstance(loaded, typer.Typer):
        group = get_group(loaded)
        group.name = name
        return group
    return _single(name, cast(Callable[..., None], loaded))


def _single(name: str, run: Callable[..., None], **settings: Any) -> Command:  # noqa: ANN401  # typer's settings
    app = typer.Typer(add_completion=False)
    app.command(name, **settings)(run)
    return cast(Command, get_command(app))


def _refusal(name: str, error: Exception) -> Command:
    """Make a command that takes any arguments and raises the reason why the real one is missing."""
    if isinstance(error, ModuleNotFoundError) and name in _EXTRAS:
        error = MissingExtraError(f'{error}: pip install "prefmem[{_EXTRAS[name]}]"')
    elif not isinstance(error, PrefmemError):
        error = MissingExtraError(
            f"the command {name!r} cannot be loaded ({type(error).__name__}: {error}); install "
            "what it needs, or remove the package that offers it"
        )
    reason: Exception = error

    def refuse() -> None:
        raise reason

    return _single(
        name, refuse, help=f"Not available: {reason}", context_settings=dict(_ANY_ARGUMENTS)
    )
