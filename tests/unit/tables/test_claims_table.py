"""The table of claims: values of their cases, what diverged or is missing, and the page to read."""

import pandas as pd
import pytest
from claim_frames import curvature, markers, surface
from layer_frames import layers_frame
from table_files import write_table

from fedscape.columns.csvs import write_csv
from fedscape.columns.identity import IDENTITY
from fedscape.columns.kinds import FILES
from fedscape.columns.runs import QUALITY
from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin
from fedscape.settings.claims import Case, Claim, Expectation, Side
from fedscape.study.contracts import MEASURE_SOURCES
from fedscape.tables.claims import make_claims

NAMES = {
    "study": "pilot", "scale": "smoke", "dataset": "digits", "model": "convnet", "partition": "iid", "init": "random",
    "method": "fedavg", "seed": 0,
}  # fmt: skip


def path_of(partition, seed=0):
    return f"digits/convnet/{partition}/random/fedavg/seed{seed}"


def case(*partitions, groups=(), needs=(), seeds=(0,), run=True):
    """A side of a claim, with a case of each seed."""

    def of(seed):
        runs = [path_of(one, seed) for one in partitions]
        return Case((seed,), runs, groups, [*runs, *(path_of(one, seed) for one in needs)])

    where = {"init": ["random"], "partition": list(partitions)}
    return Side(where, has_runs=run, cases=[of(seed) for seed in seeds] if run else [])


def claim(sides, expect, section="", name="", learned=False):
    """A claim but for its measure, as a job takes it."""
    return {
        "text": "It, so", "source": "Figure 3a", "section": section, "name": name, "sides": sides,
        "expect": Expectation.of(expect), "learned": learned,
    }  # fmt: skip


@pytest.fixture
def tested(tmp_path):
    """Write CSVs and make the table of some claims; gives its rows and the page."""

    def make(
        *claims, runs=(), rounds=None, barriers=None, layers=None, planes=(), curvatures=None, without=()
    ):
        rows = [{**NAMES, "diverged": False, **dict.fromkeys([*QUALITY, "best_test_accuracy"], 0.5), **run} for run in runs]  # fmt: skip
        write_table(tmp_path / "runs.csv", pd.DataFrame(rows), "runs", IDENTITY)
        files = {source: [] for source in MEASURE_SOURCES if source != "timing"}
        files["runs"] = [tmp_path / "runs.csv"]
        if barriers is not None:
            frame = pd.DataFrame([{**NAMES, **row} for row in barriers], columns=FILES["barriers"].columns)
            write_csv(tmp_path / "barriers.csv", frame, IDENTITY)
            files["barriers"] = [tmp_path / "barriers.csv"]
        if rounds is not None:
            table = pd.DataFrame([{**NAMES, "diverged": False, **row} for row in rounds])
            write_table(tmp_path / "rounds.csv", table, "rounds", FILES["rounds"].keys)
            files["rounds"] = [tmp_path / "rounds.csv"]
        if layers is not None:
            write_table(tmp_path / "layers.csv", layers, "layers", IDENTITY)
            files["layers"] = [tmp_path / "layers.csv"]
        if curvatures is not None:
            table = pd.DataFrame([{**NAMES, **row} for row in curvatures])
            write_table(tmp_path / "h.csv", table, "curvature", FILES["curvature"].keys)
            files["curvature"] = [tmp_path / "h.csv"]
        for i, (marked, grid) in enumerate(planes):
            write_table(tmp_path / f"m{i}.csv", marked, "markers", ["group"], without)
            write_table(tmp_path / f"s{i}.csv", grid, "surface", ["i", "j"])
            files["markers"].append(tmp_path / f"m{i}.csv")
            files["surface"].append(tmp_path / f"s{i}.csv")
        make_claims(
            claims=[Claim(**keys, measure=Plugin.of(measure)) for keys, measure in claims],
            csvs=files,
            study="pilot",
            scale="smoke",
            out_csv=tmp_path / "claims.csv",
            out_contrasts=tmp_path / "contrasts.csv",
            out_values=tmp_path / "claim-values.csv",
            out_page=tmp_path / "claims.md",
        )
        text = (tmp_path / "claims.csv").read_text()
        assert text.startswith(
            "study,scale,number,claim,source,measure,cases,values,seeds,expectation,verdict,note\n"
        )
        return pd.read_csv(tmp_path / "claims.csv", dtype=str).to_dict("records"), (
            tmp_path / "claims.md"
        ).read_text()

    return make


FINAL = {"kind": "final", "column": "train_loss"}


def test_a_claim_is_one_row_and_a_page_says_it_in_words(tested):
    runs = [{"partition": "iid", "train_loss": 0.123456}, {"partition": "dir0.1", "train_loss": 2.0}]
    both = [case("iid"), case("dir0.1")]
    rows, page = tested(
        (claim(both, {"order": "increasing"}), FINAL),
        (claim(both, {"ratio": {"below": 2}}), FINAL),
        (claim([case("iid", "dir0.1")], {"above": 0}), FINAL),
        runs=runs,
    )
    assert pd.isna(rows[0].pop("note"))
    assert rows[0] == {
        "study": "pilot", "scale": "smoke", "number": "1", "claim": "It, so", "source": "Figure 3a",
        "measure": "final (column train_loss)", "cases": "init random: partition iid; partition dir0.1",
        "values": "0.1235;2", "seeds": "1", "expectation": "increasing", "verdict": "holds",
    }  # fmt: skip
    assert (rows[1]["expectation"], rows[1]["verdict"]) == ("second / first below 2", "does not hold")
    assert (rows[2]["cases"], rows[2]["values"]) == ("init random, partition iid/dir0.1", "1.062")
    assert "3 claims; holds: 2, does not hold: 1." in page
    assert "case 2 - case 1 > 0: 1.877, 1 seed" in page
    assert "partition iid: 0.1235; partition dir0.1: 2" in page


def test_cases_are_compared_seed_by_seed(tested, tmp_path):
    losses = {"iid": [1.0, 5.0, 9.0], "dir0.1": [1.5, 5.4, 9.6]}
    runs = [
        {"partition": name, "seed": seed, "train_loss": loss}
        for name, of_name in losses.items()
        for seed, loss in enumerate(of_name)
    ]
    runs.append({"partition": "iid", "seed": 3, "train_loss": 1000.0})  # a seed that one side alone has
    both = [case("iid", seeds=(0, 1, 2)), case("dir0.1", seeds=(0, 1, 2))]
    rows, page = tested((claim(both, {"order": "increasing"}), FINAL), runs=runs)
    assert (rows[0]["values"], rows[0]["seeds"], rows[0]["verdict"]) == ("5;5.5", "3", "holds")
    # Differences of 0.5, 0.4 and 0.6: a deviation of 0.1, and t of two degrees of freedom is 4.3027.
    (contrast,) = pd.read_csv(tmp_path / "contrasts.csv").to_dict("records")
    assert (contrast["contrast"], contrast["interval"], contrast["seeds"]) == (
        "case 2 - case 1 > 0",
        "student",
        3,
    )
    half_width = 4.3027 * 0.1 / 3**0.5
    assert contrast["low"] == pytest.approx(0.5 - half_width, abs=1e-4)
    assert contrast["high"] == pytest.approx(0.5 + half_width, abs=1e-4)
    assert "case 2 - case 1 > 0: 0.5 [0.2516, 0.7484], Student's, 3 seeds" in page
    values = pd.read_csv(tmp_path / "claim-values.csv")
    assert values[["case", "seed", "value"]].to_numpy().tolist() == [
        [i, seed, losses[name][seed]] for i, name in ((1, "iid"), (2, "dir0.1")) for seed in (0, 1, 2)
    ]


def test_a_last_round_that_wanders_decides_within_noise_only(tested, tmp_path):
    def rounds(name, last):
        losses = [2.3, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.9, last]
        return [{"partition": name, "round": i, "train_loss": loss} for i, loss in enumerate(losses)]

    runs = [{"partition": "iid", "train_loss": 1.1}, {"partition": "dir0.1", "train_loss": 1.2}]
    both = [case("iid"), case("dir0.1")]
    rows, page = tested(
        (claim(both, {"order": "increasing"}), FINAL),
        (claim(both, {"order": "increasing"}), {**FINAL, "rounds": "last-fifth"}),
        runs=runs,
        rounds=[*rounds("iid", 1.1), *rounds("dir0.1", 1.2)],
    )
    assert [row["values"] for row in rows] == ["1.1;1.2", "1;1.05"]
    assert {row["verdict"] for row in rows} == {"holds, within noise"}
    # The last two of ten rounds: deviations of 0.2 / sqrt(2) and 0.3 / sqrt(2), normal.
    last, mean = pd.read_csv(tmp_path / "contrasts.csv").to_dict("records")
    half_width = 1.96 * (0.02 + 0.045) ** 0.5
    assert last["high"] == pytest.approx(0.1 + half_width, abs=1e-4)
    assert mean["low"] == pytest.approx(0.05 - half_width, abs=1e-4)
    assert "of the measurement, 1 seed" in page


def test_a_claim_on_runs_that_learned_nothing_is_not_measurable(tested):
    def rounds(name, losses, accuracies):
        return [
            {"partition": name, "round": i, "train_loss": loss, "train_accuracy": accuracy}
            for i, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True))
        ]

    runs = [{"partition": one, "train_loss": 1.0} for one in ("iid", "dir1.0", "dir0.5", "dir0.1")]
    courses = [  # of five rounds, the last is the last fifth
        *rounds("iid", [2.3, 2.2, 2.0, 1.9, 1.0], [0.1, 0.1, 0.2, 0.2, 0.3]),
        *rounds("dir1.0", [2.3, 0.1, 0.1, 9.0, 2.1], [0.1, 0.9, 0.9, 0.1, 0.19]),
        *rounds("dir0.5", [2.3, 0.1, 0.1, 9.0, 2.06], [0.1, 0.1, 0.1, 0.1, 0.1]),
        *rounds("dir0.1", [2.3, 2.3, 2.3, 2.3, 5.0], [0.1, 0.1, 0.1, 0.1, 0.21]),
    ]
    expect = {"difference": {"below": 1}}
    others = ("dir1.0", "dir0.5", "dir0.1")
    rows, _ = tested(
        *((claim([case("iid"), case(one)], expect, learned=True), FINAL) for one in others),
        (claim([case("iid", "dir1.0"), case("iid", "dir1.0")], expect, learned=True), FINAL),
        (claim([case("iid", "dir1.0"), case("iid", "dir1.0")], expect, learned="any"), FINAL),
        (claim([case("dir1.0"), case("dir1.0")], expect, learned="any"), FINAL),
        (claim([case("iid"), case("dir1.0")], expect), FINAL),
        runs=runs,
        rounds=courses,
    )
    assert [row["verdict"] for row in rows] == [
        "not measurable", "holds", "holds", "not measurable", "holds", "not measurable", "holds",
    ]  # fmt: skip
    assert rows[0]["values"] == "1;learned nothing"


def test_a_claim_may_take_its_seeds_together(tested, tmp_path):
    """Kendall's tau of means over three seeds, beside the mean of their own."""
    random = {  # by seed, of four methods; from pre-trained weights they are in order at each
        0: [0.10, 0.30, 0.20, 0.40], 1: [0.20, 0.10, 0.30, 0.40], 2: [0.10, 0.25, 0.30, 0.27],
    }  # fmt: skip
    starts = {"random": random, "pretrained": {seed: [0.1, 0.2, 0.3, 0.4] for seed in random}}
    runs = [
        {"init": init, "method": f"m{i}", "seed": seed, "test_accuracy": accuracy}
        for init, of_seeds in starts.items()
        for seed, accuracies in of_seeds.items()
        for i, accuracy in enumerate(accuracies)
    ]
    paths = {
        seed: [f"digits/convnet/iid/{r['init']}/{r['method']}/seed{seed}" for r in runs if r["seed"] == seed]
        for seed in random
    }
    of_seeds = [Case((seed,), of_seed, [], of_seed) for seed, of_seed in paths.items()]
    where = {"init": ["random", "pretrained"]}
    sides = [Side(where, True, [Case.together(of_seeds)]), Side(where, True, of_seeds)]
    agreement = {"kind": "rank-agreement"}
    rows, page = tested(*((claim([side], {"below": 0.9}), agreement) for side in sides), runs=runs)
    assert [row["values"] for row in rows] == ["1", "0.6667"] and [row["seeds"] for row in rows] == ["3", "3"]
    assert [row["verdict"] for row in rows] == ["does not hold, within noise", "holds"]
    found = pd.read_csv(tmp_path / "contrasts.csv").iloc[0]
    assert found["low"] < 0.9 < found["high"] and (found["interval"], found["seeds"]) == ("together", 3)
    assert "over seeds, taken together, 3 seeds" in page
    assert list(pd.read_csv(tmp_path / "claim-values.csv")["seed"]) == [0, 0, 1, 2]


def test_diverged_missing_and_absent_runs_have_no_value(tested):
    runs = [
        {"partition": "iid", "train_loss": 1.0},
        {"partition": "dir1.0", "train_loss": 2.0, "diverged": True},
        {"partition": "dir0.5", "train_loss": None},
    ]
    expect = {"order": "increasing"}
    rows, page = tested(
        (claim([case("iid"), case("dir1.0")], expect), FINAL),
        (claim([case("iid"), case("dir0.5")], expect), FINAL),
        (claim([case("iid"), case("dir0.1", run=False)], expect), FINAL),
        (claim([case("iid", needs=["dir1.0"]), case("iid")], expect), FINAL),
        runs=runs,
    )
    assert [row["values"] for row in rows] == ["1;diverged", "1;not measured", "1;not run", "diverged;1"]
    verdicts = ["not measurable", "not measurable", "not run at this scale", "not measurable"]
    assert [row["verdict"] for row in rows] == verdicts
    assert "4 claims; not measurable: 3, not run at this scale: 1." in page


def test_barriers_are_those_of_the_pairs_of_a_case(tested):
    def pair(one, other, sup, entry="finals", **names):
        ends = {
            "partition": one,
            "to_partition": other,
            "to_init": "random",
            "to_method": "fedavg",
            "to_seed": 0,
        }
        where = {"connectivity": entry, "group": "g", "split": "train", "measure": "loss"}
        return {**ends, **where, "sup": sup, "midpoint": 0, **names}

    rows = [pair("iid", "dir0.1", 1.0), pair("iid-b", "dir0.1", 5.0), pair("iid", "dir1.0", 3.0)]
    rows += [pair("iid", "dir0.1", 70.0, entry="others"), pair("iid", "dir0.1", 80.0, to_init="pretrained")]
    barrier = {"kind": "barrier", "height": "sup", "statistic": "mean", "of": "loss", "split": "train"}
    cases = [case("iid", "dir0.1", groups=["g"]), case("iid", "iid-b", "dir0.1", groups=["g"])]
    runs = [{"partition": one} for one in ("iid", "iid-b", "dir0.1", "dir1.0")]
    found, page = tested(
        (claim(cases, {"above": 0}, "connectivity", "finals"), barrier), runs=runs, barriers=rows
    )
    assert found[0]["values"] == "1;3"
    assert "barrier on connection finals" in page
    none, _ = tested((claim(cases, {"above": 0}, "connectivity", "finals"), barrier), runs=runs, barriers=[])
    assert none[0]["values"] == "not measured;not measured"


def test_layers_are_those_of_the_pairs_of_a_case_and_of_its_connection(tested):
    def pair(one, other, height, **columns):
        ends = {"partition": one, "to_partition": other, "connectivity": "clients", "group": "g"}
        barrier = lambda averaged, *_: height * len(averaged) / 4  # noqa: E731
        return layers_frame(barrier, rounds=[5], **{**ends, **columns})

    pairs = [pair("iid", "iid", 1.0), pair("dir0.1", "dir0.1", 2.0), pair("iid", "dir0.1", 50.0)]
    pairs += [pair("iid", "iid", 60.0, connectivity="others"), pair("iid", "iid", 70.0, group="h")]
    share = {"kind": "layer-barrier", "regime": "single", "column": "share", "statistic": "max"}
    cases = [case("iid", groups=["g"]), case("dir0.1", groups=["g"])]
    runs = [{"partition": one} for one in ("iid", "dir0.1")]
    found, page = tested(
        (claim(cases, {"below": 3}, "connectivity", "clients"), {"kind": "layer-barrier"}),
        (claim(cases, {"agree": 0.01}, "connectivity", "clients"), share),
        runs=runs, layers=pd.concat(pairs),
    )  # fmt: skip
    assert [one["values"] for one in found] == ["1;2", "0.25;0.25"]
    assert [one["verdict"] for one in found] == ["holds", "holds"]
    assert "layer-barrier on connection clients (regime single, column share, statistic max)" in page


def test_surfaces_are_those_of_the_groups_of_a_case_and_markers_those_of_its_runs(tested):
    def plane(group, slope, partition="*", entry="local"):
        identity = {**NAMES, "partition": partition}
        marked = markers([{"role": "aggregate", "x": 0.1, "y": 0.1}], group).drop(columns="run")
        grid = surface(lambda x, _: slope * x, x=(-1, 1, 5), y=(-1, 1, 5), group=group)
        return marked.assign(**identity, plane=entry), grid.assign(**identity, plane=entry)

    planes = [plane("a", 1.0, "iid"), plane("b", 2.0, "dir0.1"), plane("b", 9.0, "dir0.1", "other")]
    # All runs of the last group have diverged: header, and no rows.
    planes.append((planes[0][0].assign(role="diverged", group="c", x=None, y=None), planes[0][1].iloc[:0]))
    cases = [case("iid", groups=["a"]), case("dir0.1", groups=["b"])]
    found, _ = tested(
        (claim(cases, {"order": "increasing"}, "planes", "local"), {"kind": "density"}),
        (claim([case("iid", groups=["c"])], {"above": 0}, "planes", "local"), {"kind": "density"}),
        runs=[{"partition": "iid"}, {"partition": "dir0.1"}],
        planes=planes,
    )
    assert (found[0]["values"], found[0]["measure"]) == ("1;2", "density on plane local")
    assert found[1]["values"] == "not measured"


def test_eigenvalues_are_those_of_the_entry_that_the_claim_names(tested):
    def row(partition, number, value, entry="ends", index=1):
        names = {"partition": partition, "curvature": entry, "index": index}
        return curvature("eigenvalue", value, number, **names)

    rows = [row("iid", 0, 90.0), row("iid", 5, 4.0), row("iid", 5, 3.0, index=2)]
    rows += [row("dir0.1", 5, 8.0), row("dir0.1", 5, 80.0, entry="others")]
    cases = [case("iid", groups=["g"]), case("dir0.1", groups=["g"]), case("dir0.1", groups=["none"])]
    found, _ = tested(
        (claim(cases, {"above": 0}, "curvature", "ends"), {"kind": "eigenvalue", "index": 1}),
        (claim(cases[:2], {"above": 0}, "curvature", "ends"), {"kind": "eigenvalue", "index": 2}),
        runs=[{"partition": "iid"}, {"partition": "dir0.1"}],
        curvatures=rows,
    )
    assert found[0]["values"] == "4;8;not measured"
    assert found[0]["measure"] == "eigenvalue on curvature ends (index 1)"
    assert found[1]["values"] == "3;not measured"


def test_a_column_that_is_missing_is_named_with_its_file(tested):
    marked = markers([{"role": "start", "x": 0, "y": 0}]).drop(columns="run").assign(**NAMES, plane="p")
    grid = surface(lambda *_: 1.0, **NAMES)
    with pytest.raises(FedscapeError, match=r"m0\.csv: column own_loss is missing; delete the file") as error:
        tested(
            (claim([case("iid")], {"above": 0}), FINAL),
            runs=[{}],
            planes=[(marked, grid)],
            without=["own_loss"],
        )
    assert "\n" not in str(error.value)
