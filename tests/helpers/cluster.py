"""A SLURM of our own on this machine: a controller and nodes with GPUs that are not there, in one folder.

It needs Debian's packages slurmctld, slurmd, slurm-client and munge, and neither root nor systemd: the daemons run
in the foreground as our children, on ports that were free, and talk to nobody outside. There is no accounting, as on
a small cluster.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

PROGRAMS = ("slurmctld", "slurmd", "munged", "squeue", "srun", "sbatch", "scontrol", "scancel", "sinfo")
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])  # where Debian has daemons
NODES = {"n1": 2, "n2": 1}  # GPUs by node
CPUS, MEMORY = 8, 100_000  # of a node; told, not looked for
PATIENCE = 60  # seconds for anything that a small cluster does at once
CGROUPS_ALWAYS = (
    23,
    11,
)  # from this version on slurmd looks for cgroups, unless told in words that stop older ones

CONFIGURATION = """
ClusterName=fedscape
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0
# A job of the partition `urgent` takes the place of one of `gpu`, which goes back to the queue.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
# What has ended stays in `squeue` for as long as a test may look.
MinJobAge=3600
SlurmdTimeout=10
ReturnToService=2
SlurmdParameters=config_overrides
# A job that names no memory would take all of a node.
DefMemPerCPU=500
GresTypes=gpu
{nodes}
PartitionName=gpu Nodes=ALL Default=YES MaxTime=24:00:00 State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=24:00:00 State=UP PriorityTier=10 PreemptMode=OFF
"""


def missing() -> list[str]:
    """Programs that a cluster needs and this machine does not have."""
    return [name for name in PROGRAMS if not shutil.which(name, path=PATH)]


needs_slurm = pytest.mark.skipif(
    bool(missing()),
    reason=f"not here: {', '.join(missing())} (Debian: apt-get install slurmctld slurmd slurm-client munge)",
)


class Cluster:
    """The daemons, and what one asks a cluster. `environment` is that of somebody who is logged in."""

    def __init__(self, folder: Path):
        self.folder = folder
        # The executor's inner step forgets SLURM_CONF, so `srun` is told where its configuration is.
        self.environment = {
            **os.environ,
            "PATH": f"{folder / 'bin'}{os.pathsep}{PATH}",
            "SLURM_CONF": str(folder / "slurm.conf"),
        }
        self._daemons: dict[str, subprocess.Popen] = {}

    def start(self) -> None:
        """Come up, nodes idle; an AssertionError with the daemons' logs if they do not."""
        self._configure()
        munge = self.folder / "munge"
        self._daemon(
            "munged", "--foreground", "--force", f"--key-file={munge / 'key'}", f"--socket={munge / 'socket'}",
            f"--pid-file={munge / 'pid'}", f"--log-file={munge / 'log'}", f"--seed-file={munge / 'seed'}",
        )  # fmt: skip
        wait_for((munge / "socket").exists, "munge")
        self._daemon("slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        wait_for(lambda: self.nodes() == dict.fromkeys(NODES, "idle"), "idle nodes", self._logs)

    def stop(self) -> None:
        """Cancel what runs, and end every process that was started."""
        with suppress(subprocess.CalledProcessError):
            self.ask("scancel", "--quiet", f"--user={os.getuid()}")
            wait_for(lambda: not self.ask("squeue", "--noheader"), "an empty queue", self._logs)
        for daemon in reversed(self._daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(PATIENCE / 4)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def start_node(self, node: str) -> None:
        """Start a node's daemon."""
        self._daemon("slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """Let a node die: its daemon and all processes of its jobs, at once and without a word."""
        daemon = self._daemons.pop(f"slurmd {node}")
        # Each step of a job is a session of its own under a process that bears the job's number, not the node's.
        for job in self.jobs():
            if job["JobState"] == "RUNNING" and job["NodeList"] == node:
                kill_processes_of(job["JobId"], self.environment["SLURM_CONF"])
        daemon.kill()
        daemon.wait()

    def nodes(self) -> dict[str, str]:
        """State by node."""
        lines = self.ask("sinfo", "--noheader", "--Node", "--partition=gpu", "--format=%N %t").splitlines()
        return dict(line.split() for line in lines)

    def jobs(self) -> list[dict[str, str]]:
        """All jobs that there were, as `scontrol` has them; `Rule` is that of the comment."""
        text = self.ask("scontrol", "--oneliner", "show", "jobs")
        found = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in text.splitlines() if "JobId=" in line]
        for job in found:
            comment = job.get("Comment", "").removeprefix("rule_")
            job["Rule"], _, job["Wildcards"] = comment.partition("_wildcards_")
        return found

    def ask(self, *command: str) -> str:
        """What a command of SLURM's prints."""
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, text=True, timeout=PATIENCE
        ).stdout  # fmt: skip

    def snakemake(self, folder: Path, *arguments: str) -> subprocess.Popen:
        """Start Snakemake as somebody who is logged in does; what it says is in `folder/snakemake.out`."""
        with (folder / "snakemake.out").open("wb") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "snakemake", *arguments],
                cwd=folder, env={**self.environment, "OMP_NUM_THREADS": "1"},
                stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                # Ctrl-C means nothing to what a shell has started in the background, as it may have started these tests.
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip

    def status(self, folder: Path, study: str) -> str:
        """What `fedscape status` says of a study at scale smoke."""
        environment = {**self.environment, "PYTHONPATH": str(folder / "src")}
        command = [sys.executable, "-m", "fedscape.cli", "status", study, "--config", "scale=smoke"]
        return subprocess.run(
            command, cwd=folder, env=environment, check=True, capture_output=True, text=True
        ).stdout  # fmt: skip

    def _configure(self) -> None:
        for name in ("state", "munge", "dev", "bin", *(f"spool.{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "munge").chmod(0o755)  # munge looks at it
        key = self.folder / "munge" / "key"
        key.touch(0o600)
        key.write_bytes(os.urandom(1024))
        host = socket.gethostname().partition(".")[0]
        controller, *ports = free_ports(1 + len(NODES))
        nodes = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={CPUS} "
            f"RealMemory={MEMORY} Gres=gpu:{gpus} State=UNKNOWN"
            for (node, gpus), port in zip(NODES.items(), ports, strict=True)
        ]
        user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
        text = CONFIGURATION.format(
            host=host, user=user, folder=self.folder, controller_port=controller, nodes="\n".join(nodes)
        )
        (self.folder / "slurm.conf").write_text(text)
        # A card is a device that slurmd counts; the flag makes it set CUDA_VISIBLE_DEVICES, without a look at the card.
        cards = [self.folder / "dev" / f"nvidia{number}" for number in range(max(NODES.values()))]
        for card in cards:
            card.symlink_to("/dev/null")
        (self.folder / "gres.conf").write_text(
            "".join(
                f"NodeName={node} Name=gpu Flags=nvidia_gpu_env File={card}\n"
                for node, gpus in NODES.items()
                for card in cards[:gpus]
            )
        )
        version = subprocess.run(["slurmd", "-V"], env={**os.environ, "PATH": PATH}, check=True,
                                 capture_output=True, text=True).stdout  # fmt: skip
        if tuple(map(int, re.findall(r"\d+", version)[:2])) >= CGROUPS_ALWAYS:
            (self.folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        srun = self.folder / "bin" / "srun"
        real = shutil.which("srun", path=PATH)
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {real} "$@"\n')
        srun.chmod(0o755)

    def _daemon(self, *command: str) -> None:
        name = f"slurmd {command[-1]}" if command[0] == "slurmd" else command[0]
        with (self.folder / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                cwd=self.folder, start_new_session=True,
            )  # fmt: skip

    def _logs(self) -> str:
        """The end of each daemon's log."""
        files = [*self.folder.glob("*.log"), *self.folder.glob("*.out")]
        return "\n".join(f"== {file}\n{file.read_text(errors='replace')[-2000:]}" for file in files)


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A cluster that is up, and goes away again."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def wait_for(
    condition: Callable[[], object], what: str, more: Callable[[], str] = str, seconds: float = PATIENCE
) -> object:
    """What the condition gives once it is true; an AssertionError that names it after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(subprocess.CalledProcessError):
            if found := condition():
                return found
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}\n{more()}"
        time.sleep(0.2)


def free_ports(number: int) -> list[int]:
    """Ports that nobody listened on a moment ago."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def kill_processes_of(job: str, configuration: str) -> None:
    """SIGKILL to all processes of a job of the cluster with this configuration, and to their stewards."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            content = (folder / "environ").read_bytes().decode(errors="replace")
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        environment = dict(line.partition("=")[::2] for line in content.split("\0"))
        of_job = environment.get("SLURM_JOB_ID") == job or command.startswith(f"slurmstepd: [{job}.")
        if of_job and environment.get("SLURM_CONF") == configuration:
            with suppress(ProcessLookupError):
                os.kill(int(folder.name), signal.SIGKILL)


def logged_in(cluster: Cluster) -> Mapping[str, str]:
    """What changes in the environment of somebody on this cluster."""
    return {name: cluster.environment[name] for name in ("PATH", "SLURM_CONF")}
