"""Which entries of a network's tensors are the same unit, and which units may change places with others."""

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

ORDERED = 0
"""The unit that stands for everything that keeps its place."""
PADDING = -1
"""A channel without a unit: a constant, the same in all such channels."""


class Axis(NamedTuple):
    """Where one axis of a tensor holds the units of a group.

    expansion: consecutive entries of each channel, H * W behind the flattening of an H x W map, else 1.
    places: the channel of each unit along the axis; 0, 1, ... unless other units lie there, too.
    """

    tensor: str
    axis: int
    expansion: int
    places: tuple[int, ...]


@dataclass(frozen=True)
class UnitGroup:
    """Units that may be in any order, as long as it is the same on every one of the axes."""

    size: int
    axes: tuple[Axis, ...]


class Units:
    """Union-find over single units, and the axes of tensors on which they have been placed."""

    def __init__(self):
        self._parents = [ORDERED]
        self._slots: dict[tuple[str, int], tuple[np.ndarray, int]] = {}

    def new(self, count: int) -> np.ndarray:
        """Units [count] that nothing else is yet."""
        first = len(self._parents)
        self._parents += range(first, first + count)
        return np.arange(first, first + count)

    def join(self, first: np.ndarray, second: np.ndarray) -> None:
        """Make the units of two arrays [C] the same, one by one."""
        for pair in zip(first.tolist(), second.tolist(), strict=True):
            low, high = sorted(map(self._root, pair))
            self._parents[high] = low  # ORDERED is the lowest of all

    def keep_order(self, channels: np.ndarray) -> None:
        """Pin these units [C]: from now on they keep their positions."""
        held = channels[channels != PADDING]
        self.join(held, np.full_like(held, ORDERED))

    def place(self, tensor: str, axis: int, channels: np.ndarray, expansion: int = 1) -> np.ndarray:
        """Lay units [C] on an axis of C * expansion entries; the units that lie there from now on.

        Where units lie already, because a layer is used once more, the new ones are the same.
        """
        channels = np.where(channels == PADDING, ORDERED, channels)
        held, _ = self._slots.setdefault((tensor, axis), (channels, expansion))
        self.join(held, channels)
        return held

    def groups(self) -> dict[str, UnitGroup]:
        """Groups of two or more units that lie on the same axes, by the layer that holds the first axis.

        A group that begins in the middle of that axis has the place behind its name: `conv2[16]`.
        """
        groups = {}
        for slots, places in self._alike().items():
            layer, first = slots[0][0].rpartition(".")[0], places[0][0]
            axes = tuple(
                Axis(*slot, self._slots[slot][1], tuple(on_axis))
                for slot, on_axis in zip(slots, zip(*places, strict=True), strict=True)
            )
            if len(places) > 1:
                groups[f"{layer}[{first}]" if first else layer] = UnitGroup(len(places), axes)
        return groups

    def _alike(self) -> dict[tuple[tuple[str, int], ...], list[list[int]]]:
        """Of all axes that units have in common, the place of each unit on each of them.

        A unit that lies twice on an axis keeps its places, because those two are not alike.
        """
        held: dict = defaultdict(lambda: defaultdict(list))
        for slot, (channels, _) in self._slots.items():
            for channel, unit in enumerate(channels.tolist()):
                held[self._root(unit)][slot].append(channel)
        held.pop(ORDERED, None)
        alike = defaultdict(list)
        for slots in held.values():
            if all(len(places) == 1 for places in slots.values()):
                alike[tuple(slots)].append([places[0] for places in slots.values()])
        return alike

    def _root(self, unit: int) -> int:
        while self._parents[unit] != unit:
            unit = self._parents[unit]
        return unit
