"""Micro: what the trades and quotes around an event say.

`classify_aggressor` gives each trade its side; `event_features` gives one row of figures per event
of a manifest, `window_quality` one row of what is wrong with the data behind them. Everything here
is a pure function of frames: no files, no provider, no clock.
"""

from smallcaps_pipeline.micro.aggressor import classify_aggressor
from smallcaps_pipeline.micro.features import event_features
from smallcaps_pipeline.micro.quality import window_quality

__all__ = ["classify_aggressor", "event_features", "window_quality"]
