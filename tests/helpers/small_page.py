"""A page made from synthetic CSVs: two runs of four rounds on one plane, a round's clients on another, two claims."""

from pathlib import Path

import pandas as pd
from edited_study import ROOT
from figure_frames import RUN, markers_frame, round_frames, surface_frame
from layer_frames import layers_frame
from run_frames import runs_frame
from table_files import write_table

from fedscape.pages.study_page import PageStudy, make_page

HOSTILE = '<img src=x onerror="document.title=1"></script><script>document.title=2</script>'
LABELS = [{"label": HOSTILE, "where": {"partition": ["dir0.1"]}}]
VERDICTS = ("holds", "does not hold, within noise", "holds")


def small_page(folder: Path, labels=LABELS, title: str = "A study", verdicts=VERDICTS) -> Path:
    """Write `index.html` and what lies beside it; gives the page."""
    rounds = round_frames(plane="local")
    frames = {
        "markers": pd.concat([markers_frame(), rounds["markers"]]),
        "surface": pd.concat([surface_frame(), rounds["surface"]]),
        "runs": runs_frame({"partition": "iid"}, {"partition": "dir0.1", "test_accuracy": 0.25}),
        "claims": pd.DataFrame(
            [
                {"study": "s", "scale": "quick", "number": number, "claim": f"{HOSTILE} {number}", "verdict": verdict, "values": "0.25;0.75", "seeds": 3}
                for number, verdict in enumerate(verdicts, 1)
            ]
        ),
        "contrasts": pd.DataFrame(
            [{"study": "s", "scale": "quick", "number": 1, "contrast": "case 2 - case 1 > 0", "mean": 0.5, "low": 0.25, "high": 0.75, "interval": "student", "seeds": 3}]
        ),
        "costs": pd.DataFrame([{"study": "s", "scale": "quick", "stage": "train", "seconds": 3600.0, "job_seconds": 3660.0}]),
    }  # fmt: skip
    frames["layers"] = layers_frame(lambda averaged, number, rest: 0.1 * min(averaged) + 0.01 * number)
    line = {
        **RUN,
        "curvature": "ends",
        "group": "all",
        "round": 3,
        "of": "global",
        "client": -1,
        "data": "global",
    }
    frames["density"] = pd.DataFrame(
        [{**line, "eigenvalue": i / 10, "density": 1 / (1 + i)} for i in range(9)]
    )
    cell = {
        "study": "s",
        "scale": "quick",
        "table": "one",
        "source": "Table 1",
        "column": "accuracy",
        "interval": "student",
        "seeds": 3,
    }
    frames["table"] = pd.DataFrame(
        [
            {**cell, "row": "A", "mean": 0.9, "low": 0.88, "high": 0.92, "published": 0.95},
            {**cell, "row": "B", "mean": 0.8312, "low": 0.8112, "high": 0.8512},
            {**cell, "column": "rank", "interval": "bootstrap", "row": "A", "mean": 1, "low": 1, "high": 2},
            {
                **cell,
                "column": "rank",
                "interval": "",
                "row": "B",
                "seeds": 0,
                "note": "not run at this scale",
            },
        ]
    )
    sources = {name: [write_table(folder / f"{name}.csv", frame, name)] for name, frame in frames.items()}
    study = PageStudy(
        "s", "quick", title, labels=labels, claim_figures=[[], [], []], tables={"one": "Accuracy"}
    )
    make_page(study, sources, ROOT / "workflow" / "page", folder / "index.html", folder / "plotly.min.js")
    return folder / "index.html"
