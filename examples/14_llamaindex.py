"""A LlamaIndex chat with memory: a block of its `Memory`."""

import json
import urllib.request
from collections.abc import Generator

from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.memory import Memory
from shared import endpoint

from prefmem import PreferenceMemory
from prefmem_llamaindex import PreferenceBlock


class Small(CustomLLM):
    """An OpenAI-compatible model in a few lines; use llama-index-llms-openai-like for more."""

    url: str
    name: str
    key: str

    @property
    def metadata(self) -> LLMMetadata:
        """Name the model."""
        return LLMMetadata(model_name=self.name)

    @llm_completion_callback()
    def complete(
        self, prompt: str, formatted: bool = False, **kwargs: object
    ) -> CompletionResponse:
        """Ask once."""
        said = {"model": self.name, "messages": [{"role": "user", "content": prompt}]}
        headers = {"Authorization": f"Bearer {self.key}"}
        address = f"{self.url}/chat/completions"
        request = urllib.request.Request(address, json.dumps(said).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return CompletionResponse(text=json.load(answer)["choices"][0]["message"]["content"])

    @llm_completion_callback()
    def stream_complete(self, prompt: str, **kwargs: object) -> Generator[CompletionResponse]:
        """Give the whole answer as one piece."""
        yield self.complete(prompt)


with endpoint(__doc__) as model, PreferenceMemory(":memory:") as memory:
    for user, text in (
        ("ann", "I'm vegetarian, so never suggest meat."),
        ("ann", "A quick dinner?"),
        ("bob", "A quick dinner?"),
    ):
        block = PreferenceBlock(memory, user_id=user)
        chat = Memory.from_defaults(session_id=f"{user}-{text}", memory_blocks=[block])
        engine = SimpleChatEngine.from_defaults(
            llm=Small(url=model.url, name=model.model, key=model.key), memory=chat
        )
        print(f"{user} gets:", engine.chat(text))
        memory.flush()  # for this script: a service lets the worker learn in its own time
