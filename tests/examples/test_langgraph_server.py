"""The example for LangGraph Server fits together; `langgraph dev` runs it as it stands."""

import json
import runpy
from pathlib import Path

import pytest
from langgraph.graph.state import CompiledStateGraph  # pyright: ignore[reportMissingTypeStubs]

FOLDER = Path(__file__).parents[2] / "examples" / "langgraph_server"


def test_the_config_names_a_graph_with_the_memory_in_it() -> None:
    pytest.importorskip("langchain_openai")
    config = json.loads((FOLDER / "langgraph.json").read_text(encoding="utf-8"))
    file, _, name = config["graphs"]["helper"].partition(":")
    graph = runpy.run_path(str(FOLDER / file))[name]
    assert isinstance(graph, CompiledStateGraph)
    assert {"prefmem.before_agent", "model", "prefmem.after_agent"} <= graph.nodes.keys()
    assert config["dependencies"] == ["."]
    assert "prefmem[langchain]" in (FOLDER / "requirements.txt").read_text(encoding="utf-8")
