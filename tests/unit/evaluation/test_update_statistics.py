"""How far clients agree: closed forms, the definitions over all pairs, and a round's own models."""

from pathlib import Path

import numpy as np
import pytest
import torch
from engine_helpers import SAMPLES, TRAINING, federation, images_and_labels, network, owned, play
from torch.nn.functional import cosine_similarity

from fedscape.evaluation import update_statistics as agreement
from fedscape.evaluation.update_statistics import UpdateAgreement, UpdateStatistics
from fedscape.federated.lanes import Lanes


def statistics(updates: np.ndarray, start: np.ndarray | None = None) -> UpdateAgreement:
    updates = torch.from_numpy(np.asarray(updates, dtype=np.float32))
    origin = torch.zeros(updates.shape[1]) if start is None else torch.from_numpy(start).float()
    found = UpdateStatistics(origin, len(updates))
    for update in updates:
        found.add(origin + update)
    return found.agreement()


def test_equal_updates():
    found = statistics(np.tile([3.0, 4.0], (5, 1)))
    assert found.mean_update_norm == pytest.approx(5)
    assert found.gradient_diversity == pytest.approx(1 / 5)
    assert found.inverse_gradient_diversity == pytest.approx(5)
    assert found.mean_cosine == pytest.approx(1) and found.minimum_cosine == pytest.approx(1)


def test_orthogonal_updates():
    found = statistics(np.diag([1.0, 2.0, 3.0]))
    assert found.gradient_diversity == found.inverse_gradient_diversity == pytest.approx(1)
    assert found.mean_cosine == found.minimum_cosine == 0 and found.mean_update_norm == pytest.approx(2)


def test_updates_that_cancel():
    found = statistics([[1.0, 2.0, 2.0], [-1.0, -2.0, -2.0]])
    assert found.gradient_diversity == np.inf and found.inverse_gradient_diversity == 0
    assert found.mean_cosine == pytest.approx(-1) and found.minimum_cosine == pytest.approx(-1)


def test_what_is_undefined_is_not_a_number():
    alone = statistics([[3.0, 4.0]])
    assert alone.gradient_diversity == 1 and np.isnan(alone.mean_cosine) and np.isnan(alone.minimum_cosine)
    still = statistics([[3.0, 4.0], [0.0, 0.0]])
    assert still.mean_update_norm == 2.5 and still.gradient_diversity == 1
    assert np.isnan(still.mean_cosine) and np.isnan(still.minimum_cosine)


@pytest.mark.parametrize("fits", [True, False])
def test_running_sums_are_the_definitions(monkeypatch, fits):
    """Only the smallest cosine needs all updates at once; without the memory for them it is left out."""
    if not fits:
        monkeypatch.setattr(agreement, "PAIRS_BYTES", 7 * 50 * 4 - 1)
    updates = np.random.default_rng(0).standard_normal((7, 50)) + 0.3
    found = statistics(updates, start=np.zeros(50))
    squares = sum(np.sum(update**2) for update in updates)
    assert found.gradient_diversity == pytest.approx(squares / np.sum(updates.sum(axis=0) ** 2))
    assert found.inverse_gradient_diversity == pytest.approx(1 / found.gradient_diversity)
    cosines = [
        updates[m] @ updates[n] / np.linalg.norm(updates[m]) / np.linalg.norm(updates[n])
        for m in range(7)
        for n in range(m)
    ]
    assert found.mean_cosine == pytest.approx(np.mean(cosines))
    assert found.mean_update_norm == pytest.approx(np.mean([np.linalg.norm(update) for update in updates]))
    assert found.minimum_cosine == (
        pytest.approx(min(cosines), abs=1e-6) if fits else pytest.approx(np.nan, nan_ok=True)
    )


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_round_reports_the_agreement_of_its_clients(tmp_path: Path, lanes: int):
    engine = Lanes(network("linear"), images_and_labels(SAMPLES), TRAINING, lanes)
    played = play(federation(tmp_path, engine, owned(10, 5, 8)))
    start, (models,), (report,) = played.parameters[0], played.models, played.reports
    updates = torch.stack([models[client].parameters - start for client in range(3)]).double()
    cosines = [cosine_similarity(updates[m], updates[n], dim=0).item() for m, n in [(0, 1), (0, 2), (1, 2)]]
    assert report.agreement.mean_cosine == pytest.approx(np.mean(cosines), abs=1e-5)
    assert report.agreement.minimum_cosine == pytest.approx(min(cosines), abs=1e-5)
    assert report.agreement.mean_update_norm == pytest.approx(updates.norm(dim=1).mean().item(), rel=1e-5)
    diversity = updates.square().sum() / updates.sum(dim=0).square().sum()
    assert report.agreement.gradient_diversity == pytest.approx(diversity.item(), rel=1e-4)
