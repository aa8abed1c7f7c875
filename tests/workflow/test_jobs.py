"""The study layer's list of jobs is the rules': what each reads and writes, its log, where it runs."""

import re
from pathlib import Path

import pytest
from clone import Clone

from fedscape.study.campaign import read_campaign
from fedscape.study.files import read_yaml
from fedscape.study.jobs import jobs_of
from fedscape.study.stages.every import LOCAL

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted(path.stem for path in (ROOT / "config" / "studies").glob("*.yaml"))
RULE = re.compile(r"^(?:local)?rule (\w+):$")
FIELD = re.compile(r"^ {4}(input|output|log|wildcards): (.*)$")


def planned(text: str) -> dict[tuple, dict]:
    """The jobs of a dry run by rule and outputs, with what it says of each."""
    jobs, current = [], None
    for line in text.splitlines():
        if match := RULE.match(line):
            current = {"rule": match.group(1)}
            jobs.append(current)
        elif current is not None and (match := FIELD.match(line)):
            current[match.group(1)] = match.group(2).split(", ")
    return {(job["rule"], *job["output"]): job for job in jobs if "output" in job}


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    return Clone(tmp_path_factory.mktemp("planned"))


@pytest.mark.parametrize("scale", ["smoke", "quick"])
@pytest.mark.parametrize("study", STUDIES)
def test_every_job_is_listed_as_snakemake_would_run_it(clone, study, scale):
    theirs = planned(clone.listing(study, "--config", f"scale={scale}"))
    config = {**read_yaml(ROOT / "config" / "config.yaml"), "study": study, "scale": scale}
    ours = {(job.rule, *job.outputs): job for job in jobs_of(read_campaign(ROOT, config).get(study))}
    assert set(ours) == set(theirs)
    for key, job in ours.items():
        expected = theirs[key]
        assert set(job.inputs) == set(expected.get("input", ())), key
        assert [job.log] == expected["log"], key
        assert [f"{name}={value}" for name, value in job.wildcards.items()] == expected["wildcards"], key


def test_local_jobs_are_those_of_the_rules():
    texts = [path.read_text() for path in (ROOT / "rules").glob("*.smk")]
    blocks = [re.search(r"^localrules:\n((?: {4}\w+,\n)+)", text, re.MULTILINE) for text in texts]
    named = {name for block in filter(None, blocks) for name in re.findall(r"\w+", block.group(1))}
    # A word of Python's, such as `import`, cannot stand in a list: the rule says it itself.
    alone = re.compile(r"^rule (\w+):\n(?: {4}.*\n)*? {4}localrule: True\n", re.MULTILINE)
    assert set(LOCAL) == named | {name for text in texts for name in alone.findall(text)}
