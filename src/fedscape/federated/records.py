"""The tables of a run: rounds.csv (measures), timing.csv (clock and memory), and facts for run.json."""

import math
import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import torch

from fedscape.columns.csvs import CSV_END, csv_rows, read_csv
from fedscape.evaluation.evaluate import Evaluation
from fedscape.evaluation.update_statistics import UpdateAgreement
from fedscape.federated.rounds import RoundReport

SPLITS = ("train", "validation", "test")
MEGABYTE = 2**20
# Linux counts the resident size in KiB, macOS in bytes.
RESIDENT_UNIT = 1 if sys.platform == "darwin" else 1024


class GrowingTable:
    """A CSV that grows row by row.

    length: bytes of it that are committed; the rest is removed. `cut_off` says that it has fewer.
    """

    def __init__(self, path: Path, length: int):
        self.cut_off = length > (path.stat().st_size if path.exists() else 0)
        self._file = path.open("ab")
        if not self.cut_off:
            self._file.truncate(length)
        self._first = length == 0

    def add(self, row: Mapping[str, object]) -> int:
        """Append a row, with the header before the first; returns the table's length in bytes."""
        self._file.write(csv_rows(pd.DataFrame([row]), header=self._first).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._first = False
        return self._file.tell()

    def close(self) -> None:
        """Close the file with the mark of a whole CSV, which is removed if the table grows on."""
        if not self._file.closed:
            self._file.write(CSV_END.encode())
            self._file.close()


def rounds_row(
    identity: Mapping[str, object],
    number: int,
    report: RoundReport | None = None,
    evaluations: Mapping[str, Evaluation] | None = None,
    diverged: bool = False,
) -> dict[str, object]:
    """Row of rounds.csv; cells are empty without a report (round 0, a diverged round) or evaluations."""
    row: dict[str, object] = {
        **identity,
        "round": number,
        "clients": report.clients if report else 0,
        "samples": report.samples if report else 0,
        "client_loss": report.client_loss if report else math.nan,
    }
    for split in SPLITS:
        evaluation = (evaluations or {}).get(split)
        row[f"{split}_loss"] = evaluation.loss if evaluation else math.nan
        row[f"{split}_accuracy"] = evaluation.accuracy if evaluation else math.nan
    undefined = {field.name: math.nan for field in fields(UpdateAgreement)}
    return {**row, "diverged": diverged, **(asdict(report.agreement) if report else undefined)}


def timing_row(
    identity: Mapping[str, object],
    number: int,
    seconds: float,
    evaluation_seconds: float,
    device: torch.device,
) -> dict[str, object]:
    """Row of timing.csv: seconds of training and aggregation, of evaluation, and the peak memory so far.

    The peak is PyTorch's on a GPU and the process's resident size on a CPU.
    """
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RESIDENT_UNIT
    return {
        **identity,
        "round": number,
        "training_seconds": seconds,
        "evaluation_seconds": evaluation_seconds,
        "peak_memory_mib": peak / MEGABYTE,
    }


def machine(device: torch.device) -> dict[str, object]:
    """Hardware, and the build of PyTorch for it, for run.json."""
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "threads": torch.get_num_threads(),
    }


def totals(timing: Path) -> dict[str, float]:
    """A run's total seconds and peak memory, over all processes that trained it, from its timing.csv."""
    table = read_csv(timing)
    return {
        "seconds": round(float((table["training_seconds"] + table["evaluation_seconds"]).sum()), 3),
        "evaluation_seconds": round(float(table["evaluation_seconds"].sum()), 3),
        "peak_memory_mib": round(float(table["peak_memory_mib"].max()), 1),
    }


def now() -> str:
    """The time, ISO 8601 in UTC, for run.json."""
    return datetime.now(UTC).isoformat(timespec="seconds")
