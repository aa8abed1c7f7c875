"""Weight matching: orders of one model's units in which its weights are near to another model's.

Ainsworth, Hayase & Srinivasa, Git Re-Basin, 2022, section 3.2 and algorithm 1: of one group of units at a
time the best order is a linear assignment; groups are visited in random order until none improves. What is
found is a local optimum of a problem whose best solution is hard to find.

Only parameters are compared. Running statistics move along with their units.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from fedscape.connectivity.permutations import Permutations
from fedscape.connectivity.units import Axis
from fedscape.errors import FedscapeError
from fedscape.jobs.streams import stream

Tensors = Mapping[str, Tensor]
Orders = Mapping[str, Tensor]
"""Of each group which old unit comes to each place, int64 [size] on the CPU."""
SMALLEST_GAIN = 1e-12
"""Gain, as a share of the product of both models' lengths, below which it is rounding in float64."""


def match_weights(
    permutations: Permutations, first: Tensors, second: Tensors, seed: int, start: Orders | None = None
) -> dict[str, Tensor]:
    """Orders of the units of `second` in which its parameters are near to those of `first`, for `permuted`.

    first, second: tensors by name, on one device; buffers may be among them. seed: of the stream `matching`,
    which gives the order of the groups in each sweep. start: orders to begin with; none: units as they are.

    Never farther apart than at the start, which is left for a gain only. So models that share a start of
    training may well stay as they are: that no unit moves is a valid optimum.
    Raises FedscapeError for tensors that are not the network's or not finite.
    """
    where, names = _axes_by_tensor(permutations), list(permutations.groups)
    for tensors, which in ((first, "first"), (second, "second")):
        _check(permutations, tensors, which)
    parameters = [name for name, _ in permutations.layout.parameters]
    smallest = SMALLEST_GAIN * (_dot(first, first, parameters) * _dot(second, second, parameters)) ** 0.5
    draw, orders, waiting = stream(seed, "matching"), unmoved(permutations) | dict(start or {}), set(names)
    while waiting:
        for name in (names[number] for number in draw.permutation(len(names)).tolist()):
            if name not in waiting:
                continue
            # Of parameters alone: a buffer has no say.
            axes = [axis for axis in permutations.groups[name].axes if axis.tensor in parameters]
            touched = list(dict.fromkeys(axis.tensor for axis in axes))
            trial = orders | {name: _assigned(axes, first, second, where, orders)}
            now, then = (
                _dot(first, {key: _in_order(second[key], where[key], each) for key in touched}, touched)
                for each in (orders, trial)
            )
            # Asked, because an assignment is not the best one where both axes of a tensor are the group's.
            if then - now > smallest:
                orders = trial
                waiting |= {other for key in touched for other, _ in where[key]}
            else:
                waiting.remove(name)
    return orders


def permuted(tensors: Tensors, permutations: Permutations, orders: Orders) -> dict[str, Tensor]:
    """The same function with its units in these orders: copies of the parameters and buffers given."""
    where = _axes_by_tensor(permutations)
    return {name: _in_order(tensor, where[name], orders) for name, tensor in tensors.items()}


def unmoved(permutations: Permutations) -> dict[str, Tensor]:
    """The orders in which all units are where they were."""
    return {name: torch.arange(group.size) for name, group in permutations.groups.items()}


def units_moved(orders: Orders) -> int:
    """How many units are not where they were."""
    return sum(int((order != torch.arange(len(order))).sum()) for order in orders.values())


def _axes_by_tensor(permutations: Permutations) -> dict[str, list[tuple[str, Axis]]]:
    """Of each tensor the axes that hold units, with their groups; none of tensors without units."""
    where = defaultdict(list)
    for name, group in permutations.groups.items():
        for axis in group.axes:
            where[axis.tensor].append((name, axis))
    return where


def _assigned(
    axes: Iterable[Axis],
    first: Tensors,
    second: Tensors,
    where: Mapping[str, list[tuple[str, Axis]]],
    orders: Orders,
) -> Tensor:
    """The best order of one group on its axes, the other groups being in the orders given."""

    def products(axis: Axis) -> Tensor:
        others = [(name, other) for name, other in where[axis.tensor] if other != axis]
        rows = _rows(first[axis.tensor], axis)
        return rows @ _rows(_in_order(second[axis.tensor], others, orders), axis).T

    likeness = reduce(torch.add, map(products, axes))
    return torch.from_numpy(linear_sum_assignment(likeness.cpu().numpy(), maximize=True)[1])


def _rows(tensor: Tensor, axis: Axis) -> Tensor:
    """What belongs to each unit on an axis, float64 [size, entries]."""
    channels = tensor.detach().movedim(axis.axis, 0).reshape(tensor.shape[axis.axis] // axis.expansion, -1)
    return channels[list(axis.places)].double()


def _in_order(tensor: Tensor, axes: Iterable[tuple[str, Axis]], orders: Orders) -> Tensor:
    """A copy of one tensor with the units of these axes in the orders given."""
    tensor = tensor.detach().clone()
    for name, axis in axes:
        places = torch.tensor(axis.places)
        channels = tensor.unflatten(axis.axis, (-1, axis.expansion)).movedim(axis.axis, 0)
        channels[places] = channels[places[orders[name]]]
    return tensor


def _dot(first: Tensors, second: Tensors, names: Iterable[str]) -> float:
    """Inner product of the tensors of those names in float64."""
    return sum((first[name].double() * second[name].double()).sum().item() for name in names)


def _check(permutations: Permutations, tensors: Tensors, which: str) -> None:
    for name, shape in permutations.layout.parameters:
        if name not in tensors:
            raise FedscapeError(f"weight matching: the {which} model has no tensor {name}")
        if tuple(tensors[name].shape) != shape:
            own = list(tensors[name].shape)
            raise FedscapeError(f"weight matching: {name} of the {which} model is {own}, not {list(shape)}")
        if not tensors[name].isfinite().all():
            raise FedscapeError(f"weight matching: {name} of the {which} model is not finite")
