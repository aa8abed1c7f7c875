"""Arguments of the planes' stage for the runs that `bowl.world` writes."""

from itertools import zip_longest

from fedscape.checkpoints.run_files import RunFiles
from fedscape.evaluation.problem import ProblemSpec
from fedscape.jobs.resume import Resume
from fedscape.plugins import Plugin


def plane_arguments(folder, world, kind="trajectory", settings=None):
    """Those of `make_plane` for a world, whose entries may be changed, with outputs in a folder."""
    runs = zip_longest(world["runs"], world["trajectories"], world.get("clients", []))
    return {
        "kind": Plugin(kind, settings or {}),
        "problem": ProblemSpec(
            model=Plugin(world["model"], world["model_settings"]),
            dataset=world["dataset_folder"],
            partition=world["partition"],
            samples=world["samples"],
            seed=world["seed"],
            device=world["device"],
        ),
        "runs": [RunFiles({**identity, "plane": "p", "group": "g"}, *files) for identity, *files in runs],
        "batch_norm": world.get("batch_norm", "keep"),
        "resume": Resume(folder / "resume", "f"),
        "out_plane": folder / "plane.safetensors",
        "out_markers": folder / "markers.csv",
    }
