"""Loss on the straight line between two models and on the curve that was trained around it, in one panel.

Frames: `curve` (curve.csv), `curve_barriers` (curve-barriers.csv), whose `sup` stands in the legend: the
largest rise above the chord, the line between the values at the ends, which is dotted; and `bends`
(bends.csv), which says where training lowered nothing, so that the curve is the straight line itself. A panel
for each pair of models; pairs that differ only in their seeds, or in which clients of a round they are of,
share one: means, each in a band from the smallest value to the largest. All panels have one vertical range.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedscape.errors import FedscapeError
from fedscape.fields import LossOrError, Split
from fedscape.figures.axes import fit_labels, share_range
from fedscape.figures.labels import (
    groups_over_seeds,
    loss_or_error_label,
    pair_names,
    panel_titles,
    rise_words,
)
from fedscape.figures.looks import nth_look
from fedscape.figures.medium import medium
from fedscape.figures.panels import legend_below, panel_grid
from fedscape.figures.style import series_handle

PANEL = 3.6, 3.2  # inches
LEGEND = 0.2  # of a panel's range that a legend of two lines needs above it
KEYS = ["to_seed", "round", "to_round", "client", "to_client", "form", "seed"]
"""What tells apart the pairs of a panel, and the curves between them."""
LINES = "straight", "curve"
KEPT = "the straight line itself"

CAPTION = (
    "Loss on the straight line between two models and on a curve between them, trained to avoid what lies on "
    "it; a barrier is a rise above the dotted line between the values at the two ends. Points are equally "
    "spaced in the curve's coefficient, not in its length."
)
SOURCES = ("connectivity",)  # what a study file may draw it from
CONNECTION = "curve"  # the kind that it draws


@dataclass(frozen=True)
class Settings:
    """What is shown along the lines."""

    measure: LossOrError = "loss"  # loss: mean cross-entropy; error: share of wrong answers
    split: Split = "train"  # train: the data of all clients together
    log: bool = False  # logarithmic vertical axis


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError where the split was not measured."""
    points = frames["curve"]
    points = points[points["split"] == settings.split]
    if points.empty:
        raise FedscapeError(f"no rows with split {settings.split}")
    points, titles = _with_panels(points, labels)
    sup = frames["curve_barriers"]
    sup = sup[(sup["split"] == settings.split) & (sup["measure"] == settings.measure)]
    barriers = {
        panel: _barriers(rows, sup, frames["bends"], settings)
        for panel, rows in points.groupby("panel", sort=False)
    }
    coefficient = "curve coefficient"
    if medium().in_print:  # where a panel is as narrow as a legend
        titles = {panel: f"{title}\n{', '.join(barriers[panel].values())}" for panel, title in titles.items()}
        medium().note("Numbers above panels are barriers. Coefficient 0 is the first model, 1 the second.")
    else:
        coefficient += " (0: first model, 1: second)"
    vertical = loss_or_error_label(settings.measure, settings.split)
    figure, panels = panel_grid(list(titles.values()), PANEL, coefficient, vertical)
    for axes, panel in zip(panels, titles, strict=True):
        rows = points[points["panel"] == panel]
        for number, (line, words) in enumerate(barriers[panel].items()):
            _draw_line(axes, rows[rows["line"] == line], settings.measure, number, words)
        axes.grid(True, axis="y")
    share_range(panels, points[settings.measure], settings.measure, settings.log)
    if medium().in_print:
        names = enumerate(LINES)
        legend_below(figure, [series_handle(line, nth_look(i), marker=False) for i, line in names])
    else:
        _legends_above_lines(panels)
    fit_labels(figure)
    return figure


def _legends_above_lines(panels: Sequence[Axes]) -> None:
    """A legend at the top of each panel, and room for it, since a line may rise anywhere below."""
    scale = panels[0].yaxis.get_transform()
    low, high = scale.transform(panels[0].get_ylim())
    (top,) = scale.inverted().transform([high + LEGEND * (high - low)])
    for axes in panels:
        axes.set_ylim(top=top)
        axes.legend(fontsize=8, loc="upper right")


def _barriers(
    rows: pd.DataFrame, sup: pd.DataFrame, bends: pd.DataFrame, settings: Settings
) -> dict[str, str]:
    """What is said of each line of a panel: how high its barrier is."""
    names = [column for column in rows if column in sup and column not in ("line", "split")]
    pairs = rows[names].drop_duplicates()
    heights = pairs.merge(sup, on=names).groupby("line")["sup"].mean()
    kept = pairs.merge(bends, on=[name for name in names if name in bends])["kept"]
    barrier = " " if medium().in_print else ", barrier "
    words = {line: f"{line}{barrier}{rise_words(heights[line], settings.measure)}" for line in LINES}
    return words | ({"curve": f"curve: {KEPT}"} if (kept == "straight").all() else {})


def _with_panels(points: pd.DataFrame, labels: Sequence[Mapping]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows with their `panel`, and the panels' titles: the pair, and the round where there are some."""
    points = points.reset_index(drop=True)
    group = groups_over_seeds(points)
    titles_of_groups = panel_titles(points.assign(group=group, seed=0), "group", labels)
    pairs = pair_names(points.assign(group=group), ["group"], labels)
    keys = points[["round", "to_round", "form"]].astype(str).assign(pair=pairs)
    panel = group.str.cat(keys, sep="|")
    titles = {}
    for name, rows in points.assign(panel=panel).groupby("panel", sort=False):
        first = rows.iloc[0]
        words = [titles_of_groups[group[rows.index[0]]], pairs[rows.index[0]]]
        if points["round"].nunique() > 1 or first["between"] != "runs":
            words.append(_round_words(first))
        words += [first["form"]] if points["form"].nunique() > 1 else []
        titles[str(name)] = "\n".join(filter(None, words))
    return points.assign(panel=panel), titles


def _round_words(row: pd.Series) -> str:
    if row["between"] == "rounds":
        return f"round {row['round']} \N{RIGHTWARDS ARROW} {row['to_round']}"
    return f"{'clients of ' * (row['between'] == 'clients')}round {row['round']}"


def _draw_line(axes: Axes, rows: pd.DataFrame, measure: str, number: int, name: str) -> None:
    """One line: the mean over the pairs in a band, and the chord between the values at its ends."""
    pairs = rows.pivot(index="t", columns=KEYS, values=measure).astype(float)
    t, mean = pairs.index.to_numpy(), pairs.mean(axis=1, skipna=False).to_numpy()
    look = nth_look(number)
    axes.plot(t, mean, color=look.colour, linestyle=look.line, label=name)
    if pairs.shape[1] > 1:
        axes.fill_between(t, pairs.min(axis=1), pairs.max(axis=1), color=look.colour, alpha=0.15, linewidth=0)
    if number == 0:  # the ends of both lines are the same models
        axes.plot(
            t[[0, -1]], mean[[0, -1]], color="0.4", linewidth=0.8, linestyle=":", marker="o", markersize=4
        )
