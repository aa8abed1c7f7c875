"""Snakemake's side of `fork_server`: jobs are forked from a process that has imported their packages."""

import atexit
import ctypes
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

SWITCH = "FEDSCAPE_FORK_JOBS"
"""Environment variable: `0` has every job start by itself."""
FEWEST = 4  # jobs: of fewer, the server's own start takes longer than theirs
SERVER = "fedscape.jobs.fork_server"
PR_SET_CHILD_SUBREAPER = 36  # of prctl(2)
PREFIX = ["set", "-euo", "pipefail;"]  # Snakemake's, before each command that bash runs
SCRIPTS = (".snakemake", "scripts")  # the folder where Snakemake writes the scripts of jobs
STOPPED = {
    status
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for status in (-number, 128 + number)  # where its shell is still there, and tells it
}
"""How a server ends with all processes of a call, when a user stops that."""
LONGEST = 64  # bytes of a process's number


def saves_time(jobs: int, environment: Mapping[str, str]) -> bool:
    """Whether this number of jobs is worth a server. On macOS libraries forbid to fork."""
    return sys.platform == "linux" and jobs >= FEWEST and environment.get(SWITCH) != "0"


class ForkedProcess:
    """A job: a child of this process, with as much of `subprocess.Popen` as Snakemake needs of a script's."""

    def __init__(self, pid: int):
        self.pid = pid

    def wait(self) -> int:
        """The exit status, negative for a signal, when the job has ended."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class ForkServer:
    """Starts processes for Snakemake, and has scripts of jobs forked where nothing but the time tells that.

    The first script starts the server, as it would have been started itself: in its folder, with its
    environment, its output. All scripts that are started likewise are forked from it. Whatever else
    Snakemake starts is started as ever, and so is everything once the server has died.
    """

    def __init__(self):
        self._lock = Lock()  # Snakemake starts each job in a thread
        self._started_as: dict[str, Any] | None = None  # folder, and arguments of Popen
        self._server: subprocess.Popen | None = None
        self._channel: socket.socket | None = None

    def popen(self, command: str, **arguments: Any) -> subprocess.Popen | ForkedProcess:
        """In place of `subprocess.Popen`.

        Raises CalledProcessError if the server was stopped like the rest of a call, as by Ctrl-C, while the
        job waited for it: the job would have been, too.
        """
        script = script_of(command)
        if script is not None:
            pid = self._fork(script, {"cwd": Path.cwd(), **arguments}, command)
            if pid is not None:
                return ForkedProcess(pid)
        return subprocess.Popen(command, **arguments)

    def close(self) -> None:
        """End the server, not the jobs that it has forked."""
        with self._lock:
            self._close()

    def _fork(self, script: str, started_as: dict[str, Any], command: str) -> int | None:
        """The number of the process that runs a script; None if it has to start by itself."""
        with self._lock:
            if self._started_as is None:
                self._started_as = started_as
                self._start(command, **started_as)
            if self._channel is None or started_as != self._started_as:
                return None
            try:
                self._channel.send(script.encode())
                answer, pipes, _, _ = socket.recv_fds(self._channel, LONGEST, 1)
                if answer:
                    with os.fdopen(pipes[0], "wb") as permission:
                        permission.write(b"begin")
                    return int(answer)
            except OSError:
                pass
            status = self._close()
        if status in STOPPED:
            raise subprocess.CalledProcessError(status, command)
        return None

    def _start(self, command: str, **started_as: Any) -> None:
        # What the process that forks a job leaves behind by ending becomes a child of this one.
        if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            return
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        before, python, _ = command.partition(sys.executable)
        with theirs:
            # By the same shell, which adds to the environment.
            self._server = subprocess.Popen(
                f"{before}{python} -P -m {SERVER} {theirs.fileno()}", pass_fds=[theirs.fileno()], **started_as
            )
        atexit.register(self.close)

    def _close(self) -> int | None:
        if self._channel is None or self._server is None:
            return None
        self._channel.close()
        self._channel = None
        return self._server.wait()


def script_of(command: str) -> str | None:
    """The script that is all of one of Snakemake's commands; None of any other command."""
    words = shlex.split(command)
    if words[: len(PREFIX)] == PREFIX:
        words = words[len(PREFIX) :]
    is_script = len(words) == 2 and words[0] == sys.executable and words[1].endswith(".py")
    return words[1] if is_script and Path(words[1]).parts[-3:-1] == SCRIPTS else None
