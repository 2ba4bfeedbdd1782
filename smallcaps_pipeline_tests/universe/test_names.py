"""Names by date: renamed companies, names taken back, symbols that were another company's."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from smallcaps_pipeline.schemas import SchemaError
from smallcaps_pipeline.universe.names import name_spans, symbol_on, under_one_name
from smallcaps_pipeline_tests.events.builders import bar, frame

# A real case: Facebook was FB until 8 June 2022 and META from the 9th; META was an ETF's before.
LISTED, RENAMED = date(2012, 5, 18), date(2022, 6, 9)
BEFORE, AFTER = date(2022, 6, 8), date(2022, 6, 9)


def changes(*rows: tuple[str, date, str]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=["symbol", "date", "ticker"], orient="row")


META = changes(("META", RENAMED, "META"), ("META", LISTED, "FB"))


def test_spans_end_the_day_before_the_next_name() -> None:
    assert name_spans(META).rows() == [
        ("META", "FB", LISTED, BEFORE),
        ("META", "META", RENAMED, None),
    ]
    assert name_spans(pl.concat([META, META])).equals(name_spans(META))


@pytest.mark.parametrize(
    ("day", "expected"),
    [(date(2012, 5, 17), None), (LISTED, "FB"), (BEFORE, "FB"), (AFTER, "META")],
)
def test_symbol_of_the_day(day: date, expected: str | None) -> None:
    assert symbol_on(name_spans(META), "META", day) == expected
    assert symbol_on(name_spans(META), "AEMD", day) == "AEMD"  # nothing is known of it


def test_name_that_is_taken_back_has_two_spans_and_one_said_again_has_one() -> None:
    days = [date(2020, 1, 2), date(2021, 1, 4), date(2022, 1, 3), date(2023, 1, 3)]
    spans = name_spans(changes(*(("A", day, name) for day, name in zip(days, "ABAA", strict=True))))
    assert spans["ticker"].to_list() == ["A", "B", "A"]
    assert spans["first_date"].to_list() == days[:3]


def test_two_names_from_one_day_on_are_an_error() -> None:
    with pytest.raises(SchemaError, match=r"META is called \['FB', 'X'\] from 2012-05-18 on"):
        name_spans(pl.concat([META, changes(("META", LISTED, "X"))]))
    with pytest.raises(SchemaError, match="ticker"):
        name_spans(META.drop("ticker"))


def test_rows_of_all_names_are_one_series_without_the_other_companys() -> None:
    stored = {
        "FB": frame([bar("10:00", 196.0, symbol="FB", day=BEFORE)]),
        "META": frame(
            [bar("10:00", n, symbol="META", day=d) for n, d in ((9.0, BEFORE), (190.0, AFTER))]
        ),
    }
    found = under_one_name(lambda name: stored[name].lazy(), name_spans(META), "META").collect()
    assert found.select("symbol", "close").rows() == [("META", 196.0), ("META", 190.0)]
    raw = under_one_name(lambda name: stored[name].lazy(), name_spans(META), "FB").collect()
    assert raw["close"].to_list() == [196.0]
