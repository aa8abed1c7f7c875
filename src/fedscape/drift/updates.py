"""Stage `drift`: how far the global model moves, and how far its clients disagree.

Gradient diversity is that of Yin et al. (Gradient Diversity: a Key Ingredient for Scalable Distributed
Learning, 2018, definition 1), with client updates d = client model - global model before the round in the
place of gradients, unweighted: sum ||d||^2 / ||sum d||^2. It is 1/n for n equal updates, 1 for orthogonal
ones, and infinite where they cancel.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from fedscape.federated.trajectory import ClientModels, Trajectory
from fedscape.files import write_csv
from fedscape.models.blocks import column_blocks


@dataclass(frozen=True)
class Movement:
    """L2 distances of one kept round's global model from the round before, the first and the last kept."""

    round: int
    step_norm: float
    distance_start: float
    distance_end: float


@dataclass(frozen=True)
class Agreement:
    """Statistics of one round's client updates; NaN where they are undefined (one client, an update of 0)."""

    clients: int
    mean_update_norm: float
    gradient_diversity: float
    mean_cosine: float
    minimum_cosine: float


def evaluate_drift(
    *,
    runs: Sequence[dict],
    trajectories: Sequence[str | Path],
    client_models: Sequence[str | Path],
    drift: str,
    group: str,
    out: str | Path,
) -> None:
    """Write per run and kept round the distances of the global model and the agreement of the clients.

    runs, trajectories, client_models: identities and files in the same order. drift, group: names for the
    CSV. Distances are L2 norms of parameters: from the round before (`step_norm`, empty if it was not kept),
    from the first and from the last kept round. Client columns are empty where the round's client models, or
    the global model just before it, were not kept.
    """
    rows = []
    for run, path, clients_path in zip(tqdm(runs, disable=None), trajectories, client_models, strict=True):
        trajectory, clients = Trajectory.open(path), ClientModels.open(clients_path)
        moved = {movement.round: asdict(movement) for movement in movements(trajectory)}
        agreed = {
            number: asdict(agreement(client_updates(trajectory, clients, number)))
            for number in clients.rounds
            if number - 1 in trajectory.rounds
        }
        names = {**run, "drift": drift, "group": group}
        for number in sorted(moved | agreed):
            rows.append({**names, "round": number, **moved.get(number, {}), **agreed.get(number, {})})
    keys = [*runs[0], "drift", "group", "round"]
    measures = [*Movement.__dataclass_fields__, *Agreement.__dataclass_fields__]
    frame = pd.DataFrame(rows, columns=list(dict.fromkeys([*keys, *measures])))
    # An empty cell would make this column of counts one of floats.
    frame["clients"] = frame["clients"].astype("Int64")
    write_csv(out, frame, sort_by=keys)


def movements(trajectory: Trajectory) -> list[Movement]:
    """The movement of every kept round; sums in float64."""
    kept = len(trajectory.rounds)
    columns = trajectory.layout.parameter_count
    squares = np.zeros((3, kept))
    for start, stop in column_blocks(kept, columns):
        rows = trajectory.columns(start, stop).astype(np.float64)
        for measure, origin in enumerate((np.vstack([rows[:1], rows[:-1]]), rows[:1], rows[-1:])):
            squares[measure] += np.square(rows - origin).sum(axis=1)
    norms = np.sqrt(squares)
    norms[0, 0] = np.nan
    norms[0, 1:][np.diff(trajectory.rounds) > 1] = np.nan  # the round before was not kept
    return [Movement(*values) for values in zip(trajectory.rounds, *norms.tolist(), strict=True)]


def client_updates(trajectory: Trajectory, clients: ClientModels, number: int) -> np.ndarray:
    """Client models of a round minus the global model they started from: float32 [clients, P]."""
    return (clients.parameters(number) - trajectory.parameters(number - 1)).numpy()


def agreement(updates: np.ndarray) -> Agreement:
    """Statistics of client updates [n, P], from their Gram matrix [n, n] in float64."""
    clients, columns = updates.shape
    gram = np.zeros((clients, clients))
    for start, stop in column_blocks(clients, columns):
        part = updates[:, start:stop].astype(np.float64)
        gram += part @ part.T
    norms = np.sqrt(np.diag(gram))
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = (gram / np.outer(norms, norms))[np.triu_indices(clients, k=1)]
        # Rounding must not turn updates that cancel into a negative number.
        diversity = np.trace(gram) / np.maximum(gram.sum(), 0.0)
    return Agreement(
        clients=clients,
        mean_update_norm=float(norms.mean()),
        gradient_diversity=float(diversity),
        mean_cosine=float(cosines.mean()) if clients > 1 else np.nan,
        minimum_cosine=float(cosines.min()) if clients > 1 else np.nan,
    )
