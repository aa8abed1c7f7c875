"""No file is exempt from the type checker: what is ignored is one rule, on the line of code that it is about."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CHECKED = [*(ROOT / "src").rglob("*.py"), *(ROOT / "workflow").rglob("*.py*")]
ONE_RULE = re.compile(r"\S.*  # pyright: ignore\[report\w+\]$")


@pytest.mark.parametrize("file", sorted(CHECKED), ids=lambda file: file.relative_to(ROOT).as_posix())
def test_comments_to_the_checker_are_about_one_rule_on_one_line(file):
    lines = [
        line
        for line in file.read_text().splitlines()
        if re.search(r"#\s*(pyright|basedpyright|mypy|type):", line)
    ]
    assert all(ONE_RULE.match(line.strip()) for line in lines), lines
