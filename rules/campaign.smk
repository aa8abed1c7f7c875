"""The user's settings and the studies: read and checked once, before any rule."""

import gc

# What Snakemake builds for thousands of jobs stays to the end, yet Python's collector would look through it over
# and over: a fifth of the seconds of a dry run. It is back when jobs run, which may take days.
gc.disable()

# All is checked before the first job; a job, in a process of its own, reads its own study and no other.
MAIN = workflow.is_main_process

if MAIN:
    exit_on_error(check_writable, Path(".snakemake"), "work in a clone of your own")
    exit_on_error(check_settings_files, workflow.configfiles)


configfile: "config/config.yaml"


if MAIN:
    CAMPAIGN = exit_on_error(read_campaign, ROOT, config)
else:
    CAMPAIGN = exit_on_error(Campaign, ROOT, config)

STUDIES = "|".join(CAMPAIGN.studies)
