"""Connections of a study: which pairs of models an entry joins, and what its kind can take.

`path` walks the straight line between two final models; `layers` averages two models layer by layer, be they
of two runs, of two clients of a round, or of two rounds of a run.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import comb

from fedscape.errors import FedscapeError
from fedscape.study.grid import Run, matching, runs_of
from fedscape.study.limits import MOST_PAIRS, check_count
from fedscape.study.methods import kept_moment, moment
from fedscape.study.selection import Names, chosen_runs
from fedscape.study.study import Method
from fedscape.study.types import unknown

# Settings of each kind beside its runs, and their defaults; the schema explains them.
DEFAULTS = {
    "path": {"points": 21, "samples": None, "batch_norm": "recalibrate"},
    "layers": {
        "between": "runs",
        "rounds": ["last"],
        "clients": [0, 1],
        "regimes": ["full", "single", "shallow", "deep"],
        "groups": {},
        "order_seed": 0,
        "directions": 0,
        "alignment": ["none"],
        "samples": None,
        "batch_norm": "recalibrate",
    },
}


def check_kind(entry: Mapping[str, object], wanted: str | None, what: str, place: str) -> None:
    """Refuse a figure or a measure of one kind of connection on an entry of the other.

    entry: an analysis's settings. what: for example `figure kind heatmap`.
    """
    if wanted is not None and entry["kind"] != wanted:
        raise FedscapeError(
            f"{place}.connectivity: {what} is for connections of kind {wanted}, got {entry['kind']}"
        )


def connected(entry: Mapping, runs: tuple[Run, ...], names: Names, place: str) -> list:
    """The members of an entry: pairs of runs, or single runs whose clients or rounds are joined."""
    if _between(entry) == "runs":
        return _pairs(entry, runs, names, place)
    return chosen_runs(entry, runs, names, place)


def connection_settings(
    entry: Mapping, members: Sequence, methods: Mapping[str, Method], partitions: Mapping, place: str
) -> dict:
    """The settings of an entry in the form that its jobs take, checked against its members.

    Raises FedscapeError for a key that the kind does not have, and for rounds or clients that are not kept.
    """
    kind = entry["kind"]
    ends = ("from", "to") if _between(entry) == "runs" else ("runs",)
    known = ("kind", *ends, "each", "seeds", *DEFAULTS[kind])
    for key in entry:
        if key not in known:
            raise FedscapeError(f"{place}: {unknown('key', key, known)} (kind {kind})")
    if "clients" in entry and entry.get("between") != "clients":
        raise FedscapeError(f"{place}: key 'clients' needs between: clients, got {_between(entry)}")
    settings = {**DEFAULTS[kind], **{key: value for key, value in entry.items() if key in DEFAULTS[kind]}}
    settings["kind"] = kind
    if kind == "path":
        if settings["points"] % 2 == 0:
            raise FedscapeError(
                f"{place}.points: got {settings['points']}, must be odd (the middle is one of them)"
            )
        return settings
    each = comb(len(settings["clients"]), 2) if settings["between"] == "clients" else 1
    check_count(len(members) * len(settings["rounds"]) * each, MOST_PAIRS, "pairs of models", place)
    # The names of groups may hold dots, which keys of a job's settings may not.
    settings["groups"] = [[name, modules] for name, modules in settings["groups"].items()]
    for run in runs_of(members):
        for value in settings["rounds"]:
            _check_round(value, run, settings, methods, f"{place}.rounds")
        if settings["between"] == "clients":
            _check_clients(settings["clients"], run, partitions, f"{place}.clients")
    return settings


def pairs_of(settings: Mapping, members: Sequence, methods: Mapping[str, Method]) -> list[dict]:
    """Both ends of each pair of models that a job of kind `layers` joins.

    Keys: `from`, `to` (runs), `round`, `to_round` (`last`: which a run that diverges does
    not have), `client`, `to_client` (None for the global model).
    """
    pairs = []
    for member in members:
        one, other = member if isinstance(member, tuple) else (member, member)
        ends = {"from": one, "to": other, "client": None, "to_client": None}
        for (number, to_number), value in _moments(settings["rounds"], one, other, methods).items():
            if settings["between"] == "rounds":
                pairs.append({**ends, "round": number - 1, "to_round": number})
            elif settings["between"] == "runs":
                rounds = (value, value) if value == "last" else (number, to_number)
                pairs.append({**ends, "round": rounds[0], "to_round": rounds[1]})
            else:
                for client, to_client in combinations(settings["clients"], 2):
                    clients = {"client": client, "to_client": to_client}
                    pairs.append({**ends, **clients, "round": number, "to_round": number})
    return pairs


def _moments(
    values: Sequence, one: Run, other: Run, methods: Mapping[str, Method]
) -> dict[tuple[int, int], object]:
    """Rounds of both runs -> what asks for them; of a short run, several fractions may be one round."""
    found: dict[tuple[int, int], object] = {}
    for value in values:
        rounds = tuple(
            moment(value, methods[run.method].training["rounds"], "rounds") for run in (one, other)
        )
        if value == "last" or rounds not in found:
            found[rounds] = value
    return found


def _between(entry: Mapping) -> str:
    return entry.get("between", "runs")


def _check_round(
    value: object, run: Run, settings: Mapping, methods: Mapping[str, Method], place: str
) -> None:
    method = methods[run.method]
    if settings["between"] == "clients":
        number = moment(value, method.training["rounds"], place)
    else:
        number = kept_moment(value, run.method, methods, place)
    if settings["between"] == "rounds" and (number == 0 or not method.keeps(number - 1)):
        raise FedscapeError(
            f"{place}: the round before round {number} is not among the keep_rounds of {run.method}"
        )
    if settings["between"] == "clients" and number not in method.client_rounds:
        raise FedscapeError(
            f"{place}: round {number} is not among the client_rounds of {run.method} "
            f"({', '.join(map(str, method.client_rounds)) or 'none'})"
        )


def _check_clients(clients: Sequence[int], run: Run, partitions: Mapping, place: str) -> None:
    count = partitions[run.partition].get("clients")
    if len(clients) < 2:
        raise FedscapeError(f"{place}: got {clients}, needs two clients or more")
    if count is not None and max(clients) >= count:
        raise FedscapeError(
            f"{place}: no client {max(clients)}, partition {run.partition} has clients 0 to {count - 1}"
        )


def _pairs(entry: Mapping, runs: tuple[Run, ...], names: Names, place: str) -> list[tuple[Run, Run]]:
    """Pairs of different runs that share data set, model, `each`, and the seed unless `seeds: together`."""
    for end in ("from", "to"):
        if end not in entry:
            raise FedscapeError(f"{place}: key '{end}' is missing")
    ends = [matching(runs, names.selected(entry[end], f"{place}.{end}")) for end in ("from", "to")]
    together = entry.get("seeds") == "together"
    shared = ["dataset", "model", *entry.get("each", []), *([] if together else ["seed"])]

    def common(run: Run) -> tuple:
        return tuple(getattr(run, key) for key in shared)

    partners: dict[tuple, list[Run]] = {}
    for other in ends[1]:
        partners.setdefault(common(other), []).append(other)
    check_count(
        sum(len(partners.get(common(one), ())) for one in ends[0]), MOST_PAIRS, "pairs of runs", place
    )
    pairs = [(one, other) for one in ends[0] for other in partners.get(common(one), ()) if one != other]
    # Two runs that both ends name are one pair, not one for each way round.
    pairs = list({frozenset(pair): pair for pair in reversed(pairs)}.values())[::-1]
    if not pairs:
        raise FedscapeError(f"{place}: no pair of runs of this scale matches `from` and `to`")
    return pairs
