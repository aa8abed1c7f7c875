"""Jobs for a GPU on a machine of one's own."""

import re

FINALS = [
    f"results/pilot/smoke/runs/digits/convnet/{partition}/random/fedavg/seed0/final.safetensors"
    for partition in ("iid", "dir0.1")
]


def started_together(said: str) -> list[int]:
    """How many jobs of training were started in each go that started any."""
    goes = re.split(r"^Execute \d+ jobs\.\.\.$", said, flags=re.MULTILINE)
    counts = [len(re.findall(r"^(?:local)?rule train:$", go, flags=re.MULTILINE)) for go in goes]
    return [count for count in counts if count]


def test_one_gpu_has_one_job_at_a_time_and_cpus_as_many_as_there_are(smoke):
    train_again = (*FINALS, "--cores", "2", "--forcerun", "train", "--verbose")
    assert started_together(smoke.snakemake(*train_again, "--resources", "gpu=1").stdout) == [1, 1]
    assert started_together(smoke.snakemake(*train_again).stdout) == [2]
