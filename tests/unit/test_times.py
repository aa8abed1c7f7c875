"""What time a run asks a cluster for: enough for its three attempts together, from what it computes."""

import json
import shutil
from dataclasses import replace

import pytest
from command_files import ROOT

from fedscape.command.prices import CPU, Prices, read_prices
from fedscape.command.times import ASKED, CORES, multiple
from fedscape.command.work import work_of
from fedscape.study.campaign import read_study
from fedscape.study.files import read_yaml
from fedscape.study.jobs import jobs_of

STUDIES = ["pilot", "fedalign", "layerwise", "remedies"]


def paper(name: str):
    return read_study(ROOT, {**read_yaml(ROOT / "config/config.yaml"), "study": name, "scale": "paper"})


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the table of costs, and ImageNet-200 as it is when it is prepared."""
    (tmp_path / "config").mkdir()
    shutil.copy(ROOT / "config" / "costs.csv", tmp_path / "config" / "costs.csv")
    folder = tmp_path / "results" / "data" / "imagenet-200"
    folder.mkdir(parents=True)
    content = {"shape": [3, 224, 224], "train": 246_000, "test": 10_000}
    (folder / "dataset.json").write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)


def test_three_attempts_are_long_enough_for_every_run(here):
    prices = read_prices()
    assert not prices.devices(), "measured on a GPU: the assumption is not needed any more"
    for name in STUDIES:
        study = paper(name)
        for job in [job for job in jobs_of(study) if job.rule == "train"]:
            seconds = prices.seconds("train", work_of(study, job), CPU)
            if seconds is not None:
                times = multiple(study, job.wildcards, prices)
                assert (times - 1) * ASKED < max(seconds / CORES, 1) <= times * ASKED
                assert times == 1 or job.wildcards["dataset"] == "imagenet-200"
                if job.wildcards["method"] in ("fedavg-224", "gradaug-224"):
                    assert times == {"fedavg-224": 3, "gradaug-224": 7}[job.wildcards["method"]]


def test_what_was_measured_on_a_gpu_counts_before_what_is_assumed(here):
    study, committed = paper("fedalign"), read_prices()
    job = next(job for job in jobs_of(study) if job.wildcards.get("method") == "gradaug-224")
    work = work_of(study, job)
    on_gpu = {(kind, work.model, work.shape, "a GPU"): 1e-3 for kind in ("step", "evaluation")}
    prices = replace(committed, values={**committed.values, **on_gpu})
    assert multiple(study, job.wildcards, prices) == -(-prices.seconds("train", work, "a GPU") // ASKED)
    assert multiple(study, job.wildcards, Prices({}, 0, ())) == 1
