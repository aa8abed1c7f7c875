"""The loss between two models: along the straight line, and where only some layers are averaged."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from torch import nn

from fedscape.checkpoints.checkpoint import Checkpoints
from fedscape.columns.connectivity import (
    BARRIERS_CSV,
    DISTANCES_CSV,
    LAYERS_CSV,
    PATH_CSV,
    other_end,
)
from fedscape.connectivity.endpoints import endpoint, pair_names
from fedscape.connectivity.pairs import Averages
from fedscape.connectivity.path import path_positions, path_rows, rise_rows
from fedscape.errors import FedscapeError
from fedscape.evaluation.loss import Loss, cross_entropies
from fedscape.evaluation.prepared import Samples
from fedscape.notebook.models import GROUP, State, identity_of, problem_of, runs_of
from fedscape.notebook.pictures import drawn, png
from fedscape.settings.connectivity import LayersSettings, PathSettings


@dataclass(frozen=True)
class Barriers:
    """What lies between two models, in tables with the columns of CSVs; a notebook shows the line.

    path: loss and error at each `t` from the first model (0) to the second (1), by `split`. barriers: of loss
    and error on that line: `sup`, the largest rise above the straight line between the values at its ends,
    at `argmax`; the rise at `midpoint`; standard errors over the samples. layers: `value` of the models that
    are averages in some layers, and their `barrier`, the value minus the mean of both models'. distances: L2
    and cosine between the two models, layer by layer.
    """

    path: pd.DataFrame
    barriers: pd.DataFrame
    layers: pd.DataFrame
    distances: pd.DataFrame

    def figure(self, **settings: Any) -> Figure:
        """The loss along the line. settings: those of the figure kind `interpolation`."""
        return drawn("interpolation", {"path": self.path, "barriers": self.barriers}, settings)

    def _repr_png_(self) -> bytes:
        return png(self.figure())


def barriers(
    network: nn.Module,
    first: State,
    second: State,
    data: Samples,
    *,
    test: Samples | None = None,
    loss: Loss = cross_entropies,
    path: PathSettings | None = None,
    layers: LayersSettings | None = None,
) -> Barriers:
    """The barriers between two models of a network, whose own weights do not matter.

    first, second: state_dicts or paths of them. data: as `landscape` takes it, the split `train`, on which
    batch-norm statistics of models that nobody trained are measured anew. test: likewise, the split `test`.
    loss: as in `landscape`; barriers are in its unit. path, layers: which points of the line and which
    averages of layers are looked at; with `alignment=["weights"]` the units of the second model are matched
    to the first's before.

    Raises FedscapeError, one line, for models of another network and for groups of layers, units or
    activations that the network does not have.
    """
    path, layers = path or PathSettings(), layers or LayersSettings()
    if layers.between != "runs":
        raise FedscapeError(f"layers: between {layers.between}; two models are of two runs")
    problem = problem_of(network, data, loss, test=test)
    averages = Averages.open(problem, layers)
    runs = runs_of(network, {"first": first, "second": second})
    checkpoints = Checkpoints(list(runs.values()))
    entry = {"connectivity": "barriers", "group": GROUP}
    identities = [{**identity_of(network, run), **entry} for run in runs]
    names = {**identities[0], **other_end(identities[1])}

    positions = path_positions(path.points)
    start, end = checkpoints.finals()
    points = path_rows(problem, checkpoints, (start, end), positions, path.batch_norm)
    mixtures, lengths = [], []
    ends = endpoint(checkpoints, start, problem.device), endpoint(checkpoints, end, problem.device)
    of_pair = pair_names(identities, (start, end), layers.between)
    for matching in averages.matchings:
        of_matching = averages.rows(*ends, matching)
        mixtures += of_matching[0]
        lengths += of_matching[1]
    return Barriers(
        path=_table(names, points, PATH_CSV.columns),
        barriers=_table(names, rise_rows(points, positions), BARRIERS_CSV.columns),
        layers=_table(of_pair, mixtures, LAYERS_CSV.columns),
        distances=_table(of_pair, lengths, DISTANCES_CSV.columns),
    )


def _table(names: dict[str, object], rows: list[dict[str, object]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame([{**names, **row} for row in rows], columns=columns)
