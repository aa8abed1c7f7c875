"""The two parts of a study: jobs that train and measure, and jobs that only draw from the CSVs of those.

An example keeps the CSVs of the first, and the `run.json` of each run (`fedscape pack`); the second are all
that `fedscape redraw` runs.
"""

from collections.abc import Iterable

from fedscape.study.jobs import Job, jobs_of
from fedscape.study.stages.figures import FIGURE
from fedscape.study.stages.page import PAGE
from fedscape.study.stages.tables import CLAIMS, COSTS, TABLE, TABLES
from fedscape.study.study import Study

DRAWING = tuple(stage.name for stage in (TABLES, CLAIMS, TABLE, FIGURE, PAGE))
"""Rules whose jobs read CSVs (and run.json), and that no job of another rule reads from."""
KEPT = (".csv", "/run.json")
"""How the paths end of what an example keeps."""


def drawing_jobs(study: Study) -> list[Job]:
    """The jobs that draw tables, claims, figures and the page."""
    return [job for job in jobs_of(study) if job.rule in DRAWING]


def drawn_from(jobs: Iterable[Job]) -> list[str]:
    """The files that drawing jobs read and that none of them makes."""
    drawn = {path for job in jobs for path in job.outputs}
    return list(dict.fromkeys(path for job in jobs for path in job.inputs if path not in drawn))


def costs_csv(study: Study) -> str:
    """The table of costs."""
    return COSTS.file(study, {}, "costs")


def measured_files(study: Study) -> dict[str, int]:
    """What is kept of jobs that train and measure, and the seed that it is about; of several, the highest."""
    seeds: dict[str, int] = {}
    files = {}
    for job in jobs_of(study):
        if job.rule in (*DRAWING, COSTS.name):  # the table of costs reads the clock, and is about no one seed
            continue
        own = [int(job.wildcards["seed"])] if "seed" in job.wildcards else []
        seed = max([*own, *(seeds[path] for path in job.inputs if path in seeds)], default=None)
        if seed is not None:  # a data set has none
            seeds.update(dict.fromkeys(job.outputs, seed))
            files.update((path, seed) for path in job.outputs if path.endswith(KEPT))
    return files
