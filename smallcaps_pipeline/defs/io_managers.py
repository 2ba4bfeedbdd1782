"""IO managers: how assets reach the lake.

`frames` serves the assets that are one frame: dagster-polars, with its reading mended (it asks for
`scan_parquet(rechunk=...)`, which polars 2 no longer has) and its writing made atomic. `cells`
serves symbol x date: a lazy frame for one cell, a dict of lazy frames for a range. The assets of
many cells write through the lake themselves, cell by cell, so that memory stays bounded and a run
that is killed keeps what it had; a frame or a dict of frames that an asset of yours returns is
written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from dagster_polars import PolarsParquetIOManager
from upath import UPath

from smallcaps_pipeline.defs.partitions import Grid
from smallcaps_pipeline.lake import Lake


class FrameIOManager(PolarsParquetIOManager):
    """Assets of one frame, at `<root>/<asset>.parquet`."""

    root: str

    @property
    def _lake(self) -> Lake:
        return Lake(Path(self.root))

    def _get_path(self, context: dg.InputContext | dg.OutputContext) -> UPath:
        return UPath(self._lake.table(context.asset_key.path[-1]))

    def write_df_to_path(self, context: dg.OutputContext, df: pl.DataFrame, path: UPath) -> None:
        del context
        self._lake.write(df, Path(str(path)))

    def sink_df_to_path(self, context: dg.OutputContext, df: pl.LazyFrame, path: UPath) -> None:
        self.write_df_to_path(context, df.collect(), path)

    def scan_df_from_path(
        self, path: UPath, context: dg.InputContext, partition_key: str | None = None
    ) -> pl.LazyFrame:
        del context, partition_key
        return pl.scan_parquet(str(path), hive_partitioning=False)


class CellIOManager(dg.IOManager):
    """Assets of symbol x date, one file a cell."""

    def __init__(self, lake: Lake, grid: Grid) -> None:
        self._lake = lake
        self._grid = grid

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame | dict[str, pl.LazyFrame]:
        """Scan one cell, or those cells of a range that have a file, by partition key.

        Raises:
            FileNotFoundError: The one cell that was asked for has no file.
        """
        files = {key: self._file(context.asset_key, key) for key in context.asset_partition_keys}
        if len(files) == 1:
            (file,) = files.values()
            if not file.exists():
                raise FileNotFoundError(f"{file}: this cell has no file; materialize it first")
            return pl.scan_parquet(file, hive_partitioning=False)
        return {
            key: pl.scan_parquet(file, hive_partitioning=False)
            for key, file in files.items()
            if file.exists()
        }

    def handle_output(
        self, context: dg.OutputContext, obj: pl.DataFrame | Mapping[str, pl.DataFrame] | None
    ) -> None:
        """Write a frame (one cell) or a dict of frames by partition key; None writes nothing."""
        if obj is None:
            return
        if isinstance(obj, pl.DataFrame):
            obj = {context.partition_key: obj}
        for key, frame in obj.items():
            self._lake.write(frame, self._file(context.asset_key, key))

    def _file(self, asset: dg.AssetKey, key: str) -> Path:
        cell = self._grid.cell(key)
        return self._lake.cell(asset.path[-1], cell.symbol, cell.period.key)


def io_managers(lake: Lake, grid: Grid) -> dict[str, Any]:
    """Return the IO managers by their keys."""
    return {"frames": FrameIOManager(root=str(lake.root)), "cells": CellIOManager(lake, grid)}
