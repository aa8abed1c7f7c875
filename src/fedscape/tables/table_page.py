"""A table of the paper as a page of Markdown: ours, and the published number beside each."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedscape.tables.estimate import BOOTSTRAP, STUDENT
from fedscape.tables.markdown import escaped, markdown_table

PUBLISHED = "paper"  # head of a column of published numbers
INTERVALS = {
    STUDENT: "± half-width of its 95 % interval (Student's t)",
    BOOTSTRAP: "[ends of its 95 % interval, by the percentile bootstrap over seeds]",
}
RATIO_DECIMALS = 2  # of a published number over another


def table_page(
    table: Mapping,
    columns: Sequence[Mapping],
    measures: Sequence[str],
    ours: Sequence[Sequence[Any]],
    published: Sequence[Sequence[float | None]],
    study: str,
    scale: str,
) -> str:
    """Markdown text.

    table, columns: as `table.make_table` has them. measures: of each column, in words. ours: estimates,
    published: numbers or None, both [rows][columns].
    """
    header, picked = [""], []
    for j, column in enumerate(columns):
        beside = any(row[j] is not None for row in published)
        if column["measure"] is not None:
            header.append(column["label"])
            picked.append((j, False))
        if beside:
            header.append(PUBLISHED if column["measure"] is not None else f"{column['label']} ({PUBLISHED})")
            picked.append((j, True))
    lines = []
    printed = [
        published_words([row[j] for row in published], RATIO_DECIMALS if column["over"] else None)
        for j, column in enumerate(columns)
    ]
    for i, label in enumerate(table["rows"]):
        cells = [
            printed[j][i] if beside else estimate_words(ours[i][j], columns[j]["percent"])
            for j, beside in picked
        ]
        lines.append([label, *cells])
    source = f"{table['source']}: " if table["source"] else ""
    parts = [
        f"# {escaped(source + table['title'])}",
        f"study {study}, scale {scale}",
        markdown_table(header, lines, texts=1),
        _seed_words([one for row in ours for one in row]),
        _measure_words(columns, measures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def estimate_words(one: Any, percent: bool) -> str:
    """`52.9 ± 0.4` or `52.9 [52.4, 53.2]`, and what is left out of it; or the word why there is none."""
    if one.mean is None:
        return one.note
    text = f"{one.mean:.1f}" if percent else f"{one.mean:.4g}"
    if one.half_width is not None:
        text += f" ± {one.half_width:.1f}" if percent else f" ± {one.half_width:.2g}"
    elif one.low is not None:
        ends = [f"{end:.1f}" if percent else f"{end:.4g}" for end in (one.low, one.high)]
        text += f" [{', '.join(ends)}]"
    return text + (f" ({one.diverged} diverged)" if one.diverged else "")


def published_words(numbers: Sequence[float | None], decimals: int | None = None) -> list[str]:
    """The published numbers of a column; by default each with the decimals that any of them has."""
    if decimals is None:
        texts = [f"{number:.10g}" for number in numbers if number is not None]
        decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    return ["" if number is None else f"{number:.{decimals}f}" for number in numbers]


def _seed_words(cells: Sequence[Any]) -> str:
    seeds = sorted({one.seeds for one in cells if one.seeds})
    if not seeds:
        return ""
    if seeds[-1] == 1:
        return "Ours: one seed; how far it varies from seed to seed is not known."
    of = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    ways = {one.interval for one in cells if one.interval}
    words = [text for way, text in INTERVALS.items() if way in ways]
    alone = "; no interval: one seed" if seeds[0] == 1 else ""
    few = (
        " Few seeds make few different resamples: such an interval is too narrow."
        if BOOTSTRAP in ways
        else ""
    )
    return f"Ours: mean over {of} seeds {'; '.join(words)}{alone}.{few}"


def _measure_words(columns: Sequence[Mapping], measures: Sequence[str]) -> str:
    """Which columns are measured by what, and which are not."""
    by_measure: dict[str, list[str]] = {}
    for column, words in zip(columns, measures, strict=True):
        words += ", in percent" if words and column["percent"] else ""
        by_measure.setdefault(words, []).append(column["label"])
    if len(by_measure) == 1 and "" not in by_measure:
        return f"Measured: {escaped(next(iter(by_measure)))}."
    lines = [
        f"- {escaped(', '.join(labels))}: {escaped(words) or 'published only'}"
        for words, labels in by_measure.items()
    ]
    return "\n".join(lines)
