"""The criteria of GO / NO-GO: where each passes, fails, and is not yet."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from smallcaps_pipeline.report import decide, evaluate_criteria
from smallcaps_pipeline.report.decision import (
    Decision,
    leading_types,
    liquid_windows,
    precision,
    premarket_first,
    speed_and_volatility,
    spread_multiple,
    wilson_interval,
)
from smallcaps_pipeline.report.status import Finding, Status, judge
from smallcaps_pipeline.schemas import MICRO_FEATURES
from smallcaps_pipeline.settings import Range, load_settings
from smallcaps_pipeline_tests.report.tables import event_row, events_of

REPORT = load_settings().report
PASS, FAIL, NOT_YET = Status.PASS, Status.FAIL, Status.NOT_YET


def labels(good: int, bad: int, unsure: int = 0) -> pl.DataFrame:
    said = ["good"] * good + ["bad"] * bad + ["unsure"] * unsure
    return pl.DataFrame({"event_id": [str(i) for i in range(len(said))], "label": said})


def windows(**columns: list[Any]) -> pl.DataFrame:
    length = len(next(iter(columns.values())))
    values = {name: columns.get(name, [None] * length) for name in MICRO_FEATURES.columns}
    return pl.DataFrame(values, schema=MICRO_FEATURES.schema)


def finding(status: Status) -> Finding:
    return Finding("name", "title", 1.0, "", None, None, 1, status)


@pytest.mark.parametrize(
    ("statuses", "decision"),
    [
        ([PASS, PASS], Decision.GO),
        ([PASS, NOT_YET], Decision.NOT_YET),
        ([PASS, NOT_YET, FAIL], Decision.NO_GO),
        ([], Decision.NOT_YET),
    ],
)
def test_decision(statuses: list[Status], decision: Decision) -> None:
    assert decide([finding(status) for status in statuses]) is decision


def test_wilson_interval_of_the_literature() -> None:
    # 81 of 263, 95 %: 0.2553 to 0.3662 (Newcombe 1998, table I, method 3).
    low, high = wilson_interval(81, 263, 0.95)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson_interval(0, 0, 0.95) == (0.0, 1.0)
    assert wilson_interval(0, 20, 0.95)[0] == pytest.approx(
        0.0, abs=1e-12
    )  # 0 of 20: 0 to 0.1611, same table
    assert round(wilson_interval(0, 20, 0.95)[1], 4) == 0.1611


@pytest.mark.parametrize(
    ("said", "status", "figure"),
    [
        (None, NOT_YET, None),
        (labels(70, 29), NOT_YET, 70 / 99 * 100),  # 99 of 100 reviewed
        (labels(70, 30), PASS, 70.0),
        (labels(69, 31), FAIL, 69.0),
        (labels(56, 24, 20), PASS, 70.0),  # unsure ones are reviewed, and not in the share
        (labels(0, 0, 100), NOT_YET, None),
    ],
)
def test_precision(said: pl.DataFrame | None, status: Status, figure: float | None) -> None:
    found = precision(said, REPORT)
    assert found.status is status
    assert found.figure == pytest.approx(figure)


def test_unknown_label_is_an_error() -> None:
    said = labels(1, 0).with_columns(label=pl.lit("perhaps"))
    with pytest.raises(ValueError, match="labels must be good, bad, unsure, got \\['perhaps'\\]"):
        precision(said, REPORT)


def test_premarket_first() -> None:
    pm, rth = event_row(clock="08:00", session="PM"), event_row()
    other = event_row("NERV")
    assert premarket_first(events_of(pm, rth, other)).figure == 50.0
    assert premarket_first(events_of(rth, other)).status is FAIL
    assert premarket_first(events_of(pm)).status is NOT_YET  # no day with an RTH event


def test_leading_types() -> None:
    spike, vwap = event_row(), event_row(event_type="vwap_break")
    flush = event_row(event_type="flush")
    assert leading_types(events_of(spike, spike, vwap, vwap, flush)).status is PASS
    assert leading_types(events_of(spike, spike, vwap, flush)).status is FAIL  # flush is even
    assert leading_types(events_of(spike)).status is FAIL  # no vwap_break at all
    assert leading_types(events_of()).status is NOT_YET


@pytest.mark.parametrize(
    ("dollars", "status"),
    [
        ([50_000.0] * 4 + [49_999.0], PASS),  # 80 %
        ([50_000.0] * 3 + [49_999.0], FAIL),
        ([None], NOT_YET),
    ],
)
def test_liquid_windows(dollars: list[float | None], status: Status) -> None:
    found = liquid_windows(windows(label_dollar_volume_per_minute=dollars), REPORT)
    assert found.status is status
    assert liquid_windows(None, REPORT).status is NOT_YET


def test_speed_and_volatility() -> None:
    rows = [event_row(clock=f"10:{i:02d}") | {"high": 10.0 + i} for i in range(12)]
    ids = [row["event_id"] for row in rows]
    rising = windows(event_id=ids, label_tape_speed=[float(i) for i in range(12)])
    assert speed_and_volatility(rising, events_of(*rows)).figure == pytest.approx(1.0)
    falling = rising.with_columns(label_tape_speed=-pl.col("label_tape_speed"))
    assert speed_and_volatility(falling, events_of(*rows)).status is FAIL
    flat = rising.with_columns(label_tape_speed=pl.lit(1.0))
    assert speed_and_volatility(flat, events_of(*rows)).status is NOT_YET  # never NaN
    assert speed_and_volatility(rising.head(9), events_of(*rows)).status is NOT_YET


def test_spread_multiple_takes_the_other_windows_of_the_symbol() -> None:
    found = spread_multiple(
        windows(
            symbol=["AEMD", "AEMD", "AEMD", "NERV"],
            spread_start_bps=[10.0, 20.0, 30.0, 5.0],
            spread_before_bps=[50.0, 40.0, 30.0, 500.0],
        ),
        REPORT,
    )
    # Usual without itself: 25, 20, 15; multiples 2, 2, 2. NERV has no other window.
    assert (found.figure, found.n, found.status) == (2.0, 3, PASS)
    assert spread_multiple(None, REPORT).status is NOT_YET


def test_no_evidence_is_not_yet_everywhere() -> None:
    criteria = evaluate_criteria(events_of())
    assert {criterion.status for criterion in criteria} == {NOT_YET}
    assert decide(criteria) is Decision.NOT_YET


def test_judge_at_the_borders() -> None:
    allowed = Range(low=1.0, high=2.0)
    assert judge(1.0 - 1e-12, allowed, n=1) is PASS
    assert judge(2.0 + 1e-12, allowed, n=1) is PASS
    assert judge(0.99, allowed, n=1) is FAIL
    assert judge(2.01, allowed, n=1) is FAIL
    assert judge(1.0, allowed, n=1, above=True) is FAIL
    assert judge(1.5, allowed, n=1, enough=2) is NOT_YET
    assert judge(None, allowed, n=1) is NOT_YET
