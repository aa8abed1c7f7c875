"""The house style: one look for all figures, told apart without colour, the same bytes every time."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axis import Axis
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import AbstractPathEffect, Normal, Stroke
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter
from matplotlib.typing import LineStyleType

from fedscape.files import atomic

DOTS_PER_INCH = 200
METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "fedscape"},
    "pdf": {"CreationDate": None, "Creator": "fedscape", "Producer": None},
}
"""What a file of each ending says about itself."""

RC: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "figure.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "grid.color": "0.88",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.handlelength": 4,  # long enough to tell a dashed line from a dotted one
    "savefig.dpi": DOTS_PER_INCH,
    "savefig.facecolor": "white",
    "text.parse_math": False,  # a `$` in a label is a dollar
    "svg.hashsalt": "fedscape",  # without it, the identifiers in an SVG are random
}

# Okabe and Ito's colours for colour-blind readers, without their yellow, which white paper swallows, and with
# brown for their black, which IID clients have.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5D3A1A")
BLACK = "#000000"
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[LineStyleType, ...] = (
    *("-", (0, (5, 1.5)), (0, (1, 1.2))),
    *((0, (6, 1.5, 1, 1.5)), (0, (3, 1)), (0, (6, 1, 1, 1, 1, 1))),
)

# Round numbers within a decade, from fine to coarse, each evenly spread on a logarithmic axis.
STEPS = ((1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8), (1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3))

HALO = (Stroke(linewidth=2.5, foreground="white"), Normal())  # keeps text readable on a filled surface


@dataclass(frozen=True)
class Look:
    """How one series is drawn (`figures/looks.py` says which look a name has)."""

    colour: str
    marker: str
    line: LineStyleType


def graded_looks(names: Iterable[str], apart: str) -> dict[str, Look]:
    """A look per series of many that are ordered: from dark to light in their order; grey tells few of them
    apart, so markers and dashes differ, too.

    apart: how names of series outside this order end; these are black and dashed.
    """
    ordered = [name for name in dict.fromkeys(names) if not name.endswith(apart)]
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(ordered)))
    graded = {
        name: Look(to_hex(colour), MARKERS[i % len(MARKERS)], LINES[i % len(LINES)])
        for i, (name, colour) in enumerate(zip(ordered, colours, strict=True))
    }
    return {name: graded.get(name, Look(BLACK, "", LINES[1])) for name in dict.fromkeys(names)}


def halo_line(width: float) -> list[AbstractPathEffect]:
    """A white rim around a line of `width` points, so that it shows on dark and on light ground."""
    return [Stroke(linewidth=width + 1.6, foreground="white"), Normal()]


def scale_ends(norm: Normalize) -> tuple[float, float]:
    """The lowest and the highest value of a scale; raises ValueError for a scale without them."""
    if norm.vmin is None or norm.vmax is None:
        raise ValueError("a scale without ends")
    return norm.vmin, norm.vmax


def log_steps(low: float, high: float, most: int) -> np.ndarray:
    """Round numbers between `low` and `high` (> 0), evenly spread over their decades, roughly at most `most`.

    They are the finest of STEPS that fits, else powers of ten, or every second, third, ... of these.
    """
    decades = np.log10(high / low)
    powers = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    factors = next((numbers for numbers in STEPS if decades * len(numbers) <= most), (1,))
    stride = max(1, int(np.ceil(decades / most)))
    steps = np.outer(10.0 ** powers[powers % stride == 0], factors).ravel()
    return steps[(steps >= low) & (steps <= high)]


def plain_log_ticks(axis: Axis, most: int) -> None:
    """About `most` ticks on a logarithmic axis, as plain numbers (0.02, not 2 x 10^-2); set limits first."""
    low, high = sorted(axis.get_view_interval())
    steps = log_steps(low, high, most)
    # Between two powers of ten there may be one step or none, but such an axis is nearly linear.
    axis.set_major_locator(FixedLocator(steps.tolist()) if len(steps) > 1 else MaxNLocator(min(most, 4)))
    axis.set_minor_locator(FixedLocator(log_steps(low, high, 12).tolist()))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def series_handle(name: str, look: Look, line: bool = True, marker: bool = True) -> Line2D:
    """A series in a legend; without `line`, its marker alone, and the other way round."""
    return Line2D(
        [], [], color=look.colour, linestyle=look.line if line else "none",
        marker=look.marker if marker else "none", markerfacecolor="white", label=name,
    )  # fmt: skip


def save(figure: Figure, *paths: Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the paths' endings: no clock, no random names, whole files."""
    for path in paths:
        ending = path.suffix.removeprefix(".").lower()
        with atomic(path) as temporary:
            figure.savefig(temporary, format=ending, metadata=METADATA[ending])
