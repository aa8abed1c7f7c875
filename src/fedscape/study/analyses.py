"""Analyses and figures of a study: which runs each one takes, in which groups."""

from fedscape.errors import FedscapeError
from fedscape.study import curvature
from fedscape.study.catalog import constant, plugin_settings
from fedscape.study.catalog import names as plugin_names
from fedscape.study.connections import check_kind
from fedscape.study.contracts import FIGURE_SOURCES
from fedscape.study.grid import Run, grouped, matching, runs_of
from fedscape.study.limits import MOST_JOBS, check_count
from fedscape.study.selection import Names, check_choice, subset_of
from fedscape.study.stages.every import SECTIONS
from fedscape.study.stages.stage import Entry
from fedscape.study.study import Analysis, Figure, Method
from fedscape.study.types import unknown

_VERBS = {"figure": "draw", "measure": "measure"}


def build_analyses(
    content: dict, runs: tuple[Run, ...], names: Names, methods: dict[str, Method], where: str
) -> dict[str, dict[str, Analysis]]:
    """Every entry of the sections that look at runs, by section and name.

    Raises FedscapeError if an entry takes no run, would put models of different shapes together, or
    asks for a round that a run does not have.
    """
    found: dict[str, dict[str, Analysis]] = {}
    for section in SECTIONS.values():
        entries = found[section.name] = {}
        for name, keys in content.get(section.name, {}).items():
            place = f"{where}: {section.name}.{name}"
            members = section.members(keys, runs, names, place)
            groups = _groups(keys, members, content, place)
            entry = Entry(keys, members, groups, methods, content["partitions"], place)
            entries[name] = Analysis(section.settings(entry), groups)
        jobs = sum(len(one.groups) * one.settings.get("parts", 1) for one in entries.values())
        check_count(jobs, MOST_JOBS, "jobs", f"{where}: {section.name}")
    return found


def build_figures(
    content: dict, analyses: dict, runs: tuple[Run, ...], names: Names, where: str
) -> dict[str, Figure]:
    """Every figure, with its one source and the groups that it draws."""
    figures = {}
    for name, entry in content.get("figures", {}).items():
        place = f"{where}: figures.{name}"
        sources = [key for key in FIGURE_SOURCES if key in entry]
        if len(sources) != 1:
            raise FedscapeError(
                f"{place}: name one source, one of {', '.join(FIGURE_SOURCES)}; "
                f"got {', '.join(sources) or 'none'}"
            )
        source = sources[0]
        shared = ("kind", "title", "where", *FIGURE_SOURCES)
        own = {key: value for key, value in entry.items() if key not in shared}
        kind = plugin_settings("figure", entry["kind"], own, place, shared)
        check_choice(kind, content, place)
        allowed = constant("figure", entry["kind"], "SOURCES")
        if source not in allowed:
            origins = " or ".join(allowed)
            raise FedscapeError(f"{place}: kind {entry['kind']} is drawn from {origins}, got {source}")
        chosen = names.selected(entry.get("where", {}), f"{place}.where")
        groups: tuple[str, ...] = ()
        if source in ("plane", "connectivity", "curvature"):
            known = analyses["planes" if source == "plane" else source]
            if entry[source] not in known:
                raise FedscapeError(f"{place}.{source}: {unknown('name', entry[source], known)}")
            if source == "plane":
                check_kinds("figure", entry["kind"], known[entry[source]].settings["plane"]["kind"], place)
            elif source == "curvature":
                curvature.check_density(known[entry[source]].settings, f"{place}.curvature")
            else:
                wanted = constant("figure", entry["kind"], "CONNECTION")
                check_kind(known[entry[source]].settings, wanted, f"figure kind {entry['kind']}", place)
            groups = tuple(
                group for group, members in known[entry[source]].groups.items() if _any_match(members, chosen)
            )
        if source == "partitions":
            drawn = dict.fromkeys(run.partition for run in runs)
            for one in entry[source]:
                if one not in drawn:
                    raise FedscapeError(f"{place}.partitions: {unknown('partition', one, drawn)}")
        of_analysis = source in ("plane", "connectivity", "curvature")
        if (of_analysis and not groups) or not matching(runs, chosen):
            raise FedscapeError(f"{place}.where: selects no run")
        figures[name] = Figure(kind, entry.get("title", ""), source, entry[source], chosen, groups)
    return figures


def check_kinds(role: str, kind: str, plane: str, place: str) -> None:
    """Refuse a figure or a measure of trajectories on a plane of clients, and the other way round.

    role: "figure" or "measure". kind, plane: names of kinds.
    """
    clients = constant(role, kind, "CLIENTS")
    if clients not in (None, constant("plane", plane, "CLIENTS")):
        allowed = [kind for kind in plugin_names("plane") if constant("plane", kind, "CLIENTS") == clients]
        raise FedscapeError(
            f"{place}.plane: kind {kind} does not {_VERBS[role]} planes of kind {plane}; "
            f"allowed: {', '.join(allowed)}"
        )


def _groups(entry: dict, members: list, content: dict, place: str) -> dict[str, tuple]:
    firsts = {member: member[0] if isinstance(member, tuple) else member for member in members}
    groups = grouped(dict.fromkeys(firsts.values()), entry.get("each", []), entry.get("seeds") == "together")
    name_of = {run: name for name, group in groups.items() for run in group}
    gathered: dict[str, list] = {name: [] for name in groups}
    for member in members:
        gathered[name_of[firsts[member]]].append(member)
    for name, group in groups.items():
        subset = subset_of(content, "images", group[0].dataset) or content.get("validation")
        if subset and len({run.seed for run in group}) > 1:
            raise FedscapeError(
                f"{place}: seeds: together needs the whole training set; with `images` or `validation` each "
                "seed draws its own"
            )
        models = sorted({run.model for run in group})
        if len(models) > 1:
            raise FedscapeError(
                f"{place}: group {name} holds models of different shape ({', '.join(models)}); "
                "add `model` to `each`"
            )
    return {name: tuple(found) for name, found in gathered.items()}


def _any_match(members: tuple, where: dict) -> bool:
    return bool(matching(runs_of(members), where))
