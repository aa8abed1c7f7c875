"""What `error` of a plane saves on surfaces that were evaluated whole, and how far off it is.

Of each surface the points are chosen as the stage `surface` does, round by round, with the losses that
`surface.csv` has; the fill is then compared with the rest of the grid. Rows of clients are left out.

    .venv/bin/python benchmarks/surface_error.py results/pilot/small
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from measured import Options, Place, Table

from fedscape.landscape.refine import relative_errors
from fedscape.landscape.within import fill_within

SMALLEST_SIDE = 25
PERCENTILE = 95
SHAPES = {
    "bowl": lambda x, y: 0.1 + x**2 + 0.3 * y**2,
    "ridge": lambda x, y: 0.2 + np.abs(x - 0.7 * y) ** 0.5,
    "plateaus": lambda x, y: 1.3 + np.tanh(8 * x) + 0.2 * np.tanh(6 * y),
}


def made_up() -> Iterator[tuple[str, np.ndarray]]:
    """Names and losses [nx, ny] of surfaces known in closed form."""
    x, y = np.meshgrid(*[np.linspace(-1, 2, SMALLEST_SIDE)] * 2, indexing="ij")
    for name, shape in SHAPES.items():
        yield name, shape(x, y)


def whole_surfaces(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Names and losses [nx, ny] of the surfaces below a folder of which no point was filled."""
    for file in sorted([*folder.glob("planes/*/*/surface.csv"), *folder.glob("planes/*/*/surface.csv.gz")]):
        table = pd.read_csv(file)
        table = table[table["client"].isna()]
        if len(table) and not table["interpolated"].any():
            losses = table.pivot(index="i", columns="j", values="loss").to_numpy()
            yield f"{file.parts[-3]}, {file.parts[-2]}", losses


def main() -> None:
    parser = Options(__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, help="results of a study at a scale: results/pilot/small"
    )
    parser.add_argument("--error", type=float, default=0.01)
    asked = parser.read()
    if asked.folder is None and not asked.smallest:
        parser.error("give the folder of a study's results, or --smallest")
    place = Place.here()
    print(place)
    table = Table(place, "plane", "points", "evaluated", "largest checked", "true 95 %", "true largest")
    shares = []
    for name, true in made_up() if asked.smallest else whole_surfaces(asked.folder):
        filled = fill_within(asked.error, lambda _, true=true: true[:, :, None], true.shape, seed=0)
        share = 1 - filled.points.mean()
        off = relative_errors(filled.losses[:, :, 0], true)
        checked = off[filled.checks].max(initial=0.0)
        rest = off[filled.points]
        percentile, largest = (np.percentile(rest, PERCENTILE), rest.max()) if len(rest) else (0.0, 0.0)
        cells = (f"{value:.2%}" for value in (share, checked, percentile, largest))
        table.row(name, " x ".join(map(str, true.shape)), *cells)
        shares.append(share)
    if shares:
        print(
            f"\nevaluated: mean {np.mean(shares):.1%}, median {np.median(shares):.1%}, {len(shares)} surfaces"
        )
    else:
        print("\nno surface there that was evaluated whole")


if __name__ == "__main__":
    main()
