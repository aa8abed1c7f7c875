"""Analyses and figures of a study: which runs each one takes, in which groups."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedscape.columns.column import File
from fedscape.columns.kinds import FILES
from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin
from fedscape.study import curvature
from fedscape.study.catalog import constant, plugin
from fedscape.study.catalog import names as plugin_names
from fedscape.study.connections import check_connection_kind
from fedscape.study.contracts import FIGURE_SOURCES
from fedscape.study.grid import RUN_KEYS, Member, Run, grouped, matching, runs_of
from fedscape.study.limits import MOST_JOBS, check_count
from fedscape.study.problems import Problems
from fedscape.study.selection import Names, check_choice, subset_of
from fedscape.study.stages.every import SECTION_OF_ENTRY, SECTIONS
from fedscape.study.stages.stage import Section
from fedscape.study.study import Analyses, Analysis, AnyMethod, Entry, Figure, Named, PartitionEntry
from fedscape.study.types import unknown

_VERBS = {"figure": "draw", "measure": "measure"}


def build_analyses(
    content: dict,
    runs: tuple[Run, ...],
    names: Names,
    methods: Mapping[str, AnyMethod],
    partitions: Mapping[str, PartitionEntry],
    where: str,
) -> Analyses:
    """Every entry of the sections that look at runs, by section and name.

    Raises FedscapeError for every entry that takes no run, would put models of different shapes together, or
    asks for a round that a run does not have.
    """
    problems = Problems()

    def analysis(section: Section, keys: dict, key: str) -> Analysis:
        members = section.members(keys, runs, names, key)
        groups = _groups(keys, members, content, key)
        return Analysis(section.settings(Entry(keys, members, groups, methods, partitions, key)), groups)

    analyses: dict[str, Named[Analysis]] = {}
    for section in SECTIONS.values():
        entries = analyses[section.name] = Named(
            (name, problems.of(analysis, section, keys, f"{where}: {section.name}.{name}"))
            for name, keys in content.get(section.name, {}).items()
        )
        if not problems:
            check_count(_jobs(section, entries), MOST_JOBS, "jobs", f"{where}: {section.name}")
    problems.tell()
    return analyses


def _jobs(section: Section, entries: Mapping[str, Analysis]) -> int:
    return sum(len(entry.groups) * section.parts(entry.settings) for entry in entries.values())


def build_figures(
    content: dict,
    analyses: Analyses,
    runs: tuple[Run, ...],
    names: Names,
    tried: Mapping[str, Sequence[str]],
    where: str,
) -> Named[Figure]:
    """Every figure, with its one source and the groups that it draws; all that are wrong are told.

    tried: of each method the settings that it tries out in a grid.
    """
    problems = Problems()

    def figure(entry: dict, key: str) -> Figure:
        built = _figure(entry, content, analyses, runs, names, key)
        _check_varied(built, runs, tried, key)
        return built

    figures = Named(
        (name, problems.of(figure, entry, f"{where}: figures.{name}"))
        for name, entry in content.get("figures", {}).items()
    )
    problems.tell()
    for name in figures:
        other = name.removesuffix("-diagnostics")
        if other != name and other in figures:
            raise FedscapeError(
                f"{where}: figures.{name}: in print its files are the diagnostics of {other}; rename it"
            )
    return figures


def _figure(
    entry: dict, content: dict, analyses: Analyses, runs: tuple[Run, ...], names: Names, where: str
) -> Figure:
    sources = [key for key in FIGURE_SOURCES if key in entry]
    if len(sources) != 1:
        got = ", ".join(sources) or "none"
        raise FedscapeError(f"{where}: name one source, one of {', '.join(FIGURE_SOURCES)}; got {got}")
    source = sources[0]
    shared = ("kind", "title", "caption", "where", "style", "width", *FIGURE_SOURCES)
    own = {key: value for key, value in entry.items() if key not in shared}
    kind = plugin("figure", entry["kind"], own, where, shared)
    check_choice(kind.settings, content, where)
    allowed = constant("figure", kind.kind, "SOURCES")
    if source not in allowed:
        raise FedscapeError(f"{where}: kind {kind.kind} is drawn from {' or '.join(allowed)}, got {source}")
    if source == "table":
        _check_columns(kind, FILES[entry[source]], where)
        _check_rounds(kind, entry[source], where)
    selection = names.selected(entry.get("where", {}), f"{where}.where")
    groups: tuple[str, ...] = ()
    if source in SECTION_OF_ENTRY:
        analysis = _drawn(source, entry[source], kind.kind, analyses, where)
        groups = tuple(
            group for group, members in analysis.groups.items() if matching(runs_of(members), selection)
        )
    if source == "partitions":
        known = dict.fromkeys(run.partition for run in runs)
        for partition in entry[source]:
            if partition not in known:
                raise FedscapeError(f"{where}.partitions: {unknown('partition', partition, known)}")
    if (source in SECTION_OF_ENTRY and not groups) or not matching(runs, selection):
        raise FedscapeError(f"{where}.where: selects no run")
    words = (constant("figure", kind.kind, "CAPTION"), entry.get("caption"))
    caption = " ".join(filter(None, words))
    style = {"use": entry.get("style", "print" if "width" in entry else "screen")}
    if "width" in entry:
        if style["use"] == "screen":
            raise FedscapeError(f"{where}.width: a figure for the screen has none; say style: print")
        style["width"] = float(entry["width"])
    return Figure(kind, entry.get("title", ""), caption, source, entry[source], selection, groups, style)


def _declared(kind: Plugin, constant_name: str) -> Iterator[tuple[str, Any]]:
    """Names and values of the settings that a constant of a figure kind lists; it may list no others."""
    for key in constant("figure", kind.kind, constant_name) or ():
        if key not in kind.settings:
            raise FedscapeError(
                f"figure kind {kind.kind}: {constant_name}: {unknown('setting', key, kind.settings)}"
            )
        yield key, kind.settings[key]


def _check_columns(kind: Plugin, table: File, where: str) -> None:
    """Refuse columns in a figure's settings that its table does not have, before anything is trained."""
    for key, value in _declared(kind, "COLUMNS"):
        named = value or ()  # one name, or a map by names
        for column in [named] if isinstance(named, str) else named:
            if column not in table.columns:
                raise FedscapeError(f"{where}.{key}: {unknown('column', column, table.columns)}")


def _check_varied(
    figure: Figure, runs: Sequence[Run], tried: Mapping[str, Sequence[str]], where: str
) -> None:
    """Refuse settings that name neither what runs have nor what all methods drawn try out in a grid."""
    for key, value in _declared(figure.kind, "VARIED"):
        allowed = list(RUN_KEYS)
        if (figure.source, figure.name) == ("table", "runs"):  # the one table that says what was tried out
            drawn = {run.method for run in matching(runs, figure.where)}
            allowed += sorted(set.intersection(*(set(tried[method]) for method in drawn)))
        if value not in allowed:
            raise FedscapeError(f"{where}.{key}: {unknown('name', value, allowed)}")


def _check_rounds(kind: Plugin, table: str, where: str) -> None:
    """Refuse a mean over the last fifth of rounds of what is not of runs, or has no column in rounds.csv."""
    if kind.settings.get("rounds") != "last-fifth":
        return
    if "runs" not in (table, *(constant("figure", kind.kind, "BESIDE") or ())):
        raise FedscapeError(
            f"{where}.rounds: last-fifth is of table runs, and this is {table}; allowed: last"
        )
    for key in ("column", "choose"):
        column = kind.settings.get(key)
        if column and column not in FILES["rounds"].columns:
            raise FedscapeError(f"{where}.{key}: {column} is not by round, and rounds is last-fifth")


def _drawn(source: str, name: str, kind: str, analyses: Analyses, where: str) -> Analysis:
    """The analysis that a figure of a kind is drawn from, which the kind must be able to draw."""
    known = analyses[SECTION_OF_ENTRY[source]]
    if name not in known:
        raise FedscapeError(f"{where}.{source}: {unknown('name', name, known)}")
    settings = known[name].settings
    if source == "plane":
        check_plane_kind("figure", kind, settings.plane.kind, where)
    elif source == "curvature":
        curvature.check_density(settings, f"{where}.curvature")
    else:
        check_connection_kind(settings, constant("figure", kind, "CONNECTION"), f"figure kind {kind}", where)
    return known[name]


def check_plane_kind(role: str, kind: str, plane: str, where: str) -> None:
    """Refuse a figure or a measure of trajectories on a plane of clients, and the other way round.

    role: "figure" or "measure". kind, plane: names of kinds.
    """
    clients = constant(role, kind, "CLIENTS")
    if clients not in (None, constant("plane", plane, "CLIENTS")):
        allowed = [kind for kind in plugin_names("plane") if constant("plane", kind, "CLIENTS") == clients]
        raise FedscapeError(
            f"{where}.plane: kind {kind} does not {_VERBS[role]} planes of kind {plane}; "
            f"allowed: {', '.join(allowed)}"
        )


def _groups(keys: Mapping, members: Sequence[Member], content: dict, where: str) -> Named[tuple[Member, ...]]:
    """The members of an entry by the groups of their runs, those of pairs by their first."""
    firsts = {member: member[0] if isinstance(member, tuple) else member for member in members}
    groups = grouped(dict.fromkeys(firsts.values()), keys.get("each", []), keys.get("seeds") == "together")
    group_of = {run: name for name, runs in groups.items() for run in runs}
    gathered: dict[str, list[Member]] = {name: [] for name in groups}
    for member in members:
        gathered[group_of[firsts[member]]].append(member)
    for name, runs in groups.items():
        subset = subset_of(content, "images", runs[0].dataset) or content.get("validation")
        if subset and len({run.seed for run in runs}) > 1:
            raise FedscapeError(
                f"{where}: seeds: together needs the whole training set; with `images` or `validation` each "
                "seed draws its own"
            )
        models = sorted({run.model for run in runs})
        if len(models) > 1:
            raise FedscapeError(
                f"{where}: group {name} holds models of different shape ({', '.join(models)}); "
                "add `model` to `each`"
            )
    return Named((name, tuple(of_group)) for name, of_group in gathered.items())
