"""Styles: in print a figure has the width that was asked for, letters that can be read, and no title."""

import re
from pathlib import Path

import pytest
from drawn_figures import LABELS, rounds_frame
from figure_frames import RUN, markers_frame, round_frames, surface_frame
from matplotlib.text import Text
from PIL import Image
from table_files import write_table

from fedscape.errors import FedscapeError
from fedscape.figures.draw import Content, draw_figure, write_figure
from fedscape.figures.kinds import contour, curves, local
from fedscape.figures.labels import balanced
from fedscape.figures.medium import LETTERS, SCREEN, Style, house_style, legible, medium

PLANE = {"surface": surface_frame(), "markers": markers_frame()}
ROUND = round_frames()
DRAWN = {
    "contour": lambda: contour.draw(PLANE, contour.Settings(), LABELS),
    "contour-diagnostics": lambda: contour.diagnostics(PLANE, contour.Settings(), LABELS),
    "local": lambda: local.draw(ROUND, local.Settings()),
    "local-diagnostics": lambda: local.diagnostics(ROUND, local.Settings()),
    "curves": lambda: curves.draw({"rounds": rounds_frame()}, curves.Settings("test_accuracy"), LABELS),
}  # fmt: skip


def content(tmp_path, kind, frames, **settings):
    files = {
        name: [write_table(tmp_path / f"{name}.csv", frame, name, list(RUN))]
        for name, frame in frames.items()
    }
    return Content(kind, settings, files, {}, LABELS)


def test_a_kind_without_a_caption_is_drawn_in_print(tmp_path, monkeypatch):
    """The contract does not ask a kind of one's own for one."""
    monkeypatch.delattr(contour, "CAPTION")
    write_figure(
        content(tmp_path, "contour", PLANE), "A title", Style("print", 85), [tmp_path / "figure.png"]
    )
    assert (tmp_path / "figure-caption.txt").read_text(encoding="utf-8").startswith("A title\nContours:")


@pytest.mark.parametrize("width", [85.0, 170.0])
@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_in_print_has_its_width_and_letters_of_seven_to_nine_points(name, width):
    with house_style(Style("print", width)):
        figure = legible(DRAWN[name]())
        figure.draw_without_rendering()
        assert figure.get_figwidth() * 25.4 == pytest.approx(width)
        sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}
        assert LETTERS[0] <= min(sizes) <= max(sizes) <= LETTERS[1]
        box = figure.get_tightbbox()
        assert box.x0 > -0.02 and box.x1 < figure.get_figwidth() + 0.02, "words are cut off"


def test_a_file_in_print_is_as_wide_as_asked_without_a_title(tmp_path):
    drawn = content(tmp_path, "contour", PLANE)
    paths = [tmp_path / f"figure.{ending}" for ending in ("png", "svg", "pdf")]
    written = write_figure(drawn, "A title", Style("print", 85), paths)
    assert [path.name for path in written] == [
        *("figure.png", "figure.svg", "figure.pdf"),
        *("figure-diagnostics.png", "figure-diagnostics.svg", "figure-diagnostics.pdf", "figure-caption.txt"),
    ]  # fmt: skip
    with Image.open(paths[0]) as picture:
        assert picture.width / 600 * 25.4 == pytest.approx(85, abs=0.05)
    points = float(re.search(r'<svg [^>]*width="([\d.]+)pt"', paths[1].read_text())[1])
    assert points / 72 * 25.4 == pytest.approx(85, abs=0.01)
    assert float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", paths[2].read_bytes())[1]) == pytest.approx(
        points, abs=0.01
    )
    assert "A title" not in paths[1].read_text()
    caption = (tmp_path / "figure-caption.txt").read_text(encoding="utf-8")
    assert caption.startswith(
        f"A title\n{contour.CAPTION}\nContours: through the monotone cubic interpolation of 7 x 4 points.\n"
    )
    assert "1,500 training samples" in caption
    before = [path.read_bytes() for path in written]
    write_figure(drawn, "A title", Style("print", 85), paths)
    assert [path.read_bytes() for path in written] == before


@pytest.mark.parametrize("kind", [contour, local])
def test_a_caption_holds_whatever_is_drawn(kind):
    """Panels below may be missing; contours are interpolated; ends of the colours stand for more."""
    for words in ("where there are small panels below", "interpolated between", "pointed ends", "hundredth"):
        assert words in kind.CAPTION


def test_only_what_was_smoothed_is_said_to_be():
    surface = surface_frame()
    surface.loc[surface.index[0], "loss"] = float("inf")
    with house_style(Style("print", 85)) as drawn_for:
        contour.draw({**PLANE, "surface": surface}, contour.Settings())
        assert drawn_for.notes and not any("cubic" in note for note in drawn_for.notes)


def test_on_a_screen_all_is_in_one_figure(tmp_path):
    drawn = content(tmp_path, "contour", PLANE)
    svg = tmp_path / "figure.svg"
    assert write_figure(drawn, "A title", SCREEN, [svg]) == [svg]
    assert "<!-- A title -->" in svg.read_text() and "off the plane" in svg.read_text()


def test_nothing_of_print_stays_when_a_study_draws_for_the_screen_again(tmp_path):
    drawn = content(tmp_path, "contour", PLANE)
    arguments = {
        "kind": drawn.kind, "settings": {}, "title": "", "frames": drawn.frames, "where": {}, "labels": (),
        "png": tmp_path / "figure.png", "svg": tmp_path / "figure.svg",
    }  # fmt: skip
    draw_figure(**arguments, style=Style("print", 85))
    assert len(list(tmp_path.glob("figure*"))) == 5
    draw_figure(**arguments)
    assert {path.name for path in tmp_path.glob("figure*")} == {"figure.png", "figure.svg"}


def test_a_style_lasts_as_long_as_its_figure():
    with house_style(Style("print", 60)) as inner:
        assert medium() is inner and medium().in_print
    assert not medium().in_print
    assert medium().notes == []


@pytest.mark.parametrize("width", [0, 39, 401, float("nan")])
def test_a_width_that_no_page_has_is_refused(width):
    with pytest.raises(ValueError, match="width must be 40 to 400 mm"):
        Style("print", width)


def test_a_line_never_holds_one_word_alone_where_another_has_room():
    text = "Trajectories of FedAvg on the global loss surface, after one shared round"
    lines = balanced(text, 70).splitlines()
    assert " ".join(lines) == text
    assert len(lines) == 2 and max(map(len, lines)) - min(map(len, lines)) < 12
    assert balanced("", 10) == "" and balanced("one", 2) == "one"


def test_the_centre_of_a_plane_is_named_where_it_is_one_of_the_models():
    """Its distance from itself is 0, of which no share lies off the plane."""
    markers = markers_frame()
    markers.loc[markers.index[-1], ["x", "y", "residual"]] = 0.0
    figure = contour.draw({**PLANE, "markers": markers}, contour.Settings())
    assert "the plane's centre" in figure.axes[2].get_ylabel()
    assert "the plane's centre" not in contour.draw(PLANE, contour.Settings()).axes[2].get_ylabel()


class TestCommand:
    """`fedscape figure`, on a study whose CSVs are there."""

    @pytest.fixture
    def clone(self, tmp_path, monkeypatch):
        root = Path(__file__).resolve().parents[3]
        for name in ("Snakefile", "config", "workflow"):
            (tmp_path / name).symlink_to(root / name)
        table = tmp_path / "results" / "remedies" / "smoke" / "tables" / "rounds.csv"
        table.parent.mkdir(parents=True)
        names = {"study": "remedies", "partition": "dir0.1", "dataset": "digits", "model": "cnn"}
        frame = rounds_frame(partitions=["dir0.1"]).assign(**names)
        write_table(table, frame.assign(method="none"), "rounds", list(RUN))
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def run(self, *arguments):
        from fedscape.cli import main

        return main(["figure", *arguments])

    def test_a_figure_for_a_column(self, clone, capsys):
        file = "results/remedies/smoke/figures/loss.png"
        assert self.run(file, "--style", "print", "--width", "85mm", "--to", "mine.svg") == 0
        assert capsys.readouterr().out.split() == ["mine.svg", "mine-caption.txt"]
        assert 'width="240.9' in (clone / "mine.svg").read_text()
        assert curves.CAPTION in (clone / "mine-caption.txt").read_text()
        assert self.run(file, "--width", "17cm") == 0
        assert capsys.readouterr().out.split() == ["loss.pdf", "loss-caption.txt"]
        assert self.run(file, "--to", "screen.png") == 0
        assert not (clone / "screen-caption.txt").exists()

    @pytest.mark.parametrize("name", ["mine-caption.txt", "mine-diagnostics.pdf"])
    def test_files_of_others_are_not_overwritten(self, clone, capsys, name):
        arguments = ["results/remedies/smoke/figures/loss.png", "--style", "print", "--to", "mine.pdf"]
        (clone / name).write_text("mine")
        assert self.run(*arguments) == 1
        error = capsys.readouterr().err
        assert f"{name}: is there, and not fedscape's" in error and error.count("\n") == 1
        assert (clone / name).read_text() == "mine" and not (clone / "mine.pdf").exists()
        (clone / name).unlink()
        (clone / "mine.txt").write_text("mine")
        assert self.run(*arguments) == self.run(*arguments) == 0
        assert (clone / "mine.txt").read_text() == "mine"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["results/remedies/smoke/figures/los.png"], "unknown figure 'los'; did you mean 'loss'?"),
            (["results/remedies/smoke/tables/loss.png"], "no figure; name a file of results/"),
            (["results/pilot/smoke/figures/accuracy.png"], "tables/rounds.csv: not there yet"),
            (["results/remedies/smoke/figures/loss.png", "--width", "3mm"], "--width 3mm: 40mm to 400mm"),
            (["results/remedies/smoke/figures/loss.png", "--width", "wide"], "--width wide: 40mm to 400mm"),
            (["results/remedies/smoke/figures/loss.png", "--style", "screen", "--width", "85"], "a screen has no width"),
            (["results/remedies/smoke/figures/loss.png", "--to", "loss.jpg"], "--to loss.jpg: write .png, .svg, .pdf"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_drawn_is_one_line(self, clone, capsys, arguments, message):
        assert self.run(*arguments) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1

    def test_an_error_of_the_kind_names_the_file(self, clone):
        with pytest.raises(FedscapeError, match="measure nothing: rounds has no column"):
            write_figure(
                Content("curves", {"measure": "nothing"}, {"rounds": [Path("results/remedies/smoke/tables/rounds.csv")]}, {}, ()),
                "", SCREEN, [Path("x.png")],
            )  # fmt: skip
