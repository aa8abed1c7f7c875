"""Rows of layers.csv and distances.csv between models of a few layers, with barriers in closed form."""

from collections.abc import Callable, Iterator, Sequence

import pandas as pd
from figure_frames import RUN

from fedscape.columns.kinds import FILES
from fedscape.tables.read import run_paths

PAIR = {
    "to_partition": "iid", "to_init": "random", "to_method": "fedavg", "to_seed": 0, "connectivity": "pair",
    "group": "all", "between": "runs", "client": -1, "to_client": -1, "alignment": "none",
}  # fmt: skip
ENDS = {"loss": (1.0, 3.0), "error": (0.2, 0.4)}  # the values of both models
NAMES = ("stem", "block.1", "block.2", "head")
REGIMES = ("full", "single", "shallow", "deep", "outside-in")


def layers_frame(
    barrier: Callable[[frozenset, int, str], float],
    names: Sequence[str] = NAMES,
    rounds: Sequence[int] = (0, 10, 20),
    regimes: Sequence[str] = REGIMES,
    splits: Sequence[str] = ("train",),
    measures: Sequence[str] = ("loss",),
    ends: dict[str, tuple[float, float]] = ENDS,
    **columns,
) -> pd.DataFrame:
    """One pair of models. barrier: of the averaged depths, at a round, with the rest from one end ("from",
    "to"; "both" where there is none). columns: in place of those of RUN and PAIR."""
    rows = []
    for number in rounds:
        for split in splits:
            for measure in measures:
                start, end = ends[measure]
                for regime in regimes:
                    for averaged, added in mixtures(regime, len(names)):
                        for rest in ("both",) if len(averaged) == len(names) else ("from", "to"):
                            height = barrier(averaged, number, rest)
                            rows.append(
                                {**RUN, **PAIR, "round": number, "to_round": number, **columns, "split": split,
                                 "measure": measure, "regime": regime, "layer": None if added < 0 else names[added],
                                 "depth": added, "averaged": len(averaged), "rest": rest, "draw": 0,
                                 "value": (start + end) / 2 + height, "from_value": start, "to_value": end,
                                 "barrier": height, "ratio": 2 * height / (start + end), "samples": 1500,
                                 "batch_norm": "none"}
                            )  # fmt: skip
    return pd.DataFrame(rows)[FILES["layers"].columns]


def mixtures(regime: str, count: int) -> Iterator[tuple[frozenset, int]]:
    """The averaged depths and the one added last, -1 of the full average."""
    depths = list(range(count))
    if regime == "full":
        yield frozenset(depths), -1
    elif regime in ("single", "direction"):
        for depth in depths:
            yield frozenset([depth]), depth
    else:
        both = [depth for two in zip(depths, reversed(depths), strict=True) for depth in two]
        middle = sorted(depths, key=lambda depth: abs(depth - count // 2))
        orders = {
            "shallow": depths, "deep": depths[::-1], "outside-in": list(dict.fromkeys(both)), "middle-out": middle,
            "random": [depth * 2 % count + (depth * 2 >= count and count % 2 == 0) for depth in depths],
        }  # fmt: skip
        for k in range(1, count + 1):
            yield frozenset(orders[regime][:k]), orders[regime][k - 1]


def distances_frame(
    cosine: Callable[[int, int], float], names: Sequence[str] = NAMES, rounds: Sequence[int] = (0, 10), **columns
) -> pd.DataFrame:  # fmt: skip
    """One pair of models. cosine: of a depth (-1: all weights) at a round; the L2 distance is ten times that."""
    rows = []
    for number in rounds:
        for depth in range(-1, len(names)):
            value = cosine(depth, number)
            rows.append(
                {**RUN, **PAIR, "round": number, "to_round": number, **columns, "layer": None if depth < 0 else names[depth],
                 "depth": depth, "parameters": 100, "l2": 10 * value, "cosine": value, "l2_from_start": 1.0,
                 "cosine_from_start": 0.5, "l2_to_start": 2.0, "cosine_to_start": 0.25,
                 "units_moved": None}
            )  # fmt: skip
    return pd.DataFrame(rows)[FILES["distances"].columns]


def with_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """With the runs of both ends, as measures get it."""
    return frame.assign(run=run_paths(frame), to_run=run_paths(frame, "to_"))
