"""The scripts of the rules, which Snakemake runs as copies: each is run by some study at scale `smoke`.

`tests/workflow/test_studies.py` makes them all.
"""

import ast
import re
from pathlib import Path

from fedscape.study.campaign import read_study
from fedscape.study.files import read_yaml
from fedscape.study.jobs import jobs_of

ROOT = Path(__file__).resolve().parents[3]
MOST_ARGUMENTS = 9
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
    # Runs are imported from files of a user's own: `tests/workflow/test_imported_runs.py`.
    assert {*run, "import"} == {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")}


def test_a_script_is_one_call_of_at_most_nine_arguments():
    for script in (ROOT / "workflow" / "scripts").glob("*.py"):
        blocks = [node for node in ast.parse(script.read_text()).body if isinstance(node, ast.With)]
        assert len(blocks) == 1, script.name
        *_, last = blocks[0].body
        assert isinstance(last, ast.Expr) and isinstance(last.value, ast.Call), script.name
        calls = [node for node in blocks[0].body if isinstance(node, ast.Expr)]
        assert len(calls) == 1, script.name
        given = [*last.value.args, *last.value.keywords]
        assert len(given) <= MOST_ARGUMENTS, script.name
        # A dict that is spread hides how many there are.
        assert not any(isinstance(node, ast.Starred) for node in last.value.args), script.name
        assert all(keyword.arg for keyword in last.value.keywords), script.name


def test_no_public_function_takes_more_than_nine_arguments():
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                taken = node.args
                names = [argument.arg for argument in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
                names += [argument.arg for argument in (taken.vararg, taken.kwarg) if argument]
                own = [name for name in names if name not in ("self", "cls")]
                assert len(own) <= MOST_ARGUMENTS, f"{file.name}:{node.lineno}: {node.name}"
