"""The papers' studies: what tables of edits are predicted from holds for all of them, and no table edits one."""

from contextlib import chdir

import pytest
import test_invalidation_code
import test_invalidation_nothing
import test_invalidation_settings
import test_invalidation_studies
from clone import STUDIES, Clone
from edits import in_another_layout, more_code

from fedscape.jobs.recorded import record_of


@pytest.fixture(scope="module")
def papers(tmp_path_factory) -> Clone:
    """A clone in which every paper's study at scale quick is recorded as made."""
    clone = Clone(tmp_path_factory.mktemp("papers"))
    clone.mark_as_made(*STUDIES)
    return clone


@pytest.mark.parametrize("study", STUDIES)
def test_what_is_predicted_from_is_what_snakemake_records(papers, study):
    """The tables of edits rest on it: a job's strings and inputs, by the library, are those of its rule."""
    with chdir(papers.folder):
        records = {job["outputs"][0]: record_of(job["outputs"][0]) for job in papers.recorded[study]}
    for job in papers.recorded[study]:
        record = records[job["outputs"][0]]
        if job["rule"] == "surface_part":  # its outputs are temporary
            assert record is None
        else:
            assert sorted(record.params) == sorted(job["strings"])
            assert {*record.inputs} == {*job["inputs"]}


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_in_another_layout_reruns_nothing(papers, study):
    with papers.edited(f"config/studies/{study}.yaml", in_another_layout):
        assert papers.predicted(study) == {}


def test_every_edit_applies_when_the_papers_are_in_another_layout(tmp_path):
    clone = Clone(tmp_path)
    for study in STUDIES:
        path = clone.folder / "config" / "studies" / f"{study}.yaml"
        path.write_text(in_another_layout(path.read_text()))
    clone.take_edited()
    edits = [
        *((file, more_code) for file in test_invalidation_code.FILES),
        *((file, change) for file, change, _ in test_invalidation_settings.EDITS.values()),
        *test_invalidation_nothing.TEXTS.values(),
        *test_invalidation_nothing.EDITS.values(),
        *((file, change) for file, change, _ in test_invalidation_studies.EDITS.values()),
    ]
    for file, change in edits:
        with clone.edited(file, change):
            assert file not in {f"config/studies/{study}.yaml" for study in STUDIES}
