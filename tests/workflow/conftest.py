"""A clone in which the default study has been made once, for all workflow tests."""

import pytest
from clone import Clone


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Clone:
    """A clone after `snakemake --cores all`: the default study at its default scale."""
    clone = Clone(tmp_path_factory.mktemp("made"))
    clone.snakemake("--cores", "all")
    return clone
