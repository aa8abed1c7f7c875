"""The short form of the campaign (tests/campaign): damaged input of every kind, two minutes of it."""

import json
import os
import subprocess
import sys
import time
from collections import Counter

import pytest
from clone import ROOT

sys.path.append(str(ROOT / "tests" / "campaign"))
import verdict

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


def wait():
    time.sleep(60)


def fill():
    return bytearray(b"x" * (3 << 30))


def raise_error():
    raise KeyError("x")


ENDS = {
    "nothing": (lambda: None, None),
    "one line": (lambda: sys.exit("fedscape: config/x.yaml: not so"), None),
    "no line": (lambda: sys.exit(1), "exit 1 without one line"),
    "two lines": (lambda: sys.exit("fedscape: one\nfedscape: two"), "exit 1 without one line"),
    "another code": (lambda: os._exit(3), "exit 3 without one line"),
    "a signal": (lambda: os.kill(os.getpid(), 9), "exit -9 without one line"),
    "an escape sequence": (lambda: sys.exit("fedscape: \x1b[31m"), "exit 1 without one line"),
    "an error": (raise_error, "traceback"),
    "a hang": (wait, "hang"),
    "a gigabyte": (fill, "memory"),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_verdict(tmp_path, monkeypatch, how):
    monkeypatch.setattr(verdict, "HANG", 1.0)
    action, wrong = ENDS[how]
    end = verdict.forked(
        action, tmp_path, tmp_path / "said", seconds=1.0 + 10 * (how == "a gigabyte"), peak=1 << 30
    )
    assert verdict.fault(end) == wrong
