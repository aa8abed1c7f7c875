"""Jobs that are sent together (`executor: fedscape-slurm`) on a real SLURM: packs and arrays, and what may happen to them.

Skipped where there is no slurmctld. A run that trains in a pack has the bits that it has alone, whatever happens to
the others.
"""

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from broken_start import write_broken_start
from clone import Clone
from cluster import Cluster, needs_slurm, wait_for

pytestmark = needs_slurm

PATIENCE = 300  # seconds for a campaign to get anywhere, also where others use the machine
OPTIONS = (
    *("--fedscape-slurm-init-seconds-before-status-checks", "2"),
    *("--fedscape-slurm-status-command", "squeue", "--latency-wait", "5"),
)
RUNS = "results/together/smoke/runs/digits/convnet/calm"
KEPT = ("trajectory.safetensors", "clients.safetensors", "final.safetensors")
SEEDS = (0, 1)  # of the runs in the pack, beside one that cannot train
NINTH = 2
STUDY = """\
title: Runs that share a GPU
paper: Nobody
datasets: [digits]
images: 200
test_images: 100
seeds: {seeds}
models: {{convnet: {{}}}}
partitions: {{calm: {{scheme: iid, clients: 4}}}}
inits:
  random: {{kind: random}}
  broken: {{kind: checkpoint, file: {file}}}
methods: {{fedavg: {{rounds: 60, local_epochs: 1, batch_size: 16, lr: 0.01, client_rounds: [1, last], keep_rounds: {{every: 50}}}}}}
runs:
  - {{init: random}}
  - {{init: broken, seed: 0}}
figures: {{accuracy: {{kind: curves, table: rounds, measure: test_accuracy}}}}
scales: {{smoke: {{}}}}
"""
TINY = """\
rule all:
    input: expand("out/{number}", number=range(int(config["jobs"])))

rule tiny:
    output: "out/{number}"
    resources:
        mem_mb=lambda wildcards: 100 + 100 * (int(wildcards.number) % 2),
        runtime=5,
        gpu=1,
    shell: "echo $SLURM_JOB_ID $CUDA_VISIBLE_DEVICES $(nproc) > {output}"
"""

# The second job waits until SLURM has put its task back into the queue.
REQUEUED = """\
rule all:
    input: "out/0", "out/1"

rule tiny:
    output: "out/{number}"
    resources: mem_mb=100, runtime=5, pack=2
    shell:
        "echo run >> begun{wildcards.number};"
        "[ {wildcards.number} = 0 ] || [ ${{SLURM_RESTART_COUNT:-0}} = 1 ] || sleep 300; touch {output}"
"""


def write_study(clone: Clone, seeds: tuple[int, ...]) -> None:
    text = STUDY.format(file=clone.folder / "broken.safetensors", seeds=list(seeds))
    (clone.folder / "config/studies/together.yaml").write_text(text)


def final(seed: int, init: str = "random") -> str:
    return f"{RUNS}/{init}/fedavg/seed{seed}/final.safetensors"


def training_log(clone: Clone, seed: int, init: str = "random") -> str:
    log = clone.folder / f"results/together/smoke/logs/train/digits_convnet_calm_{init}_fedavg_seed{seed}.log"
    return log.read_text() if log.exists() else ""


class Campaign:
    """A pack of three runs, of which one cannot train, and what it met: a notice, then `scancel`."""

    def __init__(self, clone: Clone, cluster: Cluster):
        self.clone, self.cluster = clone, cluster
        self.statuses: list[str] = []
        self.notices: dict[int, str] = {}
        write_broken_start(clone.folder / "broken.safetensors")
        write_study(clone, SEEDS)
        targets = [*map(final, SEEDS), final(0, "broken")]
        self.driver = cluster.snakemake(
            clone.folder, "--profile", "slurm", *targets, *OPTIONS, "--default-resources", "pack=3", "mem_mb=4000",
            "--fedscape-slurm-gather-seconds", "4", "--config", "scale=smoke",
        )  # fmt: skip

    def play(self) -> None:
        """Until it is over."""
        self._wait(self._status_knows_the_failed, "status to say that one of the pack has failed")
        self._meet("scancel", "--signal=TERM")  # what SLURM sends ahead of a time limit
        self.notices = {seed: training_log(self.clone, seed) for seed in SEEDS}
        self._meet("scancel")
        self.driver.wait(PATIENCE)

    def _status_knows_the_failed(self) -> bool:
        """At once, or after another attempt of that run: it is sent again by itself as soon as it has failed."""
        if "of no use" not in training_log(self.clone, 0, "broken"):
            return False
        said = self.cluster.status(self.clone.folder, "together")
        return re.search(r"broken.* failed .*of no use", said) is not None

    def _meet(self, *command: str) -> None:
        """Do something to the pack once all of its sound runs train."""
        known = {job["JobId"] for job in self.cluster.jobs() if job["JobState"] != "RUNNING"}
        self._wait(
            lambda: all(re.search(r"round \d+/", self._of_this_attempt(seed, known)) for seed in SEEDS),
            f"the pack to train before {' '.join(command)}",
        )
        self.statuses.append(self.cluster.status(self.clone.folder, "together"))
        pack = self.packs()[-1]
        self.cluster.ask(*command, pack["JobId"])
        self._wait(lambda: self.packs()[-1]["JobState"] not in ("RUNNING", "COMPLETING"), "the pack to end")

    def _of_this_attempt(self, seed: int, known: set[str]) -> str:
        """A run's log, unless it is of a job that has ended."""
        log = training_log(self.clone, seed)
        number = re.match(r"SLURM job (\d+) ", log)
        return "" if number is None or number[1] in known else log

    def packs(self) -> list[dict]:
        return [job for job in self.cluster.jobs() if "_submission_" in job["Comment"]]

    def said(self) -> str:
        return (self.clone.folder / "snakemake.out").read_text()

    def _wait(self, condition, what: str) -> None:
        def met() -> bool:
            assert self.driver.poll() is None, self.said()[-6000:]
            return condition()

        wait_for(met, what, lambda: self.said()[-6000:], PATIENCE)


@pytest.fixture(scope="module")
def campaign(cluster, tmp_path_factory) -> Campaign:
    campaign = Campaign(Clone(tmp_path_factory.mktemp("together")), cluster)
    try:
        campaign.play()
    finally:
        campaign.driver.kill()
        campaign.driver.wait()
    return campaign


def test_a_pack_has_one_gpu_and_the_memory_of_its_members(campaign):
    first, again, *_ = campaign.packs()
    assert first["TresPerJob"] == again["TresPerJob"] == "gres:gpu:1"
    # Three runs of 8 GB and two cores; the second attempt asks for twice the memory, with or without the one that
    # cannot train: that may have been sent again before the others ended.
    assert "cpu=6" in first["TRES"] and first["MinMemoryNode"] == "24000M"
    assert any(
        f"cpu={2 * members}" in again["TRES"] and again["MinMemoryNode"] == f"{16000 * members}M"
        for members in (2, 3)
    )


def test_a_member_that_fails_leaves_the_others_alone(campaign):
    assert campaign.driver.returncode == 1
    assert "of no use" in training_log(campaign.clone, 0, "broken")
    log = "results/together/smoke/logs/train/digits_convnet_calm_broken_fedavg_seed0.log"
    assert f"train failed; its log: {log}, " in campaign.said()
    for seed in SEEDS:
        assert "ended after" in training_log(campaign.clone, seed)


def test_status_knows_the_members(campaign):
    for said in campaign.statuses:
        for seed in SEEDS:
            assert re.search(rf"random_fedavg_seed{seed}.* running ", said) or " running " in said


def test_each_member_gets_notice_and_resumes_also_after_scancel(campaign):
    first, again, last = campaign.packs()
    # The one that cannot train may have waited to be sent again until the others were, too.
    last_state = "COMPLETED" if f"cpu={2 * len(SEEDS)}" in last["TRES"].split(",") else "FAILED"
    assert [first["JobState"], again["JobState"], last["JobState"]] == ["FAILED", "CANCELLED", last_state]
    for seed in SEEDS:
        assert "stopped by SIGTERM: run again to continue from round" in campaign.notices[seed]
        assert "continuing after round" in training_log(campaign.clone, seed)


def test_a_pack_changes_no_bit(campaign, smoke):
    write_broken_start(smoke.folder / "broken.safetensors")
    write_study(smoke, SEEDS)
    smoke.snakemake(*map(final, SEEDS), "--cores", "1", "--config", "scale=smoke")
    for seed in SEEDS:
        for name in (*KEPT, "rounds.csv"):
            packed, alone = ((one.folder / final(seed)).with_name(name) for one in (campaign.clone, smoke))
            assert packed.read_bytes() == alone.read_bytes(), name


def test_one_more_run_trains_one(campaign):
    write_study(campaign.clone, (*SEEDS, NINTH))
    runs = [final(seed) for seed in (*SEEDS, NINTH)]
    pending = campaign.clone.pending(*runs, "--config", "scale=smoke")
    assert len(pending["train"]) == 1 and f"seed{NINTH}" in next(iter(pending["train"]))


def test_nothing_is_left_of_submissions_that_ended_well(campaign):
    """Those that failed keep what SLURM said; each member has a log beside those of jobs that were sent alone."""
    left = {path.name for path in (campaign.clone.folder / ".snakemake/slurm_submissions").iterdir()}
    failed = [job for job in campaign.packs() if job["JobState"] != "COMPLETED"]
    assert left == {job["Comment"].rpartition("_")[2] for job in failed}
    logs = campaign.clone.folder / ".snakemake/slurm_logs/rule_train"
    assert len(list(logs.glob("*_random_*/*.log"))) == 2 * len(SEEDS)


class Tiny:
    """A workflow of tiny jobs: every other one asks for more memory."""

    def __init__(self, folder: Path, cluster: Cluster, snakefile: str = TINY):
        self.folder, self.cluster = folder, cluster
        folder.mkdir()
        (folder / "Snakefile").write_text(snakefile)

    def start(self, jobs: int, *arguments: str) -> subprocess.Popen:
        return self.cluster.snakemake(
            self.folder, "--executor", "fedscape-slurm", "--jobs", "100", *OPTIONS, *arguments, "--config", f"jobs={jobs}"
        )  # fmt: skip

    def said(self) -> str:
        out = self.folder / "snakemake.out"
        return out.read_text() if out.exists() else ""


def test_many_jobs_go_in_a_handful_of_submissions_with_what_each_asks_for(cluster, tmp_path):
    tiny = Tiny(tmp_path / "many", cluster)
    known = {job["JobId"] for job in cluster.jobs()}
    arguments = ("--fedscape-slurm-array-jobs", "all", "--default-resources", "pack=4", "--keep-going")
    done = tiny.start(44, *arguments, "--fedscape-slurm-gather-seconds", "3").wait(PATIENCE)
    assert done == 0, tiny.said()[-6000:]
    jobs = [job for job in cluster.jobs() if job["JobId"] not in known]
    # Of either kind 22 jobs: five packs of four as an array, and a rest of two.
    assert len({job.get("ArrayJobId", job["JobId"]) for job in jobs}) == 4
    assert len(jobs) == 12
    memory = {job["JobId"]: int(job["MinMemoryNode"].removesuffix("M")) for job in jobs}
    members = dict.fromkeys(memory, 0)
    for number in range(44):
        job, card, cores = (tmp_path / "many" / "out" / str(number)).read_text().split()
        members[job] += 100 + 100 * (number % 2)
        assert card and int(cores) >= 1
    assert members == memory


def newest(cluster: Cluster) -> str:
    """The number of the job that was sent last."""
    return max((job["JobId"] for job in cluster.jobs()), key=int)


def test_a_pack_that_slurm_puts_back_runs_who_had_not_ended(cluster, tmp_path):
    tiny = Tiny(tmp_path / "requeued", cluster, REQUEUED)
    driver = tiny.start(2, "--fedscape-slurm-requeue")
    ended = "requeued/.snakemake/slurm_submissions/*/1-*.exit"  # Snakemake decides who is first in a pack
    wait_for(
        lambda: [*tmp_path.glob(ended)] and (tiny.folder / "begun1").exists(),
        "one to end",
        tiny.said,
        PATIENCE,
    )
    number = newest(cluster)
    cluster.ask("scontrol", "requeue", number)

    def is_back() -> bool:
        job = next(job for job in cluster.jobs() if job["JobId"] == number)
        return job["Restarts"] == "1" and job["JobState"] == "PENDING"

    wait_for(is_back, "the task to be back in the queue")
    cluster.ask("scontrol", "update", f"JobId={number}", "StartTime=now")
    assert driver.wait(PATIENCE) == 0, tiny.said()[-6000:]
    assert [len((tiny.folder / f"begun{one}").read_text().split()) for one in (0, 1)] == [1, 2]
    assert newest(cluster) == number, "nothing else was sent"


def waits(tiny: Tiny, jobs: int) -> subprocess.Popen:
    """Snakemake whose jobs wait for others for a long time."""
    driver = tiny.start(jobs, "--default-resources", "pack=9", "--fedscape-slurm-gather-seconds", "10")
    wait_for(lambda: "rule tiny:" in tiny.said(), "jobs to wait", tiny.said, PATIENCE)
    time.sleep(1)
    return driver


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_snakemake_while_jobs_wait_sends_none(cluster, tmp_path, number):
    tiny = Tiny(tmp_path / "stopped", cluster)
    known = {job["JobId"] for job in cluster.jobs()}
    before = tmp_path / "stopped" / "out" / "0"
    before.parent.mkdir()
    before.write_text("of an earlier time")
    driver = waits(tiny, 3)
    driver.send_signal(number)
    assert driver.wait(PATIENCE) != 0
    assert {job["JobId"] for job in cluster.jobs()} == known
    assert before.read_text() == "of an earlier time"
