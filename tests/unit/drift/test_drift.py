"""Drift: distances of global models in closed form."""

import bowl
import numpy as np

from fedscape.checkpoints.run_files import RunFiles
from fedscape.columns.csvs import read_csv
from fedscape.drift.drift import evaluate_drift


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
    columns = ["drift", "group", "round", "step_norm", "distance_start", "distance_end"]
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
