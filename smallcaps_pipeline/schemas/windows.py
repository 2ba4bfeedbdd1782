"""Tables of windows: plan, files, trades, quotes."""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.schemas.table import (
    BOOL,
    F64,
    I32,
    I64,
    STR,
    UTC_NS,
    UTC_US,
    Table,
    columns,
    some,
)

STORED = Table(
    "stored",
    "one stored interval of one symbol and kind",
    columns(
        ("symbol", STR, "ticker"),
        ("kind", STR, "trades or quotes"),
        ("window_start", UTC_US, "included"),
        ("window_end", UTC_US, "not included"),
        ("nbbo", STR, "NBBO reduction of quotes (`all`, `change`, `change@5Hz`); null for trades"),
    ),
)

PLAN = Table(
    "window_plan",
    "one interval of one symbol and kind to be fetched",
    columns(
        ("symbol", STR, "ticker"),
        ("kind", STR, "trades or quotes"),
        ("window_start", UTC_US, "included"),
        ("window_end", UTC_US, "not included"),
        ("events_merged", pl.List(STR), "event_ids by timestamp, then event_id"),
        ("priority", I64, "best rank of its events"),
        ("nbbo", STR, "NBBO reduction of quotes; null for trades"),
        ("requests_min", I64, "requests at least"),
        ("requests_expected", F64, "requests expected"),
        ("bytes_expected", F64, "bytes on disk expected"),
        ("merged_start", UTC_US, "start of the merged window of which this is what is missing"),
        ("merged_end", UTC_US, "its end, not included"),
        ("refetched_seconds", F64, "seconds of quotes that are stored, but at a coarser NBBO"),
    ),
    ("symbol", "kind", "window_start"),
)

WINDOW_FILES = Table(
    "window_files",
    "one stored window file: the trades or the quotes of a window",
    {
        **some(STORED, "symbol", "kind", "window_start", "window_end"),
        **columns(
            ("event_id", STR, "event that names the folder"),
            ("events_merged", pl.List(STR), "event_ids by timestamp, then event_id"),
            ("nbbo", STR, "NBBO reduction of quotes, several where parts differ; null for trades"),
            ("rows", I64, "rows in the file"),
            ("fetched", I64, "rows that came for it, before the NBBO reduction"),
            ("pages", I64, "pages that were fetched for it"),
            ("bytes", I64, "size on disk"),
            ("source", STR, "who gave the ticks"),
            ("extended", BOOL, "a hot edge has widened it"),
            ("file", STR, "path"),
        ),
    },
    ("file",),
)

TRADES = Table(
    "trades",
    "one reported print, sorted by SIP timestamp, then sequence number",
    columns(
        ("timestamp", UTC_NS, "SIP timestamp"),
        ("participant_timestamp", UTC_NS, "the venue's own clock; null where not given"),
        ("price", F64, "USD"),
        ("size", F64, "shares, possibly fractional"),
        ("exchange", I32, "provider's venue id"),
        ("conditions", pl.List(I32), "condition codes; empty = regular, null = not known"),
        ("correction", I32, "0 as reported, 1 corrected, others cancelled or in error"),
        ("trade_id", STR, "the venue's id"),
        ("sequence_number", I64, "order on the tape"),
        ("tape", I32, "1 = A, 2 = B, 3 = C; null where not given"),
    ),
    ("sequence_number", "timestamp", "exchange", "trade_id"),
)

QUOTES = Table(
    "quotes",
    "one NBBO update, sorted by SIP timestamp, then sequence number",
    columns(
        ("timestamp", UTC_NS, "SIP timestamp"),
        ("participant_timestamp", UTC_NS, "the venue's own clock; null where not given"),
        ("bid_price", F64, "USD; 0 or null = no bid"),
        ("bid_size", F64, "raw number, unit in the file's metadata"),
        ("bid_exchange", I32, "provider's venue id"),
        ("ask_price", F64, "USD; 0 or null = no ask"),
        ("ask_size", F64, "raw number, unit in the file's metadata"),
        ("ask_exchange", I32, "provider's venue id"),
        ("conditions", pl.List(I32), "quote condition codes; null = not known"),
        ("indicators", pl.List(I32), "indicator codes; null = not known"),
        ("sequence_number", I64, "order on the tape"),
        ("tape", I32, "1 = A, 2 = B, 3 = C; null where not given"),
    ),
    ("sequence_number", "timestamp", "bid_exchange", "ask_exchange"),
)
