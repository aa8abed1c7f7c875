"""Faults of disks, files and people: each ends in the right result, or in one line that says what to do.

Kills are in test_kill.py. A study of one run, so that all of it can be made again within seconds.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from clone import Clone

from fedscape.jobs.recorded import FOLDER, VOID, record_path
from fedscape.jobs.resume import PROGRESS

STUDY = """
title: Faults
datasets: [digits]
models: {convnet: {}}
partitions: {iid: {scheme: iid, clients: 4}}
inits: {random: {kind: random}}
methods: {fedavg: {rounds: 20, lr: 0.05, keep_rounds: {every: 5}}}
runs: [{}]
drift: {moves: {}}
scales: {smoke: {}}
"""
RUN = "results/faults/smoke/runs/digits/convnet/iid/random/fedavg/seed0"
TRAJECTORY, ROUNDS = f"{RUN}/trajectory.safetensors", f"{RUN}/rounds.csv"
DRIFT, TABLE = (
    "results/faults/smoke/drift/moves/digits_all_seed0/drift.csv",
    "results/faults/smoke/tables/runs.csv",
)
COMPARED = (TRAJECTORY, ROUNDS, f"{RUN}/final.safetensors", f"{RUN}/clients.safetensors", DRIFT, TABLE)
LOG = "results/faults/smoke/logs/train/digits_convnet_iid_random_fedavg_seed0.log"
BENCHMARK = "results/faults/smoke/benchmarks/train/digits_convnet_iid_random_fedavg_seed0.tsv"
PATIENCE = 600  # seconds until a job must have come so far


class Faulty(Clone):
    """The clone of the study above, all of it made once."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        shutil.rmtree(folder / "config" / "studies")
        (folder / "config" / "studies").mkdir()
        (folder / "config" / "studies" / "faults.yaml").write_text(STUDY)
        (folder / "mine.yaml").write_text("study: faults\nscale: smoke\n")
        self.make()
        self.right = {file: (folder / file).read_bytes() for file in COMPARED}

    def make(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run Snakemake with one core on the study, or on the files that are named."""
        return self.snakemake("--cores", "1", *arguments, "--configfile", "mine.yaml", check=check)

    def start(self) -> subprocess.Popen:
        """Snakemake in the background, in a session of its own, once its run has committed a few rounds."""
        command = [sys.executable, "-m", "snakemake", "--cores", "1", TRAJECTORY, "--configfile", "mine.yaml"]
        driver = subprocess.Popen(
            command, cwd=self.folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        progress = self.folder / RUN / "resume" / PROGRESS
        while not progress.exists() or "round 2/" not in (self.folder / LOG).read_text():
            assert driver.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        return driver

    def failed(self, message: str, *arguments: str) -> str:
        """What is said by a run that must fail, with one line of ours."""
        return self.refused(self.make(*arguments, check=False), message)

    def refused(self, done: subprocess.CompletedProcess, message: str) -> str:
        """What is said by a run that has failed, as it must, with one line of ours."""
        assert done.returncode == 1, done.stdout[-3000:]
        assert "Traceback" not in done.stdout, done.stdout[-3000:]
        (line,) = {line for line in done.stdout.splitlines() if line.startswith("fedscape: ")}
        assert message in line
        return done.stdout

    def assert_right(self) -> None:
        """All is made, with the same bytes as without a fault; nothing is left over."""
        self.make()
        assert {
            file for file, content in self.right.items() if (self.folder / file).read_bytes() != content
        } == set()
        assert not list((self.folder / "results").rglob("resume"))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory) -> Faulty:
    return Faulty(tmp_path_factory.mktemp("faults"))


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount something on a folder; skips the test where that is not allowed."""
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not possible here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def stopped(driver: subprocess.Popen) -> Iterator[None]:
    """A process and its children, which hold on to what they have, for a while; then they come to their end."""
    os.killpg(driver.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(driver.pid, signal.SIGCONT)
    assert driver.wait(PATIENCE) == 0


def as_ordinary_user() -> list[str]:
    """What to put in front of a command that may not write where permissions say so, as root may."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root may write everywhere, and there is no setpriv to give that up")
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]


def killed(driver: subprocess.Popen) -> None:
    with suppress(ProcessLookupError):
        os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()


def remove_run(faulty: Faulty) -> None:
    shutil.rmtree(faulty.folder / RUN)
    (faulty.folder / RUN).mkdir()


def test_a_full_disk_is_named_and_with_room_the_run_goes_on(faulty):
    remove_run(faulty)
    folder = faulty.folder / RUN
    small = str(int(0.8 * sum(len(faulty.right[file]) for file in COMPARED[:4])))
    with mounted(folder, "-t", "tmpfs", "-o", f"size={small}", "tmpfs"):
        faulty.failed("no space left on device; make room and run again: what is done is kept", TRAJECTORY)
        assert json.loads((folder / "resume" / PROGRESS).read_text())["progress"]["round"] > 0
        subprocess.run(["mount", "-o", "remount,size=1g", str(folder)], check=True)
        faulty.make(TRAJECTORY)
        assert "continuing after round" in (faulty.folder / LOG).read_text()
        for file in COMPARED[:4]:
            assert (faulty.folder / file).read_bytes() == faulty.right[file]
    faulty.assert_right()


def test_results_that_cannot_be_written_to_are_named(faulty):
    results = faulty.folder / "results"
    # All that would be written: where some are left, Snakemake itself names those as write-protected.
    tables = (faulty.folder / TABLE).parent
    for path in (*tables.iterdir(), *(tables.parent / name for name in ("index.html", "plotly.min.js"))):
        path.unlink()
    with mounted(results, "--bind", str(results)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(results)], check=True)
        faulty.failed("results/faults/smoke: cannot be written to; make it writable")
    faulty.assert_right()


@pytest.mark.parametrize(
    ("folder", "wanted", "instead"),
    [
        (".snakemake", ["-n"], "work in a folder of your own"),
        ("results/data/logs", ["results/data/digits/dataset.json", "--force"], "link results to elsewhere"),
        ("results/faults/smoke", [TABLE, "--force"], "link results to elsewhere"),
    ],
)
def test_what_an_ordinary_user_may_not_write_to_is_named(faulty, folder, wanted, instead):
    path = faulty.folder / folder
    mode = path.stat().st_mode
    path.chmod(0o555)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *wanted, "--configfile", "mine.yaml"]
    try:
        done = subprocess.run(
            [*as_ordinary_user(), *command], cwd=faulty.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False,
        )  # fmt: skip
    finally:
        path.chmod(mode)
    faulty.refused(done, f"{folder}: cannot be written to; make it writable, or {instead}")
    faulty.assert_right()


def test_a_second_snakemake_is_refused_and_the_first_ends_well(faulty):
    remove_run(faulty)
    with stopped(faulty.start()):
        done = faulty.make(check=False)
    assert done.returncode == 1 and "Directory cannot be locked" in done.stdout
    faulty.assert_right()


def test_a_job_that_is_started_twice_is_refused_and_the_first_ends_well(faulty):
    remove_run(faulty)
    with stopped(faulty.start()):
        faulty.failed(
            f"{RUN}/resume: another process is working here; wait for it to end", "--nolock", TRAJECTORY
        )
    faulty.assert_right()


@pytest.mark.parametrize("damage", ["cut off", "a flipped bit", "zeros", "edited"])
def test_a_damaged_resume_folder_is_not_continued(faulty, damage):
    remove_run(faulty)
    killed(faulty.start())
    resume = faulty.folder / RUN / "resume"
    for slot in resume.glob("state-*.safetensors"):
        content = bytearray(slot.read_bytes())
        if damage == "cut off":
            content = content[: len(content) // 2]
        elif damage == "zeros":
            content = bytes(len(content))
        else:
            content[-5] ^= 1
        if damage != "edited":
            slot.write_bytes(content)
    if damage == "edited":
        text = (resume / "progress.json").read_text()
        (resume / "progress.json").write_text(text.replace('"round": ', '"round": 1'))
    faulty.snakemake("--unlock", "--configfile", "mine.yaml")
    faulty.make(TRAJECTORY)
    assert "starting afresh" in (faulty.folder / LOG).read_text()
    faulty.assert_right()


@pytest.mark.parametrize(
    ("file", "target", "message"),
    [
        (TRAJECTORY, DRIFT, f"{TRAJECTORY}: not a whole trajectory file ("),
        (ROUNDS, TABLE, f"{ROUNDS}: not a whole CSV (cut off)"),
    ],
)
def test_a_damaged_result_is_named_and_made_again(faulty, file, target, message):
    path = faulty.folder / file
    path.write_bytes(path.read_bytes()[:-10])
    said = faulty.failed(message, target)
    assert "delete the file to have it rebuilt" in said
    path.unlink()  # as the line says
    faulty.make(target)  # Snakemake makes again what is asked for, and what that needs
    faulty.assert_right()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, " not found; to have it rebuilt: snakemake --cores 1 --force "),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), ": truncated or foreign, "),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"), ": altered since it was prepared "),
    ],
    ids=["missing", "cut off", "altered"],
)
def test_a_damaged_array_is_named_and_nothing_but_the_data_set_is_made_again(faulty, damage, message):
    array = "results/data/digits/test-inputs.npy"
    damage(faulty.folder / array)
    assert faulty.pending("--configfile", "mine.yaml") == {}  # all that reads it is there
    remove_run(faulty)
    said = faulty.failed(f"{array}{message}", TRAJECTORY)
    assert "snakemake --cores 1 --force" in said
    faulty.make("--force", array)  # as the line says
    assert set(faulty.pending(TRAJECTORY, "--configfile", "mine.yaml")) == {"train"}
    faulty.assert_right()


def everything(*folders: Path) -> dict[str, tuple]:
    """Each file, folder and link below, with what tells that somebody has written: content and time."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for folder in folders
        for path in folder.rglob("*")
        if not {".snakemake", "__pycache__"}.intersection(path.parts) and not path.is_fifo()
    }


@pytest.fixture
def hostile(faulty, tmp_path):
    """The clone with a note of somebody's that names a folder outside, and a job whose end is not on record."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    notes = faulty.folder / "results" / "faults" / "smoke" / "unrecorded"
    notes.mkdir(exist_ok=True)
    note = {"folder": str(tmp_path / "precious"), "outputs": ["x"], "temporary": False}
    (notes / "0123.json").write_text(json.dumps(note))
    (notes / "4567.json").write_text('{"outputs": []}')
    os.mkfifo(notes / "89ab.json")
    records = [faulty.folder / record_path(FOLDER, file) for file in COMPARED[:4]]
    before = {path: path.read_bytes() for path in records}
    for path in records:
        path.write_text(json.dumps({**json.loads(path.read_text()), "params": [VOID]}))
    yield tmp_path
    for path, content in before.items():
        path.write_bytes(content)
    for path in notes.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    "command",
    [
        "snakemake -n", "snakemake --list", "snakemake --lint", "snakemake --summary", "snakemake --dag",
        "snakemake --unlock", "fedscape status", "fedscape why", "fedscape cost",
    ],
)  # fmt: skip
def test_who_only_looks_writes_and_removes_nothing(faulty, hostile, command):
    program, verb = command.split()
    settings = ["--configfile", "mine.yaml"]
    arguments = [verb, *([TRAJECTORY] if verb == "why" else []), *settings]
    before = everything(faulty.folder, hostile)
    if program == "snakemake":
        said = faulty.snakemake(*arguments).stdout
    else:
        said = faulty._run(["-m", "fedscape.cli", *arguments], True, {"PYTHONPATH": "src"}).stdout
    assert everything(faulty.folder, hostile) == before
    if verb == "-n":
        assert [line.split(maxsplit=2)[1:] for line in said.splitlines() if VOID in line] == [["train", VOID]]
    if verb == "why":
        assert "no Snakemake was there when its job ended" in said


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("results/faults/smoke/logs", "not a folder, where files are to be written"),
        ("results/faults/smoke/logs/tables.log", "a folder, where a file is to be written"),
    ],
)
def test_what_is_in_the_way_of_a_file_is_named(faulty, tmp_path, place, line):
    path = faulty.folder / place
    was_folder = path.is_dir()
    shutil.move(path, tmp_path / "away")
    if was_folder:
        path.touch()
    else:
        (path / "mine").mkdir(parents=True)
    try:
        faulty.failed(f"{place}: {line}; remove it", "--forcerun", "tables")
    finally:
        path.unlink() if was_folder else shutil.rmtree(path)
        shutil.move(tmp_path / "away", path)


def test_a_run_says_which_notes_are_none_of_ours_and_leaves_them(faulty, hostile):
    (faulty.folder / TABLE).unlink()
    before = everything(hostile)
    said = faulty.make(TABLE).stdout
    lines = sorted({line for line in said.splitlines() if line.startswith("fedscape: ")})
    notes = "results/faults/smoke/unrecorded"
    assert [line.split(": ")[1] for line in lines] == [
        f"{notes}/{name}.json" for name in ("0123", "4567", "89ab")
    ]
    assert everything(hostile) == before


def test_a_job_writes_what_it_makes_and_nothing_else(faulty):
    (faulty.folder / TABLE).unlink()
    before = everything(faulty.folder)
    faulty.make(TABLE)
    after = everything(faulty.folder)
    changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    own = ("/tables", "/tables/", "/logs/tables", "/config.yaml", "/smoke")
    assert all(any(part in path for part in own) for path in changed), changed
    faulty.assert_right()


def test_a_job_that_ended_without_snakemake_runs_again_from_what_it_kept(faulty):
    remove_run(faulty)
    driver = faulty.start()
    os.kill(driver.pid, signal.SIGKILL)  # Snakemake alone, not the job
    driver.wait()
    deadline = time.monotonic() + PATIENCE
    while "ended after" not in (faulty.folder / LOG).read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    faulty.snakemake("--unlock", "--configfile", "mine.yaml")
    assert "train" in faulty.pending("--configfile", "mine.yaml")
    faulty.make(TRAJECTORY)
    assert "finished before; its outputs are put in place again" in (faulty.folder / LOG).read_text()
    faulty.assert_right()
    assert not list((faulty.folder / "results/faults/smoke/unrecorded").iterdir())


@pytest.mark.parametrize(
    ("link", "where"),
    [
        ("results/faults/smoke/tables", "outside"),
        ("results/faults", "outside"),
        ("results/faults/smoke/logs/drift", "results"),
        (BENCHMARK, "outside"),
    ],
)
def test_nothing_is_written_or_deleted_where_a_link_leads_elsewhere(faulty, tmp_path, link, where):
    place, mine = faulty.folder / link, (tmp_path if where == "outside" else faulty.folder / "results") / "m"
    shutil.move(place, mine)
    place.symlink_to(mine)
    before = everything(tmp_path, faulty.folder / "results")
    try:
        said = "a link leads elsewhere; remove it, or link results itself"
        faulty.failed(f"{link}: {said}", "--forcerun", "tables", "drift", "partition", "train")
        assert everything(tmp_path, faulty.folder / "results") == before
    finally:
        place.unlink()
        shutil.move(mine, place)
    faulty.assert_right()
