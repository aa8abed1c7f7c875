"""Models and samples as a notebook has them, in the shape in which the analyses take them."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fedscape.checkpoints.format import VECTORS
from fedscape.checkpoints.layout import Layout, check_layout, flatten, layout_of
from fedscape.checkpoints.readers import ClientModels, Trajectory
from fedscape.checkpoints.state_dicts import check_weights, read_weights
from fedscape.columns.identity import IDENTITY
from fedscape.errors import FedscapeError
from fedscape.evaluation.loss import Loss
from fedscape.evaluation.prepared import Samples, prepared_set
from fedscape.evaluation.problem import Problem

State = Mapping[str, Tensor] | str | Path
"""A state_dict, or a file of one: safetensors, or .pt and .pth with tensors only."""
Models = State | Sequence[State] | Trajectory
"""Of one run: its global models, round after round from round 0 on, or only one; or a kept trajectory."""
Runs = Models | Mapping[str, Models]
"""Of one run, or of several by their names."""

GROUP = "all"
"""Of the runs in a notebook, which are looked at together, the column `group`."""


def identity_of(network: nn.Module, run: str) -> dict[str, object]:
    """The identifying columns of a run's rows: the network's class, and as `method` the name of the run."""
    return {**dict.fromkeys(IDENTITY, ""), "model": type(network).__name__, "method": run, "seed": 0}


def problem_of(
    network: nn.Module, data: Samples, loss: Loss, test: Samples | None = None, owners: Tensor | None = None
) -> Problem:
    """A float32 copy of the network, where the network is, with samples and the loss on them.

    owners: int64 [n], which client has each sample, -1 for none; None: nobody knows.
    """
    module = deepcopy(network).float().requires_grad_(False)
    train = prepared_set("data", data, module, loss)
    device, samples = train.labels.device, len(train.labels)
    if owners is None:
        owners, clients = torch.full((samples,), -1), 0
    else:
        owners = torch.as_tensor(owners)
        if owners.shape != (samples,) or owners.is_floating_point() or int(owners.min()) < -1:
            raise FedscapeError(
                f"owners: {owners.dtype} {list(owners.shape)}; needed is the number of a client, or -1, for "
                f"each of {samples} samples"
            )
        clients = int(owners.max()) + 1
    return Problem(
        module=module,
        layout=layout_of(module),
        train=train,
        test=None if test is None else prepared_set("test", test, module, loss),
        owners=owners.to(device, torch.int64),
        clients=clients,
        share=1.0,
        device=device,
    )


def tensors_of(network: nn.Module, state: State, name: str) -> dict[str, Tensor]:
    """All parameters and buffers of a model by name, on the CPU; `name` stands for it in messages.

    Raises FedscapeError for the model of another network, and for numbers that are NaN or infinite.
    """
    source = str(state) if isinstance(state, (str, Path)) else name
    tensors = read_weights(state) if isinstance(state, (str, Path)) else state
    if not isinstance(tensors, Mapping) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise FedscapeError(f"{name}: got {type(state).__name__}; allowed are state_dicts and paths of files")
    check_weights(network, tensors, source)
    # Buffers that no state_dict holds are the network's own.
    tensors = {name: tensor.cpu() for name, tensor in {**dict(network.named_buffers()), **tensors}.items()}
    broken = next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)
    if broken:
        raise FedscapeError(f"{source}: {broken} is NaN or infinite")
    return tensors


def runs_of(network: nn.Module, models: Runs, apart: bool = False) -> dict[str, Trajectory]:
    """The trajectory of each run by its name; apart: models in a list are runs of their own."""
    if isinstance(models, (str, Path, Trajectory)) or not isinstance(models, (Mapping, Sequence)):
        named: Mapping[str, Models] = {"models": models}
    elif isinstance(models, Mapping):
        is_state = any(isinstance(value, Tensor) for value in models.values())
        named = {"models": models} if is_state else models  # pyright: ignore[reportAssignmentType]
    elif apart:
        named = {f"model {number}": state for number, state in enumerate(models)}
    else:
        named = {"models": models}
    if not named:
        raise FedscapeError("models: none")
    return {name: _trajectory(network, name, run) for name, run in named.items()}


def client_models(network: nn.Module, trajectory: Trajectory, clients: Sequence[State]) -> ClientModels:
    """The models that clients 0, 1, ... handed back in the last round of a trajectory."""
    layout = layout_of(network)
    states = [tensors_of(network, state, f"clients[{number}]") for number, state in enumerate(clients)]
    arrays = {name: vector[None] for name, vector in _vectors(layout, states).items()}
    arrays["clients"] = np.arange(len(clients))[None]
    return ClientModels.in_memory("clients", layout, [trajectory.last], arrays)


def _trajectory(network: nn.Module, name: str, models: Models) -> Trajectory:
    if isinstance(models, Trajectory):
        check_layout(network, models.layout, models.path)
        return models
    # Whatever else it is, `tensors_of` says that it is no state_dict.
    states: Sequence[Any] = (
        models if isinstance(models, Sequence) and not isinstance(models, str) else [models]
    )
    if not states:
        raise FedscapeError(f"{name}: no models")
    layout = layout_of(network)
    tensors = [tensors_of(network, state, f"{name}[{number}]") for number, state in enumerate(states)]
    return Trajectory.in_memory(name, layout, range(len(states)), _vectors(layout, tensors))


def _vectors(layout: Layout, states: Sequence[dict[str, Tensor]]) -> dict[str, np.ndarray]:
    """Models as files hold them: VECTORS [n, ...] by name."""
    columns = zip(*(flatten(state, layout) for state in states), strict=True)
    return {name: torch.stack(column).numpy() for name, column in zip(VECTORS, columns, strict=True)}
