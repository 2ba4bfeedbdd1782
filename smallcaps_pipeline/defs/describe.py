"""What the UI shows of an asset: its table's columns, and figures of a frame."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import dagster as dg
import polars as pl

from smallcaps_pipeline.schemas import Table

OWNER = "team:quants"


def described(table: Table) -> dict[str, Any]:
    """Return the definition metadata of an asset that holds a table: what a row is, its columns."""
    columns = [
        dg.TableColumn(name, type=str(column.dtype), description=column.meaning)
        for name, column in table.columns.items()
    ]
    return {
        "one row is": table.row,
        "key": ", ".join(table.key) or "none",
        "dagster/column_schema": dg.TableSchema(columns=columns),
    }


def figures(frame: pl.DataFrame, time: str | None = None) -> dict[str, Any]:
    """Return row count, and first and last instant where a time column is named."""
    found: dict[str, Any] = {"dagster/row_count": len(frame)}
    if time is not None and len(frame):
        found["first"] = str(frame[time].min())
        found["last"] = str(frame[time].max())
    return found


def counts(name: str, by_reason: dict[str, int]) -> dict[str, Any]:
    """Return counts by reason as one entry, left out where there are none."""
    found = {reason: n for reason, n in by_reason.items() if n}
    return {name: dg.MetadataValue.json(found)} if found else {}


def table_of(frame: pl.DataFrame) -> dg.MetadataValue:
    """Return a small frame as a table that the UI draws."""
    text = pl.all().cast(pl.String).fill_null("").str.replace_all("|", r"\|", literal=True)
    texts = frame.with_columns(text)
    head = " | ".join(frame.columns)
    rule = " | ".join("---:" if dtype.is_numeric() else "---" for dtype in frame.dtypes)
    rows = [" | ".join(row) for row in texts.iter_rows()]
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in (head, rule, *rows)))


def image(svg: str) -> dg.MetadataValue:
    """Return a small SVG as an image that the UI draws; it is stored in the event log."""
    data = b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![plot](data:image/svg+xml;base64,{data})")
