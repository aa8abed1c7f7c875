"""What a run asks a cluster for: time and memory, by what it computes and what that takes."""

import math

from fedscape.command.prices import CPU, Prices
from fedscape.command.work import WEIGHT_BYTES, work_of
from fedscape.study.stages.stage import Wildcards
from fedscape.study.stages.training import TRAIN
from fedscape.study.study import Study

SECONDS_ASKED = 48 * 3600
"""What a run has in all: 8, 16 and 24 hours, in three attempts (rules/train.smk, profiles/slurm)."""
BYTES_ASKED = 8e9
"""Memory that it asks for at first."""
CORES = 50
"""Cores of config/costs.csv that a GPU is worth where nothing was measured on one: an assumption, on the low
side, as a run that asks for too much time only waits longer."""


def time_factor(study: Study, names: Wildcards, prices: Prices) -> int:
    """How many times the usual time a run asks for, so that its attempts together are long enough.

    1 as well where it is not known what the run computes (of a data set of your own, before it is prepared),
    or what that takes.
    """
    work = work_of(study, TRAIN.name, names)
    on_gpus = [prices.seconds(TRAIN.name, work, device) for device in prices.devices()]
    known = [seconds for seconds in on_gpus if seconds is not None]
    on_cpu = prices.seconds(TRAIN.name, work, CPU)
    seconds = max(known) if known else (on_cpu or 0) / CORES
    return max(1, math.ceil(seconds / SECONDS_ASKED))


def memory_factor(study: Study, names: Wildcards, prices: Prices) -> int:
    """How many times the usual memory a run asks for: what it takes on a CPU, where that is known."""
    memory = prices.memory(work_of(study, TRAIN.name, names), WEIGHT_BYTES) or 0
    return max(1, math.ceil(memory / BYTES_ASKED))
