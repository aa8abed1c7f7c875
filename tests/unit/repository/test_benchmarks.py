"""Every benchmark runs: its smallest form ends well and prints its table. How fast it was is not looked at."""

import csv
import math
import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from fedscape.command.prices import PRICE_COLUMNS

ROOT = Path(__file__).resolve().parents[3]
ELSEWHERE = {"flower_simulation"}  # runs in Flower's own environment, where engine.py starts it
SCRIPTS = sorted(
    path.stem
    for path in (ROOT / "benchmarks").glob("*.py")
    if "__main__" in path.read_text() and path.stem not in ELSEWHERE
)
COSTS = {"costs", "memory"}  # print rows of config/costs.csv
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?|\bnan\b|\binf\b", re.IGNORECASE)
COMMIT = r"commit ([0-9a-f]{7}|unknown)( with changes)?"
PLACE = (
    rf"(?m)^\d{{4}}-\d\d-\d\d, .+, \d+ cores, 1 thread.*, torch .+, {COMMIT}: `benchmarks/%s.py --smallest`"
)
PEERS = {"curvature": "pyhessian", "surface": "loss_landscapes"}  # packages that fedscape does not need


def values_of_tables(output: str) -> list[str]:
    """The cells of all Markdown tables, but for the first (what a row is) and the last (where it was measured)."""
    lines = output.splitlines()
    rules = {number for number, line in enumerate(lines) if line.startswith("| --- |")}
    rows = [
        line.strip("|").split("|")[1:-1]
        for number, line in enumerate(lines)
        if line.startswith("|") and not rules & {number, number + 1}
    ]
    return [cell.strip() for row in rows for cell in row if cell.strip()]  # a method may have no aim


def values_of_costs(output: str) -> list[str]:
    """The values in rows of config/costs.csv."""
    return [row[PRICE_COLUMNS.index("value")] for row in csv.reader(output.splitlines())]


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_smallest_form_prints_its_table(script):
    done = subprocess.run(
        [sys.executable, f"benchmarks/{script}.py", "--smallest"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    values = values_of_costs(done.stdout) if script in COSTS else values_of_tables(done.stdout)
    assert values
    for value in values:
        numbers = [float(number.replace(",", "")) for number in NUMBER.findall(value)]
        assert numbers, f"no number in the cell {value!r} of\n{done.stdout}"
        assert all(map(math.isfinite, numbers)), done.stdout
    assert re.search(COMMIT if script in COSTS else PLACE % script, done.stdout)
    if script in PEERS and find_spec(PEERS[script]) is None:
        assert "left out, not installed" in done.stdout


def test_a_network_of_tokens_has_a_price(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    measure = import_module("costs").measure
    settings = {"kind": "lstm", "embedding": 4, "hidden": 4, "layers": 1}
    found = measure(settings, (5,), batch=2, device=torch.device("cpu"), repetitions=1)
    assert found["parameters"] > 0 and found["step"] > 0 and found["evaluation"] > 0


def test_the_benchmarks_are_found():
    assert {"engine", "surface", "scaffold"} <= set(SCRIPTS)
    assert all("Options(" in (ROOT / "benchmarks" / f"{script}.py").read_text() for script in SCRIPTS)
