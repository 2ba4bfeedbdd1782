"""Tables: strict on entry, the same shape when empty, and every column explained."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from smallcaps_pipeline import schemas
from smallcaps_pipeline.schemas import BARS, EVENTS, MANIFEST, SchemaError, Table

TABLES = [value for value in vars(schemas).values() if isinstance(value, Table)]


def test_columns_are_ordered_and_cast_and_others_dropped() -> None:
    table = Table("t", "one thing", {"a": BARS.columns["close"], "b": BARS.columns["symbol"]})
    given = pl.DataFrame({"x": [1], "b": ["s"], "a": [1]})
    expected = pl.DataFrame({"a": [1.0], "b": ["s"]})
    assert_frame_equal(table.conform(given), expected)
    assert_frame_equal(table.conform(given.lazy()).collect(), expected)


def test_missing_columns_are_named_with_the_frame() -> None:
    with pytest.raises(SchemaError, match=r"some\.parquet: lacks the columns \['low', 'vwap'\]"):
        BARS.conform(BARS.empty().drop("low", "vwap"), where="some.parquet")


def test_value_that_cannot_be_cast_is_an_error_and_never_a_null() -> None:
    text = BARS.empty().with_columns(pl.col("close").cast(pl.String))
    row = pl.DataFrame({name: [None] for name in BARS.columns}).with_columns(close=pl.lit("ten"))
    assert BARS.conform(text).schema == BARS.schema
    with pytest.raises(pl.exceptions.InvalidOperationError):
        BARS.conform(row)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_is_whole(table: Table) -> None:
    assert table.empty().schema == table.schema
    assert_frame_equal(table.conform(table.empty()), table.empty())
    assert set(table.key) <= set(table.columns)
    assert table.row
    assert all(column.meaning for column in table.columns.values())


def test_table_names_are_different() -> None:
    names = [table.name for table in TABLES]
    assert len(set(names)) == len(names)
    assert len(names) > 10


def test_event_columns_are_those_of_the_specification() -> None:
    assert list(EVENTS.columns) == [
        *("event_id", "symbol", "date", "timestamp", "event_type", "direction", "event_bias"),
        *("session", "is_premarket", "is_afterhours", "spike_x", "open", "high", "low", "close"),
        *("price_at_event", "volume", "dollar_volume", "dollar_volume_so_far"),
        *("label_dollar_volume_day", "transactions", "vwap_at_event", "change_5m"),
        *("drop_from_high", "flatness_score", "close_vs_open", "score", "event_group_id", "tier"),
        *("window_seconds_before", "window_seconds_after"),
    ]
    assert EVENTS.schema["timestamp"] == pl.Datetime("us", "UTC")
    assert EVENTS.schema["date"] == pl.String
    assert list(MANIFEST.columns)[: len(EVENTS.columns)] == list(EVENTS.columns)
