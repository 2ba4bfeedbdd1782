"""Coverage of a cell's days: worked by hand, each defect where it shows and just not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcaps_pipeline.bars.coverage import DayState, add_usual, cover_cell
from smallcaps_pipeline.bars.coverage_plot import coverage_svg, day_kinds
from smallcaps_pipeline.bars.coverage_summary import Defect, Expected, summarize
from smallcaps_pipeline.schemas import BAR_COVERAGE, BARS, DAY_COVERAGE
from smallcaps_pipeline.sessions import trading_days
from smallcaps_pipeline.settings import load_settings
from smallcaps_pipeline_tests.events.builders import Bar, bar, frame, quiet

RULES = load_settings().kpis.bars
DAY = date(2025, 10, 7)
EARLY = date(2025, 11, 28)


def covered(
    rows: Sequence[Bar], asked: Sequence[date] = (DAY,), **changes: Any
) -> list[dict[str, Any]]:
    facts: dict[str, Any] = {"source": "test", "set_aside": {}, "rules": RULES, **changes}
    bars = frame(list(rows)) if rows else BARS.empty()
    return cover_cell(bars, symbol="AEMD", asked=list(asked), **facts).to_dicts()


def test_day_by_session_with_its_edges() -> None:
    rows = [bar("03:59", 10), bar("04:00", 10, 1), bar("09:29", 10, 2), bar("09:30", 10, 3)]
    rows += [bar("15:59", 10, 4), bar("16:00", 10, 5), bar("19:59", 10, 6), bar("20:00", 10)]
    (day,) = covered(rows)
    counts = [day[f"{name}_bars"] for name in ("pm", "rth", "ah", "outside")]
    assert (counts, day["bars"]) == ([2, 2, 2, 2], 6)
    assert (day["volume"], day["dollar_volume"]) == (21.0, 210.0)
    assert (day["state"], day["rth_minutes"]) == (DayState.BARS, 390)
    assert str(day["first_at"]) == "2025-10-07 07:59:00+00:00"
    assert str(day["last_at"]) == "2025-10-08 00:00:00+00:00"


def test_early_close_ends_rth_at_one() -> None:
    rows = [bar("12:59", 10, day=EARLY), bar("13:00", 10, day=EARLY)]
    (day,) = covered(rows, [EARLY])
    assert (day["rth_bars"], day["ah_bars"], day["rth_minutes"]) == (1, 1, 210)


def test_gaps_too_short_for_a_halt_are_told_from_long_ones() -> None:
    """Of 390 minutes, 4 lack at the start, 5 in the middle, 1 at the end: 5 in short gaps."""
    present = [n for n in range(390) if n >= 4 and not 100 <= n < 105 and n != 389]
    rows = [b for n, b in enumerate(quiet("09:30", 390, 10.0)) if n in present]
    (day,) = covered(rows)
    assert (day["rth_bars"], day["short_gap_minutes"], day["longest_gap_minutes"]) == (380, 5, 5)


def test_day_without_rth_bars_is_one_long_gap() -> None:
    (day,) = covered([bar("08:00", 10)])
    assert (day["short_gap_minutes"], day["longest_gap_minutes"]) == (0, 390)


def test_asked_day_without_bars_is_empty_and_a_day_nobody_asked_for_is_not_there() -> None:
    other = DAY + timedelta(days=1)
    days = covered([bar("10:00", 10)], [DAY, other])
    assert [(d["date"], d["state"]) for d in days] == [(DAY, "bars"), (other, "empty")]
    assert [d["date"] for d in covered([bar("10:00", 10)], [])] == [DAY]


def test_bars_of_a_closed_day_are_shown_outside() -> None:
    saturday = date(2025, 10, 11)
    (day,) = covered([bar("10:00", 10, day=saturday)], [])
    assert (day["bars"], day["outside_bars"], day["rth_minutes"]) == (0, 1, 0)


def test_copies_bad_bars_and_what_was_set_aside_before_add_up() -> None:
    good = bar("10:00", 10, 100)
    rows = [good, good, bar("10:00", 10, 50), bar("10:01", -1.0), bar("10:02", 10, symbol="NERV")]
    before = {str(DAY): {"equal copy of another bar of the minute": 3, "volume is below zero": 1}}
    (day,) = covered(rows, set_aside=before)
    assert (day["duplicates"], day["conflicts"], day["bad_bars"]) == (1 + 3, 1, 2 + 1)
    assert day["bars"] == 1


@pytest.mark.parametrize(("vwap", "outside"), [(10.0, 0), (10.2, 0), (10.21, 1), (None, 0)])
def test_vwap_outside_the_bar(vwap: float | None, outside: int) -> None:
    (day,) = covered([bar("10:00", 10, open_=10, high=10.2, low=9.9, vwap=vwap)])
    assert day["vwap_outside"] == outside


# what is usual --------------------------------------------------------------------------------

DAYS = trading_days(date(2025, 9, 2), date(2025, 10, 7))


def history(rth_bars: int, last: int, *, short: int = 0) -> dict[str, Any]:
    """Return the last of a month of days, all with `rth_bars` but the last one."""
    counts = [*[rth_bars] * (len(DAYS) - 1), last]
    rows = pl.DataFrame(
        {"symbol": "AEMD", "date": DAYS, "state": "bars", "source": "test"}
    ).with_columns(
        bars=pl.Series(counts), rth_bars=pl.Series(counts), rth_minutes=390, short_gap_minutes=short
    )
    others = [name for name in BAR_COVERAGE.columns if name not in rows.columns]
    rows = rows.with_columns(pl.lit(None).alias(name) for name in others)
    return add_usual(BAR_COVERAGE.conform(rows), RULES).row(-1, named=True)


@pytest.mark.parametrize(("usual", "liquid"), [(371, True), (370, False)])
def test_liquid_name_trades_in_95_percent_of_minutes(usual: int, liquid: bool) -> None:
    """0.95 x 390 = 370.5."""
    day = history(usual, 388, short=2)
    assert (day["is_liquid"], day["hole_minutes"]) == (liquid, 2 if liquid else 0)


@pytest.mark.parametrize(
    ("usual", "bars", "thin"), [(60, 29, True), (60, 30, False), (59, 1, False)]
)
def test_thin_day_has_less_than_half_of_a_usual_that_is_many(
    usual: int, bars: int, thin: bool
) -> None:
    assert history(usual, bars)["is_thin"] is thin


def test_usual_needs_five_sessions() -> None:
    days = trading_days(date(2025, 10, 1), date(2025, 10, 6))
    rows = pl.concat(frame(quiet("09:30", 100, 10.0, day=day)) for day in days)
    cell = cover_cell(rows, symbol="AEMD", asked=days, source="test", set_aside={}, rules=RULES)
    assert add_usual(cell, RULES)["usual_bars"].to_list() == [None] * 4


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(range(390)), max_size=60), st.randoms(use_true_random=False))
def test_every_row_is_counted_once_whatever_their_order(minutes: list[int], rng: Any) -> None:
    """Good bars, copies and bad ones add up; gaps agree with a plain count over the minutes."""
    base = quiet("09:30", 390, 10.0)
    rows = [base[minute] for minute in minutes]
    (day,) = covered(rows)
    assert day["bars"] + day["duplicates"] == len(rows)
    present, gaps, run = set(minutes), [], 0
    for minute in range(391):
        if minute < 390 and minute not in present:
            run += 1
        else:
            gaps.append(run)
            run = 0
    assert day["longest_gap_minutes"] == max(gaps)
    if minutes:
        assert day["short_gap_minutes"] == sum(gap for gap in gaps if gap < 5)
    rng.shuffle(rows)
    assert covered(rows) == [day]


# the whole lake -------------------------------------------------------------------------------

WEEK = trading_days(date(2025, 10, 6), date(2025, 10, 10))


def symbol_days(symbol: str, days: Sequence[date], **changes: Any) -> pl.DataFrame:
    rows = pl.DataFrame({"symbol": symbol, "date": list(days), "state": "bars", "source": "test"})
    facts = {"bars": 100, "rth_bars": 100, "rth_minutes": 390, "volume": 1.0} | changes
    numbers = {
        name: pl.lit(facts.get(name, 0)).cast(dtype)
        for name, dtype in BAR_COVERAGE.schema.items()
        if dtype == pl.Int64
    }
    rows = rows.with_columns(
        state=pl.lit(facts.get("state", "bars")),
        volume=1.0,
        dollar_volume=1.0,
        first_at=None,
        last_at=None,
        usual_bars=pl.lit(facts.get("usual_bars"), pl.Float64),
        is_liquid=pl.lit(bool(facts.get("is_liquid"))),
        is_thin=pl.lit(bool(facts.get("is_thin"))),
        **numbers,
    )
    return BAR_COVERAGE.conform(rows)


def expected(*symbols: str, listed: pl.DataFrame | None = None) -> Expected:
    more = {} if listed is None else {"listed": listed}
    return Expected(frozenset(symbols), WEEK[0], WEEK[-1], **more)


def test_missing_days_and_symbols_are_told_from_empty_ones() -> None:
    parts = [
        symbol_days("AEMD", WEEK[:3]),
        pl.concat([symbol_days("NERV", WEEK, state="empty", bars=0), symbol_days("XXII", WEEK)]),
    ]
    found = summarize(parts, expected("AEMD", "NERV", "GRI"), RULES)
    columns = ["symbol", "days_expected", "days_with_bars", "days_empty", "days_missing"]
    assert found.by_symbol.select(columns).rows() == [
        ("AEMD", 5, 3, 0, 2),
        ("GRI", 5, 0, 0, 5),
        ("NERV", 5, 0, 5, 0),
        ("XXII", 0, 5, 0, 0),
    ]
    assert found.missing_symbols == ["GRI", "NERV"]
    assert found.symbols_with_bars == ["AEMD", "XXII"]
    first, last = (
        found.by_symbol.filter(symbol="AEMD").select("first_missing", "last_missing").row(0)
    )
    assert (first, last) == (WEEK[3], WEEK[4])
    assert found.by_day["symbols_missing"].to_list() == [1, 1, 1, 2, 2]
    assert found.by_day["symbols_with_bars"].to_list() == [2, 2, 2, 1, 1]
    assert found.totals()["days_missing"] == 7


def test_stock_is_expected_only_while_it_is_listed() -> None:
    listed = pl.DataFrame(
        {"symbol": ["AEMD", "GRI"], "listed_from": [WEEK[1], None], "listed_to": [WEEK[3], WEEK[0]]}
    )
    found = summarize(
        [symbol_days("AEMD", WEEK[1:3])], expected("AEMD", "GRI", listed=listed), RULES
    )
    assert found.by_symbol.select("symbol", "days_expected", "days_missing").rows() == [
        ("AEMD", 3, 1),
        ("GRI", 1, 1),
    ]


def test_parts_do_not_matter() -> None:
    names = [f"S{n}" for n in range(7)]
    frames = [symbol_days(name, WEEK[: 1 + n % 5]) for n, name in enumerate(names)]
    apart, together = (
        summarize(parts, expected(*names, "GONE"), RULES) for parts in (frames, [pl.concat(frames)])
    )
    assert apart.by_symbol.equals(together.by_symbol)
    assert apart.by_day.equals(together.by_day)
    assert apart.suspects.equals(together.suspects)


def test_symbols_without_any_bar_are_counted_however_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"S{n}" for n in range(7)]
    whole = summarize([], expected(*names), RULES)
    monkeypatch.setattr("smallcaps_pipeline.bars.coverage_summary.ABSENT_AT_ONCE", 2)
    chunked = summarize([], expected(*names), RULES)
    assert chunked.by_symbol.equals(whole.by_symbol)
    assert chunked.by_day.equals(whole.by_day)
    assert whole.missing_symbols == names
    assert whole.by_day["symbols_missing"].to_list() == [7] * 5
    assert summarize([], expected(), RULES).by_symbol.is_empty()


def test_suspects_are_the_worst_of_each_defect() -> None:
    parts = [
        symbol_days("AEMD", WEEK[:1], hole_minutes=3, is_liquid=1),
        symbol_days("NERV", WEEK[:1], hole_minutes=9, is_liquid=1),
        symbol_days("GRI", WEEK[:1], is_thin=1, bars=20, usual_bars=200.0),
        symbol_days("XXII", WEEK[:1], conflicts=2, bad_bars=1, vwap_outside=4),
    ]
    found = summarize(parts, expected("AEMD"), RULES).suspects
    assert set(found.rows()) == {
        ("NERV", WEEK[0], Defect.HOLES.value, 9.0),
        ("AEMD", WEEK[0], Defect.HOLES.value, 3.0),
        ("GRI", WEEK[0], Defect.THIN.value, 10.0),
        ("XXII", WEEK[0], Defect.COPIES.value, 2.0),
        ("XXII", WEEK[0], Defect.BAD.value, 1.0),
        ("XXII", WEEK[0], Defect.VWAP.value, 4.0),
    }
    holes = found.filter(pl.col("defect") == Defect.HOLES.value)
    assert holes["symbol"].to_list() == ["NERV", "AEMD"]


def test_day_that_lost_half_of_its_symbols_is_odd() -> None:
    """A day file that was cut off: 6 of 12 symbols on one day; 7 of 12 is not yet odd."""

    def odd(there: int) -> list[date]:
        names = [f"S{n:02}" for n in range(12)]
        parts = [
            symbol_days(name, [day for day in WEEK if day != WEEK[2] or n < there])
            for n, name in enumerate(names)
        ]
        days = summarize(parts, expected(*names), RULES).by_day
        return list(days.filter("is_odd")["date"])

    assert odd(6) == [WEEK[2]]
    assert odd(7) == []


def test_day_whose_symbols_all_lost_half_of_their_bars_is_odd() -> None:
    parts = [
        pl.concat(
            [
                symbol_days(name, [d for d in WEEK if d != WEEK[2]]),
                symbol_days(name, WEEK[2:3], bars=50),
            ]
        )
        for name in ("AEMD", "GRI", "NERV")
    ]
    days = summarize(parts, expected("AEMD"), RULES).by_day
    assert days.filter("is_odd")["date"].to_list() == [WEEK[2]]


def test_plot_colours_each_day() -> None:
    base = dict.fromkeys(DAY_COVERAGE.columns, 0) | {"volume": 0.0, "usual_symbols": 2.0}
    rows = [
        base | {"date": WEEK[0], "symbols_expected": 4, "symbols_with_bars": 4, "is_odd": False},
        base
        | {
            "date": WEEK[1],
            "symbols_expected": 4,
            "symbols_with_bars": 2,
            "symbols_missing": 2,
            "is_odd": False,
        },
        base
        | {
            "date": WEEK[2],
            "symbols_expected": 4,
            "symbols_with_bars": 1,
            "symbols_missing": 3,
            "is_odd": True,
        },
        base | {"date": WEEK[3], "symbols_expected": 4, "symbols_with_bars": 4, "is_odd": True},
        base | {"date": WEEK[4], "symbols_expected": 4, "symbols_missing": 4, "is_odd": False},
    ]
    days = DAY_COVERAGE.conform(pl.DataFrame(rows))
    kinds = ["all there", "some missing", "most missing", "odd size", "nothing"]
    assert day_kinds(days)["kind"].to_list() == kinds
    svg = coverage_svg(days)
    assert svg.startswith("<svg")
    assert "2025-10" in svg
    assert len(coverage_svg(days.head(0))) < len(svg)
