"""The checks of a batch in Dagster: quiet on what the market gave, loud on a damaged file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from smallcaps_pipeline import schemas
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.micro import DISK, INTEGRITY, Ticks, in_chunks
from smallcaps_pipeline.defs.news import stretches_before
from smallcaps_pipeline.emulator import Options, SimulatedMarket, parse_faults
from smallcaps_pipeline.lake import read_metadata
from smallcaps_pipeline.report.quality import RULES
from smallcaps_pipeline.windows import Kind, batch_names, read_batch, stored_windows
from smallcaps_pipeline_tests.defs.chain import Chain, chain_in

MARKET = SimulatedMarket(symbols=3, first=date(2025, 8, 1), last=date(2025, 10, 31))
QUALITY = dg.AssetKey("micro_quality")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with chain_in(tmp_path_factory.mktemp("micro"), MARKET) as made:
        made.run_universe()
        made.run_events()
        made.launcher.run(jobs.MANIFEST, partition="core")
        made.launcher.run(jobs.DOWNLOAD, partition=batch_names(made.lake, "core")[0])
        yield made


def checks(chain: Chain) -> dict[str, dg.AssetCheckEvaluation]:
    """Return the last evaluation of every check of the batch."""
    found: dict[str, dg.AssetCheckEvaluation] = {}
    for name in (*(rule.name for rule in RULES), DISK):
        key = dg.AssetCheckKey(QUALITY, name)
        records = chain.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        event = records[0].event
        assert event is not None
        assert event.dagster_event is not None
        found[name] = event.dagster_event.asset_check_evaluation_data
    return found


def test_every_check_ran_and_none_that_can_be_judged_failed(chain: Chain) -> None:
    there = checks(chain)
    failed = {n for n, one in there.items() if one.metadata["status"].value == "fail"}
    assert failed - {DISK} == set()
    assert there["rth_with_trades_pct"].passed
    assert "100 % over" in (there["rth_with_trades_pct"].description or "")


def test_figures_and_plot_are_shown(chain: Chain) -> None:
    (record,) = chain.instance.fetch_materializations(QUALITY, limit=1).records
    assert record.asset_materialization is not None
    metadata = record.asset_materialization.metadata
    assert "Rows out of order" in str(metadata["figures"].value)
    assert "image/svg+xml" in str(metadata["trades a minute"].value)


def test_every_window_of_the_batch_has_a_row_with_its_files(chain: Chain) -> None:
    batch = batch_names(chain.lake, "core")[0]
    frame = chain.lake.read(chain.lake.batch("micro_quality", batch), schemas.MICRO_QUALITY)
    events = read_batch(chain.lake, batch)["events_merged"].explode().unique()
    assert set(frame["event_id"]) == set(events)
    sizes = {
        event: sum(
            w.file.stat().st_size
            for kind in Kind
            for w in stored_windows(chain.lake, kind)
            if event in w.events_merged
        )
        for event in events
    }
    assert dict(frame.select("event_id", "bytes").iter_rows()) == sizes
    assert (frame["minutes_compared"] > 0).all()


def test_news_before_the_events_are_fetched_once_and_measured(chain: Chain) -> None:
    batch = batch_names(chain.lake, "core")[0]
    news = chain.lake.read(chain.lake.batch("news", batch), schemas.NEWS)
    events = chain.lake.read(chain.lake.profile("event_manifest", "core"), schemas.MANIFEST)
    stretches = stretches_before(
        events.filter(pl.col("event_id").is_in(_ids(chain))), timedelta(hours=24)
    )
    for symbol, (start, end) in stretches:
        served = MARKET.news(start, end, symbol).filter(pl.col("published_at") < end)
        there = news.filter(
            pl.col("symbol") == symbol, pl.col("published_at").is_between(start, end, "left")
        )
        assert set(there["news_id"]) >= set(served["news_id"])
    features = chain.lake.read(chain.lake.batch("micro_features", batch), schemas.MICRO_FEATURES)
    known = features["news_latency_s"].drop_nulls()
    assert len(known) > 0
    assert known.is_between(0, 24 * 3600).all()
    asked = len(chain.asked("/v2/reference/news"))
    assert asked == len(stretches)
    chain.launcher.run(jobs.DOWNLOAD, partition=batch)
    assert len(chain.asked("/v2/reference/news")) == asked


@pytest.mark.parametrize("fault", ["403_endpoint", "500", "invalid_json"])
def test_news_that_cannot_be_had_leave_the_latency_unknown(
    chain: Chain, tmp_path: Path, fault: str
) -> None:
    batch = batch_names(chain.lake, "core")[0]
    options = Options(faults=parse_faults(f"{fault}@/v2/reference/news"))
    with _copy(chain, tmp_path, options) as other:
        other.lake.remove(other.lake.batch("news", batch))
        other.instance.add_dynamic_partitions("batch", [batch])
        other.launcher.run(jobs.DOWNLOAD, partition=batch, assets=["news", "micro_features"])
        assert not other.lake.batch("news", batch).exists()
        features = other.lake.read(
            other.lake.batch("micro_features", batch), schemas.MICRO_FEATURES
        )
        assert features["news_latency_s"].null_count() == features.height


def test_stretches_of_near_events_are_one() -> None:
    noon = datetime(2025, 10, 7, 14, tzinfo=UTC)
    at = [noon, noon + timedelta(hours=1), noon + timedelta(days=2, minutes=30)]
    events = pl.DataFrame({"symbol": ["A", "A", "A"], "timestamp": at})
    first, second = (
        (symbol, str(start)[:16], str(end)[:16])
        for symbol, (start, end) in stretches_before(events, timedelta(hours=24))
    )
    assert first == ("A", "2025-10-06 14:01", "2025-10-07 15:01")
    assert second == ("A", "2025-10-08 14:31", "2025-10-09 14:31")


def test_batch_without_quotes_says_not_fetched_and_not_none(chain: Chain, tmp_path: Path) -> None:
    with _copy(chain, tmp_path) as other:
        for window in stored_windows(other.lake, Kind.QUOTES):
            other.lake.remove(window.file)
        _evaluate(other)
        batch = batch_names(other.lake, "core")[0]
        quality = other.lake.read(other.lake.batch("micro_quality", batch), schemas.MICRO_QUALITY)
        features = other.lake.read(
            other.lake.batch("micro_features", batch), schemas.MICRO_FEATURES
        )
        assert quality["quotes"].null_count() == quality.height
        assert features["label_quotes"].null_count() == features.height


def test_damaged_window_fails_its_check_as_an_error(chain: Chain, tmp_path: Path) -> None:
    with _copy(chain, tmp_path) as other:
        window = max(stored_windows(other.lake, Kind.TRADES), key=lambda w: w.rows)
        rows = other.lake.read(window.file, schemas.TRADES)
        other.lake.write(rows.reverse(), window.file, metadata=read_metadata(window.file) or {})
        _evaluate(other)
        there = checks(other)
        failed = {n for n, one in there.items() if one.metadata["status"].value == "fail"} - {DISK}
        assert failed == {"out_of_order_pct"}
        assert not there["out_of_order_pct"].passed
        assert there["out_of_order_pct"].severity == dg.AssetCheckSeverity.ERROR


def test_small_symbols_are_joined_and_none_is_cut() -> None:
    def ticks(symbol: str, rows: int, *, quoted: bool = True) -> Ticks:
        frame = pl.DataFrame({"symbol": [symbol] * rows})
        one = pl.DataFrame({"symbol": [symbol]})
        return Ticks(one, frame, frame.clear() if quoted else None, one)

    given = [
        ticks("A", 4),
        ticks("B", 3, quoted=False),
        ticks("C", 6),
        ticks("D", 1),
        ticks("E", 30),
    ]
    chunks = list(in_chunks(given, 10))
    found = [("".join(c.events["symbol"]), c.rows, c.quotes is not None) for c in chunks]
    assert found == [("AC", 10, True), ("D", 1, True), ("E", 30, True), ("B", 3, False)]


def test_integrity_names_checks_that_there_are() -> None:
    assert {rule.name for rule in RULES} >= INTEGRITY


def _ids(chain: Chain) -> list[str]:
    batch = read_batch(chain.lake, batch_names(chain.lake, "core")[0])
    return batch["events_merged"].explode().unique().to_list()


@contextmanager
def _copy(chain: Chain, folder: Path, options: Options | None = None) -> Iterator[Chain]:
    """Open the graph over a copy of the lake."""
    shutil.copytree(chain.lake.root, folder / "data")
    with chain_in(folder, MARKET, options=options) as other:
        yield other


def _evaluate(chain: Chain) -> None:
    """Compute quality and figures of the first batch from what is stored; fetches nothing."""
    batch = batch_names(chain.lake, "core")[0]
    chain.instance.add_dynamic_partitions("batch", [batch])
    chain.launcher.run(jobs.DOWNLOAD, partition=batch, assets=["micro_quality", "micro_features"])
