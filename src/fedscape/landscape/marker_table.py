"""The table of a plane's markers: which models they are, what was measured of them, and of the plane."""

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd

from fedscape.checkpoints.checkpoint import Checkpoints
from fedscape.columns import planes as columns
from fedscape.landscape.bottom import Bottom
from fedscape.landscape.material import Mark
from fedscape.landscape.plane import Plane
from fedscape.landscape.reference_distances import reference_distances


def marker_rows(
    marks: Sequence[Mark],
    measures: Sequence[Mapping[str, object]],
    identities: Sequence[Mapping[str, object]],
    checkpoints: Checkpoints,
) -> list[dict[str, object]]:
    """Rows of the models on a plane, without what is said of the plane itself.

    measures: of each mark, by `PlaneLosses.of_marker`. identities: the identifying columns of each run.
    """
    seeds = [identity["seed"] for identity in identities]
    distances = reference_distances(marks, checkpoints.trajectories, seeds)
    return [
        {**identities[mark.checkpoint.run], **_named(mark), **values, **far}
        for mark, values, far in zip(marks, measures, distances, strict=True)
    ]


def marker_table(
    rows: Sequence[Mapping[str, object]],
    plane: Plane | None,
    lowest: Bottom | None,
    axes: str,
    policy: str,
    samples: int,
) -> pd.DataFrame:
    """The columns of `markers.csv`, in the order of the rows.

    rows: of `marker_rows`, and of runs that diverged. lowest: the bottom of the centre's basin, where it is
    looked for. axes: what spans the plane. policy: of batch norm (`Problem.policy`).
    """
    frame = pd.DataFrame(rows, columns=columns.MARKERS_CSV.columns)
    numbers = dict.fromkeys([*columns.MARKER_MEASURES, *columns.REFERENCE_DISTANCES], float)
    frame = frame.astype({"client": "Int64", "point": "Int64", **numbers})
    frame[columns.ABOUT_PLANE] = [
        *_pair(plane and plane.explained),
        *_pair(plane and plane.curvature),
        *(dataclasses.astuple(lowest) if lowest else [None] * len(dataclasses.fields(Bottom))),
        axes,
        policy,
        samples,
    ]
    return frame


def _named(mark: Mark) -> dict[str, object]:
    """The columns MODEL of a marker."""
    model = mark.checkpoint
    return {"round": model.round, "role": mark.role, "client": model.client, "point": model.epoch}


def _pair(values: tuple[float, float] | None) -> tuple[float | None, float | None]:
    return (None, None) if values is None else values
