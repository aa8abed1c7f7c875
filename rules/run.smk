"""What happens before the first job and after the last one; none of it under `-n`, nor in a job's process."""

from fedscape.command.settle import settle
from fedscape.provenance import commit, versions
from fedscape.regular import check_links
from fedscape.study.resolved import write_resolved


def check_places(jobs):
    """End where a job would write through a link that leads out of `results`, or where it may not write."""
    written = {
        Path(str(path)).parent
        for job in jobs
        for path in (*job.output, *job.log, *filter(None, [job.benchmark]))
    }
    or_exit(check_links, sorted(written))
    if any(job.rule.name == "dataset" for job in jobs):
        exit_if_read_only(Path("results", "data", "logs"), "link results to elsewhere")


def write_settings(jobs):
    """Write `config.yaml` beside the results of each study that has jobs to run.

    No job's output, so it makes nothing run again.
    """
    names = {(job.wildcards.get("study"), job.wildcards.get("scale")) for job in jobs}
    made_with = {**commit(), **versions()}
    for study, scale in sorted(one for one in names if all(one)):
        exit_if_read_only(Path("results", study, scale), "link results to elsewhere")
        try:
            write_resolved(CAMPAIGN.get(study, scale), made_with)
        except OSError as error:
            sys.exit(f"fedscape: results/{study}/{scale}/config.yaml cannot be written ({error})")


onstart:
    gc.enable()
    to_run = list(workflow.dag.needrun_jobs())
    check_places(to_run)
    settle()
    write_settings(to_run)


onsuccess:
    settle()


onerror:
    settle()
