"""What the planes of a study must fulfil, beyond the values of their settings."""

from collections.abc import Mapping

from fedscape.errors import FedscapeError
from fedscape.study.catalog import constant
from fedscape.study.grid import Run
from fedscape.study.methods import kept_moment, moment
from fedscape.study.study import Method


def plane_settings(
    settings: dict, groups: Mapping[str, tuple[Run, ...]], methods: Mapping[str, Method], place: str
) -> dict:
    """The settings of an entry of `planes` in the form that its jobs take, checked against its groups.

    Raises FedscapeError for a group that the kind cannot take, a round that a run does not keep, and
    settings that exclude each other.
    """
    kind = settings["plane"]["kind"]
    grid = settings["grid"] if isinstance(settings["grid"], list) else [settings["grid"]] * 2
    clients = constant("plane", kind, "CLIENTS")
    client_losses = settings["client_losses"]
    settings = {
        **settings,
        "grid": grid,
        "margin": float(settings["margin"]),
        "client_losses": bool(clients if client_losses is None else client_losses),
    }
    if any((points - 1) % settings["coarse"] for points in grid):
        raise FedscapeError(
            f"{place}.coarse: got {settings['coarse']}, must divide the steps of the grid "
            f"({' and '.join(str(points - 1) for points in dict.fromkeys(grid))})"
        )
    if settings["parts"] > grid[0]:
        raise FedscapeError(f"{place}.parts: got {settings['parts']}, more than the grid has columns")
    if settings["batch_norm"] == "interpolate" and not constant("plane", kind, "THROUGH_MODELS"):
        raise FedscapeError(
            f"{place}.batch_norm: interpolate needs a plane laid through models; kind {kind} has none "
            "to interpolate between, allowed: keep, recalibrate"
        )
    for group, runs in groups.items():
        _check_group(kind, settings, group, runs, place)
        for run in runs if "round" in settings["plane"] else ():
            _check_round(settings["plane"]["round"], run, methods, bool(clients), f"{place}.round")
    return settings


def plane_round(value: object, method: Method) -> object:
    """The round of a plane's kind as its job takes it: a number, or `last`, which may be an earlier one."""
    return value if value == "last" else moment(value, method.training["rounds"], "round")


def _check_group(kind: str, settings: dict, group: str, runs: tuple[Run, ...], place: str) -> None:
    fewest, most = (constant("plane", kind, key) for key in ("FEWEST_RUNS", "MOST_RUNS"))
    for limit, wrong, words in (
        (fewest, len(runs) < (fewest or 0), "at least"),
        (most, most is not None and len(runs) > most, "at most"),
    ):
        if wrong:
            raise FedscapeError(
                f"{place}: kind {kind} takes {words} {limit} run(s) a group, but group {group} has "
                f"{len(runs)}; change `runs` or `each`"
            )
    for key, several, mend in (
        ("partition", sorted({run.partition for run in runs}), "add `partition` to `each`"),
        ("seed", sorted({run.seed for run in runs}), "leave out `seeds: together`"),
    ):
        if settings["client_losses"] and len(several) > 1:
            raise FedscapeError(
                f"{place}.client_losses: group {group} has several {key}s ({', '.join(map(str, several))}), "
                f"so no one set of clients; {mend}"
            )


def _check_round(value: object, run: Run, methods: Mapping[str, Method], clients: bool, place: str) -> None:
    number = kept_moment(value, run.method, methods, place)
    kept = methods[run.method].client_rounds
    if clients and number not in kept:
        raise FedscapeError(
            f"{place}: round {number} is not among the client_rounds of {run.method} "
            f"({', '.join(map(str, kept)) or 'none'})"
        )
