"""The user's settings and the studies: read and checked once, before any rule."""

import gc

# What Snakemake builds for thousands of jobs stays to the end, yet Python's collector would look through it over
# and over: a fifth of the seconds of a dry run. It is back when jobs run, which may take days (`run.smk`).
if IS_WHOLE:
    gc.disable()

# All is checked before the first job; a job, in a process of its own, reads its own study and no other.
MAIN = workflow.is_main_process

if MAIN:
    exit_on_error(check_writable, Path(".snakemake"), "work in a folder of your own")
    if PROJECT.is_clone or CONFIG.exists() or workflow.configfiles:
        exit_on_error(check_settings_files, workflow.configfiles)


if CONFIG.exists():

    configfile: "config/config.yaml"

else:
    config.update(workflow.config_settings.overwrite_config)  # which Snakemake keeps from a module

SETTINGS = exit_on_error(PROJECT.settings, config)
if MAIN:
    CAMPAIGN = exit_on_error(read_campaign, PROJECT.folder, SETTINGS, ROOT)
else:
    CAMPAIGN = exit_on_error(Campaign, PROJECT.folder, SETTINGS, ROOT)

STUDIES = "|".join(CAMPAIGN.studies)
