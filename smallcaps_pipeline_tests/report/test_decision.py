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
    premarket_share,
    speed_and_volatility,
    spread_multiple,
    spread_multiples,
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


def test_precision_shows_its_interval_and_unsure_apart() -> None:
    found = precision(labels(56, 24, 20), REPORT)
    assert found.n == 80
    assert found.interval == pytest.approx((59.23, 78.94), abs=0.01)  # (0.7240 +- 0.1032) / 1.0480
    assert found.note == "56 good, 24 bad, 20 unsure apart; 100 of 100 reviewed"


def days(first: str, count: int, symbol: str = "AEMD") -> list[dict[str, Any]]:
    """Make an event in `first` and a later one in RTH, on each of some symbols' day."""
    clock = {"PM": "08:00", "RTH": "10:03"}[first]
    return [
        row
        for n in range(count)
        for row in (
            event_row(f"{symbol}{n}", clock, session=first),
            event_row(f"{symbol}{n}", "11:00", session="RTH"),
        )
    ]


def test_premarket_first_counts_symbol_days_with_an_event_in_rth() -> None:
    announced, cold = days("PM", 3), days("RTH", 9, "NERV")
    only_pm = [event_row("PMPM", "08:30", session="PM")]
    late = [event_row("LATE", "17:00", session="AH"), event_row("LATE", "12:00", session="RTH")]
    found = premarket_first(events_of(*late, *cold, *announced, *only_pm), REPORT)
    # LATE's first event in time is in RTH, whatever the rows' order; PMPM has none in RTH.
    assert (found.n, found.status) == (13, PASS)
    assert found.figure == pytest.approx(3 / 13 * 100)
    assert premarket_first(events_of(*cold, *late), REPORT).status is FAIL  # 0 of 10
    assert premarket_first(events_of(*announced), REPORT).status is NOT_YET  # 3 days are too few
    assert premarket_first(events_of(*only_pm), REPORT).n == 0


@pytest.mark.parametrize(
    ("in_pm", "status"), [(0, PASS), (12, PASS), (13, FAIL)]
)  # of 20; 60 % is the most
def test_premarket_share(in_pm: int, status: Status) -> None:
    rows = [event_row(session="PM" if n < in_pm else "RTH") for n in range(20)]
    found = premarket_share(events_of(*rows), load_settings())
    assert (found.figure, found.status) == (in_pm * 5.0, status)


@pytest.mark.parametrize(
    ("counted", "figure", "status"),
    [
        ({"volume_spike": 5, "vwap_break": 4, "flush": 3}, 1 / 12 * 100, PASS),
        ({"volume_spike": 5, "vwap_break": 4, "flush": 4}, 0.0, FAIL),  # even is no lead
        ({"volume_spike": 9, "flush": 3}, -25.0, FAIL),  # no vwap_break at all
        ({"volume_spike": 6, "vwap_break": 6}, 50.0, PASS),
        ({"volume_spike": 20}, 0.0, FAIL),
        ({"volume_spike": 2, "vwap_break": 2}, 50.0, NOT_YET),  # four events are no evidence
        ({}, None, NOT_YET),
    ],
)
def test_leading_types(counted: dict[str, int], figure: float | None, status: Status) -> None:
    rows = [event_row(event_type=kind) for kind, n in counted.items() for _ in range(n)]
    found = leading_types(events_of(*rows), REPORT)
    assert found.figure == pytest.approx(figure)
    assert found.status is status


@pytest.mark.parametrize(
    ("enough", "few", "unknown", "status"),
    [
        (8, 2, 0, PASS),  # 80 %
        (8, 2, 5, PASS),  # windows without the figure do not count
        (7, 3, 0, FAIL),
        (9, 0, 0, NOT_YET),  # nine are too few
        (0, 0, 12, NOT_YET),
    ],
)
def test_liquid_windows(enough: int, few: int, unknown: int, status: Status) -> None:
    dollars = [50_000.0] * enough + [49_999.0] * few + [None] * unknown
    found = liquid_windows(windows(label_dollar_volume_per_minute=dollars), REPORT)
    assert (found.status, found.n) == (status, enough + few)
    assert liquid_windows(None, REPORT).status is NOT_YET


def test_speed_and_volatility() -> None:
    rows = [event_row(clock=f"10:{i:02d}") | {"high": 10.0 + i} for i in range(12)]
    ids = [row["event_id"] for row in rows]
    events = events_of(*rows)
    rising = windows(event_id=ids, label_tape_speed=[float(i) for i in range(12)])
    assert speed_and_volatility(rising, events, REPORT).figure == pytest.approx(1.0)
    falling = rising.with_columns(label_tape_speed=-pl.col("label_tape_speed"))
    assert speed_and_volatility(falling, events, REPORT).status is FAIL
    flat = rising.with_columns(label_tape_speed=pl.lit(1.0))
    assert speed_and_volatility(flat, events, REPORT).status is NOT_YET  # never NaN
    assert speed_and_volatility(rising.head(9), events, REPORT).status is NOT_YET


def test_rank_correlation_by_hand() -> None:
    """Speeds 1..10 against ranges ranked 2 1 4 3 6 5 8 7 10 9: 1 - 6 x 10 / (10 x 99)."""
    order = [2, 1, 4, 3, 6, 5, 8, 7, 10, 9]
    rows = [event_row(clock=f"10:{n:02d}") | {"high": 10.0 + n} for n in order]
    speeds = [float(n) for n in range(1, 11)]
    measured = windows(event_id=[row["event_id"] for row in rows], label_tape_speed=speeds)
    found = speed_and_volatility(measured, events_of(*rows), REPORT)
    assert found.figure == pytest.approx(1 - 60 / 990)
    assert found.status is PASS


def test_spread_multiple_takes_the_other_windows_of_the_symbol() -> None:
    measured = windows(
        symbol=["AEMD", "AEMD", "AEMD", "NERV", "GRI", "GRI"],
        spread_start_bps=[10.0, 20.0, 30.0, 5.0, None, 8.0],
        spread_before_bps=[50.0, 30.0, 15.0, 500.0, 16.0, None],
    )
    # Usual without itself: 25, 20, 15; multiples 2, 1.5, 1. NERV has no other window, of GRI's
    # two one has no usual spread and the other none before the event.
    assert spread_multiples(measured).to_list() == [2.0, 1.5, 1.0]
    found = spread_multiple(measured, REPORT)
    assert (found.figure, found.n, found.status) == (1.5, 3, NOT_YET)  # three are too few


@pytest.mark.parametrize(("before", "status"), [(20.0, PASS), (20.1, FAIL)])
def test_spread_multiple_against_its_limit(before: float, status: Status) -> None:
    many = windows(
        symbol=["AEMD"] * 12, spread_start_bps=[10.0] * 12, spread_before_bps=[before] * 12
    )
    found = spread_multiple(many, REPORT)
    assert found.figure == pytest.approx(before / 10)
    assert (found.n, found.status) == (12, status)
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
