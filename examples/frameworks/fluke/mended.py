"""The papers' rules put back into fluke's FedNova and FedDyn from outside, one line each."""

from collections.abc import Collection
from copy import deepcopy

import fluke.algorithms.fednova as fednova
from fluke.algorithms.feddyn import FedDyn, FedDynClient, get_all_params_of
from fluke.algorithms.fednova import FedNova
from fluke.utils.model import aggregate_models
from torch import nn


class MendedFedDynClient(FedDynClient):
    """What a client remembers is the sum of its changes, not of their opposites times alpha."""

    def fit(self, override_local_epochs: int = 0) -> float:
        start, memory = get_all_params_of(self.model), self.prev_grads.clone()
        loss = super().fit(override_local_epochs)
        self.prev_grads = memory + get_all_params_of(self.model) - start
        return loss


class MendedFedDyn(FedDyn):
    """fluke's FedDyn with these clients."""

    def get_client_class(self) -> type[FedDynClient]:
        return MendedFedDynClient


class MendedFedNova(FedNova):
    """fluke's FedNova whose weights sum to 1: the model of the round before has the rest."""

    def run(self, *args: object, **kwargs: object) -> None:
        fednova.aggregate_models = with_rest
        try:
            super().run(*args, **kwargs)
        finally:
            fednova.aggregate_models = aggregate_models


def with_rest(
    model: nn.Module, models: Collection[nn.Module], weights: Collection[float], eta: float
) -> None:
    """fluke's mean of models, of the round before as well."""
    aggregate_models(model, [deepcopy(model), *models], [1 - sum(weights), *weights], eta)
