"""The page of a study in a real browser, Debian's chromium; skipped where it, or its driver, is not installed."""

import shutil

import pytest
from figure_frames import markers_frame
from small_page import HOSTILE, small_page

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("there is no chromium", allow_module_level=True)
WAIT = 30_000  # milliseconds, on a busy machine


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return small_page(tmp_path_factory.mktemp("page"), title=HOSTILE)


@pytest.fixture
def opened(browser, made):
    """The page, drawn; at the end no script may have failed, and nothing may have been fetched."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(("file:", "data:", "blob:")) else wrong.append(request.url)
        ),
    )
    page.goto(made.as_uri())
    page.wait_for_function("() => document.querySelectorAll('.plot .main-svg').length > 1", timeout=WAIT)
    yield page
    page.close()
    assert wrong == []


def choose(page, control, value):
    page.locator(f"#explorer-{control}").select_option(value)


def drawn(page, plot="flat"):
    """The models of each run that a plot shows now: name -> coordinates."""
    return page.evaluate(
        f"""() => Object.fromEntries(document.getElementById('explorer-{plot}')._fullData
            .filter((trace) => trace.mode === 'markers' && trace.visible === true)
            .map((trace) => [trace.name, [Array.from(trace.x), Array.from(trace.y), Array.from(trace.z ?? [])]]))"""
    )


def test_numbers_of_claims_and_runs_are_those_of_the_csvs(opened):
    assert opened.locator("tr.claim").count() == 3
    assert opened.locator("#runs-table tbody tr").count() == 2
    assert opened.locator(".bar span").all_inner_texts() == ["2", "1"]


def test_claims_are_filtered_by_verdict(opened):
    opened.get_by_role("button", name="holds (2)", exact=True).click()
    assert opened.locator("tr.claim:visible").count() == 2
    opened.get_by_role("button", name="all (3)").click()
    assert opened.locator("tr.claim:visible").count() == 3


def test_runs_are_searched_and_sorted(opened):
    opened.locator("input[type=search]").fill("0.25")
    assert opened.locator("#runs-table tbody tr:visible").count() == 1
    opened.locator("input[type=search]").fill("")
    head = opened.locator("#runs-table th", has_text="test accuracy").first
    for direction, first in (("ascending", "0.25"), ("descending", "0.5")):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == direction
        assert first in opened.locator("#runs-table tbody tr").first.inner_text()


def test_a_plot_is_what_it_claims_to_be(opened):
    """Plotly draws a type that its bundle lacks as something else, without a word."""
    for plot, type_ in (("flat", "contour"), ("relief", "surface")):
        assert opened.evaluate(f"document.getElementById('explorer-{plot}')._fullData[0].type") == type_


def test_the_slider_moves_the_models_along_their_runs(opened):
    markers = markers_frame()
    for number in (3, 1, 0):
        opened.locator("#explorer-step").fill(str(number))
        assert opened.locator("#explorer-step-word").inner_text() == f"round {number}"
        for plot in ("flat", "relief"):
            there = drawn(opened, plot)
            assert len(there) == 2
            for (_, run), (x, y, _) in zip(
                markers.groupby("partition", sort=False), there.values(), strict=True
            ):
                at = run[run["round"] == number].iloc[0]
                assert (x, y) == ([at["x"]], [pytest.approx(at["y"])])


def test_the_height_of_a_model_is_drawn_or_true(opened):
    choose(opened, "scale", "linear")
    opened.locator("#explorer-step").fill("1")
    iid = "iid"
    lift = opened.evaluate("explorer.lift")
    heights = {}
    for height in ("loss_at_projection", "loss_under_policy"):
        choose(opened, "height", height)
        heights[height] = drawn(opened, "relief")[iid][2][0] - lift
    assert heights == {
        "loss_at_projection": pytest.approx(0.9),
        "loss_under_policy": pytest.approx(1.0),
    }


def test_hovering_a_model_tells_its_numbers(opened):
    text = opened.evaluate(
        "document.getElementById('explorer-flat')._fullData.find((trace) => trace.mode === 'markers').text[0]"
    )
    for words in ("round 3", "true loss 0.5<", "projection 0.45<", "0.2 of its distance"):
        assert words in text
    box = opened.locator("#explorer-flat .scatterlayer .points path").last.bounding_box()
    opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.wait_for_selector("#explorer-flat .hovertext", timeout=WAIT)
    assert "true loss" in opened.locator("#explorer-flat .hovertext").text_content()


def test_the_legend_switches_a_run_off_in_both_plots(opened):
    opened.locator("#explorer-flat .legendtoggle").first.click()
    opened.wait_for_function("() => explorer.hidden.size === 1", timeout=WAIT)
    for plot in ("flat", "relief"):
        assert len(drawn(opened, plot)) == 1


def test_a_check_box_switches_a_run_off_by_the_keyboard(opened):
    opened.get_by_text("Runs shown", exact=True).focus()
    opened.keyboard.press("Enter")
    opened.get_by_role("checkbox", name="iid", exact=True).focus()
    opened.keyboard.press("Space")
    for plot in ("flat", "relief"):
        assert len(drawn(opened, plot)) == 1 and "iid" not in drawn(opened, plot)
    opened.keyboard.press("Space")
    assert len(drawn(opened, "flat")) == 2


def test_barriers_of_layers_have_a_map_and_a_slider(opened):
    opened.locator("#layers-step").fill("1")
    assert opened.locator("#layers-step-word").inner_text() == "round 10"
    rows = opened.evaluate("document.getElementById('layers-plot')._fullData[0].z.map((row) => [...row])")
    assert rows == [pytest.approx([0.1, 0.2, 0.3, 0.4], abs=1e-6)]


def test_a_spectrum_is_drawn_as_it_is(opened):
    densities = opened.evaluate("[...document.getElementById('spectra-plot')._fullData[0].y]")
    assert densities == pytest.approx([1 / (1 + i) for i in range(9)], rel=1e-5)


def test_the_paper_s_tables_are_sorted_by_their_means(opened):
    table = opened.locator("#tables table")
    table.locator("th button", has_text="accuracy").click()
    assert table.locator("tbody td:first-child").all_inner_texts() == ["B", "A"]


def test_an_exported_picture_is_for_paper(opened):
    opened.get_by_role("button", name="Light / dark").click()
    with opened.expect_download() as download:
        opened.get_by_role("button", name="Save SVG").click()
    assert "rgb(255, 255, 255)" in download.value.path().read_text()


def test_play_goes_to_the_last_round(opened):
    opened.locator("#explorer-step").fill("0")
    opened.get_by_role("button", name="Play").click()
    opened.wait_for_function("() => document.getElementById('explorer-step').value === '3'", timeout=WAIT)
    assert opened.get_by_role("button", name="Play").get_attribute("aria-pressed") == "false"


def test_a_client_s_surface_is_its_own(opened):
    choose(opened, "plane", "1")
    lowest = []
    for surface in ("0", "1", "2"):
        choose(opened, "surface", surface)
        lowest.append(opened.evaluate("Math.min(...explorer.shown.rows.flat())"))
    assert lowest[0] == pytest.approx(0.3, abs=0.05) and lowest[1] == pytest.approx(0.05, abs=0.1)
    assert opened.locator("#explorer-surface option").all_inner_texts()[1] == "client 0's own samples"


def test_text_from_a_hostile_label_stays_text(opened):
    assert opened.title().startswith(HOSTILE)
    assert opened.locator("img[src=x]").count() == 0
    assert HOSTILE in opened.locator("#explorer-flat .legendtext").all_text_contents()


def test_the_keyboard_reaches_everything(opened):
    opened.locator("#explorer-step").focus()
    opened.keyboard.press("ArrowLeft")
    assert opened.locator("#explorer-step-word").inner_text() == "round 2"
    opened.locator("tr.claim summary").first.focus()
    opened.keyboard.press("Enter")
    assert opened.get_by_text("case 2 - case 1 > 0: 0.5 [0.25, 0.75]").is_visible()
    assert opened.get_by_text("0.25;0.75").first.is_visible()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out(opened, width):
    opened.set_viewport_size({"width": width, "height": 800})
    opened.wait_for_timeout(300)
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_and_light(opened):
    before = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    opened.get_by_role("button", name="Light / dark").click()
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") != before
