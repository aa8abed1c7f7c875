"""What a page says in words about claims and costs."""

import re

import pandas as pd
import pytest
from run_frames import runs_frame
from small_page import small_page
from table_files import write_table

from fedscape.errors import FedscapeError
from fedscape.pages.paper_table import paper_table
from fedscape.pages.study_page import cost_words, thumbnail
from fedscape.tables.cases import NOT_RUN_HERE
from fedscape.tables.read import read_table


def test_tables_say_what_their_pages_in_markdown_do(tmp_path):
    page = small_page(tmp_path).read_text(encoding="utf-8")
    table = page[page.index('<section id="tables">') :]
    heads = re.findall("<th [^>]*>(.*?)</th>", table)[:4]
    rows = [re.findall("<td[^>]*>(.*?)</td>", row) for row in re.findall("<tr>(<td.*)</tr>", table)[:2]]
    assert heads == ["", "accuracy", "paper", "rank"]  # nothing is published of ranks
    assert rows == [
        ["A", "0.900 ± 0.020", "0.95", "1 [1, 2]"],
        ["B", "0.831 ± 0.020", "", "not run at this scale"],
    ]
    assert "Ours: mean over 3 seeds ± half-width of its 95 % interval" in table


def test_a_table_of_no_paper_has_no_source_and_names_rows_that_were_not_run(tmp_path):
    rows = [{"table": "own", "row": row, "column": "accuracy", "seeds": 0} for row in "AB"]
    rows = [{**rows[0], "mean": 0.5, "seeds": 1}, {**rows[1], "note": NOT_RUN_HERE}]
    table = read_table(write_table(tmp_path / "own.csv", pd.DataFrame(rows), "table"), "table")
    assert paper_table(table, {"own": "Ours"}) == {
        "title": "Ours",
        "source": "",
        "heads": [{"word": "", "number": False}, {"word": "accuracy", "number": True}],
        "rows": [(("A", None), ("0.5", 0.5))],
        "notes": [
            "Not run at this scale: B.",
            "Ours: one seed; how far it varies from seed to seed is not known.",
        ],
    }


@pytest.mark.parametrize(
    ("devices", "unit"),
    [
        (["cpu", "cpu"], "of one core"),
        (["NVIDIA H100"], "on NVIDIA H100"),
        (["cpu", "NVIDIA H100"], "on NVIDIA H100, cpu"),
        (["NVIDIA H100", None], "on NVIDIA H100"),  # one was trained elsewhere
    ],
)
def test_hours_are_of_what_the_runs_were_trained_on(devices, unit):
    costs = runs_frame({"seconds": 3600.0}).assign(stage="train", job_seconds=3660.0)
    words = cost_words(costs, [{"device": device} if device else {} for device in devices])
    assert words.startswith(f"1 runs took 1.00 hours {unit}, ")


def test_claims_that_were_not_run_are_not_called_tested(tmp_path):
    page = small_page(tmp_path, verdicts=("holds", NOT_RUN_HERE, "not measurable"))
    assert "3 claims, 2 of them tested on these runs." in page.read_text(encoding="utf-8")


def test_a_damaged_picture_is_one_line(tmp_path):
    picture = tmp_path / "loss.png"
    picture.write_bytes(b"junk")
    with pytest.raises(
        FedscapeError, match=r"loss\.png: not a whole picture .*delete the file to have it rebuilt"
    ):
        thumbnail(picture)
