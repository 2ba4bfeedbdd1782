"""Benchmarks: each measured as a ratio to a floor or a baseline of the same run; see README.md."""
