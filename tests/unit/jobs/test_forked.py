"""Jobs that are forked: the same processes as those that start by themselves, and nothing is left behind."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import zlib
from pathlib import Path

import psutil
import pytest

from fedscape.jobs.forked import FEWEST, SWITCH, ForkedProcess, ForkServer, saves_time, script_of

SRC = Path(__file__).resolve().parents[3] / "src"
PATIENCE = 60  # seconds, of a machine that is busy
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
SEEN = """
import json, os, signal, sys
import snakemake.logging, torch, threadpoolctl
print(json.dumps({
    "environment": dict(os.environ), "folder": os.getcwd(), "arguments": sys.argv, "first path": sys.path[0],
    "paths": sorted(set(sys.path)), "name": __name__, "file": __file__,
    "group": os.getpgid(0), "session": os.getsid(0), "umask": os.umask(0),
    "descriptors": len(os.listdir("/proc/self/fd")), "tasks": len(os.listdir("/proc/self/task")),
    "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
    "threads": torch.get_num_threads(), "pools": [pool["num_threads"] for pool in threadpoolctl.threadpool_info()],
    "card": torch.cuda.is_initialized(), "library": "fedscape" in sys.modules,
}))
"""


class Snakemake:
    """What starts scripts in one folder with one output, by a server or without."""

    def __init__(self, folder: Path):
        self.scripts = folder / ".snakemake" / "scripts"
        self.scripts.mkdir(parents=True)
        self.output = (folder / "said").open("a+")  # of all processes, as they inherit Snakemake's
        self.server = ForkServer()
        self.environment = {**os.environ, "PYTHONPATH": str(SRC), **THREADS}

    def command(self, text: str) -> str:
        script = (
            self.scripts / f"tmp{zlib.crc32(text.encode())}.train.py"
        )  # a file of its own, as Snakemake's
        script.write_text(text)
        return f"set -euo pipefail;  {sys.executable} {shlex.quote(str(script))}"

    def start(self, text: str, popen=None, **more: str):
        return (popen or self.server.popen)(
            self.command(text),
            shell=True, executable="/bin/bash", stdout=self.output, env={**self.environment, **more},
            bufsize=-1, close_fds=True, universal_newlines=None,
        )  # fmt: skip

    def said(self) -> str:
        """What has been printed since this was asked last."""
        text = Path(self.output.name).read_text()
        os.truncate(self.output.name, 0)
        return text

    def __enter__(self) -> "Snakemake":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()
        self.output.close()


@pytest.fixture(scope="module")
def snakemake(tmp_path_factory):
    with Snakemake(tmp_path_factory.mktemp("folder with a space")) as snakemake:
        yield snakemake


def gone(pid: int) -> bool:
    """Whether a process ends in time."""
    for _ in range(10 * PATIENCE):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    ("command", "script"),
    [
        (
            "set -euo pipefail;  {python} /a/.snakemake/scripts/tmp1.train.py",
            "/a/.snakemake/scripts/tmp1.train.py",
        ),
        ("{python} '/a b/.snakemake/scripts/tmp1.train.py'", "/a b/.snakemake/scripts/tmp1.train.py"),
        ("python /a/.snakemake/scripts/tmp1.train.py", None),
        ("{python} /a/scripts/tmp1.train.py", None),
        ("{python} /a/.snakemake/scripts/tmp1.train.R", None),
        ("{python} /a/.snakemake/scripts/tmp1.train.py; true", None),
        ("source activate x; {python} /a/.snakemake/scripts/tmp1.train.py", None),
        ("", None),
    ],
)
def test_only_a_script_that_is_the_whole_command_is_forked(command, script):
    assert script_of(command.format(python=sys.executable)) == script


def test_few_jobs_and_other_systems_have_no_server(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert saves_time(FEWEST, {}) and saves_time(FEWEST, {SWITCH: "1"})
    assert not saves_time(FEWEST - 1, {}) and not saves_time(FEWEST, {SWITCH: "0"})
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not saves_time(FEWEST, {})


def test_a_forked_process_is_like_one_that_starts_by_itself(snakemake):
    seen = []
    for popen in (None, subprocess.Popen):
        process = snakemake.start(SEEN, popen)
        assert isinstance(process, ForkedProcess) == (popen is None)
        assert process.wait() == 0
        seen.append(json.loads(snakemake.said()))
    forked, plain = seen
    assert forked["tasks"] == 1 and not forked["card"] and forked["threads"] == 1
    assert set(forked.pop("pools")) == set(plain.pop("pools")) == {1}
    assert forked == plain


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("print('done', end='')", 0, "done"),
        ("import sys; sys.exit(3)", 3, ""),
        ("raise SystemExit", 0, ""),
        ("import sys; sys.exit('because')", 1, ""),
        ("1 / 0", 1, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, ""),
    ],
)
def test_its_end_is_told_like_any_other(snakemake, text, status, said):
    for popen in (None, subprocess.Popen):
        assert snakemake.start(text, popen).wait() == status
        assert snakemake.said() == said


def test_its_last_words_are_told(snakemake, capfd):
    """Of the server, which has this process's stderr as it was when it started."""
    code = (
        "from fedscape.jobs.fork_server import run; import pathlib, sys;"
        "path = pathlib.Path(sys.argv[1]); path.write_text(sys.argv[2]); sys.exit(run(str(path)))"
    )
    for text, told in (
        ("raise SystemExit('because')", "because\n"),
        ("1 / 0", "ZeroDivisionError: division by zero\n"),
    ):
        command = [sys.executable, "-c", code, str(snakemake.scripts / "tmp2.py"), text]
        done = subprocess.run(command, env=snakemake.environment, capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr.endswith(told)


def test_it_ends_as_python_does(snakemake):
    """What was registered runs, and threads are waited for."""
    text = """
import atexit, threading, time
atexit.register(print, "registered", flush=True)
threading.Thread(target=lambda: (time.sleep(0.3), print("thread", flush=True))).start()
"""
    assert snakemake.start(text).wait() == 0
    assert snakemake.said().split() == ["thread", "registered"]


def test_draws_without_a_seed_differ_from_job_to_job(snakemake):
    text = "import numpy, torch; print(numpy.random.rand(), torch.rand(1, dtype=torch.float64).item(), flush=True)"
    draws = []
    for _ in range(2):
        process = snakemake.start(text)
        assert isinstance(process, ForkedProcess) and process.wait() == 0
        draws += snakemake.said().split()
    assert len(draws) == len(set(draws)) == 4


def test_a_job_that_nobody_was_told_of_does_not_begin(own):
    """The server dies when it has forked the job: that starts by itself, and once."""
    child = own.start("print('warm', flush=True)")
    assert child.wait() == 0
    server, text = own.server._server, "print('begun', flush=True)"
    own.said()
    own.server._channel.shutdown(socket.SHUT_RD)  # its answer is lost, as if it had died on the way
    process = own.start(text)
    assert isinstance(process, subprocess.Popen) and process.wait() == 0
    assert gone(server.pid)
    time.sleep(0.5)
    assert own.said().split() == ["begun"]


def test_what_is_started_otherwise_starts_by_itself(snakemake):
    assert isinstance(snakemake.start("pass"), ForkedProcess)
    other = snakemake.start("import os; print(os.environ['OMP_NUM_THREADS'], end='')", OMP_NUM_THREADS="2")
    assert isinstance(other, subprocess.Popen) and other.wait() == 0
    assert snakemake.said() == "2"
    shell = snakemake.server.popen("exit 4", shell=True, stdout=None, env=snakemake.environment)
    assert isinstance(shell, subprocess.Popen) and shell.wait() == 4


@pytest.fixture
def own(tmp_path):
    """As `snakemake`, with a server that the test may kill."""
    with Snakemake(tmp_path) as snakemake:
        yield snakemake


def test_jobs_go_on_when_their_server_dies_and_later_ones_start_by_themselves(own):
    running = own.start("import time; time.sleep(3)")
    assert isinstance(running, ForkedProcess)
    server = own.server._server
    os.kill(server.pid, signal.SIGKILL)
    later = own.start("pass")
    assert isinstance(later, subprocess.Popen) and later.wait() == 0
    assert psutil.Process(running.pid).status() != psutil.STATUS_ZOMBIE
    assert running.wait() == 0


@pytest.fixture
def heeds_interrupts():
    """Tests that a shell has put into its background inherit that they ignore Ctrl-C, and so does the server."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_interrupts")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_waits_for_a_server_that_is_stopped_is_stopped(own, number):
    assert own.start("pass").wait() == 0
    server = own.server._server
    os.kill(server.pid, signal.SIGSTOP)  # so that the request is there before the end
    os.kill(server.pid, number)
    os.kill(server.pid, signal.SIGCONT)
    with pytest.raises(subprocess.CalledProcessError) as told:
        own.start("pass")
    assert told.value.returncode == -number


def test_a_server_that_cannot_start_is_missed_by_nobody(own):
    process = own.start("pass", PYTHONPATH="")
    assert process.wait() == 0


def test_closing_ends_the_server_and_no_job(own):
    running = own.start("import time; time.sleep(2)")
    server = own.server._server
    own.server.close()
    assert server.poll() == 0
    assert running.wait() == 0
    later = own.start("pass")
    assert isinstance(later, subprocess.Popen) and later.wait() == 0


ALONE = """
import socket, sys
from fedscape.jobs.fork_server import serve
server, snakemake = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
{"unread": server, "asked": snakemake}[sys.argv[1]].send(b"script.py")
snakemake.close()
assert serve(server) is None
"""


@pytest.mark.parametrize("left", ["unread", "asked"])
def test_a_server_whose_snakemake_was_killed_ends_without_a_word(left):
    """With an answer that it had not read, or before it got one."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE, left], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(SRC)}, timeout=PATIENCE,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


OTHER = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
from fedscape.jobs.forked import ForkServer
server = ForkServer()
process = server.popen(sys.argv[2], shell=True, stdout=None, env=dict(os.environ))
print(server._server.pid, process.pid, flush=True)
process.wait()
"""


@pytest.mark.parametrize("number", [None, signal.SIGKILL])
def test_the_server_ends_with_snakemake(own, number):
    command = own.command(f"import time; time.sleep({0 if number is None else 5})")
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(SRC), command],
        env=own.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        server, job = map(int, other.stdout.readline().split())
        if number is not None:
            other.send_signal(number)
        other.wait()
        assert gone(server)
        assert gone(job)
