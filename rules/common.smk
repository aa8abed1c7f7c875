"""What the rules share: which study a job belongs to, which files it takes, which settings reach it.

Functions, and what they need; `campaign.smk` reads what they look at.
"""

import functools
import os
import re
import sys
from pathlib import Path

from snakemake.logging import logger

from fedscape.command.prices import read_prices
from fedscape.command.repository import check_settings_files, check_writable
from fedscape.command.resources import memory_factor, time_factor
from fedscape.command.targets import why_unknown
from fedscape.errors import FedscapeError
from fedscape.study.campaign import Campaign, missing_file, read_campaign
from fedscape.study.jobs import check_job_names, job_names, targets
from fedscape.study.kept import measured_files
from fedscape.study.problems import told
from fedscape.study.project import CONFIG, Project
from fedscape.study.study import UnknownName
from fedscape.study.stages.every import SECTIONS, STAGES
from fedscape.study.stages.tables import OF_EVERY_STUDY
from fedscape.study.stages.training import is_trained
from fedscape.study.tracked import tracked as tracked_strings

NAME = r"[a-z0-9][a-z0-9.-]*"

# Of what is measured on models, over training: it is done as soon as its runs are, so that a campaign that
# ends early, or loses its machine, has finished as many analyses as it could.
MEASURED_FIRST = 1


def exit_on_error(function, *arguments):
    """What a function returns; where the user's input is wrong, Snakemake ends with a line for each error."""
    try:
        return function(*arguments)
    except FedscapeError as error:
        sys.exit(told(error))


def study_of(wildcards):
    """The study of a job."""
    return CAMPAIGN.get(wildcards.study, wildcards.scale)


def targets_of(study):
    """For `input:` of a target rule: all that a study makes at the chosen scale."""

    def files(wildcards):
        asked_for = CAMPAIGN.get(study)
        # For the console, which learns of no study from a call that runs no job.
        logger.info(f"Asked for {study}", extra={"study": study, "scale": asked_for.scale})
        return targets(asked_for)

    return files


def targets_of_seed(study, seed):
    """For `input:` of a target rule: the CSVs about the runs of one seed of a study at the chosen scale."""
    return lambda wildcards: [
        path for path, own in measured_files(CAMPAIGN.get(study)).items() if own == seed
    ]


def refuse_target(wildcards):
    """For `input:` of `no_such_target`: Snakemake ends, with a line that says what may have been meant."""
    sys.exit(f"fedscape: {why_unknown(CAMPAIGN, wildcards.target, [rule.name for rule in workflow.rules])}")


def job_of(stage, wildcards):
    """The study and the names of a job; Snakemake ends, with a line, for names that the study does not hold."""
    if MAIN:
        say_profile()
    names = job_names(wildcards)
    try:
        # A data set belongs to no study, but all data sets to the settings.
        owner = CAMPAIGN if STAGES[stage].shared else study_of(wildcards)
        check_job_names(STAGES[stage], owner, names)
    except UnknownName as error:
        # An exception would be ten lines of Snakemake's around this one.
        sys.exit(f"fedscape: {stage}: no {error} in this study; config/studies lists its names")
    return owner, names


def inputs_of(stage):
    """For `input: unpack()`: what a job of this stage reads, by name."""
    return lambda wildcards: STAGES[stage].inputs(*job_of(stage, wildcards))


def inputs_of_start(wildcards):
    """For `input: unpack()`: what a start is made from, without a user's file that is not there.

    Who only looks at what would run need not have it: `-n` names it, and a run ends (`run.smk`).
    """
    files = inputs_of("initial")(wildcards)
    missing = missing_file(study_of(wildcards), wildcards.init)
    if missing is None:
        return files
    if MAIN and workflow.dryrun:
        say_missing(missing)
    return {**files, "source": []}


@functools.cache
def say_missing(missing):
    """Say once that a user's file is not there."""
    print(f"fedscape: missing for a run: {missing}", file=sys.stderr)


@functools.cache
def say_profile():
    """Say once that our profile is not read: of a module, Snakemake looks for it beside the user's Snakefile."""
    if "code" in map(str, workflow.rerun_triggers):
        profile = ROOT / "profiles" / "default"
        print(
            f"fedscape: {profile} is not read, so Snakemake reruns more than has changed; "
            f"add --workflow-profile {profile}",
            file=sys.stderr,
        )


def report_labels(name, title=None):
    """For `labels` of `report()`: a file's study, scale, name and title.

    name: of the file; without a title, the wildcard that holds it, whose entry in the study has a title.
    """

    def labels(wildcards):
        study = study_of(wildcards)
        file = wildcards[name] if title is None else name
        entries = {"figure": study.figures, "table": study.tables}
        words = entries[name][file].title if title is None else title
        return {"study": study.name, "scale": study.scale, "name": file, "title": words}

    return labels


def tracked(stage):
    """For `params: settings=`: the strings, of settings and code, that a job of this stage is rerun for."""

    def strings(wildcards):
        settings = STAGES[stage].settings(*job_of(stage, wildcards))
        return tracked_strings(stage, settings, ROOT / "workflow" / "scripts")

    strings.stage = stage
    return strings


def resume_of(stage):
    """For `params: resume=`: a job's resume folder. It takes `output` because no job is rerun for such params."""
    return lambda wildcards, output: STAGES[stage].resume.format(**wildcards)


def whose_starts(trained):
    """The constraint of `study` in a start's file: starts that are trained for, or all others.

    A study may train at one scale for what it takes from a file at another, so this looks ahead, at the
    whole path. A job knows its rule.
    """
    if not MAIN:
        return STUDIES
    patterns = []
    for name, scale in CAMPAIGN.every:
        study = CAMPAIGN.get(name, scale)
        inits = [re.escape(init) for init in study.inits if is_trained(study, init)]
        if inits:
            patterns.append(f"{name}(?=/{scale}/initial/[^/]+/[^/]+/(?:{'|'.join(inits)})/)")
    return _either(patterns) if trained else _neither(patterns)


def whose_runs(imported):
    """The constraint of `study` in a run's files: runs that were trained elsewhere, or all others."""
    if not MAIN:
        return STUDIES
    patterns = []
    for name, scale in CAMPAIGN.every:
        paths = [re.escape(path) for path in CAMPAIGN.get(name, scale).imports]
        if paths:
            patterns.append(f"{name}(?=/{scale}/runs/(?:{'|'.join(paths)})/)")
    return _either(patterns) if imported else _neither(patterns)


def _either(patterns):
    return "|".join(patterns) or "(?!)"  # which matches nothing


def _neither(patterns):
    return f"(?!{_either(patterns)})(?:{STUDIES})"


def times(factor, wildcards):
    """How many times the usual time (`time_factor`) or memory (`memory_factor`) a run asks for."""
    return factor(*job_of("train", wildcards), prices())


@functools.cache
def prices():
    """What work costs, read once."""
    return exit_on_error(read_prices, os.path.relpath(ROOT))
