"""The last lines of a call, from results that may be damaged."""

import os

import pytest

from fedscape.console.results import result_lines

NAME = "pilot at quick"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pilot" / "quick"
    (folder / "tables").mkdir(parents=True)
    return folder


def test_verdicts_are_counted(folder):
    claims = folder / "tables" / "claims.csv"
    claims.write_text("number,verdict\n1,holds\n2,does not hold\n3,holds\n")
    assert list(result_lines(folder)) == [
        f"{NAME}: 3 claims: holds 2, does not hold 1",
        f"{NAME}: {folder / 'tables'}",
    ]


def test_a_fifo_is_not_waited_for(folder):
    os.mkfifo(folder / "tables" / "claims.csv")
    assert list(result_lines(folder)) == [f"{NAME}: {folder / 'tables'}"]


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"number,verdict\n1," + b"x" * 200_000, b"number\n1\n"]
)
def test_damaged_claims_are_left_out(folder, content):
    (folder / "tables" / "claims.csv").write_bytes(content)
    assert list(result_lines(folder)) == [f"{NAME}: {folder / 'tables'}"]
