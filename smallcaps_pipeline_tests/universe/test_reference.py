"""From which day each fact was known: no fact before it was public."""

from __future__ import annotations

from datetime import date

import polars as pl
from polars.testing import assert_frame_equal

from smallcaps_pipeline.schemas import REFERENCE, SHORT_INTEREST, TICKER_DETAILS, UNIVERSE
from smallcaps_pipeline.universe import reference_table
from smallcaps_pipeline_tests.universe.tables import details, stock


def universe(*rows: tuple[str, int, date]) -> pl.DataFrame:
    table = UNIVERSE.empty()
    given = pl.DataFrame(list(rows), schema=["symbol", "tier", "as_of"], orient="row")
    return UNIVERSE.conform(pl.concat([table, given], how="diagonal_relaxed"))


def short_interest(*rows: tuple[str, date, float, float | None]) -> pl.DataFrame:
    names = ["symbol", "settlement_date", "short_interest", "days_to_cover"]
    given = pl.DataFrame(list(rows), schema=names, orient="row")
    return SHORT_INTEREST.conform(
        pl.concat([SHORT_INTEREST.empty(), given], how="diagonal_relaxed")
    )


def test_reference_by_hand() -> None:
    """Settlement on Friday 2025-08-29: the 9th trading day after it is Friday 2025-09-12.

    Monday 1 September is Labor Day, so the days after it are 2, 3, 4, 5, 8, 9, 10, 11, 12.
    The ranking of Friday 10 October holds its close: known on Monday 13. The details of Sunday
    5 October are known on Monday 6.
    """
    table = reference_table(
        universe(("AAA", 1, date(2025, 10, 10))),
        details(stock("AAA", float_shares=7e6, as_of=date(2025, 10, 5))),
        short_interest(("AAA", date(2025, 8, 29), 2e6, 1.5), ("BBB", date(2025, 8, 29), 1e6, None)),
    )
    assert_frame_equal(
        table,
        pl.DataFrame(
            [
                ("AAA", date(2025, 9, 12), None, 2e6, 1.5, None),
                ("AAA", date(2025, 10, 6), 7e6, 2e6, 1.5, None),
                ("AAA", date(2025, 10, 13), 7e6, 2e6, 1.5, 1),
                ("BBB", date(2025, 9, 12), None, 1e6, None, None),
            ],
            schema=REFERENCE.schema,
            orient="row",
        ),
    )


def test_float_is_known_on_the_trading_day_that_it_describes() -> None:
    table = reference_table(
        UNIVERSE.empty(),
        details(stock("AAA", float_shares=7e6, as_of=date(2025, 10, 7))),
        SHORT_INTEREST.empty(),
    )
    assert table["known_from"].to_list() == [date(2025, 10, 7)]


def test_report_that_changes_nothing_adds_no_row() -> None:
    table = reference_table(
        universe(("AAA", 2, date(2025, 9, 30)), ("AAA", 2, date(2025, 10, 7))),
        TICKER_DETAILS.empty(),
        short_interest(("AAA", date(2025, 8, 15), 1e6, 2.0), ("AAA", date(2025, 8, 29), 1e6, 2.0)),
    )
    assert table["known_from"].to_list() == [date(2025, 8, 28), date(2025, 10, 1)]


def test_stock_without_any_fact_has_no_row() -> None:
    table = reference_table(
        UNIVERSE.empty(), details(stock("AAA", float_shares=None)), SHORT_INTEREST.empty()
    )
    assert_frame_equal(table, REFERENCE.empty())


def test_details_without_a_date_are_left_out() -> None:
    record = stock("AAA", float_shares=7e6, as_of=None)
    table = reference_table(UNIVERSE.empty(), details(record), SHORT_INTEREST.empty())
    assert table.is_empty()


def test_row_order_does_not_matter() -> None:
    reports = short_interest(
        ("AAA", date(2025, 8, 15), 1e6, 2.0),
        ("AAA", date(2025, 8, 29), 3e6, 2.0),
        ("BBB", date(2025, 8, 15), 1e6, 2.0),
    )
    first = reference_table(UNIVERSE.empty(), TICKER_DETAILS.empty(), reports)
    again = reference_table(UNIVERSE.empty(), TICKER_DETAILS.empty(), reports.reverse())
    assert_frame_equal(again, first)
    assert first.height == 3
