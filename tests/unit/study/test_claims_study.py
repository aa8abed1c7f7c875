"""Claims in a study file: which runs, pairs and groups they are about, and slips."""

import json
from dataclasses import asdict

import pytest
import yaml
from edited_study import ROOT, reader

from fedscape.columns.kinds import FILES
from fedscape.errors import FedscapeError
from fedscape.settings.claims import Claim
from fedscape.study.campaign import read_campaign
from fedscape.study.catalog import constant, names
from fedscape.study.contracts import MEASURE_SOURCES
from fedscape.study.encoding import decode, encode
from fedscape.study.stages.every import SECTION_OF_ENTRY, STAGES
from fedscape.study.stages.stage import RESULTS
from fedscape.study.stages.tables import MEASURED_ON
from fedscape.study.tracked import plugins_in

STUDY = """
title: A study
datasets: [digits]
models: {convnet: {}}
partitions:
  iid: {scheme: iid, clients: 4}
  dir1.0: {scheme: dirichlet, clients: 4, alpha: 1.0}
  dir0.1: {scheme: dirichlet, clients: 4, alpha: 0.1}
inits: {random: {kind: random}}
methods: {fedavg: {rounds: 2, client_rounds: [1], grid: {lr: [0.1, 0.2]}}}
runs: [{}]
planes:
  paths: {kind: trajectory, runs: [{method: fedavg.g1}]}
connectivity:
  ends: {kind: path, from: {partition: iid}, to: {partition: [dir1.0, dir0.1]}, each: [method]}
curvature:
  sharp: {runs: [{partition: [iid, dir1.0]}], each: [method]}
claims:
  - claim: Less IID, larger loss
    source: Figure 1
    measure: final
    where: {method: fedavg}
    cases: [{partition: iid}, {partition: dir1.0}, {partition: dir0.1}]
    expect: {order: increasing}
  - {claim: Barriers, source: Figure 2, measure: barrier, connectivity: ends, cases: [{partition: [iid, dir0.1]}], expect: {above: 0}}
  - {claim: Farther, source: Figure 3, measure: deviation, plane: paths, cases: [{partition: dir0.1}], expect: {above: 0}}
scales:
  paper: {}
  smoke:
    runs: [{partition: [iid, dir1.0]}]
    planes: {paths: null}
    connectivity: {ends: {to: {partition: dir1.0}}}
"""


@pytest.fixture
def campaign(tmp_path):
    """Read the study above after an edit."""
    return reader(tmp_path, STUDY)


def partition_of(path):
    return path.split("/")[2]


def seed_of(path):
    return int(path.rpartition("/seed")[2])


def test_cases_are_the_runs_pairs_and_groups_that_match(campaign):
    losses, barriers, farther = campaign().get("pilot", "paper").claims
    assert [side.cases[0].runs for side in losses.sides] == [
        tuple(f"digits/convnet/{partition}/random/fedavg.g{i}/seed0" for i in (1, 2))
        for partition in ("iid", "dir1.0", "dir0.1")
    ]
    (ends,) = barriers.cases
    assert {partition_of(run) for run in ends.runs} == {"iid", "dir0.1"} and len(ends.runs) == 4
    assert len(ends.groups) == 2 and (barriers.section, barriers.name) == ("connectivity", "ends")
    (one,) = farther.cases
    assert one.runs == ("digits/convnet/dir0.1/random/fedavg.g1/seed0",)
    assert one.groups == ("digits_all_seed0",)
    # Distances are from the plane's first run: it must not have diverged either.
    assert {partition_of(run) for run in one.needs} == {"iid", "dir0.1"}


def test_the_first_run_of_each_seed_must_not_have_diverged_either(campaign):
    plane = (
        "kind: trajectory, runs: [{method: fedavg.g1}]",
        "kind: trajectory, runs: [{method: fedavg.g1}], seeds: together",
    )
    *_, farther = (
        campaign(("datasets: [digits]\n", "datasets: [digits]\nseeds: [0, 1]\n"), plane)
        .get("pilot", "paper")
        .claims
    )
    assert farther.seeds == [0, 1]
    for case in farther.sides[0].cases:
        # The plane's centre, and of this seed the run that distances are from.
        assert {(partition_of(run), seed_of(run)) for run in case.needs} == {
            ("iid", 0),
            ("iid", case.seed),
            ("dir0.1", case.seed),
        }


CROSSED = """  - claim: Both
    source: Figure 4
    measure: final
    cases: [{partition: [iid, dir1.0], method: [fedavg.g1, fedavg.g2]}]
    expect: {above: 0}
scales:
"""


def test_lists_mean_all_of_their_runs_crossed(campaign):
    cross = ("scales:\n", CROSSED)
    (both,) = campaign(cross).get("pilot", "paper").claims[3].cases
    assert len(both.runs) == 4
    # Here each partition and each method is there, but not each with each.
    ragged = [{"partition": "iid"}, {"partition": "dir1.0", "method": "fedavg.g1"}]
    smoke = ("    runs: [{partition: [iid, dir1.0]}]\n", f"    runs: {ragged}\n")
    pairs = ("    connectivity: {ends: {to: {partition: dir1.0}}}", "    connectivity: {ends: null}")
    study = campaign(cross, smoke, pairs)
    assert [len(study.get("pilot", scale).claims[3].cases) for scale in ("paper", "smoke")] == [1, 0]


def test_both_ends_of_pairs_count_as_runs_of_a_list(campaign):
    pairs = (
        "cases: [{partition: [iid, dir0.1]}]",
        "cases: [{partition: [iid, dir0.1], method: [fedavg.g1, fedavg.g2]}]",
    )
    assert len(campaign(pairs).get("pilot", "paper").claims[1].cases[0].runs) == 4
    one = (
        "each: [method]}",
        "each: [method]}\n  few: {kind: path, from: {partition: iid, method: fedavg.g1}, to: {partition: dir0.1, method: fedavg.g2}}",
    )
    none = ("{ends: {to: {partition: dir1.0}}}", "{ends: {to: {partition: dir1.0}}, few: null}")
    with pytest.raises(FedscapeError, match=r"claims\[1\].cases\[0\]: no scale has all of these runs of few"):
        campaign(pairs, one, none, ("connectivity: ends", "connectivity: few"))


def test_what_a_scale_lacks_is_no_slip(campaign):
    losses, barriers, farther = campaign().get("pilot").claims
    assert [side.has_runs for side in losses.sides] == [True, True, False]
    assert [side.has_runs for side in (*barriers.sides, *farther.sides)] == [False, False]
    assert not any(claim.cases for claim in (losses, barriers, farther))


def test_sides_are_compared_on_the_seeds_that_all_of_them_have(campaign):
    seeds = ("datasets: [digits]\n", "datasets: [digits]\nseeds: [0, 1, 2]\n")
    some = ("runs: [{}]\n", "runs: [{partition: [iid, dir0.1]}, {partition: dir1.0, seed: [1, 2]}]\n")
    losses, barriers, farther = campaign(seeds, some).get("pilot", "paper").claims
    assert [[case.seed for case in side.cases] for side in losses.sides] == [[1, 2]] * 3
    assert losses.seeds == [1, 2] and len(losses.cases) == 6
    assert {seed_of(run) for run in barriers.sides[0].cases[2].runs} == {2}
    assert {group[-5:] for group in barriers.sides[0].cases[2].groups} == {"seed2"}
    assert farther.seeds == [0, 1, 2]


AGREEMENT = """
  - claim: Another order
    source: Figure 4
    measure: rank-agreement
    between: partition
    choose: null
    where: {partition: [iid, dir0.1]}
    cases: [{method: [fedavg.g1, fedavg.g2]}]
    expect: {below: 1}
    seeds: together
    learned: any
scales:
"""


def test_seeds_may_be_taken_together(campaign):
    seeds = ("datasets: [digits]\n", "datasets: [digits]\nseeds: [0, 1, 2]\n")
    some = ("runs: [{}]\n", "runs: [{partition: [iid, dir1.0]}, {partition: dir0.1, seed: [1, 2]}]\n")
    alone = ("    seeds: together\n    learned: any\n", "")
    (*_, together), (*_, each) = (
        campaign(seeds, some, ("\nscales:\n", text)).get("pilot", "paper").claims
        for text in (AGREEMENT, AGREEMENT.replace(*alone))
    )
    assert together.seeds == each.seeds == [1, 2] and (each.learned, together.learned) == (False, "any")
    (side,), (of_both,) = each.sides, together.sides
    (case,) = of_both.cases
    assert case.runs == tuple(run for one in side.cases for run in one.runs) == case.needs
    assert case.seeds == (1, 2) and case.seed == 1


def plain(claims):
    return json.dumps([asdict(claim) for claim in claims], sort_keys=True)


def test_settings_survive_the_journey_to_the_job_and_name_every_measure(campaign):
    study = campaign().get("pilot", "paper")
    settings = decode(encode(STAGES["claims"].settings(study, {})))
    assert [kind for _, kind in plugins_in(settings)] == ["final", "barrier", "deviation"]
    claims = [Claim.of(values) for values in settings["claims"]]
    (side,) = claims[2].sides
    assert side.where == {"partition": ["dir0.1"]} and side.has_runs
    assert [(case.seed, case.groups) for case in side.cases] == [(0, ["digits_all_seed0"])]
    assert plain(claims) == plain(study.claims)


REFUSED = {
    "unknown measure": (("measure: final", "measure: finals"), "claims[0]: unknown measure 'finals'; did you mean 'final'?"),
    "unknown setting": (("measure: final\n", "measure: final\n    colum: test_loss\n"), "claims[0]: unknown key 'colum'; did you mean 'column'?"),
    "unknown column": (("measure: final\n", "measure: final\n    column: loss\n"), "claims[0].column: got 'loss', expected one of train_loss"),
    "a round for a word": (("measure: final\n", "measure: final\n    rounds: 5\n"), "claims[0].rounds: got 5, expected one of last, last-fifth"),
    "unknown plane": (("plane: paths", "plane: path"), "claims[2].plane: unknown name 'path'; did you mean 'paths'?"),
    "unknown connection": (("connectivity: ends", "connectivity: end"), "claims[1].connectivity: unknown name 'end'; did you mean 'ends'?"),
    "no plane": (("plane: paths, ", ""), "claims[2]: key 'plane' is missing (measure deviation)"),
    "a plane too many": (("measure: final\n", "measure: final\n    plane: paths\n"), "claims[0]: takes no 'plane' (measure final)"),
    "unknown partition": (("{partition: dir0.1}]\n", "{partition: dir0.2}]\n"), "claims[0].cases[2].partition: unknown partition 'dir0.2'"),
    "unknown method": (("where: {method: fedavg}", "where: {method: fedavgg}"), "claims[0].where.method: unknown method 'fedavgg'"),
    "runs that no scale has": (("where: {method: fedavg}", "where: {method: fedavg, seed: 1}"), "claims[0].where.seed: unknown seed '1'; allowed: 0"),
    "a pair that is none": (("cases: [{partition: [iid, dir0.1]}]", "cases: [{partition: [dir1.0, dir0.1]}]"), "claims[1].cases[0]: no scale has all of these runs of ends"),
    "the clock": (("measure: final\n", "measure: cost\n"), "claims[0].measure: cost reads the clock"),
    "no curvature": (("measure: final\n", "measure: eigenvalue\n"), "claims[0]: key 'curvature' is missing (measure eigenvalue)"),
    "unknown curvature": (("measure: final\n", "measure: eigenvalue\n    curvature: shap\n"), "claims[0].curvature: unknown name 'shap'; did you mean 'sharp'?"),
    "a run that is not measured": (("measure: final\n", "measure: eigenvalue\n    curvature: sharp\n"), "claims[0].cases[2]: no scale has all of these runs of sharp"),
    "a difference of one": (("expect: {above: 0}}\n  - {claim: F", "expect: {difference: {below: 2}}}\n  - {claim: F"), "claims[1].expect.difference: needs two cases or more, got 1"),
    "gains of three": (("{order: increasing}", "{gains: {above: 0}}"), "claims[0].expect.gains: compares cases in pairs, got 3"),
    "an order of one gain": (("{partition: dir0.1}]\n    expect: {order: increasing}", "]\n    expect: {gains: {order: increasing}}"), "claims[0].expect.gains.order: needs two cases or more, got 1"),
    "unknown expectation": (("{order: increasing}", "{order: up}"), "claims.0.expect.order: unknown value 'up'"),
    "two expectations": (("{order: increasing}", "{order: increasing, above: 0}"), "claims.0.expect"),
    "no expectation": (("    expect: {order: increasing}\n", ""), "claims.0: key 'expect' is missing"),
    "a number that is text": (("expect: {above: 0}}\n  - {claim: F", "expect: {above: 1e-1}}\n  - {claim: F"), "claims.1.expect.above: '1e-1' is text"),
    "an order of one": (("expect: {above: 0}}\n  - {claim: F", "expect: {order: increasing}}\n  - {claim: F"), "claims[1].expect.order: needs two cases or more, got 1"),
    "a ratio of one": (("expect: {above: 0}}\n  - {claim: F", "expect: {ratio: {below: 2}}}\n  - {claim: F"), "claims[1].expect.ratio: needs two cases or more, got 1"),
    "seeds one by one": (("{order: increasing}\n", "{order: increasing}\n    seeds: each\n"), "claims.0.seeds: unknown value 'each'; allowed: together"),
    "seeds together of any measure": (("{order: increasing}\n", "{order: increasing}\n    seeds: together\n"), "claims[0].seeds: measure final is of a seed; together are those of rank-agreement"),
    "seeds together of two cases": (("\nscales:\n", AGREEMENT.replace("}]\n    expect", "}, {}]\n    expect")), "claims[3].seeds: together are those of one case, got 2"),
    "another way to learn": (("{order: increasing}\n", "{order: increasing}\n    learned: some\n"), "claims.0.learned: unknown value 'some'; allowed: true, false, any"),
    "a key twice": (("where: {method: fedavg}", "where: {method: fedavg, partition: iid}"), "claims[0].cases[0].partition: `where` names partition too; keep one of them"),
    "a plane of another kind": (("measure: deviation", "measure: off-centre"), "claims[2].plane: kind off-centre does not measure planes of kind trajectory; allowed: clients"),
    "a plane of clients": (("kind: trajectory, runs: [{method: fedavg.g1}]", "kind: clients, runs: [{partition: dir0.1, method: fedavg.g1}], round: 1"), "claims[2].plane: kind deviation does not measure planes of kind clients; allowed: "),
    "pairs of three": (("{order: increasing}", "{agree: 0.1}"), "claims[0].expect.agree: compares cases in pairs, got 3"),
    "no case": (("cases: [{partition: dir0.1}]", "cases: []"), "claims.2.cases"),
    "unknown key of a case": (("cases: [{partition: dir0.1}]", "cases: [{alpha: 1}]"), "unknown key 'alpha'"),
    "claims at a scale": (("  smoke:\n", "  smoke:\n    claims: []\n"), "unknown key 'claims'"),
}  # fmt: skip


@pytest.mark.parametrize("slip", REFUSED)
def test_a_slip_is_refused_in_one_line(campaign, slip):
    edit, message = REFUSED[slip]
    with pytest.raises(FedscapeError) as error:
        campaign(edit)
    assert message in str(error.value)
    assert "config/studies/pilot.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_every_measure_says_what_it_reads():
    for kind in names("measure"):
        assert set(constant("measure", kind, "SOURCES")) <= {*MEASURE_SOURCES}


def test_what_measures_read_lies_with_the_analysis_that_entries_name():
    assert {*MEASURE_SOURCES} == {"runs", "rounds", "timing", *MEASURED_ON}
    assert {FILES[source].entry for source in MEASURED_ON} == {*SECTION_OF_ENTRY}
    for source, (stage, output) in MEASURED_ON.items():
        section = SECTION_OF_ENTRY[FILES[source].entry]
        assert stage.outputs[output].startswith(f"{RESULTS}/{section}/")


def test_eigenvalues_are_measured_on_the_runs_and_groups_of_a_curvature(campaign):
    edits = [
        ("measure: final\n", "measure: eigenvalue\n    curvature: sharp\n"),
        (", {partition: dir0.1}]\n", "]\n"),
    ]
    sharp, *_ = campaign(*edits).get("pilot", "paper").claims
    assert (sharp.section, sharp.name) == ("curvature", "sharp")
    one, _ = sharp.cases
    assert [run.split("/")[4] for run in one.runs] == ["fedavg.g1", "fedavg.g2"]
    assert one.groups == ("digits_fedavg.g1_seed0", "digits_fedavg.g2_seed0") and one.needs == one.runs


@pytest.mark.parametrize("name", ["pilot", "fedalign"])
def test_every_claim_of_a_study_can_be_tested_at_the_papers_scale(name):
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    study = read_campaign(ROOT, config).get(name, "paper")
    assert study.claims
    assert all(claim.seeds for claim in study.claims)
