"""What happens before the first job and after the last one; none of it under `-n`, nor in a job's process."""

from types import SimpleNamespace

from fedscape.command.finished_folders import remove_finished_folders
from fedscape.jobs.forked import ForkServer, saves_time
from fedscape.jobs.unrecorded import NOTES
from fedscape.provenance import commit, versions
from fedscape.regular import check_file_kinds, check_links
from fedscape.study.resolved import write_resolved
from fedscape.study.stages.data import dataset_file, missing_array


def studies_of(jobs):
    """Name and scale of each study that has jobs to run."""
    names = {(job.wildcards.get("study"), job.wildcards.get("scale")) for job in jobs}
    return sorted(name_and_scale for name_and_scale in names if all(name_and_scale))


def check_files(jobs):
    """End where a user's file is missing, which a job might find out hours later.

    Snakemake would say so in many lines, under `-n` as well, and keep quietly what an older file gave.
    """
    starts = [job.wildcards for job in jobs if job.rule.name in ("initial", "pretrain")]
    missing = dict.fromkeys(missing_file(study_of(wildcards), wildcards.init) for wildcards in starts)
    if any(missing):
        sys.exit(f"fedscape: {'; '.join(filter(None, missing))}")


def check_arrays(jobs):
    """End where an array that jobs will read is gone; their input is the file beside it, so Snakemake misses none."""
    read = {path for job in jobs for path in job.input} - {path for job in jobs for path in job.output}
    missing = [missing_array(name) for name in CAMPAIGN.datasets if dataset_file(name) in read]
    if any(missing):
        sys.exit(f"fedscape: {'; '.join(filter(None, missing))}")


def check_places(jobs):
    """End where a job would write through a link below `results`, or where it cannot write."""
    # Snakemake removes outputs and logs first, be they links, but writes into a benchmark that is there.
    benchmarks = {Path(str(job.benchmark)) for job in jobs if job.benchmark}
    files = {Path(str(path)) for job in jobs for path in (*job.output, *job.log)}
    notes = {Path("results", study, scale, NOTES) for study, scale in studies_of(jobs)}
    exit_on_error(check_links, {file.parent for file in files} | benchmarks | notes)
    exit_on_error(check_file_kinds, files | benchmarks)
    if any(job.rule.name == "dataset" for job in jobs):
        exit_on_error(check_writable, Path("results", "data", "logs"), "link results to elsewhere")


def write_settings(jobs):
    """Write `config.yaml` beside the results of each study that has jobs to run.

    No job's output, so it reruns nothing.
    """
    made_with = {**commit(), **versions()}
    for study, scale in studies_of(jobs):
        exit_on_error(check_writable, Path("results", study, scale), "link results to elsewhere")
        try:
            write_resolved(CAMPAIGN.get(study, scale), made_with)
        except OSError as error:
            sys.exit(f"fedscape: results/{study}/{scale}/config.yaml cannot be written ({error})")


def ours(jobs):
    """The jobs of our own rules, without those of a workflow that has this one as a module."""
    return [job for job in jobs if job.rule.name in STAGES]


def fork_jobs(jobs):
    """Have jobs that run on this machine forked from a process that has imported their packages.

    Snakemake lets nobody choose how a script is started, so its `subprocess.Popen` is another one: where that
    has another place, jobs start by themselves. What it sends to a cluster never comes here.
    """
    starts = sys.modules.get("snakemake.shell")
    if workflow.local_exec and saves_time(len(jobs), os.environ) and hasattr(starts, "sp"):
        starts.sp = SimpleNamespace(**{**vars(starts.sp), "Popen": ForkServer().popen})


onstart:
    gc.enable()
    check_files(ours(workflow.dag.jobs))
    to_run = ours(workflow.dag.needrun_jobs())
    check_arrays(to_run)
    check_places(to_run)
    remove_finished_folders()
    write_settings(to_run)
    fork_jobs(to_run)


onsuccess:
    remove_finished_folders()


onerror:
    remove_finished_folders()
