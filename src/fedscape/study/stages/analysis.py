"""What analyses of groups of runs share: which files of the runs they read, how settings name the runs."""

from dataclasses import asdict

from fedscape.study.stages.data import samples
from fedscape.study.stages.stage import Files, Group
from fedscape.study.stages.training import run_files


def group_samples(group: Group) -> Files:
    """The prepared data and the partition of a group.

    Runs of one data set and one seed share their training samples whatever their partition, so the first
    run's file stands for all.
    """
    return samples(group.study, group.runs[0])


def group_trajectories(group: Group) -> Files:
    """The samples of a group, and the trajectory of each of its runs."""
    return {**group_samples(group), "trajectories": run_files(group.study, group.runs, "trajectory")}


def group_clients(group: Group) -> list[str]:
    """The clients' models of each run of a group."""
    return run_files(group.study, group.runs, "clients")


def group_settings(group: Group) -> dict:
    """How the settings of a group name its runs, and the network that these share."""
    return {"model": group.study.models[group.runs[0].model].keys, **run_names(group)}


def run_names(group: Group) -> dict:
    """How the settings of a group name its runs."""
    return {"runs": [asdict(run) for run in group.runs]}
