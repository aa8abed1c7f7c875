"""`fedscape pack`: keep the CSVs of a study, beside those that are kept already."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from fedscape.columns.csvs import write_csv
from fedscape.columns.kinds import FILES
from fedscape.command.repository import enter_repository, study_here
from fedscape.errors import FedscapeError, printable
from fedscape.examples.store import EXAMPLES, Example
from fedscape.files import read_json
from fedscape.provenance import commit
from fedscape.study.kept import costs_csv, measured_files
from fedscape.study.stages.tables import COSTS
from fedscape.study.stages.training import run_files
from fedscape.study.study import Study
from fedscape.tables.costs import ORDER, make_costs
from fedscape.tables.read import joined

VERSIONS = ("fedscape", "python", "packages", "torch", "device")  # of run.json; machines may differ in them


def pack(
    study: str | None, changes: Sequence[str], configfiles: Sequence[str], to: str | None, only_name: bool
) -> int:
    """Keep the CSVs that exist of a study in `to` (docs/examples), and print how many they are.

    only_name: keep nothing, print the CSVs that are not kept yet, one per line.
    CSVs kept earlier stay if their runs are of the same commit: a study can be made seed by seed, and on
    several machines. Raises FedscapeError for runs of several commits, or of uncommitted code.
    """
    start = enter_repository()
    resolved = study_here(study, changes, configfiles)
    folder = Path(os.path.relpath(start / to)) if to else EXAMPLES
    example = Example(folder / f"{resolved.name}-{resolved.scale}")
    files = measured_files(resolved)
    if only_name:
        print("\n".join(_missing(example, resolved, files)))
        return 0
    made_with = _made_with(resolved, example.made_with())
    contents = {path: Path(path).read_bytes() for path in files if Path(path).is_file()}
    example.write(resolved, {**contents, **_costs(resolved, example)}, made_with)
    missing = _missing(example, resolved, files)
    size = sum(path.stat().st_size for path in example.files())
    print(
        printable(
            f"{example.data}: {len(files) - len(missing)} of {len(files)} files, {size / 1e6:.2f} MB, "
            f"trained at commit {made_with['commit']}"
        )
    )
    if missing:
        seeds = sorted({str(files[path]) for path in missing}, key=int)
        print(
            printable(f"not there yet: {missing[0]} and {len(missing) - 1} more, of seed {', '.join(seeds)}")
        )
    return 0


def _missing(example: Example, study: Study, files: Iterable[str]) -> list[str]:
    return [path for path in files if not example.kept(study, path).is_file()]


def _made_with(study: Study, before: Mapping | None) -> dict:
    """The one commit of all runs, those kept earlier included, and the versions they were made with."""
    runs = {path: read_json(path) for path in run_files(study, study.runs, "run") if Path(path).is_file()}
    if not runs:
        raise FedscapeError(f"{study.folder}: no run of {study.name} at scale {study.scale} is there")
    clone = commit()
    head = clone["commit"]
    if clone["dirty"]:
        raise FedscapeError(f"this clone differs from its commit {head}; pack with the code that trained")
    for path, run in runs.items():
        if run.get("commit") is None:
            raise FedscapeError(
                f"{path}: trained outside a git clone, so nobody knows the code; train it in one"
            )
        if run.get("dirty") is not False:
            raise FedscapeError(f"{path}: trained with changes that commit {run['commit']} does not hold")
        if run["commit"] != head:
            raise FedscapeError(
                f"{path}: trained at commit {run['commit']}, and this clone is at {head}; "
                "pack in a clone at the one commit of all runs"
            )
    if before and before["commit"] != head:
        raise FedscapeError(
            f"{study.folder}: trained at commit {head}, and what the example keeps at {before['commit']}; "
            "remove its folder `data` to replace it"
        )
    versions = {key: {_words(run[key]) for run in runs.values() if key in run} for key in VERSIONS}
    merged = {key: sorted(versions[key].union((before or {}).get(key, []))) for key in VERSIONS}
    return {"commit": head, **merged}


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return str(value)


def _costs(study: Study, example: Example) -> dict[str, bytes]:
    """The table of costs: of the jobs in this folder, and of those whose rows are kept."""
    path = costs_csv(study)
    with TemporaryDirectory() as scratch:
        new, old, merged = (Path(scratch, name) for name in ("new.csv", "old.csv", "merged.csv"))
        inputs = dict(COSTS.inputs(study, {}))
        make_costs(
            study=study.name,
            scale=study.scale,
            timings=_existing(inputs.pop("timing")),
            outputs={stage: _existing(paths) for stage, paths in inputs.items()},
            benchmarks=Path(study.folder, "benchmarks"),
            out=new,
        )
        if not example.kept(study, path).is_file():
            return {path: new.read_bytes()}
        old.write_bytes(example.read(study, path))
        rows = joined([old, new], "costs")
        jobs = rows[FILES["costs"].keys].astype("string").fillna("")
        write_csv(merged, rows[~jobs.duplicated(keep="last")], sort_by=ORDER)
        return {path: merged.read_bytes()}


def _existing(paths: Iterable[str]) -> list[Path]:
    return [Path(path) for path in paths if Path(path).is_file()]
