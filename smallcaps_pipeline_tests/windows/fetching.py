"""A whole download as the assets do it, to be run in a process that can be killed.

    python -m smallcaps_pipeline_tests.windows.fetching ROOT URL PLAN

ROOT is the lake's folder, URL an emulator's address, PLAN a parquet file of plan rows with `batch`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.polygon.connect import connect
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.windows import TickSource, fetch_quotes, fetch_trades, plan_extensions
from smallcaps_pipeline_tests.windows.make import CONFIG


def eager() -> Settings:
    """Return settings under which many windows extend, without a limit and on small pages."""
    extension = CONFIG.windows.extension.model_copy(update={"min_trades": 10, "min_move_pct": 0.2})
    free = {"calls_per_minute": None, "calls_per_second": None, "page_limit": 400}
    return CONFIG.model_copy(
        update={
            "provider": CONFIG.provider.model_copy(update={**free, "retry_wait_s": 0.01}),
            "windows": CONFIG.windows.model_copy(update={"extension": extension}),
        }
    )


def fetch_all(plan: pl.DataFrame, source: TickSource, lake: Lake, settings: Settings) -> None:
    """Fetch every batch of a plan; a window that fails is an error."""
    more: dict[str, Any] = {"settings": settings, "profile": "core"}
    for batch in plan.partition_by("batch", maintain_order=True):
        results = [fetch_trades(batch, source, lake, **more)]
        found = plan_extensions(batch, lake, planned=plan, settings=settings)
        results += [fetch_trades(found, source, lake, **more)]
        results += [fetch_quotes(batch, source, lake, **more)]
        found = plan_extensions(batch, lake, planned=plan, settings=settings)
        results += [step(found, source, lake, **more) for step in (fetch_trades, fetch_quotes)]
        if failed := [outcome for result in results for outcome in result.failed]:
            raise RuntimeError(f"{len(failed)} windows failed: {failed[0].reason}")


def main(root: str, url: str, plan: str) -> None:
    """Run the download to its end."""
    settings = eager()
    folder = Path(root)
    with connect(
        settings.provider, base_url=url, api_key="any", budget_address=folder.parent / "limiter"
    ) as client:
        fetch_all(pl.read_parquet(plan), client, Lake(folder), settings)


if __name__ == "__main__":
    main(*sys.argv[1:])
