"""How a case ends, and whether it may: one process under limits of time and memory, and what it says."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

HANG = 10.0  # seconds beyond the undamaged run
MEMORY = 1 << 30  # bytes beyond the undamaged run's peak
ROOM = (
    6 << 30
)  # bytes of address space beyond: what asks for more at once is refused, so that the machine lives
LOOK = 0.02  # seconds between two looks at a process
LONGEST = 1500  # characters of our line: the names that are allowed may be many
OURS = "fedscape: "
TRACEBACK = re.compile(r"^ *Traceback \(most recent call last\)", re.MULTILINE)
# What allocators say of an allocation that the limit above has refused: without it the machine would be asked.
REFUSED = re.compile(r"MemoryError|[Uu]nable to allocate|[Cc]annot allocate memory|can't allocate memory")
# Arguments that Snakemake itself refuses before it reads the workflow.
SNAKEMAKES = re.compile(r"^(snakemake: error: .+|Error: .+|Invalid config definition: .+)$", re.MULTILINE)


@dataclass(frozen=True)
class End:
    """How a process ended. said: stdout and stderr."""

    code: int | None  # None: it was killed for its time or its memory
    said: str
    seconds: float
    peak: int  # bytes, of the largest process
    hung: bool = False
    large: bool = False

    @property
    def last(self) -> str:
        """The last line that says anything."""
        return next((one.strip() for one in reversed(self.said.splitlines()) if one.strip()), "")


def forked(action: Callable[[], object], cwd: Path, said: Path, seconds: float, peak: int) -> End:
    """Run an action in a forked process of this one, which has imported all that the action needs."""
    sys.stdout.flush()
    sys.stderr.flush()
    begin = time.monotonic()
    if child := os.fork():
        return _watched(child, said, begin, seconds, peak)
    code = 70
    try:
        os.setsid()
        with said.open("w") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        os.chdir(cwd)
        held = psutil.Process().memory_info().vms
        resource.setrlimit(resource.RLIMIT_AS, (held + ROOM, held + ROOM))
        code = _code(action)
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        for stream in (sys.__stdout__, sys.__stderr__):
            stream.flush()
        os._exit(code)


def _code(action: Callable[[], object]) -> int:
    """What Python would exit with."""
    try:
        found = action()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.__stderr__)
        return 1
    return found if isinstance(found, int) else 0


def called(
    command: Sequence[str], cwd: Path, said: Path, seconds: float, peak: int, **environment: str
) -> End:
    """Run a command, with all that it starts."""
    begin = time.monotonic()
    with said.open("w") as out:
        process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True, env={**os.environ, **environment},
        )  # fmt: skip
    end = _watched(process.pid, said, begin, seconds, peak)
    process.returncode = 0  # it has been waited for
    return end


def _watched(child: int, said: Path, begin: float, seconds: float, peak: int) -> End:
    """Wait for a process; kill its session when it takes `HANG` longer, or `MEMORY` more, than undamaged."""
    hung = large = False
    while True:
        ended, status, used = os.wait4(child, os.WNOHANG)
        if ended:
            break
        hung = time.monotonic() - begin > seconds + HANG
        large = _held(child) > peak + MEMORY
        if hung or large:
            os.killpg(child, signal.SIGKILL)
            _, status, used = os.wait4(child, 0)
            break
        time.sleep(LOOK)
    largest = used.ru_maxrss * 1024
    return End(
        code=None if hung or large else os.waitstatus_to_exitcode(status),
        said=said.read_text(encoding="utf-8", errors="replace"),
        seconds=time.monotonic() - begin,
        peak=largest,
        hung=hung,
        large=large or largest > peak + MEMORY,
    )


def _held(process: int) -> int:
    """Bytes that the largest process of a session holds in memory."""
    try:
        top = psutil.Process(process)
        return max(one.memory_info().rss for one in (top, *top.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def fault(end: End) -> str | None:
    """What is wrong with an end by itself; None where it is exit 0, or exit 1 with one line of ours."""
    if end.hung:
        return "hang"
    if end.large or REFUSED.search(end.said):
        return "memory"
    if TRACEBACK.search(end.said):
        return "traceback"
    if end.code == 0:
        return None
    return None if line_of(end) else f"exit {end.code} without one line"


def line_of(end: End) -> str | None:
    """The one line with which a process refuses its input: ours, or Snakemake's of its own arguments."""
    ours = {line for line in end.said.splitlines() if line.startswith(OURS)}
    if len(ours) == 1 and end.code == 1:
        (line,) = ours
        return line if line.isprintable() and len(line) < LONGEST else None
    theirs = SNAKEMAKES.findall(end.said)
    return theirs[0] if not ours and len(theirs) == 1 and end.code in (1, 2) else None
