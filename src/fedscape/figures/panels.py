"""Rows of equal panels, with room for a legend below each or below all."""

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PER_ROW = 3


def panel_grid(
    titles: Sequence[str], size: tuple[float, float], horizontal: str, vertical: str, share: bool = True
) -> tuple[Figure, list[Axes]]:
    """A figure with a panel per title, in rows of at most `PER_ROW`, and the same labels of the axes.

    size: width and height of a panel in inches. share: whether the panels have the same limits too.
    """
    columns = min(len(titles), PER_ROW)
    rows = -(-len(titles) // columns)
    figure = Figure(figsize=(columns * size[0], rows * size[1] + 0.3), layout="constrained")  # 0.3: title
    every = figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False).ravel()
    for place, axes in enumerate(every):
        if place >= len(titles):
            axes.remove()
            continue
        axes.set(title=titles[place], xlabel=horizontal, ylabel=vertical if place % columns == 0 else "")
        # Shared limits hide the numbers of inner panels; below the last panel of a column there may be none.
        axes.tick_params(labelbottom=True)
    return figure, list(every[: len(titles)])


def legend_below(figure: Figure, handles: Sequence[Artist]) -> None:
    """One legend for all panels, below them; a column per 1.6 inches, which fits our names."""
    columns = max(1, int(figure.get_figwidth() / 1.6))
    figure.legend(handles=list(handles), loc="outside lower center", ncols=min(columns, len(handles)))
