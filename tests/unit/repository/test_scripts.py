"""The scripts of the rules, which Snakemake runs as copies: each is run by some study at scale `smoke`.

`tests/workflow/test_studies.py` makes them all.
"""

import re
from pathlib import Path

from fedscape.study.campaign import read_study
from fedscape.study.files import read_yaml
from fedscape.study.jobs import jobs_of

ROOT = Path(__file__).resolve().parents[3]
RULE = re.compile(r"^rule (\w+)(?: .*)?:$(.*?)(?=^(?:use )?rule |\Z)", re.MULTILINE | re.DOTALL)
SCRIPT = re.compile(r'script:\s+"\.\./workflow/scripts/(\w+)\.py"')


def scripts_by_rule() -> dict[str, str]:
    """The script of each rule that has one."""
    rules = [rule for path in (ROOT / "rules").glob("*.smk") for rule in RULE.findall(path.read_text())]
    return {name: script for name, body in rules for script in SCRIPT.findall(body)}


def test_every_script_runs_at_scale_smoke():
    config = read_yaml(ROOT / "config" / "config.yaml")
    names = [path.stem for path in (ROOT / "config" / "studies").glob("*.yaml")]
    studies = [read_study(ROOT, {**config, "study": name, "scale": "smoke"}) for name in names]
    scripts = scripts_by_rule()
    run = {scripts[job.rule] for study in studies for job in jobs_of(study) if job.rule in scripts}
    assert run == {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")}
