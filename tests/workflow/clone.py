"""A copy of the working tree to run Snakemake in."""

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
JOB = re.compile(r"^(?:local)?rule (\w+):$")
OUTPUT = re.compile(r"^ +output: ([^,\n]+)")


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
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments],
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
        for line in self.snakemake("-n", *arguments).stdout.splitlines():
            if match := JOB.match(line):
                rule = match.group(1)
            elif rule and (match := OUTPUT.match(line)):
                jobs[rule].add(re.sub(r"^results/(\w+/(smoke|quick|small|paper)/)?", "", match.group(1)))
                rule = None
        return dict(jobs)

    def replace(self, file: str, old: str, new: str) -> None:
        """Edit a file; the text to replace must be there."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} no longer has {old!r}: mend this test"
        path.write_text(text.replace(old, new, 1))
