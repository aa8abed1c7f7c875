"""A plane through parameter space: its file, its points, and where models lie relative to it."""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from fedscape.checkpoints.layout import Layout, buffers_of
from fedscape.files import atomic, reading
from fedscape.settings.evaluation import BatchNorm

# Fields of a plane as the file names its tensors.
_TENSORS = {
    "centre": "centre",
    "directions": "directions",
    "floats": "buffers",
    "counters": "counters",
    "buffer_directions": "buffer_directions",
}
_DESCRIBED = ("explained", "axes", "box", "curvature")  # fields that the file's metadata holds


@dataclass(frozen=True)
class Plane:
    """The points centre + x * directions[0] + y * directions[1].

    centre: v*, float32 [P]. directions: float32 [2, P], any two that are not parallel. floats [B] and
    counters [C]: the centre's buffers. buffer_directions: float32 [2, B], the mixture of the models' float
    buffers that `directions` is of their parameters; zeros where the plane is not laid through models. axes:
    what the directions are, as the kind declares it. explained: share of the models' squared distances from
    the centre along each direction, None for a kind without one. box: (x0, x1, y0, y1) to be drawn, None for
    a box around the models. curvature: second derivative of the loss along each direction at the centre,
    where it is known.
    """

    layout: Layout
    centre: Tensor
    directions: Tensor
    floats: Tensor
    counters: Tensor
    buffer_directions: Tensor
    axes: str
    explained: tuple[float, float] | None = None
    box: tuple[float, float, float, float] | None = None
    curvature: tuple[float, float] | None = None

    @property
    def buffers(self) -> dict[str, Tensor]:
        """The centre's buffers by name."""
        return buffers_of(self.floats, self.counters, self.layout)

    def to(self, device: torch.device) -> "Plane":
        """The same plane on a device."""
        return dataclasses.replace(self, **{name: getattr(self, name).to(device) for name in _TENSORS})

    def at(self, x: float, y: float) -> Tensor:
        """Parameters [P] of a point, always built from the stored centre: rounding does not add up."""
        return self.centre + x * self.directions[0] + y * self.directions[1]

    def buffers_at(self, x: float, y: float, policy: BatchNorm) -> dict[str, Tensor]:
        """Buffers by name of a point before any recalibration: the centre's, or interpolated ones.

        Interpolation extends beyond the models, where a variance may turn negative: it is cut at 0.
        """
        if policy != "interpolate":
            return self.buffers
        floats = self.floats + x * self.buffer_directions[0] + y * self.buffer_directions[1]
        mixed = buffers_of(floats, self.counters, self.layout)
        return {
            name: tensor.clamp(min=0) if name.rpartition(".")[2] == "running_var" else tensor
            for name, tensor in mixed.items()
        }

    def project(self, parameters: Tensor) -> tuple[float, float, float]:
        """Coordinates (x, y) of the nearest point of the plane, and the part of the model that lies off it.

        That residual is ||d - projection of d|| / ||d|| for d = parameters - centre: 0 in the plane (and at
        the centre), 1 at right angles to it. Least squares in float64, right for any two directions.
        """
        offset = parameters.double() - self.centre.double()
        length = torch.linalg.vector_norm(offset).item()
        if length == 0:
            return 0.0, 0.0, 0.0
        directions = self.directions.double()
        x, y = torch.linalg.solve(directions @ directions.T, directions @ offset).tolist()
        off_plane = offset - x * directions[0] - y * directions[1]
        return x, y, torch.linalg.vector_norm(off_plane).item() / length


def save_plane(path: str | Path, plane: Plane | None) -> None:
    """Write `plane.safetensors`, atomically; None for a group without a plane: all its runs diverged."""
    tensors, described = {}, None
    if plane is not None:
        tensors = {stored: getattr(plane, name).contiguous() for name, stored in _TENSORS.items()}
        described = {"layout": plane.layout.to_json()} | {name: getattr(plane, name) for name in _DESCRIBED}
    with atomic(path) as temporary:
        # One entry of metadata, because safetensors writes several in no fixed order. Not save_file: its
        # files are readable by their owner alone, whatever the umask.
        temporary.write_bytes(save(tensors, {"plane": json.dumps(described)}))


def open_plane(path: str | Path) -> Plane | None:
    """Read `plane.safetensors`, None as it was saved; a file that is cut off or no plane is named."""
    with reading(path, "plane"), safe_open(path, framework="pt") as file:
        described = json.loads((file.metadata() or {})["plane"])
        if described is None:
            return None
        layout = Layout.from_json(described["layout"])
        tensors = {name: file.get_tensor(stored) for name, stored in _TENSORS.items()}
        for name, (shape, dtype) in _shapes(layout).items():
            if (tensors[name].shape, tensors[name].dtype) != (shape, dtype):
                raise ValueError(
                    f"{name} is {tensors[name].dtype} {list(tensors[name].shape)}, not of its layout"
                )
            if not tensors[name].isfinite().all():
                raise ValueError(f"{name} is NaN or infinite")
        values = {name: described[name] for name in _DESCRIBED}
        if not isinstance(values["axes"], str):
            raise ValueError(f"axes: {values['axes']} is no text")
        for name, length in (("explained", 2), ("box", 4), ("curvature", 2)):
            if not (values[name] is None or _is_numbers(values[name], length)):
                raise ValueError(f"{name}: {values[name]} is not {length} numbers")
        about: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return Plane(layout=layout, **tensors, **about)


def _shapes(layout: Layout) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Shape and type of each tensor of a plane."""
    return {
        "centre": ((layout.parameter_count,), torch.float32),
        "directions": ((2, layout.parameter_count), torch.float32),
        "floats": ((layout.buffer_count,), torch.float32),
        "counters": ((layout.counter_count,), torch.int64),
        "buffer_directions": ((2, layout.buffer_count), torch.float32),
    }


def _is_numbers(value: object, length: int) -> bool:
    """Whether a value of a file's metadata is a list of this many finite numbers."""
    return (
        isinstance(value, list)
        and len(value) == length
        and all(type(number) in (int, float) and math.isfinite(number) for number in value)
    )
