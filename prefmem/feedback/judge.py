"""The packaged judge of follow-ups: what the user's next turn shows about answer and rules."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from prefmem.feedback.joined import Joined, Scores
from prefmem.interaction import Followup, Judgement
from prefmem.models.embed import MiniLMEmbedder
from prefmem.models.followup import FollowupReader
from prefmem.models.onnx import WEIGHTS


class PackagedJudge:
    """Judges with the packaged small model; English first. Threads may share it.

    Its chances of restatement and rejection are calibrated on written turns with the packaged
    embedder's cosines.

    Args:
        folder: Where the weights lie.
        threads: CPU threads for one read.
    """

    def __init__(self, *, folder: Path = WEIGHTS, threads: int = 1) -> None:
        """Remember where the weights are; they load with the first follow-up."""
        self._reader = FollowupReader(folder=folder, threads=threads)
        self._embedder = MiniLMEmbedder(threads=threads)

    def judge(self, followups: Sequence[Followup]) -> tuple[Judgement, ...]:
        """Judge n follow-ups, each by itself.

        Raises:
            WeightsError: The weights are missing or damaged.
        """
        return tuple(
            self.joined.judge(Scores.of(self._reader, self._embedder, f)) for f in followups
        )

    @cached_property
    def joined(self) -> Joined:
        """How the readers are put together, and the chances from which something counts."""
        return Joined.from_manifest(self._reader.manifest)
