"""Arguments of the planes' stage for the runs that `bowl.world` writes."""

from stage_values import problem_of, runs_of

from fedscape.jobs.resume import Resume
from fedscape.plugins import Plugin


def plane_arguments(folder, world, kind="trajectory", settings=None):
    """Those of `make_plane` for a world, whose entries may be changed, with outputs in a folder."""
    return {
        "kind": Plugin(kind, settings or {}),
        "problem": problem_of(world),
        "runs": runs_of(world, world.get("clients", []), plane="p", group="g"),
        "batch_norm": world.get("batch_norm", "keep"),
        "resume": Resume(folder / "resume", "f"),
        "out_plane": folder / "plane.safetensors",
        "out_markers": folder / "markers.csv",
    }
