"""Drift: distances of global models in closed form."""

import bowl
import numpy as np
import pytest
from torch import nn

from fedscape.checkpoints.layout import layout_of
from fedscape.checkpoints.readers import Trajectory
from fedscape.checkpoints.run_files import RunFiles
from fedscape.columns.csvs import read_csv
from fedscape.drift.drift import evaluate_drift, movements


def test_distances_of_two_runs(tmp_path):
    rows = np.random.default_rng(1).standard_normal((4, bowl.SIZE)).astype(np.float32)
    paths = [tmp_path / name / "trajectory.safetensors" for name in ("forwards", "backwards")]
    bowl.write_models(paths[0], bowl.Bowl(), rows)
    bowl.write_models(paths[1], bowl.Bowl(), rows[::-1])
    evaluate_drift(
        runs=[
            RunFiles({**bowl.identity(partition=name), "drift": "d", "group": "g"}, path)
            for name, path in zip(("p0", "p1"), paths, strict=True)
        ],
        out=tmp_path / "drift.csv",
    )
    found = read_csv(tmp_path / "drift.csv")
    columns = [
        "drift",
        "group",
        "round",
        "step_norm",
        "distance_start",
        "distance_end",
        "distance_to_reference",
    ]
    assert list(found) == [*bowl.identity(), *columns]
    first, second = (part.reset_index() for _, part in found.groupby("partition"))
    wide = rows.astype(np.float64)
    np.testing.assert_allclose(
        first["step_norm"][1:], np.linalg.norm(np.diff(wide, axis=0), axis=1), rtol=1e-8
    )
    assert np.isnan(first["step_norm"][0])
    np.testing.assert_allclose(first["distance_start"], np.linalg.norm(wide - wide[0], axis=1), rtol=1e-8)
    np.testing.assert_allclose(first["distance_end"], np.linalg.norm(wide - wide[3], axis=1), rtol=1e-8)
    np.testing.assert_allclose(second["distance_end"], first["distance_start"][::-1], rtol=1e-8)
    assert not first["distance_to_reference"].any()
    np.testing.assert_allclose(
        second["distance_to_reference"], np.linalg.norm(wide - wide[::-1], axis=1), rtol=1e-8
    )


def test_distances_to_a_reference_are_at_the_rounds_that_both_have_kept():
    rows = np.random.default_rng(2).standard_normal((5, bowl.SIZE)).astype(np.float32)

    def kept(rounds, module=None, shift=0):
        empty = np.zeros((len(rounds), 0))
        vectors = {"parameters": rows[rounds] + np.float32(shift), "buffers": empty, "counters": empty}
        return Trajectory.in_memory("run", layout_of(module or bowl.Bowl()), rounds, vectors)

    reference = kept([0, 2, 4])
    distances = [m.distance_to_reference for m in movements(kept([0, 1, 2], shift=1), reference)]
    assert distances == pytest.approx([np.sqrt(bowl.SIZE), np.nan, np.sqrt(bowl.SIZE)], rel=1e-6, nan_ok=True)
    (other,) = movements(kept([0], nn.Linear(bowl.SIZE - 1, 1)), reference)
    assert np.isnan(other.distance_to_reference)


def test_the_reference_is_the_first_run_of_the_same_seed(tmp_path):
    rows = np.eye(4, bowl.SIZE, dtype=np.float32)
    paths = [tmp_path / str(number) / "trajectory.safetensors" for number in range(4)]
    for path, row in zip(paths, rows, strict=True):
        bowl.write_models(path, bowl.Bowl(), row[None])
    runs = [
        RunFiles({**bowl.identity(method=f"m{i}", seed=i % 2), "drift": "d", "group": "g"}, path)
        for i, path in enumerate(paths)
    ]
    evaluate_drift(runs=runs, out=tmp_path / "drift.csv")
    drift = read_csv(tmp_path / "drift.csv").set_index("method")["distance_to_reference"]
    assert drift[["m0", "m1", "m2", "m3"]].tolist() == pytest.approx([0, 0, np.sqrt(2), np.sqrt(2)])
