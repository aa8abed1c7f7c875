"""Runs that others start from: of those that a study asks for, the ones that their starts continue."""

from collections.abc import Mapping

from fedscape.errors import FedscapeError
from fedscape.study.grid import Run
from fedscape.study.limits import LONGEST_CHAIN, MOST_RUNS, check_count
from fedscape.study.selection import Names
from fedscape.study.study import ImportedRun, Init


def with_sources(
    runs: tuple[Run, ...],
    inits: Mapping[str, Init],
    imports: Mapping[Run, ImportedRun],
    all_names: Names,
    where: str,
) -> tuple[Run, ...]:
    """The runs, and those that their `after-round` starts continue; a cycle of starts is refused."""
    complete: dict[Run, None] = {}
    imported = {run.method for run in imports}

    def add(run: Run, chain: tuple[str, ...]) -> None:
        source = None if run in imports else inits[run.init].source(run.dataset, run.model, run.seed)
        if source:
            key = f"{where}: inits.{run.init}"
            all_names.selected({"init": source.init}, key)
            all_names.selected({"partition": source.partition}, key)
            if source not in imports and (source.init not in inits or source.method in imported):
                raise FedscapeError(f"{key}: no entry of runs imports {source.path}")
            if source.init in (*chain, run.init):
                raise FedscapeError(
                    f"{key}: starts form a cycle: {' -> '.join([*chain, run.init, source.init])}"
                )
            check_count(len(chain) + 1, LONGEST_CHAIN, "starts that continue one another", key)
            add(source, (*chain, run.init))
        complete[run] = None
        check_count(len(complete), MOST_RUNS, "runs", f"{where}: runs")

    for run in runs:
        add(run, ())
    return tuple(complete)
