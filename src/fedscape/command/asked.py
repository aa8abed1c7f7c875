"""What a run asks a cluster for: time and memory, by what it computes and what that takes."""

import math
from collections.abc import Mapping

from fedscape.command.prices import CPU, Prices
from fedscape.command.work import NUMBER, Workload, work_of
from fedscape.study.jobs import Job
from fedscape.study.study import Study

ASKED = 48 * 3600
"""Seconds that a run has in all: 8, 16 and 24 hours, in three attempts (rules/train.smk, profiles/slurm)."""
ROOM = 8e9
"""Bytes of memory that it asks for at first."""
CORES = 50
"""Cores of config/costs.csv that a GPU is worth where nothing was measured on one: an assumption, on the low
side, as a run that asks for too much time only waits longer."""


def longer(study: Study, wildcards: Mapping[str, str], prices: Prices) -> int:
    """How many times the usual time a run asks for, so that its attempts together are long enough.

    1 as well where it is not known what the run computes (of a data set of your own, before it is prepared),
    or what that takes.
    """
    work = _work(study, wildcards)
    found = [prices.seconds("train", work, device) for device in prices.devices()]
    known = [seconds for seconds in found if seconds is not None]
    cpu = prices.seconds("train", work, CPU)
    seconds = max(known) if known else (cpu or 0) / CORES
    return max(1, math.ceil(seconds / ASKED))


def roomier(study: Study, wildcards: Mapping[str, str], prices: Prices) -> int:
    """How many times the usual memory a run asks for: what it takes on a CPU, where that is known."""
    return max(1, math.ceil((prices.memory("train", _work(study, wildcards), NUMBER) or 0) / ROOM))


def _work(study: Study, wildcards: Mapping[str, str]) -> Workload:
    return work_of(study, Job("train", wildcards, (), (), ""))
