"""How a run is drawn: one colour, marker and dash for a name in all figures of a study.

A name is drawn by its number in the study (`Labels.numbers`), never by the order in which it appears. A
partition's colour says how alike its clients are: from light orange for a small alpha over red and violet to
black for IID clients; all other names have the qualitative colours of `style.COLOURS`, and every name has a
marker and a dash. Of a run that is told apart by several names, the colour is that of its partition or, if
all have that in common, of its method; marker and dash are those of the next name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, overload

import matplotlib
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.typing import LineStyleType

from fedscape.columns.identity import IDENTITY, NAMES
from fedscape.figures.labels import (
    differing,
    ends_of_pairs,
    fitting_label,
    pair_labels,
    run_labels,
    value_names,
    words_of,
)
from fedscape.figures.style import BLACK, COLOURS, LINES, MARKERS, Look

LEADING = ("partition", "method", "init", "model", "dataset")
"""Columns that name runs: the first that tells runs apart colours them, the next gives marker and dash."""
LIGHTEST = 0.85  # of the colour map plasma, for evenness 0: paper swallows what is lighter


@dataclass(frozen=True)
class Labels(Sequence[Mapping]):
    """What a study calls its runs, and the numbers of their names, by which they are drawn.

    As a sequence it is the study's labels, `{"label": ..., "where": {column: values}}`.
    """

    entries: Sequence[Mapping] = ()
    numbers: Mapping[tuple[str, str], tuple[int, float | None]] = field(default_factory=dict)
    """(column, value) -> number of its name in the study, and the evenness of a partition."""

    @classmethod
    def of(cls, labels: Sequence[Mapping], rows: Iterable[Sequence[Any]] = ()) -> "Labels":
        """A study's labels with the rows of `study.looks.name_numbers`; Labels stay as they are."""
        if isinstance(labels, Labels):
            return labels
        return cls(tuple(labels), {(column, value): (number, even) for column, value, number, even in rows})

    @overload
    def __getitem__(self, index: int) -> Mapping: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping]: ...
    def __getitem__(self, index: int | slice) -> Mapping | Sequence[Mapping]:
        return self.entries[index]

    def __len__(self) -> int:
        return len(self.entries)

    def in_order(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows in the order in which the study declares names, where a CSV has that of the alphabet.

        Of pairs, that of their first runs. Rows that no number tells apart stay in the order that they have.
        """
        known: dict[str, dict[str, int]] = {}
        for (column, value), (number, _) in self.numbers.items():
            known.setdefault(column, {})[value] = number
        columns = [column for column in NAMES if column in known]
        ranks = {
            name: frame[name].astype(str).map(known[name.removeprefix("to_")])
            for name in (*columns, *(f"to_{column}" for column in columns))
            if name in frame
        }
        if not ranks:
            return frame
        return frame.loc[pd.DataFrame(ranks).sort_values(list(ranks)).index]


@dataclass(frozen=True, order=True)
class _Rank:
    """Where a name stands in its study, and what its look follows from."""

    numbers: tuple[int, ...]  # by LEADING
    variant: int  # of what a run's own names do not say: another seed, the samples, the round
    evenness: float | None = field(compare=False)

    @property
    def look(self) -> Look:
        """The look before others of the figure are considered."""
        if not self.numbers:
            return nth_look(self.variant)
        first, *others = self.numbers
        colour = COLOURS[first % len(COLOURS)] if self.evenness is None else sequence_colour(self.evenness)
        lap = first // len(COLOURS) if self.evenness is None else 0
        if not others:
            return Look(colour, _marker(first + lap), _line(first + self.variant))
        marker, line = others[0], others[-1] + 2 * (len(others) > 1)
        return Look(colour, _marker(marker + lap), _line(line + self.variant))


def nth_look(number: int) -> Look:
    """The look of a name that is none of a run's; colours differ first, then markers."""
    lap = number // len(COLOURS)
    return Look(COLOURS[number % len(COLOURS)], _marker(number + lap), _line(number))


def sequence_colour(evenness: float) -> str:
    """The colour of a partition: the darker, the more alike its clients; black where they are IID."""
    return BLACK if evenness >= 1 else to_hex(matplotlib.colormaps["plasma"](LIGHTEST * (1 - evenness)))


def listed_looks(names: Iterable[str], order: Sequence[str]) -> dict[str, Look]:
    """A look per name by its position in `order`, which holds all that there may be."""
    return {name: nth_look(order.index(name)) for name in dict.fromkeys(names)}


def run_looks(
    frame: pd.DataFrame,
    names: pd.Series,
    columns: Sequence[str] = IDENTITY,
    within: Sequence[str] = (),
    labels: Sequence[Mapping] = (),
) -> dict[str, Look]:
    """A look per name of runs, in the order of the rows; no two alike while there are looks.

    names: of the run of each row, as `run_labels` gives them with the same columns, `within` and labels.
    """
    return _unlike(names, _ranks(frame, names, columns, within, Labels.of(labels)))


def line_looks(
    frame: pd.DataFrame,
    names: pd.Series,
    lines: str,
    columns: Sequence[str],
    within: Sequence[str],
    labels: Sequence[Mapping],
) -> dict[str, Look]:
    """As `run_looks`, where each value of the column `lines` has a line of its own.

    Of a single run (or pair) the looks are those of the values.
    """
    positions = _positions(frame[lines], lines)
    ranks = _ranks(frame, run_labels(frame, columns, within, labels), columns, within, Labels.of(labels))
    if len({rank.numbers for rank in ranks}) == 1:
        ranks = [_Rank((), 0, None)] * len(frame)
    moved = [replace(rank, variant=position) for rank, position in zip(ranks, positions, strict=True)]
    return _unlike(names, moved)


def value_looks(frame: pd.DataFrame, column: str, labels: Sequence[Mapping] = ()) -> dict[str, Look]:
    """A look per name of a column's values, as `value_names` gives them."""
    numbers = _numbers(frame, column, Labels.of(labels))
    ranks = [_Rank((number,), 0, even) for number, even in frame[column].astype(str).map(numbers)]
    return _unlike(value_names(frame, column, labels), ranks)


def end_looks(
    frame: pd.DataFrame, within: Sequence[str] = (), labels: Sequence[Mapping] = ()
) -> dict[str, Look]:
    """A look per model at the ends of pairs, as `pair_labels` names them: alike at either end."""
    both = ends_of_pairs(frame, within)
    names = pd.concat(pair_labels(frame, within, labels), keys=["from", "to"])
    own = run_labels(both, NAMES, within, labels)
    ranks = _ranks(both, own, NAMES, within, Labels.of(labels))
    other_seed = (names != own).astype(int)
    return _unlike(names, [replace(rank, variant=n) for rank, n in zip(ranks, other_seed, strict=True)])


def pair_looks(
    frame: pd.DataFrame, names: pd.Series, within: Sequence[str] = (), labels: Sequence[Mapping] = ()
) -> dict[str, Look]:
    """A look per pair, as `pair_names` names them: colour and marker of its end, the dash of its start."""
    looks = end_looks(frame, within, labels)
    starts, ends = pair_labels(frame, within, labels)
    return {
        str(name): Look(looks[end].colour, looks[end].marker, looks[start].line)
        for name, start, end in zip(names, starts, ends, strict=True)
    }


def _ranks(
    frame: pd.DataFrame, names: pd.Series, columns: Sequence[str], within: Sequence[str], labels: Labels
) -> list[_Rank]:
    """The rank of the run of each row."""
    apart = differing(frame, columns, within) or ["partition"]
    other = [column for column in apart if column not in LEADING and column != "seed"]
    variants = pd.Series(0, index=frame.index)
    for column in other:
        positions = _positions(frame[column], column)
        variants = variants * (1 + positions.max()) + positions  # no two combinations alike
    numbers = {column: _numbers(frame, column, labels) for column in LEADING if column in frame}
    values = {column: frame[column].astype(str).tolist() for column in numbers}
    ranks = []
    for row, (label, name, variant) in enumerate(
        zip(fitting_label(frame, labels), names, variants, strict=True)
    ):
        naming = labels[label]["where"] if label >= 0 and labels[label]["label"] == name else apart
        own = [numbers[column][values[column][row]] for column in numbers if column in naming]
        ranks.append(_Rank(tuple(number for number, _ in own), variant, own[0][1] if own else None))
    return ranks


def _numbers(frame: pd.DataFrame, column: str, labels: Labels) -> dict[str, tuple[int, float | None]]:
    """Number and evenness per value; values without a number follow, in the order of their names."""
    known = {value: number for (key, value), number in labels.numbers.items() if key == column}
    next_number = 1 + max((number for number, _ in known.values()), default=-1)
    names = dict(zip(frame[column].astype(str), value_names(frame, column, labels), strict=True))
    rest = sorted({name for value, name in names.items() if value not in known}, key=_natural)
    return {
        value: known.get(value) or (next_number + rest.index(name), None) for value, name in names.items()
    }


def _positions(values: pd.Series, column: str) -> pd.Series:
    """The position of each row's value among those that the column may have, or else among these, sorted."""
    texts = values.map(str)
    words = words_of(column)
    order = [*words, *sorted(set(texts) - set(words), key=_natural)]
    return texts.map(order.index)


def _natural(text: str) -> list:
    """A key by which texts are sorted as people do: dir0.5 before dir12."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return [(1, float(part), "") if i % 2 else (0, 0.0, part) for i, part in enumerate(parts)]


def _unlike(names: pd.Series, ranks: Sequence[_Rank]) -> dict[str, Look]:
    """A look per name, in the order of the rows; of two alike, the later in the study gets the nearest other.

    Where all looks are used, names share them.
    """
    rank_of: dict[str, _Rank] = {}
    for name, rank in zip(names.astype(str), ranks, strict=True):
        rank_of[name] = min(rank, rank_of.get(name, rank))
    looks: dict[str, Look] = {}
    taken: set[Look] = set()
    for name, rank in sorted(rank_of.items(), key=lambda item: (item[1], item[0])):
        looks[name] = next((look for look in _nearest(rank.look) if look not in taken), rank.look)
        taken.add(looks[name])
    return {name: looks[name] for name in rank_of}


def _nearest(look: Look) -> Iterator[Look]:
    """All looks from this one on: other markers first, then other dashes, at last other colours."""
    marker, line = MARKERS.index(look.marker), LINES.index(look.line)
    after = COLOURS.index(look.colour) if look.colour in COLOURS else 0
    for colour in dict.fromkeys([look.colour, *COLOURS[after:], *COLOURS[:after]]):
        for lap, step in product(range(len(LINES)), range(len(MARKERS))):
            yield Look(colour, _marker(marker + step), _line(line + lap))


def _marker(number: int) -> str:
    return MARKERS[number % len(MARKERS)]


def _line(number: int) -> LineStyleType:
    return LINES[number % len(LINES)]
