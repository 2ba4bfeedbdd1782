"""The same small downloads for several tests: two symbols that trade, one that never does."""

from __future__ import annotations

from typing import Any

import polars as pl

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.windows import (
    FetchResult,
    fetch_quotes,
    fetch_trades,
    plan_windows,
    stored,
)
from smallcaps_pipeline_tests.windows.fake_source import FakeSource, tape
from smallcaps_pipeline_tests.windows.make import CONFIG, at, manifest, manifest_row

TAPES = {"A": tape(1), "B": tape(2)}
TIMES = [("A", "13:40"), ("A", "14:10"), ("B", "14:00"), ("B", "14:12"), ("QUIET", "14:00")]
# plus windows of the two A events stay apart, those of the two B events become one
CORE = manifest(*(manifest_row(s, at(t), rank=i) for i, (s, t) in enumerate(TIMES)))
PLUS = manifest(
    *(
        manifest_row(s, at(t), rank=i, before=5, after=15, by_change=False, max_hz=20)
        for i, (s, t) in enumerate(TIMES)
    )
)


def fetch(
    source: FakeSource, lake: Lake, table: pl.DataFrame, *, profile: str = "core", workers: int = 1
) -> list[FetchResult]:
    """Plan against the lake and fetch what is missing, trades first."""
    plan = plan_windows(table, stored=stored(lake), settings=CONFIG)
    return fetch_batch(plan, source, lake, profile=profile, workers=workers)


def fetch_batch(
    plan: pl.DataFrame, source: FakeSource, lake: Lake, *, profile: str, workers: int = 1
) -> list[FetchResult]:
    more: dict[str, Any] = {"settings": CONFIG, "profile": profile, "workers": workers}
    return [step(plan, source, lake, **more) for step in (fetch_trades, fetch_quotes)]


def contents(lake: Lake) -> dict[str, bytes]:
    """Return every file of the lake with its bytes."""
    files = (file for file in sorted(lake.root.rglob("*")) if file.is_file())
    return {file.relative_to(lake.root).as_posix(): file.read_bytes() for file in files}
