"""rank_score worked by hand, and the order of ties."""

from __future__ import annotations

import math

import polars as pl
import pytest

from smallcaps_pipeline.manifest import build_manifest
from smallcaps_pipeline_tests.manifest.tables import NO_QUOTAS, event, events, settings


@pytest.mark.parametrize(
    ("event_type", "dollar_volume", "expected", "why"),
    [
        ("volume_spike", 2_000_000, 0.5, "40 multiples of 50,000: liquidity is full"),
        ("volume_spike", 9_000_000, 0.5, "and does not go beyond 1"),
        ("flush", 2_000_000, 0.425, "0.5 x 0.85"),
        ("tape_speed", 2_000_000, 0.4, "0.5 x 0.8"),
        # 270,156.2118716424 / 50,000 + 1 = sqrt(41), so ln is half of ln(41):
        # liquidity 0.5 + 0.5 x 0.5 = 0.75
        ("volume_spike", 50_000 * (math.sqrt(41) - 1), 0.375, "0.5 x 0.75"),
    ],
)
def test_rank_score(event_type: str, dollar_volume: float, expected: float, why: str) -> None:
    rows = events(event(event_type=event_type, dollar_volume=dollar_volume))
    frame = build_manifest(rows, settings=settings()).frame
    assert frame["rank_score"].item() == expected, why


def test_scores_that_differ_in_the_13th_decimal_are_ties() -> None:
    earlier = event("BBB", "2025-10-07 10:00", score=0.5)
    later = event("AAA", "2025-10-07 10:01", score=0.5 + 4e-13)
    frame = build_manifest(events(later, earlier), settings=settings(**NO_QUOTAS)).frame
    assert frame["symbol"].to_list() == ["BBB", "AAA"]


def test_ties_go_by_time_then_symbol_then_type_then_direction() -> None:
    ranked = [
        event("ZZZ", "2025-10-07 09:59"),
        event("AAA", "2025-10-07 10:00", "volume_spike", "down"),
        event("AAA", "2025-10-07 10:00", "volume_spike", "up"),
        event("AAA", "2025-10-07 10:00", "vwap_break", "down"),
        event("BBB", "2025-10-07 10:00"),
    ]
    wanted = [row["event_id"] for row in ranked]
    chosen = settings({"total": 100}, strict_quotas=False)
    for rows in (ranked, ranked[::-1]):
        frame = build_manifest(events(*rows), settings=chosen).frame
        assert frame["event_id"].to_list() == wanted
        assert frame["rank"].to_list() == [1, 2, 3, 4, 5]


def test_type_without_a_priority_ranks_as_one_and_is_noted() -> None:
    built = build_manifest(events(event(event_type="gap_fill")), settings=settings())
    assert built.frame.select("rank_score", "fill").row(0) == (0.5, "overflow")
    assert any(
        note.startswith("manifest.type_priority") and "gap_fill" in note for note in built.notes
    )


def test_rank_follows_score_whatever_the_fill() -> None:
    """One quota row, then overflow above and below it: ranks run over all of them."""
    rows = events(
        event("AAA", score=0.9, event_type="price_momentum"),  # 0.765, no quota
        event("BBB", score=0.6),
        event("CCC", score=0.5),  # the quota of volume_spike, 30 % of 4, is 1
    )
    frame = build_manifest(rows, settings=settings({"total": 4})).frame
    assert frame.select("rank", "symbol", "fill").rows() == [
        (1, "AAA", "overflow"),
        (2, "BBB", "quota"),
        (3, "CCC", "overflow"),
    ]
    assert frame["rank_score"].is_sorted(descending=True)
    assert frame.schema["rank"] == pl.Int64
