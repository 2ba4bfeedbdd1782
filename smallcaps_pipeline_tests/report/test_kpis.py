"""KPIs of event shards and windows, worked by hand."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from smallcaps_pipeline.report import event_kpis, event_summary, window_kpis
from smallcaps_pipeline.report.status import Finding, Status, findings_frame
from smallcaps_pipeline.schemas import EVENTS, MICRO_FEATURES
from smallcaps_pipeline_tests.report.tables import event_row, events_of, many_events


def kpis(events: pl.DataFrame) -> dict[str, Finding]:
    return {finding.name: finding for finding in event_kpis(events)}


def test_shares_counts_and_quantiles() -> None:
    rows = [event_row(clock=f"{8 + i // 60:02d}:{i % 60:02d}", session="PM") for i in range(20)]
    rows += [event_row(f"S{i}", clock=f"11:{i:02d}") for i in range(60)]
    rows += [event_row(f"S{i}", clock=f"17:{i:02d}", session="AH") for i in range(20)]
    for number, row in enumerate(rows):
        row.update(spike_x=float(number), dollar_volume=1000.0 * number)
    found = kpis(events_of(*rows))
    assert found["events"].figure == 100
    assert found["events_volume_spike"].figure == 100
    shares = [found[f"{name}_share_pct"].figure for name in ("pm", "rth", "ah")]
    assert shares == [20.0, 60.0, 20.0]
    assert found["median_dollar_volume"].figure == 49_500.0
    assert found["median_dollar_volume"].status is Status.FAIL  # below 50,000
    # 0.999 quantile of 0..99 = 98.901; one event is above.
    assert found["spike_x_quantile"].figure == pytest.approx(98.901)
    assert found["spike_x_above_quantile"].figure == 1


def test_near_duplicates_are_of_one_symbol_type_and_direction() -> None:
    base = [event_row(f"S{i}") for i in range(96)]
    near = [event_row("AEMD", "10:00"), event_row("AEMD", "10:09"), event_row("AEMD", "10:19")]
    other = [event_row("AEMD", "10:10", direction="down")]
    share = kpis(events_of(*base, *near, *other))["near_duplicates_pct"]
    assert share.figure == 1.0  # 10:09 only; 10:19 is 10 minutes after
    assert share.status is Status.PASS


def test_events_per_hour_and_fullest_minute() -> None:
    busy = [event_row("AEMD", f"10:{i:02d}") for i in range(5)]
    calm = [event_row(f"S{i}", "11:30") for i in range(45)]
    found = kpis(events_of(*busy, *calm))
    assert found["events_per_hour_mean"].figure == pytest.approx(50 / 46)
    assert found["events_per_hour_p99"].figure == pytest.approx(1 + 4 * 0.55)  # rank 44.55 of 0..45
    assert found["one_minute_pct"].figure == 90.0
    assert found["one_minute_pct"].status is Status.FAIL
    assert found["one_minute_pct"].note == "11:30 New York"


def test_shares_of_a_thin_shard_are_not_yet() -> None:
    found = kpis(events_of(event_row()))
    assert found["one_minute_pct"].figure == 100.0
    assert found["one_minute_pct"].status is Status.NOT_YET


def test_no_events_fail_nothing() -> None:
    findings = event_kpis(EVENTS.empty())
    assert Status.FAIL not in {finding.status for finding in findings}
    assert findings_frame(findings).height == len(findings)


def test_window_kpis() -> None:
    frame = pl.DataFrame(
        {
            "session": ["RTH"] * 20 + ["PM"],
            "label_trades": [0, *[5] * 19, 0],
            "label_quotes": [0, 0, *[9] * 18, None],
            "label_tape_speed": [float(i) for i in range(21)],
        }
    )
    rows = pl.concat([MICRO_FEATURES.empty(), frame], how="diagonal_relaxed")
    found = {finding.name: finding for finding in window_kpis(rows)}
    assert (found["rth_with_trades"].figure, found["rth_with_trades"].n) == (95.0, 20)
    assert found["rth_with_trades"].status is Status.PASS
    assert (found["empty_quotes"].figure, found["empty_quotes"].n) == (10.0, 20)
    assert found["empty_quotes"].status is Status.FAIL
    assert found["trades_per_minute_p50"].figure == 10.0


def test_event_summary() -> None:
    events = events_of(
        event_row(), event_row("NERV"), event_row(clock="08:00", session="PM", day="2025-09-09")
    )
    expected = pl.DataFrame(
        {
            "event_type": ["volume_spike"] * 2,
            "direction": ["up"] * 2,
            "session": ["PM", "RTH"],
            "month": ["2025-09", "2025-10"],
            "events": [1, 2],
            "symbols": [1, 2],
        }
    )
    assert_frame_equal(event_summary(events), expected)
    assert event_summary(EVENTS.empty()).height == 0


def test_summary_adds_up_and_forgets_row_order() -> None:
    events = many_events()
    summary = event_summary(events)
    assert summary["events"].sum() == events.height
    assert_frame_equal(summary, event_summary(events.reverse()))
