"""What analyses of groups of runs share: which files of the runs they read, how settings name the runs."""

from collections.abc import Iterable
from dataclasses import asdict

from fedscape.study.grid import Run
from fedscape.study.stages.data import samples
from fedscape.study.stages.stage import Names, analysed_runs
from fedscape.study.stages.training import run_files
from fedscape.study.study import Study


def group_samples(section: str, study: Study, names: Names) -> dict[str, str | list[str]]:
    """The prepared data and the partition of a group.

    Runs of one data set and one seed share their training samples whatever their partition, so the first
    run's file stands for all.
    """
    return samples(study, analysed_runs(section, study, names)[0])


def group_trajectories(section: str, study: Study, names: Names) -> dict[str, str | list[str]]:
    """The samples of a group, and the trajectory of each of its runs."""
    runs = analysed_runs(section, study, names)
    return {**samples(study, runs[0]), "trajectories": run_files(study, runs, "trajectory")}


def clients_of(section: str, study: Study, names: Names, wanted: bool) -> list[str]:
    """The clients' models of each run of a group, where they are wanted."""
    return run_files(study, analysed_runs(section, study, names), "clients") if wanted else []


def run_names(study: Study, runs: Iterable[Run]) -> dict:
    """How the settings of a group name its runs, and the network that these share."""
    runs = list(runs)
    return {"model": study.models[runs[0].model], "runs": [asdict(run) for run in runs]}
