"""What stages take, made of the files that `bowl.world` and `normed.world` describe."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from fedscape.checkpoints.run_files import RunFiles
from fedscape.evaluation.problem import ProblemSpec
from fedscape.plugins import Plugin


def problem_of(world: Mapping) -> ProblemSpec:
    """What the world's models are evaluated on."""
    return ProblemSpec(
        model=Plugin(world["model"], world["model_settings"]),
        dataset=world["dataset_folder"],
        partition=world["partition"],
        samples=world["samples"],
        seed=world["seed"],
        device=world["device"],
    )


def runs_of(
    world: Mapping, clients: Sequence[Path] = (), partitions: Sequence[Path] = (), **entry: str
) -> list[RunFiles]:
    """The world's runs; entry: the columns that name the entry of a study and the group."""
    files = zip_longest(world["runs"], world["trajectories"], clients, partitions)
    return [RunFiles({**identity, **entry}, *paths) for identity, *paths in files]
