"""Curvature entries of a study: what is measured of which models, checked against what their runs keep."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedscape.errors import FedscapeError
from fedscape.settings.curvature import CurvatureSettings
from fedscape.study.grid import runs_of
from fedscape.study.methods import check_clients_kept, kept_moment, moment
from fedscape.study.study import Entry
from fedscape.study.types import filled

BY_LAYER = ("auto", "exact", "hutchinson")
"""Ways to a trace that tell the layers apart."""
_MEASURES = ("worst", "average", "adaptive_worst", "adaptive_average", "rays")


@dataclass(frozen=True)
class CurvatureEntry(CurvatureSettings):
    """What an entry of `curvature` measures, and on how much."""

    samples: int | None = None  # of each run's training samples; None: all


def curvature_settings(entry: Entry) -> CurvatureEntry:
    """What an entry of `curvature` measures.

    Raises FedscapeError where nothing is asked for, for settings that contradict each other, and for rounds
    whose models are not kept.
    """
    settings = filled(CurvatureEntry, entry.keys)
    sharp = settings.sharpness
    if sharp is not None and not sharp.asked:
        raise FedscapeError(f"{entry.where}.sharpness: measures nothing; give radii to {_listed(_MEASURES)}")
    if not settings.measures_hessian and sharp is None:
        asked = "trace, top, bottom, density, hessian_agreement, sharpness"
        raise FedscapeError(f"{entry.where}: measures nothing; set one of {asked}")
    if settings.layers and settings.trace not in BY_LAYER:
        raise FedscapeError(
            f"{entry.where}.layers: needs trace {', '.join(BY_LAYER[:-1])} or {BY_LAYER[-1]}, "
            f"got {settings.trace}"
        )
    if "own" in settings.data and not settings.needs_clients:
        raise FedscapeError(
            f"{entry.where}.data: own samples are clients'; add clients or mean to `of`, or ask for "
            "hessian_agreement"
        )
    _check_rounds(entry, settings)
    return settings


def _check_rounds(entry: Entry, settings: CurvatureSettings) -> None:
    """Refuse rounds whose models the runs do not keep."""
    where = f"{entry.where}.rounds"
    for run in runs_of(entry.members):
        for asked in settings.rounds:
            if settings.needs_clients_alone:
                number = moment(asked, entry.methods[run.method].rounds, where)
            else:
                number = kept_moment(asked, run.method, entry.methods, where)
            if settings.needs_clients:
                check_clients_kept(number, run.method, entry.methods, where)


def check_density(settings: CurvatureSettings, where: str) -> None:
    """Refuse a figure of a density that an entry does not measure."""
    if settings.density is None:
        raise FedscapeError(f"{where}: the entry measures no density; give it `density: {{}}`")


def check_measured(
    quantity: str, measure: Mapping[str, Any], settings: CurvatureSettings, where: str
) -> None:
    """Refuse a measure of what an entry does not measure.

    quantity: `eigenvalue`, `trace`, `hessian_agreement`, `sharpness` or `flatness_gap`. measure: its
    plug-in's settings. settings: the entry's.
    """
    needed: list[tuple[str, str, Sequence[str]]] = [("data", measure["data"], settings.data)]
    if quantity == "hessian_agreement":
        needed.append(("hessian_agreement", measure["definition"], settings.hessian_agreement))
    else:
        needed.append(("of", measure["of"], settings.of))
    if quantity == "flatness_gap":
        needed += [("of", "clients", settings.of), ("data", measure["clients"], settings.data)]
    for key, value, measured in needed:
        if value not in measured:
            raise FedscapeError(f"{where}: {value} is not among the entry's {key} ({_listed(measured)})")
    if quantity in ("sharpness", "flatness_gap"):
        quantity = measure["quantity"]
    if measure.get("radius") is not None:
        asked = settings.sharpness.asked if settings.sharpness else []
        if (quantity, measure["radius"]) not in asked:
            radii = [f"{radius:g}" for name, radius in asked if name == quantity]
            raise FedscapeError(
                f"{where}: radius {measure['radius']:g} is not among the entry's for {quantity} "
                f"({_listed(radii)})"
            )
    if quantity == "trace" and settings.trace == "none":
        raise FedscapeError(f"{where}: the entry measures no trace")
    if quantity == "trace" and measure.get("layer") is not None and not settings.layers:
        raise FedscapeError(f"{where}: the entry does not measure layers (layers: false)")
    if quantity == "eigenvalue":
        index = measure.get("index", 1)
        end, count = ("top", settings.top) if index > 0 else ("bottom", settings.bottom)
        if abs(index) > count:
            raise FedscapeError(f"{where}: index {index} of an entry with {end}: {count}")


def _listed(values: Iterable[str]) -> str:
    return ", ".join(values) or "none"
