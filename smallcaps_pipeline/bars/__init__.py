"""Bars: cleaning, coverage, import of the old layout."""

from smallcaps_pipeline.bars.clean import Reason, clean_bars, trusted_vwap

__all__ = ["Reason", "clean_bars", "trusted_vwap"]
