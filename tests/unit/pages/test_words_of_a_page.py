"""What a page says in words about claims and costs."""

import re

import pytest
from run_frames import runs_frame
from small_page import small_page

from fedscape.errors import FedscapeError
from fedscape.pages.study_page import cost_words, thumbnail
from fedscape.tables.cases import NOT_RUN_HERE


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
