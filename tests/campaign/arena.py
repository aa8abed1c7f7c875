"""Where cases are played: a clone with a finished study, and around it what nobody may touch."""

import hashlib
import os
import pickle
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from clone import Clone
from raw import write_raw

SCALE = "smoke"
CLONE = "clone"  # below the base
PRECIOUS = "precious"  # folders of a bystander, beside the clone and in it
OWN = (Path("results"), Path(".snakemake"))  # where a call may write
WASTE = "__pycache__"
Content = bytes | None | Callable[[Path], object]  # of a file; None: it is gone; or what makes the path
Stamp = tuple  # type, mode, size, times of content and of the entry itself, target of a link


@dataclass(frozen=True)
class Job:
    """A job of the study. number: its place in the study; script: below the clone."""

    number: int
    rule: str
    script: str
    snakemake: SimpleNamespace
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def log(self) -> str:
        return self.snakemake.log[0]


class Arena:
    """A clone, the same once more to restore it from, and what a bystander has beside it.

    folder: `base/clone` is played in, `base/precious` beside it is nobody's; `pristine` is how both were.
    """

    def __init__(self, folder: Path, finished: Path):
        """finished: a folder that holds a clone and the jobs of its studies (`finish`)."""
        self.base, self.pristine = folder / "base", folder / "pristine"
        self.clone, self.said = self.base / "clone", folder / "said"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(finished / "clone", self.clone, symlinks=True)
        for place in (self.base, self.clone):
            (place / PRECIOUS).mkdir()
            (place / PRECIOUS / "letters.txt").write_text("nobody may touch this\n")
        (self.base / "above.txt").write_text("nor this\n")
        (self.clone / "results" / "linked").symlink_to(self.base / PRECIOUS)
        for study in (self.clone / "results").glob(f"*/{SCALE}"):
            (study / "linked").symlink_to(Path("..", "..", "..", "..", PRECIOUS))
        # A study by itself is read in a fifth of the time that all take.
        alone = self.base / "alone"
        (alone / "config" / "studies").mkdir(parents=True)
        (alone / "workflow").mkdir()
        (alone / "workflow" / "schemas").symlink_to(self.clone / "workflow" / "schemas")
        write_raw(self.clone / "data")
        shutil.copytree(self.base, self.pristine, symlinks=True)
        self._given: dict[Path, object] = {}
        self.stamps = stamps(self.base)
        self.jobs = read_jobs(finished)

    def apply(self, files: Mapping[str, Content]) -> None:
        """Write files below the base, make something else of them, or remove them."""
        for name, content in files.items():
            path = self.base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove(path)
            if callable(content):
                content(path)
            elif content is not None:
                path.write_bytes(content)
        given = {Path(name) for name in files}
        # With a folder goes what lay in it.
        given |= {path for path in self.stamps if not given.isdisjoint(path.parents)}
        self._given = {path: _content(self.base / path) for path in given}

    def changes(self) -> list[Path]:
        """What a call has changed below the base: made, gone, or other content; times alone do not count."""
        return [path for path in self._touched() if not self._alike(path)]

    def _touched(self) -> list[Path]:
        now = stamps(self.base)
        return sorted(
            path for path in now.keys() | self.stamps.keys() if now.get(path) != self.stamps.get(path)
        )

    def _alike(self, path: Path) -> bool:
        before = self._given[path] if path in self._given else _content(self.pristine / path)
        now = _content(self.base / path)
        return now == before or (before is None and (self.base / path).is_dir() and self._holds_given(path))

    def _holds_given(self, folder: Path) -> bool:
        return any(folder in path.parents for path in self._given)

    def restore(self) -> None:
        """All as it was, times included."""
        touched = self._touched()
        for path in reversed(touched):  # what lies in a folder before the folder
            if not self._is_folder(path):
                _remove(self.base / path)
        for path in touched:
            if path in self.stamps:
                _copy(self.pristine / path, self.base / path)
                self.stamps[path] = stamp(self.base / path)
        self._given = {}

    def _is_folder(self, path: Path) -> bool:
        """Whether a folder is wanted here, and there."""
        here = self.base / path
        return path in self.stamps and len(self.stamps[path]) == 1 and here.is_dir() and not here.is_symlink()

    def original(self, path: str) -> bytes:
        """A file of the clone as it was."""
        return (self.pristine / "clone" / path).read_bytes()

    def files(self, *patterns: str) -> list[str]:
        """Files of the clone, sorted."""
        root = self.pristine / "clone"
        found = {one for pattern in patterns for one in root.glob(pattern) if one.is_file()}
        return sorted(
            str(one.relative_to(root))
            for one in found
            if PRECIOUS not in one.parts and "linked" not in one.parts
        )

    @cache  # noqa: B019 - an arena lives as long as its process
    def readers(self, path: str) -> list[Job]:
        """Jobs that read a file, and whose other inputs are there; arrays are read by who takes the file beside them."""
        taken = str(Path(path).with_name("dataset.json")) if path.endswith(".npy") else path
        return [job for job in self.jobs if taken in job.inputs and self.playable(job)]

    def playable(self, job: Job) -> bool:
        """Whether all that a job reads is there: parts of surfaces may be gone."""
        return all((self.pristine / "clone" / one).exists() for one in job.inputs)


def stamps(folder: Path) -> dict[Path, Stamp]:
    """What lies below a folder, links not followed, and how to tell that it has changed."""
    length = len(str(folder)) + 1
    return {Path(path[length:]): found for path, found in _walk(str(folder))}


def stamp(path: str | Path) -> Stamp:
    """How to tell that a file has changed; of a folder, whether it is one, for what lies in it speaks for itself."""
    found = os.lstat(path)
    if stat.S_ISDIR(found.st_mode):
        return (found.st_mode,)
    target = str(Path(path).readlink()) if stat.S_ISLNK(found.st_mode) else None
    # The time of the entry itself cannot be set back, as that of its content can.
    return found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, target


def _walk(folder: str) -> Iterator[tuple[str, Stamp]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name != WASTE:
                yield entry.path, stamp(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(entry.path)


def _content(path: Path) -> object:
    """What a bystander would miss: type, mode, content or target."""
    try:
        found = path.lstat()
    except OSError:  # or behind a link to itself
        return None
    if stat.S_ISLNK(found.st_mode):
        return path.readlink()
    if not stat.S_ISREG(found.st_mode):
        return found.st_mode
    return found.st_mode, hashlib.sha256(path.read_bytes()).digest()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True, parents=True)
        shutil.copystat(source, target)
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def finish(folder: Path, studies: tuple[str, ...], made: Path | None = None) -> None:
    """A clone in `folder` with studies finished at scale smoke, temporary files kept, and a pickle of their jobs.

    made: a clone in which they are finished already, to be copied. What is there is taken over.
    """
    clone = folder / "clone"
    if made and not clone.exists():
        shutil.copytree(made, clone, symlinks=True)
    elif not clone.exists():
        clone.mkdir(parents=True)
        Clone(clone)
    for study in studies:
        if (folder / f"{study}.jobs").exists():
            continue
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        make = [
            "-m",
            "snakemake",
            study,
            "--cores",
            "all",
            "--notemp",
            "--quiet",
            "all",
            "--config",
            f"scale={SCALE}",
        ]
        record = [str(Path(__file__).with_name("recorded.py")), study, SCALE, str(folder / f"{study}.jobs")]
        for command in (make, record):
            subprocess.run(
                [sys.executable, *command], cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL
            )


def read_jobs(folder: Path) -> list[Job]:
    """The jobs that `finish` has recorded."""
    found = [one for file in sorted(folder.glob("*.jobs")) for one in pickle.loads(file.read_bytes())]
    return [_job(number, **one) for number, one in enumerate(found)]


def _job(number: int, rule: str, script: str, **seen) -> Job:
    return Job(
        number, rule, str(Path("workflow", "scripts", Path(script).name)), SimpleNamespace(**seen),
        tuple(seen["input"]), tuple(seen["output"]),
    )  # fmt: skip
