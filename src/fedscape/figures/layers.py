"""What figures of layer-wise barriers share: which rows, in which panels, under which words."""

from collections.abc import Mapping, Sequence

import pandas as pd

from fedscape.errors import FedscapeError
from fedscape.figures.labels import NAMES_OF_PAIR, groups_over_seeds, pair_names, panel_titles, value_word

# Regimes whose rows stand at a layer's depth; the others are counted by how many layers are averaged.
AT_DEPTH = ("single", "direction", "shallow", "deep")
THINNED = 44  # layers whose names all stand on an axis; of more, every second, third, ...


def chosen(
    layers: pd.DataFrame, measure: str, split: str, alignment: Sequence[str] | None, regimes: Sequence[str]
) -> pd.DataFrame:
    """Rows of layers.csv with a regime of these, and those of the full average beside them.

    alignment: None: all with which these were measured. Raises FedscapeError for what was not measured.
    """
    for column, wanted in (
        ("measure", [measure]), ("split", [split]), ("alignment", alignment or []), ("regime", regimes)
    ):  # fmt: skip
        there = layers[column].astype(str).unique().tolist()
        for value in wanted:
            if value not in there:
                raise FedscapeError(f"no rows with {column} {value}; there are {', '.join(there) or 'none'}")
    layers = layers[(layers["measure"] == measure) & (layers["split"] == split)]
    # With some alignments there is the full average alone.
    measured = layers.loc[layers["regime"].isin(regimes), "alignment"].unique()
    kept = [one for one in measured if alignment is None or one in alignment]
    if not kept:
        raise FedscapeError(f"no rows of {', '.join(regimes)} with alignment {', '.join(alignment or [])}")
    return layers[layers["alignment"].isin(kept) & layers["regime"].isin([*regimes, "full"])]


def panelled(layers: pd.DataFrame, labels: Sequence[Mapping]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows with their `panel`, and the panels' titles: of what their pairs of models share.

    Pairs are in one panel if they differ in their seeds or clients alone, and in the same group of the study.
    """
    layers = layers.reset_index(drop=True)
    group = groups_over_seeds(layers)
    keys = layers[[*NAMES_OF_PAIR, "alignment"]].astype(str)
    layers = layers.assign(group=group, panel=group.str.cat(keys, sep="|"))
    titles = panel_titles(layers.assign(seed=0), "group", labels)
    pairs = pair_names(layers, ["group"], labels)
    several = keys.groupby(group)[NAMES_OF_PAIR].nunique().gt(1).any(axis=None)
    words = {}
    for panel, rows in layers.groupby("panel", sort=False):
        first = rows.iloc[0]
        told = [titles[first["group"]]]
        told += [pairs[rows.index[0]]] if several else []
        told += [value_word(first["alignment"], "alignment")] if layers["alignment"].nunique() > 1 else []
        words[panel] = ", ".join(filter(None, told))
    return layers, words


def with_steps(rows: pd.DataFrame, regime: str, by_depth: bool) -> pd.DataFrame:
    """The rows of one regime with `step`: the depth of the layer (added last), or how many are averaged."""
    rows = rows[rows["regime"] == regime]
    return rows.assign(step=rows["depth"] if by_depth else rows["averaged"])


def step_names(rows: pd.DataFrame) -> dict[int, str]:
    """What a step is called: its layer; the number of layers, where several orders have different ones there.

    rows: as `with_steps` gives them.
    """
    names = {int(step): rows.loc[rows["step"] == step, "layer"] for step in sorted(rows["step"].unique())}
    return {step: str(own.iloc[0]) if own.nunique() == 1 else str(step) for step, own in names.items()}


def thinned(count: int, most: int = THINNED) -> slice:
    """Which of so many places along an axis are named."""
    return slice(None, None, -(-count // most))
