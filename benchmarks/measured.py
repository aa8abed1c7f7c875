"""What all benchmarks share: the option `--smallest`, where they were measured, and tables for README.md."""

import argparse
import os
import platform
import re
import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from fedscape.provenance import commit

ROOT = Path(__file__).resolve().parents[1]
CPUINFO = Path("/proc/cpuinfo")


class Options(argparse.ArgumentParser):
    """The options of a benchmark, `--smallest` among them.

    doc: the script's docstring, whose first line is the help.
    smallest: the values that options have in the smallest form in place of their defaults.
    """

    def __init__(self, doc: str, **smallest: object):
        super().__init__(description=doc.partition("\n")[0])
        self.smallest = smallest
        self.add_argument(
            "--smallest", action="store_true", help="seconds of work: shows that it runs, measures nothing"
        )

    def read(self) -> argparse.Namespace:
        """The options as given; the number of threads is also that of all processes that are started."""
        if "--smallest" in sys.argv:
            self.set_defaults(**self.smallest)
        asked = self.parse_args()
        if "threads" in asked:
            os.environ["OMP_NUM_THREADS"] = str(asked.threads)
        return asked


@dataclass(frozen=True)
class Place:
    """Where, with what and of which code something is measured."""

    processor: str
    cores: int
    threads: int
    commit: str

    @classmethod
    def here(cls, threads: int = 1, device: str = "cpu") -> "Place":
        """This machine; with a GPU the GPU's name."""
        made = commit()
        known = made["commit"][:7] if made["commit"] else "unknown"
        name = processor() if device == "cpu" else _graphics_card()
        return cls(name, os.cpu_count(), threads, known + " with changes" * bool(made["dirty"]))

    def __str__(self) -> str:
        """The line that belongs below a table."""
        command = shlex.join([str(Path(sys.argv[0]).resolve().relative_to(ROOT)), *sys.argv[1:]])
        return (
            f"{datetime.now(UTC).date()}, {self.processor}, {self.cores} cores, {self.threads} thread(s), "
            f"Python {platform.python_version()}, torch {version('torch')}, commit {self.commit}: `{command}`"
        )


class Table:
    """A Markdown table, printed row by row; each row says on which processor and of which commit."""

    def __init__(self, place: Place, *columns: str):
        self.place = place
        print("| " + " | ".join([*columns, "measured on"]) + " |")
        print("| --- |" + " ---: |" * (len(columns) - 1) + " --- |")

    def row(self, *cells: object) -> None:
        measured = f"{self.place.processor}, {self.place.commit}"
        print("| " + " | ".join([*map(str, cells), measured]) + " |", flush=True)


def processor() -> str:
    """The processor's model name as `lscpu` has it, with the family and model that tell its generation."""
    if CPUINFO.is_file():
        fields = re.compile(r"^(model name|cpu family|model)\s*: (.+)$", re.MULTILINE)
        facts = dict(fields.findall(CPUINFO.read_text()))
        if len(facts) == 3:
            return f"{facts['model name']} (family {facts['cpu family']}, model {facts['model']})"
    return platform.processor() or platform.machine()


def _graphics_card() -> str:
    import torch  # not every benchmark needs it

    return torch.cuda.get_device_name()
