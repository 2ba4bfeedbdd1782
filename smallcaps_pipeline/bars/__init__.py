"""Bars: cleaning, coverage, import of the old layout."""
