"""What the rules share: which study a job belongs to, which files it takes, which settings reach it."""

import os
import sys
from pathlib import Path

ROOT = Path(workflow.current_basedir).parent
SOURCE = str(ROOT / "src")
sys.path.insert(0, SOURCE)
# Scripts run in processes of their own and import the library of this clone, whichever is installed.
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")])))

from fedscape.errors import FedscapeError
from fedscape.provenance import commit, versions
from fedscape.study import paths
from fedscape.study.campaign import check_file, read_campaign
from fedscape.study.resolved import write_resolved
from fedscape.study.stages import STAGES
from fedscape.study.stages import tracked as tracked_strings
from fedscape.study.tables import OF_EVERY_STUDY

NAME = r"[a-z0-9][a-z0-9.-]*"

try:
    CAMPAIGN = read_campaign(ROOT, config)
except FedscapeError as error:
    sys.exit(f"fedscape: {error}")


def write_settings(workflow):
    """Before the first job: `config.yaml` beside the results of each study that has jobs to run.

    No job's output, so it makes nothing run again; `-n` does not come here.
    """
    names = {(job.wildcards.get("study"), job.wildcards.get("scale")) for job in workflow.dag.needrun_jobs()}
    made_with = {**commit(), **versions()}
    for study, scale in sorted(one for one in names if all(one)):
        try:
            write_resolved(CAMPAIGN.get(study, scale), made_with)
        except OSError as error:
            sys.exit(f"fedscape: results/{study}/{scale}/config.yaml cannot be written ({error})")


def study_of(wildcards):
    """The study of a job."""
    return CAMPAIGN.get(wildcards.study, wildcards.scale)


def gently(function):
    """An input function that answers for names that no study holds, instead of raising.

    The answer is a file that cannot be there; the job's params then say what is unknown.
    """

    def answer(wildcards):
        try:
            return function(wildcards)
        except KeyError as error:
            return [f"(no {error} in this study)"]

    return answer


def tracked(stage):
    """For `params: settings=`: the strings, of settings and code, that a job of this stage is rerun for."""

    def strings(wildcards):
        try:
            if stage == "dataset":  # belongs to no study
                settings = {"dataset": CAMPAIGN.datasets[wildcards.dataset]}
            else:
                settings = STAGES[stage](study_of(wildcards), dict(wildcards.items()))
            if stage == "initial":
                check_file(study_of(wildcards), wildcards.init)
        except FedscapeError as error:
            raise WorkflowError(f"fedscape: {error}")
        except KeyError as error:
            raise WorkflowError(f"{stage}: no {error} in this study; config/studies names what there is")
        return tracked_strings(stage, settings, ROOT / "workflow" / "scripts")

    return strings


def dataset_files(wildcards):
    """The prepared arrays of a job's data set."""
    return paths.dataset_files(wildcards.dataset)


@gently
def start_proxy(wildcards):
    """The data set that a start is pre-trained on, if it is."""
    return paths.start_proxy(study_of(wildcards), wildcards.init)


@gently
def start_source(wildcards):
    """What a start is taken from, if it is."""
    w = wildcards
    return paths.start_source(study_of(w), w.init, w.dataset, w.model, int(w.seed))


def analysis_input(section, **files):
    """For `input:` of an analysis: prepared data, one partition, and files of each run by keyword.

    Runs of one data set and one seed share their training samples whatever their partition, so the
    first run's file stands for all.
    """

    def runs(wildcards):
        return paths.analysed_runs(study_of(wildcards), section, wildcards.name, wildcards.group)

    def of_each_run(file):
        return gently(lambda wildcards: paths.run_files(study_of(wildcards), runs(wildcards), file))

    return {
        "dataset": gently(lambda wildcards: paths.dataset_files(runs(wildcards)[0].dataset)),
        "partition": gently(lambda wildcards: paths.partition_file(study_of(wildcards), runs(wildcards)[0])),
        **{keyword: of_each_run(file) for keyword, file in files.items()},
    }


@gently
def plane_clients(wildcards):
    """The clients' models that a plane is laid through, if it is."""
    return paths.plane_clients(study_of(wildcards), wildcards.name, wildcards.group)


@gently
def connected_clients(wildcards):
    """The clients' models that a connection is between, if it is."""
    return paths.connected_clients(study_of(wildcards), wildcards.name, wildcards.group)


@gently
def measured_clients(wildcards):
    """The clients' models whose curvature is measured, if any is."""
    return paths.measured_clients(study_of(wildcards), wildcards.name, wildcards.group)


@gently
def measured_partitions(wildcards):
    """Who has which sample in each run, where a curvature is measured on clients' own samples."""
    return paths.measured_partitions(study_of(wildcards), wildcards.name, wildcards.group)


@gently
def surface_parts(wildcards):
    """The points that jobs of their own evaluate for a surface, if it is split."""
    return paths.surface_parts(study_of(wildcards), wildcards.name, wildcards.group)


@gently
def measured_jobs(wildcards):
    """For `input:` of the costs: one output of each long job but training."""
    return paths.measured_jobs(study_of(wildcards))


def all_runs(file):
    """For `input:` of a table: one file of every run of the study."""
    return gently(lambda wildcards: paths.run_files(study_of(wildcards), study_of(wildcards).runs, file))


def all_groups(section, file):
    """For `input:` of a table: one file of every group of a section's analyses."""
    return gently(lambda wildcards: paths.group_files(study_of(wildcards), section, file))


def claimed(file):
    """For `input:` of the claims: this file of every group that one of them is measured on."""
    return gently(lambda wildcards: paths.claim_files(study_of(wildcards), file))


def tabled(file):
    """For `input:` of one table: this file of every group that a cell is measured on; the costs, if any is."""
    return gently(lambda wildcards: paths.table_files(study_of(wildcards), wildcards.table, file))


def figure_files(wildcards):
    """For `input: unpack()` of a figure: its CSVs by what they hold."""
    try:
        return paths.figure_files(study_of(wildcards), wildcards.figure)
    except KeyError as error:
        return {"unknown": f"(no {error} in this study)"}
