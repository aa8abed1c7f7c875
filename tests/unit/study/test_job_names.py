"""Names in the paths of files that a user asks for: a study holds them, or the name that it lacks is said."""

from pathlib import Path

import pytest

from fedscape.study.campaign import Campaign, read_study
from fedscape.study.files import read_yaml
from fedscape.study.jobs import check_job_names, jobs_of
from fedscape.study.stages.every import STAGES
from fedscape.study.study import Study, UnknownName

ROOT = Path(__file__).resolve().parents[3]
CONFIG = read_yaml(ROOT / "config" / "config.yaml")
STUDIES = sorted(path.stem for path in (ROOT / "config" / "studies").glob("*.yaml"))


def study_of(name: str) -> Study:
    return read_study(ROOT, {**CONFIG, "study": name, "scale": "smoke"})


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_holds_the_names_of_all_its_jobs(name):
    study, campaign = study_of(name), Campaign(ROOT, CONFIG)
    for job in jobs_of(study):
        for name in (job.rule, *STAGES[job.rule].tracks):
            stage = STAGES[name]
            check_job_names(stage, campaign if stage.shared else study, job.names)


@pytest.mark.parametrize("rule", ["train", "partition", "initial", "figure", "curvature", "path", "surface"])
def test_a_name_that_a_study_lacks_is_said(rule):
    study = study_of("pilot")
    names = next(job.names for job in jobs_of(study) if job.rule == rule)
    for wildcard in names:
        if wildcard != "seed":
            with pytest.raises(UnknownName, match="nowhere"):
                check_job_names(STAGES[rule], study, {**names, wildcard: "nowhere"})


def test_any_run_of_a_studys_parts_is_a_job():
    study = study_of("pilot")
    names = next(job.names for job in jobs_of(study) if job.rule == "train")
    check_job_names(STAGES["train"], study, {**names, "seed": "77"})


def test_an_entry_of_another_kind_and_a_part_too_many_are_refused():
    study = study_of("layerwise")
    names = next(job.names for job in jobs_of(study) if job.rule == "layers")
    with pytest.raises(UnknownName, match=f"{names['name']}/{names['group']}"):
        check_job_names(STAGES["path"], study, names)
    pilot = study_of("pilot")
    part = next(job.names for job in jobs_of(pilot) if job.rule == "surface_part")
    with pytest.raises(UnknownName, match="/7/9"):
        check_job_names(STAGES["surface_part"], pilot, {**part, "part": "7", "parts": "9"})


def test_a_data_set_is_one_of_the_settings():
    with pytest.raises(UnknownName, match="nowhere"):
        check_job_names(STAGES["dataset"], Campaign(ROOT, CONFIG), {"dataset": "nowhere"})
