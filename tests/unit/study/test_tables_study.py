"""Tables in a study file: which runs their cells are about, the files that they read, and slips."""

import json
from dataclasses import asdict

import pytest
import yaml
from edited_study import ROOT, reader

from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin
from fedscape.settings.tables import PaperTable
from fedscape.study.campaign import read_campaign
from fedscape.study.encoding import decode, encode
from fedscape.study.jobs import targets
from fedscape.study.stages.every import STAGES
from fedscape.study.tracked import plugins_in

STUDY = """
title: A study
datasets: [digits]
seeds: [0, 1]
models: {convnet: {}}
partitions:
  iid: {scheme: iid, clients: 4}
  dir0.1: {scheme: dirichlet, clients: 4, alpha: 0.1}
inits: {random: {kind: random}}
methods:
  fedavg: {rounds: 2}
  longer: {algorithm: fedavg, rounds: 4}
  tuned: {algorithm: fedavg, rounds: 2, grid: {lr: [0.1, 0.2], momentum: [0.5]}}
runs: [{}]
curvature:
  sharp: {runs: [{partition: iid}], each: [method]}
tables:
  table-1:
    title: Accuracy and sharpness
    source: Table 1
    rows: &rows
      - {label: FedAvg, where: {method: fedavg}}
      - {label: Longer, where: {method: [longer, tuned]}}
    where: {partition: iid}
    columns:
      - {label: accuracy, where: {method: [fedavg, longer]}, measure: final, column: test_accuracy, percent: true}
      - {label: sharpness, where: {method: [fedavg, longer]}, measure: eigenvalue, curvature: sharp}
      - {label: trace}
    published:
      FedAvg: [52.9, 297, null]
  table-2:
    title: Time
    where: {method: fedavg}
    measure: cost
    percent: true
    rows: partition
    columns:
      - {label: seconds}
      - {label: ratio, over: iid}
      - {label: memory, measure: cost, column: peak_memory_mib}
scales:
  paper: {}
  smoke:
    seeds: [0]
    runs: [{partition: dir0.1}]
    curvature: {sharp: null}
"""


@pytest.fixture
def campaign(tmp_path):
    """Read the study above after an edit."""
    return reader(tmp_path, STUDY)


def test_a_cell_has_a_run_for_each_seed_that_matches_row_column_and_table(campaign):
    table = campaign().get("pilot", "paper").tables["table-1"]
    assert table.rows == ("FedAvg", "Longer")
    assert [one.label for one in table.columns] == ["accuracy", "sharpness", "trace"]
    for row, method in zip(table.cells, ("fedavg", "longer"), strict=True):
        for cell in row[:2]:
            paths = [run for case in cell for run in case.runs]
            assert paths == [f"digits/convnet/iid/random/{method}/seed{seed}" for seed in (0, 1)]
        assert row[2] == ()
    assert [case.groups for case in table.cells[1][1]] == [(f"digits_longer_seed{seed}",) for seed in (0, 1)]
    assert table.published == ((52.9, 297, None), (None, None, None))


def test_columns_take_the_tables_measure_unless_they_name_one(campaign):
    time = campaign().get("pilot", "paper").tables["table-2"]
    seconds, ratio, memory = time.columns
    assert seconds.measure == ratio.measure == Plugin("cost", {"column": "median_training_seconds"})
    assert memory.measure == Plugin("cost", {"column": "peak_memory_mib"})
    assert (seconds.over, ratio.over) == (None, "iid")
    assert [one.percent for one in time.columns] == [True, False, True]  # a ratio has no unit
    assert time.rows == ("iid", "dir0.1")


def test_what_a_scale_lacks_is_no_slip_and_a_table_without_runs_is_not_made(campaign):
    study = campaign().get("pilot")
    sharp, time = study.tables.values()
    assert not sharp.has_runs and time.has_runs
    assert time.rows == ("dir0.1",)
    made = targets(study)
    assert (
        "results/pilot/smoke/tables/table-2.md" in made
        and "results/pilot/smoke/tables/table-1.csv" not in made
    )


def files(study, table, what):
    return STAGES["table"].inputs(study, {"table": table})[what]


def test_only_a_table_that_measures_a_cost_reads_the_clock(campaign):
    study = campaign().get("pilot", "paper")
    assert files(study, "table-1", "timing") == []
    assert files(study, "table-2", "timing") == [
        f"results/pilot/paper/runs/{run.path}/timing.csv" for run in study.runs
    ]
    assert files(study, "table-2", "curvature") == []
    assert sorted(files(study, "table-1", "curvature")) == [
        f"results/pilot/paper/curvature/sharp/digits_{method}_seed{seed}/curvature.csv"
        for method in ("fedavg", "longer")
        for seed in (0, 1)
    ]


def plain(table):
    return json.dumps(asdict(table), sort_keys=True)


def test_settings_survive_the_journey_to_the_job_and_name_every_measure(campaign):
    study = campaign().get("pilot", "paper")
    settings = decode(encode(STAGES["table"].settings(study, {"table": "table-1"})))
    assert list(plugins_in(settings)) == [("measure", "final"), ("measure", "eigenvalue")]
    table = PaperTable.of(settings["table"])
    assert [column.measure and column.measure.kind for column in table.columns] == [
        "final",
        "eigenvalue",
        None,
    ]
    (first, _), _, _ = table.cells[0]
    assert first.seed == 0 and first.runs == ["digits/convnet/iid/random/fedavg/seed0"]
    assert table.published[0] == [52.9, 297, None]
    assert plain(table) == plain(study.tables["table-1"])


def test_one_tables_numbers_reach_no_other_job(campaign):
    before = campaign().get("pilot", "paper")
    after = campaign(("52.9", "53.9")).get("pilot", "paper")

    def changed(stage, wildcards):
        return STAGES[stage].settings(before, wildcards) != STAGES[stage].settings(after, wildcards)

    assert changed("table", {"table": "table-1"})
    assert not changed("table", {"table": "table-2"}) and not changed("tables", {})


CHOSEN = (
    ("datasets: [digits]", "datasets: [digits]\nvalidation: 0.1"),
    ("measure: final, column", "measure: final, choose: validation_accuracy, column"),
)


def test_of_a_grid_several_points_make_a_cell_if_one_is_chosen(campaign):
    table = (
        campaign(
            *CHOSEN, ("method: [fedavg, longer]}, measure: final", "method: [fedavg, tuned]}, measure: final")
        )
        .get("pilot", "paper")
        .tables["table-1"]
    )
    methods = [[run.split("/")[4] for run in case.runs] for case in table.cells[1][0]]
    assert methods == [["tuned.g1", "tuned.g2"]] * 2
    assert table.columns[0].measure.settings["choose"] == "validation_accuracy"
    with pytest.raises(FedscapeError, match="several runs of one seed"):
        campaign(("method: [fedavg, longer]}, measure: final", "method: [fedavg, tuned]}, measure: final"))
    with pytest.raises(FedscapeError, match="several runs of one seed"):  # a grid and another method
        campaign(
            *CHOSEN, ("method: [fedavg, longer]}, measure: final", "method: [longer, tuned]}, measure: final")
        )


def test_a_measure_of_several_runs_takes_them_all_seed_by_seed(campaign):
    edit = (
        "{label: accuracy, where: {method: [fedavg, longer]}, measure: final, column: test_accuracy, percent: true}",
        "{label: accuracy, measure: spread, across: method, percent: true}",
    )
    table = campaign(edit).get("pilot", "paper").tables["table-1"]
    assert [len(case.runs) for case in table.cells[1][0]] == [3, 3]


def test_intervals_and_ranks_reach_the_job(campaign):
    edits = (
        ("    title: Time\n", "    title: Time\n    interval: bootstrap\n"),
        ("over: iid", "rank: lowest"),
    )
    settings = decode(
        encode(STAGES["table"].settings(campaign(*edits).get("pilot", "paper"), {"table": "table-2"}))
    )["table"]
    assert settings["interval"] == "bootstrap"
    assert [(one["rank"], one["percent"]) for one in settings["columns"]] == [
        (None, True),
        ("lowest", False),
        (None, True),
    ]
    plain = STAGES["table"].settings(campaign().get("pilot", "paper"), {"table": "table-2"})["table"]
    assert plain["interval"] == "student"


def test_settings_of_the_server_vary_in_a_grid(campaign):
    edit = (
        "grid: {lr: [0.1, 0.2], momentum: [0.5]}",
        "server: momentum, grid: {lr: [0.1], server.lr: [0.5, 1]}",
    )
    study = campaign(edit).get("pilot", "paper")
    servers = [study.methods[f"tuned.g{i}"].server for i in (1, 2)]
    assert [(server.kind, server.settings["lr"], server.settings["momentum"]) for server in servers] == [
        ("momentum", 0.5, 0.9),
        ("momentum", 1.0, 0.9),
    ]
    assert STAGES["tables"].settings(study, {})["grids"] == [
        ["tuned.g1", "lr=0.1;server.lr=0.5"],
        ["tuned.g2", "lr=0.1;server.lr=1.0"],
    ]


def test_the_points_of_a_grid_are_spelled_for_the_table_of_runs(campaign):
    settings = STAGES["tables"].settings(campaign().get("pilot", "paper"), {})
    assert settings["grids"] == [["tuned.g1", "lr=0.1;momentum=0.5"], ["tuned.g2", "lr=0.2;momentum=0.5"]]
    none = campaign(
        (
            "  smoke:\n    seeds: [0]\n    runs: [{partition: dir0.1}]",
            "  smoke:\n    runs: [{partition: dir0.1, method: fedavg}]",
        )
    )
    assert STAGES["tables"].settings(none.get("pilot"), {})["grids"] == []


REFUSED = {
    "unknown measure": (("measure: final", "measure: finals"), "tables.table-1.columns[0]: unknown measure 'finals'; did you mean 'final'?"),
    "unknown setting": (("column: test_accuracy", "colum: test_accuracy"), "tables.table-1.columns[0]: unknown key 'colum'; did you mean 'column'?"),
    "a setting without a measure": (("{label: trace}", "{label: trace, colum: 1}"), "tables.table-1.columns[2]: key 'colum' needs a `measure`"),
    "no curvature": ((", curvature: sharp}", "}"), "tables.table-1.columns[1]: key 'curvature' is missing (measure eigenvalue)"),
    "unknown curvature": (("curvature: sharp}", "curvature: shap}"), "tables.table-1.curvature: unknown name 'shap'; did you mean 'sharp'?"),
    "unknown partition": (("where: {partition: iid}", "where: {partition: iit}"), "tables.table-1.where.partition: unknown partition 'iit'; did you mean 'iid'?"),
    "unknown method of a row": (("where: {method: fedavg}}", "where: {method: fedavgg}}"), "tables.table-1.rows[0].where.method: unknown method 'fedavgg'"),
    "unknown method of a column": (("where: {method: [fedavg, longer]}", "where: {method: [fedavg, long]}"), "tables.table-1.columns[0].where.method: unknown method 'long'"),
    "a row without runs": (("where: {method: fedavg}}", "where: {method: tuned}}"), "tables.table-1: row 'FedAvg': no scale has a run of it"),
    "a column without runs": (("{label: seconds}", "{label: seconds, where: {method: longer}}"), "tables.table-2: column 'seconds': no scale has a run of it"),
    "several runs of a seed": (("    where: {partition: iid}\n", ""), "tables.table-1 (FedAvg, accuracy): several runs of one seed (digits/convnet/iid/random/fedavg/seed0 and digits/convnet/dir0.1/random/fedavg/seed0); narrow `where`"),
    "two rows of one name": (("label: Longer", "label: FedAvg"), "tables.table-1.rows: two are called 'FedAvg'"),
    "numbers of no row": (("FedAvg: [52.9", "FedAvgg: [52.9"), "tables.table-1.published: unknown row 'FedAvgg'; did you mean 'FedAvg'?"),
    "too few numbers": (("[52.9, 297, null]", "[52.9, 297]"), "tables.table-1.published.FedAvg: 2 numbers for 3 columns"),
    "a number that is text": (("[52.9, 297, null]", "[52.9, 1e-1, null]"), "tables.table-1.published.FedAvg.1: '1e-1' is text"),
    "over no row": (("over: iid", "over: iit"), "tables.table-2.over: unknown row 'iit'; did you mean 'iid'?"),
    "a name that is taken": (("  table-1:", "  costs:"), "tables.costs: every study has a table of this name"),
    "unknown key of runs": (("rows: partition", "rows: alpha"), "tables.table-2.rows: got 'alpha', not one of the allowed forms: a key of runs such as `method`"),
    "a choice without held-out samples": (("measure: final, column", "measure: final, choose: validation_accuracy, column"), "tables.table-1.columns[0].choose: validation_accuracy needs `validation`"),
    "a choice on the test set": (("measure: final, column", "measure: final, choose: test_accuracy, column"), "tables.table-1.columns[0].choose: got 'test_accuracy', expected one of validation_accuracy, validation_loss or null"),
    "a ratio and a rank": (("over: iid", "over: iid, rank: lowest"), "tables.table-2.columns[1]: `over` and `rank` go one without the other"),
    "unknown interval": (("    title: Time\n", "    title: Time\n    interval: normal\n"), "tables.table-2.interval: unknown value 'normal'; allowed: student, bootstrap"),
    "a server without the setting": (("grid: {lr: [0.1, 0.2], momentum: [0.5]}", "grid: {server.lr: [0.5]}"), "methods.tuned (grid point 1).server: unknown key 'lr'; allowed: none"),
    "a grid over what a run keeps": (("grid: {lr: [0.1, 0.2], momentum: [0.5]}", "grid: {server: [adam]}"), "methods.tuned.grid: 'server' cannot vary in a grid; settings of training can, and those of the server (server.lr)"),
    "a name of a grid point": (("  longer: {", "  longer.g2: {"), "methods.longer.g2: names that end in .g and a number are those of grid points"),
    "no title": (("    title: Time\n", ""), "tables.table-2: key 'title' is missing"),
    "tables at a scale": (("  smoke:\n", "  smoke:\n    tables: {}\n"), "unknown key 'tables'"),
}  # fmt: skip


@pytest.mark.parametrize("slip", REFUSED)
def test_a_slip_is_refused_in_one_line(campaign, slip):
    edit, message = REFUSED[slip]
    with pytest.raises(FedscapeError) as error:
        campaign(edit)
    assert message in str(error.value)
    assert "config/studies/pilot.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_every_cell_of_the_fedalign_study_is_run_at_the_papers_scale():
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    study = read_campaign(ROOT, config).get("fedalign", "paper")
    for table in study.tables.values():
        for row in table.cells:
            assert all(cell for cell, column in zip(row, table.columns, strict=True) if column.measure)
