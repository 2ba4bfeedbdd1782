"""Price bases and previous closes over forward and reverse splits."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from smallcaps_pipeline.schemas import PREVIOUS_CLOSE
from smallcaps_pipeline.universe import previous_close, split_factors, with_basis
from smallcaps_pipeline.universe.splits import SplitError
from smallcaps_pipeline_tests.universe.tables import bar, daily_bars, splits

MON, TUE, WED, THU = (date(2025, 10, day) for day in (6, 7, 8, 9))


def test_basis_is_the_product_of_the_splits_so_far() -> None:
    """2-for-1 halves prices, 1-for-10 multiplies them by ten: 0.5, then 0.5 x 10 = 5."""
    given = splits(("AAA", WED, 10, 1), ("AAA", MON, 1, 2), ("BBB", TUE, 1, 4))
    assert split_factors(given).rows() == [
        ("AAA", MON, 0.5),
        ("AAA", WED, 5.0),
        ("BBB", TUE, 0.25),
    ]


def test_a_split_listed_twice_counts_once() -> None:
    given = splits(("AAA", MON, 1, 2), ("AAA", MON, 1, 2))
    assert split_factors(given)["basis"].to_list() == [0.5]


def test_two_splits_of_one_day_count_together() -> None:
    given = splits(("AAA", MON, 1, 2), ("AAA", MON, 1, 3))
    assert split_factors(given)["basis"].to_list() == [pytest.approx(1 / 6)]


@pytest.mark.parametrize(("old", "new"), [(0, 1), (1, 0), (-1, 2), (None, 2)])
def test_split_without_a_ratio_is_an_error_that_shows_it(old: float, new: float) -> None:
    with pytest.raises(SplitError, match="'AAA'"):
        split_factors(splits(("AAA", MON, old, new)))


def test_basis_before_any_split_and_without_one_is_1() -> None:
    rows = pl.DataFrame({"symbol": ["AAA", "AAA", "BBB"], "date": [WED, MON, WED]})
    given = splits(("AAA", TUE, 1, 2))
    assert with_basis(rows, given).rows() == [
        ("AAA", MON, 1.0),
        ("AAA", WED, 0.5),
        ("BBB", WED, 1.0),
    ]
    assert with_basis(rows, None)["basis"].to_list() == [1.0, 1.0, 1.0]


def test_previous_close_by_hand() -> None:
    """Reverse split 1-for-10 of AAA on Wednesday: Tuesday's 0.5 is 5 on Wednesday's basis.

    BBB has no bar on Tuesday, so on Wednesday its previous close is Monday's.
    """
    bars = daily_bars(
        [
            bar("AAA", WED, 4.8),
            bar("AAA", TUE, 0.5),
            bar("AAA", MON, 0.6),
            bar("BBB", MON, 7.0),
            bar("BBB", WED, 8.0),
        ]
    )
    found = previous_close(bars, splits(("AAA", WED, 10, 1)))
    assert_frame_equal(
        found,
        pl.DataFrame(
            [
                ("AAA", MON, None, None),
                ("AAA", TUE, 0.6, MON),
                ("AAA", WED, 5.0, TUE),
                ("BBB", MON, None, None),
                ("BBB", WED, 7.0, MON),
            ],
            schema=PREVIOUS_CLOSE.schema,
            orient="row",
        ),
    )


def test_previous_close_of_a_day_that_has_no_bar_yet() -> None:
    bars = daily_bars([bar("AAA", MON, 6.0), bar("AAA", TUE, 6.6)])
    days = pl.DataFrame({"symbol": ["AAA", "AAA", "ZZZ"], "date": [WED, WED, WED]})
    found = previous_close(bars, splits(("AAA", WED, 1, 2)), days=days)
    assert found.rows() == [("AAA", WED, 3.3, TUE), ("ZZZ", WED, None, None)]


def test_a_later_split_changes_no_earlier_previous_close() -> None:
    bars = daily_bars([bar("AAA", MON, 6.0), bar("AAA", TUE, 6.6)])
    later = splits(("AAA", THU, 1, 2))
    assert previous_close(bars, later).equals(previous_close(bars))


def test_previous_close_of_no_bars_is_an_empty_table() -> None:
    assert_frame_equal(previous_close(daily_bars([])), PREVIOUS_CLOSE.empty())
