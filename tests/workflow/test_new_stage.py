"""CONTRIBUTING.md's new analysis, made file by file as the guide says, and run."""

import re
from pathlib import Path

import pandas as pd
from clone import ROOT, Clone

GUIDE = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add an analysis in eight files")[2]
GUIDE = GUIDE.partition("\n## ")[0]
NEW = re.findall(r"^\d\. .*?: `(\S+)`\n\n```python\n(.*?)```$", GUIDE, re.MULTILINE | re.DOTALL)
LINES = re.findall(r"^\| (\d?) ?\| (?:`(\S+)` )?\| `(.*?)` \| `(.*?)` \|$", GUIDE, re.MULTILINE)
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
    """Make the files of the guide and add its lines; gives how many files that were."""
    for name, content in NEW:
        (folder / name).write_text(content)
    files = [name for name, _ in NEW]
    for number, name, behind, line in LINES:
        if number:
            files.append(name)
        path = folder / files[-1]
        before, found, after = path.read_text().partition(f"\n{behind}\n")
        assert found, (files[-1], behind)
        path.write_text(f"{before}{found}{line}\n{after}")
    return len(files)


def test_an_analysis_of_eight_files_runs(tmp_path):
    clone = Clone(tmp_path / "clone")
    assert follow(clone.folder) == 8
    (clone.folder / "config" / "studies" / "mine.yaml").write_text(STUDY)
    asked = ("mine", "--config", "study=mine", "scale=smoke")
    assert clone.pending(*asked)["lengths"] == {"lengths/all/digits_all_seed0/lengths.csv"}
    clone.snakemake("--cores", "1", FILE, *asked[1:])
    rows = pd.read_csv(clone.folder / FILE)
    assert rows["round"].tolist() == [0, 1, 2] and (rows["length"] > 0).all()
    assert rows["length"].nunique() == 3
