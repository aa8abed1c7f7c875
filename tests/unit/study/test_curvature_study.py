"""Entries of `curvature` in a study file: defaults, what their jobs take, and what is refused in one line."""

import pytest
from edited_study import reader

from fedscape.errors import FedscapeError
from fedscape.study.encoding import decode, encode
from fedscape.study.stages.every import STAGES

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
  fedavg: {rounds: 10, client_rounds: [0.5, last]}
  other: {algorithm: fedavg, rounds: 4, keep_rounds: [2]}
runs: [{}]
curvature:
  sharp: {runs: [{method: fedavg}], each: [method]}
figures:
  spectrum: {kind: spectrum, curvature: dense}
scales:
  smoke:
    curvature:
      dense: {runs: [{method: fedavg}], density: {probes: 2}}
"""
ENTRY = "sharp: {runs: [{method: fedavg}], each: [method]"


RANK_CORRELATION = """claims:
  - {claim: The flatter the better, source: Nobody, measure: rank-correlation, curvature: sharp,
     cases: [{method: fedavg}], expect: {above: 0}}
"""


@pytest.fixture
def campaign(tmp_path):
    """Read the study above after an edit."""
    return reader(tmp_path, STUDY)


def entry(campaign, more, name="sharp"):
    """The study with more settings in an entry."""
    return campaign((ENTRY, f"{ENTRY}, {more}")).get("pilot")


def test_an_entry_measures_the_largest_eigenvalue_of_global_models_and_needs_no_other_file(campaign):
    study = campaign().get("pilot")
    settings = study.analyses["curvature"]["sharp"].settings
    assert (settings.top, settings.bottom, settings.trace, settings.density) == (
        1,
        0,
        "none",
        None,
    )
    assert (settings.rounds, settings.of, settings.data) == (("last",), ("global",), ("global",))
    assert (settings.hessian_agreement, settings.layers, settings.samples) == ((), False, None)
    group = "digits_fedavg_seed0"
    inputs = STAGES["curvature"].inputs(study, {"name": "sharp", "group": group})
    assert inputs["clients"] == inputs["partitions"] == []


def test_clients_models_and_their_own_samples_are_inputs_where_they_are_looked_at(campaign):
    group = "digits_fedavg_seed1"
    runs = [f"digits/convnet/{one}/random/fedavg/seed1" for one in ("iid", "dir0.1")]
    clients = [f"results/pilot/smoke/runs/{run}/clients.safetensors" for run in runs]
    own = [f"results/pilot/smoke/partitions/digits/{one}/seed1.npz" for one in ("iid", "dir0.1")]
    for more, partitions in (
        ("of: [clients]", []),
        ("hessian_agreement: [code], rounds: [0.5, last]", []),
        ("of: [global, clients], data: [global, own]", own),
        ("hessian_agreement: [paper], data: [own]", own),
        ("of: [mean]", own),
        ("of: [mean], data: [own], top: 0, sharpness: {rays: [0.1]}", own),
    ):
        study = entry(campaign, more)
        inputs = STAGES["curvature"].inputs(study, {"name": "sharp", "group": group})
        assert (inputs["clients"], inputs["partitions"]) == (clients, partitions)


def test_settings_survive_the_journey_to_the_job(campaign):
    study = entry(campaign, "trace: hutch++, density: {steps: 9}, rounds: [0, 0.5, last]")
    wildcards = {"name": "sharp", "group": "digits_fedavg_seed0"}
    settings = STAGES["curvature"].settings(study, wildcards)
    assert decode(encode(settings)) == {**settings, "model": dict(settings["model"])}
    assert settings["density"] == {"steps": 9, "probes": 4, "width": 0.01}
    assert settings["trace"] == "hutch++" and settings["rounds"] == [0, 0.5, "last"]


def test_a_spectrum_is_drawn_from_the_densities_of_all_groups(campaign):
    study = campaign().get("pilot")
    folder = "results/pilot/smoke/curvature/dense"
    files = [f"{folder}/digits_all_seed{seed}/density.csv" for seed in (0, 1)]
    assert STAGES["figure"].inputs(study, {"figure": "spectrum"}) == {"density": files}


REFUSED = {
    "nothing": ("top: 0", r"curvature.sharp: measures nothing; set one of trace, top, bottom, density, hessian_agreement, sharpness"),
    "unknown": ("kind: eigenvalues", r"curvature.sharp: unknown key 'kind'"),
    "a trace": ("trace: hutchpp", r"curvature.sharp.trace"),
    "too few probes": ("trace: xtrace, probes: 4", r"curvature.sharp.probes"),
    "layers of a sketch": (
        "trace: hutch++, layers: true",
        r"curvature.sharp.layers: needs trace auto, exact or hutchinson, got hutch\+\+",
    ),
    "layers of nothing": ("layers: true", r"curvature.sharp.layers: needs trace .*, got none"),
    "own samples of nobody": ("data: [own]", r"curvature.sharp.data: own samples are clients'; add clients or mean to `of`"),
    "sharpness of nothing": ("sharpness: {steps: 9}", "curvature.sharp.sharpness: measures nothing; give radii to worst, average"),
    "no radius": ("sharpness: {worst: [0]}", "curvature.sharp.sharpness.worst"),
    "one ray": ("sharpness: {rays: [0.1], draws: 1}", "curvature.sharp.sharpness.draws"),
    "a mean of nobody": (
        "of: [mean], rounds: [0]", r"curvature.sharp.rounds: round 0 is not among the client_rounds of fedavg"
    ),
    "a round without clients": (
        "of: [clients], rounds: [0, last]",
        r"curvature.sharp.rounds: round 0 is not among the client_rounds of fedavg \(5, 10\)",
    ),
    "a round that is not there": ("rounds: [11]", r"curvature.sharp.rounds: round 11 is past the end"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_slip_is_one_line(campaign, case):
    more, message = REFUSED[case]
    with pytest.raises(FedscapeError, match=message) as error:
        entry(campaign, more)
    assert "\n" not in str(error.value)


def test_rounds_must_be_kept_of_what_is_looked_at(campaign):
    other = (
        "runs: [{method: fedavg}], each: [method]",
        "runs: [{method: other}], each: [method], rounds: [1]",
    )
    with pytest.raises(FedscapeError, match="round 1 is not among the keep_rounds of other"):
        campaign(other)
    clients = (other[0], "runs: [{method: other}], each: [method], hessian_agreement: [code]")
    with pytest.raises(FedscapeError, match=r"round 4 is not among the client_rounds of other \(none\)"):
        campaign(clients)
    # Where only clients are looked at, their round's global model may be missing.
    few = ("keep_rounds: [2]}", "keep_rounds: [2], client_rounds: [3]}")
    study = campaign(few, (other[0], "runs: [{method: other}], of: [clients], rounds: [3]"))
    assert study.get("pilot").analyses["curvature"]["sharp"].settings.rounds == [3]


def test_a_spectrum_needs_a_density(campaign):
    with pytest.raises(FedscapeError, match=r"figures.spectrum.curvature: the entry measures no density"):
        campaign(("curvature: dense}", "curvature: sharp}"))


CLAIM = """  smoke:
claims:
  - {{claim: Sharper, source: Table 1, curvature: sharp, cases: [{{method: fedavg}}], expect: {{above: 0}}, {}}}
scales:
  smoke:
"""
MEASURES = {
    "measure: eigenvalue": None,
    "measure: eigenvalue, at: first": None,
    "measure: eigenvalue, index: 2": "claims[0].curvature: index 2 of an entry with top: 1",
    "measure: eigenvalue, index: -1": "claims[0].curvature: index -1 of an entry with bottom: 0",
    "measure: eigenvalue, index: 0": "claims[0]: index must be 1 (the largest), 2, ... or -1",
    "measure: eigenvalue, of: clients": "claims[0].curvature: clients is not among the entry's of (global)",
    "measure: eigenvalue, data: own": "claims[0].curvature: own is not among the entry's data (global)",
    "measure: trace": "claims[0].curvature: the entry measures no trace",
    "measure: hessian-agreement, quantity: H_D": "claims[0].curvature: paper is not among the entry's hessian_agreement (none)",
    "measure: hessian-agreement": "claims[0]: key 'quantity' is missing",
    "measure: sharpness, quantity: worst, radius: 0.1": "claims[0].curvature: radius 0.1 is not among the entry's for worst (none)",
    "measure: sharpness, quantity: trace, radius: 0.1": "claims[0].quantity",
    "measure: flatness-gap, quantity: worst": "claims[0]: quantity worst needs a radius",
    "measure: flatness-gap": "claims[0].curvature: mean is not among the entry's of (global)",
    "measure: flatness-gap, of: global": "claims[0].curvature: clients is not among the entry's of (global)",
    "measure: rank-correlation, quantity: trace": "claims[0].curvature: the entry measures no trace",
}


SHARPNESS = "of: [clients, mean, global], data: [own, global], sharpness: {worst: [0.05, 0.1]}"
OF_SHARPNESS = {
    "measure: sharpness, quantity: worst, radius: 0.1": None,
    "measure: flatness-gap, quantity: worst, radius: 0.05": None,
    "measure: flatness-gap": None,
    "measure: rank-correlation, quantity: worst, radius: 0.1": None,
    "measure: sharpness, quantity: worst, radius: 0.2": "claims[0].curvature: radius 0.2 is not among the entry's for worst (0.05, 0.1)",
    "measure: sharpness, quantity: rays, radius: 0.1": "claims[0].curvature: radius 0.1 is not among the entry's for rays (none)",
}


@pytest.mark.parametrize("measure", OF_SHARPNESS)
def test_a_sharpness_is_measured_at_the_radii_that_its_entry_has(campaign, measure):
    edits = (
        (ENTRY, f"{ENTRY}, {SHARPNESS}"),
        ("scales:\n  smoke:\n", CLAIM.format(measure).removeprefix("  smoke:\n")),
    )
    if OF_SHARPNESS[measure] is None:
        assert campaign(*edits).get("pilot").claims[0].cases[0].runs
        return
    with pytest.raises(FedscapeError) as error:
        campaign(*edits)
    assert OF_SHARPNESS[measure] in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_measure_of_what_is_not_measured_is_refused(campaign, measure):
    edit = ("scales:\n  smoke:\n", CLAIM.format(measure).removeprefix("  smoke:\n"))
    if MEASURES[measure] is None:
        assert campaign(edit).get("pilot").claims[0].cases[0].runs
        return
    with pytest.raises(FedscapeError) as error:
        campaign(edit)
    assert MEASURES[measure] in str(error.value) and "\n" not in str(error.value)


def test_a_measure_may_read_tables_of_all_runs_beside_curvature(campaign):
    study = campaign(("figures:\n", f"{RANK_CORRELATION}figures:\n")).get("pilot")
    inputs = STAGES["claims"].inputs(study, {})
    assert inputs["rounds"] == ["results/pilot/smoke/tables/rounds.csv"]
    assert inputs["runs"] == ["results/pilot/smoke/tables/runs.csv"]
    assert all("/curvature/sharp/" in path for path in inputs["curvature"]) and inputs["curvature"]
