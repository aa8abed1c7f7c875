"""What the rules share: which study a job belongs to, which files it takes, which settings reach it."""

import functools
import gc
import os
import re
import sys
from pathlib import Path

ROOT = Path(workflow.current_basedir).parent
SOURCE = str(ROOT / "src")
sys.path.insert(0, SOURCE)
# Scripts run in processes of their own and import the library of this clone, whichever is installed.
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")])))

from fedscape.command import asked
from fedscape.command.prices import read_prices
from fedscape.errors import FedscapeError
from fedscape.study.campaign import Campaign, missing_file, read_campaign
from fedscape.study.files import read_yaml
from fedscape.study.jobs import targets
from fedscape.study.kept import measured_csvs
from fedscape.study.stages.every import STAGES
from fedscape.study.stages.tables import OF_EVERY_STUDY
from fedscape.study.stages.training import is_trained
from fedscape.study.tracked import tracked as tracked_strings

# What Snakemake builds for thousands of jobs stays to the end, yet Python's collector would look through it over
# and over: a fifth of the seconds of a dry run. It is back when jobs run, which may take days.
gc.disable()

NAME = r"[a-z0-9][a-z0-9.-]*"

SETTINGS = "config/config.yaml"

# Of what is measured on models, over training: it is done as soon as its runs are, so that a campaign that
# ends early, or loses its machine, has finished as many analyses as it could.
MEASURED_FIRST = 1


def or_exit(function, *arguments):
    """What a function returns; where the user's input is wrong, Snakemake ends with that one line."""
    try:
        return function(*arguments)
    except FedscapeError as error:
        sys.exit(f"fedscape: {error}")


def exit_if_read_only(folder, instead):
    """End where a folder, or the one that it will be made in, cannot be written to.

    Snakemake would end with a traceback.
    """
    there = next(one for one in (folder, *folder.parents) if one.is_dir())
    if not os.access(there, os.W_OK):
        sys.exit(f"fedscape: {there}: cannot be written to; make it writable, or {instead}")


# All is checked once, before the first job; a job, in a process of its own, reads its own study and no other.
MAIN = workflow.is_main_process

if MAIN:
    exit_if_read_only(Path(".snakemake"), "work in a clone of your own")

# Snakemake names no line of a file that is no YAML, and takes the last of two equal keys.
for given in map(Path, dict.fromkeys([SETTINGS, *workflow.configfiles])) if MAIN else ():
    if given.suffix != ".json" and (given.exists() or not workflow.configfiles):
        # Snakemake would run what such a file says. One of `--configfile` it has run already.
        if "__use_yte__" in or_exit(read_yaml, given):
            sys.exit(
                f"fedscape: {given}: key '__use_yte__': templates run code; settings are plain YAML here"
            )


configfile: SETTINGS


CAMPAIGN = or_exit(read_campaign if MAIN else Campaign, ROOT, config)

STUDIES = "|".join(CAMPAIGN.studies)

MISSING = []  # what to say of users' files that the chosen jobs take and that are not there


def study_of(wildcards):
    """The study of a job."""
    return CAMPAIGN.get(wildcards.study, wildcards.scale)


def targets_of(study):
    """For `input:` of a target rule: all that a study makes at the chosen scale."""
    return lambda wildcards: targets(CAMPAIGN.get(study))


def targets_of_seed(study, seed):
    """For `input:` of a target rule: the CSVs about the runs of one seed of a study at the chosen scale."""
    return lambda wildcards: [path for path, own in measured_csvs(CAMPAIGN.get(study)).items() if own == seed]


def names_of(wildcards):
    """What a job's paths call the parts of its study."""
    return {name: value for name, value in wildcards.items() if name not in ("study", "scale")}


def inputs_of(stage):
    """For `input: unpack()`: what a job of this stage reads, by name.

    For names that no study holds that is a file that cannot be there; the job's params then say what is unknown.
    """

    def inputs(wildcards):
        try:
            files = STAGES[stage].inputs(study_of(wildcards), names_of(wildcards))
            return without_missing(wildcards, files) if stage == "initial" else files
        except KeyError as error:
            return {"unknown": f"(no {error} in this study)"}

    return inputs


def without_missing(wildcards, files):
    """What a start is made from; a user's file that is not there is noted in `MISSING` instead."""
    missing = missing_file(study_of(wildcards), wildcards.init)
    if missing is None:
        return files
    if missing not in MISSING:
        MISSING.append(missing)
        if MAIN and workflow.dryrun:
            print(f"fedscape: missing for a run: {missing}", file=sys.stderr)
    return {**files, "source": []}


def tracked(stage):
    """For `params: settings=`: the strings, of settings and code, that a job of this stage is rerun for."""

    def strings(wildcards):
        try:
            # A data set belongs to no study, but all data sets to the settings.
            owner = CAMPAIGN if STAGES[stage].shared else study_of(wildcards)
            settings = STAGES[stage].settings(owner, names_of(wildcards))
        except KeyError as error:
            # An exception would be ten lines of Snakemake's around this one.
            sys.exit(f"fedscape: {stage}: no {error} in this study; config/studies names what there is")
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
    found = []
    for name, scale in CAMPAIGN.every:
        study = CAMPAIGN.get(name, scale)
        inits = [re.escape(init) for init in study.inits if is_trained(study, init)]
        if inits:
            found.append(f"{name}(?=/{scale}/initial/[^/]+/[^/]+/(?:{'|'.join(inits)})/)")
    those = "|".join(found) or "(?!)"  # which matches nothing
    return those if trained else f"(?!{those})(?:{STUDIES})"


@functools.cache
def prices():
    """What work costs, read once."""
    return or_exit(read_prices)


def times(function, wildcards):
    """How many times the usual time (`asked.longer`) or memory (`asked.roomier`) a run asks for."""
    try:
        return function(study_of(wildcards), names_of(wildcards), prices())
    except KeyError:  # the params say what the study does not hold
        return 1
