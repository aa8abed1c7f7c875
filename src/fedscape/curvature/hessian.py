"""Stage `hessian`: the largest Hessian eigenvalues of chosen models of several runs."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse.linalg import ArpackError
from tqdm import tqdm

from fedscape.federated.device import prepare_device
from fedscape.federated.trajectory import Trajectory
from fedscape.files import write_csv
from fedscape.models.hessian import Eigenpairs, HessianProduct, top_eigenpairs
from fedscape.models.subject import check_layout, open_subject

log = logging.getLogger(__name__)


def evaluate_hessians(
    *,
    runs: Sequence[dict],
    trajectories: Sequence[str | Path],
    rounds: Sequence[int | float | str],
    top: int,
    model: str,
    model_settings: dict,
    dataset_folder: str | Path,
    partition: str | Path,
    curvature: str,
    group: str,
    samples: int | None,
    seed: int,
    device: str,
    out: str | Path,
) -> None:
    """Write the `top` largest eigenvalues of the train loss's Hessian after `rounds` of each run.

    rounds: as in `chosen_rounds`. partition: whose train samples the loss is the mean over; samples, seed: at
    most so many of them, the same in every product. The network is in eval mode with the model's own running
    statistics. curvature, group: names for the CSV. `products` counts all Hessian-vector products of a model,
    those for the residuals included. Where none are found, the row has empty cells and the log says why.
    """
    subject = open_subject(
        model, model_settings, dataset_folder, partition, samples, seed, prepare_device(device)
    )
    rows = []
    for run, path in zip(tqdm(runs, disable=None), trajectories, strict=True):
        trajectory = Trajectory.open(path)
        check_layout(subject, trajectory.layout, path)
        for number in chosen_rounds(trajectory.rounds, rounds):
            product = HessianProduct.of(subject, trajectory.parameters(number), trajectory.buffers(number))
            try:
                pairs = top_eigenpairs(product, subject.layout.parameter_count, top, seed, subject.device)
            except ArpackError as error:
                # One model without eigenvalues (a Hessian of NaN or of zeros) must not take the others along.
                log.warning("%s: round %d: no eigenvalues found (%s)", path, number, error)
                undefined = np.full(top, np.nan)
                pairs = Eigenpairs(undefined, undefined, np.empty((top, 0)))
            log.info("%s: round %d: largest eigenvalue %.4g", path, number, pairs.values[0])
            rows += [
                {
                    **run,
                    "curvature": curvature,
                    "group": group,
                    "round": number,
                    "index": index + 1,
                    "eigenvalue": pairs.values[index],
                    "residual": pairs.residuals[index],
                    "products": product.count,
                    "samples": len(subject.train.labels),
                }
                for index in range(top)
            ]
    write_csv(out, pd.DataFrame(rows), sort_by=[*runs[0], "curvature", "group", "round", "index"])


def chosen_rounds(kept: Sequence[int], rounds: Sequence[int | float | str]) -> list[int]:
    """Round numbers, ascending, from a mixture of numbers, shares of the last round (0.5) and "last".

    A share means the kept round nearest to it. A number past the last kept round is left out: that run ended
    early, because it diverged.
    """
    chosen = set()
    for value in rounds:
        if value == "last":
            chosen.add(kept[-1])
        elif isinstance(value, float):
            chosen.add(min(kept, key=lambda number: abs(number - value * kept[-1])))
        elif value <= kept[-1]:
            chosen.add(value)
    return sorted(chosen)
