"""Profiles: what is written wrong in one is ignored without a word, so it is checked here."""

import importlib.util
import re
from pathlib import Path

import pytest
from yte import process_yaml

from fedscape.study.stages.every import LOCAL, STAGES

ROOT = Path(__file__).resolve().parents[2]
ON_GPU = {stage.name for stage in STAGES.values() if stage.gpu}
DEFAULT, SLURM = (ROOT / "profiles" / name / "config.yaml" for name in ("default", "slurm"))
RULE = re.compile(r"^(?:rule (\w+):|use rule \w+ as (\w+) with:)\n((?:(?: .*)?\n)*)", re.MULTILINE)
RESOURCES = ("default-resources", "set-resources", "set-threads", "resources", "default-storage-provider")
COMMENTED = re.compile(r"^( *)# ((?:slurm_account|slurm_partition|constraint|train): .*)$", re.MULTILINE)


CONSOLE = "snakemake_logger_plugin_fedscape"
EXECUTOR = "snakemake_executor_plugin_fedscape_slurm"


def profile(path: Path) -> dict:
    """What Snakemake reads in a profile."""
    return process_yaml(path.read_text(), require_use_yte=True)


def rules() -> dict[str, str]:
    """The text of each rule by its name."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    return {name or other: body for name, other, body in RULE.findall(text)}


def test_profiles_name_rules_that_there_are():
    slurm = profile(SLURM)
    assert set(slurm["set-resources"]) <= set(rules()) - set(LOCAL)
    assert set(slurm["set-threads"]) <= set(ON_GPU)  # on a CPU a job computes with one thread


def test_the_slurm_profile_lets_time_and_memory_grow_with_each_attempt():
    for name, asked in profile(SLURM)["set-resources"].items():
        for resource in {"runtime", "mem_mb"} & set(asked):
            assert "* attempt" in str(asked[resource]), (name, resource)


def test_profiles_hold_options_of_snakemake(smoke):
    known = set(re.findall(r"--([a-z][a-z-]+)", smoke.snakemake("--help").stdout))
    for path in (DEFAULT, SLURM):
        assert set(profile(path)) <= known, path


def test_the_default_profile_replaces_no_resources_and_says_the_same():
    default, slurm = profile(DEFAULT), profile(SLURM)
    assert not set(default) & set(RESOURCES)
    assert default.pop("logger") == "fedscape"  # which `--profile slurm` has from the default profile, too
    assert default.items() <= slurm.items()


@pytest.mark.parametrize("missing", [CONSOLE, "fedscape"])
def test_without_the_console_the_default_profile_names_none(monkeypatch, missing):
    with_it = profile(DEFAULT)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    assert {**profile(DEFAULT), "logger": "fedscape"} == with_it


def without(package: str, smoke, *arguments: str, check: bool = True):
    """Run Snakemake where a plug-in of ours is not installed."""
    hidden = (
        "import importlib.util as util, pkgutil; find, modules = util.find_spec, pkgutil.iter_modules;"
        f"util.find_spec = lambda name, *rest: None if name == '{package}' else find(name, *rest);"
        f"pkgutil.iter_modules = lambda *rest: (one for one in modules(*rest) if one.name != '{package}');"
        f"from snakemake.cli import main; main({[*arguments, '-n', '-F', 'pilot', '--config', 'scale=smoke']})"
    )
    return smoke._run(["-c", hidden], check, {})


def test_both_executors_are_told_the_same():
    slurm = profile(SLURM)
    ours = {
        key.removeprefix("fedscape-"): value
        for key, value in slurm.items()
        if key.startswith("fedscape-slurm-")
    }
    assert ours == {key: value for key, value in slurm.items() if key.startswith("slurm-")} != {}


def test_without_our_executor_the_slurm_profile_says_what_to_do(smoke):
    done = without(EXECUTOR, smoke, "--profile", "slurm", check=False)
    assert done.returncode == 2
    assert "fedscape-slurm is not installed (in the clone: make .venv/installed; or add" in done.stdout
    with_slurms = without(EXECUTOR, smoke, "--profile", "slurm", "--executor", "slurm")
    assert "in all; this was a dry run" in with_slurms.stdout


def test_without_the_console_snakemake_lists_its_jobs_itself(smoke):
    done = without(CONSOLE, smoke)
    assert "rule train:" in done.stdout and "This was a dry-run" in done.stdout


def test_every_job_that_is_sent_asks_for_what_it_needs():
    for name, body in rules().items():
        asks = re.findall(r"^ +gpu=(\d),$", body, re.MULTILINE)
        assert asks == (["1"] if name in ON_GPU else []), name
        if name not in LOCAL:
            assert re.search(r"mem_mb=lambda wildcards, attempt: \d+ \* attempt", body), name
            assert re.search(r"runtime=lambda wildcards, attempt: \d+ \* attempt", body), name
        assert "gres" not in body and "retries" not in body, name


@pytest.fixture(scope="module")
def planned(smoke) -> dict[str, str]:
    """The resources of a job of each rule under the profile, with what a site may need filled in."""
    text, filled = COMMENTED.subn(r"\1\2", SLURM.read_text())
    assert filled == 4
    site = smoke.folder / "profiles" / "site"
    site.mkdir(exist_ok=True)
    (site / "config.yaml").write_text(text)
    said = smoke.listing("-F", "pilot", "--profile", "profiles/site", "--config", "scale=smoke")
    return dict(re.findall(r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    resources: (.*)$", said, re.MULTILINE))


def test_a_site_is_named_in_one_place(planned):
    for name in set(planned) - set(LOCAL) - {"pilot"}:
        for text in (
            "slurm_account=my-account",
            "slurm_partition=gpu",
            "constraint=a100",
            "--signal=TERM@120",
        ):
            assert text in planned[name], name
        assert ("gpu=1" in planned[name].split(", ")) == (name in ON_GPU), name
    assert "runtime=60" in planned["drift"].split(", ")
    assert "runtime=1440" in planned["train"] and "mem_mb=32000" in planned["train"]


def test_a_clone_goes_by_its_own_library_whichever_the_console_came_from(smoke):
    shown = '\nimport fedscape.study.build\nprint("library:", fedscape.study.build.__file__)\n\n\nrule all:'
    with smoke.edited("Snakefile", lambda text: text.replace("\nrule all:", shown)):
        said = smoke.snakemake(
            "-n", "-F", "pilot", "--config", "scale=smoke", PYTHONPATH=str(ROOT / "src")
        ).stdout
    assert f"library: {smoke.folder / 'src/fedscape/study/build.py'}\n" in said
    assert "in all; this was a dry run" in said, "the console of another clone is good enough"
