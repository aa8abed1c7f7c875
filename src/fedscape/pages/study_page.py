"""Stage `page`: one HTML page about a study at a scale, from the CSVs and figures that are there."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image
from plotly.offline import get_plotlyjs

from fedscape.columns.identity import NAMES
from fedscape.figures.labels import run_labels
from fedscape.figures.looks import Labels
from fedscape.files import read_json, reading, write_text
from fedscape.pages import explorer
from fedscape.pages.paper_table import paper_table
from fedscape.tables.cases import NOT_RUN_HERE
from fedscape.tables.claims import (
    FAILS,
    FAILS_WITHIN_NOISE,
    HOLDS,
    HOLDS_WITHIN_NOISE,
    NOT_MEASURABLE,
)
from fedscape.tables.read import joined, read_table

THUMBNAIL = (640, 400)  # pixels, at most
VERDICTS = {
    HOLDS: "verdict-holds",
    HOLDS_WITHIN_NOISE: "verdict-holds within",
    FAILS_WITHIN_NOISE: "verdict-fails within",
    FAILS: "verdict-fails",
    NOT_MEASURABLE: "verdict-open",
    NOT_RUN_HERE: "verdict-open within",
}
"""What a claim may come to, and how it is shown; in the order of the bar."""
RUN_COLUMNS = (
    "train_loss",
    "test_loss",
    "test_accuracy",
    "best_test_accuracy",
    "rounds",
    "samples",
    "diverged",
)


@dataclass(frozen=True)
class PageFigure:
    """What stands below a figure."""

    title: str
    caption: str


@dataclass(frozen=True)
class PageStudy:
    """What a page says of its study beside the numbers."""

    name: str
    scale: str
    title: str
    paper: str = ""
    labels: Sequence[Mapping] = ()  # what figures call runs, as `figures.looks.Labels` has them
    figures: Mapping[str, PageFigure] = field(default_factory=dict)  # by name
    tables: Mapping[str, str] = field(default_factory=dict)  # name -> title
    claim_figures: Sequence[Sequence[str]] = ()  # of each claim, the figures that show it


def make_page(
    study: PageStudy, sources: Mapping[str, Sequence[Path]], templates: Path, html: Path, library: Path
) -> None:
    """Write the page, and the plotting library that it loads from beside it.

    templates: folder of its template, styles and scripts (`workflow/page`).
    sources: files by what they hold: `runs`, `claims`, `contrasts`, `costs`, `table`, `markers`, `surface`,
    `layers`, `density` (CSVs), `run` (run.json of every run), `figure` (PNG).
    """
    labels = Labels.of(study.labels)
    frames = {
        name: labels.in_order(joined(sources.get(name, ()), name))
        for name in ("markers", "surface", "layers", "density")
    }
    runs = labels.in_order(read_table(sources["runs"][0], "runs"))
    costs = read_table(sources["costs"][0], "costs")
    claims = _claims(study, sources)
    made = [read_json(path) for path in sources.get("run", ())]
    shown = explored(study, frames)
    environment = Environment(
        loader=FileSystemLoader(templates), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    counts = {verdict: sum(claim["verdict"] == verdict for claim in claims) for verdict in VERDICTS}
    text = environment.get_template("page.html.jinja").render(
        study=study,
        css=_text(templates / "page.css"),
        page_js=_text(templates / "page.js"),
        explorer_js=_text(templates / "explorer.js"),
        measures_js=_text(templates / "measures.js"),
        data=_embedded(shown),
        draws=any(shown[kind] for kind in ("planes", "layers", "spectra")),
        has_planes=bool(shown["planes"]),
        has_layers=bool(shown["layers"]),
        has_spectra=bool(shown["spectra"]),
        facts=facts(study, runs, made),
        claims=claims,
        tested=len(claims) - counts[NOT_RUN_HERE],
        verdicts=[
            {"word": verdict, "tone": VERDICTS[verdict], "count": count} for verdict, count in counts.items()
        ],
        counts_in_words="; ".join(f"{verdict}: {count}" for verdict, count in counts.items() if count),
        sections=_sections(study, shown, claims),
        figures=[_figure(path, study.figures) for path in sources.get("figure", ())],
        runs=_runs(runs, study.labels),
        tables=[paper_table(read_table(path, "table"), study.tables) for path in sources.get("table", ())],
        costs=_costs(costs),
        cost_words=cost_words(costs, made),
        command=f"snakemake {study.name} --cores all --config scale={study.scale}",
        provenance=_provenance(made),
    )
    write_text(html, text)
    write_text(library, get_plotlyjs())


def explored(study: PageStudy, frames: Mapping[str, pd.DataFrame]) -> dict:
    """What the page's script draws."""
    planes = [
        each
        for name, markers in frames["markers"].groupby("plane", sort=False)
        for each in explorer.plane(
            str(name), markers, frames["surface"][frames["surface"]["plane"] == name], study.labels
        )
    ]
    layers = [
        each
        for name, rows in frames["layers"].groupby("connectivity", sort=False)
        for each in explorer.layers(str(name), rows, study.labels)
    ]
    return {
        "planes": planes,
        "layers": layers,
        "spectra": explorer.spectra(frames["density"], study.labels),
    }


def facts(study: PageStudy, runs: pd.DataFrame, made: Sequence[Mapping]) -> list[tuple[str, str]]:
    """What the first lines say: which paper, code and seeds, when, how long."""
    seeds = ", ".join(map(str, sorted(runs["seed"].unique())))
    trained = [run for run in made if "training" in run]
    imported = f", {len(made) - len(trained)} of them imported" if len(trained) < len(made) else ""
    lines = [("Paper", study.paper), ("Runs", f"{len(runs)}{imported}"), ("Seeds", seeds)]
    if trained:
        hours = sum(run["seconds"] for run in trained) / 3600
        ends = [datetime.fromisoformat(run[key]) for run in trained for key in ("started", "ended")]
        lines += [
            ("Trained", " to ".join(dict.fromkeys(f"{end:%Y-%m-%d}" for end in (min(ends), max(ends))))),
            ("Training time", f"{hours:.1f} hours" if hours >= 2 else f"{60 * hours:.1f} minutes"),
        ]
    if made:
        lines.append(("Commit", ", ".join(sorted({str(run["commit"])[:12] for run in made}))))
    return [(name, value) for name, value in lines if value]


def _claims(study: PageStudy, sources: Mapping[str, Sequence[Path]]) -> list[dict]:
    """A mapping of plain values for each claim."""
    if not sources.get("claims"):
        return []
    contrasts = read_table(sources["contrasts"][0], "contrasts")
    claims = read_table(sources["claims"][0], "claims").fillna("").to_dict("records")
    for claim, figures in zip(claims, study.claim_figures, strict=True):
        own = contrasts[contrasts["number"] == claim["number"]]
        claim["contrasts"] = [
            f"{row.contrast}: {row.mean:.4g} [{row.low:.4g}, {row.high:.4g}]"
            if pd.notna(row.low) else f"{row.contrast}: {row.mean:.4g}"
            for row in own.itertuples()
        ]  # fmt: skip
        claim["tone"] = VERDICTS[claim["verdict"]]
        claim["figures"] = figures
    return claims


def _sections(study: PageStudy, shown: Mapping, claims: Sequence) -> list[tuple[str, str]]:
    sections = [
        ("figures", "Figures", bool(study.figures)),
        ("explorer", "Planes", bool(shown["planes"])),
        ("layers", "Layers", bool(shown["layers"])),
        ("spectra", "Spectra", bool(shown["spectra"])),
        ("claims", "Claims", bool(claims)),
        ("runs", "Runs", True),
        ("tables", "Tables", bool(study.tables)),
        ("costs", "Costs", True),
        ("provenance", "Reproduce it", True),
    ]
    return [(name, word) for name, word, there in sections if there]


def _figure(path: Path, figures: Mapping[str, PageFigure]) -> dict:
    figure = figures[path.stem]
    return {
        "name": path.stem, "title": figure.title, "caption": figure.caption, "thumbnail": thumbnail(path),
    }  # fmt: skip


def thumbnail(path: Path) -> str:
    """A small copy of a picture, as WebP in base64. Raises FedscapeError for a file that is not whole."""
    with reading(path, "picture"), Image.open(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail(THUMBNAIL)
    buffer = io.BytesIO()
    small.save(buffer, "webp", quality=82, method=6)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _runs(runs: pd.DataFrame, labels: Sequence[Mapping]) -> dict:
    named = runs.assign(run=run_labels(runs, NAMES, (), labels))
    columns = ["run", *(name for name in (*NAMES, "seed") if runs[name].nunique() > 1)]
    columns += [column for column in RUN_COLUMNS if column in runs and runs[column].notna().any()]
    return _content(named[columns])


def _costs(costs: pd.DataFrame) -> dict:
    """Seconds by stage."""
    seconds = costs["seconds"].where(costs["stage"] == "train", costs["job_seconds"])
    peaks = costs.get("job_peak_memory_mib", pd.Series(float("nan"), index=costs.index))
    stages = costs.assign(minutes=seconds / 60, peak=peaks).groupby("stage", sort=False)
    table = stages.agg(jobs=("stage", "size"), minutes=("minutes", "sum"), largest_MiB=("peak", "max"))
    return _content(table.reset_index())


def cost_words(costs: pd.DataFrame, made: Sequence[Mapping]) -> str:
    """The hours of runs, and of all else, with what they are hours of; imported runs have no device."""
    devices = sorted({str(run["device"]) for run in made if "device" in run})
    unit = "of one core" if set(devices) <= {"cpu"} else f"on {', '.join(devices)}"
    trained = costs["stage"] == "train"
    hours = costs.loc[trained, "seconds"].sum() / 3600
    rest = costs.loc[~trained, "job_seconds"].sum() / 3600
    return (
        f"{trained.sum()} runs took {hours:.2f} hours {unit}, starts and what is measured on models "
        f"{rest:.2f}."
    )


def _provenance(made: Sequence[Mapping]) -> list[tuple[str, str]]:
    keys = {"commit": "Commit", "python": "Python", "torch": "PyTorch", "device": "Device"}
    values = {word: sorted({str(run[key]) for run in made if key in run}) for key, word in keys.items()}
    return [(word, ", ".join(own)) for word, own in values.items() if own]


def _content(frame: pd.DataFrame) -> dict:
    numbers = [
        pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name])
        for name in frame
    ]
    heads = [
        {"word": str(name).replace("_", " "), "number": number}
        for name, number in zip(frame, numbers, strict=True)
    ]
    rows = [
        [
            ("" if pd.isna(cell) else f"{cell:.5g}" if isinstance(cell, float) else str(cell), None)
            for cell in row
        ]
        for row in frame.itertuples(index=False)
    ]
    return {"heads": heads, "rows": rows}


def _text(path: Path) -> Markup:
    """A file of ours that goes into the page as it is."""
    return Markup(path.read_text(encoding="utf-8"))


def _embedded(values: object) -> Markup:
    """JSON that no text in it can end early, nor begin a comment."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
