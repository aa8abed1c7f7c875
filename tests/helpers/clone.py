"""A copy of the working tree to run Snakemake in."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fedscape.study.campaign import read_study
from fedscape.study.files import read_yaml
from fedscape.study.jobs import Job, jobs_of

ROOT = Path(__file__).resolve().parents[2]
STUDIES = tuple(sorted(path.stem for path in (ROOT / "config" / "studies").glob("*.yaml")))
EDITED = ROOT / "tests" / "workflow" / "edited"  # settings, and studies, that belong to no paper
# Snakemake pauses a tenth of a second before it touches a job's outputs, and there are hundreds of jobs.
TOUCH = (
    "from snakemake.executors.touch import Executor; Executor.SLEEPING_TIME = 0; "
    "from snakemake.cli import main; main()"
)
JOB = re.compile(r"^(?:local)?rule (\w+):$")
OUTPUT = re.compile(r"^ +output: ([^,\n]+)")
SHORT = re.compile(r"^results/(\w+/(smoke|quick|small|paper)/)?")


class Clone:
    """A copy of the repository, and Snakemake in it."""

    def __init__(self, folder: Path):
        self.folder = folder
        tracked = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        for name in filter(None, tracked.split("\0")):
            source, target = ROOT / name, folder / name
            if source.exists() or source.is_symlink():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)

    def snakemake(
        self, *arguments: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess:
        """Run Snakemake; its output is text, stderr within stdout."""
        return self._run(["-m", "snakemake", *arguments], check, environment)

    def listing(self, *arguments: str) -> str:
        """Snakemake's own list of the jobs that would run, which `-n` alone counts by stage and reason."""
        return self.snakemake("-n", "--verbose", *arguments).stdout

    def _run(self, arguments: list[str], check: bool, environment: dict) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, done.stdout[-6000:]
        return done

    def pending(self, *arguments: str) -> dict[str, set[str]]:
        """The jobs that a dry run lists: for each rule the first output of each job, below its study."""
        jobs = defaultdict(set)
        rule = None
        for line in self.listing(*arguments).splitlines():
            if match := JOB.match(line):
                rule = match.group(1)
            elif rule and (match := OUTPUT.match(line)):
                jobs[rule].add(SHORT.sub("", match.group(1)))
                rule = None
        return dict(jobs)

    def jobs(self, study: str, scale: str = "quick") -> list[Job]:
        """The jobs of a study as its file is now."""
        config = read_yaml(self.folder / "config" / "config.yaml")
        return jobs_of(read_study(self.folder, {**config, "study": study, "scale": scale}))

    def take_edited(self) -> None:
        """Have the settings and the studies that tests edit in place of the user's and the papers'."""
        studies = self.folder / "config" / "studies"
        shutil.rmtree(studies)
        studies.mkdir()
        for source in EDITED.glob("*.yaml"):
            shutil.copy2(source, studies.parent if source.stem == "config" else studies)

    def mark_as_made(self, *studies: str) -> None:
        """Have Snakemake record studies as made, without a job being run: their outputs are empty files.

        `--touch` records of a job what an execution does: params, inputs and their checksums. A dry run reads
        nothing else.
        """
        for study in studies:
            for job in self.jobs(study):
                for output in () if job.temporary else job.outputs:
                    path = self.folder / output
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()
        self.touch("--forceall", "--", *studies)
        self.recorded = self._answers(*studies)

    def touch(self, *arguments: str) -> None:
        """`snakemake --touch`, without its pauses."""
        self._run(["-c", TOUCH, "--touch", "--cores", "1", "--quiet", "all", *arguments], True, {})

    def predicted(self, study: str) -> dict[str, set[str]]:
        """What `pending` would say after an edit, of a study that was marked as made; ten times as fast.

        A job is made again if its settings, its code or its list of inputs is another, or what it reads is
        made again. That Snakemake thinks so, too, is what some rows of the tables show.
        """
        before = {job["outputs"][0]: job for job in self.recorded[study]}
        made: set[str] = set()
        jobs = defaultdict(set)
        for job in self._answers(study)[study]:
            if before.get(job["outputs"][0]) != job or made.intersection(job["inputs"]):
                made.update(job["outputs"])
                jobs[job["rule"]].add(SHORT.sub("", job["outputs"][0]))
        return dict(jobs)

    def _answers(self, *studies: str) -> dict[str, list[dict]]:
        """What the jobs of studies would be made with today, asked of the clone's own library."""
        environment = {"PYTHONPATH": str(self.folder / "src")}
        lines = self._run([str(Path(__file__).with_name("answers.py")), *studies], True, environment).stdout
        return dict(zip(studies, map(json.loads, lines.splitlines()), strict=True))

    @contextmanager
    def edited(self, file: str, change: Callable[[str], str]) -> Iterator[Path]:
        """The clone with one file changed, or a new one; as it was before, afterwards."""
        path = self.folder / file
        before = path.read_bytes() if path.exists() else None
        text = "" if before is None else before.decode()
        after = change(text)
        assert after != text, f"nothing of {file} has changed: mend this test"
        try:
            path.write_text(after)
            yield path
        finally:
            path.unlink() if before is None else path.write_bytes(before)

    def replace(self, file: str, old: str, new: str) -> None:
        """Edit a file; the text to replace must be there."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} no longer has {old!r}: mend this test"
        path.write_text(text.replace(old, new, 1))
