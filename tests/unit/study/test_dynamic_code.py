"""Nothing runs in a job that the digest of its code does not see: no import by a computed name, no code from text.

The digest follows imports (`fedscape.study.imports`). What it cannot follow is refused all over the tree; each
exception stands here by its name, with its reason.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedscape.study.catalog import PACKAGES, names, source
from fedscape.study.imports import reached

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ROOT / "workflow" / "scripts"
TREE = [*sorted((ROOT / "src").rglob("*.py")), *sorted(SCRIPTS.rglob("*.py"))]

# Import by name, code from text, other interpreters' code, files found beside a module, what a tree leaves out.
MODULES = {
    *("importlib", "runpy", "pkgutil", "imp", "zipimport", "code", "codeop", "builtins"),
    *("inspect", "linecache"),
}
NAMES = {
    *("__import__", "exec", "eval", "compile", "__builtins__", "__doc__"),
    *("__file__", "__path__", "__loader__", "__spec__"),
}
ATTRIBUTES = {*NAMES, "execv", "execve"} - {"compile", "eval", "exec"}  # of torch, of a network, of anybody

ALLOWED = {
    # Imports the user's file that a job's settings name; its digest holds that file and those beside it. Python
    # forgets what another network's file has imported.
    "models/networks/module.py": {"importlib", "module.__file__", "sys.modules"},
    # The plug-in loader: a job's digest holds its plug-ins' files, and finds the user's own as Python does.
    "plugins.py": {"importlib.import_module", "parent.__path__"},
    # Compiles the `Settings` of a plug-in, below the folder where these lie.
    "study/catalog.py": {"exec", "compile", "__file__"},
}
# In no result that another job reads.
BESIDE = {
    "provenance.py": {
        "importlib.metadata.PackageNotFoundError",
        "importlib.metadata.version",
        "fedscape.__file__",
    },
    # Runs what Snakemake wrote of a script, whose digest the job has: here as in a process that starts by itself.
    "jobs/fork_server.py": {
        "runpy",
        "sys.modules",
    },  # it forgets its own modules, so that jobs read them anew
    "jobs/job.py": {"sys.modules"},  # whether torch is there; nothing is imported
    "data/datasets/sklearn_descriptions.py": {
        "importlib.resources"
    },  # scikit-learn's; dataset.json has the md5s
}
# No job runs these.
COMMANDS = {
    "cli.py": {"__doc__", "__file__", "os.execve"},  # starts again with the library of the clone
    # Write config/reference and config/README.md.
    "study/reference.py": {"__file__", "training.__file__", "inspect"},
    "study/reference_example.py": {"__file__"},
    "study/contracts_page.py": {"__file__"},  # writes CONTRIBUTING.md
    "examples/verdicts.py": {"__file__"},  # writes README.md
    # Writes results/README.md, of all files beside it.
    "columns/readme.py": {"__file__", "importlib.import_module", "inspect"},
}


def found(text: str) -> set[str]:
    """What a module uses of what the digest cannot follow."""
    return set(_found(ast.parse(text)))


def _found(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            full = [f"{node.module}.{one.name}" for one in node.names]
            yield from (one for one in full if one.partition(".")[0] in MODULES or one == "sys.modules")
        elif isinstance(node, ast.Name) and node.id in NAMES:
            yield node.id
        elif isinstance(node, ast.Attribute):
            full = ast.unparse(node)
            if node.attr in ATTRIBUTES or full == "sys.modules":
                yield full


@pytest.mark.parametrize("file", TREE, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_nothing_is_run_that_the_digest_does_not_see(file):
    library = ROOT / "src" / "fedscape"
    name = file.relative_to(library).as_posix() if file.is_relative_to(library) else file.name
    allowed = {**ALLOWED, **BESIDE, **COMMANDS}.get(name, set())
    assert found(file.read_text()) == allowed


def test_no_data_lie_in_the_package():
    for folder in (ROOT / "src" / "fedscape", SCRIPTS):
        others = {path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
        assert not others


def test_jobs_run_no_command():
    files = sorted(SCRIPTS.glob("*.py"))
    run = reached([*files, *(source(role, name) for role in PACKAGES for name in names(role))])
    assert not run & {ROOT / "src" / "fedscape" / name for name in (*COMMANDS, "study/catalog.py")}


# Variables of the environment that are read: what they change is no result.
ENVIRONMENT = {
    "jobs/job.py": {
        "SLURM_JOB_ID",
        "GPUS",
        "SLURMD_NODENAME",
    },  # the log; which card, and whether there is one
    "jobs/stops.py": {"END_TIME_VARIABLE"},  # when to stop
    "cli.py": {"FEDSCAPE_CLONE", "PYTHONPATH"},  # no job
}


def test_no_result_depends_on_the_environment():
    library = ROOT / "src" / "fedscape"
    for file in TREE:
        tree = ast.parse(file.read_text())
        read = {name for node in ast.walk(tree) if (name := environment(node))}
        assert read == ENVIRONMENT.get(
            file.relative_to(library).as_posix() if file.is_relative_to(library) else "", set()
        ), file


def environment(node: ast.AST) -> str | None:
    """Which variable of the environment a node reads, if it does."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv"):
        one = node.args[0]
    elif (
        isinstance(node, ast.Subscript)
        and ast.unparse(node.value) == "os.environ"
        and isinstance(node.ctx, ast.Load)
    ):
        one = node.slice
    elif isinstance(node, ast.Compare) and "os.environ" in map(ast.unparse, node.comparators):
        one = node.left
    else:
        return None
    return one.value if isinstance(one, ast.Constant) else ast.unparse(one)


@pytest.mark.parametrize("file", sorted(SCRIPTS.glob("*.py")), ids=lambda file: file.name)
def test_a_script_reads_of_its_job_what_is_tracked(file):
    """No configuration, no resource, no number of threads: settings and files alone; raw data have their md5s."""
    nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)]
    read = {node.attr for node in nodes if getattr(node.value, "id", "") == "snakemake"}
    templates = {"scriptdir"} if (SCRIPTS.parent / file.stem).is_dir() else set()  # which `tracked` digests
    assert read <= {"input", "output", "wildcards", "params"} | templates
    params = {node.attr for node in nodes if getattr(node.value, "attr", "") == "params"}
    assert params <= {"settings"} | {"dataset.py": {"data_root"}, "surface_part.py": {"surface"}}.get(
        file.name, set()
    )


@pytest.mark.parametrize(
    "text",
    [
        "from importlib import import_module",
        "import importlib.util as u",
        "from importlib import resources",
        "import runpy",
        "import pkgutil",
        "m = __import__('x')",
        "def f():\n    exec('x')",
        "eval('x')",
        "compile('x', 'y', 'exec')",
        "from builtins import exec as run",
        "__builtins__['exec']('x')",
        "from pathlib import Path\nPath(__file__).with_name('table.csv')",
        "import fedscape.models as m\nm.__path__",
        "import sys\nsys.modules['x']",
        "from sys import modules",
        "import inspect",
    ],
)
def test_what_is_refused(text):
    assert found(text)


@pytest.mark.parametrize(
    "text", ["model.eval()", "import re\nre.compile('x')", "torch.compile(f)", "list(m.modules())"]
)
def test_what_is_not(text):
    assert not found(text)
