"""Each filter of stages 1 to 4 where it just holds and where it just does not, and the funnel."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from smallcaps_pipeline.manifest import build_manifest
from smallcaps_pipeline_tests.manifest.tables import NO_QUOTAS, event, events, settings

CORE = {"min_dollar_volume_bar": 100_000, "max_bar_range_pct": 5.0}
PLUS = {**CORE, "extended_hours_min_spike_x": 12.0}
NONE = {"min_dollar_volume_bar": None, "max_bar_range_pct": None}
PM, RTH, AH = "2025-10-07 08:00", "2025-10-07 10:00", "2025-10-07 17:00"


@pytest.mark.parametrize(
    ("profile", "at", "columns", "passes", "why"),
    [
        (CORE, RTH, {"dollar_volume": 100_000.0}, True, "at min_dollar_volume_bar"),
        (CORE, RTH, {"dollar_volume": 99_999.0}, False, "below it"),
        (CORE, RTH, {"dollar_volume": 100_000 * (1 - 1e-10)}, True, "within 1e-9"),
        (NONE, RTH, {"dollar_volume": 1.0}, True, "no minimum, no filter"),
        (NONE, RTH, {"dollar_volume_so_far": 500_000.0}, True, "500,000 so far in RTH"),
        (NONE, RTH, {"dollar_volume_so_far": 499_999.0}, False, "less, and in every profile"),
        (NONE, AH, {"dollar_volume_so_far": 499_999.0}, False, "AH needs as much as RTH"),
        (NONE, PM, {"dollar_volume_so_far": 250_000.0}, True, "PM needs 250,000"),
        (NONE, PM, {"dollar_volume_so_far": 249_999.0}, False, "less in PM"),
        (CORE, RTH, {"high": 10.3, "low": 9.8}, True, "0.5 / 10 = 5 %, whatever the last bit"),
        (CORE, RTH, {"high": 10.31, "low": 9.8}, False, "5.1 %"),
        (NONE, RTH, {"high": 20.0, "low": 9.8}, True, "a profile without a limit"),
        (CORE, RTH, {"event_type": "flush", "high": 11.0, "low": 9.8}, True, "flush: 12 %"),
        (CORE, RTH, {"event_type": "flush", "high": 11.01, "low": 9.8}, False, "flush: 12.1 %"),
        (
            {"max_bar_range_pct": 15.0},
            RTH,
            {"event_type": "flush", "high": 11.3, "low": 9.8},
            True,
            "15 %: flush has 12 % only where the profile has less",
        ),
        (NONE, RTH, {"event_type": "flush", "high": 20.0, "low": 9.8}, True, "no limit, no 12 %"),
        (PLUS, PM, {"spike_x": 12.0}, True, "extended hours at the minimum"),
        (PLUS, PM, {"spike_x": 11.9}, False, "below it in PM"),
        (PLUS, AH, {"spike_x": 11.9}, False, "below it in AH"),
        (PLUS, AH, {"spike_x": None}, False, "unknown does not hold"),
        (PLUS, RTH, {"spike_x": 1.0}, True, "RTH is not extended hours"),
        (CORE, AH, {"spike_x": 1.0}, True, "a profile without the minimum"),
    ],
)
def test_liquidity(
    profile: dict[str, Any], at: str, columns: dict[str, Any], passes: bool, why: str
) -> None:
    built = build_manifest(events(event(at=at, **columns)), settings=settings(profile))
    assert built.frame.height == passes, why
    assert built.funnel.filter(stage="liquidity").select("n_in", "n_out").row(0) == (1, passes)


def test_asked_takes_both_dates_included_and_the_types_asked_for() -> None:
    rows = events(
        event("AAA", "2025-10-06 10:00"),
        event("BBB", "2025-10-07 10:00"),
        event("CCC", "2025-10-08 10:00"),
        event("DDD", "2025-10-09 10:00"),
        event("EEE", "2025-10-07 10:00", "flush", "down"),
    )
    chosen = settings(from_date="2025-10-07", to_date="2025-10-08", event_types=["volume_spike"])
    built = build_manifest(rows, settings=chosen)
    assert sorted(built.frame["symbol"]) == ["BBB", "CCC"]
    assert built.funnel.row(0) == ("asked", 5, 2)


def test_score_percentile_is_interpolated_over_what_was_asked() -> None:
    """Of scores 0, 0.1, 0.2, 0.3, 0.4 the 90th percentile lies at position 0.9 x 4 = 3.6: 0.36.

    The flush with 0.99, not asked for, takes no part; with it p90 would be 0.695.
    """
    rows = [event(f"S{score}", score=score / 10) for score in range(5)]
    rows.append(event("OUT", "2025-10-07 10:05", "flush", "down", score=0.99))
    chosen = settings({"min_score_percentile": 90.0}, event_types=["volume_spike"])
    built = build_manifest(events(*rows), settings=chosen)
    assert built.frame["symbol"].to_list() == ["S4"]
    assert built.funnel.row(1) == ("score", 5, 1)


def test_score_at_the_percentile_stays() -> None:
    """Position 0.75 x 4 = 3 exactly: the threshold is the score 0.3 itself."""
    rows = events(*(event(f"S{score}", score=score / 10) for score in range(5)))
    built = build_manifest(rows, settings=settings({"min_score_percentile": 75.0}))
    assert built.frame["symbol"].to_list() == ["S4", "S3"]


def test_of_each_group_the_best_by_rank_stays() -> None:
    """0.6 x 0.85 (flush) = 0.51 ranks below 0.55: the group's best is not its highest score."""
    rows = events(
        event("AAA", event_type="flush", direction="down", score=0.6, event_group_id="g"),
        event("AAA", "2025-10-07 10:02", score=0.55, event_group_id="g"),
        event("AAA", "2025-10-07 10:30", score=0.1, event_group_id="h"),
    )
    built = build_manifest(rows, settings=settings())
    assert built.frame["score"].to_list() == [0.55, 0.1]
    assert built.funnel.row(3) == ("group", 3, 2)


def test_a_groups_best_is_chosen_among_those_that_pass_the_filters() -> None:
    rows = events(
        event("AAA", score=0.9, dollar_volume=50_000.0, event_group_id="g"),
        event("AAA", "2025-10-07 10:02", score=0.4, event_group_id="g"),
    )
    built = build_manifest(rows, settings=settings())
    assert built.frame["score"].to_list() == [0.4]


def test_events_without_a_group_stand_for_themselves() -> None:
    rows = events(event("AAA", event_group_id=None), event("BBB", event_group_id=None))
    assert build_manifest(rows, settings=settings()).frame.height == 2


def test_funnel_counts_in_and_out_of_each_stage() -> None:
    rows = events(
        event("AAA", score=0.9),
        event("AAA", "2025-10-07 10:03", score=0.8, event_group_id="AAA_20251007T1400"),
        event("AAA", "2025-10-07 10:06", score=0.7, event_group_id="AAA_20251007T1400"),
        event("BBB", score=0.6, dollar_volume_so_far=1.0),
        event("CCC", score=0.1),
        event("DDD", "2025-10-01 10:00"),
    )
    chosen = settings(
        {"total": 1, "min_score_percentile": 25.0}, from_date="2025-10-02", **NO_QUOTAS
    )
    built = build_manifest(rows, settings=chosen)
    assert built.funnel.rows() == [
        ("asked", 6, 5),
        ("score", 5, 4),  # p25 of 0.1 0.6 0.7 0.8 0.9 is 0.6
        ("liquidity", 4, 3),
        ("group", 3, 2),
        ("selection", 2, 1),
    ]


@pytest.mark.parametrize("lazy", [False, True])
def test_rows_that_repeat_an_event_count_once(lazy: bool) -> None:
    rows = events(event("AAA"), event("BBB"), event("AAA"))
    built = build_manifest(rows.lazy() if lazy else rows, settings=settings())
    assert sorted(built.frame["symbol"]) == ["AAA", "BBB"]
    assert built.funnel.row(0) == ("asked", 2, 2)


def test_copies_that_differ_give_one_whole_row_in_any_order() -> None:
    rows = events(event("AAA", score=0.5, open=9.0), event("AAA", score=0.4, open=8.0))
    chosen = settings()
    first = build_manifest(rows, settings=chosen).frame
    second = build_manifest(rows.reverse(), settings=chosen).frame
    assert first.equals(second)
    assert first.select("score", "open").row(0) in [(0.5, 9.0), (0.4, 8.0)]


def test_naive_timestamps_are_an_error() -> None:
    rows = events(event()).with_columns(pl.col("timestamp").dt.replace_time_zone(None))
    with pytest.raises(ValueError, match="events: column 'timestamp'"):
        build_manifest(rows, settings=settings())
