"""Where files lie. Names of a study go into paths, so a path says what is in the file."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from fedscape.study.catalog import constant
from fedscape.study.connections import FILES, kind_of_file
from fedscape.study.curvature import needs_clients
from fedscape.study.grid import Run, runs_of
from fedscape.study.stages import start_seed
from fedscape.study.study import Case, Claim, Column, Study

DATASET_FILES = (
    "dataset.json",
    "train-inputs.npy",
    "train-labels.npy",
    "train-clients.npy",
    "test-inputs.npy",
    "test-labels.npy",
)

MEASURED = (  # sections and files of the long jobs that look at runs
    ("planes", "plane.safetensors"),
    ("planes", "surface.csv"),
    ("connectivity", "path.csv"),
    ("connectivity", "layers.csv"),
    ("curvature", "curvature.csv"),
)

CLAIMS = ("claims.csv", "contrasts.csv", "claim-values.csv", "claims.md")
EXPORTED = ("surface.vts", "trajectories.vtp")  # of every plane, for ParaView


def dataset_files(dataset: str) -> list[str]:
    """The prepared arrays of a data set, shared by all studies; the first is in the folder of all."""
    return [f"results/data/{dataset}/{file}" for file in DATASET_FILES]


def partition_file(study: Study, run: Run, ending: str = "npz") -> str:
    """Which samples each client holds in a run (npz), or how many of each class (csv)."""
    return f"{study.folder}/partitions/{run.dataset}/{run.partition}/seed{run.seed}.{ending}"


def run_files(study: Study, runs: Iterable[Run], file: str) -> list[str]:
    """One file of each run."""
    return [f"{study.folder}/runs/{run.path}/{file}" for run in runs]


def group_files(
    study: Study, section: str, file: str, name: str | None = None, groups: Iterable[str] | None = None
) -> list[str]:
    """One file of each group of an analysis, or of all of a section (`planes`, ...) that write it."""
    kind = kind_of_file(Path(file).stem)
    return [
        f"{study.folder}/{section}/{one}/{group}/{file}"
        for one, analysis in getattr(study, section).items()
        if name in (None, one) and kind in (None, analysis.settings.get("kind"))
        for group in (analysis.groups if groups is None else groups)
    ]


def analysed_runs(study: Study, section: str, name: str, group: str) -> list[Run]:
    """The runs of a group, each once; of pairs, in the order in which these name them."""
    return runs_of(getattr(study, section)[name].groups[group])


def plane_clients(study: Study, name: str, group: str) -> list[str]:
    """The clients' models of a plane's runs, if its kind draws on them."""
    kind = study.planes[name].settings["plane"]["kind"]
    runs = analysed_runs(study, "planes", name, group)
    return run_files(study, runs, "clients.safetensors") if constant("plane", kind, "CLIENTS") else []


def connected_clients(study: Study, name: str, group: str) -> list[str]:
    """The clients' models of a connection's runs, if it is between clients."""
    runs = analysed_runs(study, "connectivity", name, group)
    between = study.connectivity[name].settings["between"]
    return run_files(study, runs, "clients.safetensors") if between == "clients" else []


def measured_clients(study: Study, name: str, group: str) -> list[str]:
    """The clients' models of a curvature's runs, if it looks at them."""
    runs = analysed_runs(study, "curvature", name, group)
    wanted = needs_clients(study.curvature[name].settings)
    return run_files(study, runs, "clients.safetensors") if wanted else []


def measured_partitions(study: Study, name: str, group: str) -> list[str]:
    """Who has which sample in each of a curvature's runs, if it looks at clients' own samples."""
    runs = analysed_runs(study, "curvature", name, group)
    own = "own" in study.curvature[name].settings["data"]
    return [partition_file(study, run) for run in runs] if own else []


def surface_parts(study: Study, name: str, group: str) -> list[str]:
    """The points that jobs of their own evaluate for a surface, if it is split."""
    parts = study.planes[name].settings["parts"]
    folder = f"{study.folder}/planes/{name}/{group}/parts"
    return [f"{folder}/{part}-of-{parts}.npz" for part in range(1, parts + 1)] if parts > 1 else []


def start_file(study: Study, dataset: str, model: str, init: str, seed: int) -> str:
    """The weights that runs of these names start from."""
    return f"{study.folder}/initial/{dataset}/{model}/{init}/seed{seed}.safetensors"


def is_trained(study: Study, init: str) -> bool:
    """Whether a start is trained for, so that its job waits in the queue of a cluster."""
    return bool(constant("initial", study.inits[init].start["kind"], "TRAINS"))


def measured_jobs(study: Study) -> list[str]:
    """One output of each long job but training: those whose seconds the table of costs collects."""
    starts = dict.fromkeys((run.dataset, run.model, run.init, run.seed) for run in study.runs)
    return [
        *(start_file(study, *start) for start in starts),
        *(path for section, file in MEASURED for path in group_files(study, section, file)),
    ]


def start_proxy(study: Study, init: str) -> list[str]:
    """The data set that a start is pre-trained on, if it is."""
    proxy = study.inits[init].start.get("dataset")
    return dataset_files(proxy) if proxy else []


def start_source(study: Study, init: str, dataset: str, model: str, seed: int) -> list[str]:
    """The user's file or another run's trajectory that a start is taken from, if it is."""
    start = study.inits[init].start
    if "file" in start:
        return [start["file"]]
    run = study.start_run(init, dataset, model, start_seed(study, init, seed))
    return run_files(study, [run], "trajectory.safetensors") if run else []


def figure_files(study: Study, figure: str) -> dict[str, list[str]]:
    """The CSVs that a figure is drawn from, by what they hold."""
    drawn = study.figures[figure]
    section, files = "", ()
    if drawn.source == "plane":
        section, files = "planes", ("surface", "markers")
    elif drawn.source == "connectivity":
        section, files = "connectivity", FILES[study.connectivity[drawn.name].settings["kind"]]
    elif drawn.source == "curvature":
        section, files = "curvature", ("density",)
    if section:
        return {file: group_files(study, section, f"{file}.csv", drawn.name, drawn.groups) for file in files}
    if drawn.source == "table":
        return {drawn.name: [f"{study.folder}/tables/{drawn.name}.csv"]}
    counts = [partition_file(study, run, "csv") for run in study.runs if run.partition in drawn.name]
    return {"partitions": list(dict.fromkeys(counts))}


def claim_files(study: Study, file: str) -> list[str]:
    """The `{file}.csv` of every group that a claim is measured on, if its measure reads such a file."""
    found = [_measured_files(study, file, claim, claim.cases) for claim in study.claims]
    if file == "rounds" and any(claim.learned for claim in study.claims):
        found.append([f"{study.folder}/tables/rounds.csv"])
    return list(dict.fromkeys(chain(*found)))


def table_files(study: Study, table: str, file: str) -> list[str]:
    """The same for the cells of a table, whose measures may also read the clock, `timing.csv`."""
    entry = study.tables[table]
    found = [
        _measured_files(study, file, column, cell)
        for row in entry.cells
        for column, cell in zip(entry.columns, row, strict=True)
        if column.measure
    ]
    return list(dict.fromkeys(chain(*found)))


def targets(study: Study) -> list[str]:
    """Everything that a study makes: its figures and tables, final models, and surfaces that no figure draws.

    The final models are read by nothing here, and would not be missed.
    """
    tables = [
        f"{name}.{ending}" for name, one in study.tables.items() if one.has_runs for ending in ("csv", "md")
    ]
    return [
        *(
            f"{study.folder}/figures/{figure}.{ending}"
            for figure in study.figures
            for ending in ("png", "svg")
        ),
        *(f"{study.folder}/tables/{table}" for table in ("runs.csv", "runs.md", "costs.csv")),
        *(f"{study.folder}/tables/{table}" for table in CLAIMS if study.claims),
        *(f"{study.folder}/tables/{table}" for table in tables),
        *run_files(study, study.runs, "final.safetensors"),
        *(path for file in ("surface.csv", *EXPORTED) for path in group_files(study, "planes", file)),
    ]


def _measured_files(study: Study, file: str, what: Claim | Column, cases: Iterable[Case]) -> list[str]:
    if file not in constant("measure", what.measure["kind"], "SOURCES"):
        return []
    if file == "timing":  # not tables/costs.csv, which waits for all jobs of the study
        return run_files(study, study.runs, "timing.csv")
    if not what.section:
        return [f"{study.folder}/tables/{file}.csv"]
    return [
        path
        for case in cases
        for path in group_files(study, what.section, f"{file}.csv", what.name, case.groups)
    ]
