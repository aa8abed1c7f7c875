"""Figures of tables in memory, and what a notebook shows of them."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from fedscape.figures.medium import SCREEN, house_style
from fedscape.plugins import load

SHOWN_DOTS = 100  # per inch, in a notebook


def drawn(kind: str, frames: Mapping[str, pd.DataFrame], settings: Mapping[str, Any]) -> Figure:
    """The figure of a kind, with the runs under the names that they have in `method`."""
    plugin = load("figures.kinds", kind)
    runs = dict.fromkeys(name for frame in frames.values() for name in frame["method"])
    labels = [{"label": name, "where": {"method": name}} for name in runs]
    with house_style(SCREEN):
        return plugin.draw(frames, plugin.Settings(**settings), labels)


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=SHOWN_DOTS)
    return file.getvalue()
