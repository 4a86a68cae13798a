"""Adapters of many users on one base: a tiny random Qwen3, and LoRA made with peft itself."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from prefmem.agent.adapters import Adapter, AdapterLM, Answer, Outcome
from prefmem.agent.version import CONFIG, WEIGHTS
from prefmem.errors import AdapterError, ConfigError, InputError, MissingExtraError
from prefmem.models.causal import CausalLM

RULE = "- End with a greeting."
NEW = 8  # tokens of an answer
Make = Callable[..., Adapter]
Dialogue = tuple[list[dict[str, str]], str]
# peft asks a model of transformers for what transformers has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Say rules."}, {"role": "user", "content": text}]


@pytest.fixture(scope="module")
def trained(
    train_qwen3: Callable[[Path, Sequence[Dialogue]], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A tiny Qwen3 that answers "Hi." with a rule."""
    folder = tmp_path_factory.mktemp("trained")
    train_qwen3(folder, [(ask("Hi."), RULE)])
    return folder


@pytest.fixture(scope="module")
def base(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with large random weights: any other weights give another answer."""
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    folder = shutil.copytree(trained, tmp_path_factory.mktemp("base") / "model")
    config = transformers.AutoConfig.from_pretrained(folder, initializer_range=1.0)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        transformers.Qwen3ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def make(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Give a function that makes adapter n with random weights by peft, as training saves it."""
    torch: Any = import_module("torch")
    peft: Any = import_module("peft")
    transformers: Any = import_module("transformers")
    home = tmp_path_factory.mktemp("adapters")

    def made(n: int, **settings: object) -> Adapter:
        folder = home / f"{n}-{len(list(home.iterdir()))}"
        model = transformers.AutoModelForCausalLM.from_pretrained(base)
        plain = {"r": 4, "lora_alpha": 4, "target_modules": "all-linear", "lora_dropout": 0.1}
        with torch.random.fork_rng():
            torch.manual_seed(n)
            tuned = peft.get_peft_model(
                model, peft.LoraConfig(task_type="CAUSAL_LM", **plain | settings)
            )
            for name, weights in tuned.named_parameters():
                if "lora_" in name:
                    torch.nn.init.normal_(weights, std=0.5)
        tuned.save_pretrained(folder)
        return Adapter(f"version-{n}", f"user-{n}", folder)

    return made


@pytest.fixture(scope="module")
def five(make: Make) -> list[Adapter]:
    """Adapters of two ranks, of some layers alone, and of a scale with a root."""
    return [
        make(0),
        make(1),
        make(2, r=8, lora_alpha=16),
        make(3, target_modules=["q_proj", "v_proj"]),
        make(4, use_rslora=True),
    ]


def by_peft(base: Path, adapter: Adapter | None, messages: list[dict[str, str]]) -> str:
    """Answer as peft does by itself: one adapter, one prompt."""
    peft: Any = import_module("peft")
    transformers: Any = import_module("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    if adapter is not None:
        model = peft.PeftModel.from_pretrained(model, adapter.folder).eval()
    ids = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, enable_thinking=False, return_tensors="pt"
    )["input_ids"]
    out = model.generate(input_ids=ids, do_sample=False, max_new_tokens=NEW)
    return str(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))


def texts(outcomes: Sequence[Outcome]) -> list[str]:
    assert all(isinstance(outcome, Answer) for outcome in outcomes)
    return [outcome.text for outcome in outcomes if isinstance(outcome, Answer)]


QUESTIONS = ("Hi.", "Write to Ann about the boat, " * 6)


def test_a_mixed_batch_answers_as_each_adapter_by_itself(base: Path, five: list[Adapter]) -> None:
    asked = [(adapter, ask(text)) for text in QUESTIONS for adapter in (*five, None)]
    wanted = [by_peft(base, adapter, messages) for adapter, messages in asked]
    assert len(set(wanted)) == len(wanted)  # no two are alike, so that a mix-up shows
    model = AdapterLM(base, max_new_tokens=NEW, batch_size=len(asked))
    assert texts(model.complete_as(asked)) == wanted
    assert [texts(model.complete_as([one]))[0] for one in asked] == wanted
    assert model.held.adapters == model.held.loads == 5
    # Fewer places than adapters: they take turns, also in the places of each other.
    for places in (1, 2):
        model = AdapterLM(base, max_new_tokens=NEW, batch_size=4, max_adapters=places)
        assert texts(model.complete_as(asked)) == wanted
        assert texts(model.complete_as(asked[::-1])) == wanted[::-1]
        assert model.held.adapters == places


def test_without_an_adapter_it_is_the_base(base: Path, five: list[Adapter]) -> None:
    plain = CausalLM(base, max_new_tokens=NEW)
    model = AdapterLM(base, max_new_tokens=NEW)
    model.complete_as([(adapter, ask("Hi.")) for adapter in five])
    asked = [ask(text) for text in QUESTIONS]
    assert model.complete_many(asked) == plain.complete_many(asked)
    assert model.complete(asked[0]) == plain.complete(asked[0])
    wanted = plain.likelihoods(asked[0], ["yes", "no"])
    assert model.likelihoods(asked[0], ["yes", "no"]).tolist() == wanted.tolist()


def test_threads_never_get_the_answer_of_another_adapter(base: Path, five: list[Adapter]) -> None:
    model = AdapterLM(base, max_new_tokens=NEW, max_adapters=2)
    single = [texts(model.complete_as([(adapter, ask("Hi."))]))[0] for adapter in five]

    def work(n: int) -> list[str]:
        return [texts(model.complete_as([(five[n], ask("Hi."))]))[0] for _ in range(4)]

    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(work, range(5)))
    assert found == [[answer] * 4 for answer in single]


def test_an_answer_that_fails_leaves_no_adapter_behind(
    base: Path, five: list[Adapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers: Any = import_module("transformers")
    model = AdapterLM(base, max_new_tokens=NEW)
    wanted = model.complete(ask("Hi."))
    whole = texts(model.complete_as([(five[0], ask("Hi."))]))
    forward = transformers.Qwen3ForCausalLM.forward

    def broken(self: object, *args: object, **kwargs: object) -> object:
        forward(self, *args, **kwargs)
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(transformers.Qwen3ForCausalLM, "forward", broken)
        with pytest.raises(RuntimeError, match="out of memory"):
            model.complete_as([(five[1], ask("Hi."))])
    assert model.complete(ask("Hi.")) == wanted
    assert texts(model.complete_as([(five[0], ask("Hi."))])) == whole


def test_the_one_not_used_for_the_longest_time_leaves(base: Path, make: Make) -> None:
    a, b, c = (make(n) for n in range(3))
    model = AdapterLM(base, max_new_tokens=2, max_adapters=2)

    def loads(*adapters: Adapter) -> int:
        model.complete_as([(adapter, ask("Hi.")) for adapter in adapters])
        return model.held.loads

    assert [loads(a), loads(b), loads(a), loads(c)] == [1, 2, 2, 3]  # b left
    assert loads(a, c) == 3
    assert loads(b) == 4  # a left
    assert loads(c, b) == 4
    assert model.drop("user-9") == 0
    assert model.drop("user-1") == 1
    assert model.held.adapters == 1
    assert loads(b) == 5


def test_an_adapter_can_be_in_memory_before_it_is_asked_for(
    base: Path, five: list[Adapter], tmp_path: Path
) -> None:
    model = AdapterLM(base, max_new_tokens=NEW, max_adapters=1)
    for adapter in (five[0], five[1], five[1]):
        model.prepare(adapter)
    assert (model.held.adapters, model.held.loads) == (1, 2)
    assert texts(model.complete_as([(five[1], ask("Hi."))])) == [by_peft(base, five[1], ask("Hi."))]
    assert model.held.loads == 2
    with pytest.raises(AdapterError, match="r=0"):
        model.prepare(broken(five[0], tmp_path, r=0))


def test_memory_is_bounded_in_bytes(base: Path, make: Make) -> None:
    a, b, large = make(0), make(1), make(2, r=8, lora_alpha=8)
    size = (a.folder / WEIGHTS).stat().st_size  # float32, as on the CPU, and a header
    model = AdapterLM(base, max_new_tokens=2, max_bytes=2 * size - 1)
    model.complete_as([(a, ask("Hi.")), (b, ask("Hi."))])
    assert model.held.adapters == 2
    model = AdapterLM(base, max_new_tokens=2, max_bytes=int(1.5 * size))
    answer, refused, other = model.complete_as(
        [(a, ask("Hi.")), (large, ask("Hi.")), (b, ask("Hi."))]
    )
    assert isinstance(answer, Answer)
    assert isinstance(other, Answer)
    assert isinstance(refused, AdapterError)
    assert "max_bytes" in str(refused)
    assert model.held.adapters == 1
    assert 0.8 * size < model.held.bytes <= size


def broken(adapter: Adapter, tmp_path: Path, **config: object) -> Adapter:
    """Copy an adapter to break it."""
    folder = shutil.copytree(adapter.folder, tmp_path / "broken")
    path = folder / CONFIG
    settings: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(settings | config), encoding="utf-8")
    return Adapter("broken", "mallory", folder)


def refusal(base: Path, adapter: Adapter, good: Adapter) -> str:
    """Give why an adapter is refused; another one in the same batch is not."""
    model = AdapterLM(base, max_new_tokens=2)
    refused, answer = model.complete_as([(adapter, ask("Hi.")), (good, ask("Hi."))])
    assert isinstance(answer, Answer)
    assert isinstance(refused, AdapterError)
    assert model.held.adapters == 1
    return str(refused)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"peft_type": "IA3"}, "none of LoRA"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"r": 0}, "r=0"),
        ({"r": 8}, "takes matrices"),
        ({"lora_alpha": "1"}, "lora_alpha='1'"),
        ({"lora_alpha": float("nan")}, "lora_alpha=nan"),
    ],
)
def test_what_is_no_plain_lora_is_refused(
    base: Path, five: list[Adapter], tmp_path: Path, config: dict[str, object], why: str
) -> None:
    assert why in refusal(base, broken(five[0], tmp_path, **config), five[1])


def test_damaged_files_are_refused(base: Path, five: list[Adapter], tmp_path: Path) -> None:
    torch: Any = import_module("torch")
    safetensors: Any = import_module("safetensors.torch")
    adapter = broken(five[0], tmp_path)
    path = adapter.folder / WEIGHTS
    whole = safetensors.load_file(path)
    key = sorted(whole)[0]
    for content, why in (
        ({}, "is empty"),
        ({**whole, "base_model.model.lm_head.weight": torch.zeros(2)}, "lm_head"),
        ({name: t for name, t in whole.items() if name != key}, "only one matrix"),
        ({**whole, key: whole[key] * float("nan")}, "no number"),
        ({**whole, key: torch.zeros_like(whole[key], dtype=torch.int32)}, "no number"),
        ({**whole, key: whole[key][:2].contiguous()}, "takes matrices"),
        ({name.replace("layers.1.", "layers.9."): t for name, t in whole.items()}, "layers.9"),
    ):
        safetensors.save_file(content, path)
        assert why in refusal(base, adapter, five[1])
    path.write_bytes(path.read_bytes()[:200])
    assert "cannot be read" in refusal(base, adapter, five[1])
    path.unlink()
    told = refusal(base, adapter, five[1])
    assert "cannot be read" in told
    assert str(adapter.folder) not in told
    (adapter.folder / CONFIG).write_text("[", encoding="utf-8")
    assert "cannot be read" in refusal(base, adapter, five[1])


def test_weights_of_a_pickle_are_not_read(base: Path, five: list[Adapter], tmp_path: Path) -> None:
    torch: Any = import_module("torch")
    adapter = broken(five[0], tmp_path)
    torch.save({}, adapter.folder / "adapter_model.bin")
    (adapter.folder / WEIGHTS).unlink()
    assert "cannot be read" in refusal(base, adapter, five[1])


def test_a_check_is_asked_before_the_files_are_read(base: Path, five: list[Adapter]) -> None:
    def check() -> None:
        raise AdapterError("another base")

    checked = Adapter("checked", "carol", five[0].folder, check)
    assert refusal(base, checked, five[1]) == "another base"


def test_messages_that_are_too_long_stop_no_other(base: Path, five: list[Adapter]) -> None:
    model = AdapterLM(base, max_new_tokens=2)
    long, short = model.complete_as([(five[0], ask("a b c " * 2000)), (five[0], ask("Hi."))])
    assert isinstance(long, InputError)
    assert isinstance(short, Answer)
    assert not short.whole


def test_whether_an_answer_ended_is_told(trained: Path) -> None:
    whole = AdapterLM(trained, max_new_tokens=100).complete_as([(None, ask("Hi."))])
    cut = AdapterLM(trained, max_new_tokens=1).complete_as([(None, ask("Hi."))])
    assert whole == [Answer(RULE, whole=True)]
    assert [answer.whole for answer in cut if isinstance(answer, Answer)] == [False]


def test_nothing_asked_needs_no_model() -> None:
    model = AdapterLM("no such/model/")
    assert model.complete_as([]) == []
    assert model.drop("a") == 0
    assert model.held.adapters == 0


def test_there_is_room_for_one_at_least() -> None:
    with pytest.raises(ConfigError, match="max_adapters=0"):
        AdapterLM("a", max_adapters=0)


def test_peft_is_needed(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r'pip install "prefmem\[local\]"'):
        AdapterLM(base).complete_as([(None, ask("Hi."))])
