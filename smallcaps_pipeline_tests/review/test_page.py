"""The review page in a real browser: keys judge, notes are kept, a restart goes on.

Skips where Chromium or its driver is not installed; nothing is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.report.journal import Journal, read_labels
from smallcaps_pipeline.report.labels import ReviewLabel
from smallcaps_pipeline.review.server import running
from smallcaps_pipeline_tests.review.browser import Browser, browser, missing
from smallcaps_pipeline_tests.review.seat import NOW, WITHOUT_WINDOW, make_lake, take_seat

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")

SHOWN = "document.body.dataset.shown === args[0]"
SAID = "document.querySelector('#said').textContent.includes(args[0])"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        page.resize(1280, 800)
        yield page


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, pl.DataFrame]:
    return make_lake(tmp_path_factory.mktemp("lake"))


@pytest.fixture
def lake(made: tuple[Lake, pl.DataFrame]) -> Iterator[Lake]:
    yield made[0]
    for file in made[0].records("review"):
        file.unlink()


@pytest.fixture
def ids(made: tuple[Lake, pl.DataFrame]) -> list[str]:
    return made[1]["event_id"].to_list()


@pytest.fixture
def sample(made: tuple[Lake, pl.DataFrame]) -> pl.DataFrame:
    return made[1]


@pytest.fixture
def url(lake: Lake, sample: pl.DataFrame) -> Iterator[str]:
    with running(take_seat(lake, sample)) as server:
        yield server.url


def labels(lake: Lake) -> dict[str, str | None]:
    return dict(read_labels(lake).select("event_id", "label").iter_rows())


def test_keys_judge_undo_and_go_on(chromium: Browser, url: str, lake: Lake, ids: list[str]) -> None:
    chromium.open(url)
    chromium.wait(SHOWN, ids[0])
    assert chromium.text("#all") == str(len(ids))
    assert "simulated" not in chromium.text("body").lower()
    assert chromium.text("#banner") == "Made up."
    for key, place in (("g", 1), ("B", 2), ("u", 3)):  # capitals too: a locked keyboard
        chromium.press(key)
        chromium.wait(SHOWN, ids[place])
    assert labels(lake) == {ids[0]: "good", ids[1]: "bad", ids[2]: "unsure"}
    assert chromium.text("#done") == "3"
    assert chromium.text("#split") == "(1 good, 1 bad, 1 unsure)"
    chromium.press("z")
    chromium.wait(SHOWN, ids[2])
    assert labels(lake) == {ids[0]: "good", ids[1]: "bad"}
    chromium.press("Left")
    chromium.wait(SHOWN, ids[1])
    chromium.wait(SAID, "bad")
    chromium.press("g")  # a changed mind, then on to the next open one
    chromium.wait(SHOWN, ids[2])
    assert labels(lake)[ids[1]] == "good"
    assert chromium.errors() == []  # no script error, and nothing that the policy forbids


def test_note_is_written_kept_and_never_judges(
    chromium: Browser, url: str, lake: Lake, ids: list[str]
) -> None:
    chromium.open(url)
    chromium.wait(SHOWN, ids[0])
    chromium.press("n")
    for key in "bug <b>":  # keys that would judge, and what must not become HTML
        chromium.press(key)
    chromium.press("Enter")
    chromium.wait(SAID, "bug <b>")
    assert labels(lake) == {ids[0]: None}
    chromium.press("b")
    chromium.wait(SHOWN, ids[1])
    assert read_labels(lake).select("label", "note").rows() == [("bad", "bug <b>")]
    chromium.press("n")
    chromium.press("x")
    chromium.press("Escape")
    assert read_labels(lake).height == 1


def test_charts_show_bars_window_and_tape(
    chromium: Browser, url: str, sample: pl.DataFrame
) -> None:
    chromium.open(url)
    for row in sample.rows(named=True):
        chromium.wait(SHOWN, row["event_id"])
        parts = chromium.run(
            "return [...document.querySelectorAll('#minutes path, #minutes rect')]"
            ".map((mark) => mark.getAttribute('class'))"
        )
        assert {"body up", "body down", "vwap", "arrow", "eventband", "window"} <= set(parts)
        has_tape = chromium.run("return !!document.querySelector('#tape .dot.buy')")
        assert has_tape is (row["symbol"] != WITHOUT_WINDOW)
        chromium.press("Right")
    assert chromium.errors() == []


def test_pointer_reads_a_bar_and_d_shows_the_day(
    chromium: Browser, url: str, ids: list[str]
) -> None:
    chromium.open(url)
    chromium.wait(SHOWN, ids[0])
    box = chromium.run(
        "const box = document.querySelector('#minutes .eventband').getBoundingClientRect();"
        "return [box.x + box.width / 2, box.y + box.height / 2]"
    )
    chromium.hover(*(int(place) for place in box))
    chromium.wait("document.querySelector('#readout').textContent.startsWith(args[0])", "10:30")
    assert "volume" in chromium.text("#readout")
    near = chromium.run("return document.querySelector('#minutes svg').dataset.step")
    chromium.press("d")
    day = chromium.run("return document.querySelector('#minutes svg').dataset.step")
    assert float(day) < float(near)  # more minutes, fewer pixels each
    assert chromium.text("#daytext") == "45 minutes"
    chromium.press("d")


def test_a_restart_goes_on_at_the_first_open_event(
    chromium: Browser, lake: Lake, sample: pl.DataFrame, ids: list[str]
) -> None:
    journal = Journal(lake, "anna")
    for event_id in ids[:2]:
        journal.say(event_id, ReviewLabel.GOOD, "", NOW)
    with running(take_seat(lake, sample)) as server:
        chromium.open(server.url)
        chromium.wait(SHOWN, ids[2])
        for event_id in ids[2:]:
            chromium.wait(SHOWN, event_id)
            chromium.press("b")
        chromium.wait("!document.querySelector('#finished').hidden")
    assert len(labels(lake)) == len(ids)


def test_a_server_that_is_gone_is_said_and_nothing_is_taken_for_saved(
    chromium: Browser, lake: Lake, sample: pl.DataFrame, ids: list[str]
) -> None:
    with running(take_seat(lake, sample)) as server:
        chromium.open(server.url)
        chromium.wait(SHOWN, ids[0])
    chromium.press("g")
    chromium.wait("!document.querySelector('#problem').hidden")
    assert "Not saved" in chromium.text("#problem")
    assert chromium.text("#done") == "0"
    assert labels(lake) == {}
    chromium.errors()  # the refused connection is one


@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_its_width(chromium: Browser, url: str, ids: list[str], width: int) -> None:
    chromium.resize(width, 800)
    try:
        chromium.open(url)
        chromium.wait(SHOWN, ids[0])
        assert chromium.run("return document.documentElement.scrollWidth") <= width
        if width == 1280:  # keys and charts are seen together
            assert chromium.run("return document.documentElement.scrollHeight") <= 800
    finally:
        chromium.resize(1280, 800)
