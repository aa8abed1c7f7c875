"""A plane through parameter space: its file, its points, and where models lie relative to it."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fedscape.errors import FedscapeError
from fedscape.files import atomic
from fedscape.models.layout import Layout, buffers_of


@dataclass(frozen=True)
class Plane:
    """The points centre + x * directions[0] + y * directions[1].

    centre: v*, float32 [P]. directions: float32 [2, P], orthonormal up to their rounding. floats [B] and
    counters [C]: the buffers that a model of the plane has before any recalibration. explained: share of the
    models' squared distances along each direction.
    """

    layout: Layout
    centre: Tensor
    directions: Tensor
    floats: Tensor
    counters: Tensor
    explained: tuple[float, float]

    @property
    def buffers(self) -> dict[str, Tensor]:
        """The buffers by name."""
        return buffers_of(self.floats, self.counters, self.layout)

    def to(self, device: torch.device) -> "Plane":
        """The same plane on a device."""
        tensors = (self.centre, self.directions, self.floats, self.counters)
        return Plane(self.layout, *(tensor.to(device) for tensor in tensors), self.explained)

    def at(self, x: float, y: float) -> Tensor:
        """Parameters [P] of a point, always built from the stored centre: rounding does not add up."""
        return self.centre + x * self.directions[0] + y * self.directions[1]

    def project(self, parameters: Tensor) -> tuple[float, float, float]:
        """Coordinates (x, y) of the nearest point of the plane, and the part of the model that lies off it.

        That residual is ||d - projection of d|| / ||d|| for d = parameters - centre: 0 in the plane (and at
        the centre), 1 at right angles to it. Least squares in float64, right for any two directions.
        """
        offset = parameters.double() - self.centre.double()
        directions = self.directions.double()
        x, y = torch.linalg.solve(directions @ directions.T, directions @ offset).tolist()
        length = torch.linalg.vector_norm(offset).item()
        if length == 0:
            return 0.0, 0.0, 0.0
        off_plane = offset - x * directions[0] - y * directions[1]
        return x, y, torch.linalg.vector_norm(off_plane).item() / length


def save_plane(path: str | Path, plane: Plane) -> None:
    """Write `plane.safetensors`, atomically."""
    tensors = {
        "centre": plane.centre,
        "directions": plane.directions,
        "buffers": plane.floats,
        "counters": plane.counters,
    }
    # One entry, because safetensors writes several in no fixed order.
    metadata = {"plane": json.dumps({"layout": plane.layout.to_json(), "explained": plane.explained})}
    with atomic(path) as temporary:
        # Not save_file: its files are readable by their owner alone, whatever the umask.
        temporary.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata))


def open_plane(path: str | Path) -> Plane:
    """Read `plane.safetensors`; a file that is cut off or no plane is named."""
    try:
        with safe_open(path, framework="pt") as file:
            described = json.loads((file.metadata() or {})["plane"])
            tensors = [file.get_tensor(name) for name in ("centre", "directions", "buffers", "counters")]
            return Plane(Layout.from_json(described["layout"]), *tensors, tuple(described["explained"]))
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise FedscapeError(f"{path}: not a whole plane ({reason}); delete it to make it again") from error
