"""What jobs that have ended leave to be done once Snakemake has heard of it, or has not.

On a cluster jobs go on when the Snakemake that submitted them is gone. What they make then is whole, but
nobody has recorded what it was made with; Snakemake would take it for good for ever, whatever changes.
"""

import json
from contextlib import suppress
from pathlib import Path

from fedscape.command.records import FOLDER, STARTED, record_path
from fedscape.ended import Ended, read_note
from fedscape.files import write_text
from fedscape.resume import LOCK, is_held, remove

LOCKS = Path(".snakemake", "locks")


def settle(mark: bool = False) -> None:
    """Remove finished resume folders whose jobs Snakemake has recorded.

    mark: have those that it has not count as incomplete, so that they run again and are recorded; their
    folders hold their outputs, so this takes as long as Python to start. Not while another Snakemake works
    here: it may be about to record them.
    """
    mark = mark and not (LOCKS.is_dir() and any(LOCKS.iterdir()))
    for job in filter(None, map(read_note, Path("results").glob("*/*/unrecorded/*.json"))):
        with suppress(OSError):  # somebody who may only read, a full disk: another time
            if _is_recorded(job):
                if not is_held(job.folder / LOCK):
                    remove(job.folder)
                    job.note.unlink(missing_ok=True)
            elif mark:
                for output in filter(lambda one: Path(one).exists(), job.outputs):
                    write_text(record_path(STARTED, output), json.dumps({"external_jobid": None}))


def _is_recorded(job: Ended) -> bool:
    """Whether Snakemake has recorded the end of the job, and left its outputs in place (if it means to)."""
    if not FOLDER.is_dir():  # it keeps its records elsewhere
        return True
    try:
        made = [record_path(FOLDER, output).stat().st_mtime for output in job.outputs]
        ended = job.note.stat().st_mtime
    except FileNotFoundError:
        return False
    begun = any(record_path(STARTED, output).exists() for output in job.outputs)
    there = job.temporary or all(Path(output).exists() for output in job.outputs)
    return min(made) >= ended and not begun and there
