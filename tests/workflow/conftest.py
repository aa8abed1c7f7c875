"""Clones in which studies have been made, for all workflow tests."""

import pytest
from clone import STUDIES, Clone


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
