"""The short form of the campaign (tests/campaign): damaged input of every kind, two minutes of it."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from clone import ROOT

CASES = int(os.environ.get("FEDSCAPE_CAMPAIGN_CASES", "80"))
KINDS = {
    "forked": (
        *("study-text", "study-values", "study-hostile", "settings", "csv", "json", "npz", "safetensors"),
        *("arrays", "resume", "raw", "command"),
    ),
    "whole": ("snakemake-study", "snakemake-config", "snakemake-notes", "snakemake-job"),
}


@pytest.mark.parametrize("how", KINDS)
def test_damaged_input_ends_well_or_with_one_line(smoke, tmp_path, how):
    cases = CASES if how == "forked" else max(1, CASES // 10)
    smoke.snakemake("pilot", "--cores", "all", "--config", "scale=smoke")
    out = tmp_path / "results.jsonl"
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "campaign"), "--made", str(smoke.folder), "--out", str(out),
         "--folder", str(tmp_path / "play"), "--cases", str(cases), "--kinds", *KINDS[how]],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    played = Counter(json.loads(line)["case"].partition(":")[0] for line in out.read_text().splitlines())
    assert played.total() == cases and set(played) <= set(KINDS[how])
