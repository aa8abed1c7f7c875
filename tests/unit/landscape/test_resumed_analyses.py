"""Planes and paths that were killed: they go on where they were, and end with the same bytes."""

import bowl
import numpy as np
import pytest
from plane_arguments import plane_arguments
from stage_values import problem_of, runs_of

from fedscape.connectivity import path as paths
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.landscape.make_plane import make_plane
from fedscape.landscape.markers import PlaneLosses
from fedscape.landscape.planes import trajectory
from fedscape.settings.connectivity import PathSettings

OUTPUTS = {"path": ("path.csv", "barriers.csv"), "plane": ("plane.safetensors", "markers.csv")}


def run(stage, folder, arguments):
    """The stage's outputs by name; its resume folder is gone."""
    folder.mkdir(exist_ok=True)
    if stage == "path":
        out = {f"out_{name.partition('.')[0]}": folder / name for name in OUTPUTS[stage]}
        paths.evaluate_paths(
            runs=runs_of(arguments, connectivity="c", group="g"),
            pairs=[(0, 1), (0, 2), (1, 2)],
            problem=problem_of(arguments),
            settings=PathSettings(5, "keep"),
            resume=Resume(folder / "resume", "f"),
            **out,
        )
    else:
        make_plane(**plane_arguments(folder, arguments, arguments.get("kind", "trajectory")))
    assert not (folder / "resume").exists()
    return {name: (folder / name).read_bytes() for name in OUTPUTS[stage]}


@pytest.fixture
def arguments(tmp_path):
    draw = np.random.default_rng(0)
    return bowl.world(tmp_path, [draw.standard_normal((4, bowl.SIZE)).cumsum(axis=0) for _ in range(3)])


def killed_at(monkeypatch, commit):
    """Kill the process, so to speak, just before this commit or just after it; counts the commits."""
    number, before = commit
    done = []
    original = ResumeFolder.commit

    def dies(self, progress, *files, **adding):
        if before and len(done) == number:
            raise KeyboardInterrupt
        original(self, progress, *files, **adding)
        done.append(progress)
        if not before and len(done) == number + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(ResumeFolder, "commit", dies)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("stage", OUTPUTS)
def test_a_killed_job_ends_with_the_same_bytes(tmp_path, arguments, monkeypatch, stage, number, before):
    whole = run(stage, tmp_path / "whole", arguments)
    with monkeypatch.context() as patch:
        killed_at(patch, (number, before))
        with pytest.raises(KeyboardInterrupt):
            run(stage, tmp_path / "killed", arguments)
    assert run(stage, tmp_path / "killed", arguments) == whole


def test_no_path_is_walked_twice(tmp_path, arguments, monkeypatch):
    with monkeypatch.context() as patch:
        killed_at(patch, (1, False))
        with pytest.raises(KeyboardInterrupt):
            run("path", tmp_path / "killed", arguments)
    walked, original = [], paths.rise_errors
    monkeypatch.setattr(paths, "rise_errors", lambda *given: walked.append(given) or original(*given))
    run("path", tmp_path / "killed", arguments)
    assert len(walked) == 2, "the train and the test samples of one path"


def test_neither_a_plane_is_laid_nor_a_marker_measured_twice(tmp_path, arguments, monkeypatch):
    with monkeypatch.context() as patch:
        killed_at(patch, (5, False))  # the plane, and five markers
        with pytest.raises(KeyboardInterrupt):
            run("plane", tmp_path / "killed", arguments)
    measured, original = [], PlaneLosses.of_marker
    monkeypatch.setattr(trajectory, "plane", None)
    monkeypatch.setattr(
        PlaneLosses, "of_marker", lambda self, mark: measured.append(mark) or original(self, mark)
    )
    run("plane", tmp_path / "killed", arguments)
    assert len(measured) == 3 * 4 - 5


def test_no_point_of_the_search_for_a_rounds_bottom_is_evaluated_twice(tmp_path, monkeypatch):
    draw = np.random.default_rng(1)
    rows, clients = draw.standard_normal((2, bowl.SIZE)), 0.4 * draw.standard_normal((1, 3, bowl.SIZE))
    given = bowl.world(tmp_path, [rows])
    bowl.write_partition(tmp_path / "partition.npz", np.arange(40), np.arange(10), clients=3)
    (trajectory_file,) = given["trajectories"]
    bowl.write_models(trajectory_file, bowl.Bowl(), rows, clients, clients[:, :, None])
    given |= {"kind": "clients", "clients": [trajectory_file.with_name("clients.safetensors")]}
    evaluated, original = [], PlaneLosses.at
    monkeypatch.setattr(PlaneLosses, "at", lambda self, *at: evaluated.append(at) or original(self, *at))
    whole = run("plane", tmp_path / "whole", given)
    points = [*evaluated]
    assert len({*points}) == len(points) > 50
    evaluated.clear()
    with monkeypatch.context() as patch:
        killed_at(patch, (1 + 8 + 30, False))  # the plane, eight markers, thirty points
        with pytest.raises(KeyboardInterrupt):
            run("plane", tmp_path / "killed", given)
    assert run("plane", tmp_path / "killed", given) == whole
    assert evaluated == points


def test_a_kept_plane_that_is_cut_off_is_laid_again(tmp_path, arguments, monkeypatch):
    whole = run("plane", tmp_path / "whole", arguments)
    with monkeypatch.context() as patch:
        killed_at(patch, (3, False))
        with pytest.raises(KeyboardInterrupt):
            run("plane", tmp_path / "killed", arguments)
    kept = tmp_path / "killed" / "resume" / "plane.safetensors"
    kept.write_bytes(kept.read_bytes()[:-10])
    assert run("plane", tmp_path / "killed", arguments) == whole


@pytest.mark.parametrize(("stage", "message"), [("path", "path 1 of 3"), ("plane", "marker 1 of 12")])
def test_a_job_that_is_told_to_stop_says_where_it_is(tmp_path, arguments, monkeypatch, stage, message):
    monkeypatch.setattr(
        ResumeFolder, "stop_requested", lambda self: "SIGTERM" if self.progress.get("done") else None
    )
    with pytest.raises(SystemExit, match=f"stopped by SIGTERM: run again to continue from {message}"):
        run(stage, tmp_path / "stopped", arguments)
