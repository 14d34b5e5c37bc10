"""The ratios of a run as a picture: a dot per case and peer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cases import CELLS, Group
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator
from peers import PEERS
from results import Result

# Colours that the colour-blind can tell apart (Okabe and Ito), and shapes for the rest.
STYLES = {
    "torch": ("#D55E00", "o"),
    "onnxruntime": ("#0072B2", "s"),
    "openvino": ("#009E73", "^"),
    "jax": ("#CC79A7", "D"),
}
SHADE = "#F3E3E3"
TICKS = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
LEFT, RIGHT = 0.2, 200  # dots beyond lie on the edge
ROW, HEAD = 0.19, 0.55  # inches: a case, what stands around a panel


def draw(groups: Sequence[Group], results: Sequence[Result], path: Path) -> None:
    """Write the picture as a PNG file."""
    panels = [panel for group in groups for panel in _panels(group, results)]
    if not panels:
        return
    cells = [cell for cell in CELLS if any(r.case.cell == cell for r in results)]
    heights = [len(sizes) + 0.5 for _, sizes, _ in panels]
    height = sum(heights) * ROW + len(panels) * HEAD + 0.5
    figure = Figure(figsize=(2.4 + 3.1 * len(cells), height), dpi=110)
    axes = figure.subplots(
        len(panels),
        len(cells),
        sharex=True,
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
    )
    for row, (title, sizes, members) in zip(axes, panels, strict=True):
        for axis, cell in zip(row, cells, strict=True):
            own = [r for r in members if r.case.cell == cell]
            _panel(axis, sizes, own, axis is row[0])
            axis.set_title(cell.upper(), loc="right", fontsize=9, color="#555555")
        row[0].set_title(title, loc="left", fontsize=10, fontweight="bold")
        row[0].annotate(
            "T, N, I, H",
            (0, 1),
            (-4, 5),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            fontsize=7.5,
            color="#555555",
        )
    for axis in axes[-1]:
        axis.set_xlabel("time of the peer / time of rnnext", fontsize=8)
    _legend(figure, results)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.4 / height))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _panels(
    group: Group, results: Sequence[Result]
) -> list[tuple[str, list[str], list[Result]]]:
    """The group by kind of work: title, sizes from top to bottom, results."""
    panels = []
    works = list(dict.fromkeys(case.work for case in group.cases))
    for work in works:
        members = [r for r in results if r.case in group.cases and r.case.work == work]
        title = group.title if len(works) == 1 else f"{group.title}, {work}"
        sizes = list(dict.fromkeys(r.case.size for r in members))
        if sizes:
            panels.append((title, sizes, members))
    return panels


def _panel(
    axis: Any, sizes: Sequence[str], results: Sequence[Result], labels: bool
) -> None:
    axis.set_xscale("log")
    axis.set_xlim(LEFT * 0.9, RIGHT * 1.1)
    axis.set_xticks(TICKS, [f"{x:g}" for x in TICKS])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.axvspan(LEFT * 0.9, 1, color=SHADE, zorder=0, linewidth=0)
    axis.axvline(1, color="#888888", linewidth=0.8, zorder=1)
    for result in results:
        y = sizes.index(result.case.size)
        ratios = {k: min(max(v, LEFT), RIGHT) for k, v in result.ratios().items()}
        if ratios:
            ends = min(ratios.values()), max(ratios.values())
            axis.plot(ends, (y, y), color="#CCCCCC", linewidth=1, zorder=1)
        axis.plot(result.case.least_ratio, y, "|", color="black", markersize=8)
        for name, ratio in ratios.items():
            color, marker = STYLES[name]
            axis.plot(ratio, y, marker, color=color, markersize=4.5, zorder=3)
    axis.set_ylim(len(sizes) - 0.5, -0.5)
    axis.set_yticks(range(len(sizes)), sizes if labels else [""] * len(sizes))
    axis.tick_params(axis="y", length=0, labelsize=7.5)
    axis.tick_params(axis="x", labelsize=7.5, labelbottom=True)
    axis.grid(axis="x", which="major", color="#DDDDDD", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _legend(figure: Any, results: Sequence[Result]) -> None:
    found = {name for r in results for name in r.ratios()}
    handles: list[Any] = [
        Line2D(
            [], [], color=color, marker=marker, linestyle="", label=PEERS[name].title
        )
        for name, (color, marker) in STYLES.items()
        if name in found
    ]
    target = Line2D([], [], color="black", marker="|", linestyle="", markersize=9)
    target.set_label("target for the leftmost dot")
    shade = Patch(color=SHADE, label="here the peer is faster")
    figure.legend(
        handles=[*handles, target, shade],
        loc="upper center",
        ncols=len(handles) + 2,
        frameon=False,
        fontsize=8.5,
    )
