"""Curvature entries of a study: what is measured of which models, checked against what their runs keep."""

from collections.abc import Iterable, Mapping

from fedscape.errors import FedscapeError
from fedscape.study.grid import Run
from fedscape.study.methods import kept_moment, moment
from fedscape.study.study import Method

# Settings beside an entry's runs, and their defaults; the schema explains them.
DEFAULTS = {
    "rounds": ["last"],
    "of": ["global"],
    "data": ["global"],
    "top": 1,
    "bottom": 0,
    "trace": "none",
    "layers": False,
    "probes": 30,
    "density": None,
    "hessian_agreement": [],
    "samples": None,
}
DENSITY = {"steps": 40, "probes": 4, "width": 0.01}
BY_LAYER = ("auto", "exact", "hutchinson")
"""Ways to a trace that tell the layers apart."""


def curvature_settings(
    entry: Mapping, runs: Iterable[Run], methods: Mapping[str, Method], place: str
) -> dict:
    """The settings of an entry in the form that its jobs take.

    Raises FedscapeError where nothing is asked for, for settings that contradict each other, and for rounds
    whose models are not kept.
    """
    settings = {**DEFAULTS, **{key: value for key, value in entry.items() if key in DEFAULTS}}
    if settings["density"] is not None:
        settings["density"] = {**DENSITY, **settings["density"]}
    asked = ("top", "bottom", "density", "hessian_agreement")
    if settings["trace"] == "none" and not any(settings[key] for key in asked):
        raise FedscapeError(f"{place}: measures nothing; set one of trace, {', '.join(asked)}")
    if settings["layers"] and settings["trace"] not in BY_LAYER:
        raise FedscapeError(
            f"{place}.layers: needs trace {', '.join(BY_LAYER[:-1])} or {BY_LAYER[-1]}, "
            f"got {settings['trace']}"
        )
    clients = needs_clients(settings)
    if "own" in settings["data"] and not clients:
        raise FedscapeError(
            f"{place}.data: own samples are clients'; add clients to `of`, or ask for hessian_agreement"
        )
    for run in runs:
        for value in settings["rounds"]:
            if not clients or "global" in settings["of"]:
                number = kept_moment(value, run.method, methods, f"{place}.rounds")
            else:
                number = moment(value, methods[run.method].training["rounds"], f"{place}.rounds")
            kept = methods[run.method].client_rounds
            if clients and number not in kept:
                raise FedscapeError(
                    f"{place}.rounds: round {number} is not among the client_rounds of {run.method} "
                    f"({', '.join(map(str, kept)) or 'none'})"
                )
    return settings


def needs_clients(settings: Mapping) -> bool:
    """Whether an entry looks at clients' models."""
    return "clients" in settings["of"] or bool(settings["hessian_agreement"])


def check_density(settings: Mapping, place: str) -> None:
    """Refuse a figure of a density that an entry does not measure."""
    if settings["density"] is None:
        raise FedscapeError(f"{place}: the entry measures no density; give it `density: {{}}`")


def check_measured(quantity: str, measure: Mapping, settings: Mapping, place: str) -> None:
    """Refuse a measure of what an entry does not measure.

    quantity: `eigenvalue`, `trace` or `hessian_agreement`. measure: its plug-in's settings. settings: the
    entry's.
    """
    wanted = {"data": measure["data"]}
    if quantity == "hessian_agreement":
        wanted["hessian_agreement"] = measure["definition"]
    else:
        wanted["of"] = measure["of"]
    for key, value in wanted.items():
        if value not in settings[key]:
            raise FedscapeError(f"{place}: {value} is not among the entry's {key} ({_listed(settings[key])})")
    if quantity == "trace" and settings["trace"] == "none":
        raise FedscapeError(f"{place}: the entry measures no trace")
    if quantity == "trace" and measure["layer"] is not None and not settings["layers"]:
        raise FedscapeError(f"{place}: the entry does not measure layers (layers: false)")
    end = "top" if quantity == "eigenvalue" and measure["index"] > 0 else "bottom"
    if quantity == "eigenvalue" and abs(measure["index"]) > settings[end]:
        raise FedscapeError(f"{place}: index {measure['index']} of an entry with {end}: {settings[end]}")


def _listed(values: Iterable[str]) -> str:
    return ", ".join(values) or "none"
