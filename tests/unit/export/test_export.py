"""Files for ParaView, read back as XML: the points, cells and arrays that the CSVs say."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from table_files import write_table

from fedscape.export.paraview import export_plane

RUN = {
    "study": "pilot", "scale": "smoke", "dataset": "digits", "model": "convnet", "partition": "iid",
    "init": "random", "method": "fedavg", "seed": 0, "plane": "one", "group": "all",
}  # fmt: skip
CLIENTS = (3, 12)
NX, NY = 4, 3


def bowl(x: float, y: float) -> float:
    """Not symmetric in x and y."""
    return 0.1 + (x - 1) ** 2 + 3 * y**2


def surface_frame(loss=bowl) -> pd.DataFrame:
    """4 x 3 points, of all samples and of two clients, whose losses are 3 and 12 times as high."""
    return pd.DataFrame(
        {**RUN, "partition": "*", "client": client, "i": i, "j": j, "x": i / 2, "y": -j / 4,
         "loss": loss(i / 2, -j / 4) * (client or 1), "error": j / 10}
        for client in (None, *CLIENTS) for i in range(NX) for j in range(NY)
    ).astype({"client": "Int64"})  # fmt: skip


def marker(x: float, y: float, role="global", number=0, **changes) -> dict:
    row = {**RUN, "round": number, "role": role, "client": None, "point": None, "x": x, "y": y, "residual": 0.2,
           "loss": 2 * bowl(x, y), "loss_at_projection": bowl(x, y)}  # fmt: skip
    return row | changes


def markers_frame() -> pd.DataFrame:
    """Two trajectories of three rounds, a single model, a client, and a run that diverged."""
    nowhere = dict.fromkeys(("x", "y", "residual", "loss", "loss_at_projection"))
    rows = [
        *(marker(n / 2, 0.0, number=n) for n in range(3)),
        *(marker(n / 2, -0.25, number=n, partition="dir0.1") for n in range(3)),
        marker(1.0, -0.5, number=2, partition="dir1.0"),
        marker(0.5, -0.5, "client", 1, partition="dir1.0", client=3),
        marker(0, 0, "diverged", 1, partition="dir0.01") | nowhere,
    ]
    return pd.DataFrame(rows).astype({"client": "Int64", "point": "Int64"})


def export(folder: Path, surface: pd.DataFrame, markers: pd.DataFrame) -> tuple[ElementTree.Element, ...]:
    """Both files, written from CSVs, as parsed by the standard library."""
    paths = [folder / name for name in ("surface.csv", "markers.csv", "surface.vts", "trajectories.vtp")]
    write_table(paths[0], surface, "surface", sort_by=["client", "i", "j"])
    write_table(paths[1], markers, "markers", sort_by=["partition", "round"])
    export_plane(surface=paths[0], markers=paths[1], out_surface=paths[2], out_trajectories=paths[3])
    return tuple(ElementTree.parse(path).getroot() for path in paths[2:])


def array(file: ElementTree.Element, name: str) -> np.ndarray:
    (element,) = (entry for entry in file.iter("DataArray") if entry.get("Name") == name)
    kind = {"Int64": int, "Float64": float}[element.get("type")]
    values = np.array([kind(word) for word in (element.text or "").split()], dtype=kind)
    components = element.get("NumberOfComponents")
    return values if components is None else values.reshape(-1, int(components))


def words(file: ElementTree.Element, name: str) -> list[str]:
    (element,) = (entry for entry in file.iter("Array") if entry.get("Name") == name)
    text = bytes(int(word) for word in (element.text or "").split()).decode()
    assert text.count("\0") == int(element.get("NumberOfTuples"))
    return text.split("\0")[:-1]


def cells(file: ElementTree.Element, kind: str) -> list[list[int]]:
    (element,) = file.iter(kind)
    ends = array(element, "offsets")
    return [part.tolist() for part in np.split(array(element, "connectivity"), ends)[:-1]]


def test_surface_points_run_along_x_first_and_their_height_is_the_log_loss(tmp_path):
    file, _ = export(tmp_path, surface_frame(), markers_frame())
    assert file.get("type") == "StructuredGrid"
    assert file.find("StructuredGrid").get("WholeExtent") == "0 3 0 2 0 0"
    assert file.find("StructuredGrid/Piece").get("Extent") == "0 3 0 2 0 0"
    expected = [(i / 2, -j / 4) for j in range(NY) for i in range(NX)]
    points = array(file, "points")
    np.testing.assert_array_equal(points[:, :2], expected)
    losses = [bowl(x, y) for x, y in expected]
    np.testing.assert_allclose(points[:, 2], np.log10(losses), atol=1e-8)
    np.testing.assert_allclose(array(file, "loss"), losses, rtol=1e-8)
    np.testing.assert_allclose(array(file, "log10_loss"), np.log10(losses), atol=1e-8)
    np.testing.assert_allclose(array(file, "error"), [j / 10 for j in range(NY) for _ in range(NX)])
    for client in CLIENTS:
        np.testing.assert_allclose(
            array(file, f"loss_client_{client}"), np.multiply(losses, client), rtol=1e-8
        )


def test_a_line_per_trajectory_and_a_vertex_per_other_model(tmp_path):
    surface, file = export(tmp_path, surface_frame(), markers_frame())
    assert file.get("type") == "PolyData"
    piece = file.find("PolyData/Piece")
    assert [piece.get(f"NumberOf{what}") for what in ("Points", "Verts", "Lines")] == ["8", "2", "2"]
    names = [f"digits/convnet/{partition}/random/fedavg/seed0" for partition in ("dir0.1", "dir1.0", "iid")]
    assert sorted(words(file, "runs")) == names  # and not the run that diverged
    assert set(words(file, "roles")) == {"global", "client"}
    points, rounds, runs = (array(file, name) for name in ("points", "round", "run"))
    partitions = [words(file, "runs")[run].split("/")[2] for run in runs]
    for line, name in zip(cells(file, "Lines"), ("dir0.1", "iid"), strict=True):
        assert rounds[line].tolist() == [0, 1, 2]
        assert {partitions[point] for point in line} == {name}
        assert points[line, 0].tolist() == [0, 0.5, 1]
    client, single = (point for vertex in cells(file, "Verts") for point in vertex)
    assert partitions[client] == partitions[single] == "dir1.0"
    assert array(file, "client")[[client, single]].tolist() == [3, -1] and set(array(file, "point")) == {-1}
    # Models at a point of the grid lie on the surface, though their own loss is another one.
    heights = {(x, y): z for x, y, z in array(surface, "points")}
    assert all(heights[x, y] == z for x, y, z in points)
    np.testing.assert_allclose(array(file, "loss"), 2 * array(file, "loss_at_projection"), rtol=1e-8)


@pytest.mark.parametrize("high", [np.nan, np.inf, -np.inf, 1e30])
def test_heights_end_at_ten_times_the_worst_model_and_arrays_do_not(tmp_path, high):
    markers = markers_frame()
    worst = markers["loss"].max()
    markers.loc[0, "loss_at_projection"] = high
    file, lines = export(tmp_path, surface_frame(lambda x, y: high if x == y == 0 else bowl(x, y)), markers)
    for element, name in ((file, "loss"), (lines, "loss_at_projection")):
        values, heights = array(element, name), array(element, "points")[:, 2]
        (point,) = np.flatnonzero(np.isclose(heights, np.log10(10 * worst), atol=1e-8))
        np.testing.assert_equal(values[point], high if np.isfinite(high) else np.nan)
        assert np.isfinite(np.delete(values, point)).all() and np.isfinite(heights).all()


def test_a_loss_of_zero_has_a_height(tmp_path):
    file, _ = export(tmp_path, surface_frame(lambda x, y: 0.0), markers_frame())
    assert set(array(file, "points")[:, 2]) == set(array(file, "log10_loss")) == {-6}
    assert set(array(file, "loss")) == {0}


def test_a_group_whose_runs_all_diverged_gives_empty_files(tmp_path):
    markers = markers_frame()
    surface, lines = export(tmp_path, surface_frame().iloc[:0], markers[markers["role"] == "diverged"])
    assert surface.find("StructuredGrid").get("WholeExtent") == "0 -1 0 -1 0 -1"
    assert lines.find("PolyData/Piece").get("NumberOfPoints") == "0"
    assert words(lines, "runs") == cells(lines, "Lines") == cells(lines, "Verts") == []
    for file in (surface, lines):
        assert len(array(file, "points")) == len(array(file, "loss")) == 0


def test_same_rows_same_bytes_whatever_their_order(tmp_path):
    surface = surface_frame()
    export(tmp_path / "a", surface, markers_frame())
    export(tmp_path / "b", surface.sample(frac=1, random_state=0), markers_frame())
    for name in ("surface.vts", "trajectories.vtp"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert (tmp_path / "a" / name).read_bytes().isascii()
