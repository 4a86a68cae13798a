"""An agent in this process: two users' trained adapters on a tiny Qwen3."""

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from prefmem import PreferenceMemory
from prefmem.agent.generate import LocalAgent, Usage
from prefmem.agent.lesson import Lesson, Task
from prefmem.agent.prompts import rules_asked, written
from prefmem.agent.recipe import Recipe
from prefmem.agent.registry import Registry
from prefmem.agent.train import train
from prefmem.agent.version import MANIFEST, WEIGHTS, Version
from prefmem.errors import AdapterError, ConfigError, InputError, WeightsError
from prefmem.types import UserKey

# peft asks a model of transformers for what transformers has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")

ANN, BOB, EVE = UserKey("ann"), UserKey("bob"), UserKey("eve")
TASKS = (Task("- the boat is sold", "mail", "Ada"), Task("- rain on Friday", "note"))
RULES = {ANN: ("Use no emoji.", "Sign off with Best, Ann."), BOB: ("Write in lower case.",)}
BASE_RULE = "Be brief."
QUICK = Recipe(
    rank=8, rate=1e-2, steps=20, batch=2, at_once=2, dropout=0.0, patience=0, packing=False
)
Dialogue = tuple[list[dict[str, str]], str]


@pytest.fixture(scope="module")
def base(
    train_qwen3: Callable[[Path, Sequence[Dialogue]], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A base that answers each task with one rule, also behind examples."""
    folder = tmp_path_factory.mktemp("base")
    train_qwen3(
        folder,
        [
            *((rules_asked(task), written([BASE_RULE])) for task in TASKS),
            *(  # an adapter this small moves between answers that the base has given
                ([{"role": "system", "content": answer}, rules_asked(task)[1]], answer)
                for task in TASKS
                for answer in (*map(written, RULES.values()), "- Use lists.")
            ),
            (shown(TASKS[1], TASKS[0], ("No lists.",)), "- No lists."),
            (shown(TASKS[1], TASKS[0], ("Be kind.",)), "- Be kind."),
        ],
    )
    return folder


def shown(task: Task, example: Task, rules: tuple[str, ...]) -> list[dict[str, str]]:
    """What a model is asked with one example before it."""
    system, user = rules_asked(task)
    return [system, rules_asked(example)[1], {"role": "assistant", "content": written(rules)}, user]


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry's home with an adapter of Ann and one of Bob."""
    home = tmp_path_factory.mktemp("home")
    for user, rules in RULES.items():
        lessons = [Lesson(task, rules) for task in TASKS]
        train(base, lessons, registry=Registry(home), user=user, recipe=QUICK)
    return home


@pytest.fixture
def registry(trained: Path, tmp_path: Path) -> Registry:
    """A copy of the registry to change."""
    return Registry(shutil.copytree(trained, tmp_path / "home"))


def test_each_user_is_answered_by_their_own_adapter(registry: Registry) -> None:
    agent = LocalAgent(registry, max_new_tokens=60)
    for task in TASKS:
        for user, rules in RULES.items():
            assert agent.rules(task, user=user) == rules
    mixed = [(user, task) for task in TASKS for user in (BOB, EVE, ANN)]
    assert agent.rules_many(mixed) == [RULES.get(user, ()) for user, _ in mixed]
    used = agent.usage
    assert (used.answered, used.empty, used.refused, used.strangers) == (8, 0, 0, 2)
    assert used.held.adapters == used.held.loads == 2
    assert agent.rules_many([]) == []


def test_a_request_in_words_is_a_task(registry: Registry) -> None:
    task = TASKS[1]
    assert task.kind == "note"
    agent = LocalAgent(registry, max_new_tokens=60)
    asked = agent.rules("Write a note.", user=ANN, context=task.intent)
    assert asked == agent.rules(Task(f"Write a note.\n{task.intent}", "note"), user=ANN)


def test_an_answer_without_a_rule_is_counted(registry: Registry) -> None:
    agent = LocalAgent(registry, max_new_tokens=1)
    assert agent.rules(TASKS[0], user=ANN) == ()
    assert (agent.usage.answered, agent.usage.empty) == (1, 1)


def test_a_stranger_needs_no_model(tmp_path: Path) -> None:
    agent = LocalAgent(Registry(tmp_path), base="no such/model")
    assert agent.rules("Write a mail.", user=EVE) == ()
    assert agent.rules_many([(EVE, TASKS[0]), (ANN, TASKS[1])]) == [(), ()]
    assert agent.version(EVE) == ""
    assert agent.forget_user(EVE) == 0
    assert agent.usage.strangers == 3


def test_users_who_ask_at_once_never_get_each_others_rules(registry: Registry) -> None:
    for places in (1, 2):  # with one, they take it from each other
        agent = LocalAgent(registry, max_adapters=places, max_new_tokens=60)
        barrier = Barrier(4, timeout=60)

        def ask(n: int, agent: LocalAgent = agent, barrier: Barrier = barrier) -> list[bool]:
            user = (ANN, BOB, EVE)[n % 3]
            found: list[bool] = []
            for turn in range(5):
                barrier.wait()
                rules = agent.rules(TASKS[turn % 2], user=user)
                found.append(rules == RULES.get(user, ()))
            return found

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(ask, range(4))) == [[True] * 5] * 4
        assert agent.usage.answered == 15
        assert agent.usage.held.adapters == places


def test_users_of_one_name_in_two_tenants_are_two(registry: Registry) -> None:
    other = UserKey("ann", "another host")
    agent = LocalAgent(registry, max_new_tokens=60)
    assert agent.rules_many([(ANN, TASKS[0]), (other, TASKS[0])]) == [RULES[ANN], ()]


def test_who_is_forgotten_is_written_for_no_more(registry: Registry) -> None:
    agent = LocalAgent(registry, max_new_tokens=60)
    agent.rules_many([(ANN, TASKS[0]), (BOB, TASKS[0])])
    assert agent.forget_user(ANN) == 1
    assert agent.usage.held.adapters == 1
    assert not registry.folder(ANN).exists()
    assert agent.version(ANN) == ""
    assert agent.rules_many([(ANN, TASKS[0]), (BOB, TASKS[0])]) == [(), RULES[BOB]]
    assert agent.forget_user(ANN) == 0


def test_forgetting_while_others_ask_leaves_nothing(registry: Registry) -> None:
    agent = LocalAgent(registry, max_new_tokens=60)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(agent.rules, TASKS[n % 2], user=ANN) for n in range(6)]
        others = [pool.submit(agent.rules, TASKS[n % 2], user=BOB) for n in range(3)]
        assert agent.forget_user(ANN) == 1
        after = pool.submit(agent.rules, TASKS[0], user=ANN)
        assert after.result() == ()
        assert {task.result() for task in asked} <= {RULES[ANN], ()}
        assert {task.result() for task in others} == {RULES[BOB]}
    assert agent.usage.held.adapters <= 1
    assert agent.rules(TASKS[0], user=ANN) == ()


def test_what_was_removed_or_damaged_before_its_turn_is_not_used(registry: Registry) -> None:
    class Changing(Registry):
        """Lets something happen between the request and its turn."""

        turn: Callable[[], object] | None = None

        def current(self, user: UserKey) -> Version | None:
            found = super().current(user)
            if self.turn is not None:
                happen, self.turn = self.turn, None
                happen()
            return found

    changing = Changing(registry.home)
    agent = LocalAgent(changing, max_new_tokens=60)
    changing.turn = lambda: registry.remove(ANN)
    assert agent.rules(TASKS[0], user=ANN) == ()
    version = registry.current(BOB)
    assert version is not None
    changing.turn = lambda: (version.folder / MANIFEST).write_text("{", encoding="utf-8")
    with pytest.raises(AdapterError, match="no whole manifest"):
        agent.rules(TASKS[0], user=BOB)
    assert (agent.usage.strangers, agent.usage.refused) == (1, 1)


def test_a_new_version_and_a_rollback_answer_at_once(registry: Registry, base: Path) -> None:
    agent = LocalAgent(registry, max_new_tokens=60)
    assert agent.rules(TASKS[0], user=BOB) == RULES[BOB]
    first = agent.version(BOB)
    lessons = [Lesson(task, ("Use lists.",)) for task in TASKS]
    train(base, lessons, registry=registry, user=BOB, recipe=QUICK)
    assert agent.rules(TASKS[0], user=BOB) == ("Use lists.",)
    assert agent.version(BOB) != first
    registry.rollback(BOB)
    assert agent.version(BOB) == first
    assert agent.rules(TASKS[0], user=BOB) == RULES[BOB]


def damage(registry: Registry, user: UserKey) -> None:
    version = registry.current(user)
    assert version is not None
    path = version.folder / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_damaged_adapter_is_refused_by_name(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    damage(registry, ANN)
    agent = LocalAgent(registry, max_new_tokens=60)
    with pytest.raises(AdapterError, match="not the one that was trained"):
        agent.rules(TASKS[0], user=ANN)
    with caplog.at_level(logging.WARNING):
        found = agent.rules_many([(ANN, TASKS[0]), (BOB, TASKS[0])])
    assert found == [(), RULES[BOB]]
    assert agent.usage.refused == 2
    assert "AdapterError" in caplog.text
    assert "ann" not in caplog.text.lower()


def test_a_damaged_manifest_is_refused_by_name(registry: Registry) -> None:
    version = registry.current(ANN)
    assert version is not None
    (version.folder / MANIFEST).write_text("{", encoding="utf-8")
    agent = LocalAgent(registry, max_new_tokens=60)
    with pytest.raises(AdapterError, match="no whole manifest"):
        agent.rules(TASKS[0], user=ANN)
    with pytest.raises(AdapterError, match="no whole manifest"):
        agent.version(ANN)
    assert agent.rules(TASKS[0], user=BOB) == RULES[BOB]
    assert agent.usage.refused == 1


def test_an_adapter_of_another_base_is_refused_by_name(
    registry: Registry, base: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(base, tmp_path / "other")
    (weights,) = other.glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    agent = LocalAgent(registry, base=other, max_new_tokens=60)
    with pytest.raises(AdapterError, match="was trained on"):
        agent.rules(TASKS[0], user=ANN)


def test_a_base_that_is_gone_is_an_error_until_it_is_back(
    registry: Registry, base: Path, tmp_path: Path
) -> None:
    for user in RULES:
        version = registry.current(user)
        assert version is not None
        path = version.folder / MANIFEST
        told = json.loads(path.read_text(encoding="utf-8"))
        told["base"]["name"] = str(tmp_path / "moved")
        path.write_text(json.dumps(told), encoding="utf-8")
    agent = LocalAgent(registry, max_new_tokens=60)
    with pytest.raises(WeightsError, match="moved"):
        agent.rules(TASKS[0], user=ANN)
    with pytest.raises(WeightsError, match="moved"):
        agent.rules_many([(ANN, TASKS[0])])
    shutil.copytree(base, tmp_path / "moved")
    assert agent.rules(TASKS[0], user=ANN) == RULES[ANN]


def test_a_task_beyond_the_base_stops_no_other(registry: Registry) -> None:
    agent = LocalAgent(registry, max_new_tokens=1500)
    long = Task("ꙮ" * 2000, "mail")  # several tokens each
    with pytest.raises(InputError, match="reads 2048 tokens"):
        agent.rules(long, user=ANN)
    assert agent.rules_many([(ANN, long), (BOB, TASKS[0])]) == [(), RULES[BOB]]


def test_lessons_are_shown_to_the_base_for_who_has_no_adapter(
    registry: Registry, base: Path
) -> None:
    lessons = {
        EVE: [Lesson(TASKS[0], ("No lists.",))], ANN: [Lesson(TASKS[0], ("Be kind.",))],
    }  # fmt: skip
    agent = LocalAgent(
        registry, base=base, max_new_tokens=60, few_shot=lambda user: lessons.get(user, ())
    )
    assert agent.rules(TASKS[1], user=EVE) == ("No lists.",)
    assert agent.rules(TASKS[1], user=ANN) == RULES[ANN]  # an adapter comes first
    assert agent.rules_many([(BOB, TASKS[1]), (EVE, TASKS[1])]) == [RULES[BOB], ("No lists.",)]
    one = agent.version(EVE)
    lessons[EVE] = lessons[ANN]
    assert agent.version(EVE) not in ("", one)
    registry.remove(ANN)
    assert agent.rules(TASKS[1], user=ANN) == ("Be kind.",)


def test_a_memory_recalls_what_it_writes(
    registry: Registry, open_memory: Callable[..., PreferenceMemory]
) -> None:
    memory = open_memory(agent=LocalAgent(registry, max_new_tokens=60))
    found = {
        user: memory.recall(TASKS[0].intent, user_id=user.user_id, timeout=60)
        for user in (ANN, BOB, EVE)
    }
    written = {
        user: tuple(rule.text for rule in recall.rules if rule.source == "lora")
        for user, recall in found.items()
    }
    assert len(written[ANN]) == 2
    assert "Best, Ann" in written[ANN][1]
    assert len(written[BOB]) == 1
    assert written[EVE] == ()
    assert memory.forget_user(user_id="ann").adapters == 1
    assert registry.current(ANN) is None


def test_impossible_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pass base"):
        LocalAgent(Registry(tmp_path), few_shot=lambda user: ())
    with pytest.raises(ConfigError, match="max_adapters=0"):
        LocalAgent(Registry(tmp_path), max_adapters=0)


def test_nothing_was_done_at_the_start(tmp_path: Path) -> None:
    assert LocalAgent(Registry(tmp_path)).usage == Usage(
        0, 0, 0, 0, LocalAgent(Registry(tmp_path)).usage.held
    )
