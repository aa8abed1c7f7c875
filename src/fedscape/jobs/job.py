"""The frame of every script around its one call: log, threads, settings, clear errors."""

import ctypes
import errno
import fcntl
import hashlib
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from threadpoolctl import threadpool_limits

from fedscape.columns.identity import IDENTITY
from fedscape.errors import FedscapeError
from fedscape.files import remove_leftovers
from fedscape.jobs.recorded import void_records
from fedscape.jobs.unrecorded import keep_notes
from fedscape.settings.plain import Settings, from_plain
from fedscape.study.encoding import decode
from fedscape.terminal import clear_line

GPUS = "CUDA_VISIBLE_DEVICES"  # what SLURM, or whoever shares a machine, grants
ENDED = "ended"  # the first word of the last line in the log of a job that has succeeded
INTERRUPTED = "stopped by Ctrl-C: run again, what is done is kept"
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1  # of mallopt(3)
KEPT_BYTES = 1 << 30
THREADS = 1
"""Threads that a job computes with on a CPU, whatever it was granted. More add up in another order: the bits
of a result would depend on where it ran, and a job that resumes would mix them."""
# Where libraries that are loaded later read how many threads they may have.
_THREADS_OF_LIBRARIES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS"),
)
_READ_SIZE = 1 << 20  # bytes hashed at a time
# What a user can mend about a disk; of other errors of the system the traceback tells more.
_ADVICE = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room")
_ADVICE |= dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make it writable")
_ADVICE |= dict.fromkeys((errno.EIO, errno.ESTALE), "see to the disk")
# A file where a folder is wanted, or a folder where a file is.
_ADVICE |= dict.fromkeys((errno.EEXIST, errno.ENOTDIR, errno.EISDIR), "move away what lies there")


@dataclass(frozen=True)
class JobContext:
    """All that a script needs beside the paths that it names itself."""

    settings: dict[str, Any]  # as the stage's home put them together
    names: Mapping[str, str]  # wildcards: what the job's paths call the parts of its study
    inputs: Mapping[str, Any]  # its files: a path, or a list of them
    identity: dict[str, Any]  # identifying columns that the names tell
    device: str  # "cuda" where there is a GPU, else "cpu"
    depends_on: tuple[list[str], list[str]]  # tracked strings, input files
    resume_folder: str = ""  # of a job that keeps one

    def typed(self, cls: type[Settings]) -> Settings:
        """The settings that a dataclass has fields for."""
        names = get_type_hints(cls)
        return from_plain(cls, {key: value for key, value in self.settings.items() if key in names})

    @property
    def fingerprint(self) -> str:
        """Digest of settings, code and inputs: a resume folder is valid for one fingerprint.

        Of a prepared data set it is the file that has the checksums of the arrays.
        """
        return self.fingerprint_without()

    def fingerprint_without(self, settings: Sequence[str] = (), files: Sequence[str] = ()) -> str:
        """As `fingerprint`, for work that some settings and some input files (by name) do not change."""
        strings, paths = self.depends_on
        strings = [string for string in strings if string.partition("=")[0] not in settings]
        paths = [path for path in paths if Path(path).name not in files]
        digest = hashlib.sha256("\n".join(strings).encode())
        for path in sorted(paths):
            with Path(path).open("rb") as file:
                while block := file.read(_READ_SIZE):
                    digest.update(block)
        return digest.hexdigest()[:16]

    def identities(self, runs: list[dict]) -> list[dict]:
        """The identifying columns of each run that the settings list by its names."""
        known = {"study": self.identity["study"], "scale": self.identity["scale"]}
        return [{column: (known | run)[column] for column in IDENTITY} for run in runs]

    def shared_identity(self, runs: list[dict]) -> dict:
        """The identifying columns of rows that belong to all runs: `*` where these differ."""
        first, *others = self.identities(runs)
        return {
            key: value if all(other[key] == value for other in others) else "*"
            for key, value in first.items()
        }


def keep_freed_memory() -> None:
    """Have the C library keep the memory that arrays free, up to 1 GiB, instead of giving it back.

    Every batch frees and asks for the same megabytes; returning them and having their pages cleared again
    takes longer than computing on them. Only glibc knows these settings; elsewhere this does nothing.
    """
    with suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for setting in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
            mallopt(setting, KEPT_BYTES)


@contextmanager
def job(snakemake) -> Iterator[JobContext]:
    """Run a script's call: output into the job's log, one thread, bad input as one line.

    On a cluster the log begins with where the job runs. It ends with how it went: `ended after ...`,
    `fedscape: ...`, `stopped by ...`, a traceback; after a kill there is none of these. On a disk that is
    full or cannot be written to it may end anywhere.
    """
    folder = Path(snakemake.output[0]).parent
    try:
        with _logged(snakemake, folder) as context:
            yield context
    except BaseException as error:
        clear_line(sys.__stderr__)  # of the console's progress: what is told now has a line of its own
        user_error = _user_error(error, folder)
        if user_error is None:
            raise
        print(f"fedscape: {user_error}", file=sys.__stderr__)
        sys.exit(1)


@contextmanager
def _logged(snakemake, folder: Path) -> Iterator[JobContext]:
    """The part of `job` whose output goes into the log."""
    begin = time.monotonic()
    with Path(snakemake.log[0]).open("w", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
        with suppress(OSError):
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)  # while it holds, `fedscape status` says running
            for path in snakemake.output:  # of jobs that were killed: with the lock, nobody else writes these
                remove_leftovers(path)
        logging.basicConfig(stream=log, level=logging.INFO, format="%(message)s", force=True)
        keep_freed_memory()
        names = snakemake.wildcards
        _print_node(snakemake.threads)
        try:
            if names.get("study"):
                keep_notes(Path("results", names.study, names.scale), snakemake.output)
            _check_inputs(snakemake.input)
            void_records(snakemake.rule, snakemake.output)
            os.environ.update(dict.fromkeys(_THREADS_OF_LIBRARIES, str(THREADS)))
            with threadpool_limits(THREADS):
                yield JobContext(
                    settings=decode(snakemake.params.settings),
                    names=dict(snakemake.wildcards.items()),
                    inputs=dict(snakemake.input.items()),
                    identity=_identity(snakemake.wildcards),
                    device=_device(),
                    depends_on=(list(snakemake.params.settings), list(snakemake.input)),
                    resume_folder=snakemake.params.get("resume", ""),
                )
            print(f"{ENDED} after {time.monotonic() - begin:.1f} s", file=log)
        except SystemExit as reason:  # a job that was told to stop says how to resume
            print(reason, file=log)
            raise
        except KeyboardInterrupt:
            print(INTERRUPTED, file=log)
            raise SystemExit(INTERRUPTED) from None
        except Exception as error:
            with suppress(OSError):
                if user_error := _user_error(error, folder):
                    print(f"fedscape: {user_error}", file=log)
                else:
                    traceback.print_exc(file=log)
            raise


def _check_inputs(inputs: Sequence[str]) -> None:
    """Refuse what is no ordinary file: reading a pipe or a device may never end."""
    for path in inputs:
        if not Path(path).is_file():
            raise FedscapeError(f"{path}: not an ordinary file; delete it to have it rebuilt")


def _user_error(error: BaseException, folder: Path) -> FedscapeError | None:
    """An error as one line that tells a user what to do about it; None for one that users cannot mend.

    folder: where the job writes, named if the error itself names no path.
    """
    if isinstance(error, FedscapeError):
        return error
    if not isinstance(error, OSError):
        return None
    # numpy gives no number for a disk that takes only a part of an array.
    number = errno.ENOSPC if " requested and " in str(error) else error.errno
    if number not in _ADVICE:
        return None
    path = error.filename2 or error.filename or folder
    return FedscapeError(
        f"{path}: {os.strerror(number).lower()}; {_ADVICE[number]} and run again: what is done is kept"
    )


def _identity(wildcards) -> dict:
    identity = {column: wildcards.get(column, "*") for column in IDENTITY}
    return {**identity, "seed": identity["seed"] if identity["seed"] == "*" else int(identity["seed"])}


def _print_node(cores: int) -> None:
    number = os.environ.get("SLURM_JOB_ID")
    if number:
        card = os.environ.get(GPUS)
        node = f"{os.environ.get('SLURMD_NODENAME', 'unknown node')}, {cores} core{'s' * (cores > 1)}"
        print(f"SLURM job {number} on {node}, {f'GPU {card}' if card else 'no GPU'}")


def _device() -> str:
    # Only where the script has imported it already: tables and figures do without torch.
    torch = sys.modules.get("torch")
    if torch is None:
        return "cpu"
    torch.set_num_threads(THREADS)
    if torch.cuda.is_available():
        return "cuda"
    if os.environ.get(GPUS):
        print(f"PyTorch sees no GPU here, although {GPUS}={os.environ[GPUS]}: computing on the CPU")
    return "cpu"
