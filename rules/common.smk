"""Functions that the rules share: which study a job belongs to, which files it takes, which settings reach it."""

import os
import sys
from pathlib import Path

ROOT = Path(workflow.current_basedir).parent
SOURCE = str(ROOT / "src")
sys.path.insert(0, SOURCE)
# Scripts run in processes of their own and import the library of this clone, whichever is installed.
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")])))

from fedscape.errors import FedscapeError
from fedscape.study.campaign import read_campaign
from fedscape.study.stages import STAGES, start_seed
from fedscape.study.stages import tracked as tracked_strings

NAME = r"[a-z0-9][a-z0-9.-]*"
DATASET_FILES = [
    "dataset.json",
    "train-images.npy",
    "train-labels.npy",
    "train-clients.npy",
    "test-images.npy",
    "test-labels.npy",
]

try:
    CAMPAIGN = read_campaign(ROOT, config)
except FedscapeError as error:
    sys.exit(f"fedscape: {error}")


def study_of(wildcards):
    """The study of a job."""
    return CAMPAIGN.get(wildcards.study, wildcards.scale)


def gently(function):
    """An input or params function that answers for names that no study holds, instead of raising.

    The answer is a file that cannot be there, so Snakemake's own message says what is unknown.
    """

    def answer(wildcards):
        try:
            return function(wildcards)
        except KeyError as error:
            return [f"(no {error} in this study: see config/studies)"]

    return answer


def tracked(stage):
    """For `params: settings=`: the strings, of settings and code, that a job of this stage is rerun for."""

    @gently
    def strings(wildcards):
        settings = STAGES[stage](study_of(wildcards), dict(wildcards.items()))
        return tracked_strings(stage, settings, ROOT / "workflow" / "scripts")

    return strings


def dataset_settings(wildcards):
    """For `params: settings=` of the data-set rule, which belongs to no study."""
    plugin = CAMPAIGN.dataset_settings(wildcards.dataset)
    if plugin is None:
        return [f"(no data set {wildcards.dataset} in any study: see config/config.yaml)"]
    return tracked_strings("dataset", {"dataset": plugin}, ROOT / "workflow" / "scripts")


def dataset_files(dataset):
    """The prepared arrays of a data set."""
    return [f"results/data/{dataset}/{file}" for file in DATASET_FILES]


def partition_file(study, run):
    """Which samples each client holds in a run."""
    return f"{study.folder}/partitions/{run.dataset}/{run.partition}/seed{run.seed}.npz"


def run_files(study, runs, file):
    """One file of each run."""
    return [f"{study.folder}/runs/{run.path}/{file}" for run in runs]


def start_proxy(wildcards):
    """The data set that a start is pre-trained on, if it is."""
    proxy = study_of(wildcards).inits[wildcards.init].start.get("dataset")
    return dataset_files(proxy) if proxy else []


def start_source(wildcards):
    """The trajectory or the file that a start is taken from, if it is."""
    study = study_of(wildcards)
    init = study.inits[wildcards.init]
    if init.start["kind"] == "checkpoint":
        return [init.start["file"]]
    seed = start_seed(study, wildcards.init, int(wildcards.seed))
    run = study.start_run(wildcards.init, wildcards.dataset, wildcards.model, seed)
    return run_files(study, [run], "trajectory.safetensors") if run else []


def group_files(study, section, file, name=None, groups=None):
    """One file of each group of an analysis, or of all analyses of a section."""
    return [
        f"{study.folder}/{section}/{one}/{group}/{file}"
        for one, analysis in getattr(study, section).items()
        if name in (None, one)
        for group in (analysis.groups if groups is None else groups)
    ]


def analysed_runs(section):
    """The runs that a job of an analysis looks at, from its wildcards."""

    def runs(wildcards):
        members = getattr(study_of(wildcards), section)[wildcards.name].groups[wildcards.group]
        ends = [run for member in members for run in (member if isinstance(member, tuple) else (member,))]
        return list(dict.fromkeys(ends))

    return runs


def analysis_input(section, file):
    """For `input:` of an analysis: prepared data, one partition, and a file of each run.

    Runs of one data set and one seed share their training samples whatever their partition, so the
    first run's file stands for all.
    """
    runs_of = analysed_runs(section)
    return {
        "dataset": gently(lambda wildcards: dataset_files(runs_of(wildcards)[0].dataset)),
        "partition": gently(lambda wildcards: partition_file(study_of(wildcards), runs_of(wildcards)[0])),
        "trajectories": gently(lambda wildcards: run_files(study_of(wildcards), runs_of(wildcards), file)),
    }


def figure_source(wildcards):
    """For `input:` of a figure: its CSVs by what they hold."""
    study = study_of(wildcards)
    if wildcards.figure not in study.figures:
        return {"source": [f"(no figure {wildcards.figure} in this study: see config/studies)"]}
    figure = study.figures[wildcards.figure]
    if figure.source == "plane":
        return {
            one: group_files(study, "planes", f"{one}.csv", figure.name, figure.groups)
            for one in ("surface", "markers")
        }
    if figure.source == "connectivity":
        return {
            one: group_files(study, "connectivity", f"{one}.csv", figure.name, figure.groups)
            for one in ("path", "barriers")
        }
    if figure.source == "table":
        return {figure.name: [f"{study.folder}/tables/{figure.name}.csv"]}
    counts = (partition_file(study, run) for run in study.runs if run.partition in figure.name)
    return {"partitions": [file.replace(".npz", ".csv") for file in dict.fromkeys(counts)]}


def targets(name):
    """Everything that a study makes at the chosen scale."""
    study = CAMPAIGN.get(name)
    return [
        *(
            f"{study.folder}/figures/{figure}.{ending}"
            for figure in study.figures
            for ending in ("png", "svg")
        ),
        *(f"{study.folder}/tables/{table}" for table in ("runs.csv", "runs.md", "costs.csv")),
        *group_files(study, "planes", "surface.csv"),
    ]


def where_things_are():
    """The last line of a run: where to look."""
    folder = CAMPAIGN.get(CAMPAIGN.study).folder if CAMPAIGN.study in CAMPAIGN.names else "results"
    return f"Figures: {folder}/figures/   Tables: {folder}/tables/   What the files mean: results/README.md"
