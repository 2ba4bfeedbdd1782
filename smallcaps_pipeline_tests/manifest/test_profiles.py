"""The chain core -> plus -> premium, held events, windows, cohorts, notes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from smallcaps_pipeline.manifest import build_manifest
from smallcaps_pipeline.schemas import MANIFEST
from smallcaps_pipeline.settings import SettingsError
from smallcaps_pipeline_tests.manifest.tables import NO_QUOTAS, event, events, settings


def test_profile_takes_the_one_before_it_whatever_its_own_filters_say() -> None:
    """A premarket event with spike_x 7 is fine for core; plus wants 12 outside RTH."""
    rows = events(
        event("PRE", "2025-10-07 08:00", spike_x=7.0, score=0.9),
        event("LATER", "2025-10-07 08:00", spike_x=7.0, score=0.1),
        event("RTH", score=0.5),
    )
    chosen = settings({"total": 1}, **NO_QUOTAS | {"session_quotas_pct": {"PM": 50, "RTH": 50}})
    built = build_manifest(rows, "plus", settings=chosen)
    # PRE is core's one row, an overflow there: 50 % of 1 place is none. LATER fails plus's filter.
    # Plus's score percentile (p90 of .1 .5 .9 is .82) leaves RTH out.
    assert built.frame.select("symbol", "fill", "profile").rows() == [("PRE", "overflow", "plus")]
    assert built.funnel.rows() == [
        ("asked", 3, 3),
        ("score", 3, 1),
        ("liquidity", 1, 1),
        ("group", 1, 1),
        ("selection", 1, 1),
    ]


def test_rows_taken_over_count_in_caps_quotas_and_represent_their_group() -> None:
    rows = events(
        event("AAA", "2025-10-07 10:00", score=0.9, event_group_id="g", dollar_volume=1e6 + 1e6),
        event("AAA", "2025-10-07 10:03", score=0.8, event_group_id="g"),
        event("AAA", "2025-10-08 10:00", score=0.7),
        event("AAA", "2025-10-09 10:00", score=0.6),
        event("BBB", "2025-10-09 10:00", score=0.5),
    )
    plus = {"max_per_symbol": 2, "min_score_percentile": None, "total": 4}
    chosen = settings({"total": 1}, profiles={"plus": plus}, **NO_QUOTAS)
    built = build_manifest(rows, "plus", settings=chosen)
    assert built.frame.select("symbol", "score").rows() == [
        ("AAA", 0.9),  # core's
        ("AAA", 0.7),  # the second of two per symbol; 0.8 is of core's group
        ("BBB", 0.5),
    ]


def test_windows_of_rows_taken_over_are_this_profiles() -> None:
    rows = events(event("AAA", "2025-10-07 10:00"))
    for profile, before, after, by_change, max_hz in (
        ("core", 3, 7, True, 5),
        ("plus", 5, 15, False, 20),
        ("premium", 30, 90, False, None),
    ):
        row = build_manifest(rows, profile, settings=settings()).frame.row(0, named=True)
        assert row["window_seconds_before"] == before * 60
        assert row["window_seconds_after"] == after * 60
        assert row["timestamp"] - row["window_start"] == timedelta(minutes=before)
        assert row["window_end"] - row["timestamp"] == timedelta(minutes=after)
        assert (row["nbbo_by_change"], row["nbbo_max_hz"]) == (by_change, max_hz)
        assert row["profile"] == profile


def test_window_is_not_clipped_to_the_session() -> None:
    """04:00 New York of 2025-10-07 is 08:00 UTC; premium starts half an hour earlier."""
    rows = events(event("AAA", "2025-10-07 04:00"))
    row = build_manifest(rows, "premium", settings=settings()).frame.row(0, named=True)
    assert row["window_start"] == datetime(2025, 10, 7, 7, 30, tzinfo=UTC)
    assert row["window_end"] == datetime(2025, 10, 7, 9, 30, tzinfo=UTC)


# held ---------------------------------------------------------------------------------------------


def ids(rows: pl.DataFrame, *symbols: str) -> list[str]:
    return rows.filter(pl.col("symbol").is_in(symbols))["event_id"].to_list()


@pytest.mark.parametrize("form", ["list", "series", "frame", "lazy", "generator", "set"])
def test_held_event_stays_though_no_filter_would_take_it(form: str) -> None:
    rows = events(
        event("TOP", score=0.9),
        event("OLD", "2025-10-06 10:00", score=0.1, dollar_volume_so_far=1.0),
    )
    held = rows.filter(symbol="OLD")
    given: Any = {
        "list": held["event_id"].to_list(),
        "series": held["event_id"],
        "frame": held,
        "lazy": held.lazy(),
        "generator": (event_id for event_id in held["event_id"]),
        "set": set(held["event_id"]),
    }[form]
    chosen = settings({"total": 1}, from_date="2025-10-07", **NO_QUOTAS)
    built = build_manifest(rows, held=given, settings=chosen)
    assert built.frame["symbol"].to_list() == ["OLD"]  # it fills the only place
    assert build_manifest(rows, settings=chosen).frame["symbol"].to_list() == ["TOP"]


def test_held_events_count_in_caps_and_are_never_displaced_by_them() -> None:
    rows = events(*(event("AAA", f"2025-10-07 1{n}:00", score=0.9 - n / 10) for n in range(4)))
    held = rows["event_id"].to_list()[2:]
    built = build_manifest(rows, held=held, settings=settings({"max_per_symbol": 1}, **NO_QUOTAS))
    assert sorted(built.frame["event_id"]) == sorted(held)


def test_held_events_beyond_the_total_stay_and_are_noted() -> None:
    rows = events(event("AAA"), event("BBB"))
    built = build_manifest(rows, held=rows, settings=settings({"total": 1}, **NO_QUOTAS))
    assert built.frame.height == 2
    assert any("profiles.core.total: 1 asked, 2 rows" in note for note in built.notes)


def test_held_event_represents_its_group() -> None:
    rows = events(
        event("AAA", "2025-10-07 10:00", score=0.9, event_group_id="g"),
        event("AAA", "2025-10-07 10:03", score=0.5, event_group_id="g"),
    )
    built = build_manifest(rows, held=[rows["event_id"][1]], settings=settings())
    assert built.frame["score"].to_list() == [0.5]


def test_held_event_keeps_its_fill_and_else_takes_a_place_of_its_quota() -> None:
    rows = events(event("AAA", score=0.2), event("BBB", score=0.1), event("CCC", score=0.9))
    chosen = settings({"total": 4})  # volume_spike: 30 % of 4 is 1 place
    bare = build_manifest(rows, held=ids(rows, "AAA", "BBB"), settings=chosen).frame
    assert dict(bare.select("symbol", "fill").iter_rows()) == {
        "CCC": "overflow",
        "AAA": "quota",
        "BBB": "overflow",
    }
    kept = rows.filter(symbol="BBB").select("event_id", fill=pl.lit("overflow"))
    with_fill = build_manifest(rows, held=kept, settings=chosen).frame
    assert dict(with_fill.select("symbol", "fill").iter_rows())["BBB"] == "overflow"


def test_manifest_made_anew_with_its_own_rows_held_is_the_same() -> None:
    rows = events(
        *(
            event(f"S{n % 7}", f"2025-10-0{1 + n % 3} 1{n % 6}:0{n % 10}", kind, score=n % 13 / 13)
            for n in range(60)
            for kind in [("volume_spike", "vwap_break", "tape_speed")[n % 3]]
        )
    ).unique("event_id")
    chosen = settings({"total": 12, "max_per_symbol": 3})
    first = build_manifest(rows, settings=chosen).frame
    again = build_manifest(rows, held=first, settings=chosen).frame
    assert again.equals(first)


def test_event_held_in_plus_is_not_forced_into_core() -> None:
    rows = events(event("AAA", score=0.9), event("BBB", score=0.1))
    held = pl.DataFrame({"event_id": ids(rows, "BBB"), "profile": ["plus"]})
    chosen = settings({"total": 1}, **NO_QUOTAS)
    assert build_manifest(rows, held=held, settings=chosen).frame["symbol"].to_list() == ["AAA"]
    plus = build_manifest(rows, "plus", held=held, settings=chosen).frame
    assert plus["symbol"].to_list() == ["AAA", "BBB"]


def test_held_event_that_is_gone_is_noted() -> None:
    built = build_manifest(events(event()), held=["GONE_1", "GONE_0"], settings=settings())
    assert built.frame.height == 1
    assert any(note.startswith("held: 2 ") and "GONE_0" in note for note in built.notes)


def test_held_as_one_text_is_an_error() -> None:
    with pytest.raises(TypeError, match="iterable of event_ids"):
        build_manifest(events(), held="AAA_20251007_140000_volume_spike_up")


def test_held_frame_without_event_id_is_an_error() -> None:
    with pytest.raises(ValueError, match="event_id"):
        build_manifest(events(), held=pl.DataFrame({"id": ["x"]}))


# cohorts ------------------------------------------------------------------------------------------

EARLY = {
    "name": "early",
    "event_types": ["volume_spike"],
    "from_time": "09:30",
    "to_time": "10:15",
    "min_values": {"flatness_score": 0.5},
    "top": 2,
    "minutes_before": 1,
    "minutes_after": 20,
    "nbbo_by_change": False,
    "nbbo_max_hz": 10,
}
CHEAP = {
    "name": "cheap",
    "max_values": {"close": 5.0},
    "top": 100,
    "minutes_before": 2,
    "minutes_after": 4,
    "nbbo_by_change": True,
    "nbbo_max_hz": None,
}


def test_cohorts_by_hand() -> None:
    rows = events(
        event("A", "2025-10-07 09:30", score=0.9, flatness_score=0.5, close=4.0),
        event("B", "2025-10-07 10:15", score=0.8, flatness_score=0.9),  # 10:15 is not included
        event("C", "2025-10-07 10:14", score=0.7, flatness_score=0.6),
        event("D", "2025-10-07 10:00", score=0.6, flatness_score=0.7),  # third: top is 2
        event("E", "2025-10-07 10:00", score=0.5, close=5.0),  # flatness unknown; cheap
        event("F", "2025-10-07 10:00", "flush", score=0.4, flatness_score=0.9),
    )
    chosen = settings({"cohorts": [EARLY, CHEAP], "max_bar_range_pct": None})
    frame = build_manifest(rows, settings=chosen).frame
    window = pl.col("window_seconds_before", "window_seconds_after") // 60
    assert frame.select("symbol", "cohort", window, "nbbo_by_change", "nbbo_max_hz").rows() == [
        ("A", "early,cheap", 2, 20, False, None),  # the hull, and the finest of both parts
        ("B", None, 3, 7, True, 5),
        ("C", "early", 1, 20, False, 10),  # its own window, shorter before than core's
        ("D", None, 3, 7, True, 5),
        ("E", "cheap", 2, 4, True, None),
        ("F", None, 3, 7, True, 5),
    ]
    assert frame.schema == MANIFEST.schema


def test_cohort_takes_rows_of_the_profile_before_too() -> None:
    plus = {"cohorts": [{**CHEAP, "max_values": {}}], "min_score_percentile": None}
    chosen = settings({"total": 1}, profiles={"plus": plus}, **NO_QUOTAS)
    frame = build_manifest(events(event("A"), event("B")), "plus", settings=chosen).frame
    assert frame["cohort"].to_list() == ["cheap", "cheap"]


def test_cohort_on_a_column_without_numbers_is_an_error() -> None:
    chosen = settings({"cohorts": [{**CHEAP, "max_values": {"symbol": 1.0}}]})
    with pytest.raises(ValueError, match="cohort 'cheap': 'symbol'"):
        build_manifest(events(event()), settings=chosen)


@pytest.mark.parametrize("names", [("a", "a"), ("a,b", "c")])
def test_cohort_names_differ_and_hold_no_comma(names: tuple[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"profiles\.core.*"):
        settings({"cohorts": [{**CHEAP, "name": name} for name in names]})


# notes --------------------------------------------------------------------------------------------


def has_note(notes: list[str], key: str, *figures: str) -> bool:
    return any(
        note.startswith(f"{key}:") and all(figure in note for figure in figures) for note in notes
    )


def test_notes_name_the_cap_that_makes_the_total_unreachable() -> None:
    rows = events(
        *(event(f"S{n}", f"2025-10-07 1{m}:00") for n in range(3) for m in range(5)),
    )
    core = {"total": 10, "max_per_symbol": 3, "max_per_symbol_day": 4}
    notes = build_manifest(rows, settings=settings(core, **NO_QUOTAS)).notes
    path = "manifest.profiles.core"
    assert has_note(notes, f"{path}.max_per_symbol", "3 per symbol x 3 symbols = 9 < 10")
    assert has_note(notes, f"{path}.total", "10 asked, 9 taken", "15 events")
    assert not has_note(notes, f"{path}.max_per_symbol_day")  # 4 x 3 = 12 would do


def test_notes_name_quotas_and_floors_that_were_not_met() -> None:
    rows = events(event("A"), event("B", event_type="vwap_break"), event("C", event_type="flush"))
    notes = build_manifest(rows, settings=settings({"total": 3})).notes
    # Of 3 rows: RTH has room for 2, PM, the types and the buckets for none, so nothing is wanting.
    assert not any("quotas_pct" in note or "floors_pct" in note for note in notes)
    notes = build_manifest(rows, settings=settings({"total": 20})).notes
    assert has_note(notes, "manifest.type_quotas_pct.volume_spike", "6 of 20 rows wanted, 1 there")
    assert has_note(notes, "manifest.session_quotas_pct.PM", "6 of 20 rows wanted, 0 there")
    assert has_note(notes, "manifest.bucket_floors_pct.AH", "1 of 20 rows wanted, 0 there")
    assert not has_note(notes, "manifest.bucket_floors_pct.opening")


def test_a_manifest_that_meets_everything_has_no_notes() -> None:
    rows = events(event("A"), event("B"))
    assert build_manifest(rows, settings=settings({"total": 2}, **NO_QUOTAS)).notes == []
