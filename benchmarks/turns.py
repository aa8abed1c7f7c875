"""Taking turns: everybody does the same work once per repetition, so that noise hits all alike."""

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import torch

from fedscape.jobs.job import keep_freed_memory


@dataclass(frozen=True)
class Way:
    """One of those that do the same work: what to call in a process of its own, and how that is set up."""

    call: partial
    keep_freed_memory: bool = False  # as fedscape's jobs do


def in_turns(
    ways: Mapping[str, Way], repetitions: int, threads: int, together: bool = False
) -> dict[str, list]:
    """What each returned in each repetition, after that of a first turn, which warms up and is not timed.

    Each has a process of its own, since the memory that one has freed changes the speed of the next.
    together: all in one process, which starts sooner, where nobody looks at the seconds.
    """
    names = list(ways)
    workers: dict[str, ProcessPoolExecutor] = {}
    for name in names:
        workers[name] = workers[names[0]] if together and workers else _worker(ways[name], threads)
    returned: dict[str, list] = {name: [] for name in names}
    try:
        for repetition in range(repetitions + 1):
            first = repetition % len(names)
            for name in names[first:] + names[:first]:  # nobody always runs after the same other
                returned[name].append(workers[name].submit(_call, ways[name].call).result())
    finally:
        for worker in workers.values():
            worker.shutdown()
    return returned


def _worker(way: Way, threads: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, get_context("spawn"), _set_up, (threads, way.keep_freed_memory))


def _set_up(threads: int, keep: bool) -> None:
    torch.set_num_threads(threads)
    if keep:
        keep_freed_memory()


def _call(call: Callable[[], object]) -> object:
    return call()
