"""Events before filters and duplicates, as the tests of single detectors ask for them.

Belongs here: how a test asks. Keep out: bars (`builders`) and expectations.
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.bars import clean_bars
from smallcaps_pipeline.events.detect import in_session, raw_events
from smallcaps_pipeline.sessions import NEW_YORK
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline_tests.events.builders import Bar, frame

SHIPPED = load_settings()


def raw(bars: pl.DataFrame, settings: Settings | None = None) -> pl.DataFrame:
    """Return all events of bars before filters, duplicates and groups."""
    good, _ = clean_bars(bars)
    events = (settings or SHIPPED).events
    found, _ = raw_events(*in_session(good, events), events)
    return found


def raised(
    rows: list[Bar], event_type: str, direction: str, settings: Settings | None = None
) -> list[str]:
    """Return the New York clock times at which a detector raises an event in a direction."""
    events = raw(frame(rows), settings).filter(
        pl.col("event_type") == event_type, pl.col("direction") == direction
    )
    local = events["timestamp"].dt.convert_time_zone(NEW_YORK)
    return local.dt.strftime("%H:%M").to_list()
