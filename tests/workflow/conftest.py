"""Clones in which studies have been made, for all workflow tests."""

import pytest
from clone import STUDIES, Clone

DEAR = ("made", "smoke")  # clones in which jobs run, which takes minutes


def pytest_collection_modifyitems(items):
    """For `--dist loadgroup`: files whose tests share a clone go to one worker, other files to any."""
    groups = {item.path: name for item in items for name in DEAR if name in item.fixturenames}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups.get(item.path, item.path.stem)))


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Clone:
    """A clone after `snakemake --cores all`: the default study at its default scale."""
    clone = Clone(tmp_path_factory.mktemp("made"))
    clone.snakemake("--cores", "all")
    return clone


@pytest.fixture(scope="session")
def marked(tmp_path_factory) -> Clone:
    """A clone in which every study at scale quick is recorded as made, in seconds; for dry runs."""
    clone = Clone(tmp_path_factory.mktemp("marked"))
    clone.mark_as_made(*STUDIES)
    return clone


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Clone:
    """A clone for studies at scale smoke: whoever needs one makes it."""
    return Clone(tmp_path_factory.mktemp("smoke"))
