"""A surface within the error that was asked for: which points are evaluated, round by round.

The first round is a lattice. Each further one fills the rest of the grid by radial basis functions through
the points evaluated so far, in the logarithm of the loss, and evaluates some of the rest, drawn at random, to
see how far off the fill is. Where one of them is too far off, these points join the others, and so do those
at which two fills of different smoothness disagree: a sharp valley draws points until it is known. What a
round asks for depends on the grid and the losses of the rounds before alone, so a job that was killed, or
several jobs, arrive at the same points.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import distance_transform_edt, maximum_filter

from fedscape.jobs.streams import stream
from fedscape.landscape.refine import Filled, Losses, logarithms, relative_errors

START_SIDE = 9
"""Points of the first lattice along each axis: 3 % of 51 x 51."""
CHECKS = 59
"""Points that a round draws. If more than 5 % of the rest were too far off, all of 59 would be near enough in
less than 5 % of draws (0.95^59; Wilks, Determination of Sample Sizes for Setting Tolerance Limits, 1941)."""
FEWEST_FILLED = 3 * CHECKS
"""Points left to fill below which all are evaluated: fewer are not worth a check that is worth anything."""
GROWTH = 0.25
"""Most points that a round adds where fills disagree, as a share of those before: later rounds know more."""
DOUBTED = 0.5
"""Share of the error asked for: where fills disagree by less, no point is added."""
APART = 0.75
"""Of a new point's way to the nearest evaluated one: no other new point lies within it."""
NEIGHBOURS = 40
"""Evaluated points through which a fill goes near a place."""
FEWEST = 12
"""Evaluated points below which nothing is filled."""
DEGREES: Mapping[Literal["quintic", "cubic"], int] = {"quintic": 2, "cubic": 1}
"""Kernels of the fill and of the rougher one that it is compared with, and the polynomials beside them."""


def fill_within(error: float, losses: Losses, shape: tuple[int, int], seed: int) -> Filled:
    """Evaluate points of a grid [nx, ny] until the others can be filled within a relative `error`.

    It takes `CHECKS` of them that are, in every group of samples. Where no fill is that good, or hardly any
    point is left, all are evaluated. Each round draws by the stream `held-out` of the seed.
    """
    evaluated, number = start_points(shape), 0
    known = losses(evaluated)
    while True:
        while (undefined := beside_undefined(known, evaluated) & ~evaluated).any():
            evaluated |= undefined
            known = losses(undefined)
        rest = ~evaluated
        smooth, rough = (_fill(known, evaluated, rest, kernel) for kernel in DEGREES)
        if smooth is None or rough is None:
            return Filled(np.zeros_like(rest), np.zeros_like(rest), losses(rest))
        checks = held_out(rest, seed, number)
        known = losses(checks)
        if not (rest & ~checks).any():
            return Filled(np.zeros_like(rest), np.zeros_like(rest), known)
        if (relative_errors(smooth[checks], known[checks]) <= error).all():
            return Filled(rest & ~checks, checks, smooth)
        with np.errstate(divide="ignore", invalid="ignore"):
            doubts = np.abs(np.log(smooth / rough)).max(axis=2)
        added = doubtful(doubts, evaluated, checks, DOUBTED * error)
        known = losses(added)
        evaluated |= checks | added
        number += 1


def start_points(shape: Sequence[int]) -> np.ndarray:
    """The first round, bool [nx, ny].

    Nested like the grids: the lattice of n points a side is that of 2n - 1, as long as it has room there.
    """
    return np.logical_and.outer(*(_start(count) for count in shape))


def beside_undefined(losses: np.ndarray, evaluated: np.ndarray) -> np.ndarray:
    """Points within the first lattice's step of one without a finite logarithm of its loss; bool [nx, ny].

    losses: [nx, ny, groups]; evaluated: which of them count, bool [nx, ny].
    """
    undefined = evaluated & ~np.isfinite(logarithms(losses)).all(axis=2)
    reach = [2 * int(np.diff(np.flatnonzero(_start(count))).max()) + 1 for count in losses.shape[:2]]
    return maximum_filter(undefined.astype(np.uint8), size=reach, mode="constant").astype(bool)


def held_out(rest: np.ndarray, seed: int, number: int) -> np.ndarray:
    """Points drawn of the `rest`, each as likely as any other, in round `number`; bool [nx, ny] both.

    All of them where hardly any would be left.
    """
    candidates = np.flatnonzero(rest)
    count = CHECKS if len(candidates) >= CHECKS + FEWEST_FILLED else len(candidates)
    checks = np.zeros(rest.shape, dtype=bool)
    checks.flat[stream(seed, "held-out", number).permutation(candidates)[:count]] = True
    return checks


def doubtful(doubts: np.ndarray, evaluated: np.ndarray, checks: np.ndarray, least: float) -> np.ndarray:
    """Points to be evaluated next, bool [nx, ny]: of the largest `doubts` above `least`, some way apart.

    doubts: [nx, ny], of points neither `evaluated` nor among the `checks`.
    """
    distances = np.asarray(distance_transform_edt(~evaluated))
    most = int(np.ceil(GROWTH * np.count_nonzero(evaluated | checks)))
    free = ~(evaluated | checks)
    chosen = np.zeros(free.shape, dtype=bool)
    doubts = np.where(np.isnan(doubts), np.inf, doubts)
    candidates = np.flatnonzero(free & (doubts > least))
    for place in candidates[np.argsort(-doubts.flat[candidates], kind="stable")]:
        i, j = np.unravel_index(place, free.shape)
        if free[i, j]:
            chosen[i, j] = True
            if np.count_nonzero(chosen) == most:
                break
            around = int(APART * distances[i, j])
            free[max(0, i - around) : i + around + 1, max(0, j - around) : j + around + 1] = False
    return chosen


def _start(count: int) -> np.ndarray:
    """Which of `count` coordinates are on the first lattice, bool [count]."""
    base = count
    while base % 2 and (base + 1) // 2 >= 2 * START_SIDE - 1:
        base = (base + 1) // 2
    gaps = min(START_SIDE, base) - 1
    # k / gaps of the way, rounded: in whole numbers, so that it is the same everywhere.
    places = (2 * np.arange(gaps + 1) * (base - 1) + gaps) // (2 * gaps)
    start = np.zeros(count, dtype=bool)
    start[places * ((count - 1) // (base - 1))] = True
    return start


def _fill(
    losses: np.ndarray, evaluated: np.ndarray, rest: np.ndarray, kernel: Literal["quintic", "cubic"]
) -> np.ndarray | None:
    """Losses of the `rest` from those evaluated, [nx, ny, groups], NaN elsewhere; None if these do not do."""
    values = logarithms(losses)
    known = evaluated & np.isfinite(values).all(axis=2)
    places, wanted = np.argwhere(known).astype(float), np.argwhere(rest).astype(float)
    if len(places) < FEWEST or not len(wanted):
        return None
    try:
        neighbours = min(NEIGHBOURS, len(places))
        near = RBFInterpolator(
            places, values[known], neighbors=neighbours, kernel=kernel, degree=DEGREES[kernel]
        )
        logs = near(wanted)
    except np.linalg.LinAlgError:  # neighbours that all lie on two lines
        return None
    filled = np.full(losses.shape, np.nan)
    with np.errstate(over="ignore"):
        filled[rest] = np.exp(logs)
    return filled
