"""The pinned packages: locks with hashes and no index address, conda files that follow them."""

import re
import runpy
import shutil
from pathlib import Path

import pytest

ENVIRONMENTS = Path(__file__).resolve().parents[2] / "envs"


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_conda_files_follow_the_lock(name, tmp_path):
    for file in ("conda.py", "requirements.in", "requirements.txt"):
        shutil.copy(ENVIRONMENTS / file, tmp_path)
    runpy.run_path(str(tmp_path / "conda.py"), run_name="__main__")
    written = (tmp_path / f"{name}.yaml").read_text()
    assert (ENVIRONMENTS / f"{name}.yaml").read_text() == written, "run `make lock`"


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
