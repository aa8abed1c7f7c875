"""Jobs are forked from one process that has imported their packages: same bytes, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
from clone import Clone

from fedscape.jobs.forked import SERVER, SWITCH

RUN = "results/pilot/smoke/runs/digits/convnet/iid/random/fedavg/seed0"
SOURCES = (f"{RUN}/rounds.csv", "results/pilot/smoke/planes/finals/digits_random_seed0/surface.csv")
CLOCKED = {"timing.csv", "run.json", "config.yaml"}
PATIENCE = 120  # seconds, of a machine that is busy


def made(folder: Path) -> dict[str, bytes]:
    """What was made, without what the clock says."""
    files = {path.relative_to(folder): path for path in (folder / "results").rglob("*") if path.is_file()}
    kept = {name for name in files if name.name not in CLOCKED and not {"logs", "benchmarks"} & {*name.parts}}
    return {str(name): files[name].read_bytes() for name in kept}


def in_folder(folder: Path) -> list[psutil.Process]:
    """All processes that work in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == folder and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def until(condition, what: str):
    """What a condition returns, as soon as that is something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if answer := condition():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"no {what} in {PATIENCE} s")


def test_forked_jobs_make_the_same_bytes(tmp_path):
    results = []
    for switch in ("1", "0"):
        clone = Clone(tmp_path / switch)
        clone.snakemake(*SOURCES, "--cores", "2", "--config", "scale=smoke", **{SWITCH: switch})
        results.append(made(clone.folder))
        assert not in_folder(clone.folder)
        benchmarks = [*clone.folder.glob("results/pilot/smoke/benchmarks/train/*")]
        assert benchmarks and all("NA" not in path.read_text() for path in benchmarks)
    assert results[0] == results[1]
    assert set(SOURCES) < set(results[0])


@pytest.mark.parametrize("stop", ["Ctrl-C", "SIGKILL"])
def test_nothing_is_left_of_a_call_that_is_stopped(tmp_path, stop):
    clone = Clone(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "snakemake", *SOURCES, "--cores", "2", "--config", "scale=smoke"],
        cwd=clone.folder, env={**os.environ, "OMP_NUM_THREADS": "1", SWITCH: "1"}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        # Ctrl-C means nothing to what a shell has started in the background, as it may have started these tests.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as call:  # fmt: skip
        # The log of a job, written by a process that was forked.
        until(lambda: [*clone.folder.glob("results/pilot/smoke/logs/train/**/*.log")], "run")
        assert [one for one in in_folder(clone.folder) if SERVER in one.cmdline()]
        if stop == "Ctrl-C":
            os.killpg(call.pid, signal.SIGINT)
        else:
            call.kill()
        assert call.wait(PATIENCE) != 0
    until(lambda: not in_folder(clone.folder), "end of its jobs and their server")
    if stop == "SIGKILL":
        clone.snakemake("--unlock", *SOURCES, "--config", "scale=smoke")
    clone.snakemake(*SOURCES, "--cores", "2", "--config", "scale=smoke")
    assert all((clone.folder / source).exists() for source in SOURCES)
