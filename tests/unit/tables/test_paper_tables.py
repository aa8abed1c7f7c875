"""Tables of the paper: interval over seeds, ratios, what is missing, and the page to read."""

import pandas as pd
import pytest
from claim_frames import curvature
from scipy import stats
from table_files import write_table

from fedscape.columns.identity import IDENTITY
from fedscape.columns.kinds import FILES
from fedscape.columns.runs import QUALITY, TIMING_CSV
from fedscape.plugins import Plugin
from fedscape.settings.claims import Case
from fedscape.settings.tables import PaperTable, TableColumn
from fedscape.tables.estimate import STUDENT, Estimate, estimate, ranked
from fedscape.tables.table import estimate_words, make_table, published_words

NAMES = {
    "study": "pilot", "scale": "smoke", "dataset": "digits", "model": "convnet", "partition": "iid", "init": "random",
    "method": "fedavg", "seed": 0,
}  # fmt: skip
FINAL = {"kind": "final", "column": "test_accuracy"}


def cell(partition, *seeds, groups=()):
    runs = {seed: [f"digits/convnet/{partition}/random/fedavg/seed{seed}"] for seed in seeds}
    return [Case((seed,), run, groups, run) for seed, run in runs.items()]


def column(label, measure=FINAL, section="", name="", **settings):
    return TableColumn(label, measure and Plugin.of(measure), section, name, **settings)


@pytest.fixture
def made(tmp_path):
    """Write CSVs of runs and make a table; gives its rows and the page."""

    def make(
        rows, columns, cells, published=None, runs=(), timings=None, curvatures=None, interval="student"
    ):  # fmt: skip
        quality = dict.fromkeys([*QUALITY, "best_test_accuracy"], 0.5)
        runs = [{**NAMES, "diverged": False, **quality, **run} for run in runs]
        frame = pd.DataFrame(runs, columns=[*IDENTITY, "diverged", *quality])
        write_table(tmp_path / "runs.csv", frame, "runs", IDENTITY)
        files = {"runs": [tmp_path / "runs.csv"], "rounds": []}
        for source, rows_of in (("timing", timings), ("curvature", curvatures)):
            if rows_of is not None:
                frame = pd.DataFrame([{**NAMES, **row} for row in rows_of])
                files[source] = [write_table(tmp_path / f"{source}.csv", frame, source, IDENTITY)]
        empty = [[None] * len(columns) for _ in rows]
        make_table(
            name="table-2",
            table=PaperTable("Heterogeneity", "Table 2", rows, columns, cells, published or empty, interval),
            csvs=files,
            study="pilot",
            scale="smoke",
            out_csv=tmp_path / "table-2.csv",
            out_page=tmp_path / "table-2.md",
        )
        page = (tmp_path / "table-2.md").read_text()
        found = pd.read_csv(tmp_path / "table-2.csv", keep_default_na=False, dtype=str).to_dict("records")
        return found, [line for line in page.splitlines() if line.startswith("|")], page

    return make


def cells_of(line):
    return [one.strip() for one in line.strip("|").split("|")]


def test_the_interval_is_that_of_students_distribution():
    values = [0.61, 0.55, 0.58, 0.7]
    low, high = stats.t.interval(0.95, 3, loc=sum(values) / 4, scale=stats.sem(values))
    found = estimate(dict(enumerate(values)))
    assert found.mean - found.half_width == pytest.approx(low)
    assert found.mean + found.half_width == pytest.approx(high)
    # Two values: the quantile of one degree of freedom is tan(0.475 pi) = 12.7062.
    two = estimate({0: 1.0, 1: 3.0}, factor=100)
    assert two.mean == 200 and two.half_width == pytest.approx(12.7062047 * 100)


def test_a_diverged_seed_is_left_out_and_counted():
    found = estimate({0: 1.0, 1: "diverged", 2: 3.0})
    assert (found.mean, found.seeds, found.diverged, found.note) == (2.0, 2, 1, "")
    assert estimate({0: "diverged", 1: "diverged"}).note == "diverged"
    assert estimate({0: "diverged", 1: "not measured"}).note == "not measured"
    assert estimate({}).note == "not run at this scale"


def test_a_cell_is_a_mean_over_seeds_beside_the_published_number(made):
    runs = [{"seed": seed, "test_accuracy": value} for seed, value in enumerate((0.5, 0.52, 0.54))]
    runs += [{"partition": "dir0.1", "seed": 0, "test_accuracy": 0.25}]
    rows, lines, page = made(
        ["FedAvg"],
        [column("IID", percent=True), column("Dir 0.1", percent=True), column("Dir 2", percent=True)],
        [[cell("iid", 0, 1, 2), cell("dir0.1", 0), []]],
        published=[[56.2, None, 54.25]],
        runs=runs,
    )
    assert ",".join(rows[0]) == (
        "study,scale,table,number,row,column,measure,unit,mean,half_width,low,high,interval,seeds,diverged_seeds,"
        "published,source,note"
    )
    assert [rows[0][key] for key in ("table", "number", "row", "column", "unit", "published", "source")] == [
        "table-2", "1", "FedAvg", "IID", "%", "56.2", "Table 2",
    ]  # fmt: skip
    # s = 2 points, t of two degrees of freedom 4.30265: 4.30265 x 2 / sqrt(3)
    assert float(rows[0]["mean"]) == pytest.approx(52) and float(rows[0]["half_width"]) == pytest.approx(
        4.9682754
    )
    assert (rows[1]["mean"], rows[1]["half_width"], rows[1]["seeds"]) == ("25", "", "1")
    assert (rows[2]["mean"], rows[2]["seeds"], rows[2]["note"]) == ("", "0", "not run at this scale")
    assert cells_of(lines[0]) == ["", "IID", "paper", "Dir 0.1", "Dir 2", "paper"]
    assert cells_of(lines[2]) == ["FedAvg", "52.0 ± 5.0", "56.2", "25.0", "not run at this scale", "54.25"]
    assert "# Table 2: Heterogeneity" in page and "study pilot, scale smoke" in page
    assert "mean over 1 to 3 seeds" in page
    assert "Measured: final (column test_accuracy), in percent." in page


def test_diverged_runs_print_the_word(made):
    runs = [{"seed": 0, "test_accuracy": 0.5, "diverged": True}, {"seed": 1, "test_accuracy": 0.5}]
    rows, lines, _ = made(["A", "B"], [column("IID")], [[cell("iid", 0)], [cell("iid", 0, 1)]], runs=runs)
    assert [cells_of(line)[1] for line in lines[2:]] == ["diverged", "0.5 (1 diverged)"]
    assert [row["diverged_seeds"] for row in rows] == ["1", "1"]


@pytest.mark.parametrize(
    ("mean", "half_width", "words"),
    [
        (616.74, 400.2, "620 ± 400"),
        (1.2861, 3.04, "1.3 ± 3.0"),
        (42.67, 9.96, "42.7 ± 10.0"),
        (0.77491, 0.00183, "0.7749 ± 0.0018"),
        (-0.0119, 1.12, "0.0 ± 1.1"),
        (0.25, 0.0, "0.25 ± 0"),
        (3.4567e-7, 1.2e-8, "3.457e-07 ± 1.2e-08"),
        (15434567.0, 1234.0, "1.543e+07 ± 1234"),
    ],
)
def test_a_mean_has_the_digits_that_its_interval_leaves_it(mean, half_width, words):
    assert estimate_words(Estimate(mean, mean - half_width, mean + half_width, STUDENT, 3), False) == words


def test_rows_of_which_nothing_is_run_or_published_are_named_below(made):
    rows, lines, page = made(
        ["A", "B", "C", "D"],
        [column("IID"), column("H_T", measure=None)],
        [[cell("iid", 0), []], [[], []], [[], []], [[], []]],
        published=[[None, None], [None, 6240], [None, None], [None, None]],
        runs=[{"test_accuracy": 0.5}],
    )
    assert len(rows) == 8
    assert [cells_of(line) for line in lines[2:]] == [
        ["A", "0.5", ""],
        ["B", "not run at this scale", "6240"],
    ]
    assert "\n\nNot run at this scale: C, D.\n\n" in page
    _, lines, page = made(["A"], [column("IID")], [[[]]], runs=[{}])
    assert cells_of(lines[2]) == ["A", "not run at this scale"] and "Not run" not in page


def test_published_numbers_have_the_decimals_that_the_paper_prints():
    assert published_words([52.9, 53.0, None, 53]) == ["52.9", "53.0", "", "53.0"]
    assert published_words([297, 15434]) == ["297", "15434"]
    assert published_words([0.98, 0.9]) == ["0.98", "0.90"]


def test_a_column_without_a_measure_is_published_only(made):
    rows, lines, page = made(
        ["A", "B"],
        [column("H_T", measure=None), column("IID")],
        [[[], cell("iid", 0)], [[], []]],
        published=[[6240, None], [None, None]],
        runs=[{}],
    )
    assert cells_of(lines[0]) == ["", "H_T (paper)", "IID"]
    assert [cells_of(line)[:2] for line in lines[2:]] == [["A", "6240"]]
    assert "Not run at this scale: B." in page
    assert [(row["measure"], row["mean"], row["note"]) for row in rows[::2]] == [("", "", "")] * 2
    assert "- H_T: published only" in page and "- IID: final (column test_accuracy)" in page


def test_ratios_are_taken_seed_by_seed_and_of_published_numbers_alike(made):
    def cost(partition, seed, seconds):
        return {
            "partition": partition,
            "seed": seed,
            "round": 1,
            **dict.fromkeys(TIMING_CSV.measures, 1.0),
            "training_seconds": seconds,
        }

    costs = [cost("iid", 0, 1.0), cost("iid", 1, 4.0), cost("dir0.1", 0, 3.0), cost("dir0.1", 1, 4.0)]
    costs += [cost("dir0.1", 2, 9.0)]  # its seed has no baseline
    runs = [{key: one[key] for key in ("partition", "seed")} for one in costs]
    rows, lines, page = made(
        ["FedAvg", "MOON", "None"],
        [column("time", {"kind": "cost", "column": "median_training_seconds"}, over="FedAvg")],
        [[cell("iid", 0, 1)], [cell("dir0.1", 0, 1, 2)], [[]]],
        published=[[142.0], [418.0], [None]],
        runs=runs,
        timings=costs,
    )
    assert [row["mean"] for row in rows] == ["1", "2", ""]  # (3 / 1 + 4 / 4) / 2, not 16 / 3 over 5 / 2
    assert rows[1]["seeds"] == "2"
    assert float(rows[1]["published"]) == pytest.approx(418 / 142)
    assert [cells_of(line)[2] for line in lines[2:]] == ["1.00", "2.94"]
    assert "Not run at this scale: None." in page
    assert "cost (column median_training_seconds), over that of FedAvg" in page


def test_bootstrap_intervals_and_ranks_of_rows(made):
    accuracies = {"iid": (0.5, 0.7), "dir0.1": (0.6, 0.65), "dir1.0": (0.9, 0.9)}
    runs = [
        {"partition": name, "seed": seed, "test_accuracy": value}
        for name, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    rows, lines, page = made(
        ["A", "B", "C", "D"],
        [column("accuracy", percent=True), column("rank", rank="highest")],
        [[cell(name, 0, 1)] * 2 for name in accuracies] + [[[], []]],
        runs=runs,
        interval="bootstrap",
    )
    # Of two seeds, a quarter of the resamples have one of them alone: the ends are the seeds themselves.
    assert [cells_of(line)[1] for line in lines[2:]] == [
        "60.0 [50.0, 70.0]", "62.5 [60.0, 65.0]", "90.0 [90.0, 90.0]",
    ]  # fmt: skip
    # By the mean A is behind B; in seed 1 alone it is before it.
    assert [cells_of(line)[2] for line in lines[2:]] == [
        "3 [2, 3]",
        "2 [2, 3]",
        "1 [1, 1]",
    ]
    assert "Not run at this scale: D." in page
    assert [rows[0][key] for key in ("half_width", "low", "high", "interval")] == [
        "",
        "50",
        "70",
        "bootstrap",
    ]
    assert rows[1]["measure"] == "rank by final (column test_accuracy), 1: highest" and rows[1]["mean"] == "3"
    assert "by the percentile bootstrap over seeds" in page and "too narrow" in page and "Student" not in page


def test_ranks_compare_the_seeds_that_all_rows_have():
    found = ranked([{0: 1.0, 1: 5.0}, {0: 2.0, 1: "diverged"}, {}, {0: "diverged"}], "lowest")
    assert [(one.mean, one.seeds, one.diverged, one.note) for one in found] == [
        (1.0, 1, 0, ""), (2.0, 1, 1, ""), (None, 0, 0, "not run at this scale"), (None, 0, 1, "diverged"),
    ]  # fmt: skip
    assert all(one.low is None for one in found)
    apart = ranked([{0: 1.0}, {1: 2.0}], "lowest")
    assert [one.note for one in apart] == ["not measured"] * 2


def test_eigenvalues_are_those_of_the_columns_curvature(made):
    def row(number, value, entry):
        return curvature("eigenvalue", value, number, curvature=entry)

    rows, _, _ = made(
        ["A"],
        [column("λmax", {"kind": "eigenvalue", "index": 1}, section="curvature", name="ends")],
        [[cell("iid", 0, groups=["g"])]],
        runs=[{}],
        curvatures=[row(1, 7.0, "ends"), row(5, 3.0, "ends"), row(9, 99.0, "others")],
    )
    assert {*FILES["curvature"].keys, *FILES["curvature"].measures} == {*NAMES, *row(1, 7.0, "ends")}
    assert (rows[0]["mean"], rows[0]["measure"]) == ("3", "eigenvalue on curvature ends (index 1)")
