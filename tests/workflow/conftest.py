"""Clones in which studies have been made, for all workflow tests, and which tests share them."""

from pathlib import PurePosixPath

import pytest
from clone import Clone
from cluster import running
from xdist.scheduler import LoadFileScheduling

# Files whose tests use one clone that takes minutes to fill. Those with a SLURM, which mostly wait, make what they
# need of `smoke` again: a minute, where beside all others of that clone they would keep one process for ten longer.
SHARING = {
    **dict.fromkeys(("test_commands", "test_fedscape"), "made"),
    **dict.fromkeys(("test_campaign", "test_kill", "test_studies"), "smoke"),
    **dict.fromkeys(("test_cluster", "test_packs"), "slurm"),
}


class BySharedClone(LoadFileScheduling):
    """One process has all tests of a file, and of the files that share a clone with it."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return SHARING.get(PurePosixPath(file).stem, file)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist's
def pytest_xdist_make_scheduler(config, log):
    """Ours for `--dist loadfile`."""
    return BySharedClone(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Clone:
    """A clone after `snakemake --cores all`: the default study at its default scale."""
    clone = Clone(tmp_path_factory.mktemp("made"))
    clone.snakemake("--cores", "all")
    return clone


@pytest.fixture(scope="session")
def marked(tmp_path_factory) -> Clone:
    """A clone in which the studies `deep` and `broad` are recorded as made, in seconds; for dry runs."""
    clone = Clone(tmp_path_factory.mktemp("marked"))
    clone.take_edited()
    clone.mark_as_made("deep", "broad")
    return clone


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Clone:
    """A clone for studies at scale smoke: whoever needs one makes it."""
    return Clone(tmp_path_factory.mktemp("smoke"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A SLURM of our own, for the tests of one file."""
    with running(tmp_path_factory.mktemp("slurm") / "cluster") as up:
        yield up
