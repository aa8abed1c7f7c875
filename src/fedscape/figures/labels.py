"""Words in figures: what a run is called beside others, what a panel shows, what an axis measures."""

from collections.abc import Sequence

import pandas as pd

from fedscape.tables.columns import IDENTITY

# Axis labels of the columns whose name alone does not say enough; other columns are spelled with spaces.
AXES = {
    "train_loss": "loss (training set)",
    "train_accuracy": "training accuracy (%)",
    "validation_accuracy": "validation accuracy (%)",
    "test_accuracy": "test accuracy (%)",
    "client_loss": "clients' loss during training",
    "step_norm": "L2 distance from the round before",
    "distance_start": "L2 distance from the start",
    "distance_end": "L2 distance from the end",
    "mean_update_norm": "mean L2 length of client updates",
    "mean_cosine": "mean cosine between client updates",
    "minimum_cosine": "smallest cosine between client updates",
    "eigenvalue": "eigenvalue of the Hessian",
}


def axis_label(column: str) -> str:
    """What an axis of this column says."""
    return AXES.get(column, column.replace("_", " "))


def differing(
    frame: pd.DataFrame, columns: Sequence[str] = IDENTITY, within: Sequence[str] = ()
) -> list[str]:
    """The columns that take several values: in all rows or, with `within`, in a group by these columns."""
    present = [column for column in columns if column in frame and column not in within]
    if not within:
        return [column for column in present if frame[column].nunique() > 1]
    return [column for column in present if (frame.groupby(list(within))[column].nunique() > 1).any()]


def run_labels(
    frame: pd.DataFrame, columns: Sequence[str] = IDENTITY, within: Sequence[str] = ()
) -> pd.Series:
    """A short name for the run of each row: the values of the identity columns that tell the runs apart.

    Rows of one run alone are named by their partition. within: columns that a panel's title tells already.
    """
    return _joined(frame, differing(frame, columns, within) or ["partition"])


def panel_titles(frame: pd.DataFrame, panel: str) -> dict[object, str]:
    """A title per value of the column `panel`, such as a group: the names its rows share and others have not.

    One panel has no title. The order is that of the rows.
    """
    values = list(dict.fromkeys(frame[panel]))
    if len(values) == 1:
        return {values[0]: ""}
    inside = differing(frame, within=[panel])
    telling = [column for column in differing(frame) if column not in inside]
    first = frame.drop_duplicates(panel).set_index(panel, drop=False)
    titles = dict(_joined(first, telling)) if telling else {}
    if len(set(titles.values())) < len(values):
        return {value: str(value) for value in values}
    return {value: titles[value] for value in values}


def pair_labels(frame: pd.DataFrame, within: Sequence[str] = ()) -> tuple[pd.Series, pd.Series]:
    """Short names for both ends of the pair in each row, from the columns in which any two ends differ."""
    first = frame[[*IDENTITY, *within]]
    second = first.assign(
        **{c: frame[f"to_{c}"].astype(str) for c in IDENTITY if f"to_{c}" in frame},
    )
    both = pd.concat([first.astype(str), second.astype(str)], keys=["from", "to"])
    names = run_labels(both, within=within)
    return names["from"], names["to"]


def _joined(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    words = [
        frame[column].astype(str).radd("seed ") if column == "seed" else frame[column].astype(str)
        for column in columns
    ]
    label = words[0]
    for word in words[1:]:
        label = label + ", " + word
    return label
