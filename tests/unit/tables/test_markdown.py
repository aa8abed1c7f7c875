"""Text of a study in pages of Markdown and in figures: it stands there as it is, whatever it holds."""

import re

import pandas as pd
import pytest
from drawn_figures import LABELS, drawn, rounds_frame
from hypothesis import given
from hypothesis import strategies as st

from fedscape.columns.identity import IDENTITY
from fedscape.plugins import Plugin
from fedscape.settings.tables import PaperTable, TableColumn
from fedscape.tables import claims
from fedscape.tables.collect import SUMMARY_COLUMNS, summary_text
from fedscape.tables.contrasts import Contrast, Estimated
from fedscape.tables.estimate import Estimate, estimate
from fedscape.tables.markdown import escaped, markdown_table
from fedscape.tables.table import Cell, table_page

anything = st.text(max_size=30) | st.text(alphabet="|\\`*<>&[]()!\n\r\u2028\x1b# -_a1", max_size=30)
HOSTILE = "a|b\\|c\n# d <script>e</script> [f](javascript:g) `h` **i** &lt;"


def split(line: str) -> list[str]:
    """The cells of a row, as GitHub tells them: between the bars that no backslash escapes."""
    found, inside = [""], False
    for one in line:
        if one == "|" and not inside:
            found.append("")
        else:
            found[-1] += one
        inside = one == "\\" and not inside
    assert (found[0], found[-1]) == ("", "")
    return [cell.strip() for cell in found[1:-1]]


def read(text: str) -> str:
    """What a reader sees of escaped text."""
    shown = re.sub(r"\\([\\|*`~_(])", r"\1", text)
    return shown.replace("&lt;", "<").replace("&amp;", "&")


@given(anything)
def test_a_reader_sees_the_text_and_no_markup_of_it(text):
    line = escaped(text)
    assert line.isprintable() and "<" not in line and not re.search(r"(?<!\\)\]\(", line)
    assert not re.search(r"(?:^|[\s.,])_\w", line) and "~~" not in line
    visible = "".join(one if one.isprintable() else " " for one in text)
    assert read(line) == " ".join(visible.split())


def test_names_of_measures_stay_as_they_are_and_emphasis_does_not():
    assert escaped("test_accuracy of __all_ ~~runs~~") == r"test_accuracy of \_\_all\_ \~\~runs\~\~"


@given(st.lists(st.lists(anything, min_size=3, max_size=3), min_size=1, max_size=4))
def test_any_text_makes_a_table_with_its_rows_and_cells(rows):
    header, *lines = rows
    text = markdown_table(header, lines, texts=1)
    shown = text.split("\n")
    assert len(shown) == len(rows) + 1 and text.splitlines() == shown and "<" not in text
    for line, row in zip([shown[0], *shown[2:]], rows, strict=True):
        assert split(line) == [escaped(one) for one in row]


@given(anything)
def test_the_page_of_a_table_has_as_many_lines_for_any_text(text):
    columns = [
        TableColumn(text, Plugin("final", {"column": text}), "planes", text),
        TableColumn(f"{text}2", None, "", ""),
    ]
    table = PaperTable(text, text, [text, "b"], columns, cells=[[[], []]] * 2, published=[[None, 1.0]] * 2)
    cells = [[Cell(estimate({0: 0.5})), Cell(Estimate(), 1.0)]] * 2
    page = table_page(table, cells, "s", "smoke")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len(rows) == 4 and {len(split(line)) for line in rows} == {3}
    assert len(page.splitlines()) == len(page.split("\n")) - 1 and "<" not in page


contrast = Estimated(Contrast((-1.0, 1.0), 0.0, above=False), -1.0, -2.0, 0.0, "student", 3)


@given(anything)
def test_the_page_of_claims_has_as_many_lines_for_any_text(text):
    one = claims.Tested(
        claim=text, source=text, measure=text, shared=text, cases=[text, ""], values=["1", "2"], seeds=[0, 1],
        expectation=text, contrasts=[contrast], verdict="holds", note=text,
    )  # fmt: skip
    page = claims.claims_page([one], "s", "smoke", ["holds", "fails"])
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len(rows) == 3 and {len(split(line)) for line in rows} == {5}
    assert len(page.splitlines()) == 18 and "<" not in page


def test_the_page_of_runs_escapes_too():
    run = {
        **dict.fromkeys(IDENTITY, "x"),
        **dict.fromkeys(SUMMARY_COLUMNS, 0.5),
        "clients": 10,
        "diverged": False,
        "chosen_on": "validation",
        "grid": HOSTILE,
    }
    page = summary_text(pd.DataFrame([run, {**run, "partition": HOSTILE}]))
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert (
        len(rows) == 4
        and {len(split(line)) for line in rows} == {2 + len(SUMMARY_COLUMNS)}
        and "<" not in page
    )


@pytest.mark.parametrize("text", ["a $ b", "$\\frac{$", "costs $5 and $6_^", "$a$", "\\$x$ $", "a_b^c\\d"])
def test_a_figure_draws_any_label_as_it_stands(tmp_path, text):
    labels = [{**LABELS[0], "label": text}, *LABELS[1:]]
    _, svg = drawn(
        tmp_path,
        "curves",
        {"measure": "test_accuracy"},
        {"rounds": rounds_frame()},
        title=text,
        labels=labels,
    )
    assert f"<!-- {text} -->".encode() in svg
