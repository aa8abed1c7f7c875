"""CONTRIBUTING.md's new analysis, made file by file as the guide says, and run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from clone import ROOT, Clone

GUIDE = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add an analysis in eight files")[2]
GUIDE = GUIDE.partition("\n## ")[0]
NEW = re.findall(r"^\d\. .*?: `(\S+)`\n\n```python\n(.*?)```$", GUIDE, re.MULTILINE | re.DOTALL)
EDITED = re.findall(r"^\d\. `(\S+)`.*?\n\n```diff\n(.*?)```$", GUIDE, re.MULTILINE | re.DOTALL)
# What asks something of every stage, section or column; the others ask nothing of a new one.
ASKING = (
    *("unit/study/test_reference.py", "unit/study/test_dynamic_code.py", "unit/columns"),
    *(
        "unit/repository/test_scripts.py",
        "unit/repository/test_documents.py",
        "unit/repository/test_imports.py",
    ),
)
STUDY = """\
title: Mine
paper: Nobody
datasets: [digits]
images: 100
test_images: 50
models: {convnet: {}}
partitions: {iid: {scheme: iid, clients: 2}}
inits: {random: {kind: random}}
methods: {fedavg: {rounds: 2, lr: 0.1, batch_size: 16}}
runs: [{}]
lengths: {all: {}}
scales: {smoke: {}}
"""
FILE = "results/mine/smoke/lengths/all/digits_all_seed0/lengths.csv"


def follow(folder: Path) -> int:
    """Make the files of the guide, add its lines and renew what is written; gives how many files that were."""
    for name, content in NEW:
        (folder / name).write_text(content)
    for name, lines in EDITED:
        path = folder / name
        for behind, added in re.findall(r"^ (.*)\n\+(.*)\n", lines, re.MULTILINE):
            before, line, after = path.read_text().partition(f"\n{behind}\n")
            assert line, (name, behind)
            path.write_text(f"{before}{line}{added}\n{after}")
    for module in re.findall(
        r"python -m (\S+)", (folder / "Makefile").read_text().partition("\nreference:")[2]
    ):
        run(folder, "-m", module)
    return len({*dict(NEW), *dict(EDITED)})


def run(folder: Path, *arguments: str) -> str:
    """What Python prints with the clone's own library."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    """A clone in which the guide has been followed."""
    clone = Clone(tmp_path_factory.mktemp("new") / "clone")
    assert follow(clone.folder) == 8
    return clone


def test_an_analysis_of_eight_files_passes_the_tests_that_ask_something_of_a_stage(clone):
    run(clone.folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/{name}" for name in ASKING))
    assert "| `length` | number, L2 | L2 norm" in (clone.folder / "results" / "README.md").read_text()


def test_an_analysis_of_eight_files_runs(clone):
    (clone.folder / "config" / "studies" / "mine.yaml").write_text(STUDY)
    asked = ("mine", "--config", "study=mine", "scale=smoke")
    assert clone.pending(*asked)["lengths"] == {"lengths/all/digits_all_seed0/lengths.csv"}
    clone.snakemake("--cores", "1", FILE, *asked[1:])
    rows = pd.read_csv(clone.folder / FILE)
    assert rows["round"].tolist() == [0, 1, 2] and (rows["length"] > 0).all()
    assert rows["length"].nunique() == 3
    cost = run(clone.folder, "-m", "fedscape.cli", "cost", "mine", "--config", "scale=smoke")
    assert re.search(r"^lengths +1 +unknown ", cost, re.MULTILINE)
    assert "Left out (+): what lengths computes, which command/work.py does not count." in cost
