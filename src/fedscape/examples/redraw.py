"""`fedscape redraw`: figures, tables, claims and pages of examples, rebuilt from the CSVs that they keep."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from fedscape.command.repository import SNAKEFILE, clone, enter_repository, study_here
from fedscape.errors import FedscapeError, printable
from fedscape.examples.page import PAGE, write_page
from fedscape.examples.store import EXAMPLES, SETTINGS, Example
from fedscape.provenance import last_change
from fedscape.study.jobs import Job
from fedscape.study.kept import costs_csv, drawing_jobs, drawn_from
from fedscape.study.stages.page import PAGE as PAGE_STAGE
from fedscape.study.study import Study

SHOWN = {
    ".": ("index.html", "plotly.min.js"),
    "figures": ("*.png",),
    "tables": ("*.csv", "*.md"),
}  # folder -> patterns of the names of the files that an example shows
LAST_LINES = 15  # of Snakemake's output that are shown if no error is fedscape's own
EMPTY_LINES = 2  # of a CSV without rows: its header and its end


def redraw(folders: Sequence[str], cores: str, only_page: bool = False) -> int:
    """Draw the examples in these folders, or in all of docs/examples that keep CSVs.

    cores: as for Snakemake. only_page: write index.html alone, from the figures and tables that are there.
    Raises FedscapeError for other cores, and for an example that lacks a CSV, before any of it is drawn; of
    all, one whose runs are not all made yet is left as it is, in a line.
    """
    if cores != "all" and not (cores.isdecimal() and int(cores)):
        raise FedscapeError(f"--cores: got {cores!r}; allowed: all, or a whole number from 1")
    start = enter_repository()
    examples = [Example(Path(os.path.relpath(start / folder))) for folder in folders]
    if not folders:
        examples = [Example(path.parents[1]) for path in sorted(EXAMPLES.glob(f"*/data/{SETTINGS}"))]
        if not examples:
            raise FedscapeError(f"{EXAMPLES}: no example keeps CSVs; `fedscape pack` brings them")
    for example in examples:
        _redraw(example, cores, only_page, may_lack=not folders)
    return 0


def _redraw(example: Example, cores: str, only_page: bool, may_lack: bool) -> None:
    name, scale = example.study_and_scale
    made_with = example.made_with()
    if made_with is None:
        raise FedscapeError(f"{example.data}: no CSVs are kept here; `fedscape pack {name}` brings them")
    study = study_here(name, [f"scale={scale}"])
    example.check_settings(study)
    jobs = drawing_jobs(study)
    needed = dict.fromkeys([*drawn_from(jobs), costs_csv(study)])
    missing = [path for path in needed if not example.kept(study, path).is_file()]
    if missing and may_lack:
        print(
            printable(
                f"{example.folder}: left as it is, {len(missing)} of {len(needed)} CSVs are not kept yet"
            )
        )
        return
    if missing:
        reader = next((job.outputs[0] for job in jobs if missing[0] in job.inputs), PAGE)
        raise FedscapeError(
            f"{example.kept(study, missing[0])}: not kept, and {reader} is drawn from it "
            f"({len(missing)} of {len(needed)} CSVs are missing); `fedscape pack {name}` brings them"
        )
    drawn: list[str] = []
    shown = SHOWN
    if only_page:
        outputs = {path for job in jobs for path in job.outputs}
        jobs, shown = [job for job in jobs if job.rule == PAGE_STAGE.name], {".": SHOWN["."]}
        drawn = [path for job in jobs for path in job.inputs if path in outputs]
    print(printable(f"{example.folder}: {len(jobs)} jobs"), flush=True)
    with TemporaryDirectory() as scratch:
        _draw(example, study, jobs, drawn, Path(scratch), cores)
        results = Path(scratch, study.folder)
        for folder, patterns in shown.items():
            files = [path for path in _matching(results / folder, patterns) if not _is_empty(path)]
            _replace(example.folder / folder, files, patterns)
    if not only_page:
        write_page(example, study, made_with, last_change())


def _draw(
    example: Example, study: Study, jobs: Sequence[Job], drawn: Sequence[str], scratch: Path, cores: str
) -> None:
    """Have Snakemake run the drawing jobs in `scratch`, with their own rules and no others.

    drawn: inputs of these jobs that the example shows already. To Snakemake all other files are inputs that
    must exist, so that nothing is trained if one is missing.
    """
    for kept in example.files():
        path = f"{study.folder}/{kept.relative_to(example.data).with_suffix('')}"
        Path(scratch, path).parent.mkdir(parents=True, exist_ok=True)
        Path(scratch, path).write_bytes(example.read(study, path))
    for path in drawn:
        file = example.folder / Path(path).relative_to(study.folder)
        if not file.is_file():
            raise FedscapeError(f"{file}: not there; `fedscape redraw {example.folder}` draws it")
        Path(scratch, path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, Path(scratch, path))
    for path in Path.cwd().iterdir():  # settings, studies, plug-ins, and whatever files studies name
        if not (path.name.startswith(".") or Path(scratch, path.name).exists()):
            Path(scratch, path.name).symlink_to(path)
    process = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(clone() / SNAKEFILE)),
            *("--directory", str(scratch)),
            *("--cores", cores, "--quiet", "--config", f"study={study.name}", f"scale={study.scale}"),
            *("--allowed-rules", *{job.rule: None for job in jobs}, "--", *(job.outputs[0] for job in jobs)),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
    )  # fmt: skip
    if process.returncode:
        lines = process.stdout.splitlines()
        errors = [line.removeprefix("fedscape: ") for line in lines if line.startswith("fedscape: ")]
        if not errors:
            print(printable("\n".join(lines[-LAST_LINES:])), file=sys.stderr)
        raise FedscapeError(
            f"{example.folder}: {errors[0] if errors else 'Snakemake stopped; its last words are above'}"
        )


def _is_empty(path: Path) -> bool:
    """Whether a CSV has no rows, as that of an analysis that the study lacks."""
    return path.suffix == ".csv" and path.read_bytes().count(b"\n") <= EMPTY_LINES


def _matching(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files of a folder whose names have one of these patterns."""
    return [path for pattern in patterns for path in folder.glob(pattern)]


def _replace(folder: Path, files: Sequence[Path], patterns: Sequence[str]) -> None:
    """Replace the files of a folder whose names have these patterns by copies of these."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {file.name for file in files}
    for old in _matching(folder, patterns):
        if old.name not in names:
            old.unlink()
    for file in files:
        shutil.copyfile(file, folder / file.name)
