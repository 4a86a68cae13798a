"""Pictures: every agent against every user as a heat map, and loss over steps."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from prefmem.errors import MissingExtraError
from prefmem.evaluate.agent.permutation import Permutation

_DARK = 0.55  # score from which a number stands in white


def check() -> None:
    """Say that pictures can be drawn.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError('plots need matplotlib: pip install "prefmem[plots]"')


def heat_map(found: Permutation, path: Path) -> None:
    """Draw the matrix: a row for each agent, a column for each user, the score in each cell.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = _figure(1.3 * len(found.names) + 2.2, 1.05 * len(found.names) + 1.8)
    axes = figure.subplots()
    image = axes.imshow(found.matrix, cmap="Blues", vmin=0, vmax=1)
    places = range(len(found.names))
    axes.set_xticks(places, found.names)
    axes.set_yticks(places, found.names)
    axes.set(xlabel="markers of", ylabel="rules by the agent of")
    axes.set_title(
        f"Marker score of rules on held-out intents\ndiagonal less the rest {found.gap.value:.2f} "
        f"[{found.gap.low:.2f}, {found.gap.high:.2f}], p = {found.p:.4f}",
        fontsize=10,
    )
    for row, scores in enumerate(found.matrix):
        for column, score in enumerate(scores):
            axes.text(
                column, row, f"{score:.2f}", ha="center", va="center", fontsize=9,
                color="white" if score > _DARK else "black",
                fontweight="bold" if row == column else "normal",
            )  # fmt: skip
    figure.colorbar(image, ax=axes, fraction=0.046)
    _save(figure, path)


def loss_curves(
    curves: Mapping[str, Sequence[tuple[float, float]]], path: Path, *, title: str
) -> None:
    """Draw held-out loss over steps, a line for each name.

    Args:
        curves: Points of step and loss.
        path: Where the picture goes.
        title: What stands above.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = _figure(7.0, 4.2)
    axes = figure.subplots()
    for name, points in curves.items():
        style = "--" if name.startswith("naive") else "-"
        axes.plot([s for s, _ in points], [loss for _, loss in points], style, label=name)
    axes.set(xlabel="step", ylabel="loss on held-out intents", title=title)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def _figure(width: float, height: float) -> Any:  # noqa: ANN401  # matplotlib's own types are not needed to run
    check()
    return import_module("matplotlib.figure").Figure(
        figsize=(width, height), dpi=120, layout="constrained"
    )


def _save(figure: Any, path: Path) -> None:  # noqa: ANN401  # as above
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", metadata={"Software": None})
