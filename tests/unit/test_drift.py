"""Drift: distances and the agreement of client updates in closed form."""

import bowl
import numpy as np
import pytest

from fedscape.drift.updates import agreement, evaluate_drift
from fedscape.files import read_csv
from fedscape.models import blocks


def evaluate(tmp_path, trajectories):
    evaluate_drift(
        runs=[bowl.identity(partition=f"p{number}") for number in range(len(trajectories))],
        trajectories=trajectories,
        client_models=[path.with_name("clients.safetensors") for path in trajectories],
        drift="d",
        group="g",
        out=tmp_path / "drift.csv",
    )
    return read_csv(tmp_path / "drift.csv")


def test_equal_updates():
    found = agreement(np.tile([3.0, 4.0], (5, 1)))
    assert found.clients == 5 and found.mean_update_norm == pytest.approx(5)
    assert found.gradient_diversity == pytest.approx(1 / 5)
    assert found.mean_cosine == pytest.approx(1) and found.minimum_cosine == pytest.approx(1)


def test_orthogonal_updates():
    found = agreement(np.diag([1.0, 2.0, 3.0]))
    assert found.gradient_diversity == pytest.approx(1)
    assert found.mean_cosine == found.minimum_cosine == 0 and found.mean_update_norm == pytest.approx(2)


def test_updates_that_cancel():
    found = agreement(np.array([[1.0, 2.0, 2.0], [-1.0, -2.0, -2.0]]))
    assert found.gradient_diversity == np.inf and found.minimum_cosine == pytest.approx(-1)


def test_what_is_undefined_is_empty():
    alone = agreement(np.array([[3.0, 4.0]]))
    assert alone.gradient_diversity == 1 and np.isnan(alone.mean_cosine) and np.isnan(alone.minimum_cosine)
    still = agreement(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert still.mean_update_norm == 2.5 and np.isnan(still.mean_cosine) and still.gradient_diversity == 1


@pytest.mark.parametrize("bytes_per_block", [2**20, 8 * 7 * 3])
def test_agreement_against_the_definitions(monkeypatch, bytes_per_block):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", bytes_per_block)
    updates = np.random.default_rng(0).standard_normal((7, 50)) + 0.3
    found = agreement(updates)
    squares = sum(np.sum(update**2) for update in updates)
    assert found.gradient_diversity == pytest.approx(squares / np.sum(updates.sum(axis=0) ** 2))
    cosines = [
        updates[m] @ updates[n] / np.linalg.norm(updates[m]) / np.linalg.norm(updates[n])
        for m in range(7)
        for n in range(m)
    ]
    assert found.mean_cosine == pytest.approx(np.mean(cosines))
    assert found.minimum_cosine == pytest.approx(min(cosines))
    assert found.mean_update_norm == pytest.approx(np.mean([np.linalg.norm(update) for update in updates]))


def test_distances_and_clients_of_two_runs(tmp_path):
    draw = np.random.default_rng(1)
    rows = draw.standard_normal((4, bowl.SIZE)).astype(np.float32)
    clients = draw.standard_normal((2, 3, bowl.SIZE)).astype(np.float32)
    paths = [tmp_path / name / "trajectory.safetensors" for name in ("with", "without")]
    bowl.write_models(paths[0], bowl.Bowl(), rows, clients)
    bowl.write_models(paths[1], bowl.Bowl(), rows[::-1])
    found = evaluate(tmp_path, paths)
    assert list(found) == [
        *bowl.identity(), "drift", "group", "round", "step_norm", "distance_start", "distance_end",
        "clients", "mean_update_norm", "gradient_diversity", "mean_cosine", "minimum_cosine",
    ]  # fmt: skip
    first, second = (part.reset_index() for _, part in found.groupby("partition"))
    wide = rows.astype(np.float64)
    np.testing.assert_allclose(
        first["step_norm"][1:], np.linalg.norm(np.diff(wide, axis=0), axis=1), rtol=1e-8
    )
    assert np.isnan(first["step_norm"][0])
    np.testing.assert_allclose(first["distance_start"], np.linalg.norm(wide - wide[0], axis=1), rtol=1e-8)
    np.testing.assert_allclose(first["distance_end"], np.linalg.norm(wide - wide[3], axis=1), rtol=1e-8)
    np.testing.assert_allclose(second["distance_end"], first["distance_start"][::-1], rtol=1e-8)
    expected = agreement(clients[1] - rows[1])
    assert first["clients"].tolist()[1:3] == [3, 3]
    assert first["mean_cosine"][2] == pytest.approx(expected.mean_cosine)
    assert first["gradient_diversity"][2] == pytest.approx(expected.gradient_diversity)
    assert first["clients"].isna().tolist() == [True, False, False, True]
    assert second[["clients", "mean_update_norm", "minimum_cosine"]].isna().all(axis=None)
    text = (tmp_path / "drift.csv").read_text()
    assert ",3," in text and ",3.0," not in text, "clients are counted, not measured"
