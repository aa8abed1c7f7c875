"""What a surface takes over: from a coarser grid, another box, a job that was killed, other jobs."""

import os
from pathlib import Path

import numpy as np
import pytest
from surface_helpers import bowl_plane, common, counted_points, fresh, landscape, linear_plane, surface

from fedscape.jobs.resume import ResumeFolder
from fedscape.landscape.evaluator import SurfaceEvaluator
from fedscape.landscape.plane import save_plane
from fedscape.landscape.points import POINTS_FILE, save_points, saved_points
from fedscape.landscape.surface import evaluate_part


@pytest.fixture
def counted(monkeypatch):
    """Every evaluation of a point, with what it was asked for."""
    return counted_points(monkeypatch)


def part(tmp_path, number, parts, **changes):
    out = tmp_path / f"parts/{number}-of-{parts}.npz"
    arguments = common(tmp_path, resume_folder=tmp_path / f"parts/resume{number}", **changes)
    evaluate_part(**arguments, part=number, parts=parts, kept=tmp_path / POINTS_FILE, out=out)
    return out


@pytest.mark.parametrize(("coarse_grid", "fine_grid"), [((5, 3), (9, 5)), ((6, 6), (11, 11))])
def test_a_refinement_evaluates_only_the_new_points(tmp_path, counted, coarse_grid, fine_grid):
    bowl_plane(tmp_path)
    surface(tmp_path, grid=coarse_grid)
    first = len(counted)
    assert first == np.prod(coarse_grid)
    surface(tmp_path, grid=fine_grid)
    assert len(counted) == np.prod(fine_grid), "and none of the first ones"
    assert len(set(counted)) == len(counted)
    assert (tmp_path / "surface.csv").read_bytes() == fresh(tmp_path, grid=fine_grid)


def test_points_outlive_a_change_of_the_box(tmp_path, counted):
    bowl_plane(tmp_path)
    before = surface(tmp_path)
    surface(tmp_path, margin=0.35)
    assert len(counted) == 29, "the boxes share their middle"
    after = surface(tmp_path)
    assert len(counted) == 29, "the first box's points are still there"
    assert before.equals(after)


def test_a_stopped_surface_continues_to_the_same_bytes(tmp_path, monkeypatch, counted):
    bowl_plane(tmp_path)
    whole = fresh(tmp_path, grid=5)
    counted.clear()
    for stop_after in (7, 12):
        monkeypatch.setattr(
            ResumeFolder,
            "stop_requested",
            lambda self, n=stop_after: "SIGTERM" if len(counted) == n else None,
        )
        with pytest.raises(SystemExit, match=f"point {stop_after} of 25"):
            surface(tmp_path, grid=5)
        assert not (tmp_path / "surface.csv").exists()
    surface(tmp_path, grid=5)
    assert len(counted) == 25, "no point is evaluated twice"
    assert (tmp_path / "surface.csv").read_bytes() == whole
    assert not (tmp_path / "resume").exists()


def test_a_stop_at_the_last_point_is_no_stop(tmp_path, monkeypatch, counted):
    bowl_plane(tmp_path)
    monkeypatch.setattr(
        ResumeFolder, "stop_requested", lambda self: "SIGTERM" if len(counted) == 15 else None
    )
    assert len(surface(tmp_path)) == 15


def test_a_killed_surface_continues_from_its_last_column(tmp_path, monkeypatch, counted):
    bowl_plane(tmp_path)
    whole = fresh(tmp_path, grid=5)
    counted.clear()
    real = SurfaceEvaluator.measure

    def killed(self, x, y):
        if len(counted) == 13:
            raise KeyboardInterrupt
        return real(self, x, y)

    monkeypatch.setattr(SurfaceEvaluator, "measure", killed)
    with pytest.raises(KeyboardInterrupt):
        surface(tmp_path, grid=5)
    monkeypatch.setattr(SurfaceEvaluator, "measure", real)
    surface(tmp_path, grid=5)
    assert len(counted) == 13 + 15, "ten of thirteen points were committed"
    assert (tmp_path / "surface.csv").read_bytes() == whole


def test_a_refinement_killed_at_any_write_gives_the_same_bytes(tmp_path, monkeypatch):
    bowl_plane(tmp_path)
    asked = {"grid": (5, 5), "coarse": 2}
    landscape(monkeypatch, lambda x, y: (np.nan if x > 2.5 else 1 + x**2 + y**2, 0.5))
    whole = fresh(tmp_path, **asked)
    surface(tmp_path, grid=(3, 3))
    points = (tmp_path / POINTS_FILE).read_bytes()
    (tmp_path / "surface.csv").unlink()
    real = {name: getattr(os, name) for name in ("fsync", "link", "utime")}
    renames = {name: getattr(Path, name) for name in ("replace", "rename")}
    for event in range(1, 200, 3):
        seen = []

        def counting(function, seen=seen, event=event):
            def called(*arguments):
                seen.append(function)
                if len(seen) == event:
                    raise KeyboardInterrupt
                return function(*arguments)

            return called

        with monkeypatch.context() as patched:
            for name, function in real.items():
                patched.setattr(os, name, counting(function))
            for name, function in renames.items():
                patched.setattr(Path, name, counting(function))
            try:
                surface(tmp_path, **asked)
            except KeyboardInterrupt:
                pass
            else:
                break
        (tmp_path / "surface.csv").unlink(missing_ok=True)  # as Snakemake does after a failure
        surface(tmp_path, **asked)
        assert (tmp_path / "surface.csv").read_bytes() == whole, f"killed at write {event}"
        (tmp_path / "surface.csv").unlink()
        (tmp_path / POINTS_FILE).write_bytes(points)
    assert 20 < event < 190, "there are so many writes, and then it came to the end"


def damage(path, how):
    content = path.read_bytes()
    if how == "cut off":
        path.write_bytes(content[: len(content) // 2])
    elif how == "a flipped bit":
        middle = content.index(b"measures.npy") + 200
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif how == "another file":
        np.savez(path, other=np.zeros(3))
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize("how", ["cut off", "a flipped bit", "another file", "empty"])
def test_a_damaged_file_of_points_is_made_again(tmp_path, counted, caplog, how):
    bowl_plane(tmp_path)
    surface(tmp_path)
    whole, points = (tmp_path / "surface.csv").read_bytes(), (tmp_path / POINTS_FILE).read_bytes()
    damage(tmp_path / POINTS_FILE, how)
    surface(tmp_path)
    assert len(counted) == 30, "all points twice"
    assert "not a whole file of points" in caplog.text and POINTS_FILE in caplog.text
    assert (tmp_path / "surface.csv").read_bytes() == whole
    assert (tmp_path / POINTS_FILE).read_bytes() == points


def test_points_of_other_settings_are_not_taken(tmp_path, counted, caplog):
    bowl_plane(tmp_path)
    surface(tmp_path)
    surface(tmp_path, fingerprint="g")
    assert len(counted) == 30 and "have changed since" in caplog.text
    surface(tmp_path, fingerprint="g")
    assert len(counted) == 30


def test_files_of_points(tmp_path, caplog):
    draw = np.random.default_rng(0)
    points = {
        (float(x), float(y)): abs(draw.standard_normal((3, 4))) for x, y in draw.standard_normal((7, 2))
    }
    points[0.0, 1.0] = np.array([[np.nan, np.inf, 1, 0]] * 3)
    save_points(tmp_path / "a.npz", points, "f")
    save_points(tmp_path / "b.npz", dict(reversed(points.items())), "f")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    found = saved_points(tmp_path / "a.npz", "f", groups=3)
    assert found.keys() == points.keys()
    for place, measures in points.items():
        np.testing.assert_array_equal(found[place], measures)
    assert saved_points(tmp_path / "none.npz", "f", groups=3) == {} and not caplog.text
    assert (
        saved_points(tmp_path / "a.npz", "f", groups=4) == {} and "not points of this surface" in caplog.text
    )
    arrays = dict(np.load(tmp_path / "a.npz"))
    np.savez(tmp_path / "text.npz", **{**arrays, "places": arrays["places"].astype(str)})
    np.savez(tmp_path / "number.npz", **{**arrays, "places": np.float64(1)})
    for name in ("text", "number"):
        caplog.clear()
        assert saved_points(tmp_path / f"{name}.npz", "f", groups=3) == {}
        assert "not points of this surface" in caplog.text
    np.savez(tmp_path / "below.npz", **{**arrays, "measures": np.full_like(arrays["measures"], -1)})
    assert saved_points(tmp_path / "below.npz", "f", groups=3) == {} and "below 0" in caplog.text
    save_points(tmp_path / "empty.npz", {}, "f")
    assert saved_points(tmp_path / "empty.npz", "f", groups=3) == {}


@pytest.mark.parametrize(("parts", "coarse"), [(2, 1), (3, 1), (3, 2), (5, 2)])
def test_parts_give_the_same_bytes_as_one_job(tmp_path, counted, parts, coarse):
    linear_plane(tmp_path)
    asked = {"model": "linear", "client_losses": True, "grid": (9, 5), "coarse": coarse}
    whole = fresh(tmp_path, **asked)
    once = len(counted)
    files = [part(tmp_path, number, parts, **asked) for number in range(1, parts + 1)]
    in_parts = len(counted) - once
    assert in_parts == (45 if coarse == 1 else 15), "all nodes"
    surface(tmp_path, parts=files, **asked)
    assert len(counted) == 2 * once
    assert (tmp_path / "surface.csv").read_bytes() == whole
    assert not list((tmp_path / "parts").glob("resume*"))


def test_parts_take_turns_at_columns_and_take_over_points(tmp_path, counted):
    bowl_plane(tmp_path)
    surface(tmp_path, grid=(5, 3))
    before = set(counted)
    files = [part(tmp_path, number, 2, grid=(9, 5)) for number in (1, 2)]
    shares = [{x for x, _ in saved_points(file, "f", groups=1)} for file in files]
    assert [len(share) for share in shares] == [5, 4]
    assert np.all(np.diff([sorted(share)[:4] for share in shares], axis=0) > 0), "a column each in turn"
    assert len(counted) == len(set(counted)) == 45, "no point again that the surface had"
    assert before < set(counted)
    surface(tmp_path, grid=(9, 5), parts=files)
    assert len(counted) == 45


def test_a_damaged_part_is_made_up_for(tmp_path, counted):
    bowl_plane(tmp_path)
    files = [part(tmp_path, number, 2) for number in (1, 2)]
    damage(files[1], "cut off")
    surface(tmp_path, parts=files)
    assert len(counted) == 15 + 6
    assert (tmp_path / "surface.csv").read_bytes() == fresh(tmp_path)


def test_parts_without_a_plane_or_a_column_are_empty(tmp_path):
    bowl_plane(tmp_path)
    for diverged in (False, True):
        if diverged:
            save_plane(tmp_path / "plane.safetensors", None)
        assert saved_points(part(tmp_path, 6, 6), "f", groups=1) == {}, "five columns, six parts"


def test_a_file_of_pickled_objects_is_not_loaded_and_no_advice_to_do_so_repeated(tmp_path, caplog):
    np.savez(tmp_path / POINTS_FILE, fingerprint=np.array(["a", None], dtype=object))
    assert saved_points(tmp_path / POINTS_FILE, "a", 1) == {}
    (tmp_path / POINTS_FILE).write_bytes(b"\x80\x04N.")
    assert saved_points(tmp_path / POINTS_FILE, "a", 1) == {}
    assert len(caplog.messages) == 2
    assert not any("load it" in message or "pickle.load" in message for message in caplog.messages)
