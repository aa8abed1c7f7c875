"""Resume folders and notes that ended jobs leave, removed once Snakemake has recorded their end."""

import sys
from pathlib import Path

from fedscape.errors import FedscapeError
from fedscape.jobs.locks import LOCK, is_held
from fedscape.jobs.recorded import FOLDER, STARTED, record_of, record_path
from fedscape.jobs.resume_state import remove
from fedscape.jobs.unrecorded import NOTES, Ended, read_note
from fedscape.regular import check_links


def remove_finished_folders() -> None:
    """Remove finished resume folders whose jobs Snakemake has recorded, and their notes.

    For a Snakemake that runs jobs: to look at a workflow removes nothing. What cannot be settled (a note that
    is none of ours, a folder that nobody may remove, a full disk) is one line and stays.
    """
    for path in sorted(Path("results").glob(f"*/*/{NOTES}/*.json")):
        try:
            job = read_note(path)
            if job and _is_recorded(job) and not is_held(job.folder / LOCK):
                check_links([path.parent])
                remove(job.folder, inside=path.parents[1])
                job.note.unlink(missing_ok=True)
        except (FedscapeError, OSError) as error:
            print(f"fedscape: {error}", file=sys.stderr)


def _is_recorded(job: Ended) -> bool:
    """Whether Snakemake has recorded the end of the job, and left its outputs in place (if it means to)."""
    if not FOLDER.is_dir():  # it keeps its records elsewhere
        return True
    records = [record_of(output) for output in job.outputs]
    if any(record is None or record.is_void for record in records):
        return False
    begun = any(record_path(STARTED, output).exists() for output in job.outputs)
    in_place = job.temporary or all(Path(output).exists() for output in job.outputs)
    return not begun and in_place
