"""The jobs of a study as their scripts see them: run in a clone, as a process of its own, writes one pickle.

`snakemake --forceall --dry-run` of the real workflow, of which each job is kept as well as shown.
"""

import pickle
import sys
from pathlib import Path


def record(study: str, scale: str, out: str) -> None:
    """Write all jobs of a study, to be unpickled by the campaign that started this process."""
    from snakemake.cli import main
    from snakemake.executors.dryrun import Executor

    found = []

    def keep(executor, job) -> None:
        if job.is_script:
            found.append(
                {
                    "rule": job.rule.name,
                    "script": job.rule.script,
                    "input": job.input._plainstrings(),
                    "output": job.output._plainstrings(),
                    "params": job.params,
                    "wildcards": job.wildcards,
                    "threads": job.threads,
                    "log": job.log._plainstrings(),
                }
            )
        shown(executor, job)

    shown, Executor.run_job = Executor.run_job, keep
    try:
        main(["-n", "--quiet", "all", "--forceall", study, "--config", f"scale={scale}"])
    except SystemExit as end:
        if end.code:
            raise
    Path(out).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    record(*sys.argv[1:])
