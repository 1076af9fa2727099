"""What all figures share: colours, markers and hatches that can be told apart, text sizes, the caption, saving.

Series differ in colour and in marker, dash or hatch, so that they survive grey print. The colours were chosen for the
largest difference between any two as seen with each kind of colour blindness; a test holds them to it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unite_bench.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Doubles = npt.NDArray[np.float64]
COLOURS = ("#332288", "#D55E00", "#009E73", "#33BBEE", "#CC79A7", "#CCBB44", "#000000", "#AA4499")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = (
    "-",
    (0, (5, 1.5)),
    (0, (1.5, 1.2)),
    (0, (6, 1.5, 1.5, 1.5)),
    (0, (9, 2)),
    (0, (3, 3)),
    (0, (6, 1, 1, 1, 1, 1)),
    "-",
)
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "", "++++")
GREY = "#666666"
WIDTH = 6.8  # inches: the text width of a page, so that points are points in print
SMALL = 7.0  # points: the smallest text
LETTERS_A_LINE = 128  # of the caption
DOTS = 200  # an inch, of a PNG
SUFFIXES = (".pdf", ".png")
PARAMETERS: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that pictures are the same everywhere
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "text.hinting": "none",  # letters are as wide in a PNG as in a PDF, and the layout fits both
    "text.parse_math": False,  # names of tasks and embedders are text, dollar signs included
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 5.0,
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,  # TrueType: text in the PDF stays text
}


@dataclass(frozen=True)
class Look:
    """How one series is drawn."""

    colour: str
    marker: str
    dash: Any
    hatch: str


def looks(names: Sequence[str], what: str = "series") -> list[Look]:
    """One look for each series. Raises UsageError for more than can be told apart."""
    if len(names) > len(COLOURS):
        raise UsageError(f"{len(names)} {what} in one figure; at most {len(COLOURS)} can be told apart, so choose some")
    return [Look(*parts) for parts in zip(COLOURS, MARKERS, DASHES, HATCHES, strict=True)][: len(names)]


@contextmanager
def drawing(height: float, caption: str) -> Iterator[Figure]:
    """A figure of page width to draw in, `height` inches without its caption, which stands below it (if not empty).

    Raises UsageError if matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("figures need matplotlib: pip install 'unite-bench[plot]'") from error
    with rc_context(PARAMETERS):
        figure = Figure(figsize=(WIDTH, height), dpi=DOTS, layout="constrained")
        yield captioned(figure, caption)


def captioned(figure: Figure, caption: str) -> Figure:
    """The same figure with this caption below it, in place of the one it had; none if empty. The height follows."""
    before = figure.get_supxlabel().splitlines()
    lines = textwrap.wrap(caption, LETTERS_A_LINE, break_on_hyphens=False)
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=SMALL, color="#222222", parse_math=False)
    figure.set_figheight(figure.get_figheight() + (len(lines) - len(before)) * SMALL * 1.3 / 72)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PDF (vectors, fonts embedded as TrueType) or a PNG; the same figure gives the same bytes.

    Raises UsageError for another suffix or a folder that cannot be written to.
    """
    from matplotlib import rc_context

    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: a figure ends in {' or '.join(SUFFIXES)}")
    metadata: dict[str, Any] = {"CreationDate": None} if path.suffix == ".pdf" else {"Software": None}
    try:
        with rc_context(PARAMETERS):
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # which would move things a little each time it runs
            figure.savefig(path, dpi=DOTS, metadata=metadata)
    except OSError as error:
        raise UsageError(f"cannot write the figure: {error}") from error


def legend_above(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    """One legend for the whole figure, above it, in as many columns as the names leave room for."""
    fitting = max(1, 112 // (max(map(len, names)) + 6))
    columns = -(-len(names) // -(-len(names) // fitting))  # lines as even as can be
    figure.legend(handles, names, loc="outside upper center", ncols=columns, frameon=False)


def percent_axis(axes: Axes, low: float, high: float) -> None:
    """The y axis in percent with a grid."""
    axes.set_ylim(low, high)
    axes.grid(axis="y")
    axes.tick_params(axis="both", length=2.5, width=0.7)


def log_axis(axes: Axes, values: Doubles) -> None:
    """A logarithmic x axis with plain numbers: the values themselves, if they are few and apart."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    axes.set_xscale("log")
    ticks = np.unique(values)
    if ticks.size <= 8 and (ticks[1:] / ticks[:-1] >= 1.3).all():
        axes.set_xticks(ticks)
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.set_xlim(ticks[0] / 1.6, ticks[-1] * 1.6)


def errors(values: Doubles, low: Doubles, high: Doubles) -> Doubles:
    """Distances from values to the ends of their intervals, (2, n); 0 where an end is not known."""
    return np.nan_to_num(np.maximum(np.stack([values - low, high - values]), 0.0))
