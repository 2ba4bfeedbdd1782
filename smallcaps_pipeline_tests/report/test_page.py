"""The page: it holds what was given, loads and runs nothing, and says what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from smallcaps_pipeline.micro import event_features
from smallcaps_pipeline.report import Evidence, build_report, draw_sample
from smallcaps_pipeline.report.breakdown import breakdown
from smallcaps_pipeline.report.decision import Decision
from smallcaps_pipeline.report.escalation import Release
from smallcaps_pipeline.report.evidence import BarCoverage, best_and_worst
from smallcaps_pipeline.report.figures import bar_chart_svg, bar_rows, bins_of, histogram
from smallcaps_pipeline.report.overrides import Override
from smallcaps_pipeline.report.status import Finding, Status
from smallcaps_pipeline.report.text import number, share_of, table
from smallcaps_pipeline.schemas import EVENTS, LABELS
from smallcaps_pipeline.settings import load_settings
from smallcaps_pipeline_tests.report.tables import (
    bars_around,
    event_row,
    events_of,
    funnel_of,
    manifest_of,
    many_events,
    ticks_around,
)
from smallcaps_pipeline_tests.review.browser import Browser, browser, missing

NOW = datetime(2025, 11, 28, 15, 0, tzinfo=UTC)
EVENT_ROWS = many_events(60)
PLANNED = manifest_of(EVENT_ROWS.head(12))
BEST = PLANNED.row(0, named=True)
SIGNED = Override("plus", "a pilot of <20> symbols", "anna", NOW, "NO-GO")


class Parts(HTMLParser):
    """Collects what a page would load or run, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._in_style = tag == "style"
        self.loads += [
            f"{tag} {name}={value}"
            for name, value in attrs
            if name in ("src", "href", "srcset", "data", "action") or name.startswith("on")
        ]

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.words.append(data)


def read(page: str) -> tuple[Parts, str]:
    parts = Parts()
    parts.feed(page)
    return parts, " ".join(" ".join(parts.words).split())


def said(*rows: tuple[str, str, str | None, str]) -> pl.DataFrame:
    """Make labels from (event, reviewer, label, note)."""
    return pl.DataFrame([(*row, NOW) for row in rows], schema=LABELS.schema, orient="row")


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    trades, quotes = ticks_around(BEST)
    ids = PLANNED["event_id"]
    return Evidence(
        profile="core",
        events=EVENT_ROWS,
        manifest=PLANNED,
        funnel=funnel_of(60, 40, 30, 20, 15, 12),
        notes=("max_per_symbol 3 x 2 < 10,000",),
        features=event_features(PLANNED.head(1), trades, quotes),
        sample=draw_sample(PLANNED),
        labels=said(
            (ids[0], "anna", "good", ""),
            (ids[1], "anna", "bad", "late <print>"),
            (ids[0], "ben", "good", ""),
            (ids[1], "ben", "bad", ""),
        ),
        bars=bars_around(BEST),
        trades=trades,
        quotes=quotes,
        release=Release("plus", "core", Decision.NO_GO, None),
        coverage=BarCoverage(6, 12, ("ZZZZ",)),
        banner="Made-up data.",
    )


@pytest.fixture(scope="module")
def page(evidence: Evidence) -> str:
    return build_report(evidence)


def test_page_loads_and_runs_nothing(page: str) -> None:
    parts, _ = read(page)
    assert parts.loads == []
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(parts.tags)
    assert "@import" not in page
    assert "url(" not in page
    assert "default-src 'none'; style-src 'unsafe-inline'" in page


def test_page_says_what_was_given(page: str) -> None:
    _, text = read(page)
    assert "Made-up data." in text
    assert "max_per_symbol 3 x 2 < 10,000" in text
    assert f"1. {BEST['symbol']}" in text
    assert "2 good" not in text
    assert "1 good, 1 bad, 0 unsure apart; 2 of 100 reviewed" in text
    assert "Agreement of anna, ben on 2 events: 100.0 % of pairs, Cohen's kappa 1.00" in text
    assert "late <print>" in text
    assert "The manifest holds 12 events, fewer than report.sample_size (100)" in text
    assert "of the universe without bars: ZZZZ" in text
    assert "Downloads of plus are blocked: the report of core says NOT YET." in text


@pytest.mark.parametrize(
    ("status", "override", "words"),
    [
        (Status.PASS, None, "Downloads of plus are released."),
        (Status.FAIL, None, "Downloads of plus are blocked: the report of core says NO-GO."),
        (
            Status.NOT_YET,
            SIGNED,
            "Override. Downloads of plus : the report of core says NOT YET; released by anna on "
            "2025-11-28 15:00 UTC: a pilot of <20> symbols",
        ),
    ],
)
@pytest.mark.parametrize("before", [None, *Decision])
def test_page_says_what_its_own_decision_releases(
    evidence: Evidence,
    monkeypatch: pytest.MonkeyPatch,
    before: Decision | None,
    status: Status,
    override: Override | None,
    words: str,
) -> None:
    """Whatever the report before it had decided."""
    criteria = [Finding("name", "title", 1.0, "", None, None, 100, status)]
    monkeypatch.setattr("smallcaps_pipeline.report.page.evaluate_criteria", lambda *_: criteria)
    release = Release("plus", "core", before, override)
    _, text = read(build_report(replace(evidence, release=release, manifest=None, bars=None)))
    assert words in text


def test_profile_that_rests_on_an_override_says_so(evidence: Evidence) -> None:
    own = Release("plus", "core", Decision.NO_GO, SIGNED)
    bare = replace(evidence, profile="plus", own_release=own, release=None, manifest=None)
    assert "released by anna" in read(build_report(bare))[1]


def test_same_evidence_gives_the_same_page(evidence: Evidence, page: str) -> None:
    shuffled = replace(evidence, events=evidence.events.sample(fraction=1, shuffle=True, seed=1))
    assert build_report(evidence) == page
    assert build_report(shuffled) == page


def test_page_without_any_evidence() -> None:
    _, text = read(build_report(Evidence("core", EVENTS.empty())))
    assert "NOT YET" in text
    for lacking in (
        "No manifest yet",
        "None were detected",
        "No window has been fetched yet",
        "Nobody has judged yet",
    ):
        assert lacking in text
    assert text.count("not yet") >= 7


def test_best_and_worst_share_no_event() -> None:
    best, worst = best_and_worst(PLANNED.sample(fraction=1, shuffle=True, seed=3), 5)
    assert best["rank"].to_list() == [1, 2, 3, 4, 5]
    assert worst["rank"].to_list() == [8, 9, 10, 11, 12]
    best, worst = best_and_worst(PLANNED, 10)
    assert (best.height, worst["rank"].to_list()) == (10, [11, 12])
    assert [part.height for part in best_and_worst(PLANNED.head(3), 10)] == [3, 0]


# counts ---------------------------------------------------------------------------------------


def test_breakdown_by_hand() -> None:
    rows = events_of(
        event_row("A", "08:00", session="PM", day="2025-08-05"),
        event_row("A", "10:00", day="2025-08-05"),
        event_row("A", "15:30", day="2025-10-07", event_type="flush"),
        event_row("B", "12:30", day="2025-11-28"),  # the last hour before an early close
    )
    ids = rows["event_id"].to_list()
    labels = pl.DataFrame({"event_id": ids[:2], "label": ["good", "bad"]})
    settings = load_settings()

    def counted(dimension: str) -> list[tuple[object, ...]]:
        return breakdown(rows, rows.head(3), labels, dimension, settings).rows()

    # dimension, good, bad and unsure, PM, RTH and AH, detected, chosen
    columns = [*("PM", "RTH", "AH"), *("good", "bad", "unsure"), *("detected", "chosen")]
    assert breakdown(rows, None, labels, "month", settings).columns == ["month", *columns]
    assert counted("event_type") == [
        ("volume_spike", 1, 2, 0, 1, 1, 0, 3, 2),
        ("flush", 0, 1, 0, 0, 0, 0, 1, 1),
    ]
    assert [row[0] for row in counted("time_bucket")] == ["PM", "opening", "power_hour"]
    assert [(row[0], row[-2]) for row in counted("month")] == [
        ("2025-08", 2),
        ("2025-09", 0),  # a month without an event is shown
        ("2025-10", 1),
        ("2025-11", 1),
    ]


@pytest.mark.parametrize("values", [[], [None], [5.0], [5.0, 5.0], [0.0, 1.0, 100.0]])
@pytest.mark.parametrize("logarithmic", [True, False])
def test_histogram_of_few_values(values: list[float | None], logarithmic: bool) -> None:
    drawn = histogram(pl.Series(values, dtype=pl.Float64), "USD", logarithmic=logarithmic)
    kept = [v for v in values if v is not None and (v > 0 or not logarithmic)]
    assert ("No values yet" in drawn) is (not kept)
    if kept:
        assert f"{len(kept)} events" in drawn


def test_bins_hold_every_value_once() -> None:
    low, width, counts = bins_of(pl.Series([0.0, 1.0, 1.9, 2.0, 10.0]), 10)
    assert (low, width, counts) == (0.0, 1.0, [1, 2, 1, 0, 0, 0, 0, 0, 0, 1])
    assert bins_of(pl.Series([7.0, 7.0]), 10) == (6.5, 1.0, [2])


def test_bars_are_to_one_scale_and_escaped() -> None:
    drawn = bar_rows([("a<b", [(30.0, "pm"), (10.0, "rth")], "40"), ("c", [(20.0, "rth")], "20")])
    assert "a&lt;b" in drawn
    assert drawn.count("width:75.00%") == 1
    assert drawn.count("width:50.00%") == 1


def test_svg_is_small_sound_and_escaped() -> None:
    svg = bar_chart_svg(["a<b", "up"], [1234, 0], "Events & more")
    texts = [node.text for node in ET.fromstring(svg).iter() if node.text]
    assert texts == ["Events & more", "a<b", "1,234", "up", "0"]
    assert len(svg.encode()) < 3000
    assert "<script" not in svg
    ET.fromstring(bar_chart_svg([], [], "nothing"))
    with pytest.raises(ValueError, match="1 labels for 2 values"):
        bar_chart_svg(["a"], [1, 2], "t")


# text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234, "", "1,234"),
        (12.345, "%", "12.3\u202f%"),
        (0.0543, "", "0.0543"),
        (1.5, "x", "1.50\u202fx"),
        (123456.7, "USD", "123,457\u202fUSD"),
        (None, "%", "\u2013"),
        (7.0, "events", "7"),
    ],
)
def test_numbers_as_read(value: float | None, unit: str, text: str) -> None:
    assert number(value, unit) == text


def test_shares_as_read() -> None:
    assert (share_of(12, 120), share_of(3, 0), share_of(3, None)) == ("12 of 120", "3", "3")
    assert (share_of(1, 8, bare=True), share_of(1, 0, bare=True)) == ("12.5\u202f%", "\u2013")


def test_tables_escape_what_is_not_html() -> None:
    html = table(("<a>", "b"), [("<x>", "<b>1</b>")], numeric=(1,), raw=(1,))
    assert "<th>&lt;a&gt;</th>" in html
    assert '<td>&lt;x&gt;</td><td class="num"><b>1</b></td>' in html


def test_event_row_is_of_the_schema() -> None:
    assert set(event_row()) == set(EVENTS.columns)


# in a browser ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if why := missing():
        pytest.skip(why)
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_page_opens_from_its_file_fits_and_follows_the_reader(
    chromium: Browser, page: str, tmp_path: Path, width: int, scheme: str
) -> None:
    file = tmp_path / "index.html"
    file.write_text(page, encoding="utf-8")
    chromium.resize(width, 900)
    chromium.prefer(scheme)
    chromium.open(file.as_uri())
    assert chromium.run("return document.documentElement.scrollWidth") <= width
    background = chromium.run("return getComputedStyle(document.body).backgroundColor")
    dark = sum(int(part) for part in background[4:-1].split(",")) < 200
    assert dark is (scheme == "dark")
    assert chromium.text(".decision b.word") in {"GO", "NO-GO", "NOT YET"}
    assert chromium.run("return document.querySelectorAll('svg.chart').length") >= 2
    assert chromium.errors() == []
