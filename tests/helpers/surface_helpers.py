"""Planes across models whose surfaces are known, and the stage's arguments for them."""

import sys
from dataclasses import dataclass

import bowl
import numpy as np
import pandas as pd
import torch
from torch import nn

from fedscape.checkpoints.layout import flatten, layout_of
from fedscape.columns.csvs import read_csv, write_csv
from fedscape.data.storage import Inputs, Raw, write_dataset
from fedscape.evaluation.problem import ProblemSpec
from fedscape.jobs.resume import Resume
from fedscape.landscape.evaluator import PlaneFiles, SurfaceEvaluator
from fedscape.landscape.plane import Plane, save_plane
from fedscape.landscape.surface import evaluate_surface
from fedscape.plugins import Plugin
from fedscape.settings.planes import SurfaceSettings

MARKED = ((-1.0, 0.5), (2.0, 1.0), (0.0, -0.5))
CLIENT_SIZES = (13, 5, 9)  # of 30 train samples: three are nobody's


@dataclass(frozen=True)
class Settings:
    """None."""


class Linear(nn.Module):
    """A classifier whose loss differs from sample to sample."""

    def __init__(self, pixels, classes):
        super().__init__()
        self.layer = nn.Linear(pixels, classes)

    def forward(self, images):
        return self.layer(images.flatten(1))


def build(settings, shape, classes):
    return Linear(int(np.prod(shape)), classes)


def lay(tmp_path, module, spread=1.0, marked=MARKED, **changes):
    """A skew plane through the module's weights, with markers of which the last has no coordinates."""
    layout = layout_of(module)
    centre, floats, counters = flatten(module.state_dict(), layout)
    draw = np.random.default_rng(4)
    directions, buffer_directions = (
        torch.from_numpy(np.float32(spread * draw.standard_normal((2, len(row))))) for row in (centre, floats)
    )
    plane = Plane(
        **{"layout": layout, "centre": centre, "directions": directions, "floats": floats, "axes": "models"}
        | {"counters": counters, "buffer_directions": buffer_directions}
        | changes
    )
    save_plane(tmp_path / "plane.safetensors", plane)
    rows = [*marked, (np.nan, np.nan)]
    write_csv(tmp_path / "markers.csv", pd.DataFrame(rows, columns=["x", "y"]), ["x", "y"])
    return plane


def bowl_plane(tmp_path, **changes):
    """A plane across the bowl, and the bowl's data."""
    bowl.world(tmp_path, [])
    network = bowl.Bowl()
    weights = torch.from_numpy(np.float32(np.random.default_rng(5).standard_normal(bowl.SIZE)))
    nn.utils.vector_to_parameters(weights, network.parameters())
    return lay(tmp_path, network, **changes)


def linear_plane(tmp_path, **changes):
    """A plane across linear classifiers, and data of three clients."""
    sys.modules["fedscape.models.networks.linear"] = sys.modules[__name__]
    draw = np.random.default_rng(6)
    images = [Inputs.of(draw.integers(0, 256, (count, 1, 4, 4), dtype=np.uint8)) for count in (34, 4)]
    labels = [draw.integers(0, 3, count) for count in (34, 4)]
    write_dataset(
        tmp_path / "data", "d", "d", Raw(("a", "b", "c"), images[0], labels[0], images[1], labels[1])
    )
    owned = draw.permutation(30)[: sum(CLIENT_SIZES)]
    offsets = np.cumsum([0, *CLIENT_SIZES])
    parts = [np.sort(part) for part in np.split(owned, offsets[1:-1])]
    np.savez(
        tmp_path / "partition.npz", train=np.arange(30), validation=np.arange(30, 34), test=np.arange(4),
        indices=np.concatenate(parts), offsets=offsets,
    )  # fmt: skip
    torch.manual_seed(0)
    return lay(tmp_path, Linear(16, 3), **changes), parts


def common(
    tmp_path, model="bowl", samples=None, seed=0, resume_folder=None, fingerprint="f", grid=(5, 3), **settings
):
    """What surfaces and their parts are asked for alike; settings: others of `SurfaceSettings`."""
    grid = (grid, grid) if isinstance(grid, int) else grid
    files = tmp_path / "data", tmp_path / "partition.npz"
    return {
        "files": PlaneFiles(tmp_path / "plane.safetensors", tmp_path / "markers.csv"),
        "problem": ProblemSpec(Plugin(model), *files, samples, seed),
        "settings": SurfaceSettings(grid, **settings),
        "resume": Resume(resume_folder or tmp_path / "resume", fingerprint),
    }


def surface(tmp_path, out="surface.csv", parts=(), **changes):
    """The surface over the plane that lies in the folder."""
    identity = {**bowl.identity(partition="*"), "plane": "p", "group": "g"}
    evaluate_surface(identity=identity, parts=parts, **common(tmp_path, **changes), out=tmp_path / out)
    return read_csv(tmp_path / out)


def landscape(monkeypatch, function):
    """Points whose loss and error are a function of their coordinates, for every group alike."""

    def measure(self, x, y):
        loss, error = function(x, y)
        return np.array([[loss, 0.01, error, 0.01]] * len(self.sizes))

    monkeypatch.setattr(SurfaceEvaluator, "measure", measure)


def fresh(tmp_path, name="fresh", **changes):
    """The bytes of a surface that knows of no point."""
    (tmp_path / name).mkdir()
    surface(tmp_path, f"{name}/surface.csv", resume_folder=tmp_path / name / "resume", **changes)
    return (tmp_path / name / "surface.csv").read_bytes()


def counted_points(monkeypatch):
    """A list that grows by every evaluated point from now on."""
    calls = []
    real = SurfaceEvaluator.measure
    monkeypatch.setattr(
        SurfaceEvaluator, "measure", lambda self, x, y: calls.append((x, y)) or real(self, x, y)
    )
    return calls
