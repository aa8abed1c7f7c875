"""What is written for readers: results/README.md explains every column that a file has, and links lead somewhere."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fedscape.columns.column import described
from fedscape.columns.kinds import COLUMNS, FILES
from fedscape.columns.page import meanings, with_columns
from fedscape.columns.planes import ABOUT_PLANE
from fedscape.columns.shared import IDENTITY, TO_RUN
from fedscape.connectivity.barriers import Barrier
from fedscape.connectivity.path import RISE_SE
from fedscape.data.partition import make_partition
from fedscape.data.storage import Inputs, Raw, write_dataset
from fedscape.drift.drift import Movement
from fedscape.evaluation.evaluate import Evaluation
from fedscape.federated.records import rounds_row, timing_row
from fedscape.landscape.bottom import Bottom
from fedscape.tables.collect import run_rows
from fedscape.tables.costs import make_costs

ROOT = Path(__file__).resolve().parents[3]
EXPLAINED = ROOT / "results" / "README.md"
PAGES = [
    *ROOT.glob("*.md"),
    *(page for page in ROOT.glob("*/*.md") if page.parent.name[0] != "."),
    *ROOT.glob("docs/examples/**/README.md"),
]


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


# What stages call what they compute, where they do not take it from `columns`.
COMPUTED = {
    "rounds": lambda _: rounds_row({}, 0),
    "runs": lambda _: run_rows(pd.DataFrame(columns=FILES["rounds"].columns)).columns,
    "timing": lambda _: timing_row({}, 0, 0.0, 0.0, torch.device("cpu")),
    "costs": costs_columns,
    "path": lambda _: ["split", "t", *names(Evaluation), *RISE_SE.values(), "batch_norm"],
    "barriers": lambda _: ["split", "measure", *names(Barrier), "sup_se", "midpoint_se"],
    "drift": lambda _: names(Movement),
    "partitions": partition_columns,
}
IDENTIFYING = {*IDENTITY, *TO_RUN, "plane", "connectivity", "drift", "group", "round"}


@pytest.mark.parametrize("kind", COMPUTED)
def test_every_column_that_a_stage_computes_is_known(tmp_path, kind):
    computed, known = list(COMPUTED[kind](tmp_path)), FILES[kind].columns
    computed = [name for name in computed if name not in IDENTIFYING]
    assert [name for name in known if name not in IDENTIFYING] == computed


def test_the_bottom_of_a_basin_has_a_column_for_all_that_is_said_of_it():
    assert [f"bottom_{name}" for name in names(Bottom)] == [
        one for one in ABOUT_PLANE if one.startswith("bottom_")
    ]


def test_every_column_has_a_type_and_is_explained():
    explained = {name for rows in meanings().values() for names in rows for name in names}
    assert explained == {*COLUMNS} == {name for file in FILES.values() for name in file.types}


def test_a_name_has_one_type_in_all_families():
    families = {family for file in FILES.values() for family in file.families}
    for name, column in COLUMNS.items():
        assert {described(family).get(name, column) for family in families} == {column}, name


def test_the_explained_columns_are_current():
    text = EXPLAINED.read_text()
    assert with_columns(text) == text, "run `make reference`"


def test_every_table_begins_as_it_is_explained():
    text = " ".join(EXPLAINED.read_text().split())
    assert f"begins with `{', '.join(IDENTITY)}`" in text
    assert f"`claims.csv` and what belongs to it: with `{', '.join(FILES['claims'].keys)}`" in text
    assert f"a table of the paper: with `{', '.join(FILES['table'].keys)}`" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_link_leads_to_a_file_and_a_test_that_is_named_is_there(page):
    text = page.read_text(encoding="utf-8")
    linked = {one.partition("#")[0] for one in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in one}
    assert not [one for one in linked if one and not (page.parent / one).exists()]
    named = set(re.findall(r"`(tests/[\w/*]+\.py)`", text))
    assert not [one for one in named if not list(ROOT.glob(one))]


def test_the_readme_leads_to_what_is_promised_and_to_security():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(docs/reliability.md)" in text and "(SECURITY.md)" in text
