"""Random directions around a model, scaled filter by filter to its weights."""

from typing import Literal

import torch
from torch import Tensor

from fedscape.checkpoints.layout import Layout, parameters_of
from fedscape.jobs.streams import stream

TINY = 1e-10  # added to lengths that are divided by, as in the code of Li et al.


def filter_normalised(
    centre: Tensor, layout: Layout, seed: int, number: int, ignore: Literal["vectors", "none"]
) -> Tensor:
    """Random direction `number` of a seed, scaled to the model at `centre` [P]: float32 [P] on the CPU.

    Li et al. (Visualizing the Loss Landscape of Neural Nets, 2018, section 4): a filter, a row of the first
    axis, has the length of the model's. Tensors without filters, biases and norm layers, do not move
    (`ignore: vectors`) or move along themselves (`none`).
    """
    direction = torch.from_numpy(stream(seed, "direction", number).standard_normal(len(centre)))
    weights = parameters_of(centre.double().cpu(), layout)
    for name, drawn in parameters_of(direction, layout).items():
        weight = weights[name]
        if drawn.ndim > 1:
            model_length, drawn_length = (
                torch.linalg.vector_norm(tensor.flatten(1), dim=1) for tensor in (weight, drawn)
            )
            drawn *= (model_length / (drawn_length + TINY)).view(-1, *[1] * (drawn.ndim - 1))
        elif ignore == "vectors":
            drawn.zero_()
        else:
            drawn.copy_(weight)
    return direction.float()
