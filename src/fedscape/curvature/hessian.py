"""Stage `hessian`: the largest Hessian eigenvalues of chosen models of several runs."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor
from tqdm import tqdm

from fedscape.curvature.product import HessianProduct
from fedscape.federated.device import prepare_device
from fedscape.federated.trajectory import Trajectory
from fedscape.files import write_csv
from fedscape.models.subject import check_layout, open_subject
from fedscape.streams import stream

LANCZOS_VECTORS = 10
"""Size of the Krylov space; with a tolerance of 1e-3 about 11 to 16 products give an error below 1e-6."""
TOLERANCE = 1e-3
"""Relative accuracy at which ARPACK stops; eigenvalues are far better (their error is the square)."""
RESTARTS = 300
"""Restarts of ARPACK before it is said not to converge; usual are 1 to 3."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Eigenpairs:
    """values [k], largest first; residuals [k] = ||H v - lambda v|| / |lambda|; vectors float64 [k, P]."""

    values: np.ndarray
    residuals: np.ndarray
    vectors: np.ndarray


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
            buffers = {name: tensor.to(subject.device) for name, tensor in trajectory.buffers(number).items()}
            product = HessianProduct(
                subject.module,
                subject.layout,
                trajectory.parameters(number).to(subject.device),
                buffers,
                subject.train,
            )
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


def top_eigenpairs(
    product: Callable[[Tensor], Tensor], size: int, top: int, seed: int, device: torch.device
) -> Eigenpairs:
    """The `top` algebraically largest eigenpairs of a symmetric operator on vectors [size].

    Lanczos with restarts (ARPACK), started from the stream `eigenvector` of `seed`. Unlike power iteration it
    does not mistake a large negative eigenvalue for the largest. `top` more products give the residuals.
    Raises ArpackError if it does not converge, ValueError if `top` is not below `size`.
    """
    if not 1 <= top < size:
        raise ValueError(f"top must be between 1 and {size - 1} for {size} parameters, got {top}")

    def apply(vector: np.ndarray) -> np.ndarray:
        return product(torch.from_numpy(vector.reshape(-1)).to(device)).cpu().numpy()

    values, vectors = eigsh(
        LinearOperator((size, size), matvec=apply, dtype=np.float64),
        k=top,
        which="LA",
        # ARPACK needs more vectors than eigenpairs and no more than there are dimensions.
        ncv=min(size, max(LANCZOS_VECTORS, 2 * top + 1)),
        tol=TOLERANCE,
        maxiter=RESTARTS,
        v0=stream(seed, "eigenvector").standard_normal(size),
    )
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors.T[order]
    residuals = [
        np.linalg.norm(apply(vector) - value * vector) / abs(value)
        for value, vector in zip(values, vectors, strict=True)
    ]
    return Eigenpairs(values, np.array(residuals), vectors)
