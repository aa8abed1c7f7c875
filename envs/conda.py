"""Write the conda files for `snakemake --sdm conda`: the direct dependencies, at the versions of the lock."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
PYTHON = "3.12"  # has wheels of every locked package

# The wheels of torch for Linux carry CUDA and run without it, so both files hold the same packages.
HEADERS = {
    "cpu": "# Rules that do their work on CPUs.",
    "gpu": "# Rules that use a GPU where there is one.",
}


def environment(name: str) -> str:
    """The conda file `name`.yaml."""
    locked = dict(
        re.findall(r"^([a-z0-9-]+)==([^ ]+).*", (FOLDER / "requirements.txt").read_text(), re.MULTILINE)
    )
    wanted = re.findall(r"^([a-z0-9-]+)", (FOLDER / "requirements.in").read_text(), re.MULTILINE)
    packages = [f"      - {package}=={locked[package]}" for package in wanted]
    head = [HEADERS[name], f"name: fedscape-{name}", "channels: [conda-forge]", "dependencies:"]
    return "\n".join([*head, f"  - python={PYTHON}", "  - pip", "  - pip:", *packages]) + "\n"


if __name__ == "__main__":
    for name in HEADERS:
        (FOLDER / f"{name}.yaml").write_text(environment(name))
