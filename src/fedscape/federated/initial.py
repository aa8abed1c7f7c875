"""The weights that a run starts from."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from fedscape.checkpoints.state_dicts import load_weights, write_weights
from fedscape.data.storage import Dataset, open_dataset
from fedscape.errors import FedscapeError
from fedscape.evaluation.device import prepare_device
from fedscape.federated.state import ModelState
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.models.build import random_model
from fedscape.plugins import Plugin

INITIAL = "initial.safetensors"


@dataclass(frozen=True)
class InitialContext:
    """All that a start may be computed from."""

    model: Plugin
    module: nn.Module  # the model with its random start, on the CPU; a plug-in leaves it as it is
    data: Dataset  # the data set of the run
    proxy: Path | None  # folder of the data set that the start names, if it names one
    trajectory: Path | None  # trajectory of the run that the start continues, if it continues one
    seed: int
    device: torch.device
    folder: ResumeFolder  # for starts that take long: `progress`, `commit`, `stop_requested`


def make_initial(
    *,
    start: Plugin,
    model: Plugin,
    dataset: str | Path,
    seed: int,
    resume: Resume,
    out: str | Path,
    device: str = "cpu",
    proxy: str | Path | None = None,
    trajectory: str | Path | None = None,
) -> None:
    """Compute the start of the plug-in `initials/<kind>.py` and write it as a state_dict (.safetensors).

    dataset, proxy: folders of prepared data sets. trajectory: of the run that an `after-round` start
    continues.
    Raises FedscapeError where the weights do not fit the model or are not finite.
    """
    with ResumeFolder(resume, valid=_continues) as folder:
        if not folder.finished:
            data = open_dataset(dataset)
            module = random_model(model.kind, dict(model.settings), data.shape, len(data.classes), seed)
            context = InitialContext(
                model=model,
                module=module,
                data=data,
                proxy=Path(proxy) if proxy else None,
                trajectory=Path(trajectory) if trajectory else None,
                seed=seed,
                device=prepare_device(device),
                folder=folder,
            )
            plugin, settings = start.load("federated.initials")
            load_weights(module, plugin.weights(settings, context), f"{start.kind} start")
            if not ModelState.of(module).is_finite():
                raise FedscapeError(f"{start.kind} start: a weight is NaN or infinite")
            write_weights(folder.folder / INITIAL, module.state_dict())
        folder.finish({INITIAL: out})


def _continues(progress: dict) -> bool:
    """Whether a committed state says after which epoch a start that trains can continue."""
    return type(progress["epoch"]) is int and progress["epoch"] > 0
