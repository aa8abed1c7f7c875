"""The clients' optimiser on stacked flat vectors: every operation takes all lanes [A, P] at once."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fedscape.settings.training import TrainingSettings

ADAM_EPSILON = 1e-8  # added to the denominator, PyTorch's default
CLIP_EPSILON = 1e-6  # as in torch.nn.utils.clip_grad_norm_


def learning_rate(training: TrainingSettings, round_number: int, step: int, steps: int) -> float:
    """Learning rate of a client's step `step` (0 is the first) of its `steps` in a round.

    The schedule runs through the client's own steps over all rounds, counted as if it took part in each:
    a rise from `warmup_lr` to `lr`, times the cosine's or the steps' factor.
    """
    schedule = training.schedule
    done = (round_number - 1) * steps + step
    progress = done / (training.rounds * steps)
    rate = training.lr
    if done < schedule.warmup_steps:
        rate = schedule.warmup_lr + (training.lr - schedule.warmup_lr) * done / schedule.warmup_steps
    if schedule.kind == "cosine":
        return rate * (1 + math.cos(math.pi * progress)) / 2
    if schedule.kind == "step":
        return rate * schedule.decay ** sum(progress >= moment for moment in schedule.decay_at)
    return rate


def moment_names(training: TrainingSettings) -> tuple[str, ...]:
    """Names of the vectors that the optimiser remembers of a client."""
    if training.optimiser == "adamw":
        return ("first", "second")
    return ("momentum",) if training.momentum else ()


@torch.no_grad()
def clip(gradient: Tensor, largest: float) -> None:
    """Scale each lane's gradient [A, P] in place to a norm of `largest` at most."""
    norms = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    gradient.mul_((largest / (norms + CLIP_EPSILON)).clamp(max=1))


@torch.no_grad()
def step(
    training: TrainingSettings,
    parameters: Tensor,
    gradient: Tensor,
    moments: dict[str, Tensor],
    rates: Sequence[float],
    counts: Sequence[int],
) -> None:
    """One step of every lane, in place, as `torch.optim.SGD` or `torch.optim.AdamW` takes it.

    parameters, gradient, each of `moments` by `moment_names`: [A, P]; the gradient may be overwritten.
    rates: learning rate per lane. counts: steps per lane since its moments were empty, this one included.
    """
    if training.optimiser == "adamw":
        _adamw(training, parameters, gradient, moments, rates, counts)
    else:
        _sgd(training, parameters, gradient, moments, rates)


def _sgd(
    training: TrainingSettings,
    parameters: Tensor,
    gradient: Tensor,
    moments: dict[str, Tensor],
    rates: Sequence[float],
) -> None:
    if training.weight_decay:
        gradient.add_(parameters, alpha=training.weight_decay)
    if training.momentum:
        momentum = moments["momentum"].mul_(training.momentum).add_(gradient)
        if training.nesterov:
            gradient.add_(momentum, alpha=training.momentum)
        else:
            gradient = momentum
    if len(set(rates)) == 1:
        parameters.add_(gradient, alpha=-rates[0])
    else:
        parameters.addcmul_(gradient, _column(rates, parameters), value=-1)


def _adamw(
    training: TrainingSettings,
    parameters: Tensor,
    gradient: Tensor,
    moments: dict[str, Tensor],
    rates: Sequence[float],
    counts: Sequence[int],
) -> None:
    first_decay, second_decay = training.betas
    first = moments["first"].lerp_(gradient, 1 - first_decay)
    second = moments["second"].mul_(second_decay).addcmul_(gradient, gradient, value=1 - second_decay)
    roots = [math.sqrt(1 - second_decay**count) for count in counts]
    corrected = [rate / (1 - first_decay**count) for rate, count in zip(rates, counts, strict=True)]
    parameters.mul_(_column([1 - rate * training.weight_decay for rate in rates], parameters))
    denominator = second.sqrt().div_(_column(roots, parameters)).add_(ADAM_EPSILON)
    parameters.addcdiv_(first.mul(_column(corrected, parameters)), denominator, value=-1)


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype).to(like.device, non_blocking=True).unsqueeze(1)
