"""fedscape: federated-learning runs under the microscope. `snakemake --list` names what it can make."""

import os
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.19")

# Scripts run in processes of their own and import the library of this clone, whichever is installed.
ROOT = Path(workflow.current_basedir)
sys.path.insert(0, str(ROOT / "src"))
# The console has been imported already, perhaps from another clone, whose library this one must not go by.
if "fedscape" in sys.modules and not (ROOT / "src" / "fedscape").samefile(
    sys.modules["fedscape"].__path__[0]
):
    for imported in [name for name in sys.modules if name.partition(".")[0] == "fedscape"]:
        del sys.modules[imported]
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")])))
# Whether this is the workflow itself, and not a module of another one.
IS_WHOLE = workflow.modifier.is_main_snakefile()


report: "workflow/report/introduction.rst"


include: "rules/common.smk"


# The user's folder has what is theirs: config/, plugins/, results/. The clone does as well as any other.
PROJECT = Project(Path.cwd(), ROOT)


include: "rules/campaign.smk"


resource_scopes:
    gpu="local",  # `--resources gpu=1` is about the GPUs of this machine, not of a cluster


wildcard_constraints:
    study=STUDIES,
    scale="smoke|quick|small|paper",
    dataset=NAME,
    model=NAME,
    partition=NAME,
    init=NAME,
    method=NAME,
    name=NAME,
    figure=NAME,
    group=r"[a-z0-9][a-z0-9._-]*",
    seed=r"\d+",


rule all:
    """The study that config/config.yaml names, at the scale that it names."""
    default_target: True
    input:
        targets_of(CAMPAIGN.study),


include: "rules/targets.smk"


# Each section of a study that looks at runs has the rules of its stages in the file of its name.
for name in ("run", "data", "initial", "train", "import", *SECTIONS, "tables", "figures", "page", "checks"):

    include: f"rules/{name}.smk"
