"""What a page says in words about claims and costs."""

import pytest
from run_frames import runs_frame

from fedscape.pages.study_page import cost_words


@pytest.mark.parametrize(
    ("devices", "unit"),
    [(["cpu", "cpu"], "of one core"), (["NVIDIA H100"], "on NVIDIA H100"), (["cpu", "NVIDIA H100"], "on NVIDIA H100, cpu")],
)
def test_hours_are_of_what_the_runs_were_trained_on(devices, unit):
    costs = runs_frame({"seconds": 3600.0}).assign(stage="train", job_seconds=3660.0)
    words = cost_words(costs, [{"device": device} for device in devices])
    assert words.startswith(f"1 runs took 1.00 hours {unit}, ")
