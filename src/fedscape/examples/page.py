"""The page of an example, README.md: parts between marks are generated, all else is the author's."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from fedscape.errors import FedscapeError
from fedscape.examples.store import Example
from fedscape.files import write_text
from fedscape.study.stages.tables import OF_EVERY_STUDY
from fedscape.study.study import Study
from fedscape.tables.markdown import escaped
from fedscape.tables.read import read_table

PAGE = "README.md"
PARTS = ("made", "results")  # in the order in which a new page has them
VERSIONS = {"python": "Python", "torch": "PyTorch", "device": "on"}  # of the runs: key -> its words
NEW = "## What holds, what does not, and why"  # heading between them, for the author to continue


def write_page(example: Example, study: Study, trained: Mapping, drawn: Mapping) -> None:
    """Write the generated parts of README.md; a part whose marks are missing is put at the end.

    trained: commit and versions that the CSVs were made with. drawn: `last_change` of the clone that draws.
    """
    page = example.folder / PAGE
    first, second = (f"{_mark(part, 'begin')}\n{_mark(part, 'end')}" for part in PARTS)
    text = f"# {escaped(study.title)}: scale `{study.scale}`\n\n{first}\n\n{NEW}\n\n{second}\n"
    if page.is_file():
        text = page.read_text(encoding="utf-8")
    text = with_part(text, "made", _provenance(example, trained, drawn), page)
    write_text(page, with_part(text, "results", _results(example, study), page))


def with_part(text: str, part: str, content: str, page: Path) -> str:
    """A page with the content between two marks replaced. Raises FedscapeError where one mark is missing."""
    begin, end = _mark(part, "begin"), _mark(part, "end")
    if begin not in text and end not in text:
        text = f"{text.rstrip()}\n\n{begin}\n{end}\n"
    before, opening, rest = text.partition(begin)
    _, closing, after = rest.partition(end)
    if not (opening and closing):
        raise FedscapeError(f"{page}: no '{begin}' with its '{end}' below it; put both there, or neither")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def _mark(part: str, where: str) -> str:
    return f"<!-- {part}: {where} (written by `make examples`) -->"


def _provenance(example: Example, trained: Mapping, drawn: Mapping) -> str:
    """The code, the packages, the cost, and how many claims hold."""
    where = f"at commit `{drawn['commit']}`" if drawn["commit"] else "outside a git clone"
    changed = " with changes that are not committed" if drawn["dirty"] else ""
    versions = ", ".join(f"{name} {' or '.join(trained[key])}" for key, name in VERSIONS.items())
    lines = [
        f"Trained at commit `{trained['commit']}`, drawn {where}{changed}. {escaped(versions)} "
        "([settings and packages](data/config.yaml)).",
        _cost(read_table(example.folder / "tables" / "costs.csv", "costs")),
    ]
    claims = example.folder / "tables" / "claims.csv"
    if claims.is_file():
        counts = read_table(claims, "claims")["verdict"].value_counts()
        most_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        words = "; ".join(f"{verdict}: {count}" for verdict, count in most_first)
        lines.append(f"**{counts.sum()} claims.** {escaped(words)}.")
    return "\n\n".join(lines)


def _cost(costs: pd.DataFrame) -> str:
    """The time of all jobs, each on one core: all processes of a run, the last one of any other job."""
    is_run = costs["stage"] == "train"
    training, rest = costs.loc[is_run, "seconds"].sum(), costs.loc[~is_run, "job_seconds"].sum()
    return (
        f"{is_run.sum()} runs took {_time(training)} of one core, starts and what is measured on models "
        f"{_time(rest)} ([costs](tables/costs.csv))."
    )


def _time(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes / 60:.1f} hours" if minutes >= 120 else f"{minutes:.1f} minutes"


def _tables(example: Example, study: Study) -> list[str]:
    """A line for each table: the study's own with their titles, then those of every study."""
    folder = example.folder / "tables"
    lines = []
    for name in [*study.tables, *OF_EVERY_STUDY]:
        title = f": {escaped(study.tables[name].title)}" if name in study.tables else ""
        files = [f"{name}{ending}" for ending in (".md", ".csv") if (folder / f"{name}{ending}").is_file()]
        if files:
            lines.append(f"- {', '.join(f'[{file}](tables/{file})' for file in files)}{title}")
    return lines


def _results(example: Example, study: Study) -> str:
    """Claims, tables and figures, in the order of the study."""
    parts = []
    claims = example.folder / "tables" / "claims.md"
    if claims.is_file():
        # Without the title and up to the next heading: verdicts, and the table of claims.
        _, *paragraphs = claims.read_text(encoding="utf-8").partition("\n## ")[0].rstrip().split("\n\n")
        parts += [
            "## Claims",
            *paragraphs,
            "What was measured: [tables/claims.md](tables/claims.md).",
        ]
    parts += ["## Tables", "\n".join(_tables(example, study))]
    parts.append(
        "[results/README.md](../../../results/README.md) explains the columns. All of this is drawn from the "
        "CSVs in [data](data), which pandas reads as they are."
    )
    parts.append("## Figures")
    for name, figure in study.figures.items():
        parts += [
            f"**{name}**: {escaped(figure.title)}" if figure.title else f"**{name}**",
            f"![{name}](figures/{name}.png)",
        ]
    return "\n\n".join(parts)
