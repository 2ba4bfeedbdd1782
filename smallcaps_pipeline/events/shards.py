"""Event shards: the events of one cell, detected again only when something changed.

A shard's file says what it was made from: the content of its bars, the settings of detection, the
reference facts and the version of the rules. If all are as before, the shard is current.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from smallcaps_pipeline.bars.update import TABLE as BARS_TABLE
from smallcaps_pipeline.bars.update import CellState
from smallcaps_pipeline.events.detect import detect
from smallcaps_pipeline.lake import Lake, LakeError, fingerprint, read_metadata
from smallcaps_pipeline.schemas import BARS, EVENTS
from smallcaps_pipeline.settings import Settings

TABLE: Final = EVENTS.name
COMPRESSION_LEVEL: Final = 3  # a shard is made anew with every threshold: soon written beats small
RULES_VERSION: Final = "1"  # raise it when a rule changes: every shard is detected anew


@dataclass(frozen=True)
class ShardUpdate:
    """What was done for one event shard.

    Attributes:
        state: Whether the file was written.
        rows: Events in the shard.
        bars: Bars looked at.
        set_aside: Bars set aside, by reason.
        outside_sessions: Bars at night or on closed days.
        vwap_outside: Bars whose vwap lies outside [low, high]; it counts as not given.
        dropped: Events dropped, by filter and as duplicates.
        unknown: Events that passed a filter because a fact is unknown.
        file: The shard's file.
    """

    state: CellState
    rows: int
    bars: int
    file: Path
    set_aside: dict[str, int] = field(default_factory=dict)
    outside_sessions: int = 0
    vwap_outside: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)


def update_shard(
    lake: Lake, symbol: str, period_key: str, settings: Settings, reference: pl.DataFrame | None
) -> ShardUpdate:
    """Detect the events of one cell, unless its shard is current.

    Args:
        lake: Where bars and shards lie.
        symbol: Ticker.
        period_key: The cell's period.
        settings: Thresholds.
        reference: `schemas.REFERENCE` of the universe, or None.

    Returns:
        What was done; `NO_INPUT` where the cell has no bars (a shard of bars that are gone goes).

    Raises:
        LakeError: The bars' file is damaged, or holds other symbols; the message names it.
    """
    bars_file = lake.cell(BARS_TABLE, symbol, period_key)
    file = lake.cell(TABLE, symbol, period_key)
    if not bars_file.exists():
        lake.remove(file)
        return ShardUpdate(CellState.NO_INPUT, 0, 0, file)
    known = None if reference is None else reference.filter(pl.col("symbol") == symbol)
    made_from = {
        "bars": fingerprint(bars_file),
        "settings": _digest(settings.events.model_dump_json()),
        "reference": None if known is None else _digest(known.write_json()),
        "rules": RULES_VERSION,
    }
    stored = read_metadata(file)
    if stored is not None and stored.get("made_from") == made_from:
        return ShardUpdate(CellState.CURRENT, stored["rows"], stored["bars"], file)
    bars = lake.read(bars_file, BARS)
    if foreign := sorted(set(bars["symbol"].unique()) - {symbol, None}):
        raise LakeError(f"{bars_file}: holds bars of {', '.join(foreign)}, expected {symbol} alone")
    found = detect(bars, settings, reference=known)
    metadata = {"rows": len(found.events), "bars": found.bars, "made_from": made_from}
    lake.write(found.events, file, metadata=metadata, level=COMPRESSION_LEVEL)
    return ShardUpdate(
        CellState.WRITTEN,
        len(found.events),
        found.bars,
        file,
        set_aside=dict(found.set_aside["reason"].value_counts().iter_rows()),
        outside_sessions=found.outside_sessions,
        vwap_outside=found.vwap_outside,
        dropped=dict(found.dropped),
        unknown=dict(found.unknown),
    )


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
