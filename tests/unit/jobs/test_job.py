"""What a job says when it fails: one line where the user can mend something, else a traceback in its log."""

import errno
import fcntl
import io
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from snakemake.iocontainers import InputFiles, Params
from threadpoolctl import threadpool_info

from fedscape.command.progress import STOP
from fedscape.errors import FedscapeError
from fedscape.files import write_text
from fedscape.jobs.job import INTERRUPTED, job
from fedscape.jobs.recorded import FOLDER, record_of
from fedscape.terminal import CLEAR


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No job of these tests finds records of Snakemake's in the repository."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def fail(tmp_path, monkeypatch):
    """Run a job that raises; gives what the terminal and the log show."""
    monkeypatch.setattr("fedscape.jobs.job.keep_freed_memory", lambda: None)  # of the process of these tests

    def fail(error, log=tmp_path / "job.log", inputs=(), terminal=io.StringIO):
        snakemake = SimpleNamespace(
            output=[str(tmp_path / "results" / "rounds.csv")], log=[str(log)], rule="train", threads=1, input=InputFiles(inputs), wildcards={},
            params=Params(fromdict={"settings": []}),
        )  # fmt: skip
        terminal = terminal()
        with monkeypatch.context() as patch:
            patch.setattr("sys.__stderr__", terminal)
            with pytest.raises(SystemExit) as stop, job(snakemake):
                if callable(error):
                    error()
                else:
                    raise error
        assert stop.value.code == 1
        return terminal.getvalue(), log.read_text() if log.is_file() else None

    return fail


def summed_gradient() -> bytes:
    """The bits of a gradient that several threads would add up, each a part."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(64, 3, 32, 32, generator=generator)
    weight = torch.randn(32, 3, 5, 5, generator=generator, requires_grad=True)
    torch.nn.functional.conv2d(images, weight).relu().logsumexp(1).sum().backward()
    return weight.grad.numpy().tobytes()


@pytest.mark.parametrize("granted", [1, 2, 4])
def test_a_job_computes_the_same_bits_whatever_it_was_granted(tmp_path, monkeypatch, granted):
    monkeypatch.setattr("fedscape.jobs.job.keep_freed_memory", lambda: None)
    one = summed_gradient()
    snakemake = SimpleNamespace(
        output=["a"], log=[str(tmp_path / "job.log")], threads=granted, input=InputFiles(), wildcards={}, rule="train",
        params=Params(fromdict={"settings": []}),
    )  # fmt: skip
    try:
        torch.set_num_threads(4)
        assert summed_gradient() != one  # else this test shows nothing
        with job(snakemake):
            assert summed_gradient() == one
            assert {library["num_threads"] for library in threadpool_info()} == {1}
            # A library that is loaded from now on has one thread, too.
            assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "1"
    finally:
        torch.set_num_threads(1)


def test_bad_input_is_one_line(fail):
    assert fail(FedscapeError("x.npz: cut off")) == ("fedscape: x.npz: cut off\n",) * 2


class Terminal(io.StringIO):
    """What a person watches: the console's line of progress may stand in it."""

    def isatty(self):
        return True


def test_on_a_terminal_a_failed_job_has_a_line_of_its_own(fail):
    told, log = fail(FedscapeError("x.npz: cut off"), terminal=Terminal)
    assert told == f"{CLEAR}fedscape: x.npz: cut off\n" and CLEAR not in log


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left on device; make room and run again: what is done is kept"),
        (errno.EDQUOT, "disk quota exceeded; make room and run again: what is done is kept"),
        (errno.EROFS, "read-only file system; make it writable and run again: what is done is kept"),
        (errno.EACCES, "permission denied; make it writable and run again: what is done is kept"),
        (errno.EIO, "input/output error; see to the disk and run again: what is done is kept"),
        (errno.EISDIR, "is a directory; move away what lies there and run again: what is done is kept"),
        (errno.EEXIST, "file exists; move away what lies there and run again: what is done is kept"),
    ],
)
def test_a_disk_that_takes_nothing_is_one_line(fail, tmp_path, number, message):
    told = f"fedscape: a.csv: {message}\n"
    assert fail(OSError(number, os.strerror(number), "a.csv")) == (told, told)
    told = f"fedscape: {tmp_path}/results: {message}\n"  # a write names no file
    assert fail(OSError(number, os.strerror(number))) == (told, told)


def test_a_folder_in_place_of_an_output_is_named_and_stays(fail, tmp_path):
    mine = tmp_path / "rounds.csv" / "mine"
    mine.mkdir(parents=True)
    said = fail(lambda: write_text(mine.parent, "rows"))
    assert said[0].startswith(f"fedscape: {mine.parent}: is a directory; move away") and mine.is_dir()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
@pytest.mark.parametrize("write", ["bytes", "an array"])
def test_a_full_disk_is_one_line(fail, tmp_path, write):
    def fill():
        with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123
            if write == "bytes":
                file.write(b"0" * 100_000)
            else:
                np.arange(100_000).tofile(file)

    line = f"fedscape: {tmp_path}/results: no space left on device; make room and run again: what is done is kept\n"
    assert fail(fill) == (line, line)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_log_that_cannot_be_written_is_one_line(fail, tmp_path):
    (tmp_path / "full.log").symlink_to("/dev/full")
    terminal, _ = fail(lambda: print("round 1"), tmp_path / "full.log")
    assert terminal == (
        f"fedscape: {tmp_path}/results: no space left on device; make room and run again: what is done is kept\n"
    )


def test_ctrl_c_is_one_line_in_the_log_and_on_the_terminal(tmp_path, monkeypatch):
    monkeypatch.setattr("fedscape.jobs.job.keep_freed_memory", lambda: None)
    log = tmp_path / "job.log"
    snakemake = SimpleNamespace(
        output=["a"], log=[str(log)], rule="train", threads=1, input=InputFiles(), wildcards={},
        params=Params(fromdict={"settings": []}),
    )  # fmt: skip
    with pytest.raises(SystemExit) as stop, job(snakemake):
        raise KeyboardInterrupt
    assert stop.value.code == INTERRUPTED, "which Python prints as it ends with 1"
    assert log.read_text().splitlines()[-1] == INTERRUPTED and INTERRUPTED.startswith(STOP)


def test_another_error_is_a_traceback_in_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr("fedscape.jobs.job.keep_freed_memory", lambda: None)
    for error in (ZeroDivisionError("one"), FileNotFoundError(errno.ENOENT, "no such file", "x")):
        log = tmp_path / "job.log"
        snakemake = SimpleNamespace(
            output=["a"],
            log=[str(log)],
            threads=1,
            rule="train",
            input=InputFiles(),
            wildcards={},
            params=Params(fromdict={"settings": []}),
        )
        with pytest.raises(type(error)), job(snakemake):
            raise error
        assert "Traceback" in log.read_text() and type(error).__name__ in log.read_text().splitlines()[-1]


def test_a_job_begins_by_making_its_records_void(monkeypatch):
    monkeypatch.setattr("fedscape.jobs.job.keep_freed_memory", lambda: None)
    FOLDER.mkdir(parents=True)
    snakemake = SimpleNamespace(
        output=["results/s/quick/a.csv", "results/s/quick/b.csv"], log=["job.log"], threads=1, input=InputFiles(),
        rule="train", wildcards={}, params=Params(fromdict={"settings": []}),
    )  # fmt: skip
    with job(snakemake):
        assert all(record_of(output).is_void for output in snakemake.output)
    assert all(record_of(output).is_void for output in snakemake.output)  # until Snakemake replaces them


@pytest.mark.parametrize("runs", [False, True])
def test_what_a_killed_job_was_writing_is_removed_by_the_next(tmp_path, monkeypatch, runs):
    """And by none that is started beside the one that writes it."""
    monkeypatch.setattr("fedscape.jobs.job.keep_freed_memory", lambda: None)
    snakemake = SimpleNamespace(
        output=[str(tmp_path / "figure.png")], log=[str(tmp_path / "job.log")], threads=1, input=InputFiles(), wildcards={}, rule="figure",
        params=Params(fromdict={"settings": []}),
    )  # fmt: skip
    left, other = tmp_path / ".figure.png.579.tmp", tmp_path / ".figure.png.svg"
    left.touch()
    other.touch()
    with Path(snakemake.log[0]).open("w") as log:
        if runs:
            fcntl.flock(log, fcntl.LOCK_EX)
        with job(snakemake):
            assert left.exists() == runs and other.exists()


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_an_input_that_is_no_file_is_one_line(fail, tmp_path, kind):
    odd = tmp_path / "odd"
    {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": Path.mkdir}[kind](odd)
    assert fail(AssertionError("the job began"), inputs=[str(odd)])[1] == (
        f"fedscape: {odd}: not an ordinary file; delete it to have it rebuilt\n"
    )
