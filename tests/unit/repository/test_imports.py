"""The direction of imports, and that what every Snakemake process reads stays free of torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LIBRARY = ROOT / "src" / "fedscape"

BENEATH = {"jobs", "data", "models", "checkpoints", "evaluation"}
"""What the engine and the analyses stand on."""
BOTTOM = {"columns", "settings"}
"""What every part may import."""
# What each part may import of the library, beside the small modules at its root and itself.
ALLOWED = {
    "columns": set(),
    "settings": set(),
    "study": set(),
    "jobs": {"study"},
    "command": {"study", "jobs", "figures"},
    "console": {"command", "jobs"},
    "data": {"jobs"},
    "models": {"data", "jobs"},
    "checkpoints": BENEATH - {"evaluation", "checkpoints"},
    "evaluation": BENEATH - {"evaluation"},
    "federated": BENEATH,
    "landscape": BENEATH,
    "connectivity": BENEATH,
    "curvature": BENEATH,
    "drift": BENEATH,
    "tables": {"jobs"},
    "export": {"tables"},
    "figures": {"tables"},
    "examples": {"study", "command", "tables"},
    "pages": {"tables", "figures"},
    "notebook": BENEATH | {"study", "landscape", "connectivity", "curvature", "drift", "tables", "figures"},
}


def imported(file: Path) -> set[str]:
    """Full names of what a file imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: import by the full name"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("part", ALLOWED)
def test_parts_import_downwards_only(part):
    parts = {path.name for path in LIBRARY.iterdir() if path.is_dir()} - {"__pycache__"}
    assert parts == set(ALLOWED)
    for file in (LIBRARY / part).rglob("*.py"):
        used = {name.split(".")[1] for name in imported(file) if name.startswith("fedscape.")} & parts
        assert used <= ALLOWED[part] | {part} | BOTTOM, f"{file.relative_to(ROOT)} imports {used}"


def test_the_library_never_imports_snakemake():
    # Snakemake writes imports of itself into every script; the fork server has done them before.
    for file in set(LIBRARY.rglob("*.py")) - {LIBRARY / "jobs" / "fork_server.py"}:
        assert not any(name.split(".")[0] == "snakemake" for name in imported(file)), file


@pytest.mark.parametrize(
    "part",
    sorted(BOTTOM | {"study", "command", "console", "tables", "export", "figures", "examples", "pages"}),
)
def test_no_torch_where_every_process_passes(part):
    modules = [
        ".".join(file.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        for file in (LIBRARY / part).rglob("*.py")
    ]
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_snakefile_and_rules_read_without_torch():
    blocked = "import sys; sys.modules['torch'] = None; from snakemake.cli import main; main(['-n', '--quiet', 'all'])"
    subprocess.run([sys.executable, "-c", blocked], check=True, cwd=ROOT, capture_output=True)


def test_the_command_starts_without_what_takes_long_to_import():
    code = (
        "import sys, fedscape.cli, fedscape.command.status, fedscape.command.why, fedscape.command.cost;"
        "sys.exit(', '.join({'torch', 'numpy', 'pandas', 'snakemake'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
