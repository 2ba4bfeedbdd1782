"""The whole graph, from the universe to the report, on a small simulated market."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from smallcaps_pipeline import schemas
from smallcaps_pipeline.defs import jobs, window_records
from smallcaps_pipeline.defs.batch_runs import WINDOW_ASSETS
from smallcaps_pipeline.defs.event_checks import event_check_specs
from smallcaps_pipeline.defs.launch import RunFailedError
from smallcaps_pipeline.defs.reference import read_reference
from smallcaps_pipeline.emulator import Options, SimulatedMarket, parse_faults
from smallcaps_pipeline.events import detect_events
from smallcaps_pipeline.windows import (
    Kind,
    batch_names,
    missing_rows,
    read_batch,
    read_interval,
    stored,
    stored_windows,
)
from smallcaps_pipeline_tests.defs.chain import MONTH, OVERLAY, Chain, chain_in

MARKET = SimulatedMarket(symbols=4, first=date(2025, 8, 1), last=date(2025, 10, 31))
TICKS = ("/v3/trades", "/v3/quotes")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with chain_in(tmp_path_factory.mktemp("chain"), MARKET) as made:
        made.run_all()
        yield made


def table(chain: Chain, of: schemas.Table) -> pl.DataFrame:
    return chain.lake.scan(chain.lake.files(of.name), of).collect()


def materialized(chain: Chain, asset: str) -> dict[str | None, dict[str, object]]:
    """Return the metadata of the last materialization of each partition."""
    key = dg.AssetKey(asset)
    records = chain.instance.fetch_materializations(key, limit=500, ascending=True).records
    events = [record.asset_materialization for record in records]
    return {e.partition: {k: v.value for k, v in e.metadata.items()} for e in events if e}


def test_universe_fills_the_symbols(chain: Chain) -> None:
    universe = chain.lake.read(chain.lake.table("universe"), schemas.UNIVERSE)
    assert universe.height == 3
    assert [cell.symbol for cell in chain.cells()] == universe["symbol"].to_list()
    assert set(universe["symbol"]) <= {company.symbol for company in MARKET.companies}


def test_bars_are_those_of_the_market(chain: Chain) -> None:
    symbol = chain.cells()[0].symbol
    days = MARKET.days(symbol, MONTH.first, MONTH.last)
    served = pl.concat([MARKET.bars(symbol, day) for day in days])
    there = chain.lake.read(chain.lake.cell("bars_1m", symbol, "2025-10"), schemas.BARS)
    assert there.height > 1_000
    columns = ["timestamp", "open", "high", "low", "close", "volume", "transactions"]
    assert there.select(columns).equals(schemas.BARS.conform(served).select(columns))


def test_events_are_those_that_detection_finds(chain: Chain) -> None:
    events, bars = table(chain, schemas.EVENTS), table(chain, schemas.BARS)
    assert events.height > 20
    order = ["symbol", "timestamp", "event_type", "direction"]
    reference = read_reference(chain.lake)
    assert reference is not None
    found = detect_events(bars, chain.settings, reference=reference)
    assert events.sort(order).equals(found)
    assert set(events["tier"]) == {1}  # three symbols, all in the first five hundred
    summary = chain.lake.read(chain.lake.table("event_summary"), schemas.EVENT_SUMMARY)
    assert summary["events"].sum() == events.height


def test_manifest_keeps_its_caps(chain: Chain) -> None:
    file = chain.lake.profile("event_manifest", "core")
    manifest = chain.lake.read(file, schemas.MANIFEST)
    assert 0 < manifest.height <= 20
    assert manifest["symbol"].value_counts()["count"].max() <= 6  # type: ignore[operator]
    assert set(manifest["event_id"]) <= set(table(chain, schemas.EVENTS)["event_id"])


def test_every_window_of_the_manifest_is_stored_with_trades_and_quotes(chain: Chain) -> None:
    batches = batch_names(chain.lake)
    assert len(batches) >= 2
    assert all(missing_rows(chain.lake, batch).is_empty() for batch in batches)
    manifest = table(chain, schemas.MANIFEST)
    for kind in Kind:
        held = {e for w in stored_windows(chain.lake, kind) for e in w.events_merged}
        assert held == set(manifest["event_id"])


def test_stored_trades_are_exactly_those_of_the_market(chain: Chain) -> None:
    rows = 0
    for window in stored_windows(chain.lake, Kind.TRADES):
        time = pl.col("timestamp")
        day = MARKET.trades(window.symbol, window.start.date())
        served = day.filter(time >= window.start, time < window.end)
        there = read_interval(chain.lake, window.symbol, Kind.TRADES, window.interval)
        columns = ["timestamp", "price", "size", "exchange", "trade_id", "sequence_number"]
        order = ["timestamp", "sequence_number"]
        assert there.select(columns).equals(served.sort(order).select(columns), null_equal=True)
        assert window.rows == there.height
        rows += there.height
    assert rows > 1_000


def test_no_instant_was_asked_for_twice(chain: Chain) -> None:
    """Every interval that was fetched is stored once: the sum of pages is that of the requests."""
    there = stored(chain.lake).sort("symbol", "kind", "window_start")
    before = pl.col("window_end").shift().over("symbol", "kind")
    assert there.filter(pl.col("window_start") < before).is_empty()
    pages = sum(w.pages for kind in Kind for w in stored_windows(chain.lake, kind))
    assert pages == sum(len(chain.asked(path)) for path in TICKS)
    assert len(set(chain.asked("/v3"))) == len(chain.asked("/v3"))


def test_every_event_with_a_window_has_its_figures(chain: Chain) -> None:
    features = table(chain, schemas.MICRO_FEATURES)
    assert set(features["event_id"]) == set(table(chain, schemas.MANIFEST)["event_id"])
    assert features["label_spread_mean_bps"].null_count() < features.height / 2


def test_report_says_that_the_market_is_simulated(chain: Chain) -> None:
    page = chain.lake.report("core").read_text(encoding="utf-8")
    assert "simulated" in page.lower()
    assert "not yet" in page.lower()  # nobody has reviewed a chart


def test_every_partition_is_in_the_event_log_with_figures(chain: Chain) -> None:
    cells = {cell.key for cell in chain.cells()}
    bars, events = materialized(chain, "bars_1m"), materialized(chain, "intraday_events")
    assert set(bars) == set(events) == cells
    assert all(int(str(values["dagster/row_count"])) > 0 for values in bars.values())
    assert (
        sum(int(str(v["dagster/row_count"])) for v in events.values())
        == table(chain, schemas.EVENTS).height
    )
    for asset in ("trade_windows", "quote_windows", "micro_quality", "micro_features"):
        assert set(materialized(chain, asset)) == set(batch_names(chain.lake))
    trades = materialized(chain, "trade_windows").values()
    stored_rows = sum(w.rows for w in stored_windows(chain.lake, Kind.TRADES))
    assert sum(int(str(v["dagster/row_count"])) for v in trades) <= stored_rows


def test_event_shards_are_checked_in_the_run_that_makes_them(chain: Chain) -> None:
    keys = [
        dg.AssetCheckKey(dg.AssetKey("intraday_events"), spec.name)
        for spec in event_check_specs("intraday_events", chain.settings)
    ]
    storage = chain.instance.event_log_storage
    summaries = storage.get_asset_check_summary_records(keys)
    records = [summaries[key].last_check_execution_record for key in keys]
    assert {record.status.value for record in records if record} <= {"SUCCEEDED", "FAILED"}
    assert None not in records


def test_nothing_is_fetched_or_changed_by_a_second_pass(chain: Chain) -> None:
    """Every job once more: no bars, no ticks, no daily bars; every file byte by byte as before."""
    before = {file: file.read_bytes() for file in chain.lake.root.rglob("*.parquet")}
    asked = len(chain.emulator.requests)
    chain.run_all()
    again = {one.target.split("?")[0] for one in chain.emulator.requests[asked:]}
    assert {path for path in again if path.startswith(("/v2/aggs", *TICKS))} == set()
    after = {file: file.read_bytes() for file in chain.lake.root.rglob("*.parquet")}
    plan = chain.lake.profile(schemas.PLAN.name, "core")  # what is still to be fetched: nothing
    assert {file for file in before if after.get(file) != before[file]} == {plan}
    assert chain.lake.read(plan, schemas.PLAN).is_empty()
    states = [values["state"] for values in materialized(chain, "intraday_events").values()]
    assert states == ["already current"] * 3


# failures -------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path, chain: Chain) -> Path:
    """A copy of the finished chain's lake without its windows and figures."""
    root = tmp_path / "data"
    for file in chain.lake.root.rglob("*"):
        inside = file.relative_to(chain.lake.root)
        made = ("event_windows", "micro_quality", "micro_features", ".tmp")
        if file.is_file() and inside.parts[0] not in made:
            (root / inside).parent.mkdir(parents=True, exist_ok=True)
            (root / inside).write_bytes(file.read_bytes())
    return tmp_path


def test_one_window_that_fails_leaves_the_others_stored_and_is_fetched_later(
    source: Path, chain: Chain
) -> None:
    batch = batch_names(chain.lake)[0]
    broken = read_batch(chain.lake, batch).filter(pl.col("kind") == "trades")["symbol"][0]
    options = Options(faults=parse_faults(f"500@/v3/trades/{broken}=2x"))
    with chain_in(source, MARKET, options=options) as other:
        other.instance.add_dynamic_partitions("batch", batch_names(other.lake))
        with pytest.raises(RunFailedError, match=rf"1 of .* windows of trades failed.*\n{broken}"):
            other.launcher.run(jobs.DOWNLOAD, partition=batch)
        left = missing_rows(other.lake, batch).filter(pl.col("kind") == "trades")
        assert left["symbol"].to_list() == [broken]
        asked = len(other.asked("/v3/trades"))
        other.launcher.run(jobs.DOWNLOAD, partition=batch)
        assert missing_rows(other.lake, batch).is_empty()
        assert other.asked("/v3/trades")[asked].startswith(f"/v3/trades/{broken}")
        mine = {w.event_id: w.file.read_bytes() for w in stored_windows(other.lake, Kind.TRADES)}
        whole = {w.event_id: w.file.read_bytes() for w in stored_windows(chain.lake, Kind.TRADES)}
        assert all(whole[event_id] == file for event_id, file in mine.items())


def test_one_window_that_is_refused_for_good_keeps_nothing_from_the_others(
    source: Path, chain: Chain
) -> None:
    """The plan does not include its date: the batch still gets quotes and figures, and says so."""
    batch = batch_names(chain.lake)[0]
    refused = read_batch(chain.lake, batch).filter(pl.col("kind") == "trades")["symbol"][0]
    options = Options(faults=parse_faults(f"403_date@/v3/trades/{refused}"))
    with chain_in(source, MARKET, options=options) as other:
        other.instance.add_dynamic_partitions("batch", batch_names(other.lake))
        other.launcher.run(jobs.DOWNLOAD, partition=batch)
        left = missing_rows(other.lake, batch)
        assert set(left["symbol"]) == {refused}
        kept = other.lake.read(other.lake.batch("micro_features", batch), schemas.MICRO_FEATURES)
        whole = chain.lake.read(chain.lake.batch("micro_features", batch), schemas.MICRO_FEATURES)
        assert kept.height
        assert_frame_equal(kept, whole.filter(pl.col("symbol") != refused), check_exact=True)
        event = other.instance.get_latest_materialization_event(dg.AssetKey("trade_windows"))
        assert event is not None
        assert event.asset_materialization is not None
        aside = event.asset_materialization.metadata["windows set aside"].value
        assert f"{refused} 2025-10-" in str(aside)
        assert "TimeframeNotEntitled" in str(aside)


def test_a_record_is_written_whenever_so_many_more_windows_are_stored(
    source: Path, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of a batch first: 2 windows, then the rest; a record after every third."""
    monkeypatch.setattr(window_records, "EVERY_WINDOWS", 3)
    batch = batch_names(chain.lake)[0]
    overlay = OVERLAY + "kpis: {windows: {disk_warning_pct: 0.0}}\n"
    with chain_in(source, MARKET, overlay=overlay) as other:
        other.instance.add_dynamic_partitions("batch", batch_names(other.lake))
        names, key = list(WINDOW_ASSETS), dg.AssetKey("trade_windows")
        for limit, observed in ((2, 0), (3, 1)):
            other.launcher.run(
                jobs.DOWNLOAD, partition=batch, assets=names, config={"limit": limit}
            )
            rows = other.instance.fetch_observations(key, limit=10).records
            assert len(rows) == observed
        trades = stored_windows(other.lake, Kind.TRADES)
        assert len(trades) == len(stored_windows(other.lake, Kind.QUOTES)) == 5
        best = read_batch(other.lake, batch).unique("merged_start").sort("priority").head(5)
        assert {w.event_id for w in trades} == {ids[0] for ids in best["events_merged"]}
        record = rows[0].asset_observation
        assert record is not None
        assert record.metadata["windows stored"].value == 5
        assert record.metadata["rows stored"].value == sum(w.rows for w in trades)
        assert record.partition == batch
        log = [e.user_message for e in other.instance.all_logs(record_run(other))]
        assert any("GB are left" in line for line in log)


def record_run(chain: Chain) -> str:
    """Return the last run."""
    return chain.instance.get_runs(limit=1)[0].run_id


def test_download_of_a_withdrawn_batch_says_so(source: Path) -> None:
    with chain_in(source, MARKET) as other:
        other.instance.add_dynamic_partitions("batch", ["core-00099"])
        with pytest.raises(RunFailedError, match="core-00099 does not exist"):
            other.launcher.run(jobs.DOWNLOAD, partition="core-00099")


def test_universe_without_its_daily_bars_names_the_days(tmp_path: Path) -> None:
    with chain_in(tmp_path, MARKET) as other:
        other.launcher.run(jobs.REFERENCE)
        with pytest.raises(RunFailedError, match="materialize daily_bars of 2025-"):
            other.launcher.run(jobs.UNIVERSE)


def test_refused_key_fails_plainly_and_shows_the_key_nowhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Everything that the run leaves behind: events, errors with causes, logs, output, files."""
    key = "s3cr3t-k3y-of-a-customer"
    options = Options(faults=parse_faults("401"))
    with chain_in(tmp_path, MARKET, key=key, options=options) as other:
        other.launcher.add_symbols(["AEMD"])
        for job, tags in ((jobs.REFERENCE, {}), (jobs.BARS, {"dagster/partition": MONTH.key})):
            cell = {k: f"{v}|AEMD" for k, v in tags.items()}
            with pytest.raises(RunFailedError, match=r"401|unknown|key") as caught:
                other.launcher.run(job, tags=cell)
            assert caught.value.is_hopeless
            assert key not in str(caught.value)
        left = [repr(other.launcher), repr(other.settings), caplog.text, *capfd.readouterr()]
        for run in other.instance.get_runs():
            left.append(repr(run))
            left += [repr(entry) for entry in other.instance.all_logs(run.run_id)]
        assert any("KeyRefused" in text for text in left)
        assert not [text for text in left if key in text]
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or key.encode() not in file.read_bytes(), file


def test_symbol_whose_bars_fail_takes_no_other_with_it(tmp_path: Path) -> None:
    symbols = [company.symbol for company in MARKET.companies][:3]
    options = Options(faults=parse_faults(f"403_date@/ticker/{symbols[1]}/"))
    with chain_in(tmp_path, MARKET, options=options) as other:
        other.launcher.add_symbols(symbols)
        with pytest.raises(RunFailedError, match=rf"1 of 3 cells failed(.|\n)*{symbols[1]}"):
            other.launcher.run_cells(jobs.BARS, other.cells(), other.grid, 200)
        assert [symbol for symbol, _, _ in other.lake.cells("bars_1m")] == sorted(
            [symbols[0], symbols[2]]
        )
        done = other.instance.get_materialized_partitions(dg.AssetKey("bars_1m"))
        assert done == {f"2025-10|{symbols[0]}", f"2025-10|{symbols[2]}"}


def test_windows_hold_the_instant_of_their_event(chain: Chain) -> None:
    for row in table(chain, schemas.MANIFEST).iter_rows(named=True):
        (window,) = [
            w
            for w in stored_windows(chain.lake, Kind.TRADES, row["symbol"])
            if row["event_id"] in w.events_merged
        ]
        at: datetime = row["timestamp"].astimezone(UTC)
        assert window.start <= row["window_start"] <= at < row["window_end"] <= window.end
