"""Real deaths: the process that fetches is killed at random moments, then run to its end.

The files must be those of an undisturbed run, byte for byte, and the emulator's log must show no
request for an instant that was stored when the process died. When the kill comes does not matter to
either: the tests do not depend on timing.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import polars as pl
import pytest

from smallcaps_pipeline.emulator import Running, SimulatedMarket, running
from smallcaps_pipeline.emulator.paging import decode_cursor
from smallcaps_pipeline.emulator.params import instant_span
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.sessions import trading_days
from smallcaps_pipeline.windows import cut_batches, plan_windows, stored, windows_index
from smallcaps_pipeline_tests.windows import fetching
from smallcaps_pipeline_tests.windows.downloads import contents
from smallcaps_pipeline_tests.windows.make import manifest, manifest_row, ns

FIRST, LAST = date(2025, 10, 1), date(2025, 10, 31)
POLL_S = 0.002


@pytest.fixture(scope="module")
def market() -> Iterator[Running]:
    with running(SimulatedMarket(symbols=12, first=FIRST, last=LAST)) as emulator:
        yield emulator


def planned(windows: int, batch_windows: int) -> pl.DataFrame:
    """Return a plan in batches: on each symbol-day one window, then one that lies 13 minutes on.

    The windows are neighbours apart; extended, they meet.
    """
    market = SimulatedMarket(symbols=12, first=FIRST, last=LAST)
    symbols = [company.symbol for company in market.companies][:12]
    places = [(symbol, day) for day in trading_days(FIRST, LAST) for symbol in symbols]
    rows = []
    for number in range(windows):
        symbol, day = places[number // 2]
        opening = datetime(day.year, day.month, day.day, 13, 40, tzinfo=UTC)  # 09:40 in New York
        at = opening + timedelta(minutes=13 * (number % 2))
        rows.append(manifest_row(symbol, at, rank=number + 1))
    plan = plan_windows(manifest(*rows), settings=fetching.eager())
    settings = fetching.eager()
    small = settings.windows.model_copy(update={"batch_windows": batch_windows})
    return cut_batches(
        plan, profile="core", settings=settings.model_copy(update={"windows": small})
    )


@dataclass(frozen=True)
class Asked:
    """One request for ticks of [start, end), ns."""

    kind: str
    symbol: str
    start: int
    end: int


def asked(emulator: Running, since: int) -> list[Asked]:
    """List the requests for ticks from the log; those for the one quote before are left out."""
    found = []
    for one in emulator.requests[since:]:
        url = urlsplit(one.target)
        query = dict(parse_qsl(url.query))
        fields = decode_cursor(query["cursor"]) if "cursor" in query else query
        if "timestamp.gte" not in fields:
            continue
        kind, symbol = url.path.split("/")[2:4]
        bounds = [instant_span(fields[f"timestamp.{name}"]).start for name in ("gte", "lt")]
        # A cursor starts at its page's last row: what it asks for begins after that.
        found.append(Asked(kind, symbol, bounds[0] + ("cursor" in query), bounds[1]))
    return found


def asked_again(there: pl.DataFrame, requests: list[Asked]) -> list[Asked]:
    """List the requests that reach into what was stored."""
    held: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in there.to_dicts():
        span = ns(row["window_start"]), ns(row["window_end"])
        held.setdefault((row["kind"], row["symbol"]), []).append(span)
    return [
        one
        for one in requests
        for start, end in held.get((one.kind, one.symbol), [])
        if max(one.start, start) < min(one.end, end)
    ]


def kill_and_finish(folder: Path, emulator: Running, plan: pl.DataFrame, kills: int) -> int:
    """Kill a download again and again, run it to its end, and compare; return the real deaths."""
    calm, lake = Lake(folder / "calm" / "data"), Lake(folder / "killed" / "data")
    file = folder / "plan.parquet"
    plan.write_parquet(file)
    before = len(emulator.requests)
    fetching.main(str(calm.root), emulator.base_url, str(file))
    needed = len(emulator.requests) - before
    command = [sys.executable, "-m", "smallcaps_pipeline_tests.windows.fetching"]
    command += [str(lake.root), emulator.base_url, str(file)]
    rng = random.Random(kills)
    deaths, snapshots = 0, []
    for _ in range(kills):
        enough = len(emulator.requests) + rng.randint(1, max(2 * needed // (kills + 1), 2))
        with subprocess.Popen(command) as process:
            while process.poll() is None and len(emulator.requests) < enough:
                time.sleep(POLL_S)
            time.sleep(rng.random() * POLL_S)
            process.kill()
        deaths += process.returncode != 0
        snapshots.append((len(emulator.requests), stored(lake)))
    subprocess.run(command, check=True)
    files = {name: data for name, data in contents(lake).items() if not name.startswith(".tmp")}
    assert files == contents(calm)
    for since, there in snapshots:
        assert asked_again(there, asked(emulator, since)) == []
    return deaths


def test_a_download_killed_five_times_ends_as_if_undisturbed(
    tmp_path: Path, market: Running
) -> None:
    plan = planned(windows=24, batch_windows=8)
    assert kill_and_finish(tmp_path, market, plan, kills=5) >= 1
    index = windows_index(Lake(tmp_path / "killed" / "data"))
    assert index["extended"].any()
    assert (index["events_merged"].list.len() > 1).any()  # windows that met
    assert (index["pages"] > 1).any()


@pytest.mark.slow
def test_a_download_of_300_windows_killed_a_hundred_times(tmp_path: Path, market: Running) -> None:
    assert kill_and_finish(tmp_path, market, planned(windows=300, batch_windows=50), 100) > 50
