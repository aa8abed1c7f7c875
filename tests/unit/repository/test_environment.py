"""The pinned packages: locks with hashes and no index address, conda files that follow them."""

import re
import runpy
import shutil
from pathlib import Path

import pytest

ENVIRONMENTS = Path(__file__).resolve().parents[3] / "envs"


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_conda_files_follow_the_lock(name):
    written = runpy.run_path(ENVIRONMENTS / "conda.py")["environment"](name)
    assert (ENVIRONMENTS / f"{name}.yaml").read_text() == written, "run `make lock`"


def test_the_script_writes_both_conda_files(tmp_path):
    copy = shutil.copytree(ENVIRONMENTS, tmp_path / "envs", ignore=shutil.ignore_patterns("*.yaml"))
    runpy.run_path(copy / "conda.py", run_name="__main__")
    for file in ("cpu.yaml", "gpu.yaml"):
        assert (copy / file).read_text() == (ENVIRONMENTS / file).read_text()


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_locks_hold_hashes_for_all_systems_and_name_no_index(lock):
    text = (ENVIRONMENTS / lock).read_text()
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    for package in re.split(r"\n(?=[a-z])", text):
        if "==" in package:
            assert "--hash=sha256:" in package, package


def test_the_two_locks_agree():
    pins = [set(re.findall(r"^([a-z0-9-]+==[^ ]+)", (ENVIRONMENTS / lock).read_text(), re.MULTILINE))
            for lock in ("requirements.txt", "requirements-dev.txt")]  # fmt: skip
    assert pins[0] <= pins[1]
