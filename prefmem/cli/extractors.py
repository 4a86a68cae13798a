"""Extractors by the names that people type, as values that worker processes can be given."""

import hashlib
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import prefmem
from prefmem import defaults
from prefmem.config import Config
from prefmem.errors import ConfigError, WeightsError
from prefmem.extract.prompts import PromptName
from prefmem.models.onnx import WEIGHTS
from prefmem.protocols import Extractor

_WEB = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class ExtractorName:
    """An extractor that is yet to be made; calling it makes it.

    Attributes:
        name: `local` for the packaged one, `qwen3` for the published model, the folder of a causal
            language model, or the http address of an OpenAI-compatible endpoint.
        prompt: What a model is asked; `training` for Qwen3 and folders and `instructed` for
            endpoints unless given.
        model: Name of the model behind an endpoint.
        api_key: Of an endpoint.
        revision: Of the published model: commit, tag or branch.
        device: Where a model runs, as torch names it.
    """

    name: str = "local"
    prompt: PromptName | None = None
    model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    revision: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no name.

        Raises:
            ConfigError: It is neither a known name, nor a folder, nor an address.
        """
        if self.causal and self.name != "qwen3" and not Path(self.name).is_dir():
            raise ConfigError(
                f"extractor {self.name!r} is unknown; pass local, qwen3, the folder of a model, or "
                "the http address of an endpoint"
            )

    @property
    def packaged(self) -> bool:
        """Whether it is the packaged one, which runs on one core."""
        return self.name == "local"

    @property
    def remote(self) -> bool:
        """Whether it is an endpoint."""
        return self.name.startswith(_WEB)

    @property
    def causal(self) -> bool:
        """Whether it is a causal language model that runs here."""
        return not (self.packaged or self.remote)

    def __call__(self) -> Extractor:
        """Make the extractor; weights load with the first window.

        Raises:
            ConfigError: The address of an endpoint cannot be used.
        """
        if self.packaged:
            return defaults.extractor(Config())
        if self.remote:
            from prefmem.extract.chat import ChatExtractor
            from prefmem.models.endpoint import OpenAIChat

            chat = OpenAIChat(self.name, model=self.model, api_key=self.api_key)
            return defaults.verified(
                ChatExtractor(chat, prompt=self.prompt or "instructed"), Config()
            )
        from prefmem.extract.qwen3 import PUBLISHED, Qwen3Extractor

        model = PUBLISHED if self.name == "qwen3" else Path(self.name)
        qwen3 = Qwen3Extractor(
            model, prompt=self.prompt or "training", device=self.device, revision=self.revision
        )
        return defaults.verified(qwen3, Config())

    def identity(self) -> dict[str, str]:
        """Name what its answers depend on: the extractor, its weights, the gate, and our version.

        A model on a hub is named by its revision, an endpoint by its address and model, as their
        weights are out of sight.

        Raises:
            WeightsError: The weights cannot be read.
        """
        named = {
            "prefmem": prefmem.__version__, "extractor": self.name, "prompt": self.prompt,
            "model": self.model, "revision": self.revision, "device": self.device,
        }  # fmt: skip
        try:
            named["gate"] = _digest([WEIGHTS / "tagger.json"])
            if self.causal and self.name != "qwen3":
                named["weights"] = _digest(
                    sorted(p for p in Path(self.name).iterdir() if p.is_file())
                )
        except OSError as error:
            raise WeightsError(f"cannot read the weights of {self.name!r}: {error}") from error
        return {name: value for name, value in named.items() if value is not None}


def has_gpu() -> bool:
    """Whether torch is installed and finds a GPU."""
    return find_spec("torch") is not None and bool(import_module("torch").cuda.is_available())


def _digest(paths: list[Path]) -> str:
    """Hash files with their names, in the given order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            of_file = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name} {of_file}\n".encode())
    return digest.hexdigest()
