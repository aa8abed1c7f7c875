"""How far global models move, and how far the clients of a round agree."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

import pandas as pd
from torch import nn

from fedscape.checkpoints.layout import flatten, layout_of
from fedscape.columns.drift import DRIFT_CSV
from fedscape.drift.drift import movements
from fedscape.errors import FedscapeError
from fedscape.evaluation.update_statistics import UpdateAgreement, UpdateStatistics
from fedscape.notebook.models import GROUP, Runs, State, identity_of, runs_of, tensors_of


def drift(
    network: nn.Module, models: Runs, clients: Mapping[int, Sequence[State]] | None = None
) -> pd.DataFrame:
    """Distances of global models, a row per run and round, with the columns of drift.csv.

    models: as in `landscape`. `step_norm`, `distance_start`, `distance_end`: L2 distances of parameters from
    the round before, from the first and from the last model; `distance_to_reference`: from the first run's
    model after the same round. clients: round -> the models that its clients handed back; with these, of a
    single run, the columns of rounds.csv about updates (a client's model minus the global one before the
    round, unweighted): `mean_update_norm` (L2), `gradient_diversity`,
    `inverse_gradient_diversity`, `mean_cosine`, `minimum_cosine`; NaN in other rounds.

    Raises FedscapeError, one line, for models of another network and clients of a round without a model
    before it.
    """
    layout = layout_of(network)
    runs = runs_of(network, models)
    reference = next(iter(runs.values()))
    rows = [
        {**identity_of(network, name), "drift": "drift", "group": GROUP, **asdict(movement)}
        for name, trajectory in runs.items()
        for movement in movements(trajectory, reference)
    ]
    table = pd.DataFrame(rows, columns=DRIFT_CSV.columns)
    if not clients:
        return table
    if len(runs) > 1:
        raise FedscapeError(f"clients: given with {len(runs)} runs; allowed is one")
    (trajectory,) = runs.values()
    agreements = pd.DataFrame(index=table.index, columns=[field.name for field in fields(UpdateAgreement)])
    for number, states in clients.items():
        if number not in trajectory.rounds or number - 1 not in trajectory.rounds or not states:
            raise FedscapeError(
                f"clients: {len(states)} of round {number}; needed are one or more, and global models of "
                f"rounds {number - 1} and {number}"
            )
        statistics = UpdateStatistics(trajectory.parameters(number - 1), len(states))
        for client, state in enumerate(states):
            tensors = tensors_of(network, state, f"clients[{number}][{client}]")
            statistics.add(flatten(tensors, layout)[0])
        agreements.loc[table["round"] == number] = list(asdict(statistics.agreement()).values())
    return pd.concat([table, agreements.astype(float)], axis=1)
