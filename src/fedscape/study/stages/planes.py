"""Stages `plane`, `surface_part`, `surface` and `export`: planes through models, and the loss on them."""

from collections.abc import Iterator

from fedscape.study.catalog import constant
from fedscape.study.planes import PlaneEntry, plain_plane, plane_of, plane_settings
from fedscape.study.stages.analysis import (
    group_clients,
    group_samples,
    group_settings,
    group_trajectories,
)
from fedscape.study.stages.stage import Files, Group, Groups, Section, Stage, Wildcards
from fedscape.study.study import Study


def _plane_inputs(group: Group[PlaneEntry]) -> Files:
    of_clients = constant("plane", group.settings.plane.kind, "CLIENTS")
    return {**group_trajectories(group), "clients": group_clients(group) if of_clients else []}


def _plane_settings(group: Group[PlaneEntry]) -> dict:
    plane = plane_of(group.settings, group.study.methods[group.runs[0].method])
    return {
        "plane": plane.keys,
        "samples": group.settings.samples,
        "batch_norm": group.settings.batch_norm,
        **group_settings(group),
    }


def _surface_inputs(group: Group[PlaneEntry]) -> Files:
    points = [SURFACE_PART.file(group.study, part, "points") for part in _parts(group)]
    return {**_on_plane(group), "parts": points}


def _surface_settings(group: Group[PlaneEntry]) -> dict:
    entry = {key: value for key, value in plain_plane(group.settings).items() if key != "plane"}
    return {**entry, **group_settings(group)}


def _part_jobs(study: Study) -> Iterator[Wildcards]:
    for wildcards in _GROUPS.jobs(study):
        yield from _parts(_GROUPS.group(study, wildcards))


def _parts(group: Group[PlaneEntry]) -> list[dict[str, str]]:
    """The wildcards of the jobs that share the points of a surface; none if it is one job's."""
    own, parts = {key: group.wildcards[key] for key in ("name", "group")}, group.settings.parts
    return [{**own, "part": str(part), "parts": str(parts)} for part in range(1, parts + 1) if parts > 1]


def _on_plane(group: Group[PlaneEntry]) -> dict[str, str | list[str]]:
    """The samples of a group, and its plane."""
    plane = {output: PLANE.file(group.study, group.wildcards, output) for output in PLANE.outputs}
    return {**group_samples(group), **plane}


def _export_inputs(group: Group[PlaneEntry]) -> Files:
    study, wildcards = group.study, group.wildcards
    return {
        "surface": SURFACE.file(study, wildcards, "surface"),
        "markers": PLANE.file(study, wildcards, "markers"),
    }


PLANES_SECTION = Section(
    "planes", plane_settings, plain=plain_plane, parts=lambda settings: settings.parts, entry="plane"
)
_GROUPS = Groups(PLANES_SECTION.name, PlaneEntry)
PLANE = Stage(
    "plane",
    outputs={"plane": _GROUPS.file("plane.safetensors"), "markers": _GROUPS.file("markers.csv")},
    inputs=_GROUPS.each(_plane_inputs),
    settings=_GROUPS.each(_plane_settings),
    jobs=_GROUPS.jobs,
    resume=_GROUPS.file("resume-plane"),  # beside that of the surface
    section=PLANES_SECTION.name,
    gpu=True,
    unit="markers",
)
SURFACE_PART = Stage(
    "surface_part",
    outputs={"points": _GROUPS.file("parts/{part}-of-{parts}.npz")},
    inputs=_GROUPS.each(_on_plane),
    settings=_GROUPS.each(_surface_settings),
    jobs=_part_jobs,
    resume=_GROUPS.file("parts/resume-{part}-of-{parts}"),
    section=PLANES_SECTION.name,
    gpu=True,
    unit="points",
    temporary=True,
    tracks=("surface_part", "surface"),
)
SURFACE = Stage(
    "surface",
    outputs={"surface": _GROUPS.file("surface.csv")},
    inputs=_GROUPS.each(_surface_inputs),
    settings=_GROUPS.each(_surface_settings),
    jobs=_GROUPS.jobs,
    resume=_GROUPS.file("resume"),
    section=PLANES_SECTION.name,
    gpu=True,
    unit="points",
    targets=("surface",),
)
EXPORT = Stage(
    "export",
    outputs={
        "surface": _GROUPS.file("surface.vts"),
        "trajectories": _GROUPS.file("trajectories.vtp"),
    },
    inputs=_GROUPS.each(_export_inputs),
    settings=_GROUPS.each(lambda group: {}),
    jobs=_GROUPS.jobs,
    section=PLANES_SECTION.name,
    targets=("surface", "trajectories"),
    local=True,
)
