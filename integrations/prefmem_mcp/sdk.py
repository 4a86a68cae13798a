"""What differs between mcp 1.24 and 2.x, in one place; everything else is the same on both."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from mcp.server.transport_security import TransportSecuritySettings
from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError
from starlette.applications import Starlette

from prefmem import InputError
from prefmem_mcp.border import Border

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context as _Context
    from mcp.server.mcpserver import MCPServer as _Server
    from mcp.server.mcpserver.exceptions import ResourceError
    from mcp.server.mcpserver.tools import Tool
    from mcp_types import CallToolResult, ToolAnnotations

    Context: TypeAlias = _Context[Any, Any]
    Server: TypeAlias = _Server[Any]
    MODERN = True
else:
    try:
        from mcp.server.mcpserver import Context
        from mcp.server.mcpserver import MCPServer as Server
        from mcp.server.mcpserver.exceptions import ResourceError
        from mcp.server.mcpserver.tools import Tool
        from mcp_types import CallToolResult, ToolAnnotations

        MODERN = True
    except ModuleNotFoundError:  # pragma: no cover  # mcp 1; with none it raises again
        from mcp.server.fastmcp import Context
        from mcp.server.fastmcp import FastMCP as Server
        from mcp.server.fastmcp.exceptions import ResourceError
        from mcp.server.fastmcp.tools import Tool
        from mcp.types import CallToolResult, ToolAnnotations

        MODERN = False

__all__ = [
    "MODERN", "Answer", "Context", "ResourceError", "Server", "new_server", "starlette_app",
    "strict_tool",
]  # fmt: skip

_SHOWN = 60  # characters of what a model made up that an error repeats
_NO_EXTRAS = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """What a tool gives: structured content, with a text for clients that read only that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def told(self) -> str:
        """Give the text."""
        return self.model_dump_json(exclude_none=True)


class _StrictTool(Tool):
    """A tool that refuses arguments it does not know, and never lets a failure out as it is.

    What the caller can put right comes back as an error result that says how; of any other failure
    the caller learns its kind only, and the log its kind and place.
    """

    _border: Border = PrivateAttr(default_factory=Border)

    def guarded(self, border: Border) -> Tool:
        """Take failures to a border."""
        self._border = border
        return self

    def model_post_init(self, context: object, /) -> None:
        """Forbid what the function does not take."""
        arguments = self.fn_metadata.arg_model
        strict = cast(
            type[Any], type(arguments.__name__, (arguments,), {"model_config": _NO_EXTRAS})
        )
        self.fn_metadata.arg_model = strict
        self.parameters = strict.model_json_schema(by_alias=True)

    async def run(
        self,
        arguments: dict[str, Any],
        context: Any = None,  # noqa: ANN401  # the two versions' contexts have no common type
        convert_result: bool = False,
    ) -> Any:  # noqa: ANN401  # as in Tool
        """Check the arguments, call the function, and make a result of what it gives."""
        del convert_result
        try:
            given = self.fn_metadata.arg_model.model_validate(arguments)
        except ValidationError as error:
            return _refusal(_told(error, self.parameters))
        values = given.model_dump_one_level()
        if self.context_kwarg is not None:
            values[self.context_kwarg] = context
        try:
            answer = await self.fn(**values)
        except InputError as error:
            return _refusal(str(error))
        except Exception as error:  # noqa: BLE001  # the server lives on, and the chat without memory
            return _refusal(self._border.survive(self.name, error))
        return _result(answer) if isinstance(answer, Answer) else answer


def strict_tool(
    run: Callable[..., Any],
    *,
    name: str,
    title: str,
    description: str,
    hints: Mapping[str, bool],
    border: Border,
) -> Tool:
    """Make a tool of a coroutine function that gives an `Answer`.

    Args:
        run: The function; its annotations become the schemas.
        name: What the model calls it.
        title: What people call it.
        description: What the model is told.
        hints: The protocol's `readOnlyHint` and its like.
        border: Takes the failures.
    """
    tool = _StrictTool.from_function(
        run, name=name, title=title, description=description,
        annotations=ToolAnnotations.model_validate({"title": title, **hints}),
        structured_output=True,
    )  # fmt: skip
    return cast("_StrictTool", tool).guarded(border)


def new_server(name: str, *, title: str, instructions: str, version: str, **given: Any) -> Server:  # noqa: ANN401  # what both constructors take
    """Make a server that says who it is; it logs warnings only, since more could quote the user."""
    given |= {"instructions": instructions, "log_level": "WARNING"}
    if not MODERN:  # pragma: no cover  # runs in conformance.py --tests
        server: Any = Server(name, **given)
        server._mcp_server.version = version  # there is no public way; else it tells the SDK's own
        return cast("Server", server)
    return Server(name, title=title, version=version, subscriptions=False, **given)


def starlette_app(server: Server, security: TransportSecuritySettings) -> Starlette:
    """Give the HTTP app, each request by itself.

    Without sessions nothing can be taken over, nothing piles up, and the user of a request is the
    one whose key came with it.
    """
    if not MODERN:  # pragma: no cover  # runs in conformance.py --tests
        settings: Any = server.settings
        settings.stateless_http = settings.json_response = True
        settings.transport_security = security
        return server.streamable_http_app()
    return server.streamable_http_app(
        stateless_http=True, json_response=True, transport_security=security
    )


def _told(error: ValidationError, schema: Mapping[str, Any]) -> str:
    """Say which arguments are wrong, and what the tool takes."""
    wrong: list[str] = []
    for each in error.errors(include_url=False, include_context=False):
        name = ".".join(str(part) for part in each["loc"])[:_SHOWN]
        if each["type"] == "extra_forbidden":
            wrong.append(f"there is no argument {name!r}")
        else:
            wrong.append(f"{name!r}: {each['msg']}")
    known = ", ".join(schema.get("properties", {})) or "none"
    told = "; ".join(wrong[:5])
    return (
        f"Wrong arguments: {told}. This tool takes: {known}. Nothing was done. Whose preferences "
        "they are follows from the connection; no argument names a user."
    )


def _refusal(told: str) -> CallToolResult:
    return CallToolResult.model_validate(
        {"content": [{"type": "text", "text": told}], "isError": True}
    )


def _result(answer: Answer) -> CallToolResult:
    return CallToolResult.model_validate(
        {
            "content": [{"type": "text", "text": answer.told()}],
            "structuredContent": answer.model_dump(mode="json"),
            "isError": False,
        }
    )
