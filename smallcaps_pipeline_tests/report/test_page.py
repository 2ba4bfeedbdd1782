"""The page: it holds what was given, loads nothing, and says what is missing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from smallcaps_pipeline.micro import event_features
from smallcaps_pipeline.report import build_report
from smallcaps_pipeline.report.candles import event_chart, running_vwap
from smallcaps_pipeline.report.figures import bar_chart_svg, distribution, events_by_month
from smallcaps_pipeline.report.summary import event_summary
from smallcaps_pipeline.report.text import number, table
from smallcaps_pipeline.schemas import BARS, EVENTS
from smallcaps_pipeline_tests.micro.tables import at
from smallcaps_pipeline_tests.report.tables import (
    bars_around,
    event_row,
    funnel_of,
    manifest_of,
    many_events,
    ticks_around,
)

EVENT_ROWS = many_events(60)
PLANNED = manifest_of(EVENT_ROWS.head(12))
BEST = PLANNED.row(0, named=True)


class Loads(HTMLParser):
    """Collects what a page would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {k}={v}" for k, v in attrs if k in ("src", "href", "srcset", "data")]


@pytest.fixture(scope="module")
def page() -> str:
    trades, quotes = ticks_around(BEST)
    return build_report(
        EVENT_ROWS,
        PLANNED,
        funnel=funnel_of(60, 40, 30, 20, 15, 12),
        notes=["max_per_symbol 3 x 2 < 10,000"],
        features=event_features(PLANNED.head(1), trades, quotes),
        bars=bars_around(BEST),
        trades=trades,
        quotes=quotes,
        simulated=True,
    )


def without_scripts(page: str) -> str:
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_page_loads_nothing_and_carries_plotly_once(page: str) -> None:
    loads = Loads()
    loads.feed(page)
    assert loads.found == []
    assert page.count("plotly.js v") == 1
    assert "@import" not in page.split("</style>")[0]
    assert "url(" not in page.split("</style>")[0]


def test_page_says_what_was_given(page: str) -> None:
    text = without_scripts(page)
    assert "Simulated data" in text
    assert "NO-GO" in text or "NOT YET" in text
    assert "max_per_symbol 3 x 2 &lt; 10,000" in text
    assert f">{BEST['symbol']}<" in text
    assert "volume spike" in text
    assert "9 by quota" in text or "10 by quota" in text


def test_same_input_gives_the_same_text() -> None:
    one, two = (without_scripts(build_report(EVENT_ROWS)) for _ in range(2))
    # plotly names its boxes at random
    assert re.sub(r'id="[^"]+"', "", one) == re.sub(r'id="[^"]+"', "", two)


def test_page_without_any_evidence() -> None:
    text = without_scripts(build_report(EVENTS.empty()))
    assert "NOT YET" in text
    assert "Simulated" not in text
    for missing in ("No manifest yet", "None were detected", "No window has been fetched yet"):
        assert missing in text


def test_vwap_starts_at_the_open_and_minds_the_bars_own_vwap() -> None:
    bars = BARS.conform(
        pl.DataFrame(
            {
                "symbol": "AEMD",
                "timestamp": [at(f"09:{minute}:00") for minute in (29, 30, 31)],
                "open": 9.0,
                "high": [99.0, 12.0, 20.0],
                "low": [9.0, 6.0, 10.0],
                "close": [9.0, 9.0, 15.0],
                "volume": [1e6, 100.0, 300.0],
                "vwap": [50.0, 11.0, 99.0],  # the last lies above the high: typical price, 15
                "transactions": None,
            }
        )
    )
    vwap = running_vwap(bars)["vwap_rth"].to_list()
    assert vwap == [None, 11.0, (11 * 100 + 15 * 300) / 400]


def test_chart_with_and_without_a_window() -> None:
    trades, quotes = ticks_around(BEST)
    bars = bars_around(BEST)
    bare = event_chart(BEST, bars)
    full = event_chart(BEST, bars, trades, quotes)
    assert {trace.name for trace in bare.data} == {"price", "VWAP from 09:30", "volume"}
    assert {"buyers", "sellers"} < {trace.name for trace in full.data}
    other = event_chart(BEST, bars.with_columns(symbol=pl.lit("NERV")))
    assert len(other.data[0].x) == 0  # bars of another symbol are not its bars
    first_bar = full.data[0].x[0]
    assert first_bar.hour - BEST["timestamp"].hour in (-4, -5)  # New York, 45 minutes before


def test_months_count_all_sessions() -> None:
    figure = events_by_month(event_summary(EVENT_ROWS))
    assert sum(sum(trace.y) for trace in figure.data) == EVENT_ROWS.height


@pytest.mark.parametrize("values", [[], [None], [5.0], [5.0, 5.0], [0.0, 1.0, 100.0]])
@pytest.mark.parametrize("logarithmic", [True, False])
def test_distribution_of_few_values(values: list[float | None], logarithmic: bool) -> None:
    series = pl.Series(values, dtype=pl.Float64)
    figure = distribution(series, "USD", logarithmic=logarithmic)
    kept = [v for v in values if v is not None and (v > 0 or not logarithmic)]
    assert sum(figure.data[0].y) == len(kept)


def test_svg_is_small_sound_and_escaped() -> None:
    svg = bar_chart_svg(["a<b", "up"], [1234, 0], "Events & more")
    texts = [node.text for node in ET.fromstring(svg).iter() if node.text]
    assert texts == ["Events & more", "a<b", "1,234", "up", "0"]
    assert len(svg.encode()) < 3000
    assert "<script" not in svg
    ET.fromstring(bar_chart_svg([], [], "nothing"))
    with pytest.raises(ValueError, match="1 labels for 2 values"):
        bar_chart_svg(["a"], [1, 2], "t")


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


def test_tables_escape_what_is_not_html() -> None:
    html = table(("<a>", "b"), [("<x>", "<b>1</b>")], numeric=(1,), raw=(1,))
    assert "<th>&lt;a&gt;</th>" in html
    assert '<td>&lt;x&gt;</td><td class="num"><b>1</b></td>' in html


def test_event_row_is_of_the_schema() -> None:
    assert set(event_row()) == set(EVENTS.columns)
