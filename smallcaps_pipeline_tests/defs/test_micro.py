"""The checks of a batch in Dagster: quiet on what the market gave, loud on a damaged file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from smallcaps_pipeline import schemas
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.micro import DISK, INTEGRITY, Ticks, in_chunks
from smallcaps_pipeline.defs.schedules import RANGE_END, RANGE_START
from smallcaps_pipeline.emulator import Options, SimulatedMarket
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


def test_news_of_the_days_that_were_fetched_give_the_latency(chain: Chain, tmp_path: Path) -> None:
    batch = batch_names(chain.lake, "core")[0]
    with _copy(chain, tmp_path) as other:
        _evaluate(other)
        table, file = schemas.MICRO_FEATURES, other.lake.batch("micro_features", batch)
        unknown = other.lake.read(file, table)["news_latency_s"]
        assert unknown.null_count() == len(unknown)
        span = {RANGE_START: "2025-10-01", RANGE_END: "2025-10-31"}
        other.launcher.run(jobs.NEWS, tags=span)
        _evaluate(other)
        known = other.lake.read(file, table)["news_latency_s"].drop_nulls()
        assert len(known) > 0
        assert known.is_between(0, 24 * 3600).all()


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
