"""The MCP server over stdio: what Claude Desktop, an IDE or any MCP client starts and calls.

For those: {"command": "prefmem", "args": ["mcp", "--db", "prefs.db", "--user", "ann"]}. Their own
model decides when to call a tool, so --endpoint changes nothing here.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from mcp import StdioServerParameters
from mcp.client import Client  # mcp 2; with mcp 1 a ClientSession over stdio_client
from mcp.client.stdio import stdio_client


async def main(folder: Path) -> None:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "prefmem", "mcp", "--db", str(folder / "prefs.db"), "--user", "ann"],
    )
    async with Client(stdio_client(server)) as client:
        print("tools:", ", ".join(sorted(t.name for t in (await client.list_tools()).tools)))
        for tool, arguments in (
            ("add_preference", {"condition": "writing mails", "action": "sign with just A."}),
            ("recall_preferences", {"query": "Write a mail to my landlord."}),
            ("list_preferences", {}),
        ):
            result = await client.call_tool(tool, arguments)
            print(f"{tool}:", " ".join(part.text for part in result.content if part.type == "text"))
        resource = (await client.list_resources()).resources[0]
        print("resource:", resource.uri)


with tempfile.TemporaryDirectory() as place:
    asyncio.run(main(Path(place)))
