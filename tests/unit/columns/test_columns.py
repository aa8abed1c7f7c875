"""The home of columns: every column is described once, stages write what is described, wording computes nothing again."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fedscape.columns import readme
from fedscape.columns.column import File, Whole, described
from fedscape.columns.connectivity import TO_RUN, other_end
from fedscape.columns.identity import IDENTITY
from fedscape.columns.kinds import COLUMNS, FILES
from fedscape.columns.planes import ABOUT_PLANE
from fedscape.columns.readme import families, meanings
from fedscape.connectivity.barriers import Barrier
from fedscape.connectivity.path import RISE_SE
from fedscape.data.partition import make_partition
from fedscape.data.storage import Inputs, Raw, write_dataset
from fedscape.drift.drift import Movement
from fedscape.evaluation.evaluate import Evaluation
from fedscape.federated.records import rounds_row, timing_row
from fedscape.landscape.bottom import Bottom
from fedscape.plugins import Plugin
from fedscape.settings.samples import UsedSamples
from fedscape.study.imports import reached
from fedscape.study.syntax import spelled, tree
from fedscape.tables.collect import run_rows
from fedscape.tables.costs import make_costs

ROOT = Path(__file__).resolve().parents[3]
FAMILIES = {family.__module__.rpartition(".")[2] for family in families()}
# Whose columns a stage's code depends on, beside those that all share.
OWN = {
    "train": set(), "partition": set(), "initial": set(), "plane": {"planes"}, "surface": {"planes"},
    "surface_part": {"planes"}, "path": {"connectivity"}, "curve": {"connectivity"}, "layers": {"connectivity"}, "curvature": {"curvature"},
    "drift": {"drift"},
}  # fmt: skip


def costs_columns(folder):
    make_costs(study="s", scale="smoke", timings=[], outputs={}, benchmarks=folder, out=folder / "costs.csv")
    return pd.read_csv(folder / "costs.csv").columns


def partition_columns(folder):
    images = Inputs.of(np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2))
    raw = Raw(("a", "b"), images, np.arange(2), images, np.arange(2))
    write_dataset(folder / "data", "d", "d", raw)
    make_partition(
        dataset=folder / "data", scheme=Plugin("iid"), clients=1, partition_seed=0,
        samples=UsedSamples(seed=0), identity={"partition": "p"}, npz=folder / "p.npz", csv=folder / "p.csv",
    )  # fmt: skip
    return pd.read_csv(folder / "p.csv").columns


def names(dataclass):
    return [field.name for field in fields(dataclass)]


# What stages call what they compute, where they do not take it from `columns`.
COMPUTED = {
    "rounds": lambda _: rounds_row({}, 0),
    "runs": lambda _: run_rows(pd.DataFrame(columns=FILES["rounds"].columns), {}).columns,
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
    for family in families():
        explained = [name for names in meanings(family) for name in names]
        assert explained == list(described(family)), family
    assert {*COLUMNS} == {name for file in FILES.values() for name in file.types}


def test_a_name_has_one_type_in_all_families():
    known = described(*families())
    for family in families():
        assert described(family).items() <= known.items(), family


def test_every_file_about_groups_says_whose_entry_asked_for_it():
    """A measure on it would else be one of all entries together."""
    for name, file in FILES.items():
        expected = file.names[file.names.index("group") - 1] if "group" in file.names else None
        assert file.entry == expected, name


@pytest.mark.parametrize("stage", OWN)
def test_a_stage_that_computes_depends_on_its_own_columns_alone(stage):
    """A column of a table, or of another stage, computes nothing again."""
    files = reached([ROOT / "workflow" / "scripts" / f"{stage}.py"])
    found = {file.stem for file in files if file.parent == readme.FOLDER} & FAMILIES - {"shared"}
    assert found == OWN[stage]


@pytest.mark.parametrize("stage", ["partition", "initial", "train"])
def test_runs_depend_on_no_description_of_a_column(stage):
    """A unit, or a section more, trains nothing again."""
    files = reached([ROOT / "workflow" / "scripts" / f"{stage}.py"])
    assert {file.stem for file in files if file.parent == readme.FOLDER} <= {"cells", "csvs", "identity"}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_another_wording_is_no_other_code(tmp_path, family):
    text = (readme.FOLDER / f"{family}.py").read_text()
    other = tmp_path / f"{family}.py"
    other.write_text(text.replace(" of ", " of the said "))
    assert other.read_text() != text
    assert spelled(tree(other)) == spelled(tree(readme.FOLDER / f"{family}.py"))


class Example:
    """`example.csv`"""

    class_: Whole
    layer: Whole
    """two columns"""


def test_roles_make_the_order_of_a_file():
    file = File(names=["class"], row_keys=["layer"], measures=["class"], families=(Example,))
    assert (file.keys, file.columns, file.order) == (
        ["class", "layer"],
        ["class", "layer", "class"],
        ["class"],
    )
    assert file.types == {"class": "whole number", "layer": "whole number"}
    assert FILES["layers"].entry == "connectivity" and FILES["runs"].entry is None


def test_a_file_has_no_column_that_its_families_do_not_describe():
    with pytest.raises(KeyError, match="loss"):
        _ = File(names=[], row_keys=[], measures=["loss"], families=(Example,)).types


def test_the_other_end_of_a_pair_has_a_column_for_each_name_that_differs():
    run = {name: name for name in IDENTITY}
    assert list(other_end(run)) == TO_RUN
    assert other_end(run)["to_method"] == "method"
