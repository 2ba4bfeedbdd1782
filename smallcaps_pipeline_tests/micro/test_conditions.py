"""Which trades exist, and count for price and volume."""

from __future__ import annotations

import polars as pl
import pytest

from smallcaps_pipeline.micro.conditions import (
    UPDATE_RULES,
    counts_for_price,
    counts_for_volume,
    exists,
    has_unknown,
    is_reopening,
)

CASES = [
    # codes, in regular hours, price, volume, why
    ([], True, True, True, "no codes = regular"),
    (None, True, True, True, "codes not known: taken as regular"),
    ([14, 41], True, True, True, "sweep; 41 has no rule"),
    ([37], True, False, True, "odd lot never sets prices"),
    ([14, 37], True, False, True, "every code must allow it"),
    ([12], True, False, True, "Form T within regular hours"),
    ([12], False, True, True, "Form T outside them"),
    ([12, 37], False, False, True, "Form T outside them, but an odd lot"),
    ([13], False, False, True, "extended hours, sold out of sequence"),
    ([10], True, False, True, "derivatively priced: widens the bar, is not the latest price"),
    ([15], True, False, False, "official close: a message"),
    ([16], True, False, False, "official open: a message"),
    ([38], True, True, False, "corrected consolidated close"),
    ([18], True, True, True, "reopening trade"),
    ([9999], True, True, True, "a code not in the table is kept"),
]


@pytest.mark.parametrize(("codes", "regular", "price", "volume", "why"), CASES)
def test_what_a_trade_counts_for(
    codes: list[int] | None, regular: bool, price: bool, volume: bool, why: str
) -> None:
    frame = pl.DataFrame(
        {"codes": [codes], "rth": [regular]}, schema={"codes": pl.List(pl.Int32), "rth": pl.Boolean}
    )
    counted = frame.select(
        counts_for_price(pl.col("codes"), pl.col("rth")),
        volume=counts_for_volume(pl.col("codes")),
    )
    assert counted.row(0) == (price, volume), why


@pytest.mark.parametrize("dtype", [pl.Int16, pl.Int32, pl.Int64, pl.UInt8])
def test_lists_of_any_integer_shape_and_cut_are_read(dtype: type[pl.DataType]) -> None:
    lists = [[16], None, [], [37, 15], [41], [99], [None]]
    codes = pl.Series("codes", lists, dtype=pl.List(dtype))
    expected = [False, True, True, False, True, True, True]
    unknown = [False, False, False, False, False, True, True]
    pieces = pl.concat([codes.slice(0, 3), codes.slice(3)], rechunk=False)
    for series, first in ((codes, 0), (pieces, 0), (codes.slice(2, 4), 2)):
        found = series.to_frame().select(
            volume=counts_for_volume(pl.col("codes")), unknown=has_unknown(pl.col("codes"))
        )
        last = first + len(series)
        assert found["volume"].to_list() == expected[first:last]
        assert found["unknown"].to_list() == unknown[first:last]


def test_a_column_without_any_codes_is_read() -> None:
    for codes in (pl.Series("codes", [None, None]), pl.Series("codes", [[], []])):
        counted = codes.to_frame().select(counts_for_volume(pl.col("codes")))
        assert counted["codes"].to_list() == [True, True]


def test_corrections_other_than_0_and_1_do_not_exist() -> None:
    frame = pl.DataFrame({"correction": [0, 1, None, 7, 8, 10, 11, 12]})
    kept = frame.select(exists(pl.col("correction"))).to_series().to_list()
    assert kept == [True, True, True, False, False, False, False, False]


def test_reopening_prints() -> None:
    codes = pl.DataFrame({"codes": [[18], [1, 28], [17], [], None]})
    reopened = codes.select(is_reopening(pl.col("codes"))).to_series().to_list()
    assert reopened == [True, True, False, False, False]


def test_the_table_names_no_code_twice() -> None:
    assert len(UPDATE_RULES) == 10 + 6 + 2 + 1 + 22
