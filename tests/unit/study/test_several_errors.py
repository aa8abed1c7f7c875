"""A study file with several slips: all of them are told at once, each in a line."""

import pytest
from broken_input import GONE, STUDY, Repository, changed

from fedscape.cli import main
from fedscape.errors import FedscapeError
from fedscape.study.problems import MOST, FedscapeErrors, Problems, told

FILE = "config/studies/pilot.yaml"
HERE = f"{FILE} (scale paper)"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return Repository(tmp_path_factory.mktemp("several"))


def said(repository, *changes) -> list[str]:
    """The lines about the study with some values changed."""
    study = STUDY
    for where, value in changes:
        study = changed(study, where, value)
    with pytest.raises(FedscapeError) as error:
        repository.read(study)
    first, *others = told(error.value).split("\n")
    assert first == f"fedscape: {error.value}"
    return [str(error.value), *(line.strip() for line in others)]


def test_what_the_schema_refuses(repository):
    lines = said(
        repository,
        ("title", GONE),
        ("models", GONE),
        ("tittle", "A study"),
        ("sedes", [0]),
        ("partitions/iid/clients", 0),
        ("planes/finals/grid", "five"),
    )
    assert {f"{FILE}: key '{key}' is missing" for key in ("title", "models")} < {*lines}
    assert f"{FILE}: partitions.iid.clients: got 0, must be >= 1" in lines
    assert sum("unknown key" in line for line in lines) == 2
    assert any("unknown key 'sedes'; did you mean 'seeds'? allowed: " in line for line in lines)
    assert any(line.startswith(f"{FILE}: planes.finals.grid: got 'five'") for line in lines)
    assert len(lines) == 6


def test_models_partitions_and_methods_are_told_together_and_each_once_for_all_scales(repository):
    lines = said(
        repository,
        ("datasets", ["digits", "digist"]),
        ("models/convnet", {"widht": 1}),
        ("partitions/dir/alpha", None),
        ("methods/fedavg/lr", True),
        ("methods/fedavg/monentum", 0.9),
        ("methods/tuned/mu", -1),
    )
    assert [line.partition(", ")[0].partition("; ")[0] for line in lines] == [
        f"{HERE}: datasets: unknown data set 'digist'",
        f"{HERE}: models.convnet: unknown key 'widht'",
        f"{HERE}: partitions.dir.alpha: got None",
        f"{HERE}: methods.fedavg: unknown key 'monentum'",
        f"{HERE}: methods.fedavg.lr: got True",
        f"{HERE}: methods.tuned (grid point 1): mu must be >= 0",
        f"{HERE}: methods.tuned (grid point 2): mu must be >= 0",
    ]


def test_analyses_are_told_together(repository):
    lines = said(
        repository,
        ("planes/finals/runs", [{"model": "nobody"}]),
        ("planes/local/round", 3),
        ("connectivity/line/to", {"partition": "iid"}),
        ("drift/moves/runs", [{"partition": "nowhere"}]),
    )
    assert [line.partition(": ")[2].partition(":")[0] for line in lines] == [
        "planes.finals.runs[0].model",
        "planes.local.round",
        "connectivity.line",
        "drift.moves.runs[0].partition",
        "planes.local.round",  # another error at the scale of two rounds
    ]


def test_figures_claims_and_tables_are_told_together(repository):
    lines = said(
        repository,
        ("figures/surface/plane", "final"),
        ("figures/line/kind", "contour"),
        ("claims/0/plane", "finals"),
        ("tables/table-1/published/iid", [1, 2]),
    )
    assert [line.removeprefix(f"{HERE}: ").partition(":")[0] for line in lines] == [
        "figures.surface.plane",
        "figures.line",
        "claims[0]",
        "tables.table-1.published.iid",
    ]
    assert "did you mean 'finals'?" in lines[0]


def test_kinds_that_are_not_there_are_told_beside_wrong_methods(repository):
    lines = said(
        repository,
        ("figures/line/kind", "interpolated"),
        ("planes/local/kind", "client"),
        ("claims/0/measure", "finals"),
        ("methods/fedavg/lr", True),
    )
    assert [line.removeprefix(f"{HERE}: ").partition(";")[0] for line in lines] == [
        "methods.fedavg.lr: got True, expected a number",
        "planes.local: unknown plane 'client'",
        "figures.line: unknown figure 'interpolated'",
        "claims[0]: unknown measure 'finals'",
    ]


def test_what_only_follows_is_not_told(repository):
    assert len(said(repository, ("methods/fedavg/lr", True))) == 1


def test_a_long_list_ends_with_a_number(repository):
    slips = [(f"methods/fedavg/wrong{number}", 1) for number in range(2 * MOST)]
    lines = said(repository, *slips)
    assert len(lines) == MOST + 1 and lines[-1] == f"and {MOST} more"


def test_one_error_stays_what_it_is():
    problems = Problems()
    assert problems.of(int, "1") == 1 and not problems
    problems.tell()
    problems.add("a: wrong")
    with pytest.raises(FedscapeError) as error:
        problems.tell()
    assert not isinstance(error.value, FedscapeErrors) and told(error.value) == "fedscape: a: wrong"


def test_the_command_tells_all(repository, monkeypatch, capsys):
    repository.read()
    (repository.folder / "Snakefile").touch()
    (repository.folder / "config" / "config.yaml").write_text("study: pilot\nscale: paper\ndata_root: data\n")
    monkeypatch.chdir(repository.folder)
    with pytest.raises(FedscapeError):
        repository.read(changed(changed(STUDY, "seeds", []), "title", 5))
    assert main(["cost", "pilot"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"fedscape: {FILE}: seeds: got [], needs 1 or more",
        f"  {FILE}: title: got 5, expected text",
    ]
