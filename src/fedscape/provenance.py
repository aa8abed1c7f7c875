"""Which code made a result: versions of packages, and the commit of the clone that it came from."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import fedscape

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scipy", "safetensors", "snakemake")
PATIENCE = 10  # seconds that git may take
# What numbers come from within the clone: not the profile that wants an account, nor the costs in config/.
SOURCES = ("src", "workflow", "rules", "Snakefile", "config/studies")


def versions() -> dict[str, object]:
    """Versions of fedscape, Python and the packages that numbers depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"fedscape": fedscape.__version__, "python": platform.python_version(), "packages": found}


def commit() -> dict[str, object]:
    """`commit` of the clone that the library lies in; `dirty`: whether its code or studies differ from that.

    Both are None without git, or outside a clone.
    """
    folder = Path(fedscape.__file__).resolve().parent
    head = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--", *(f":/{one}" for one in SOURCES))
    return {"commit": head, "dirty": None if head is None or changes is None else bool(changes)}


def last_change() -> dict[str, object]:
    """As `commit`, but of the last commit that changed the clone's code or studies.

    A commit of what they made leaves it as it is.
    """
    folder = Path(fedscape.__file__).resolve().parent
    commits = _git(folder, "log", "-1", "--format=%H", "--", *(f":/{one}" for one in SOURCES))
    return {**commit(), "commit": commits or None}


def _git(folder: Path, *arguments: str) -> str | None:
    # A job must not take the lock that `git status` takes to refresh its index.
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
