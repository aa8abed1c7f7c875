"""Rows, panels and words that the figures of layer-wise barriers share."""

from collections.abc import Mapping, Sequence

import pandas as pd

from fedscape.errors import FedscapeError
from fedscape.figures.labels import (
    NAMES_OF_PAIR,
    groups_over_seeds,
    pair_names,
    panel_titles,
    value_word,
)
from fedscape.figures.layer_names import layer_names
from fedscape.tables.layers import cells

# Regimes drawn over the depth of a layer; the others are drawn over the number of averaged layers.
AT_DEPTH = ("single", "direction", "shallow", "deep")
# Nats: barriers of the loss whose mean over pairs is smaller are drawn as 0. Means of some thousand losses in
# single precision are right to about a tenth of it.
FLOOR = 1e-4
FLOORED = ("barrier", "ratio")  # columns of layers.csv
MOST_NAMED = 44  # layers whose names all stand on an axis; of more, every second, third, ...


def measured_rows(
    layers: pd.DataFrame, measure: str, split: str, alignment: Sequence[str] | None, regimes: Sequence[str]
) -> pd.DataFrame:
    """The rows of layers.csv with one of the regimes, and those of the full average beside them.

    Layers have the field's names.
    alignment: None: all with which the regimes were measured. Raises FedscapeError for what was not measured.
    """
    for column, values in (
        ("measure", [measure]), ("split", [split]), ("alignment", alignment or []), ("regime", regimes)
    ):  # fmt: skip
        known = layers[column].astype(str).unique().tolist()
        for value in values:
            if value not in known:
                raise FedscapeError(f"no rows with {column} {value}; there are {', '.join(known) or 'none'}")
    layers = layers[(layers["measure"] == measure) & (layers["split"] == split)]
    # Some alignments have the full average alone.
    measured = layers.loc[layers["regime"].isin(regimes), "alignment"].unique()
    alignments = [name for name in measured if alignment is None or name in alignment]
    if not alignments:
        raise FedscapeError(f"no rows of {', '.join(regimes)} with alignment {', '.join(alignment or [])}")
    layers = layers[layers["alignment"].isin(alignments) & layers["regime"].isin([*regimes, "full"])]
    return layers.assign(layer=layer_names(layers))


def without_noise(means: pd.DataFrame, barriers: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """Means, and smallest and largest values, as 0 where the barriers are below FLOOR; whether a mean is.

    Means come first, so that those drawn are those of the CSV. means: of barriers or of their ratios, of the
    loss; columns mean, min, max. barriers: the same rows and columns, of the barriers.
    """
    noise = (barriers < FLOOR) & (barriers > -FLOOR) & (means != 0)
    return means.mask(noise, 0.0), bool(noise["mean"].any())


def drawn_cells(rows: pd.DataFrame, keys: Sequence[str], column: str) -> tuple[pd.DataFrame, bool]:
    """As `cells`, without noise; whether some means are drawn as 0. rows: of one measure."""
    table = cells(rows, keys, column)
    if column not in FLOORED or not (rows["measure"] == "loss").all():
        return table, False
    statistics = ["mean", "min", "max"]
    means, floored = without_noise(
        table[statistics].astype(float), cells(rows, keys, "barrier")[statistics].astype(float)
    )
    return pd.concat([table[list(keys)], means], axis="columns"), floored


def floor_note(floored: bool) -> str:
    """What the label of an axis says where barriers are drawn as 0, else nothing."""
    return f"\n(0: below {FLOOR:.4f} nats)" if floored else ""


def with_panels(layers: pd.DataFrame, labels: Sequence[Mapping]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows with their `panel`, and the panels' titles: what their pairs of models have in common.

    Pairs of one group that differ in their seeds or clients alone share a panel.
    """
    layers = layers.reset_index(drop=True)
    group = groups_over_seeds(layers)
    keys = layers[[*NAMES_OF_PAIR, "alignment"]].astype(str)
    layers = layers.assign(group=group, panel=group.str.cat(keys, sep="|"))
    group_titles = panel_titles(layers.assign(seed=0), "group", labels)
    pairs = pair_names(layers, ["group"], labels)
    several = keys.groupby(group)[NAMES_OF_PAIR].nunique().gt(1).any(axis=None)
    titles = {}
    for panel, rows in layers.groupby("panel", sort=False):
        first = rows.iloc[0]
        words = [group_titles[first["group"]]]
        words += [pairs[rows.index[0]]] if several else []
        words += [value_word(first["alignment"], "alignment")] if layers["alignment"].nunique() > 1 else []
        titles[panel] = ", ".join(filter(None, words))
    return layers, titles


def with_steps(rows: pd.DataFrame, regime: str, by_depth: bool) -> pd.DataFrame:
    """The rows of one regime with `step`: the depth of the layer (added last), or how many are averaged."""
    rows = rows[rows["regime"] == regime]
    return rows.assign(step=rows["depth"] if by_depth else rows["averaged"])


def step_names(rows: pd.DataFrame) -> dict[int, str]:
    """A name per step: its layer, or the step's number where orders have different layers at it.

    rows: from `with_steps`.
    """
    layers = {int(step): rows.loc[rows["step"] == step, "layer"] for step in sorted(rows["step"].unique())}
    return {step: str(names.iloc[0]) if names.nunique() == 1 else str(step) for step, names in layers.items()}


def thinned(count: int, most: int = MOST_NAMED) -> slice:
    """The ticks of an axis with `count` of them that are named: at most `most`, evenly spaced."""
    return slice(None, None, -(-count // most))
