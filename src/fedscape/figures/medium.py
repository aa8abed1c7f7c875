"""Where a figure is looked at: on a screen, with all that keeps it honest, or in print, at a width in mm."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

import matplotlib
from matplotlib.figure import Figure
from matplotlib.text import Text

from fedscape.figures.style import RC

MM = 25.4  # in an inch
COLUMN = 85.0  # mm: a column of most journals; two of them are about 170
WIDTHS = 40.0, 400.0  # mm
LETTERS = 7.0, 9.0  # points: smallest and largest letters in print
MARKERS = 0.7  # size of markers in print, as a share of that on a screen
PRINT_RC: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.handlelength": 3,
    "legend.columnspacing": 1.2,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "savefig.dpi": 600,
    "pdf.fonttype": 42,  # letters stay letters: many publishers refuse Type 3
}


@dataclass(frozen=True)
class Style:
    """What a figure is drawn for."""

    use: Literal["screen", "print"] = "screen"
    width: float = COLUMN  # mm, in print; on a screen a figure is as wide as its panels

    def __post_init__(self):
        if not WIDTHS[0] <= self.width <= WIDTHS[1]:
            raise ValueError(f"width must be {WIDTHS[0]:g} to {WIDTHS[1]:g} mm, got {self.width:g}")

    @property
    def inches(self) -> float | None:
        """The width of a figure; None on a screen."""
        return self.width / MM if self.use == "print" else None


SCREEN = Style()


@dataclass
class Medium:
    """The style in force while a figure is drawn, and what its caption must say for it."""

    style: Style = SCREEN
    notes: list[str] = field(default_factory=list)

    @property
    def in_print(self) -> bool:
        """Whether space is scarce: words go to the caption, diagnostics to a file of their own."""
        return self.style.use == "print"

    @property
    def letter(self) -> float:
        """The size of letters, as a share of that on a screen."""
        return PRINT_RC["font.size"] / RC["font.size"] if self.in_print else 1.0

    @property
    def marker(self) -> float:
        """The size of markers, as a share of that on a screen."""
        return MARKERS if self.in_print else 1.0

    def note(self, words: str) -> None:
        """A sentence for the caption, once."""
        if words and words not in self.notes:
            self.notes.append(words)


_MEDIUM: ContextVar[Medium | None] = ContextVar("medium", default=None)


def medium() -> Medium:
    """The medium of the figure that is being drawn."""
    return _MEDIUM.get() or Medium()


@contextmanager
def house_style(style: Style) -> Iterator[Medium]:
    """A context for drawing and saving figures in a style, independent of the user's matplotlibrc."""
    drawn_for = Medium(style)
    token = _MEDIUM.set(drawn_for)
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(matplotlib.RcParams(RC))
            if style.use == "print":
                matplotlib.rcParams.update(matplotlib.RcParams(PRINT_RC))
            yield drawn_for
    finally:
        _MEDIUM.reset(token)


def legible(figure: Figure) -> Figure:
    """The figure with all letters in the sizes that print allows; on a screen as it is."""
    if medium().in_print:
        for text in figure.findobj(Text):
            if isinstance(text, Text):
                text.set_fontsize(min(max(float(text.get_fontsize()), LETTERS[0]), LETTERS[1]))
    return figure
