"""What happens before the first job and after the last one; none of it under `-n`, nor in a job's process."""

from fedscape.command.settle import settle
from fedscape.jobs.unrecorded import NOTES
from fedscape.provenance import commit, versions
from fedscape.regular import check_kinds, check_links
from fedscape.study.resolved import write_resolved


def studies_of(jobs):
    """Name and scale of each study that has jobs to run."""
    names = {(job.wildcards.get("study"), job.wildcards.get("scale")) for job in jobs}
    return sorted(one for one in names if all(one))


def check_files():
    """End where a user's file is missing, which a job might find out hours later.

    Snakemake would say so in many lines, under `-n` as well, and keep quietly what an older file gave.
    """
    if MISSING:
        sys.exit(f"fedscape: {'; '.join(MISSING)}")


def check_places(jobs):
    """End where a job would write through a link below `results`, or where it cannot write."""
    # Snakemake removes outputs and logs first, be they links, but writes into a benchmark that is there.
    benchmarks = {Path(str(job.benchmark)) for job in jobs if job.benchmark}
    files = {Path(str(path)) for job in jobs for path in (*job.output, *job.log)}
    notes = {Path("results", study, scale, NOTES) for study, scale in studies_of(jobs)}
    or_exit(check_links, {file.parent for file in files} | benchmarks | notes)
    or_exit(check_kinds, files | benchmarks)
    if any(job.rule.name == "dataset" for job in jobs):
        exit_if_read_only(Path("results", "data", "logs"), "link results to elsewhere")


def write_settings(jobs):
    """Write `config.yaml` beside the results of each study that has jobs to run.

    No job's output, so it makes nothing run again.
    """
    made_with = {**commit(), **versions()}
    for study, scale in studies_of(jobs):
        exit_if_read_only(Path("results", study, scale), "link results to elsewhere")
        try:
            write_resolved(CAMPAIGN.get(study, scale), made_with)
        except OSError as error:
            sys.exit(f"fedscape: results/{study}/{scale}/config.yaml cannot be written ({error})")


onstart:
    gc.enable()
    check_files()
    to_run = list(workflow.dag.needrun_jobs())
    check_places(to_run)
    settle()
    write_settings(to_run)


onsuccess:
    settle()


onerror:
    settle()
