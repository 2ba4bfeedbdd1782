"""Bars: cleaning, coverage, import of the old layout."""

from smallcaps_pipeline.bars.clean import clean_bars, trusted_vwap
from smallcaps_pipeline.bars.soundness import Reason

__all__ = ["Reason", "clean_bars", "trusted_vwap"]
