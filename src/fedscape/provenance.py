"""The code behind a result: versions of packages, and the commit of the clone."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import fedscape

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scipy", "safetensors", "snakemake")
GIT_TIMEOUT = 10  # seconds
# Files of the clone that decide numbers: not the profile, which users edit, nor the costs in config/.
SOURCES = ("src", "workflow", "rules", "Snakefile", "config/studies", "plugins")


def versions() -> dict[str, object]:
    """Versions of fedscape, Python and the packages that numbers depend on."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"fedscape": fedscape.__version__, "python": platform.python_version(), "packages": packages}


def commit() -> dict[str, object]:
    """The `commit` of the clone that holds the library, and whether its code or studies differ (`dirty`).

    Both are None without git, or outside a clone.
    """
    folder = Path(fedscape.__file__).resolve().parent
    head = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--", *(f":/{path}" for path in SOURCES))
    return {"commit": head, "dirty": None if head is None or changes is None else bool(changes)}


def last_change() -> dict[str, object]:
    """As `commit`, but with the last commit that changed the clone's code or studies.

    Committing their results does not change it.
    """
    folder = Path(fedscape.__file__).resolve().parent
    commits = _git(folder, "log", "-1", "--format=%H", "--", *(f":/{path}" for path in SOURCES))
    return {**commit(), "commit": commits or None}


def _git(folder: Path, *arguments: str) -> str | None:
    # A job must not take the lock that `git status` takes to refresh its index.
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=GIT_TIMEOUT, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
