"""The `import-bars` command: existing bars into the lake, their cells recorded as materialized."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from smallcaps_pipeline.bars.importing import import_bars
from smallcaps_pipeline.bars.update import TABLE as BARS_TABLE
from smallcaps_pipeline.cells import period_from_key
from smallcaps_pipeline.commands.project import open_project
from smallcaps_pipeline.console import Console
from smallcaps_pipeline.defs.partitions import Cell
from smallcaps_pipeline.environment import claim
from smallcaps_pipeline.lake import read_metadata


def import_into_lake(console: Console, source: Path, timezone: str | None) -> None:
    """Import bars and record the cells as materialized."""
    with open_project(console) as project:
        claim(project.lake.root, simulated=False)
        done = import_bars(source, project.lake, cadence=project.grid.cadence, timezone=timezone)
        project.launcher.add_symbols(symbol for symbol, _ in done.cells)
        for symbol, key in sorted(set(done.cells)):
            cell = Cell(symbol, period_from_key(key, project.grid.cadence))
            file = project.lake.cell(BARS_TABLE, symbol, key)
            project.launcher.instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    BARS_TABLE,
                    partition=cell.key,
                    metadata={"dagster/row_count": (read_metadata(file) or {})["rows"]},
                )
            )
    console.fact("files", done.files)
    console.fact("bars", done.rows)
    console.fact("cells", len(set(done.cells)))
    console.table(
        "set aside",
        [
            {"reason": reason, "bars": bars, "file": file}
            for file, by_reason in done.set_aside.items()
            for reason, bars in by_reason.items()
        ],
    )
    console.table("files left out", [{"file": f, "why": why} for f, why in done.failed.items()])
    console.finish()
    if done.failed and not done.files:
        raise ValueError(f"none of the {len(done.failed)} files could be used")
