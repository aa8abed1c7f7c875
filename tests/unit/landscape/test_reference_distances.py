"""Distances to a reference run, against plain NumPy on a path sampled densely."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from fedscape.checkpoints.checkpoint import Checkpoint
from fedscape.landscape import reference_distances as distances
from fedscape.landscape.material import Mark
from fedscape.landscape.reference_distances import REFERENCE_DISTANCES, reference_distances


class Run:
    """As much of a trajectory as distances need."""

    def __init__(self, rows, rounds=None):
        self.rows = np.asarray(rows, dtype=np.float32)
        self.rounds = tuple(rounds or range(len(rows)))
        self.layout = SimpleNamespace(parameter_count=self.rows.shape[1])

    def columns(self, start, stop):
        return self.rows[:, start:stop]


def found(runs, run, seeds=None):
    """DISTANCES of every round of a run: [rounds, 3]."""
    marks = [Mark(Checkpoint(run, number)) for number in runs[run].rounds]
    rows = reference_distances(marks, runs, seeds or [0] * len(runs))
    return np.array([[row[name] for name in REFERENCE_DISTANCES] for row in rows])


def test_distances_against_a_densely_sampled_path(monkeypatch):
    monkeypatch.setattr(distances, "column_blocks", lambda rows, columns: [(0, 5), (5, columns)])
    draw = np.random.default_rng(0)
    reference = Run(3 + np.cumsum(draw.normal(size=(6, 12)), axis=0))
    other = Run(3 + np.cumsum(draw.normal(size=(8, 12)), axis=0))
    same, path, end = found([reference, other], 1).T
    rows, corners = other.rows.astype(float), reference.rows.astype(float)
    np.testing.assert_allclose(same[:6], np.linalg.norm(rows[:6] - corners, axis=1), rtol=1e-10)
    assert np.isnan(same[6:]).all()
    np.testing.assert_allclose(end, np.linalg.norm(rows - corners[-1], axis=1), rtol=1e-10)
    shares = np.linspace(0, 1, 2001)[:, None]
    way = np.concatenate([(1 - shares) * a + shares * b for a, b in pairwise(corners)])
    nearest = [np.linalg.norm(way - row, axis=1).min() for row in rows]
    np.testing.assert_allclose(path, nearest, rtol=1e-5)


def test_a_run_that_merely_lags_does_not_leave_the_path():
    direction = np.random.default_rng(1).normal(size=20)
    reference = Run([t * direction for t in range(5)])
    same, path, end = found([reference, Run([t / 2 * direction for t in range(5)])], 1).T
    np.testing.assert_allclose(same, np.arange(5) / 2 * np.linalg.norm(direction), rtol=1e-6)
    np.testing.assert_allclose(path, 0, atol=1e-5)
    assert end[-1] == pytest.approx(2 * np.linalg.norm(direction))


def test_the_reference_is_on_its_own_path():
    runs = [Run(np.random.default_rng(2).normal(size=(4, 7)))]
    np.testing.assert_array_equal(found(runs, 0)[:, :2], 0)
    assert found(runs, 0)[-1, 2] == 0


def test_each_seed_has_a_reference_of_its_own():
    draw = np.random.default_rng(3)
    runs = [Run(draw.normal(size=(3, 7))) for _ in range(4)]
    assert (found(runs, 1, seeds=[0, 1, 0, 1])[:, 0] == 0).all()
    expected = np.linalg.norm(runs[3].rows.astype(float) - runs[1].rows, axis=1)
    np.testing.assert_allclose(found(runs, 3, seeds=[0, 1, 0, 1])[:, 0], expected, rtol=1e-10)


def test_clients_have_no_distance_to_a_reference():
    (row,) = reference_distances([Mark(Checkpoint(0, 1, client=2), "client")], [Run(np.ones((2, 3)))], [0])
    assert np.isnan(list(row.values())).all()
