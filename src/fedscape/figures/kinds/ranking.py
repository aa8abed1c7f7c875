"""The order of methods under two or more circumstances, such as two starts: each a line from rank to rank.

Frames: `runs` (tables/runs.csv) and, for the last fifth of them, `rounds`. A method's rank is that of its
mean over seeds, 1 for the best. The bar beside it, with the method's marker, is its 95 % interval, by the
percentile bootstrap over seeds, which is too narrow for few of them; bars stand in lanes, the best method's
next to the lines. Beside a name stands the mean. Between two circumstances Kendall's tau says how far the
orders agree: 1 for the same.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from fedscape.fields import Choose, Circumstance, Result, ResultRounds
from fedscape.figures.axes import fit_labels
from fedscape.figures.labels import axis_label
from fedscape.figures.looks import value_looks
from fedscape.figures.panels import panel_grid
from fedscape.figures.results import Values, best_points, by_keys, names_of, of_rounds, rows_of
from fedscape.figures.style import Look
from fedscape.tables.comparison import best_of, ordered_agreement
from fedscape.tables.estimate import Estimate, comparable_means, estimate, ranked

ROW, MARGIN = 0.19, 0.95  # inches: of a method; above and below all of them
BETWEEN, LETTER, AXIS = 1.8, 0.066, 0.6  # inches: between two circumstances; of a letter; left of all
LANE, LANES, GAP = 0.05, 0.5, 0.07  # between two bars, of all at most, before the first; 1: BETWEEN

NAMES = 0.1  # before the names; 1: BETWEEN
LEAST_FREE = 0.4  # of a panel, for lines and bars

CAPTION = (
    "A method's rank by its mean over seeds, 1 for the best, with the 95 % bootstrap interval of the "
    "rank; Kendall's tau says how far two orders agree."
)
SOURCES = ("table",)  # what a study file may draw it from
BESIDE = ("rounds",)


@dataclass(frozen=True)
class Settings:
    """Ranked by what, under which circumstances."""

    column: Result = "test_accuracy"  # of the global model; the lowest loss is best
    rounds: ResultRounds = "last"  # which of them; of the last fifth the mean
    between: Circumstance = "init"  # from left to right, as in `where`
    panels: Circumstance | None = None  # a panel per value of this column
    # of a method with a grid, only the point with the best mean of this over seeds; null: all points
    choose: Choose = None
    # pairs of methods whose means are this close or closer, under either circumstance, do not count for tau
    tie: float = 0.0
    fewest: int = 1  # pairs that must be left for a tau

    def __post_init__(self):
        if not 0 <= self.tie < math.inf:
            raise ValueError(f"tie must be >= 0 and finite, got {self.tie}")
        if self.fewest < 1:
            raise ValueError(f"fewest must be >= 1, got {self.fewest}")
        if self.column == "best_test_accuracy" and self.rounds != "last":
            raise ValueError("rounds must be last with column best_test_accuracy, which is of one round")


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError for missing columns, and for runs that look alike."""
    runs = rows_of(frames, settings.column, None, settings.choose, settings.rounds)
    runs = best_points(runs, settings.choose)
    names = names_of(runs, labels)
    runs = runs.assign(
        panel=names[settings.panels] if settings.panels else "",
        at=names[settings.between],
        item=names["method"],
    )
    values = by_keys(runs, settings.column, ["panel", "at", "item"])
    titles, stops = (list(dict.fromkeys(runs[key])) for key in ("panel", "at"))
    items = list(dict.fromkeys(runs["item"]))
    letters = max(map(len, items)) + 8  # a name and its mean
    values_at = {
        title: [[values.get((title, stop, item), {}) for item in items] for stop in stops] for title in titles
    }
    best = best_of(settings.column)
    ranks_at = {
        title: [dict(zip(items, ranked(column, best), strict=True)) for column in columns]
        for title, columns in values_at.items()
    }
    lanes = max(len(_with_bars(ranks)) for panel_ranks in ranks_at.values() for ranks in panel_ranks)
    gutter = GAP + min(LANES, LANE * lanes) if lanes else 0.0
    width = BETWEEN * (max(1, len(stops) - 1) + 2 * gutter) + 2 * letters * LETTER + AXIS
    vertical = of_rounds("rank (bars: 95 %)" if lanes else "rank", settings.rounds)
    size = (width, ROW * len(items) + MARGIN)
    figure, panels = panel_grid(
        titles if len(titles) > 1 else [""], size, axis_label(settings.between), vertical, False, per_row=2
    )
    styles = value_looks(runs, "method", labels)
    for axes, title in zip(panels, titles, strict=True):
        ranks = ranks_at[title]
        axes.hlines(
            range(1, len(items) + 1),
            -gutter,
            len(stops) - 1 + gutter,
            colors="0.88",
            linewidth=0.6,
            zorder=0.5,
        )
        _draw_lines(axes, ranks, styles)
        for stop in range(len(stops)):
            side = -1 if stop == 0 and len(stops) > 1 else 1
            _draw_bars(axes, stop, side, ranks[stop], styles)
            if stop in (0, len(stops) - 1):
                means = dict(zip(items, map(estimate, values_at[title][stop]), strict=True))
                _draw_names(axes, stop + side * gutter, side, ranks[stop], means, settings.column)
        _name_axes(axes, stops, len(items), gutter + letters * LETTER / BETWEEN)
        agreement = _agreement(values_at[title], settings)
        axes.set_title(", ".join(filter(None, [axes.get_title(), agreement])))
    fit_labels(figure)
    for axes in panels:
        _make_room(axes, len(stops) - 1, gutter)
    return figure


def _draw_lines(axes: Axes, ranks: Sequence[Mapping[str, Estimate]], styles: Mapping) -> None:
    """Ranks, joined from left to right."""
    for item, look in styles.items():
        estimates = [(stop, rank_of[item]) for stop, rank_of in enumerate(ranks)]
        points = [(stop, rank.mean) for stop, rank in estimates if rank.mean is not None]
        axes.plot(
            [stop for stop, _ in points], [mean for _, mean in points], color=look.colour,
            linestyle=look.line, marker=look.marker, markerfacecolor="white", linewidth=1.3,
        )  # fmt: skip


def _with_bars(ranks: Mapping[str, Estimate]) -> list[str]:
    """The items whose rank other seeds would change, the best first."""
    items = [item for item, rank in ranks.items() if (rank.low or 0) < (rank.high or 0)]
    return sorted(items, key=lambda item: ranks[item].mean or 0)


def _draw_bars(
    axes: Axes, stop: int, side: int, ranks: Mapping[str, Estimate], styles: Mapping[str, Look]
) -> None:
    """Intervals of the ranks under one circumstance, side by side, away from the lines."""
    items = _with_bars(ranks)
    step = min(LANE, LANES / max(1, len(items)))
    for lane, item in enumerate(items):
        look, rank = styles[item], ranks[item]
        at = stop + side * (GAP + lane * step)
        ends = [rank.low or 0, rank.high or 0]
        axes.plot([at, at], ends, color=look.colour, linewidth=1.1, solid_capstyle="butt")
        axes.plot(at, rank.mean or 0, color=look.colour, marker=look.marker, markersize=3, linestyle="none")


def _draw_names(
    axes: Axes,
    at: float,
    side: int,
    ranks: Mapping[str, Estimate],
    means: Mapping[str, Estimate],
    column: str,
) -> None:
    """Names with their means beside one end, the best on top; items without a rank last."""

    def by_rank(item: str) -> tuple:
        return (ranks[item].mean is None, ranks[item].mean or 0)

    percent = column.endswith("accuracy")
    for row, item in enumerate(sorted(ranks, key=by_rank), start=1):
        mean = means[item].mean
        number = means[item].note if mean is None else f"{100 * mean:.1f}" if percent else f"{mean:.3g}"
        text = f"{item}  {number}" if side < 0 else f"{number}  {item}"
        axes.text(at + NAMES * side, row, text, ha="right" if side < 0 else "left", va="center", fontsize=7.5)


def _name_axes(axes: Axes, stops: Sequence[str], items: int, outside: float) -> None:
    """Limits and ticks. outside: what bars and names take beside the first and the last circumstance."""
    room = outside + 2 * NAMES
    axes.set_xlim(-room, len(stops) - 1 + room)
    axes.set_xticks(range(len(stops)), stops)
    axes.set_ylim(items + 0.7, 0.3)  # the best on top
    axes.set_yticks(range(1, items + 1, 1 + items // 12))


def _make_room(axes: Axes, last: int, gutter: float) -> None:
    """Limits with as much room for the names as they take; in a narrow panel they stand on the left alone.

    last: position of the last circumstance.
    """
    right = [text for text in axes.texts if text.get_horizontalalignment() == "left"]
    left = [text for text in axes.texts if text.get_horizontalalignment() == "right"]
    if left and _free(axes, left, right) < LEAST_FREE:
        for text in right:
            text.set_text(text.get_text().split("  ")[0])
    inside = last + 2 * (gutter + 2 * NAMES)
    total = inside / max(0.1, _free(axes, left, right))
    before, after = (_widest(axes, texts) * total + gutter + 2 * NAMES for texts in (left, right))
    axes.set_xlim(-before, last + after)


def _free(axes: Axes, left: Sequence[Text], right: Sequence[Text]) -> float:
    """The share of a panel's width that names leave."""
    return 1 - _widest(axes, left) - _widest(axes, right)


def _widest(axes: Axes, texts: Sequence[Text]) -> float:
    """The width of the longest text, as a share of the panel's."""
    return max((text.get_window_extent().width for text in texts), default=0.0) / axes.bbox.width


def _agreement(values: Sequence[Sequence[Values]], settings: Settings) -> str:
    """How far two orders agree about the methods that have a mean in both.

    values: of each circumstance, by seed of each method.
    """
    if len(values) != 2:
        return ""
    pairs = [pair for pair in zip(*map(comparable_means, values), strict=True) if None not in pair]
    first, second = np.array(pairs, dtype=float).reshape(-1, 2).T
    tau = ordered_agreement(first, second, settings.tie, settings.fewest)
    if not np.isfinite(tau):
        return ""
    percent = settings.column.endswith("accuracy")
    tie = f"{100 * settings.tie:g} points" if percent else f"{settings.tie:g}"
    apart = f" (pairs more than {tie} apart)" if settings.tie else ""
    return f"Kendall's τ = {tau:z.2f}{apart}"
