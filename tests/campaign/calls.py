"""A case, and the calls that meet damaged input, each in a process of its own."""

import runpy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import raw
from arena import CLONE, Content, Job


@dataclass(frozen=True)
class Case:
    """What a call finds, what it is, and what may come of it.

    about: what has been done, for whoever reads the report. files: below the base. undamaged: what tells the
    same call without damage from others. outputs: below the clone; whatever they are without damage, they are
    with it. own: whether a changed file of the clone is the call's to change.
    """

    about: str
    files: Mapping[str, Content]
    undamaged: tuple
    action: Callable[[], object] | None = None  # in a forked process, or
    command: Sequence[str] = ()  # in one of its own
    cwd: str = CLONE
    strict: bool = False
    outputs: Sequence[str] = ()
    own: Callable[[Path], bool] = lambda path: False


def read_study(config: object) -> None:
    """Read the study in the folder that we are in as `snakemake -n` does, to the jobs of each of its scales."""
    from fedscape.study.campaign import read_campaign
    from fedscape.study.jobs import jobs_of

    with told():
        campaign = read_campaign(Path.cwd(), config)
        for name, scale in campaign.every:
            jobs_of(campaign.get(name, scale))


def prepare(kind: str, pristine: Path) -> None:
    """Prepare a data set from the clone that we are in."""
    with told():
        raw.prepare(kind, pristine)


@contextmanager
def told() -> Iterator[None]:
    """Errors of ours as the Snakefile, and the scripts, tell them."""
    from fedscape.errors import FedscapeError
    from fedscape.study.problems import told as shown

    try:
        yield
    except FedscapeError as error:
        sys.exit(shown(error))


def play(job: Job) -> None:
    """Run a job's script in the clone that we are in, with its outputs gone, as Snakemake does."""
    for output in job.outputs:
        Path(output).unlink(missing_ok=True)
    seen = SimpleNamespace(scriptdir=str(Path(job.script).parent), rule=job.rule, **vars(job.snakemake))
    runpy.run_path(job.script, {"snakemake": seen}, run_name="__main__")


def command(arguments: Sequence[str]) -> int:
    """The command `fedscape` in the clone that we are in."""
    from fedscape import cli

    cli._use_library_of_this_clone = lambda: None  # it is: the clone is a copy
    return cli.main(arguments)


def owns(job: Job, path: Path) -> bool:
    """Whether a file of the clone is a job's to write: outputs, log, resume folder, its note, points of a surface."""
    if str(path) in (*job.outputs, job.log) or path.name == "points.npz":
        return True
    if any(path in Path(output).parents for output in job.outputs):  # an empty folder goes with its last file
        return True
    folders = {parent for output in job.outputs for parent in (Path(output).parent, Path(output).parents[1])}
    names = [
        one for one in path.parts if one.startswith(("resume", ".resume", ".tmp")) or one.endswith(".resume")
    ]
    return "unrecorded" in path.parts or (bool(names) and any(path.is_relative_to(one) for one in folders))


def play_until_stopped(job: Job) -> None:
    """Run a job's script, and have it stop as soon as something is committed."""
    from fedscape.jobs.resume import ResumeFolder

    ResumeFolder.stop_requested = lambda self: "the campaign" if self.progress else None
    play(job)
