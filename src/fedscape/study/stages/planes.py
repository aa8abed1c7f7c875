"""Stages `plane`, `surface_part`, `surface` and `export`: planes through models, and the loss on them."""

from collections.abc import Iterator

from fedscape.study.catalog import constant, plugin_settings
from fedscape.study.planes import plane_round, plane_settings
from fedscape.study.stages.analysis import clients_of, group_samples, group_trajectories, run_names
from fedscape.study.stages.stage import Entry, Files, Names, Section, Stage, analysed, groups, of_group
from fedscape.study.study import Study

SECTION = "planes"
# Of the settings that an entry has beside its runs and those of its kind; the schema explains them.
_DEFAULTS = {
    "grid": 21,
    "margin": 0.3,
    "samples": None,
    "batch_norm": "keep",
    "client_losses": None,
    "precision": "fp32",
    "coarse": 1,
    "parts": 1,
}


def _entry_settings(entry: Entry) -> dict:
    shared = ("kind", "runs", "each", "seeds", *_DEFAULTS)
    own = {key: value for key, value in entry.keys.items() if key not in shared}
    settings = {**_DEFAULTS, **{key: value for key, value in entry.keys.items() if key in _DEFAULTS}}
    settings["plane"] = plugin_settings("plane", entry.keys["kind"], own, entry.place, shared)
    return plane_settings(settings, entry.groups, entry.methods, entry.place)


def _plane_inputs(study: Study, names: Names) -> Files:
    settings, _ = analysed(SECTION, study, names)
    wanted = constant("plane", settings["plane"]["kind"], "CLIENTS")
    return {**group_trajectories(SECTION, study, names), "clients": clients_of(SECTION, study, names, wanted)}


def _plane_settings(study: Study, names: Names) -> dict:
    entry, runs = analysed(SECTION, study, names)
    settings = {key: entry[key] for key in ("plane", "samples", "batch_norm")}
    if "round" in settings["plane"]:
        number = plane_round(settings["plane"]["round"], study.methods[runs[0].method])
        settings["plane"] = {**settings["plane"], "round": number}
    return {**settings, **run_names(study, runs)}


def _part_inputs(study: Study, names: Names) -> Files:
    group = {key: names[key] for key in ("name", "group")}
    return {
        **group_samples(SECTION, study, names),
        **{output: PLANE.file(study, group, output) for output in PLANE.outputs},
    }


def _surface_inputs(study: Study, names: Names) -> Files:
    parts = [SURFACE_PART.file(study, {**names, **part}, "points") for part in _parts(study, names)]
    return {**_part_inputs(study, names), "parts": parts}


def _parts(study: Study, names: Names) -> list[Names]:
    """The numbers of the jobs that share the points of a surface; none if it is one job's."""
    parts = analysed(SECTION, study, names)[0]["parts"]
    return [{"part": str(part), "parts": str(parts)} for part in range(1, parts + 1)] if parts > 1 else []


def _part_jobs(study: Study) -> Iterator[Names]:
    for names in groups(SECTION)(study):
        for part in _parts(study, names):
            yield {**names, **part}


def _surface_settings(study: Study, names: Names) -> dict:
    entry, runs = analysed(SECTION, study, names)
    return {**{key: value for key, value in entry.items() if key != "plane"}, **run_names(study, runs)}


def _export_inputs(study: Study, names: Names) -> Files:
    return {"surface": SURFACE.file(study, names, "surface"), "markers": PLANE.file(study, names, "markers")}


def _no_settings(study: Study, names: Names) -> dict:
    return {}


PLANES = Section(SECTION, _entry_settings, entry="plane")
PLANE = Stage(
    "plane",
    outputs={
        "plane": of_group(SECTION, "plane.safetensors"),
        "markers": of_group(SECTION, "markers.csv"),
    },
    inputs=_plane_inputs,
    settings=_plane_settings,
    jobs=groups(SECTION),
    label="{name}_{group}",
    resume=of_group(SECTION, "resume-plane"),  # beside that of the surface
    section=SECTION,
    gpu=True,
    unit="markers",
)
SURFACE_PART = Stage(
    "surface_part",
    outputs={"points": of_group(SECTION, "parts/{part}-of-{parts}.npz")},
    inputs=_part_inputs,
    settings=_surface_settings,
    jobs=_part_jobs,
    label="{name}_{group}_{part}-of-{parts}",
    resume=of_group(SECTION, "parts/resume-{part}-of-{parts}"),
    section=SECTION,
    gpu=True,
    unit="points",
    temporary=True,
    tracks=("surface_part", "surface"),
)
SURFACE = Stage(
    "surface",
    outputs={"surface": of_group(SECTION, "surface.csv")},
    inputs=_surface_inputs,
    settings=_surface_settings,
    jobs=groups(SECTION),
    label="{name}_{group}",
    resume=of_group(SECTION, "resume"),
    section=SECTION,
    gpu=True,
    unit="points",
    targets=("surface",),
)
EXPORT = Stage(
    "export",
    outputs={
        "surface": of_group(SECTION, "surface.vts"),
        "trajectories": of_group(SECTION, "trajectories.vtp"),
    },
    inputs=_export_inputs,
    settings=_no_settings,
    jobs=groups(SECTION),
    label="{name}_{group}",
    section=SECTION,
    targets=("surface", "trajectories"),
    local=True,
)
