"""A task of SLURM's that holds several jobs: `python -m fedscape.jobs.members FOLDER TASK LOG`.

Each member is a process of its own that knows of no other: it has its own log, and how it ends is kept in
the submission's folder at once. SLURM signals the process group, so members get SIGTERM by themselves.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

from fedscape.jobs.submissions import Member, exit_code, exit_file, read_task, write_exit_code

PAUSE = 0.2  # seconds between two looks at the members
# A shell that a signal ends would leave its command behind; one with a trap waits for it.
_WAITING = "trap : TERM USR1 INT; "


class Task:
    """The members that are to run. Those that had ended before SLURM put the task back into its queue do not.

    log: name of each member's log.
    """

    def __init__(self, folder: Path, number: int, log: str):
        self._told_to_stop = False
        for each in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(each, self._stop)
        self._codes: list[int] = []
        self._running: dict[Path, subprocess.Popen] = {}
        for place, member in enumerate(read_task(folder, number)):
            file = exit_file(folder, number, place)
            code = exit_code(file)
            if code is None:
                self._running[file] = _start(member, log)
            else:
                self._codes.append(code)

    def run(self) -> int:
        """Wait for the members: 0 if all of them have ended well, else 1."""
        while self._running:
            for file, process in [*self._running.items()]:
                if process.poll() is not None:
                    self._end(file, process.returncode)
            time.sleep(PAUSE)
        return int(any(self._codes))

    def _end(self, file: Path, code: int) -> None:
        del self._running[file]
        self._codes.append(code)
        # Who was told to stop may run again: SLURM alone knows whether it puts the task back into the queue.
        if code == 0 or not self._told_to_stop:
            try:
                write_exit_code(file, code)
            except OSError as error:  # the others continue; the executor misses this one's word after a while
                print(f"{file}: {error}", file=sys.stderr)

    def _stop(self, number: int, frame: object) -> None:
        self._told_to_stop = True


def _start(member: Member, log: str) -> subprocess.Popen:
    folder = Path(member.logs)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / log).open("ab") as out:
        return subprocess.Popen(
            ["/bin/sh", "-c", _WAITING + member.command], stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )


if __name__ == "__main__":
    sys.exit(Task(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]).run())
