"""Facts with the date from which they were public: news, float, and details that are resumed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.facts import news_hours, with_history
from smallcaps_pipeline.defs.launch import RunFailedError
from smallcaps_pipeline.defs.news_of_events import days_with_news, news_around
from smallcaps_pipeline.defs.progress import NoDisplay, ProgressLog
from smallcaps_pipeline.defs.reference import read_reference
from smallcaps_pipeline.defs.schedules import RANGE_END, RANGE_START
from smallcaps_pipeline.defs.ticker_details import ANSWERS, ask_details
from smallcaps_pipeline.emulator import SimulatedMarket
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.polygon.errors import NotFound, ServerFailed
from smallcaps_pipeline.schemas import DIVIDENDS, FLOAT_SHARES, NEWS, TICKER_DETAILS
from smallcaps_pipeline_tests.defs.chain import Chain, chain_in
from smallcaps_pipeline_tests.universe.tables import details, stock

MARKET = SimulatedMarket(symbols=4, first=date(2025, 8, 1), last=date(2025, 10, 31))
FRIDAY, MONDAY = date(2025, 10, 3), date(2025, 10, 6)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with chain_in(tmp_path_factory.mktemp("facts"), MARKET) as made:
        yield made


def run_news(chain: Chain, first: date, last: date) -> None:
    chain.launcher.run(jobs.NEWS, tags={RANGE_START: str(first), RANGE_END: str(last)})


# news -----------------------------------------------------------------------------------------


def test_weekend_belongs_to_the_trading_day_after_it() -> None:
    start, end = news_hours(MONDAY)
    assert start == datetime(2025, 10, 4, 4, tzinfo=UTC)  # Friday's midnight in New York
    assert end == datetime(2025, 10, 7, 4, tzinfo=UTC)
    assert news_hours(FRIDAY)[1] == start


def test_clock_change_moves_midnight() -> None:
    start, end = news_hours(date(2025, 11, 3))
    assert (start.hour, end.hour) == (4, 5)


def test_news_of_a_month_are_the_markets_and_asked_for_once(chain: Chain) -> None:
    first, last = date(2025, 10, 1), date(2025, 10, 31)
    run_news(chain, first, last)
    stored = chain.lake.scan(chain.lake.files(NEWS.name), NEWS).collect()
    start, end = news_hours(first)[0], news_hours(last)[1]
    expected = MARKET.news(start, end).filter(pl.col("published_at") < end)
    assert len(expected) > 0
    assert (
        stored.sort("published_at", "symbol")["news_id"].to_list() == expected["news_id"].to_list()
    )
    asked = len(chain.asked("/v2/reference/news"))
    run_news(chain, first, last)
    assert len(chain.asked("/v2/reference/news")) == asked


def test_day_that_is_not_over_is_not_stored(chain: Chain) -> None:
    with pytest.raises(RunFailedError, match="2025-11-03 is not over yet"):
        run_news(chain, date(2025, 11, 3), date(2025, 11, 3))
    assert not chain.lake.day(NEWS.name, "2025-11-03").exists()


def test_events_see_the_news_of_their_day_and_the_one_before(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    events = pl.DataFrame({"symbol": ["AEMD", "GRI"], "date": [str(MONDAY), "2025-10-08"]})
    assert news_around(lake, events) is None
    for day, name in (
        (FRIDAY, "AEMD"),
        (MONDAY, "AEMD"),
        (MONDAY, "XXII"),
        (date(2025, 10, 1), "GRI"),
    ):
        before = lake.read(file, NEWS) if (file := lake.day(NEWS.name, str(day))).exists() else None
        at = datetime(day.year, day.month, day.day, 14, tzinfo=UTC)
        row = pl.DataFrame([(name, at, f"{name} {day}", "x")], schema=NEWS.schema, orient="row")
        lake.write(row if before is None else pl.concat([before, row]), file)
    found = news_around(lake, events)
    assert found is not None
    assert sorted(found["news_id"]) == [f"AEMD {FRIDAY}", f"AEMD {MONDAY}"]
    assert days_with_news(lake, events) == [str(MONDAY)]


# float and dividends ------------------------------------------------------------------------------


def floats(*rows: tuple[str, date, float]) -> pl.DataFrame:
    given = pl.DataFrame(
        list(rows), schema=["symbol", "effective_date", "float_shares"], orient="row"
    )
    return FLOAT_SHARES.conform(given.with_columns(float_pct=None))


def test_float_keeps_its_history_and_takes_corrections() -> None:
    before = floats(("AEMD", date(2025, 9, 1), 5e6), ("GRI", date(2025, 9, 1), 1e6))
    latest = floats(("AEMD", date(2025, 10, 1), 7e6), ("GRI", date(2025, 9, 1), 2e6))
    assert with_history(before, latest).select(
        "symbol", "effective_date", "float_shares"
    ).rows() == [
        ("AEMD", date(2025, 9, 1), 5e6),
        ("AEMD", date(2025, 10, 1), 7e6),
        ("GRI", date(2025, 9, 1), 2e6),
    ]


def test_reference_job_brings_facts_with_their_dates(chain: Chain) -> None:
    """The float is known from the day after its date on, not from the ranking's date back."""
    chain.launcher.run(jobs.REFERENCE)
    lake = chain.lake
    known = lake.read(lake.table(FLOAT_SHARES.name), FLOAT_SHARES)
    assert set(known["effective_date"]) == {MARKET.first}
    assert lake.table(DIVIDENDS.name).exists()
    assert (
        lake.read(lake.table(TICKER_DETAILS.name), TICKER_DETAILS)["float_shares"].is_null().all()
    )
    reference = read_reference(lake)
    assert reference is not None
    first = reference.filter(pl.col("float_shares").is_not_null())["known_from"].min()
    assert first == date(2025, 8, 4)  # MARKET.first is a Friday
    lake.write(floats((known["symbol"][0], date(2025, 10, 30), 1.0)), lake.table(FLOAT_SHARES.name))
    later = read_reference(lake)
    assert later is not None
    seen = later.filter(pl.col("float_shares") == 1.0)
    assert seen["known_from"].to_list() == [date(2025, 10, 31)]


# details --------------------------------------------------------------------------------------


class Answering:
    """A client that answers with a market cap, until it is told to fail."""

    def __init__(self, fails_at: str | None = None) -> None:
        self.asked: list[str] = []
        self.fails_at = fails_at

    def ticker_details(self, *, symbol: str, as_of: date) -> pl.DataFrame:
        self.asked.append(symbol)
        if symbol == self.fails_at:
            raise ServerFailed("down", "/x", 500)
        if symbol == "S003":
            raise NotFound("unknown", "/x", 404)
        return details(stock(symbol, market_cap=5.0, as_of=as_of))


def ask(lake: Lake, client: Answering, names: list[str], as_of: date = MONDAY) -> pl.DataFrame:
    said: list[str] = []
    progress = ProgressLog(
        said.append, total=len(names), unit="stocks", clock=lambda: 0.0, display=NoDisplay()
    )
    wanted = details(*(stock(name, market_cap=None, as_of=as_of) for name in names))
    return ask_details(lake, client, wanted, as_of, 1, progress)  # type: ignore[arg-type]


def test_details_that_were_answered_are_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smallcaps_pipeline.defs.ticker_details.STORE_EVERY", 2)
    lake, names = Lake(tmp_path), [f"S{n:03}" for n in range(7)]
    with pytest.raises(ServerFailed):
        ask(lake, Answering(fails_at="S005"), names)
    again = Answering()
    found = ask(lake, again, names)
    assert again.asked == ["S004", "S005", "S006"]
    assert sorted(found["symbol"]) == names
    unknown = found.filter(pl.col("market_cap").is_null())["symbol"].to_list()
    assert unknown == ["S003"]  # not found: what the list says of it
    last = Answering()
    assert ask(lake, last, names).sort("symbol").equals(found.sort("symbol"))
    assert last.asked == []


def test_answers_of_another_date_go(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    ask(lake, Answering(), ["S000"], FRIDAY)
    ask(lake, Answering(), ["S000"], MONDAY)
    assert lake.files(ANSWERS) == [lake.day(ANSWERS, str(MONDAY))]


def test_universe_of_a_past_date_holds_a_stock_delisted_since(tmp_path: Path) -> None:
    """SPEC §0: listed on that date, delisted since or not."""
    market = SimulatedMarket(symbols=8, first=date(2025, 7, 1), last=date(2025, 12, 31))
    gone = [c.symbol for c in market.companies if c.delisted_date and c.delisted_date > FRIDAY]
    assert gone
    with chain_in(tmp_path / "chain", market, overlay=PAST) as made:
        made.run_universe()
        stored = made.lake.read(made.lake.table(TICKER_DETAILS.name), TICKER_DETAILS)
        assert set(gone) <= set(stored["symbol"])


PAST = """
universe: {as_of: 2025-09-30, sessions: 3, volume_mean_sessions: 2, size: 30}
partitions: {date: month, start: 2025-10-01}
provider: {retries: 1, retry_wait_s: 0.01}
"""


def test_news_are_a_partition_per_trading_day(chain: Chain) -> None:
    assert isinstance(chain.grid.days, dg.TimeWindowPartitionsDefinition)
    assert chain.instance.get_materialized_partitions(dg.AssetKey("news")) >= {str(MONDAY)}
