"""A kill under Snakemake: it deletes a failed job's outputs, the resume folder stays, the bits are the same."""

import os
import signal
import subprocess
import sys
import time

RUN = "results/pilot/quick/runs/digits/convnet/dir0.1/random/fedavg/seed0"
COMPARED = ("trajectory.safetensors", "clients.safetensors", "final.safetensors", "rounds.csv")
PATIENCE = 120  # seconds until the job must have committed a few rounds


def test_a_killed_training_job_carries_on_with_the_same_bits(made):
    folder = made.folder / RUN
    before = {name: (folder / name).read_bytes() for name in COMPARED}
    (folder / "final.safetensors").unlink()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", f"{RUN}/final.safetensors"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    driver = subprocess.Popen(
        command, cwd=made.folder, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    log = made.folder / "results/pilot/quick/logs/train/digits_convnet_dir0.1_random_fedavg_seed0.log"
    try:
        deadline = time.monotonic() + PATIENCE
        # The log of the run before is gone as soon as there is a resume folder.
        while not (folder / "resume").is_dir() or "round 3/" not in log.read_text():
            assert driver.poll() is None, "the job ended before it could be killed"
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
    finally:
        os.killpg(driver.pid, signal.SIGKILL)  # Snakemake and the job, without a last word
        driver.wait()
    assert (folder / "resume" / "progress.json").is_file()
    made.snakemake("--unlock")
    made.snakemake("--cores", "1", f"{RUN}/final.safetensors")
    assert "continuing after round" in log.read_text()
    assert {name: (folder / name).read_bytes() for name in COMPARED} == before
    assert not (folder / "resume").exists()
    made.snakemake("--cores", "1")  # the cost table follows the run's new timing.csv
