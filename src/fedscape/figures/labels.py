"""Words in figures: what a run is called beside others, what a panel shows, what an axis measures."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import pandas as pd

from fedscape.columns.connectivity import TO_RUN
from fedscape.columns.identity import IDENTITY, NAMES
from fedscape.tables.comparison import method_of

NO_BREAK = "\N{NO-BREAK SPACE}"
"""A space at which `balanced` begins no line."""
SAMPLES = {"train": "training samples", "test": "test samples"}
NAMES_OF_PAIR = [*NAMES, *(column for column in TO_RUN if column != "to_seed")]

# Axis labels of columns whose name does not say enough; other names are spelled with spaces.
AXES = {
    "train_loss": "loss (training set)",
    "train_accuracy": "training accuracy (%)",
    "validation_loss": "loss (validation set)",
    "validation_accuracy": "validation accuracy (%)",
    "test_loss": "loss (test set)",
    "test_accuracy": "test accuracy (%)",
    "best_test_accuracy": "best test accuracy (%)",
    "client_loss": "clients' loss during training",
    "step_norm": "L2 distance from the round before",
    "distance_start": "L2 distance from the start",
    "distance_end": "L2 distance from the end",
    "distance_to_reference": "L2 distance from the reference run",
    "mean_update_norm": "mean L2 length of client updates",
    "gradient_diversity": "gradient diversity of client updates",
    "inverse_gradient_diversity": "1 / gradient diversity of client updates",
    "mean_cosine": "mean cosine between client updates",
    "minimum_cosine": "smallest cosine between client updates",
    "eigenvalue": "eigenvalue of the Hessian",
    "trace": "trace of the Hessian",
    "layer-trace": "trace of the Hessian's block of the layer",
    "worst": "highest rise of the loss in a ball (nats)",
    "average": "mean rise of the loss under noise (nats)",
    "adaptive-worst": "highest rise of the loss, adaptive (nats)",
    "adaptive-average": "mean rise of the loss under relative noise (nats)",
    "rays": "radius of the basin (lengths of filters)",
    "H_N": "difference of the norms of clients' Hessians (H_N)",
    "H_D": "cosine between clients' Hessians (H_D)",
    "l2": "L2 distance between the models",
    "cosine": "cosine between the models' weights",
    "l2_from_start": "first model's L2 distance from its start",
    "l2_to_start": "second model's L2 distance from its start",
    "cosine_from_start": "cosine between the first model and its start",
    "cosine_to_start": "cosine between the second model and its start",
    "init": "start",
    "dataset": "data set",
    "lr": "clients' learning rate",
    "server.lr": "server's learning rate",
    "local_epochs": "local epochs in a round",
    "participation": "share of the clients in a round",
}
WHOLE = "all layers"
BARRIERS = ("barrier", "ratio", "value", "from_value", "to_value")  # columns of layers.csv
# Words for values that a column has in a CSV; other values are their own words.
_WORDS = {
    "split": SAMPLES,
    "layer": {"nan": WHOLE, "<NA>": WHOLE},
    "alignment": {
        "none": "not aligned", "repair": "repaired", "weights": "aligned",
        "weights-repair": "aligned and repaired",
    },
    "regime": {
        "full": WHOLE, "single": "single layers", "direction": "single layers, random direction",
        "shallow": "shallow cumulation", "deep": "deep cumulation", "random": "random cumulation",
        "middle-out": "middle-out cumulation", "outside-in": "outside-in cumulation",
    },
    "rest": {"from": "rest: first model", "to": "rest: second model"},
    "of": {"client": "clients' models", "mean": "their mean", "global": "global model"},
    "data": {"own": "own samples", "global": "all samples"},
}  # fmt: skip


def axis_label(column: str) -> str:
    """The label of an axis that shows a column."""
    return AXES.get(column, column.replace("_", " "))


def barrier_label(column: str, measure: str, split: str | None = None) -> str:
    """The label of an axis that shows one of BARRIERS. measure: loss, or error, which is in percent."""
    percent = "percentage\N{NO-BREAK SPACE}points" if column == "barrier" else "%"
    unit = {"loss": "nats", "error": percent}[measure]
    words = {
        "barrier": f"barrier of the {measure} ({unit})",
        "ratio": f"barrier of the {measure} / mean of both models",
        "value": f"{measure} of the averaged model ({unit})",
        "from_value": f"{measure} of the first model ({unit})",
        "to_value": f"{measure} of the second model ({unit})",
    }[column]
    # No-break spaces: a line that is too long breaks before this.
    samples = f"on {SAMPLES[split]}".replace(" ", "\N{NO-BREAK SPACE}") if split else ""
    return f"{words} {samples}".rstrip()


def loss_or_error_label(measure: str, split: str) -> str:
    """The words for an axis along which a loss or an error stands, in nats or percent, on some samples."""
    return f"{measure} ({'%, ' * (measure == 'error')}{SAMPLES[split]})"


def rise_words(rise: float, measure: str, sign: str = "") -> str:
    """A barrier in a legend, to a thousandth of a nat or a tenth of a percentage point.

    sign: `+` where a positive one has it, too.
    """
    if measure == "error":
        return f"{round(100 * rise, 1):{sign}.3g} points"
    return f"{round(rise, 3):{sign}.3g}"


def value_word(value: object, column: str) -> str:
    """The words for a value of a column in a legend or a title."""
    word = f"seed {value}" if column == "seed" else str(value)
    return _WORDS.get(column, {}).get(word, word)


def balanced(text: str, letters: int) -> str:
    """A text in lines of at most `letters`: of each of its own lines as few as can be, about equally long.

    So that no line holds a single word where another one has room for it.
    """

    def lines(line: str, width: int) -> list[str]:
        return wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]

    def even(line: str) -> list[str]:
        fewest = len(lines(line, letters))
        return next(broken for width in range(1, letters + 1) if len(broken := lines(line, width)) == fewest)

    return "\n".join(broken for line in text.split("\n") for broken in even(line))


def words_of(column: str) -> list[str]:
    """The values of a column that have words of their own, in their order."""
    return list(_WORDS.get(column, {}))


def differing(
    frame: pd.DataFrame, columns: Sequence[str] = IDENTITY, within: Sequence[str] = ()
) -> list[str]:
    """The columns that take several values: in all rows or, with `within`, in a group by these columns."""
    present = [column for column in columns if column in frame and column not in within]
    if not within:
        return [column for column in present if frame[column].nunique() > 1]
    return [column for column in present if (frame.groupby(list(within))[column].nunique() > 1).any()]


def run_labels(
    frame: pd.DataFrame,
    columns: Sequence[str] = IDENTITY,
    within: Sequence[str] = (),
    labels: Sequence[Mapping] = (),
) -> pd.Series:
    """A short name for the run of each row: the study's own, or the values that tell the runs apart.

    labels: the study's `[{"label": ..., "where": {column: values}}, ...]`. They are used in each panel where
    they tell its runs apart; a run without a label keeps its automatic name: the values of the columns that
    differ. Rows of a single run are named by their partition.
    within: columns that the titles of panels show already.
    """
    automatic = _joined(frame, differing(frame, columns, within) or ["partition"])
    labelled = _label_names(frame, labels).fillna(automatic)
    panel = [frame[column] for column in within] or [pd.Series(0, index=frame.index)]
    unique = automatic.groupby([*panel, labelled]).transform("nunique") == 1
    return labelled.where(unique.groupby(panel).transform("all"), automatic)


def value_names(frame: pd.DataFrame, column: str, labels: Sequence[Mapping] = ()) -> pd.Series:
    """The name of a column's value in each row: the first label that is about this column alone.

    Without a label it is the value itself; of a point of a grid, the method's name.
    """
    column_labels = [label for label in labels if set(label["where"]) == {column}]
    values = method_of(frame[column]) if column == "method" else frame[column].astype("string")
    return _label_names(frame, column_labels).fillna(values)


def panel_titles(frame: pd.DataFrame, panel: str, labels: Sequence[Mapping] = ()) -> dict[Any, str]:
    """A title per value of the column `panel`, such as a group: names that tell it from the others.

    labels: as in `run_labels`; one that fits all runs of a panel replaces the columns that it is about.
    A single panel has no title. The order is that of the rows.
    """
    values = list(dict.fromkeys(frame[panel]))
    if len(values) == 1:
        return {values[0]: ""}
    mixed = differing(frame, within=[panel])
    columns = [column for column in differing(frame) if column not in mixed]
    rows = frame.drop_duplicates(panel).set_index(panel, drop=False)
    candidates = [{}]
    if columns:
        panel_labels = [label for label in labels if set(label["where"]) <= set(columns)]
        candidates = [{value: _title(rows.loc[value], columns, panel_labels) for value in values}]
        candidates.append(dict(_joined(rows, columns)))
    for titles in candidates:
        if len(set(titles.values())) == len(values):
            return titles
    return {value: str(value) for value in values}


def pair_labels(
    frame: pd.DataFrame, within: Sequence[str] = (), labels: Sequence[Mapping] = ()
) -> tuple[pd.Series, pd.Series]:
    """Short names for both ends of the pair in each row, from the columns in which any two ends differ.

    Seeds are not in the names: pairs that differ in nothing else are one line in a figure. An end that
    differs from the start in its seed alone is called `other seed`.
    """
    names = run_labels(ends_of_pairs(frame, within), NAMES, within, labels)
    start, end = names["from"], names["to"]
    return start, end.where(start != end, end + ", other seed")


def ends_of_pairs(frame: pd.DataFrame, within: Sequence[str] = ()) -> pd.DataFrame:
    """The runs at the ends of the pairs: first those of all `from`, then those of all `to`."""
    first = frame[[*IDENTITY, *within]].astype(str)
    second = first.assign(
        **{column: frame[f"to_{column}"].astype(str) for column in IDENTITY if f"to_{column}" in frame},
    )
    return pd.concat([first, second], keys=["from", "to"])


def pair_names(frame: pd.DataFrame, within: Sequence[str] = (), labels: Sequence[Mapping] = ()) -> pd.Series:
    """A short name for the pair in each row: both ends, or one where they differ in their seed alone."""
    start, end = pair_labels(frame, within, labels)
    alike = pd.Series(True, index=frame.index)
    for column in NAMES:
        if f"to_{column}" in frame:
            alike &= frame[column].astype(str) == frame[f"to_{column}"].astype(str)
    return start.where(alike, start + " \N{RIGHTWARDS ARROW} " + end)


def groups_over_seeds(frame: pd.DataFrame) -> pd.Series:
    """The first of the groups that differ from each row's group in their seed alone.

    Such groups have a pair of runs in common. Not all pairs: with one of the seeds, a run may have diverged.
    """
    names = [name for name in IDENTITY if name != "seed"]
    columns = [column for column in (*names, *(f"to_{name}" for name in names)) if column in frame]
    first_of_pair: dict[tuple, str] = {}
    firsts = {}
    for group, rows in frame.groupby("group", sort=False):
        members = set(rows[columns].astype(str).itertuples(index=False, name=None))
        firsts[group] = next((first_of_pair[pair] for pair in members if pair in first_of_pair), group)
        first_of_pair.update(dict.fromkeys(members, firsts[group]))
    return frame["group"].map(firsts)


def fitting_label(frame: pd.DataFrame, labels: Sequence[Mapping]) -> pd.Series:
    """The position of the first label that fits each row, or -1; none fits a `*`, which is several runs."""
    positions = pd.Series(-1, index=frame.index)
    for position, label in reversed(list(enumerate(labels))):
        fits = pd.Series(True, index=frame.index)
        for column, values in label["where"].items():
            fits &= frame[column].astype(str).isin(texts(values)) if column in frame else False
        positions[fits] = position
    return positions


def _label_names(frame: pd.DataFrame, labels: Sequence[Mapping]) -> pd.Series:
    """The first label that fits each row, else missing."""
    names = {position: label["label"] for position, label in enumerate(labels)}
    return fitting_label(frame, labels).map(names).astype("string")


def _title(row: pd.Series, columns: Sequence[str], labels: Sequence[Mapping]) -> str:
    """The values of the columns; the first label that fits replaces those that it is about."""
    label = next((label for label in labels if _label_names(row.to_frame().T, [label]).notna().all()), None)
    covered = set(label["where"]) if label else set()
    words = [value_word(row[column], column) for column in columns if column not in covered]
    return ", ".join([label["label"], *words] if label else words)


def texts(value: object) -> list[str]:
    """A value or a list of values, as the texts that cells hold."""
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]


def _joined(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    words = [frame[column].map(lambda value, column=column: value_word(value, column)) for column in columns]
    names = words[0]
    for word in words[1:]:
        names = names + ", " + word
    return names
