"""Flat files in the graph: day files from S3, then cells, then events; keys nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from pydantic import SecretStr

from smallcaps_pipeline.cells import period_of
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.build import build_definitions
from smallcaps_pipeline.defs.comparison import check_result
from smallcaps_pipeline.defs.launch import Launcher, RunFailedError
from smallcaps_pipeline.defs.partitions import SYMBOL, Cell, Grid, build_grid
from smallcaps_pipeline.defs.resources import NoFileKeysError, Provider, Source
from smallcaps_pipeline.defs.schedules import RANGE_END, RANGE_START, files_request
from smallcaps_pipeline.defs.sensors import changed_periods, sensors
from smallcaps_pipeline.emulator import SimulatedMarket
from smallcaps_pipeline.environment import FLAT_FILES_URL, Environment, MixedDataError, claim
from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline.schemas import BAR_COMPARISON, BARS, EVENTS
from smallcaps_pipeline.sessions import trading_days
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline_tests.defs.chain import Chain, chain_in
from smallcaps_pipeline_tests.events.builders import bar, frame, quiet
from smallcaps_pipeline_tests.polygon.s3 import ACCESS, SECRET, Files, serving

ONE_DAY = timedelta(days=1)
DAYS = trading_days(date(2025, 10, 6), date(2025, 10, 9))
MONTH = period_of(DAYS[0], "month")
NAMES = ("AEMD", "NERV")
OVERLAY = """
partitions: {date: month, start: 2025-09-01}
provider: {bars_source: flat_files, retries: 0, flat_files: {recheck_sessions: 2}}
"""


@dataclass(frozen=True)
class Flat:
    """The graph over an S3 server of its own."""

    files: Files
    lake: Lake
    grid: Grid
    launcher: Launcher
    definitions: dg.Definitions
    settings: Settings

    def run_days(self, first: date = DAYS[0], last: date = DAYS[-1]) -> None:
        self.launcher.run(jobs.DAY_FILES, tags={RANGE_START: str(first), RANGE_END: str(last)})

    def run_cells(self, job: str = jobs.BARS) -> None:
        self.launcher.run_cells(job, [Cell(name, MONTH) for name in NAMES], self.grid, 200)

    def bars(self, name: str = "AEMD") -> pl.DataFrame:
        return self.lake.read(self.lake.cell(BARS.name, name, MONTH.key), BARS)

    def materialized(self, asset: str) -> dict[str | None, dict[str, Any]]:
        records = self.launcher.instance.fetch_materializations(
            dg.AssetKey(asset), limit=100, ascending=True
        ).records
        events = [record.asset_materialization for record in records]
        return {e.partition: {k: v.value for k, v in e.metadata.items()} for e in events if e}


def market(day: date, *, close: float = 10.5) -> pl.DataFrame:
    """Return a quiet half-hour and a burst of two symbols, and a test symbol."""
    rows = [bar("10:00", 1.0, symbol="ZVZZT", day=day)]
    for name in NAMES:
        rows += quiet("09:30", 30, 10.0, symbol=name, day=day)
        rows += [bar("10:00", close, 60_000, open_=10.0, symbol=name, day=day)]
    return frame(rows)


def settings_of(folder: Path) -> Settings:
    config = folder / "config.yaml"
    config.write_text(OVERLAY, encoding="utf-8")
    return load_settings(config)


def environment_of(folder: Path, url: str, *, key: bool = True) -> Environment:
    return Environment.model_construct(
        data=folder / "data",
        state=folder / "state",
        s3_access_key=SecretStr(ACCESS) if key else None,
        s3_secret_key=SecretStr(SECRET) if key else None,
        s3_endpoint=url,
    )


@pytest.fixture
def flat(tmp_path: Path) -> Iterator[Flat]:
    with serving() as files, dg.DagsterInstance.ephemeral() as instance:
        for day in DAYS:
            files.put(day, market(day))
        settings, environment = settings_of(tmp_path), environment_of(tmp_path, files.url)
        definitions = build_definitions(
            settings=settings,
            environment=environment,
            provider=Provider(settings, environment),
        )
        lake = Lake(environment.data_root)
        launcher = Launcher(definitions, instance)
        yield Flat(files, lake, build_grid(settings), launcher, definitions, settings)


def test_days_cells_and_events(flat: Flat) -> None:
    flat.run_days()
    found = flat.materialized("flat_file_days")
    assert list(found) == [str(day) for day in DAYS]
    last = found[str(DAYS[-1])]
    assert (last["symbols"], last["bars of test symbols left out"], last["state"]) == (
        2,
        1,
        "written",
    )
    flat.run_cells()
    assert flat.bars().height == 31 * len(DAYS)
    stored = read_metadata(flat.lake.cell(BARS.name, "AEMD", MONTH.key)) or {}
    assert stored["source"] == Source.LOOPBACK_FILES
    flat.run_cells(jobs.EVENTS)
    events = flat.lake.read(flat.lake.cell(EVENTS.name, "AEMD", MONTH.key), EVENTS)
    assert set(events["date"]) == {str(day) for day in DAYS}

    assert sorted(flat.files.gets()) == [f"{day}.csv.gz" for day in DAYS]
    flat.run_days()
    assert len(flat.files.gets()) == len(DAYS)  # nothing was replaced: one list, no download
    assert flat.materialized("flat_file_days")[str(DAYS[0])]["state"] == "already current"
    for entry in flat.launcher.instance.get_runs():
        logged = str(flat.launcher.instance.all_logs(entry.run_id))
        assert ACCESS not in logged
        assert SECRET not in logged
    stored_bytes = b"".join(f.read_bytes() for f in flat.lake.root.rglob("*") if f.is_file())
    assert ACCESS.encode() not in stored_bytes
    assert SECRET.encode() not in stored_bytes


def test_replaced_day_reaches_the_cells(flat: Flat) -> None:
    flat.run_days()
    flat.run_cells()
    flat.files.put(DAYS[1], market(DAYS[1], close=10.75))
    flat.run_days(DAYS[1])
    flat.run_cells()
    closes = flat.bars().filter(pl.col("close") > 10.5)
    assert closes.height == 1
    assert flat.files.gets().count(f"{DAYS[1]}.csv.gz") == 2


def test_day_outside_the_plan_does_not_end_the_rest(flat: Flat) -> None:
    flat.files.refused.add(flat.files.put(DAYS[1], market(DAYS[1])))
    with pytest.raises(RunFailedError, match=r"(?s)1 of 4 days failed.*2025-10-07.*plan"):
        flat.run_days()
    assert len(flat.materialized("flat_file_days")) == 3
    flat.run_cells()
    assert flat.bars().height == 31 * 3


def test_day_not_yet_published_fails_alone(flat: Flat) -> None:
    with pytest.raises(RunFailedError, match="11:00 New York time"):
        flat.run_days(DAYS[0], date(2025, 10, 10))
    assert len(flat.materialized("flat_file_days")) == 4


def test_sensor_asks_for_the_cells_of_periods_with_new_days(flat: Flat) -> None:
    instance = flat.launcher.instance
    (sensor,) = [one for one in sensors(flat.grid, flat.settings) if one.name == "new_day_files"]

    def tick(cursor: str | None) -> Any:
        return sensor(
            dg.build_sensor_context(instance=instance, cursor=cursor, resources={"lake": flat.lake})
        )

    flat.run_days()
    assert isinstance(tick(None), dg.SkipReason)
    instance.add_dynamic_partitions(SYMBOL, list(NAMES))
    asked = tick(None)
    (request,) = asked.run_requests
    assert request.tags[RANGE_START] == "2025-10|AEMD"
    assert request.tags[RANGE_END] == "2025-10|NERV"
    assert isinstance(tick(asked.cursor), dg.SkipReason)
    state, changed = changed_periods(flat.lake, flat.grid, asked.cursor)
    assert (list(state), changed) == (["2025-10"], [])


def test_schedule_looks_again_at_the_last_sessions(flat: Flat) -> None:
    request = files_request(DAYS[-1], flat.settings)
    assert request.tags == {RANGE_START: str(DAYS[1]), RANGE_END: str(DAYS[3])}
    schedule = flat.definitions.get_repository_def().get_schedule_def("daily_update")
    assert schedule.job_name == jobs.DAY_FILES


def test_missing_keys_are_named(tmp_path: Path) -> None:
    provider = Provider(settings_of(tmp_path), environment_of(tmp_path, FLAT_FILES_URL, key=False))
    with pytest.raises(NoFileKeysError, match="MASSIVE_S3_ACCESS_KEY"):
        provider.flat_files()


def test_files_end_with_the_clock_not_with_the_simulated_market(tmp_path: Path) -> None:
    """Somebody with the files' key pair alone has no API key, and still no simulated bars."""
    provider = Provider(settings_of(tmp_path), environment_of(tmp_path, FLAT_FILES_URL))
    now = datetime(2027, 3, 9, 17, tzinfo=UTC)
    assert provider.environment.is_simulated
    assert provider.last_file_day(now) == date(2027, 3, 8)


def test_real_files_do_not_join_simulated_data(tmp_path: Path) -> None:
    provider = Provider(settings_of(tmp_path), environment_of(tmp_path, FLAT_FILES_URL))
    assert provider.file_source_name == Source.FLAT_FILES
    claim(tmp_path / "data", simulated=True)
    with pytest.raises(MixedDataError):
        provider.flat_files()


def test_sample_by_rest_is_held_against_the_day_files(tmp_path: Path) -> None:
    """The emulator's market published as day files agrees; a file that lost a minute does not."""
    market = SimulatedMarket(symbols=2, first=date(2025, 10, 1), last=date(2025, 10, 31))
    symbols = [company.symbol for company in market.companies[:2]]
    overlay = OVERLAY + "kpis: {bars: {compare_symbol_days: 4}}\n"
    with serving() as files, chain_in(tmp_path, market, overlay=overlay) as chain:
        environment = environment_of(tmp_path, files.url)
        provider = Provider(chain.settings, environment, chain.emulator.base_url)
        with chain_provider(chain) as client:
            for day in DAYS:
                parts = [client.bars(symbol=s, start=day, end=day + ONE_DAY) for s in symbols]
                files.put(day, pl.concat(parts))
        definitions = build_definitions(
            settings=chain.settings, environment=environment, provider=provider
        )
        launcher = Launcher(definitions, chain.instance)
        flat = Flat(files, chain.lake, chain.grid, launcher, definitions, chain.settings)
        with pytest.raises(RunFailedError, match="nothing to compare"):
            launcher.run(jobs.COMPARISON)
        flat.run_days()
        launcher.run_cells(jobs.BARS, [Cell(name, MONTH) for name in symbols], flat.grid, 200)
        launcher.run(jobs.COMPARISON)
        found = flat.lake.read(flat.lake.table(BAR_COMPARISON.name), BAR_COMPARISON)
        assert len(found) == 4
        assert found["bars_both"].sum() > 0
        differences = found.select(pl.exclude("symbol", "date", "bars_both"))
        assert differences.sum_horizontal().sum() == 0
        assert check_result(found, 1.0).passed

        for day in DAYS:
            stored = flat.lake.day("flat_file_days", str(day))
            bars = flat.lake.read(stored, BARS)
            files.put(day, bars.filter(pl.int_range(pl.len()) % 10 != 0))
        flat.run_days()
        launcher.run(jobs.COMPARISON)
        found = flat.lake.read(flat.lake.table(BAR_COMPARISON.name), BAR_COMPARISON)
        assert found["bars_rest_only"].sum() > 0
        assert not check_result(found, 1.0).passed


def chain_provider(chain: Chain) -> AbstractContextManager[PolygonClient]:
    """Open a client of a chain's emulator."""
    environment = Environment.model_construct(data=chain.lake.root, state=chain.lake.root / "state")
    return Provider(chain.settings, environment, chain.emulator.base_url).client()
