"""Micro: what the trades and quotes around an event say.

`classify_aggressor` gives each trade its side; `event_features` gives one row of figures per event
of a manifest. Everything here is a pure function of frames: no files, no provider, no clock.
"""

from smallcaps_pipeline.micro.aggressor import classify_aggressor
from smallcaps_pipeline.micro.features import event_features

__all__ = ["classify_aggressor", "event_features"]
