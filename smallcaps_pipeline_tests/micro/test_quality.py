"""Every check of a batch fires on its defect, alone, and all are quiet on good data.

The good window, 10:00-10:10, has in each minute m six trades of 100 and three quotes:

    10:0m:01.000731123   10.00 + m cents   the bar's open and low
    10:0m:11 to 41       10.01 + m cents
    10:0m:51.000731123   10.02 + m cents   its high and close
    10:0m:00 / 20 / 40   10.00 + m / 10.02 + m cents, 3 and 7 round lots
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from smallcaps_pipeline.micro import window_quality
from smallcaps_pipeline.micro.quality_bars import rebuild_bars
from smallcaps_pipeline.report.quality import RULES, quality_findings, trades_per_minute_svg
from smallcaps_pipeline.report.status import Status
from smallcaps_pipeline.schemas import BARS, MICRO_QUALITY
from smallcaps_pipeline_tests.micro.tables import DAY, at, event, quotes, trades

SHARES_FROM = date(2025, 11, 3)
Frames = dict[str, Any]


def good(day: str = DAY, lot: int = 1) -> Frames:
    """Return arguments of `window_quality` for a window without a fault."""
    prices = [10 + m / 100 for m in range(10)]
    steps = {"01": 0.0, "11": 0.01, "21": 0.01, "31": 0.01, "41": 0.01, "51": 0.02}
    tape = [
        (f"10:0{m}:{s}.000731123", round(price + up, 2))
        for m, price in enumerate(prices)
        for s, up in steps.items()
    ]
    book = [
        (f"10:0{m}:{s}.000512077", round(price, 2), round(price + 0.02, 2))
        for m, price in enumerate(prices)
        for s in ("00", "20", "40")
    ]
    late = pl.col("timestamp") - pl.duration(milliseconds=3, time_unit="ns")
    frame = pl.DataFrame(
        {
            "symbol": "AEMD",
            "timestamp": [at(f"10:0{m}:00", day) for m in range(10)],
            "open": [round(price, 2) for price in prices],
            "high": [round(price + 0.02, 2) for price in prices],
            "low": [round(price, 2) for price in prices],
            "close": [round(price + 0.02, 2) for price in prices],
            "volume": 600.0,
            "vwap": [round(price + 0.01, 4) for price in prices],
            "transactions": 6,
        }
    )
    return {
        "manifest_rows": event(day=day),
        "trades": trades(*tape, day=day).with_columns(participant_timestamp=late),
        "quotes": quotes(*book, day=day).with_columns(
            participant_timestamp=late, bid_size=pl.lit(3.0 * lot), ask_size=pl.lit(7.0 * lot)
        ),
        "bars": BARS.conform(frame),
        "files": pl.DataFrame(
            {"event_id": event(day=day)["event_id"], "bytes": [40_000], "extended": [False]}
        ),
        "shares_from": SHARES_FROM,
    }


def failed(frames: Frames) -> set[str]:
    found = quality_findings(window_quality(**frames))
    assert [finding.name for finding in found] == [rule.name for rule in RULES]
    return {finding.name for finding in found if finding.status == Status.FAIL}


def on(table: str, **columns: pl.Expr) -> Callable[[Frames], Frames]:
    """Return a change of some columns of one table."""
    return lambda frames: frames | {table: frames[table].with_columns(**columns)}


def edit(table: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Frames], Frames]:
    return lambda frames: frames | {table: change(frames[table])}


def rows(table: str, *numbers: int, **columns: pl.Expr) -> Callable[[Frames], Frames]:
    """Return a change of some columns in some rows of one table."""
    chosen = pl.int_range(pl.len()).is_in(numbers)
    changed = {
        name: pl.when(chosen).then(value).otherwise(pl.col(name)) for name, value in columns.items()
    }
    return on(table, **changed)


def ns_as_double(frames: Frames) -> Frames:
    """What JSON does to 1759845600000000123 where numbers are doubles."""
    passed = pl.col("timestamp").dt.epoch("ns").cast(pl.Float64).cast(pl.Int64)
    back = passed.cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")
    return on("trades", timestamp=back)(on("quotes", timestamp=back)(frames))


def codes(*numbers: int) -> pl.Expr:
    return pl.lit(list(numbers), dtype=pl.List(pl.Int32))


FIRST_ID = pl.lit("0")
DEFECTS: list[tuple[str, Callable[[Frames], Frames], set[str]]] = [
    (
        "nothing came",
        edit("trades", lambda t: t.clear()),
        {"rth_with_trades_pct", "trades_per_minute_p50", "bars_without_trades_pct"},
    ),
    ("no quote came", edit("quotes", lambda q: q.clear()), {"windows_without_quotes_pct"}),
    (
        "zeros for an empty book",
        rows("quotes", 3, 9, bid_price=pl.lit(0.0), ask_price=pl.lit(0.0)),
        {"quotes_empty_pct"},
    ),
    (
        "zero for a side that is not there",
        rows("quotes", *range(7), ask_price=pl.lit(0.0)),
        {"quotes_one_sided_pct"},
    ),
    (
        "locked too often",
        rows("quotes", 1, 5, 9, 13, ask_price=pl.col("bid_price")),
        {"crossed_or_locked_pct"},
    ),
    (
        "one crossed in thirty",
        rows("quotes", 4, ask_price=pl.col("bid_price") - 0.01),
        {"quotes_crossed_pct"},
    ),
    (
        "history that was converted to shares",
        on("quotes", bid_size=pl.lit(300.0), ask_size=pl.lit(700.0)),
        {"quote_unit_differs_pct"},
    ),
    ("a page newest first", edit("trades", lambda t: t.reverse()), {"out_of_order_pct"}),
    (
        "sequence numbers that run back",
        rows("trades", 7, sequence_number=pl.lit(1)),
        {"out_of_order_pct"},
    ),
    (
        "an overlapping page",
        edit("trades", lambda t: pl.concat([t, t.slice(4, 2)]).sort("sequence_number")),
        {"duplicated_pct"},
    ),
    (
        "an overlapping page of quotes",
        edit("quotes", lambda q: pl.concat([q, q.tail(1)])),
        {"duplicated_pct"},
    ),
    (
        "the second trade repeats the first's id, as in the provider's sample",
        lambda f: rows("trades", 1, trade_id=FIRST_ID)(on("trades", exchange=pl.lit(12))(f)),
        {"trades_id_repeated_pct"},
    ),
    (
        "a print without a price",
        edit("trades", lambda t: pl.concat([t, _extra(t, price=0.0, codes=[37])])),
        {"trades_bad_pct", "bar_volume_differs_pct", "bar_count_differs_pct"},
    ),
    (
        "a negotiated block at 3 % below the market, without a code that says so",
        edit("trades", lambda t: pl.concat([t, _extra(t, price=9.78, codes=[37])])),
        {"off_market_pct", "bar_volume_differs_pct", "bar_count_differs_pct"},
    ),
    (
        "a cancelled print that stays in the data",
        edit(
            "trades",
            lambda t: pl.concat(
                [t, *(_extra(t, price=9.0, codes=[], correction=c) for c in (7, 8, 11))]
            ),
        ),
        {"trades_cancelled_pct"},
    ),
    (
        "a new code",
        rows("trades", 5, conditions=codes(14, 77)),
        {"trades_unknown_condition_pct"},
    ),
    (
        "codes left out",
        rows("trades", 5, conditions=pl.lit(None)),
        {"trades_without_conditions_pct"},
    ),
    ("nanoseconds as doubles", ns_as_double, {"time_rounded_pct"}),
    (
        "a slow feed",
        on(
            "trades",
            participant_timestamp=pl.col("timestamp") - pl.duration(seconds=20, time_unit="ns"),
        ),
        {"trades_latency_p50_ms", "trades_latency_p99_ms"},
    ),
    (
        "a slow feed of quotes",
        on(
            "quotes",
            participant_timestamp=pl.col("timestamp") - pl.duration(seconds=1, time_unit="ns"),
        ),
        {"quotes_latency_p50_ms"},
    ),
    (
        "quotes that are late now and then",
        rows(
            "quotes",
            1,
            participant_timestamp=pl.col("timestamp") - pl.duration(seconds=60, time_unit="ns"),
        ),
        {"quotes_latency_p99_ms"},
    ),
    (
        "the two clocks mixed up",
        on(
            "trades",
            participant_timestamp=pl.col("timestamp") + pl.duration(milliseconds=3, time_unit="ns"),
        ),
        {"trades_latency_p50_ms", "trades_latency_p99_ms", "latency_negative_pct"},
    ),
    (
        "a window too quiet to pay for",
        lambda f: f | {"trades": f["trades"].head(49), "bars": None},
        {"trades_per_minute_p50"},
    ),
    ("files too large", on("files", bytes=pl.lit(60_000_000)), {"megabytes_p99"}),
    ("every window widened", on("files", extended=pl.lit(value=True)), {"extended_pct"}),
    (
        "a minute missing in a liquid name",
        edit("bars", lambda b: b.filter(pl.int_range(pl.len()) != 6)),
        {"bars_missing_pct"},
    ),
    (
        "a download cut short",
        edit("trades", lambda t: t.head(54)),
        {"bars_without_trades_pct"},
    ),
    ("another open", rows("bars", 2, open=pl.col("open") + 0.01), {"bar_open_differs_pct"}),
    ("another high", rows("bars", 2, high=pl.col("high") + 0.01), {"bar_high_differs_pct"}),
    ("another low", rows("bars", 2, low=pl.col("low") - 0.01), {"bar_low_differs_pct"}),
    ("another close", rows("bars", 2, close=pl.col("close") - 0.01), {"bar_close_differs_pct"}),
    ("another volume", rows("bars", 2, volume=pl.lit(600.001)), {"bar_volume_differs_pct"}),
    ("another count", rows("bars", 2, transactions=pl.lit(5)), {"bar_count_differs_pct"}),
    ("a vwap that cannot be", rows("bars", 2, vwap=pl.lit(11.0)), {"bar_vwap_outside_pct"}),
    (
        "bars adjusted for a reverse split of 1:10",
        on(
            "bars",
            **{name: pl.col(name) * 10 for name in ("open", "high", "low", "close", "vwap")},
            volume=pl.col("volume") / 10,
        ),
        {
            *(f"bar_{field}_differs_pct" for field in ("open", "high", "low", "close", "volume")),
            "bars_rescaled_pct",
        },
    ),
]


def _extra(
    tape: pl.DataFrame, *, price: float, codes: list[int], correction: int = 0
) -> pl.DataFrame:
    """Return one more print behind a tape, in its last minute."""
    return tape.tail(1).with_columns(
        timestamp=pl.col("timestamp") + pl.duration(seconds=1, time_unit="ns"),
        sequence_number=pl.lit(99 + correction, dtype=pl.Int64),
        trade_id=pl.lit(f"new {correction}"),
        price=pl.lit(price),
        conditions=pl.lit(codes, dtype=pl.List(pl.Int32)),
        correction=pl.lit(correction, dtype=pl.Int32),
    )


@pytest.mark.parametrize(("day", "lot"), [(DAY, 1), ("2025-11-04", 100)])
def test_good_data_are_quiet(day: str, lot: int) -> None:
    frame = window_quality(**good(day, lot))
    assert frame.schema == MICRO_QUALITY.schema
    findings = quality_findings(frame)
    assert {f.name for f in findings if f.status == Status.FAIL} == set()
    untold = {f.name for f in findings if f.status == Status.NOT_YET}
    assert untold == {"pm_with_trades_pct", "ah_with_trades_pct", "halts_with_bars_pct"}
    assert all(f.n == 0 for f in findings if f.name in untold)


@pytest.mark.parametrize(
    ("defect", "expected"), [case[1:] for case in DEFECTS], ids=[case[0] for case in DEFECTS]
)
def test_defect_fires_its_check_and_no_other(
    defect: Callable[[Frames], Frames], expected: set[str]
) -> None:
    assert failed(defect(good())) == expected


def test_every_check_has_a_defect_that_fires_it() -> None:
    fired = set().union(*(expected for _, _, expected in DEFECTS))
    apart = {"pm_with_trades_pct", "ah_with_trades_pct", "halts_with_bars_pct"}
    assert {rule.name for rule in RULES} - fired == apart | {"trades_per_minute_p99"}


@pytest.mark.parametrize(
    ("clock", "session", "name"), [("08:03", "PM", "pm"), ("16:03", "AH", "ah")]
)
def test_sessions_are_covered_each_by_itself(clock: str, session: str, name: str) -> None:
    window = event(clock).with_columns(session=pl.lit(session))
    frames = good() | {"manifest_rows": window, "bars": None}
    assert f"{name}_with_trades_pct" in failed(frames)
    assert "rth_with_trades_pct" not in failed(frames)
    full = frames | {"trades": trades((f"{clock}:30", 10.0))}
    assert f"{name}_with_trades_pct" not in failed(full)


def test_tape_faster_than_any_market_fires() -> None:
    clocks = [f"10:03:{s:02d}.{n:03d}" for s in range(10) for n in range(20)]
    fast = trades(*((clock, 10.0) for clock in clocks))
    frame = window_quality(event(before=0, after=1), fast, None)
    found = {f.name: f for f in quality_findings(frame)}
    assert found["trades_per_minute_p99"].figure == 200
    crowd = frame.with_columns(trades_real=pl.lit(20_001))
    assert "trades_per_minute_p99" in {
        f.name for f in quality_findings(crowd) if f.status == Status.FAIL
    }


def test_halt_that_bars_do_not_know_fires() -> None:
    """Trades of 10:05:00-10:12:30 are missing; the bars of those minutes are there."""
    rows_before = [(f"10:0{m}:{s}", 10.0) for m in range(5) for s in ("00", "30")]
    tape = trades(*rows_before, ("10:05:00", 10.6), ("10:12:30", 12.0))
    minutes = [at(f"10:{m:02d}:00") for m in range(13)]
    prices = dict.fromkeys(("open", "high", "low", "close"), 10.0)
    frame = pl.DataFrame({"symbol": "AEMD", "timestamp": minutes, **prices, "volume": 200.0})
    bars = frame.with_columns(vwap=pl.lit(None), transactions=pl.lit(None))
    window = event("10:05", before=5, after=10)
    with_bars = window_quality(window, tape, None, bars=BARS.conform(bars)).row(0, named=True)
    assert (with_bars["halts"], with_bars["halts_with_bars"]) == (1, 1)
    gap = bars.filter(~pl.col("timestamp").is_between(at("10:06:00"), at("10:11:59")))
    as_it_should = window_quality(window, tape, None, bars=BARS.conform(gap))
    assert as_it_should["halts_with_bars"].item() == 0
    fires = quality_findings(window_quality(window, tape, None, bars=BARS.conform(bars)))
    assert {f.name: f.status for f in fires}["halts_with_bars_pct"] == Status.FAIL
    quiet = quality_findings(as_it_should)
    assert {f.name: f.status for f in quiet}["halts_with_bars_pct"] == Status.PASS


def test_what_was_not_given_is_not_yet_and_never_a_pass() -> None:
    frame = window_quality(event(), good()["trades"].drop("participant_timestamp"), None)
    unknown = {f.name: f for f in quality_findings(frame) if f.status == Status.NOT_YET}
    for name in ("bars_missing_pct", "bar_close_differs_pct", "trades_latency_p50_ms"):
        assert unknown[name].n == 1, name  # there is a window, and nothing that could be said
    for name in ("quotes_crossed_pct", "quotes_latency_p50_ms"):
        assert unknown[name].n == 0, name
    assert frame.select(pl.col("^quote.*$").is_null().all()).row(0) == (True,) * 10
    assert frame["shares_off_market"].null_count() == 1


def test_only_whole_minutes_and_known_conditions_are_compared() -> None:
    frames = good()
    inner = frames | {"manifest_rows": event(before=3, after=7).with_columns(_later(30))}
    assert window_quality(**inner)["minutes_compared"].item() == 9
    unknown = rows("trades", 0, conditions=pl.lit(None))(frames)
    assert window_quality(**unknown)["minutes_compared"].item() == 9


def test_day_without_any_bar_is_not_compared() -> None:
    frames = good()
    other = on("bars", timestamp=pl.col("timestamp") - timedelta(days=1))(frames)
    assert window_quality(**other)["minutes_compared"].item() is None


def test_bars_are_rebuilt_by_the_providers_rules() -> None:
    tape = trades(
        ("10:00:01", 10.00, 100, [37]),  # odd lot: volume and count alone
        ("10:00:02", 10.10, 100),  # the first that sets open
        ("10:00:03", 10.50, 100, [10]),  # derivatively priced: high and low, not the last price
        ("10:00:04", 10.20, 100, [14, 41]),  # a sweep: all
        ("10:00:05", 9.00, 100, [12]),  # Form T in regular hours: volume alone
        ("10:00:06", 8.00, 9_999, [16]),  # official open: a message
        ("10:00:07", 7.00, 100, [], 8),  # cancelled
        ("10:01:00", 10.00, 50, [37]),  # a minute without a bar
        ("16:30:00", 11.00, 100, [12]),  # Form T after hours: all
        ("16:30:01", 11.50, 100, [12, 37]),
    )
    bars = rebuild_bars(tape).with_columns(pl.col("open", "high", "low", "close") / 10**6)
    columns = ["open", "high", "low", "close", "volume", "transactions"]
    assert bars.select(columns).rows() == [
        (10.10, 10.50, 10.10, 10.20, 500.0, 5),
        (None, None, None, None, 50.0, 1),
        (11.00, 11.00, 11.00, 11.00, 200.0, 2),
    ]


def test_plot_counts_every_window() -> None:
    svg = trades_per_minute_svg(window_quality(**good()))
    assert svg.startswith("<svg")
    assert "3 to 10" in svg


def test_no_events_no_rows() -> None:
    frames = good() | {"manifest_rows": event().clear()}
    assert window_quality(**frames).equals(MICRO_QUALITY.empty())


def _later(seconds: int) -> list[pl.Expr]:
    return [pl.col("window_start", "window_end") + pl.duration(seconds=seconds)]
