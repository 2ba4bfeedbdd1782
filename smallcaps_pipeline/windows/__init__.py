"""Windows: what to fetch around events, once; NBBO reduction; files."""

from smallcaps_pipeline.windows.batches import (
    as_stored,
    cut_batches,
    withdrawn_batches,
    without_batches,
)
from smallcaps_pipeline.windows.choose import best_per_symbol, missing_windows, rows_of
from smallcaps_pipeline.windows.estimate import Cost, Estimate, estimate
from smallcaps_pipeline.windows.extend import plan_extensions
from smallcaps_pipeline.windows.extension import extension
from smallcaps_pipeline.windows.fetch import (
    TickSource,
    TradesMissingError,
    fetch_quotes,
    fetch_trades,
)
from smallcaps_pipeline.windows.nbbo import reduce_nbbo
from smallcaps_pipeline.windows.outcomes import FetchResult, FetchStatus, WindowOutcome
from smallcaps_pipeline.windows.plan import Kind, merge_windows, plan_windows, subtract_stored
from smallcaps_pipeline.windows.rates import Rates
from smallcaps_pipeline.windows.reading import (
    WindowNotStoredError,
    WindowTicks,
    is_stored,
    read_interval,
    read_window,
)
from smallcaps_pipeline.windows.replan import (
    Replanned,
    batch_names,
    held_events,
    missing_rows,
    profile_of,
    read_batch,
    replan,
)
from smallcaps_pipeline.windows.stored import (
    StoredFigures,
    StoredWindow,
    missing_intervals,
    stored,
    stored_figures,
    stored_windows,
    windows_index,
)
from smallcaps_pipeline.windows.window import Window

__all__ = [
    "Cost",
    "Estimate",
    "FetchResult",
    "FetchStatus",
    "Kind",
    "Rates",
    "Replanned",
    "StoredFigures",
    "StoredWindow",
    "TickSource",
    "TradesMissingError",
    "Window",
    "WindowNotStoredError",
    "WindowOutcome",
    "WindowTicks",
    "as_stored",
    "batch_names",
    "best_per_symbol",
    "cut_batches",
    "estimate",
    "extension",
    "fetch_quotes",
    "fetch_trades",
    "held_events",
    "is_stored",
    "merge_windows",
    "missing_intervals",
    "missing_rows",
    "missing_windows",
    "plan_extensions",
    "plan_windows",
    "profile_of",
    "read_batch",
    "read_interval",
    "read_window",
    "reduce_nbbo",
    "replan",
    "rows_of",
    "stored",
    "stored_figures",
    "stored_windows",
    "subtract_stored",
    "windows_index",
    "withdrawn_batches",
    "without_batches",
]
