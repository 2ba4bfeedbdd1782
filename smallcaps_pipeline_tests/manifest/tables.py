"""Small event tables for the tests of the manifest: one line per event, the rest filled in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import yaml

from smallcaps_pipeline.schemas import EVENTS
from smallcaps_pipeline.settings import SHIPPED_CONFIG, Settings, read_settings

NEW_YORK = ZoneInfo("America/New_York")

# An event that passes every filter of every profile, with a full liquidity factor in rank_score:
# 2,000,000 / 50,000 = 40 multiples, so rank_score = score x type priority.
TYPICAL: dict[str, Any] = {
    "event_bias": "bullish",
    "spike_x": 20.0,
    "open": 9.9,
    "high": 10.1,
    "low": 9.9,
    "close": 10.0,
    "price_at_event": 10.0,
    "volume": 200_000.0,
    "dollar_volume": 2_000_000.0,
    "dollar_volume_so_far": 5_000_000.0,
    "label_dollar_volume_day": 9_000_000.0,
    "close_vs_open": "green",
    "score": 0.5,
}


def event(
    symbol: str = "AAA",
    at: str = "2025-10-07 10:00",
    event_type: str = "volume_spike",
    direction: str = "up",
    **columns: Any,
) -> dict[str, Any]:
    """Return one event at a New York time; a session and a group of its own follow from it."""
    local = datetime.fromisoformat(at).replace(tzinfo=NEW_YORK)
    utc = local.astimezone(ZoneInfo("UTC"))
    clock = at[11:]
    session = "PM" if clock < "09:30" else "RTH" if clock < "16:00" else "AH"
    event_id = f"{symbol}_{utc:%Y%m%d_%H%M%S}_{event_type}_{direction}"
    row = {
        **TYPICAL,
        "event_id": event_id,
        "symbol": symbol,
        "date": at[:10],
        "timestamp": utc,
        "event_type": event_type,
        "direction": direction,
        "session": session,
        "event_group_id": event_id,
        **columns,
    }
    row["is_premarket"] = row["session"] == "PM"
    row["is_afterhours"] = row["session"] == "AH"
    return row


def events(*rows: Mapping[str, Any]) -> pl.DataFrame:
    """Return events as a frame of the schema; columns that no row names are null."""
    return pl.DataFrame(list(rows), schema=EVENTS.schema, orient="row")


def settings(profile: Mapping[str, Any] | None = None, **manifest: Any) -> Settings:
    """Return the shipped settings with `profile` over core's and `manifest` over the section.

    Core comes with no score percentile and no caps but its total, so that a test names only what
    it is about.
    """
    values = yaml.safe_load(Path(SHIPPED_CONFIG).read_text(encoding="utf-8"))
    open_core = {
        "min_score_percentile": None,
        "max_per_symbol": None,
        "max_per_symbol_day": None,
        **(profile or {}),
    }
    values["manifest"]["profiles"]["core"] |= open_core
    for key, value in manifest.items():
        if key == "profiles":
            for name, changes in value.items():
                values["manifest"]["profiles"].setdefault(name, {})
                values["manifest"]["profiles"][name] |= changes
        else:
            values["manifest"][key] = value
    return read_settings(values)


NO_QUOTAS: dict[str, Any] = {
    "type_quotas_pct": {"volume_spike": 100},
    "session_quotas_pct": {"PM": 0, "RTH": 100},
    "bucket_floors_pct": {"opening": 0, "midday": 0, "power_hour": 0, "PM": 0, "AH": 0},
}
