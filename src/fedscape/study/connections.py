"""Connections of a study: which pairs of models an entry joins, and what its kind can take.

`path` walks the straight line between two final models; `layers` averages two models layer by layer, `curve`
goes from one to the other around what lies between, whether of two runs, of two clients of a round, or of two
rounds of a run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from math import comb
from typing import Literal

from fedscape.errors import FedscapeError
from fedscape.moment import Moment
from fedscape.settings.connectivity import CurveSettings, LayersSettings, PathSettings
from fedscape.settings.plain import to_plain
from fedscape.study.grid import Member, Run, matching, runs_of
from fedscape.study.limits import MOST_PAIRS, check_count
from fedscape.study.methods import check_clients_kept, kept_moment, moment
from fedscape.study.selection import Names, selected_runs
from fedscape.study.study import AnyMethod, Entry, PartitionEntry
from fedscape.study.types import filled, unknown


@dataclass(frozen=True)
class PathEntry(PathSettings):
    """What an entry of kind `path` evaluates, and on how much."""

    samples: int | None = None  # of the training samples; None: all
    kind: Literal["path"] = "path"


@dataclass(frozen=True)
class LayersEntry(LayersSettings):
    """What an entry of kind `layers` averages, and on how much it is evaluated."""

    samples: int | None = None  # of the training samples; None: all
    rounds: Sequence[Moment] = ("last",)  # whose models are joined
    clients: Sequence[int] = (0, 1)  # of which each pair is joined, where they are clients' models
    kind: Literal["layers"] = "layers"


@dataclass(frozen=True)
class CurveEntry(CurveSettings):
    """What an entry of kind `curve` joins by curves, and on how much these are trained and evaluated."""

    samples: int | None = None  # of the training samples; None: all
    rounds: Sequence[Moment] = ("last",)  # whose models are joined
    clients: Sequence[int] = (0, 1)  # of which each pair is joined, where they are clients' models
    kind: Literal["curve"] = "curve"


PairsEntry = LayersEntry | CurveEntry
"""Entries whose models are of runs, of clients or of rounds."""
Connection = PathEntry | PairsEntry


_ENTRIES: Mapping[str, type[Connection]] = {"path": PathEntry, "layers": LayersEntry, "curve": CurveEntry}


@dataclass(frozen=True)
class SelectedPair:
    """Both ends of a pair of models."""

    start: Run
    end: Run
    round: Moment  # of the start
    to_round: Moment
    client: int | None = None  # of the start; None for the global model
    to_client: int | None = None


def check_connection_kind(settings: Connection, kind: str | None, what: str, where: str) -> None:
    """Refuse a figure or a measure of one kind of connection on an entry of another.

    what: for example `figure kind heatmap`.
    """
    if kind is not None and settings.kind != kind:
        raise FedscapeError(
            f"{where}.connectivity: {what} is for connections of kind {kind}, got {settings.kind}"
        )


def connected(keys: Mapping, runs: tuple[Run, ...], names: Names, where: str) -> Sequence[Member]:
    """The members of an entry: pairs of runs, or single runs whose clients or rounds are joined."""
    if _between(keys) == "runs":
        return _pairs(keys, runs, names, where)
    return selected_runs(keys, runs, names, where)


def connection_settings(entry: Entry) -> Connection:
    """What an entry of `connectivity` measures.

    Raises FedscapeError for a key that the kind does not have, and for rounds or clients that are not kept.
    """
    kind = _ENTRIES[entry.keys["kind"]]
    _check_keys(entry, kind)
    settings = filled(kind, _as_floats(entry.keys))
    if isinstance(settings, PathEntry | CurveEntry):
        _check_points(settings.points, entry)
    if isinstance(settings, PairsEntry):
        _check_pairs(settings, entry)
    return settings


def _as_floats(keys: Mapping) -> dict:
    """The keys of an entry, numbers that may be whole or not in one spelling."""
    return {
        key: float(value) if key in ("lr", "momentum", "weight_decay") else value
        for key, value in keys.items()
    }


def plain_connection(settings: Connection) -> dict:
    """The settings of an entry as builtin types.

    The layers' groups are pairs of name and modules: names may hold dots, which keys of a job's settings may
    not.
    """
    plain = to_plain(settings)
    groups = {"groups": [[*group] for group in plain["groups"].items()]} if "groups" in plain else {}
    return {**plain, **groups}


def pairs_of(
    settings: PairsEntry, members: Sequence[Member], methods: Mapping[str, AnyMethod]
) -> list[SelectedPair]:
    """The pairs of models that a job joins."""
    pairs: list[SelectedPair] = []
    for member in members:
        start, end = member if isinstance(member, tuple) else (member, member)
        for (number, to_number), asked in _rounds(settings.rounds, start, end, methods).items():
            if settings.between == "clients":
                clients = combinations(settings.clients, 2)
                pairs += [SelectedPair(start, end, number, to_number, *pair) for pair in clients]
            elif settings.between == "rounds":
                pairs.append(SelectedPair(start, end, number - 1, to_number))
            elif asked == "last":  # which a run that diverges does not have
                pairs.append(SelectedPair(start, end, asked, asked))
            else:
                pairs.append(SelectedPair(start, end, number, to_number))
    return pairs


def _rounds(
    asked: Sequence[Moment], start: Run, end: Run, methods: Mapping[str, AnyMethod]
) -> dict[tuple[int, int], Moment]:
    """Rounds of both runs -> what asks for them; of a short run, several shares may be one round."""
    rounds: dict[tuple[int, int], Moment] = {}
    for value in asked:
        number = moment(value, methods[start.method].rounds, "rounds")
        to_number = moment(value, methods[end.method].rounds, "rounds")
        if value == "last" or (number, to_number) not in rounds:
            rounds[number, to_number] = value
    return rounds


def _between(keys: Mapping) -> str:
    return keys.get("between", "runs")


def _check_keys(entry: Entry, kind: type[Connection]) -> None:
    """Refuse keys that an entry of this kind does not have."""
    between = _between(entry.keys)
    ends = ("from", "to") if between == "runs" else ("runs",)
    own = [field.name for field in fields(kind) if field.name != "kind"]
    known = ("kind", *ends, "each", "seeds", *own)
    for key in entry.keys:
        if key not in known:
            raise FedscapeError(f"{entry.where}: {unknown('key', key, known)} (kind {entry.keys['kind']})")
    if "clients" in entry.keys and between != "clients":
        raise FedscapeError(f"{entry.where}: key 'clients' needs between: clients, got {between}")


def _check_points(points: int, entry: Entry) -> None:
    if points % 2 == 0:
        raise FedscapeError(f"{entry.where}.points: got {points}, must be odd (the middle is one of them)")


def _check_pairs(settings: PairsEntry, entry: Entry) -> None:
    """Refuse more pairs than a job can hold, and rounds or clients that are not kept."""
    each = comb(len(settings.clients), 2) if settings.between == "clients" else 1
    check_count(len(entry.members) * len(settings.rounds) * each, MOST_PAIRS, "pairs of models", entry.where)
    for run in runs_of(entry.members):
        for asked in settings.rounds:
            _check_round(asked, run, settings, entry)
        if settings.between == "clients":
            _check_clients(settings.clients, run, entry.partitions, f"{entry.where}.clients")


def _check_round(asked: Moment, run: Run, settings: PairsEntry, entry: Entry) -> None:
    """Refuse a round of which a run does not keep the models that are joined."""
    method, where = entry.methods[run.method], f"{entry.where}.rounds"
    if settings.between == "clients":
        number = moment(asked, method.rounds, where)
        check_clients_kept(number, run.method, entry.methods, where)
        return
    number = kept_moment(asked, run.method, entry.methods, where)
    if settings.between == "rounds" and (number == 0 or not method.keeps(number - 1)):
        raise FedscapeError(
            f"{where}: the round before round {number} is not among the keep_rounds of {run.method}"
        )


def _check_clients(
    clients: Sequence[int], run: Run, partitions: Mapping[str, PartitionEntry], where: str
) -> None:
    count = partitions[run.partition].clients
    if len(clients) < 2:
        raise FedscapeError(f"{where}: got {clients}, needs two clients or more")
    if count is not None and max(clients) >= count:
        raise FedscapeError(
            f"{where}: no client {max(clients)}, partition {run.partition} has clients 0 to {count - 1}"
        )


def _pairs(keys: Mapping, runs: tuple[Run, ...], names: Names, where: str) -> list[tuple[Run, Run]]:
    """Pairs of different runs that share data set, model, `each`, and the seed unless `seeds: together`."""
    for key in ("from", "to"):
        if key not in keys:
            raise FedscapeError(f"{where}: key '{key}' is missing")
    starts, ends = (matching(runs, names.selected(keys[key], f"{where}.{key}")) for key in ("from", "to"))
    together = keys.get("seeds") == "together"
    shared = ["dataset", "model", *keys.get("each", []), *([] if together else ["seed"])]

    def common(run: Run) -> tuple:
        return tuple(getattr(run, key) for key in shared)

    partners: dict[tuple, list[Run]] = {}
    for end in ends:
        partners.setdefault(common(end), []).append(end)
    count = sum(len(partners.get(common(start), ())) for start in starts)
    check_count(count, MOST_PAIRS, "pairs of runs", where)
    pairs = [(start, end) for start in starts for end in partners.get(common(start), ()) if start != end]
    # Two runs that both ends name are one pair, not one for each way round.
    pairs = list({frozenset(pair): pair for pair in reversed(pairs)}.values())[::-1]
    if not pairs:
        raise FedscapeError(
            f"{where}: no pair of runs of this scale matches `from` and `to` (both have one data set and one "
            "model, and no run is a pair with itself)"
        )
    return pairs
