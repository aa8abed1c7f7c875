"""Planes of a study: what an entry lays through its runs and evaluates, checked against what they keep."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from fedscape.errors import FedscapeError
from fedscape.moment import Moment
from fedscape.plugins import Plugin
from fedscape.settings.plain import to_plain
from fedscape.settings.planes import SurfaceSettings
from fedscape.study.catalog import constant, plugin
from fedscape.study.grid import Run, runs_of
from fedscape.study.methods import check_clients_kept, kept_moment, moment
from fedscape.study.study import AnyMethod, Entry
from fedscape.study.types import filled

_FEWEST_KEPT = 2  # models that a plane can lie through
_OF_RUNS = ("kind", "runs", "each", "seeds")  # keys of an entry beside those of its kind and its surface


@dataclass(frozen=True, kw_only=True)
class PlaneEntry(SurfaceSettings):
    """What an entry of `planes` lays through its runs, and how the surface on it is evaluated."""

    plane: Plugin
    samples: int | None = None  # of the training samples; None: all
    parts: int = 1  # jobs that share the points of a surface


def plane_settings(entry: Entry) -> PlaneEntry:
    """What an entry of `planes` asks for.

    Raises FedscapeError for a group that the kind cannot take, a round that a run does not keep, and
    settings that exclude each other.
    """
    surface = [field.name for field in fields(PlaneEntry) if field.name != "plane"]
    shared = (*_OF_RUNS, *surface)
    own = {key: value for key, value in entry.keys.items() if key not in shared}
    plane = plugin("plane", entry.keys["kind"], own, entry.where, shared)
    settings = filled(PlaneEntry, {**_surface_keys(entry, plane.kind), "plane": plane})
    _check_surface(settings, entry.where)
    for group, members in entry.groups.items():
        _check_group(settings, group, runs_of(members), entry.where)
        kept = sum(entry.methods[run.method].kept for run in runs_of(members))
        if plane.kind == "trajectory" and kept < _FEWEST_KEPT:
            raise FedscapeError(
                f"{entry.where}: kind trajectory lies through the kept rounds of its runs, and group {group} "
                "has one model; use kind random or eigenvectors"
            )
    for run in runs_of(entry.members) if "round" in plane.settings else ():
        number = kept_moment(plane.settings["round"], run.method, entry.methods, f"{entry.where}.round")
        if constant("plane", plane.kind, "CLIENTS"):
            check_clients_kept(number, run.method, entry.methods, f"{entry.where}.round")
    return settings


def plain_plane(settings: PlaneEntry) -> dict:
    """The settings of an entry as builtin types."""
    return {**to_plain(settings), "plane": settings.plane.keys}


def plane_of(settings: PlaneEntry, method: AnyMethod) -> Plugin:
    """The plane as its job takes it, its round as a number or `last`, which may be an earlier one.

    method: of the first run.
    """
    plane = settings.plane
    asked: Moment | None = plane.settings.get("round")
    if asked is None or asked == "last":
        return plane
    return Plugin(plane.kind, {**plane.settings, "round": moment(asked, method.rounds, "round")})


def _surface_keys(entry: Entry, kind: str) -> dict[str, object]:
    """The keys of an entry in one spelling, with the defaults that its kind decides."""
    keys = dict(entry.keys)
    if "grid" in keys:
        keys["grid"] = keys["grid"] if isinstance(keys["grid"], list) else [keys["grid"]] * 2
    for key in ("margin", "error"):
        if keys.get(key) is not None:
            keys[key] = float(keys[key])
    if keys.get("client_losses") is None:
        keys["client_losses"] = bool(constant("plane", kind, "CLIENTS"))
    return keys


def _check_surface(settings: PlaneEntry, where: str) -> None:
    """Refuse settings of a surface that exclude each other."""
    grid, kind = settings.grid, settings.plane.kind
    if any((points - 1) % settings.coarse for points in grid):
        raise FedscapeError(
            f"{where}.coarse: got {settings.coarse}, must divide the steps of the grid "
            f"({' and '.join(str(points - 1) for points in dict.fromkeys(grid))})"
        )
    if settings.error is not None and settings.coarse > 1:
        raise FedscapeError(
            f"{where}.error: got {settings.error} beside coarse {settings.coarse}, which chooses the points, "
            "too; take one of them, at a scale `error: null` or `coarse: 1`"
        )
    if settings.parts > grid[0]:
        raise FedscapeError(f"{where}.parts: got {settings.parts}, more than the grid has columns")
    if settings.batch_norm == "interpolate" and not constant("plane", kind, "THROUGH_MODELS"):
        raise FedscapeError(
            f"{where}.batch_norm: interpolate needs a plane laid through models; kind {kind} has none "
            "to interpolate between, allowed: keep, recalibrate"
        )


def _check_group(settings: PlaneEntry, group: str, runs: Sequence[Run], where: str) -> None:
    kind = settings.plane.kind
    fewest, most = (constant("plane", kind, key) for key in ("FEWEST_RUNS", "MOST_RUNS"))
    for limit, wrong, words in (
        (fewest, len(runs) < (fewest or 0), "at least"),
        (most, most is not None and len(runs) > most, "at most"),
    ):
        if wrong:
            raise FedscapeError(
                f"{where}: kind {kind} takes {words} {limit} run(s) a group, but group {group} has "
                f"{len(runs)}; change `runs` or `each`"
            )
    for key, several, mend in (
        ("partition", sorted({run.partition for run in runs}), "add `partition` to `each`"),
        ("seed", sorted({run.seed for run in runs}), "leave out `seeds: together`"),
    ):
        if settings.client_losses and len(several) > 1:
            raise FedscapeError(
                f"{where}.client_losses: group {group} has several {key}s ({', '.join(map(str, several))}), "
                f"so no one set of clients; {mend}"
            )
