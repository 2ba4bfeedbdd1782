"""Every table of the project, in flow order: columns, types, units, key.

Belongs here: what a row is and what its columns mean. Stages cast strictly on entry
(`Table.conform`) and return frames of exactly this shape; an empty result has the same columns.
Keep out: how a column is computed.

Instants are UTC and name the start of what they label; `date` is a trading day in New York.
Prices are US dollars as traded. Null means unknown; NaN is never stored.
"""

from smallcaps_pipeline.schemas.coverage import (
    BAR_COMPARISON,
    BAR_COVERAGE,
    DAY_COVERAGE,
    SUSPECTS,
    SYMBOL_COVERAGE,
)
from smallcaps_pipeline.schemas.events import (
    BARS,
    EVENT_SUMMARY,
    EVENTS,
    FLAT_FILE_DAYS,
    REFERENCE,
    SET_ASIDE,
)
from smallcaps_pipeline.schemas.manifest import (
    FUNNEL,
    MANIFEST,
)
from smallcaps_pipeline.schemas.micro import (
    HALT,
    MICRO_FEATURES,
    MICRO_QUALITY,
    Moment,
    micro_features_table,
    moments,
)
from smallcaps_pipeline.schemas.report import (
    CRITERIA,
    LABELS,
    REVIEW_SAMPLE,
)
from smallcaps_pipeline.schemas.table import (
    BOOL,
    DATE,
    F64,
    I8,
    I32,
    I64,
    STR,
    UTC_NS,
    UTC_US,
    Column,
    Frame,
    SchemaError,
    Table,
    select_missing,
    some,
)
from smallcaps_pipeline.schemas.universe import (
    CONDITIONS,
    DAILY_BARS,
    DIVIDENDS,
    EXCHANGES,
    FLOAT_SHARES,
    HOLIDAYS,
    NEWS,
    PREVIOUS_CLOSE,
    SHORT_INTEREST,
    SNAPSHOTS,
    SPLITS,
    TICKER_DETAILS,
    TICKER_EVENTS,
    UNIVERSE,
)
from smallcaps_pipeline.schemas.windows import (
    PLAN,
    QUOTES,
    STORED,
    TRADES,
    WINDOW_FILES,
)

__all__ = [
    "BARS",
    "BAR_COMPARISON",
    "BAR_COVERAGE",
    "BOOL",
    "CONDITIONS",
    "CRITERIA",
    "DAILY_BARS",
    "DATE",
    "DAY_COVERAGE",
    "DIVIDENDS",
    "EVENTS",
    "EVENT_SUMMARY",
    "EXCHANGES",
    "F64",
    "FLAT_FILE_DAYS",
    "FLOAT_SHARES",
    "FUNNEL",
    "HALT",
    "HOLIDAYS",
    "I8",
    "I32",
    "I64",
    "LABELS",
    "MANIFEST",
    "MICRO_FEATURES",
    "MICRO_QUALITY",
    "NEWS",
    "PLAN",
    "PREVIOUS_CLOSE",
    "QUOTES",
    "REFERENCE",
    "REVIEW_SAMPLE",
    "SET_ASIDE",
    "SHORT_INTEREST",
    "SNAPSHOTS",
    "SPLITS",
    "STORED",
    "STR",
    "SUSPECTS",
    "SYMBOL_COVERAGE",
    "TICKER_DETAILS",
    "TICKER_EVENTS",
    "TRADES",
    "UNIVERSE",
    "UTC_NS",
    "UTC_US",
    "WINDOW_FILES",
    "Column",
    "Frame",
    "Moment",
    "SchemaError",
    "Table",
    "micro_features_table",
    "moments",
    "select_missing",
    "some",
]
