"""What is written for readers: results/README.md explains every column that a file has."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fedscape.connectivity.barriers import Barrier
from fedscape.connectivity.identity import OTHER_END
from fedscape.curvature import hessian as curvature
from fedscape.curvature.measure import DENSITY_COLUMNS
from fedscape.data.partition import make_partition
from fedscape.data.storage import Inputs, Raw, write_dataset
from fedscape.drift.distances import Movement
from fedscape.federated.records import rounds_row, timing_row
from fedscape.landscape import distances, markers, plane, surface
from fedscape.models.evaluate import Evaluation
from fedscape.tables import table
from fedscape.tables.claims import CSV_COLUMNS
from fedscape.tables.collect import run_rows
from fedscape.tables.columns import IDENTITY, KEYS, MEASURES
from fedscape.tables.costs import make_costs

EXPLAINED = Path(__file__).resolve().parents[2] / "results" / "README.md"
ROUNDS = [*KEYS["rounds"], *MEASURES["rounds"]]


def costs_columns(folder):
    make_costs(study="s", scale="smoke", timings=[], made=[], benchmarks=folder, out=folder / "costs.csv")
    return pd.read_csv(folder / "costs.csv").columns


def partition_columns(folder):
    images = Inputs.of(np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2))
    raw = Raw(("a", "b"), images, np.arange(2), images, np.arange(2))
    write_dataset(folder / "data", "d", "d", raw)
    make_partition(
        dataset_folder=folder / "data", scheme="iid", clients=1, settings={}, seed=0, partition_seed=0,
        images=None, test_images=None, validation=0.0, identity={"partition": "p"},
        npz=folder / "p.npz", csv=folder / "p.csv",
    )  # fmt: skip
    return pd.read_csv(folder / "p.csv").columns


def names(dataclass):
    return [field.name for field in fields(dataclass)]


COLUMNS = {
    **{f"{table}.csv": lambda _, table=table: [*KEYS[table], *MEASURES[table]] for table in KEYS},
    "rows of rounds.csv": lambda _: rounds_row({}, 0),
    "runs.csv": lambda _: run_rows(pd.DataFrame(columns=ROUNDS)).columns,
    "timing.csv": lambda _: timing_row({}, 0, 0.0, 0.0, torch.device("cpu")),
    "costs.csv": costs_columns,
    "claims.csv": lambda _: CSV_COLUMNS,
    "a table of the paper": lambda _: table.CSV_COLUMNS,
    "markers.csv": lambda _: (*plane.MODEL, *markers.MEASURES, *distances.DISTANCES, *plane.ABOUT_PLANE),
    "surface.csv": lambda _: surface.COLUMNS,
    "path.csv": lambda _: ["t", "split", *names(Evaluation), *(f"to_{name}" for name in OTHER_END)],
    "rows of barriers.csv": lambda _: names(Barrier),
    "density.csv": lambda _: (*curvature.KEYS, *DENSITY_COLUMNS),
    "rows of drift.csv": lambda _: names(Movement),
    "a partition's CSV": partition_columns,
}


@pytest.mark.parametrize("file", COLUMNS)
def test_every_column_is_explained(tmp_path, file):
    _, _, text = EXPLAINED.read_text().partition("## Columns")
    cells = re.findall(r"^\|([^|]+)\|", text, re.MULTILINE)
    explained = {*IDENTITY, *(name for cell in cells for name in re.findall("`([^`]+)`", cell))}
    columns = list(COLUMNS[file](tmp_path))
    assert columns
    assert [name for name in columns if name not in explained] == []


def test_every_table_begins_as_it_is_explained():
    text = " ".join(EXPLAINED.read_text().split())
    assert f"begins with `{', '.join(IDENTITY)}`" in text
    assert f"`claims.csv`: with `{', '.join(CSV_COLUMNS[:3])}`" in text
    assert f"a table of the paper: with `{', '.join(table.CSV_COLUMNS[:4])}`" in text
