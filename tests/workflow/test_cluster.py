"""`snakemake --profile slurm` on a real SLURM: a study, and what clusters do to jobs.

Skipped where there is no slurmctld. A job that is cancelled, stopped by its time limit, pre-empted or bereft of its
node trains on from where it was, to the bits that it gives when it is left alone.
"""

import re
import signal
import subprocess
import time
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path

import psutil
import pytest
from broken_start import write_broken_start
from clone import Clone
from cluster import NODES, Cluster, needs_slurm, wait_for

from fedscape.study.stages.every import LOCAL

pytestmark = needs_slurm

ON_GPU = {"train", "pretrain", "plane", "surface", "surface_part", "path", "curve", "layers", "curvature"}
# Looks as often as the jobs are short.
SHORT = ("--fedscape-slurm-init-seconds-before-status-checks", "3", "--latency-wait", "20")
CLOCKS = ("timing.csv", "costs.csv")  # results that are times
PLACE = re.compile(r"SLURM job (\d+) on (\w+), [12] cores?, (?:GPU (\d)|no GPU)")
RUNNING = re.compile(r" running .* on n[12]$", re.MULTILINE)  # in what `fedscape status` says
QUEUED = re.compile(r" queued +SLURM \d+ pending \((?:Resources|Priority)\)", re.MULTILINE)
RUNS = "results/weather/smoke/runs/digits/convnet"
KEPT = ("trajectory.safetensors", "clients.safetensors", "final.safetensors")
ON_NODE = {"RUNNING", "COMPLETING"}  # states of jobs
SETTLED = 10  # seconds until a node that came back has ended what it ran before
PATIENCE = 600  # seconds for a campaign to get anywhere, also where others use the machine
WEATHER = """\
title: What may happen to a job
paper: Nobody
datasets: [digits]
images: 200
test_images: 100
models: {{convnet: {{}}}}
partitions:            # all the same, so that all runs from the same start are
  calm: &same {{scheme: iid, clients: 4}}
  cancelled: *same
  limited: *same
  preempted: *same
  orphaned: *same
inits:
  random: {{kind: random}}
  broken: {{kind: checkpoint, file: {file}}}
methods: {{fedavg: {{rounds: 80, local_epochs: 1, batch_size: 16, lr: 0.01, client_rounds: [1, last], keep_rounds: {{every: 50}}}}}}
runs:
  - {{init: random}}
  - {{partition: calm, init: broken}}
figures: {{accuracy: {{kind: curves, table: rounds, measure: test_accuracy}}}}
scales: {{smoke: {{}}}}
"""


def through_slurm(clone: Clone, cluster: Cluster, *arguments: str) -> subprocess.Popen:
    """Start Snakemake in a clone as somebody on the cluster does; what it says is in `snakemake.out`."""
    return cluster.snakemake(clone.folder, "--profile", "slurm", *arguments)


def status(clone: Clone, cluster: Cluster, study: str) -> str:
    """What `fedscape status` says."""
    return cluster.status(clone.folder, study)


def contents(folder: Path) -> dict[str, bytes]:
    """Numbers and weights by their path: everything of a study but times, pictures and logs."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in (".csv", ".safetensors", ".vts", ".vtp") and path.name not in CLOCKS
    }


@pytest.fixture(scope="module")
def sent(cluster, tmp_path_factory) -> tuple[Clone, list[dict]]:
    """A clone in which the pilot study was made on the cluster, and the jobs that this took."""
    clone = Clone(tmp_path_factory.mktemp("pilot"))
    driver = through_slurm(clone, cluster, "pilot", *SHORT, "--config", "scale=smoke")
    try:
        wait_for(
            lambda: (
                (said := status(clone, cluster, "pilot")) and RUNNING.search(said) and QUEUED.search(said)
            ),
            "`fedscape status` to show a job that runs on a node and one that waits",
            lambda: status(clone, cluster, "pilot"),
            PATIENCE,
        )
        driver.wait(3 * PATIENCE)
    finally:
        driver.kill()
    assert driver.returncode == 0, (clone.folder / "snakemake.out").read_text()[-6000:]
    return clone, cluster.jobs()


def test_a_study_is_the_same_as_from_one_machine(sent, smoke):
    clone, _ = sent
    smoke.snakemake("pilot", "--cores", "all", "--config", "scale=smoke")
    theirs, ours = (contents(one.folder / "results/pilot/smoke") for one in (smoke, clone))
    assert sorted(ours) == sorted(theirs)
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert clone.pending("pilot", "--config", "scale=smoke") == {}


def test_jobs_for_a_gpu_have_one_each_and_local_rules_are_not_sent(sent):
    clone, jobs = sent
    assert not {job["Rule"] for job in jobs} & set(LOCAL)
    assert {job["Rule"] for job in jobs} == {*ON_GPU, "drift"}
    for job in jobs:
        assert job.get("TresPerJob") == ("gres:gpu:1" if job["Rule"] in ON_GPU else None), job
    places = {}
    for log in (clone.folder / "results/pilot/smoke/logs").rglob("*.log"):
        if found := PLACE.match(log.read_text()):
            places[found[1]] = (found[2], found[3])
    assert set(places) == {job["JobId"] for job in jobs}
    granted = {job["JobId"]: job for job in jobs if job["Rule"] in ON_GPU}
    for number, job in granted.items():
        node, card = places[number]
        assert node == job["NodeList"] and int(card) < NODES[node]
    for one, other in combinations(granted.values(), 2):
        together = one["StartTime"] < other["EndTime"] and other["StartTime"] < one["EndTime"]
        assert not together or places[one["JobId"]] != places[other["JobId"]], (one, other)
    assert not list((clone.folder / ".snakemake/slurm_logs").rglob("*.log"))


def test_what_ends_without_snakemake_is_not_computed_again(sent, cluster):
    """Also where Snakemake removes the outputs once they are used: of the parts of a surface nothing else is left."""
    clone, _ = sent
    surface = clone.folder / "results/pilot/smoke/planes/three/digits_all_seed0/surface.csv"
    before = surface.read_bytes()
    surface.unlink()
    known = {job["JobId"] for job in cluster.jobs()}
    again = (str(surface.relative_to(clone.folder)), *SHORT, "--config", "scale=smoke")

    def parts() -> list[str]:
        """States of the jobs that make the two parts."""
        new = [job for job in cluster.jobs() if job["JobId"] not in known]
        return [job["JobState"] for job in new if job["Rule"] == "surface_part"]

    driver = through_slurm(clone, cluster, *again)
    try:
        wait_for(lambda: len(parts()) == 2, "both parts to be sent", parts, PATIENCE)
    finally:
        driver.kill()
        driver.wait()
    wait_for(lambda: parts() == ["COMPLETED"] * 2, "both parts to end", parts, PATIENCE)
    clone.snakemake("--unlock")
    assert through_slurm(clone, cluster, *again).wait(PATIENCE) == 0
    assert surface.read_bytes() == before
    for part in (1, 2):
        log = clone.folder / f"results/pilot/smoke/logs/surface_part/three_digits_all_seed0_{part}-of-2.log"
        assert "finished before; its outputs are put in place again" in log.read_text()
    assert not list(clone.folder.glob("results/**/*resume*"))
    assert not list((clone.folder / "results/pilot/smoke/unrecorded").iterdir())


def final(run: str) -> str:
    """The last model of a run of the weather."""
    return f"{RUNS}/{run}/random/fedavg/seed0/final.safetensors"


def training_log(clone: Clone, run: str) -> str:
    """What the log of a run of the weather holds."""
    log = clone.folder / f"results/weather/smoke/logs/train/digits_convnet_{run}_random_fedavg_seed0.log"
    return log.read_text() if log.exists() else ""


class Weather:
    """A campaign on a cluster where each run meets its own kind of weather once it has trained a few rounds.

    One kind at a time; runs whose turn has not come are held.
    """

    def __init__(self, clone: Clone, cluster: Cluster):
        self.clone, self.cluster = clone, cluster
        self.dead, self.mended = None, 0.0  # a node, and when one was started again
        self.held: dict[str, psutil.Process] = {}  # by job: stopped until it gets notice
        self.struck: dict | None = None  # the job that was met last, as it was then
        self.before = {job["JobId"] for job in cluster.jobs()}
        self.to_come = {"cancelled": self.cancel, "preempted": self.preempt, "orphaned": self.orphan,
                        "limited": self.limit}  # fmt: skip

    def play(self, driver: subprocess.Popen) -> None:
        """Until the campaign is over."""
        deadline = time.monotonic() + 2 * PATIENCE
        while driver.poll() is None:
            assert time.monotonic() < deadline, (self.clone.folder / "snakemake.out").read_text()[-6000:]
            for run in [*self.to_come]:
                job = self.running(run)
                if job and re.search(r"round \d+/", self.log(run)) and self.hold(job) and self.is_calm():
                    self.struck = job
                    self.to_come.pop(run)(job)
            self.mend()
            self.release()
            time.sleep(0.3)

    def jobs(self, run: str) -> list[dict]:
        """The SLURM jobs of a run's training, oldest first."""
        found = [job for job in self.cluster.jobs() if f"_{run}_random_" in job["Wildcards"]]
        return [job for job in found if job["JobId"] not in self.before and job["Rule"] == "train"]

    def running(self, run: str) -> dict | None:
        return next((job for job in self.jobs(run) if job["JobState"] == "RUNNING"), None)

    def log(self, run: str) -> str:
        return training_log(self.clone, run)

    def hold(self, job: dict) -> bool:
        """Stop the process of a job, if it is there."""
        process = script_of(self.clone, job)
        if process is None:
            return False
        with suppress(psutil.NoSuchProcess):
            process.suspend()
            self.held[job["JobId"]] = process
        return process.is_running()

    def release(self) -> None:
        """Let what was held go on once SLURM has sent it the signal to stop."""
        for number, process in [*self.held.items()]:
            if has_pending(process, signal.SIGTERM) or not process.is_running():
                with suppress(psutil.NoSuchProcess):
                    process.resume()
                del self.held[number]

    def is_calm(self) -> bool:
        """Whether what came last is over: its job has ended or is back in the queue, and all nodes are there."""
        jobs = self.cluster.jobs()
        urgent = {job["JobState"] for job in jobs if job["Partition"] == "urgent"}
        if self.dead or time.monotonic() - self.mended < SETTLED or {"PENDING", *ON_NODE} & urgent:
            return False
        if self.struck is None:
            return True
        now = next(job for job in jobs if job["JobId"] == self.struck["JobId"])
        return now["JobState"] not in ON_NODE or now["Restarts"] != self.struck["Restarts"]

    def cancel(self, job: dict) -> None:
        self.cluster.ask("scancel", job["JobId"])

    def limit(self, job: dict) -> None:
        # Less than what the profile has SLURM give notice of is left then, so it does when it next looks at its
        # jobs, twice a minute.
        hours, minutes, _ = map(int, job["RunTime"].split(":"))
        limit = f"TimeLimit={60 * hours + minutes + 2}"
        self.cluster.ask("scontrol", "update", f"JobId={job['JobId']}", limit)

    def preempt(self, job: dict) -> None:
        node = job["NodeList"]
        self.cluster.ask("sbatch", "--partition=urgent", "--nodes=1", f"--nodelist={node}",
                         f"--gpus={NODES[node]}", "--mem=100", "--output=/dev/null", "--wrap=sleep 1")  # fmt: skip

    def orphan(self, job: dict) -> None:
        self.dead = job["NodeList"]
        self.cluster.kill_node(self.dead)

    def mend(self) -> None:
        """Start a dead node again once it is missed; then let what was requeued go, which SLURM keeps for 2 minutes.

        Not at once: a node that has just come back is still told to end what it ran before.
        """
        if self.dead and self.cluster.nodes()[self.dead].startswith("down"):
            self.cluster.start_node(self.dead)
            self.dead, self.mended = None, time.monotonic()
        if time.monotonic() - self.mended < SETTLED:
            return
        for job in self.cluster.jobs():
            if job["JobState"] == "PENDING" and job["Reason"] == "BeginTime":
                self.cluster.ask("scontrol", "update", f"JobId={job['JobId']}", "StartTime=now")


def script_of(clone: Clone, job: dict) -> psutil.Process | None:
    """The process that does the work of a SLURM job, if it has started."""
    scripts = f"{clone.folder}/.snakemake/scripts/"
    for process in psutil.process_iter(["cmdline", "environ"]):
        of_job = (process.info["environ"] or {}).get("SLURM_JOB_ID") == job["JobId"]
        if of_job and any(one.startswith(scripts) for one in process.info["cmdline"] or ()):
            return process
    return None


def has_pending(process: psutil.Process, number: signal.Signals) -> bool:
    """Whether a signal waits for the process (Linux); False if it is gone."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except FileNotFoundError:
        return False
    pending = re.search(r"^ShdPnd:\s*(\w+)", status, re.MULTILINE)
    return bool(int(pending[1], 16) >> (number - 1) & 1)


def weather_clone(folder: Path) -> Clone:
    """A clone with the study of weather."""
    clone = Clone(folder)
    file = clone.folder / "broken.safetensors"
    write_broken_start(file)
    (clone.folder / "config/studies/weather.yaml").write_text(WEATHER.format(file=file))
    return clone


@pytest.fixture(scope="module")
def weathered(cluster, tmp_path_factory) -> tuple[Weather, str, int]:
    """A campaign that is over: what it met, what Snakemake said, its exit code. A run was made here before it."""
    clone = weather_clone(tmp_path_factory.mktemp("weather"))
    clone.snakemake(final("calm"), "--cores", "1")
    weather = Weather(clone, cluster)
    driver = through_slurm(clone, cluster, "weather", *SHORT, "--config", "scale=smoke")
    try:
        weather.play(driver)
    finally:
        driver.kill()
        driver.wait()
    return weather, (clone.folder / "snakemake.out").read_text(), driver.returncode


@pytest.mark.parametrize(("run", "ended"), [("cancelled", "CANCELLED"), ("limited", "FAILED")])
def test_a_run_that_ended_too_soon_was_sent_again_and_went_on(weathered, run, ended):
    weather, said, _ = weathered
    assert run not in weather.to_come, said[-6000:]
    *before, last = weather.jobs(run)
    assert last["JobState"] == "COMPLETED"
    assert ended in {job["JobState"] for job in before}
    assert "continuing after round" in weather.log(run)


@pytest.mark.parametrize(
    ("run", "requeued"),
    [
        ("preempted", "preempted JobId={} has been requeued"),
        ("orphaned", "requeue job JobId={} due to failure of node"),
    ],
)
def test_a_run_that_lost_its_node_was_requeued_and_went_on(weathered, run, requeued):
    weather, said, _ = weathered
    assert run not in weather.to_come, said[-6000:]
    jobs = weather.jobs(run)
    assert jobs[-1]["JobState"] == "COMPLETED"
    # Not always the last: who shares a dead node is requeued, too, may be ended there once more, and is sent again.
    told = (weather.cluster.folder / "slurmctld.log").read_text()
    assert any(requeued.format(job["JobId"]) in told for job in jobs)
    assert "continuing after round" in weather.log(run)


def test_a_run_stops_by_itself_before_its_time_is_up(weathered):
    weather, said, _ = weathered
    limited = next(job for job in weather.jobs("limited") if job["TimeLimit"].startswith("00:"))
    start, end = (datetime.fromisoformat(limited[key]) for key in ("StartTime", "EndTime"))
    _, minutes, _ = map(int, limited["TimeLimit"].split(":"))
    assert limited["JobState"] == "FAILED"
    assert end - start < timedelta(minutes=minutes)
    shown = re.findall(
        r"^train failed; its log: \S+_limited_random_fedavg_seed0\.log.*\n((?:  .*\n)+)", said, re.MULTILINE
    )
    assert any("stopped by SIGTERM: run again to continue from round" in log for log in shown)


@pytest.mark.parametrize("run", ["cancelled", "limited", "preempted", "orphaned"])
def test_weather_changes_no_bit(weathered, run):
    folder = weathered[0].clone.folder / RUNS
    for name in KEPT:
        ours, calm = ((folder / one / "random/fedavg/seed0" / name).read_bytes() for one in (run, "calm"))
        assert ours == calm, name
    assert not (folder / run / "random/fedavg/seed0/resume").exists()


def test_a_failure_is_shown_with_its_logs(weathered):
    weather, said, code = weathered
    log = "results/weather/smoke/logs/train/digits_convnet_calm_broken_fedavg_seed0.log"
    assert code == 1
    assert f"train failed; its log: {log}, " in said
    assert "fedscape: the initial weights are of no use" in said
    slurms = (
        weather.clone.folder
        / ".snakemake/slurm_logs/rule_train/weather_smoke_digits_convnet_calm_broken_fedavg_0"
    )
    tried = sorted(path.stem for path in slurms.glob("*.log"))
    assert len(tried) == 3, "once, and two retries"
    assert all(f"{slurms / number}.log" in said for number in tried)
    line = next(
        one
        for one in status(weather.clone, weather.cluster, "weather").splitlines()
        if "failed" in one and log in one
    )
    assert "of no use" in line


@pytest.fixture(scope="module")
def stopped(cluster, tmp_path_factory) -> "Stopped":
    return Stopped(weather_clone(tmp_path_factory.mktemp("stopped")), cluster)


class Stopped:
    """A clone whose Snakemake is asked to stop while it has training on the cluster."""

    def __init__(self, clone: Clone, cluster: Cluster):
        self.clone, self.cluster = clone, cluster

    def train(self, *runs: str) -> subprocess.Popen:
        """Start Snakemake, one job at a time."""
        return through_slurm(self.clone, self.cluster, *map(final, runs), *SHORT, "--jobs", "1")

    def tell(self, driver: subprocess.Popen, number: signal.Signals, *runs: str) -> list[str]:
        """Send a signal once one of the runs trains; how the jobs that trained have ended."""
        known = {job["JobId"] for job in self.cluster.jobs()}

        def states() -> list[str]:
            new = [job for job in self.cluster.jobs() if job["JobId"] not in known]
            return [job["JobState"] for job in new if job["Rule"] == "train"]

        try:
            wait_for(
                # Some way on: Snakemake's handler takes a lock that its scheduler has while it selects jobs, which it
                # does once the run is submitted. A signal in just that moment would make it wait for itself.
                lambda: any("round 20/" in training_log(self.clone, run) for run in runs),
                "a run to train", (self.clone.folder / "snakemake.out").read_text, PATIENCE,
            )  # fmt: skip
            driver.send_signal(number)
            driver.wait(PATIENCE)
        finally:
            driver.kill()
        wait_for(lambda: not ON_NODE & {*states()}, "what has ended to be cleared away")
        return states()


def test_ctrl_c_cancels_what_runs_and_the_next_call_goes_on(stopped):
    driver = stopped.train("cancelled")
    assert stopped.tell(driver, signal.SIGINT, "cancelled") == ["CANCELLED"]
    assert driver.returncode
    stopped.clone.snakemake(final("cancelled"), "--cores", "1")
    assert "continuing after round" in training_log(stopped.clone, "cancelled")


def test_sigterm_waits_for_what_runs_and_sends_nothing_more(stopped):
    runs = ("preempted", "orphaned")
    driver = stopped.train(*runs)
    assert stopped.tell(driver, signal.SIGTERM, *runs) == ["COMPLETED"]
    assert driver.returncode
    one, other = sorted(runs, key=lambda run: training_log(stopped.clone, run) == "")
    assert stopped.clone.pending(final(one)) == {}
    assert training_log(stopped.clone, other) == ""
