"""Caps, quotas, floors and the three passes: worked by hand, then against the plain version."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from smallcaps_pipeline.manifest import build_manifest
from smallcaps_pipeline_tests.manifest.plain import plain_manifest
from smallcaps_pipeline_tests.manifest.tables import NO_QUOTAS, event, events, settings

DAYS = ["2025-09-30", "2025-10-01", "2025-10-02", "2025-10-03"]


def fills(built: Any) -> dict[str, str]:
    return dict(built.frame.select("symbol", "fill").iter_rows())


def test_three_passes_by_hand() -> None:
    """Ten places; quotas: volume_spike 3, vwap_break 3; PM 3, RTH 7; floor of `midday` 2.

    By rank (score):          a     b     c
      V1 .90 spike opening          quota        spike 2, RTH 3
      V2 .89 spike opening          quota        spike 3, RTH 4
      V3 .88 spike opening          no    overflow   spike has its 3: V1, V2, V6
      V4 .87 spike PM               no    overflow   the same
      W1 .70 vwap  PM               quota        PM 1
      W2 .60 vwap  PM               quota        PM 2
      V6 .50 spike midday     quota              midday is below its floor of 2: spike 1, RTH 1
      W3 .40 vwap  midday     quota              midday 2 of 2; vwap 1, RTH 2
      W4 .30 vwap  midday           no    overflow   midday is full, vwap has its 3: W1, W2, W3
      T1 .90 tape  opening          no    overflow   0.72; tape_speed has no quota
    """
    rows = events(
        event("V1", "2025-10-07 10:00", score=0.90),
        event("V2", "2025-10-07 10:00", score=0.89),
        event("V3", "2025-10-07 10:00", score=0.88),
        event("V4", "2025-10-07 08:00", score=0.87),
        event("W1", "2025-10-07 08:00", "vwap_break", score=0.70),
        event("W2", "2025-10-07 08:00", "vwap_break", score=0.60),
        event("V6", "2025-10-07 12:00", score=0.50),
        event("W3", "2025-10-07 12:00", "vwap_break", score=0.40),
        event("W4", "2025-10-07 12:00", "vwap_break", score=0.30),
        event("T1", "2025-10-07 10:00", "tape_speed", score=0.90),
    )
    floors = {"opening": 0, "midday": 20, "power_hour": 0, "PM": 0, "AH": 0}
    chosen = settings({"total": 10}, bucket_floors_pct=floors)
    assert fills(build_manifest(rows, settings=chosen)) == {
        "V1": "quota",
        "V2": "quota",
        "V3": "overflow",
        "V4": "overflow",
        "T1": "overflow",
        "W1": "quota",
        "W2": "quota",
        "V6": "quota",
        "W3": "quota",
        "W4": "overflow",
    }
    strict = settings({"total": 10}, bucket_floors_pct=floors, strict_quotas=True)
    assert sorted(fills(build_manifest(rows, settings=strict))) == [
        "V1",
        "V2",
        "V6",
        "W1",
        "W2",
        "W3",
    ]


def test_floor_brings_in_a_low_rank_before_the_quota_is_spent() -> None:
    """One place for volume_spike (30 % of 4 = 1): with a floor PM gets it, without it the best."""
    rows = events(event("TOP", score=0.9), event("PRE", "2025-10-07 08:00", score=0.1))
    floors = {"opening": 0, "midday": 0, "power_hour": 0, "PM": 25, "AH": 0}
    with_floor = settings({"total": 4}, bucket_floors_pct=floors, strict_quotas=True)
    without = settings({"total": 4}, strict_quotas=True)  # 5 % of 4 is no row
    assert fills(build_manifest(rows, settings=with_floor)) == {"PRE": "quota"}
    assert fills(build_manifest(rows, settings=without)) == {"TOP": "quota"}


def test_after_hours_count_in_the_quota_of_premarket() -> None:
    """30 % of 7 is 2 for PM and AH together, and 2 for volume_spike."""
    rows = events(
        event("A", "2025-10-07 08:00", "vwap_break", score=0.9),
        event("B", "2025-10-07 17:00", "vwap_break", score=0.8),
        event("C", "2025-10-07 17:30", "volume_spike", score=0.7),
        event("D", "2025-10-07 12:00", "volume_spike", score=0.6),
    )
    chosen = settings({"total": 7}, strict_quotas=True)
    assert fills(build_manifest(rows, settings=chosen)) == {
        "A": "quota",
        "B": "quota",
        "D": "quota",
    }


def test_quota_is_a_whole_percent_of_the_total_rounded_down() -> None:
    rows = events(*(event(f"S{n}", score=0.9 - n / 100) for n in range(10)))
    for total, room in ((9, 2), (10, 3), (13, 3), (14, 4)):  # 30 %: 2.7, 3.0, 3.9, 4.2
        chosen = settings({"total": total}, strict_quotas=True)
        assert build_manifest(rows, settings=chosen).frame.height == room


@pytest.mark.parametrize(
    ("caps", "expected"),
    [
        ({"total": 2}, ["A1", "A2"]),
        ({"max_per_symbol": 2}, ["A1", "A2", "B1"]),
        ({"max_per_symbol_day": 1}, ["A1", "A3", "A4", "B1"]),
        ({"max_per_symbol_year": 1}, ["A1", "A4", "B1"]),
        ({"max_per_month": 1, "monthly_best": True}, ["A1", "A3", "A4"]),
        ({"max_per_month": 1, "monthly_best": False}, ["A1", "A2", "A3", "A4", "B1"]),
    ],
)
def test_each_cap(caps: dict[str, Any], expected: list[str]) -> None:
    rows = [
        event("A", "2024-10-07 10:00", score=0.9, event_id="A1"),
        event("A", "2024-10-07 12:00", score=0.8, event_id="A2"),
        event("A", "2024-11-04 10:00", score=0.7, event_id="A3"),
        event("A", "2025-10-07 10:00", score=0.6, event_id="A4"),
        event("B", "2024-10-07 10:00", score=0.5, event_id="B1"),
    ]
    rows = [{**row, "event_group_id": row["event_id"]} for row in rows]
    built = build_manifest(events(*rows), settings=settings(caps, **NO_QUOTAS))
    assert sorted(built.frame["event_id"]) == expected


def test_caps_hold_in_the_overflow_too() -> None:
    rows = events(*(event("AAA", f"2025-10-07 1{n}:00", "tape_speed") for n in range(4)))
    built = build_manifest(rows, settings=settings({"max_per_symbol_day": 2}))
    assert built.frame["fill"].to_list() == ["overflow", "overflow"]


def test_balance_weekdays_holds_pass_b_to_the_share_of_trading_days() -> None:
    """One full week: each weekday is 20 % of the trading days, so 25 % of 10 places, 2.

    The best five events lie on Tuesday. Two are taken by quota, the others in the overflow.
    """
    days = ["2025-10-06", "2025-10-08", "2025-10-09", "2025-10-10"]
    rows = [event(f"T{n}", "2025-10-07 10:00", score=0.9 - n / 100) for n in range(5)]
    rows += [event(f"O{n}", f"{day} 10:00", score=0.3) for n, day in enumerate(days)]
    table = events(*rows)
    chosen = settings({"total": 10}, balance_weekdays=True, **NO_QUOTAS)
    built = build_manifest(table, settings=chosen)
    taken = fills(built)
    assert [taken[f"T{n}"] for n in range(5)] == ["quota"] * 2 + ["overflow"] * 3
    assert {taken[f"O{n}"] for n in range(4)} == {"quota"}
    assert any("balance_weekdays: Tuesday has 5 rows" in note for note in built.notes)
    plain = fills(build_manifest(table, settings=settings({"total": 10}, **NO_QUOTAS)))
    assert set(plain.values()) == {"quota"}


def test_a_weekday_with_a_holiday_has_a_smaller_share() -> None:
    """2025-08-25 to 09-05 has 9 trading days, one of them a Monday (Labor Day is closed).

    Mondays: 1/9 + 5 % of 100 = 16.1, so 16 rows; Tuesdays: 2/9 + 5 % = 27.2, so 27.
    """
    rows = [event(f"M{n}", "2025-08-25 10:00", score=0.9) for n in range(30)]
    rows += [event(f"T{n}", "2025-09-02 10:00", score=0.8) for n in range(30)]
    rows += [event("F", "2025-09-05 10:00", score=0.1)]
    chosen = settings({"total": 100}, balance_weekdays=True, strict_quotas=True, **NO_QUOTAS)
    built = build_manifest(events(*rows), settings=chosen)
    counts = dict(built.frame.group_by("date").len().iter_rows())
    assert counts == {"2025-08-25": 16, "2025-09-02": 27, "2025-09-05": 1}


def test_no_events_give_an_empty_manifest_with_its_columns_and_notes() -> None:
    built = build_manifest(events())
    assert built.frame.height == 0
    assert built.funnel["n_out"].sum() == 0
    assert built.notes


def test_unknown_profile_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'gold' is none of .*core, plus, premium"):
        build_manifest(events(), "gold")


@st.composite
def event_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw up to 25 events of three symbols, four days, all buckets, with many ties."""
    rows: dict[str, dict[str, Any]] = {}
    for _ in range(draw(st.integers(1, 25))):
        clock = draw(st.sampled_from(["08:00", "09:45", "10:31", "12:00", "15:10", "17:00"]))
        row = event(
            draw(st.sampled_from(["A", "B", "C"])),
            f"{draw(st.sampled_from(DAYS))} {clock}",
            draw(st.sampled_from(["volume_spike", "vwap_break", "flush", "tape_speed"])),
            draw(st.sampled_from(["up", "down"])),
            score=draw(st.sampled_from([0.2, 0.4, 0.6, 0.8])),
            dollar_volume=draw(st.sampled_from([200_000.0, 2_000_000.0])),
        )
        row["event_group_id"] = f"{row['symbol']}_{row['date']}_{draw(st.integers(0, 3))}"
        rows[row["event_id"]] = row
    return list(rows.values())


@st.composite
def plans(draw: st.DrawFn) -> Any:
    """Draw settings with tight limits in two profiles, so that every pass has something to do."""

    def profile(totals: st.SearchStrategy[int]) -> dict[str, Any]:
        few = st.one_of(st.none(), st.integers(1, 5))
        return {
            "total": draw(totals),
            "max_per_symbol": draw(few),
            "max_per_symbol_day": draw(few),
            "max_per_symbol_year": draw(few),
            "max_per_month": draw(few),
            "monthly_best": draw(st.booleans()),
            "min_score_percentile": draw(st.sampled_from([None, 0.0, 37.0, 75.0])),
        }

    return settings(
        profile(st.integers(1, 10)),
        profiles={"plus": profile(st.integers(10, 20))},
        strict_quotas=draw(st.booleans()),
        type_quotas_pct={"volume_spike": 50, "vwap_break": draw(st.integers(0, 30)), "flush": 20},
        session_quotas_pct={"PM": draw(st.integers(0, 50)), "RTH": 50},
        bucket_floors_pct={"opening": 20, "midday": 10, "power_hour": 5, "PM": 20, "AH": 20},
    )


@hypothesis_settings(max_examples=40, deadline=None)
@given(rows=event_rows(), chosen=plans(), data=st.data())
def test_manifest_is_the_plain_one_in_any_row_order(
    rows: list[dict[str, Any]], chosen: Any, data: st.DataObject
) -> None:
    ids = [row["event_id"] for row in rows]
    held = tuple(data.draw(st.lists(st.sampled_from(ids), max_size=3, unique=True)))
    shuffled = data.draw(st.permutations(rows))
    for profile in ("core", "plus"):
        built = build_manifest(events(*rows), profile, held=held, settings=chosen)
        got = list(built.frame.select("event_id", "fill").iter_rows())
        assert got == plain_manifest(rows, profile, chosen.manifest, held)
        assert set(held) <= set(built.frame["event_id"])
        again = build_manifest(events(*shuffled), profile, held=held[::-1], settings=chosen)
        assert again.frame.equals(built.frame)
        assert again.notes == built.notes
    core = build_manifest(events(*rows), held=held, settings=chosen).frame
    assert set(core["event_id"]) <= set(built.frame["event_id"])


@hypothesis_settings(max_examples=30, deadline=None)
@given(rows=event_rows(), chosen=plans())
def test_caps_and_quotas_are_never_exceeded(rows: list[dict[str, Any]], chosen: Any) -> None:
    built = build_manifest(events(*rows), "plus", settings=chosen)
    frame, profile = built.frame, chosen.manifest.profiles["plus"]
    assert frame.height <= profile.total
    # Core's own caps may be wider than those of plus: its rows stay, so the wider one bounds.
    core = chosen.manifest.profiles["core"]
    for key, columns in (
        ("max_per_symbol", ["symbol"]),
        ("max_per_symbol_day", ["symbol", "date"]),
    ):
        rooms = [getattr(core, key), getattr(profile, key)]
        if None not in rooms and frame.height:
            assert frame.group_by(columns).len()["len"].max() <= max(rooms)
    by_quota = frame.filter(fill="quota")
    for event_type, count in by_quota.group_by("event_type").len().iter_rows():
        share = chosen.manifest.type_quotas_pct.get(event_type, 0)
        assert count <= share * profile.total // 100
    regular = by_quota.filter(session="RTH").height
    assert regular <= chosen.manifest.session_quotas_pct["RTH"] * profile.total // 100
    assert built.funnel["n_in"].to_list()[1:] == built.funnel["n_out"].to_list()[:-1]
    assert built.funnel["n_out"].to_list()[-1] == frame.height
    assert frame["rank"].to_list() == list(range(1, frame.height + 1))
    assert frame.select(pl.col("rank_score").is_sorted(descending=True)).item()
