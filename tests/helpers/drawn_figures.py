"""A figure drawn from frames, what its runs are called, and the rounds of runs."""

import pandas as pd
from figure_frames import RUN
from table_files import write_table

from fedscape.figures.draw import draw_figure

ALPHA = "\N{GREEK SMALL LETTER ALPHA} = 0.1"
LABELS = [
    {"label": "IID", "where": {"partition": ["iid", "iid-50"]}},
    {"label": ALPHA, "where": {"partition": "dir0.1"}},
]


def rounds_frame(seeds=(0,), partitions=("iid", "dir0.1"), inits=("random",), rounds=6):
    rows = [
        {**RUN, "partition": partition, "init": init, "seed": seed, "round": number,
         "test_accuracy": 0.1 * number + 0.02 * seed, "train_loss": 2.0 / (1 + number), "test_loss": None, "diverged": False}
        for partition in partitions for init in inits for seed in seeds for number in range(rounds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def drawn(tmp_path, kind, settings, frames, where=None, name="figure", title="A title", labels=()):
    """Write the frames as CSVs and draw them; gives the bytes of PNG and SVG."""
    files = {}
    for key, frame in frames.items():
        files[key] = [write_table(tmp_path / f"{key}.csv", frame, key, list(RUN))]
    png, svg = tmp_path / f"{name}.png", tmp_path / f"{name}.svg"
    draw_figure(
        kind=kind, settings=settings, title=title, frames=files, where=where or {}, labels=labels, png=png, svg=svg
    )  # fmt: skip
    return png.read_bytes(), svg.read_bytes()
