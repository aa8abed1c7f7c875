"""What a run asks a cluster for: time for its three attempts together, and memory, by what it computes."""

import json
import shutil
from dataclasses import replace

import pytest
from command_files import ROOT

from fedscape.command.prices import CPU, Prices, read_prices
from fedscape.command.resources import BYTES_ASKED, CORES, SECONDS_ASKED, memory_factor, time_factor
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
            seconds = prices.seconds("train", work_of(study, job.rule, job.names), CPU)
            if seconds is not None:
                times = time_factor(study, job.names, prices)
                assert (times - 1) * SECONDS_ASKED < max(seconds / CORES, 1) <= times * SECONDS_ASKED
                assert times == 1 or job.wildcards["dataset"] == "imagenet-200"
                if job.wildcards["method"] in ("fedavg-224", "gradaug-224"):
                    assert times == {"fedavg-224": 3, "gradaug-224": 7}[job.wildcards["method"]]


def test_what_was_measured_on_a_gpu_counts_before_what_is_assumed(here):
    study, committed = paper("fedalign"), read_prices()
    job = next(job for job in jobs_of(study) if job.wildcards.get("method") == "gradaug-224")
    work = work_of(study, job.rule, job.names)
    on_gpu = {(kind, work.model, work.shape, "a GPU"): 1e-3 for kind in ("step", "evaluation")}
    prices = replace(committed, values={**committed.values, **on_gpu})
    assert time_factor(study, job.names, prices) == -(
        -prices.seconds("train", work, "a GPU") // SECONDS_ASKED
    )
    assert time_factor(study, job.names, Prices({}, 0, ())) == 1


def test_a_run_asks_for_the_memory_that_was_measured(here):
    study = paper("layerwise")
    job = next(job for job in jobs_of(study) if job.rule == "train")
    work = work_of(study, job.rule, job.names)
    for taken, times in ((0.5 * BYTES_ASKED, 1), (BYTES_ASKED, 1), (1.3 * BYTES_ASKED, 2)):
        prices = Prices({("train-memory", work.model, work.shape, CPU): taken}, 0, ())
        assert memory_factor(study, job.names, prices) == times
    assert memory_factor(study, job.names, Prices({}, 0, ())) == 1
