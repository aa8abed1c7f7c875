"""Results of runs for figures: the runs that count, their names, and their values by seed or over seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from fedscape.columns.identity import IDENTITY
from fedscape.errors import FedscapeError
from fedscape.figures.labels import texts, value_names
from fedscape.tables.cases import DIVERGED
from fedscape.tables.comparison import best_grid_points
from fedscape.tables.course import ends
from fedscape.tables.read import run_paths

Values = dict[int, float | str]  # by seed; a word where a number is missing


def rows_of(
    frames: Mapping[str, pd.DataFrame],
    column: str,
    rows: Mapping | None,
    choose: str | None,
    rounds: str = "last",
) -> pd.DataFrame:
    """The rows of a table with these values (column -> value or list), with `diverged` filled in.

    frames: the table and, for the last fifth of runs, `rounds` after it. rounds: what `column` and `choose`
    of runs are of: the `last` round, or on average the `last-fifth`.
    Raises FedscapeError for a column that is missing, or has no finite value in these rows.
    """
    name, table = next(iter(frames.items()))
    check_columns(table, (column, choose, *(rows or {})), name)
    if rounds != "last":
        if name != "runs":
            raise FedscapeError(f"rounds {rounds}: of table runs, and this is {name}")
        table = with_ends(frames, [column, *([choose] if choose else [])], rounds)
    for key, value in (rows or {}).items():
        table = table[table[key].astype(str).isin(texts(value))]
    check_numbers(table, column, name)
    if not table[column].astype(float).map(math.isfinite).any():
        raise FedscapeError(f"column {column} of {name}: no finite value in the rows drawn")
    return table.assign(diverged=table.get("diverged", False))


def of_rounds(words: str, rounds: str) -> str:
    """The words for a column, with the rounds that it is of."""
    return words if rounds == "last" else f"{words},\nmean of the last fifth"


def with_ends(frames: Mapping[str, pd.DataFrame], columns: Sequence[str], rounds: str) -> pd.DataFrame:
    """Runs with columns as they are in the `last` round, or on average over the `last-fifth` of `rounds`."""
    if rounds == "last":
        return frames["runs"]
    check_columns(frames["rounds"], columns, "rounds")
    of_runs = {name: frames[name].assign(run=run_paths(frames[name])) for name in ("runs", "rounds")}
    return frames["runs"].assign(**{column: ends(of_runs, column, rounds)[column] for column in columns})


def check_columns(table: pd.DataFrame, columns: Iterable[str | None], name: str) -> None:
    """Refuse a table that lacks one of these columns, None aside. name: of the table, to read."""
    for column in filter(None, columns):
        if column not in table:
            raise FedscapeError(f"{name} has no column {column}; it has {', '.join(table.columns)}")


def check_numbers(table: pd.DataFrame, column: str, name: str) -> None:
    """Refuse a column of words, such as `method`, where numbers are drawn. name: of the table."""
    values = table[column].dropna()
    words = values[pd.to_numeric(values, errors="coerce").isna()]
    if len(words):
        raise FedscapeError(f"column {column} of {name} holds words ({words.iloc[0]}), and numbers are drawn")


def along(runs: pd.DataFrame, name: str) -> tuple[pd.Series, bool]:
    """The value of each run along an axis, and whether it is a number.

    name: an identifying column, or a setting that methods try out in a grid, such as local_epochs.
    Raises FedscapeError where a run has neither.
    """
    if name in IDENTITY:
        return runs[name].astype("string"), False
    grids = runs["grid"] if "grid" in runs else pd.Series(pd.NA, index=runs.index)
    points = [dict(part.split("=", 1) for part in text.split(";")) for text in grids.fillna("=").astype(str)]
    values = pd.Series([point.get(name) for point in points], index=runs.index, dtype="string")
    if values.isna().any():
        known = sorted({key for point in points for key in point if key})
        method = runs.loc[values.isna(), "method"].iloc[0]
        raise FedscapeError(
            f"along {name}: method {method} has no such setting in a grid; "
            f"allowed: {', '.join([*IDENTITY[2:-1], *known])}"
        )
    numbers = pd.to_numeric(values, errors="coerce")
    return (values, False) if numbers.isna().any() else (numbers, True)


def names_of(runs: pd.DataFrame, labels: Sequence[Mapping]) -> dict[str, pd.Series]:
    """The names of each run's data set, model, partition, start and method in a figure."""
    return {key: value_names(runs, key, labels) for key in IDENTITY[2:-1]}


def best_points(runs: pd.DataFrame, choose: str | None, within: Sequence[str] = ()) -> pd.DataFrame:
    """Of each grid the runs of its best point only; all runs where `choose` is None."""
    return best_grid_points(runs, choose, within) if choose else runs


def over_seeds(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean, min and max of a column over the seeds of one run or pair, by round, columns of these names.

    Of the rounds in which all seeds have a value, as have all clients that took part, in each round others.
    """
    seeds = [name for name in ("seed", "to_seed") if name in rows]
    values = rows[column].astype(float).replace([math.inf, -math.inf], math.nan)
    by_seed = values.groupby([rows["round"], *(rows[name] for name in seeds)], dropna=False)
    table = {
        name: by_seed.agg(name, skipna=False).unstack(seeds).agg(name, axis=1, skipna=False)
        for name in ("mean", "min", "max")
    }
    return pd.DataFrame(table).dropna()


def by_keys(runs: pd.DataFrame, column: str, keys: Sequence[str]) -> dict[tuple, Values]:
    """Values by seed for each combination of keys, in the order of the rows.

    Raises FedscapeError where two runs of a seed agree in all keys: their mean is rarely meant.
    """
    values_of: dict[tuple, Values] = {}
    for row in runs.to_dict("records"):
        values = values_of.setdefault(tuple(row[key] for key in keys), {})
        if row["seed"] in values:
            raise FedscapeError(
                f"several runs of one seed (method {row['method']}, partition {row['partition']}, init "
                f"{row['init']}, dataset {row['dataset']}); narrow `where`, or name what tells them apart"
            )
        if str(row["diverged"]).lower() == "true":
            values[row["seed"]] = DIVERGED
        elif math.isfinite(float(row[column])):
            values[row["seed"]] = float(row[column])
    return values_of
